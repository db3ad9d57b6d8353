"""Calculated columns and tables: refused by name, or kept and said to be out of date, or left without values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refresh_models import calculated_column, calculated_table, column
from refreshes import differences, parquet_partition, shop, table_of

from conftest import sample_path
from tabvault.errors import CalculationNotSupportedError, TabvaultError
from tabvault.jobs.alteration import Alteration
from tabvault.model.changes.tree_changes import delete_changes
from tabvault.model.objects import ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refreshes import Shop

    from tabvault.model.objects import Table

READY, CALCULATION_NEEDED = 1, 4
GENUINE = "Hugoberry__rls-sample-report.pbix"
ROWS = pa.table({"Key": pa.array([1, 2, 3], pa.int64()), "Name": ["a", "b", "c"]})


@pytest.fixture
def genuine(tmp_path: Path) -> Iterator[Shop]:
    """A database with values that an engine calculated; two of its tables now read what they hold from files."""
    with shop(tmp_path) as made:
        made.vault.import_file(str(sample_path(GENUINE)), "shop")
        for name in ("Sales", "Reviews"):
            path = made.files / f"{name}.parquet"
            pq.write_table(loaded(made, name), path)
            [partition] = table(made, name).partitions
            made.read_from(name, partition.name, f'Parquet.Document(File.Contents("{path}"))')
        yield made


def table(shop: Shop, name: str) -> Table:
    with shop.vault.open("shop") as opened:
        return next(one for one in opened.model.tables if one.name == name)


def columns(shop: Shop, kind: ColumnType, name: str = "Sales") -> list[str]:
    return [one.name for one in table(shop, name).columns if one.type == kind]


def loaded(shop: Shop, name: str) -> pa.Table:
    """The rows of a table, named as the source has them, last one first."""
    names = {
        one.name: one.source_column or one.name for one in table(shop, name).columns if one.type == ColumnType.DATA
    }
    rows = shop.rows(name).select(list(names))
    return rows.rename_columns(list(names.values())).take(list(range(rows.num_rows))[::-1])


def state(shop: Shop, table_name: str, column_name: str) -> int:
    return next(one.state for one in table(shop, table_name).columns if one.name == column_name)


def test_a_refresh_that_would_compute_is_refused_with_every_expression_and_changes_nothing(genuine: Shop) -> None:
    [calculated] = columns(genuine, ColumnType.CALCULATED)
    before, version = genuine.rows("Sales"), genuine.version()
    for kind in ("full", "dataOnly", "add"):
        with pytest.raises(CalculationNotSupportedError, match="have to be computed anew") as caught:
            genuine.refresh(kind, "Sales")
        assert f"'Sales'[{calculated}]" in str(caught.value)
        assert "--keep-calculated" in str(caught.value.hint)
    assert genuine.rows("Sales").equals(before)
    assert genuine.version() == version


def test_rows_that_come_again_keep_the_values_that_an_engine_calculated(genuine: Shop) -> None:
    [calculated] = columns(genuine, ColumnType.CALCULATED)
    before = genuine.rows("Sales")
    assert before.column(calculated).null_count < before.num_rows
    result = genuine.refresh("full", "Sales", keep_calculated=True)
    assert f"'Sales'[{calculated}]" in result.kept
    assert any("may be out of date" in warning and calculated in warning for warning in result.warnings)
    assert differences(genuine.rows("Sales"), before) == 0
    assert state(genuine, "Sales", calculated) == CALCULATION_NEEDED
    genuine.check()
    with pytest.raises(CalculationNotSupportedError, match=calculated):
        genuine.refresh("calculate")
    for one in result.kept:
        with pytest.raises(CalculationNotSupportedError) as caught:
            genuine.refresh("calculate", keep_calculated=False)
        assert one in str(caught.value)


def test_a_row_that_was_not_there_is_refused_with_its_partition(genuine: Shop) -> None:
    rows = loaded(genuine, "Sales")
    path = genuine.files / "Sales.parquet"
    whole = next(place for place, field in enumerate(rows.schema) if pa.types.is_int64(field.type))
    changed = rows.set_column(whole, rows.schema.field(whole), pa.array([123456789] * rows.num_rows, pa.int64()))
    pq.write_table(pa.concat_tables([rows, changed.slice(0, 2)]), path)
    before = genuine.rows("Sales")
    with pytest.raises(CalculationNotSupportedError, match=r"2 of \d+ rows were not there before") as caught:
        genuine.refresh("full", "Sales", keep_calculated=True)
    assert "table 'Sales'" in str(caught.value)
    assert genuine.rows("Sales").equals(before)


def test_fewer_rows_and_other_spellings_keep_their_values_too(genuine: Shop) -> None:
    [calculated] = columns(genuine, ColumnType.CALCULATED, "Reviews")
    rows = loaded(genuine, "Reviews")
    spelled = [upper(one) if pa.types.is_string(one.type) else one for one in rows.columns]
    assert not pa.table(spelled, names=rows.column_names).equals(rows)
    pq.write_table(pa.table(spelled, names=rows.column_names).slice(0, 100), genuine.files / "Reviews.parquet")
    before = genuine.rows("Reviews")
    key = next(one.name for one in table(genuine, "Reviews").columns if one.type == ColumnType.DATA)
    genuine.refresh("full", "Reviews", keep_calculated=True)
    after = genuine.rows("Reviews")
    assert after.num_rows == 100
    values = set(zip(before.column(key).to_pylist(), before.column(calculated).to_pylist(), strict=True))
    assert set(zip(after.column(key).to_pylist(), after.column(calculated).to_pylist(), strict=True)) <= values
    genuine.check()


def upper(texts: pa.ChunkedArray) -> pa.Array:
    """With other letters, in ASCII: those that the collation folds."""
    return pa.array(
        [text if text is None or not text.isascii() else text.upper() for text in texts.to_pylist()], pa.string()
    )


def test_rows_that_are_alike_and_have_different_values_are_refused(genuine: Shop) -> None:
    first, *others = columns(genuine, ColumnType.DATA, "Reviews")
    [calculated] = columns(genuine, ColumnType.CALCULATED, "Reviews")
    values = genuine.rows("Reviews").column(calculated)
    keep = next(
        name for name in [first, *others] if len(genuine.rows("Reviews").column(name).unique()) < len(values.unique())
    )
    with Alteration(genuine.vault.own_folder, "shop") as alteration:
        gone = [name for name in [first, *others] if name != keep]
        for name in gone:
            alteration.change(delete_changes("Column", {"Table": "Reviews", "Column": name}, place="column"))
        alteration.commit()
    with pytest.raises(CalculationNotSupportedError, match="times rows that are alike in every loaded column"):
        genuine.refresh("full", "Reviews", keep_calculated=True)


@pytest.fixture
def calculating(tmp_path: Path) -> Iterator[Shop]:
    """A new database with calculated columns, a hierarchy over one of them, and a calculated table."""
    with shop(tmp_path) as made:
        facts = table_of("Facts", ROWS, parquet_partition("Facts", made.files / "facts.parquet", ROWS))
        facts["columns"].append(calculated_column("Double", "2 * [Key]", "int64"))
        facts["hierarchies"] = [
            {
                "name": "h",
                "levels": [{"name": name, "ordinal": n, "column": name} for n, name in enumerate(("Name", "Double"))],
            }
        ]
        made.create(facts, calculated_table("Best", "TOPN ( 1, Facts )", column("Key", "int64")))
        yield made


def test_what_never_had_values_stays_without_and_is_named(calculating: Shop) -> None:
    with pytest.raises(CalculationNotSupportedError, match=r"'Facts'\[Double\], 'Best'"):
        calculating.refresh()
    for _again in range(2):
        result = calculating.refresh("full", keep_calculated=True)
        assert result.kept == ("'Facts'[Double]", "'Best'")
        assert any("missing" in warning for warning in result.warnings)
        with calculating.vault.open("shop") as opened:
            facts = next(table for table in opened.tables if table.name == "Facts")
            assert differences(facts.to_arrow(["Key", "Name"]), ROWS) == 0
        assert state(calculating, "Facts", "Double") == CALCULATION_NEEDED
        assert calculating.cells("Hierarchy", "Name", "State") != [("h", READY)]
        assert calculating.vault.verify("shop").ok
    with pytest.raises(TabvaultError) as caught:
        calculating.rows("Facts")
    assert "Double" in str(caught.value)
