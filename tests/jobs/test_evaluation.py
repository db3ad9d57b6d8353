"""DAX over genuine tables: every row and column of ``EVALUATE``, as our own reader and SQL find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from vaults import vault_with

from tabvault.errors import JobCancelledError, QueryError, QueryNotSupportedError
from tabvault.jobs.evaluation import BATCH_ROW_COUNT, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.jobs.reading import OpenDatabase


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenDatabase]:
    with vault_with(tmp_path, "microsoft__Corporate_Spend.pbix") as vault, vault.open("shop") as database:
        yield database


def answered(database: OpenDatabase, text: str, **hidden: frozenset[int]) -> pa.Table:
    answer = evaluate(database, text, **hidden)
    return pa.Table.from_batches(answer.batches, answer.schema)


def test_a_table_comes_whole_with_the_names_that_dax_gives_its_columns(opened: OpenDatabase) -> None:
    for table in opened.tables:
        rows = answered(opened, f"EVALUATE '{table.name}'")
        expected = table.to_arrow()
        assert rows.column_names == [f"{table.name}[{name}]" for name in expected.column_names]
        assert rows.rename_columns(expected.column_names).equals(expected)
    assert sum(table.row_count for table in opened.tables) > 100_000


def test_the_first_rows_are_as_many_as_asked_for(opened: OpenDatabase) -> None:
    table = max(opened.tables, key=lambda one: one.row_count)
    assert table.row_count > BATCH_ROW_COUNT
    whole = table.to_arrow()
    for count in (0, 1, BATCH_ROW_COUNT + 1, table.row_count + 10):
        rows = answered(opened, f"EVALUATE TOPN({count}, '{table.name}')")
        assert rows.rename_columns(whole.column_names).equals(whole.slice(0, count))


def test_case_does_not_matter_and_a_wrong_name_gets_a_hint(opened: OpenDatabase) -> None:
    name = opened.tables[0].name
    assert answered(opened, f"EVALUATE '{name.upper()}'").num_rows == opened.tables[0].row_count
    with pytest.raises(QueryError, match=r"Query \(1, 10\) Cannot find table") as error:
        answered(opened, f"EVALUATE '{name}x'")
    assert name in (error.value.hint or "")
    with pytest.raises(QueryNotSupportedError):
        answered(opened, 'EVALUATE ROW("x", 1)')


def test_who_wants_no_more_rows_stops_it_before_a_column_is_decoded_and_between_batches(opened: OpenDatabase) -> None:
    table = max(opened.tables, key=lambda one: one.row_count)
    with pytest.raises(JobCancelledError):
        evaluate(opened, f"EVALUATE '{table.name}'", on_asking=lambda stop: stop())
    answer = evaluate(opened, f"EVALUATE '{table.name}'")
    next(answer.batches)
    answer.cancel()
    with pytest.raises(JobCancelledError):
        next(answer.batches)


def test_what_is_hidden_is_not_there(opened: OpenDatabase) -> None:
    table = opened.tables[0]
    column = next(column for column in table.definition.columns if not column.is_row_number)
    rows = answered(opened, f"EVALUATE '{table.name}'", hidden_columns=frozenset({column.id}))
    assert f"{table.name}[{column.name}]" not in rows.column_names
    assert rows.num_rows == table.row_count
    with pytest.raises(QueryError, match="Cannot find table"):
        answered(opened, f"EVALUATE '{table.name}'", hidden_tables=frozenset({table.definition.id}))
