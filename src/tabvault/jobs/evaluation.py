"""The rows of a table, as DAX asks for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.engine.dax import parse_statement
from tabvault.engine.suggestion import close_names
from tabvault.errors import JobCancelledError, QueryError
from tabvault.jobs.direct_query.live_partition import is_live
from tabvault.jobs.direct_query.live_rows import LiveRows
from tabvault.jobs.direct_query.live_source import LiveSource
from tabvault.jobs.direct_query.source_questions import SourceQuestions
from tabvault.jobs.query import Answer, cached_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tabvault.engine.column_cache import CachedTable
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.jobs.reading import OpenDatabase, Table

BATCH_ROW_COUNT: Final = 1 << 16
"""Rows that are written out at a time."""


def evaluate(
    database: OpenDatabase,
    text: str,
    *,
    hidden_tables: frozenset[int] = frozenset(),
    hidden_columns: frozenset[int] = frozenset(),
    sources: SourceAccess | None = None,
    source_row_count_max: int | None = None,
    timeout_s: float | None = None,
    on_asking: Callable[[Callable[[], None]], object] | None = None,
) -> Answer:
    """
    Answer a DAX statement; the database must stay open until the last row is taken.

    The source of a table in DirectQuery mode is asked when the first batch is taken, so that ``cancel`` of the answer
    can stop it; what the source has against the question it says then, in the words of the errors below. Whoever does
    not take all rows calls ``cancel``.

    Columns are named as DAX names them, ``Table[Column]``; all but the row number are there, hidden ones included.

    Args:
        database: the opened database.
        text: EVALUATE of a table, or of its first rows.
        hidden_tables: ids of tables that do not exist for him who asks.
        hidden_columns: ids of columns likewise.
        sources: what the sources of tables in DirectQuery mode may be asked with; None where none may.
        source_row_count_max: rows that a source may give; as many as was set by default.
        timeout_s: how long a source may take, from the first batch that is wanted to the last row.
        on_asking: given what stops the question, from any thread, before anything is computed.

    Raises:
        QueryError: there is no such table, or the text is no DAX.
        QueryNotSupportedError: it asks for more than a table.
        ModelError: the metadata of the table contradict themselves, or it was never processed.
        FormatError: a file of the table is damaged.
        SourceError: a source has something against it, or there is no credential for it.
        DataFolderDamagedError: a source is to be asked, and how many rows it may give cannot be read.
        JobCancelledError: it was cancelled.
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
    if is_live(table.definition):
        questions = SourceQuestions(sources, row_count_max=source_row_count_max, timeout_s=timeout_s)
        if on_asking is not None:
            on_asking(questions.close)
        live = LiveRows(LiveSource(database.model, table.definition, sources, questions), questions, cached.read)
        return _live_answer(live, _named(table, live.schema, names), names, statement.row_count_max, questions)
    schema = _named(table, cached.schema, names)
    stopped = threading.Event()
    if on_asking is not None:
        on_asking(stopped.set)
    rows = _loaded(cached, schema, names, statement.row_count_max, stopped)
    return Answer(schema, _batches(rows, stopped), stopped.set)


def _named(table: Table, schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """The columns of these names, as DAX names them."""
    return pa.schema([schema.field(name).with_name(f"{table.name}[{name}]") for name in names])


def _live_answer(
    rows: LiveRows, schema: pa.Schema, names: Sequence[str], row_count_max: int | None, questions: SourceQuestions
) -> Answer:
    """Rows of a source."""

    def batches() -> Iterator[pa.RecordBatch]:
        with questions:
            for batch in rows.read(names, row_count_max=row_count_max):
                yield batch.rename_columns(schema.names)

    return Answer(schema, batches(), questions.close)


def _loaded(
    table: CachedTable, schema: pa.Schema, names: Sequence[str], row_count_max: int | None, stopped: threading.Event
) -> pa.Table:
    """Loaded rows. A column is decoded as a whole: others may be waiting for it too."""
    columns = []
    for name in names:
        _check(stopped)
        columns.append(table.read([name], row_count_max=row_count_max).column(0))
    return pa.table(columns, schema=schema)


def _batches(rows: pa.Table, stopped: threading.Event) -> Iterator[pa.RecordBatch]:
    for batch in rows.to_batches(max_chunksize=BATCH_ROW_COUNT):
        _check(stopped)
        yield batch


def _check(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise JobCancelledError("the query was cancelled")
