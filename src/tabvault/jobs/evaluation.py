"""The rows of a table, as DAX asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.engine.dax import parse_statement
from tabvault.engine.suggestion import close_names
from tabvault.errors import QueryError
from tabvault.jobs.query import Answer, cached_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.jobs.reading import OpenDatabase

BATCH_ROW_COUNT: Final = 1 << 16
"""Rows that are written out at a time."""


def evaluate(
    database: OpenDatabase,
    text: str,
    *,
    hidden_tables: frozenset[int] = frozenset(),
    hidden_columns: frozenset[int] = frozenset(),
) -> Answer:
    """
    Answer a DAX statement; the database must stay open until the last row is taken.

    Columns are named as DAX names them, ``Table[Column]``; all but the row number are there, hidden ones included.

    Args:
        database: the opened database.
        text: EVALUATE of a table, or of its first rows.
        hidden_tables: ids of tables that do not exist for him who asks.
        hidden_columns: ids of columns likewise.

    Raises:
        QueryError: there is no such table, or the text is no DAX.
        QueryNotSupportedError: it asks for more than a table.
        ModelError: the metadata of the table contradict themselves, or it was never processed.
        FormatError: a file of the table is damaged.
    """
    statement = parse_statement(text)
    tables = [table for table in database.tables if table.definition.id not in hidden_tables]
    found = [table for table in tables if table.name.lower() == statement.table.lower()]
    exact = [table for table in found if table.name == statement.table]
    if len(exact or found) != 1:
        raise QueryError(
            f"Query ({statement.line}, {statement.column}) Cannot find table '{statement.table}'",
            line=statement.line,
            column=statement.column,
            hint=close_names(statement.table, [table.name for table in tables]),
        )
    table = (exact or found)[0]
    columns = [
        column for column in table.definition.columns if not column.is_row_number and column.id not in hidden_columns
    ]
    cached = cached_table(database, table)
    names = [column.name for column in columns]
    schema = pa.schema([cached.schema.field(name).with_name(f"{table.name}[{name}]") for name in names])
    rows = cached.read(names, row_count_max=statement.row_count_max)
    return Answer(schema, _batches(rows.rename_columns(schema.names)))


def _batches(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from rows.to_batches(max_chunksize=BATCH_ROW_COUNT)
