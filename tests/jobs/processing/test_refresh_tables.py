"""Tables that are not like others: ranges of a policy, calculation groups, wide, hidden, live, without data types."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refresh_models import WAREHOUSE, column, m_partition, query_partition, table
from refreshes import all_types, differences, parquet_partition, shop, table_of

from tabvault.errors import DuplicateKeyError, ExpressionNotSupportedError, ModelError, ProcessingError, TabvaultError
from tabvault.jobs.processing.source_listing import list_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refreshes import Shop

ROWS = all_types(60)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path) as one:
        yield one


DAYS = pa.table(
    {
        "Day": pa.array([datetime.datetime(2024, 1, 1) + datetime.timedelta(days=n) for n in range(731)],  # noqa: DTZ001
                        pa.timestamp("us")),
        "Number": pa.array(range(731), pa.int64()),
    }
)  # fmt: skip


def policy_table(path: Path, condition: str) -> dict[str, Any]:
    """A table with a partition for each of two years, as a refresh policy makes them."""
    ranges = [
        {
            "name": str(year),
            "mode": "import",
            "source": {
                "type": "policyRange",
                "start": f"{year}-01-01T00:00:00",
                "end": f"{year + 1}-01-01T00:00:00",
                "granularity": "year",
            },
        }
        for year in (2024, 2025)
    ]
    expression = f'let S = Parquet.Document(File.Contents("{path}")), F = Table.SelectRows(S, each {condition}) in F'
    policy = {
        "policyType": "basic",
        "rollingWindowGranularity": "year",
        "rollingWindowPeriods": 2,
        "incrementalGranularity": "year",
        "incrementalPeriods": 1,
        "sourceExpression": expression,
    }
    return table_of("Days", DAYS, *ranges, refreshPolicy=policy)


PARAMETERS = [
    {
        "name": name,
        "kind": "m",
        "expression": f'#datetime({year}, 1, 1, 0, 0, 0) meta [IsParameterQuery=true, Type="DateTime"]',
    }
    for name, year in (("RangeStart", 1999), ("RangeEnd", 2000))
]


def test_each_range_of_a_policy_holds_the_rows_of_its_own_time(made: Shop) -> None:
    path = made.files / "days.parquet"
    pq.write_table(DAYS, path)
    made.create(policy_table(path, "[Day] >= RangeStart and [Day] < RangeEnd"), expressions=PARAMETERS)
    result = made.refresh()
    assert {one.partition: one.row_count for one in result.partitions} == {"2024": 366, "2025": 365}
    assert differences(made.rows("Days"), DAYS) == 0
    made.check()


@pytest.mark.parametrize(
    ("condition", "missing"),
    [("[Day] >= RangeStart", "RangeEnd"), ("[Number] > 3", "RangeEnd and RangeStart")],
)
def test_a_policy_whose_expression_takes_no_range_is_refused(made: Shop, condition: str, missing: str) -> None:
    path = made.files / "days.parquet"
    pq.write_table(DAYS, path)
    made.create(policy_table(path, condition), expressions=PARAMETERS)
    with pytest.raises(ExpressionNotSupportedError, match=f"table 'Days', partition '2024': .* does not use {missing}"):
        made.refresh(parallelism=1)
    assert made.rows("Days").num_rows == 0


def test_a_calculation_group_has_the_rows_of_its_items(made: Shop) -> None:
    items = [("Now", "SELECTEDMEASURE()", 0), ('The "year"\n#(x)', "CALCULATE(SELECTEDMEASURE(), TRUE())", 1)]
    group = {
        "name": "Time",
        "calculationGroup": {
            "precedence": 1,
            "calculationItems": [{"name": name, "expression": dax, "ordinal": n} for name, dax, n in items],
        },
        "columns": [
            {"name": "Show as", "dataType": "string", "sourceColumn": "Name", "sortByColumn": "Ordinal"},
            {"name": "Ordinal", "dataType": "int64", "sourceColumn": "Ordinal", "isHidden": True},
        ],
        "partitions": [{"name": "p", "source": {"type": "calculationGroup"}}],
    }
    made.create(group, table_of("T", ROWS, parquet_partition("p", made.files / "p", ROWS)))
    made.refresh()
    assert made.rows("Time").to_pylist() == [{"Show as": name, "Ordinal": n} for name, _, n in items]
    made.check()
    with made.vault.open("shop") as opened:
        listed = list_sources(opened.model, made.access(made.vault.folder.find("shop")))
    assert [one.tables for one in listed] == [("T",)]


def test_forty_partitions_are_read_in_the_order_of_the_model(made: Shop) -> None:
    parts = [all_types(3, first=part * 3).select(["Key", "Text", "Real"]) for part in range(40)]
    partitions = [parquet_partition(f"p{n:02}", made.files / f"p{n}", part) for n, part in enumerate(parts)]
    made.create(table_of("Long", parts[0], *partitions))
    result = made.refresh("full", parallelism=8)
    assert [one.partition for one in result.partitions] == [f"p{n:02}" for n in range(40)]
    assert made.rows("Long").column("Key").to_pylist() == list(range(120))
    assert differences(made.rows("Long"), pa.concat_tables(parts)) == 0
    assert made.vault.verify("shop").ok


@pytest.mark.slow
def test_three_hundred_columns_are_read(made: Shop) -> None:
    wide = pa.table({f"c{n:03}": pa.array([n, None, n * n], pa.int64()) for n in range(300)})
    made.create(table_of("Wide", wide, parquet_partition("p", made.files / "p", wide)))
    made.refresh()
    assert differences(made.rows("Wide"), wide) == 0
    assert made.vault.verify("shop").ok


def test_hidden_and_private_tables_are_refreshed_like_others(made: Shop) -> None:
    made.create(
        table_of("Hidden", ROWS, parquet_partition("p", made.files / "p", ROWS), isHidden=True),
        table_of("Private", ROWS, parquet_partition("p", made.files / "p"), isPrivate=True),
    )
    assert made.refresh().row_count == 120
    made.check()


def test_a_table_that_is_asked_live_is_passed_over(made: Shop) -> None:
    live = table("Live", column("Key", "int64"), partitions=[{**query_partition("p"), "mode": "directQuery"}])
    made.create(live, table_of("T", ROWS, parquet_partition("p", made.files / "p", ROWS)), dataSources=[WAREHOUSE])
    for kind in ("full", "automatic", "calculate", "defragment", "dataOnly", "clearValues"):
        result = made.refresh(kind)
        assert "Live" not in {one.table for one in result.partitions}
        assert made.vault.verify("shop").ok
    assert made.refresh("full", "Live").partitions == ()


def test_a_column_without_a_data_type_is_refused_by_name(made: Shop) -> None:
    untyped = table(
        "T", {"name": "Any", "sourceColumn": "Any"}, partitions=[m_partition("p", '#table({"Any"}, {{1}})')]
    )
    made.create(untyped)
    with pytest.raises(ModelError, match="column 'Any' of table 'T' has no data type"):
        made.refresh()


def test_a_key_that_is_there_twice_or_blank_is_refused_and_the_old_rows_stay(made: Shop) -> None:
    keys = pa.table({"Key": pa.array([1, 2, 3], pa.int64())})
    facts = pa.table({"Key": pa.array([1, 1, None, 7], pa.int64())})
    path = made.files / "keys"
    made.create(
        table_of("Keys", keys, parquet_partition("p", path, keys)),
        table_of("Facts", facts, parquet_partition("p", made.files / "facts", facts)),
        relationships=[{"name": "r", "fromTable": "Facts", "fromColumn": "Key", "toTable": "Keys", "toColumn": "Key"}],
    )
    made.refresh()
    made.check()
    for wrong, words in (([1, 2, 2], "Key.*2"), ([1, None, 3], "Key.*BLANK")):
        pq.write_table(pa.table({"Key": pa.array(wrong, pa.int64())}), path)
        with pytest.raises(DuplicateKeyError, match=words):
            made.refresh()
        assert made.rows("Keys").to_pylist() == keys.to_pylist()
        assert made.staging() == []


def test_the_key_of_a_table_has_each_value_once_and_no_blank(made: Shop) -> None:
    keys = pa.table({"Key": pa.array(["a", "b", "c"])})
    path = made.files / "keys"
    made.create(table_of("Keys", keys, parquet_partition("p", path, keys), details={"Key": {"isKey": True}}))
    made.refresh()
    cases = [
        (["a", "b", "B", "b", "a"], r"a stands in 2 rows; 1 more value|b stands in 3 rows; 1 more value"),
        (["a", None], r"is BLANK in some row"),
    ]
    for wrong, words in cases:
        pq.write_table(pa.table({"Key": pa.array(wrong)}), path)
        with pytest.raises(DuplicateKeyError, match=words) as caught:
            made.refresh()
        assert "'Keys'[Key]" in str(caught.value)
    assert made.rows("Keys").num_rows == 3


def test_many_to_many_and_one_to_one_relationships_are_made_as_far_as_they_have_an_index(made: Shop) -> None:
    keys = pa.table({"Key": pa.array([1, 2, 3], pa.int64())})
    twice = pa.table({"Key": pa.array([1, 1, 2], pa.int64())})
    ends = {"fromColumn": "Key", "toColumn": "Key"}
    made.create(
        table_of("A", keys, parquet_partition("p", made.files / "a", keys)),
        table_of("B", keys, parquet_partition("p", made.files / "b", keys)),
        table_of("C", twice, parquet_partition("p", made.files / "c", twice)),
        relationships=[
            {
                "name": "one",
                "fromTable": "A",
                "toTable": "B",
                **ends,
                "fromCardinality": "one",
                "crossFilteringBehavior": "bothDirections",
            },
            {"name": "many", "fromTable": "A", "toTable": "C", **ends, "toCardinality": "many"},
        ],
    )
    made.refresh()
    made.check()
    assert dict(made.cells("Relationship", "Name", "State"))["one"] == 1
    made.refresh("full", "C")
    made.check()


def test_a_column_cannot_be_sorted_by_one_that_contradicts_it(made: Shop) -> None:
    rows = pa.table({"Month": ["May", "May"], "Number": pa.array([5, 6], pa.int64())})
    made.create(
        table_of(
            "T", rows, parquet_partition("p", made.files / "p", rows), details={"Month": {"sortByColumn": "Number"}}
        )
    )
    with pytest.raises(ProcessingError, match=r"'T'\[Month\]"):
        made.refresh()


def test_spellings_that_the_collation_holds_equal_are_counted(made: Shop) -> None:
    rows = pa.table({"Town": ["Kiel", "KIEL", "kiel", "Köln"]})
    made.create(table_of("T", rows, parquet_partition("p", made.files / "p", rows)))
    result = made.refresh()
    assert [(one.table, one.column, one.spelling_count) for one in result.folded] == [("T", "Town", 2)]
    assert sorted(set(made.rows("T").column("Town").to_pylist())) == ["Kiel", "Köln"]


def test_digits_that_are_rounded_away_are_told(made: Shop) -> None:
    given = pa.table({"Money": pa.array([1.00005, 2.0], pa.float64())})
    wanted = pa.table({"Money": pa.array([], pa.decimal128(19, 4))})
    made.create(table_of("T", wanted, parquet_partition("p", made.files / "p", given)))
    assert any("1 values of column 'Money'" in warning for warning in made.refresh().warnings)


def test_every_error_of_a_refresh_is_one_of_ours(made: Shop) -> None:
    """Whatever stands where M or SQL is expected."""
    for text in ("", "let", "1", "null", '"' * 9, "let a = a in a", "#table({}, {})", "each _", "[]", "{1,2}", "\0"):
        with shop(made.files.parent / f"s{abs(hash(text))}") as one:
            one.create(table("T", column("Key", "int64"), partitions=[m_partition("p", text)]))
            with pytest.raises(TabvaultError):
                one.refresh()
