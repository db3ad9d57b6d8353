"""
One question to one database: SQL over its tables, or a DMV over its metadata.

Which of the two it is, the text says: ``SELECT … FROM $SYSTEM.<rowset>`` is a DMV. Tables in DirectQuery mode are asked
for in their sources (:mod:`tabvault.jobs.direct_query`).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final, NoReturn

import pyarrow as pa

from tabvault.engine import scan
from tabvault.engine.column_cache import CachedTable, ColumnCache
from tabvault.engine.rowsets import RowsetSource, is_rowset_query, query_rowset
from tabvault.engine.sql import query_sql
from tabvault.errors import ModelError
from tabvault.jobs.direct_query.answering import live_query
from tabvault.jobs.direct_query.live_partition import is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tabvault.engine.rowsets import CatalogEntry
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.jobs.reading import OpenDatabase, Table

CACHE_BYTE_COUNT_MAX: Final = 1 << 30
"""Decoded columns that a process keeps between queries."""

_CACHE: Final = ColumnCache(byte_count_max=CACHE_BYTE_COUNT_MAX)


class Answer:
    """
    The rows of an answer.

    Attributes:
        schema: names and types of the columns.
        batches: the rows as the engine makes them; to be taken once.
        cancel: stops what computes the rows, DuckDB or a source, from any thread; then whoever takes rows gets a
            JobCancelledError. What is left when nobody wants more rows is let go of by it too.
    """

    def __init__(
        self, schema: pa.Schema, batches: Iterator[pa.RecordBatch], cancel: Callable[[], None] = lambda: None
    ) -> None:
        self.schema = schema
        self.batches = batches
        self.cancel = cancel


@contextlib.contextmanager
def query(
    database: OpenDatabase,
    text: str,
    *,
    catalogs: Sequence[CatalogEntry],
    timeout_s: float | None = None,
    sources: SourceAccess | None = None,
    source_row_count_max: int | None = None,
    on_asking: Callable[[Callable[[], None]], object] | None = None,
) -> Iterator[Answer]:
    """
    Ask *text*.

    Args:
        database: the opened database or backup.
        text: one SELECT.
        catalogs: all databases of the server, for the rowsets that list them.
        timeout_s: end the query with an error after this time.
        sources: what the sources of tables in DirectQuery mode may be asked with; None where none may.
        source_row_count_max: rows that a source may give for one question; as many as was set by default.
        on_asking: given what stops the question, from any thread, before anything is computed: the first row may be
            long in coming, and the answer with its ``cancel`` is there only then.

    Raises:
        QueryError: it cannot be answered; line and column where they are known.
        UnknownRowsetError: no such DMV.
        FormatError: a file of a column it touches is damaged.
        ModelError: the metadata of a table it names contradict themselves.
        SourceError: a source has something against it, or there is no credential for it.
        DataFolderDamagedError: a source is to be asked, and how many rows it may give cannot be read.
        JobCancelledError: it was cancelled.
    """
    if is_rowset_query(text):
        source = RowsetSource(database.entry, catalogs, database.metadata, database.model, database.files)
        table = query_rowset(text, source)
        yield Answer(table.schema, iter(table.to_batches()))
        return
    tables = {table.name: cached_table(database, table) for table in database.tables}
    names = [table.name for table in database.tables]
    tables |= {name: _nameless(name) for name in tables if names.count(name) > 1}
    live = {
        table.name: table.definition
        for table in database.tables
        if is_live(table.definition) and names.count(table.name) == 1
    }
    if live:
        with live_query(
            text,
            tables,
            live,
            model=database.model,
            access=sources,
            row_count_max=source_row_count_max,
            timeout_s=timeout_s,
            on_asking=on_asking,
        ) as answer:
            yield Answer(answer.schema, answer.batches, answer.cancel)
        return
    stopped = threading.Event()
    if on_asking is not None:
        on_asking(stopped.set)
    with query_sql(text, tables, timeout_s=timeout_s, stopped=stopped) as result:
        yield Answer(result.schema, iter(result), stopped.set)


def _nameless(name: str) -> CachedTable:
    """In place of tables that one name does not tell apart: an error for the statement that uses it."""

    def fail(*_columns: str) -> NoReturn:
        raise ModelError(f"there is more than one table {name!r}")

    return CachedTable(fail, fail, cache=_CACHE, key=object())


def cached_table(database: OpenDatabase, table: Table) -> CachedTable:
    """A table whose decoded columns are kept between queries, of all who ask."""
    columns = {column.name: column for column in table.definition.columns}
    return CachedTable(
        lambda: _schema(table),
        lambda name: scan.read_column(database.files, table.definition, columns[name]),
        cache=_CACHE,
        key=(database.key, table.definition.id),
    )


def _schema(table: Table) -> pa.Schema:
    """The table's columns. Those that cannot be read come last: to count rows, DuckDB asks for the first column."""
    unreadable = {column.name for column in table.definition.columns if scan.type_problem(column) is not None}
    return pa.schema(sorted(table.schema, key=lambda field: field.name in unreadable))
