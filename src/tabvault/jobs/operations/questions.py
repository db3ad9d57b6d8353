"""
SQL for callers who may not see everything.

SQL reaches every table that it is given, so it is given those alone that the caller may see: a table or column that
object-level security hides is not there for the engine, whatever the text says. Who is bound by a row filter is
refused.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tabvault.engine.rowsets import is_rowset_query
from tabvault.errors import QueryNotSupportedError
from tabvault.jobs.query import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.jobs.access.authorization import DatabasePermissions
    from tabvault.jobs.operations.operations import Reading
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.jobs.query import Answer
    from tabvault.jobs.reading import OpenDatabase, Table


@contextmanager
def ask_in_sql(
    reading: Reading,
    text: str,
    *,
    timeout_s: float,
    sources: SourceAccess,
    on_asking: Callable[[Callable[[], None]], object] | None = None,
) -> Iterator[Answer]:
    """
    Ask a database one question in SQL, as the caller it was opened for.

    Args:
        reading: the database.
        text: the question.
        timeout_s: end the query with an error after this time.
        sources: what the sources of tables in DirectQuery mode may be asked with.
        on_asking: given what stops the question before it is begun; see :func:`tabvault.jobs.query.query`.

    Raises:
        NotAuthorizedError: he may not query it, or a row filter binds him.
        QueryNotSupportedError: it asks a rowset, or is otherwise no SQL that is answered.
        QueryError: it cannot be answered; for a hidden table or column as for one that does not exist.
        FormatError, ModelError: the database is damaged.
    """
    reading.permissions.require_query()
    if is_rowset_query(text):
        raise QueryNotSupportedError("a question to a rowset is not SQL over tables", hint="ask it as a DMV")
    shown = _shown_part(reading.database, reading.permissions)
    with query(shown, text, catalogs=(), timeout_s=timeout_s, sources=sources, on_asking=on_asking) as answer:
        yield answer


def _shown_part(database: OpenDatabase, permissions: DatabasePermissions) -> OpenDatabase:
    """The same database, with the tables and columns alone that are not hidden."""
    shown = copy.copy(database)
    tables = [table for table in database.tables if table.definition.id not in permissions.hidden_tables]
    # Without any column left a table could not even be counted: it is hidden as a whole.
    shown.tables = tuple(table for table in (_shown_columns(table, permissions) for table in tables) if table.columns)
    return shown


def _shown_columns(table: Table, permissions: DatabasePermissions) -> Table:
    columns = tuple(column for column in table.definition.columns if column.id not in permissions.hidden_columns)
    if len(columns) == len(table.definition.columns):
        return table
    return replace(table, definition=replace(table.definition, columns=columns))
