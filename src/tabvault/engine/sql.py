"""
SQL over the tables of a database, answered by DuckDB in this process, one fresh in-memory instance per query.

What a query can and cannot do:

1. It is one statement that reads (:mod:`tabvault.engine.statement`).
2. It sees the tables it is given, under their true names, and nothing else: no file, no network, no extension, no
   environment, no variable of this process, no temporary file. The settings that say so are locked before the text
   is seen.
3. Only the columns it touches are decoded; ``count(*)`` decodes one.
4. The memory of its operators is bounded by ``memory_byte_count_max``; decoded columns are not counted. Its time is
   bounded by ``timeout_s``, from start to last batch. Both bounds hold between the steps of a plan: planning, one
   call of a function on one value and the decoding of one column run to their end. So the text of a query has to
   come from someone who may use this machine; the file behind the tables need not be trusted.
5. Table names are compared as written, then without regard to the case of the letters A-Z. Of two names that differ
   by case alone each can be queried by its exact name, but not both in one statement. A column whose name differs
   by case alone from one before it gets a suffix (``Amount``, ``AMOUNT_1``).
6. A table whose metadata give it no schema is an error for the statement that names it, and for no other; what lists
   tables leaves it out.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb
import pyarrow as pa

from tabvault.engine.interruptible import interruptible
from tabvault.engine.lazy_dataset import LazyDataset
from tabvault.engine.statement import check, folded, place
from tabvault.engine.suggestion import close_names
from tabvault.errors import JobCancelledError, ModelError, QueryError, QueryNotSupportedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from tabvault.engine.lazy_dataset import LazyTable
    from tabvault.engine.statement import Statement

MEMORY_BYTE_COUNT_MAX: Final = 1 << 30
"""Memory of one query's operators unless the caller says otherwise."""

BATCH_ROW_COUNT: Final = 1 << 16
"""Rows of a result batch at most."""

_LOCKED: Final = (
    "temp_directory = ''",  # first: it cannot be changed once there is no access
    "enable_external_access = false",
    "disabled_filesystems = 'LocalFileSystem'",
    "python_enable_replacements = false",
    "autoload_known_extensions = false",
    "autoinstall_known_extensions = false",
    "allow_community_extensions = false",
    "allow_persistent_secrets = false",
    "errors_as_json = true",
    "lock_configuration = true",  # last
)


class QueryResult:
    """
    The rows of an answer, batch by batch as the engine makes them. Use it as a context manager, from one thread.

    Attributes:
        schema: names and types of the columns; a name may be there more than once.
    """

    def __init__(
        self,
        reader: pa.RecordBatchReader,
        connection: duckdb.DuckDBPyConnection,
        errors: _EngineErrors,
        on_stop: Callable[[], None] | None,
    ) -> None:
        self.schema: pa.Schema = reader.schema
        self._on_stop = on_stop
        self._reader: pa.RecordBatchReader | None = reader
        self._connection = connection
        self._errors = errors

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """
        The batches that were not yet read.

        Raises:
            QueryError: a value cannot be computed, or a bound is reached.
            FormatError: the files of a column are damaged.
            JobCancelledError: it was stopped.
        """
        while self._reader is not None:
            self._errors.check()
            with self._errors.translated():
                batch = interruptible(
                    self._connection,
                    partial(next, self._reader, None),
                    stopped=self._errors.stopped,
                    on_stop=self._on_stop,
                )
            if batch is None:
                self.close()
                return
            yield batch

    def read_all(self) -> pa.Table:
        """All rows not yet read, in one table. Raises what iteration raises."""
        return pa.Table.from_batches(list(self), schema=self.schema)

    def close(self) -> None:
        """Stop the query and let go of its tables."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def query_sql(
    text: str,
    tables: Mapping[str, LazyTable],
    *,
    memory_byte_count_max: int = MEMORY_BYTE_COUNT_MAX,
    timeout_s: float | None = None,
    stopped: threading.Event | None = None,
    on_stop: Callable[[], None] | None = None,
) -> QueryResult:
    """
    Start the query *text* over *tables*, by name.

    Args:
        text: one statement that reads.
        tables: all that it may name.
        memory_byte_count_max: of its operators.
        timeout_s: from now to the last batch.
        stopped: stops the query when it is set, by any thread; whoever waits for it gets a JobCancelledError.
        on_stop: stops tables whose rows come from elsewhere, when whoever waits for the query is interrupted.

    Raises:
        QueryError: it does not parse, names what is not there, fails, or reaches a bound.
        QueryNotSupportedError: it is not one statement that only reads its tables.
        FormatError: the files of a column are damaged.
        ModelError: a table it names has two columns of one name, or a column without a type.
        JobCancelledError: it was stopped.
    """
    errors = _EngineErrors(text, memory_byte_count_max=memory_byte_count_max, timeout_s=timeout_s, stopped=stopped)
    errors.check()
    connection = duckdb.connect()
    try:
        _lock(connection, memory_byte_count_max=memory_byte_count_max, timeout_s=timeout_s)
        with errors.translated():
            statement = check(text, connection)
            for name, is_named in _tables_used(statement, tables).items():
                try:
                    dataset = LazyDataset(tables[name], name=name, on_failure=errors.failures.append)
                except ModelError:
                    if is_named:
                        raise
                else:
                    connection.register(name, dataset)
            reader = interruptible(connection, partial(_start, connection, text), stopped=stopped, on_stop=on_stop)
    except BaseException:
        connection.close()
        raise
    return QueryResult(reader, connection, errors, on_stop)


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """
    A query that may be run, before it is.

    Attributes:
        tables: the true names of the tables that it reads, or merely lists.
        tree: the SELECT as DuckDB's own syntax tree; None for EXPLAIN, which is about DuckDB's plan.
    """

    tables: frozenset[str]
    tree: Mapping[str, Any] | None


def parse_query(text: str, names: Iterable[str]) -> ParsedQuery:
    """
    Read the query *text* over the tables *names*, as :func:`query_sql` will.

    Raises:
        QueryError, QueryNotSupportedError: as :func:`query_sql`.
    """
    errors = _EngineErrors(text, memory_byte_count_max=MEMORY_BYTE_COUNT_MAX, timeout_s=None)
    connection = duckdb.connect()
    try:
        _lock(connection, memory_byte_count_max=MEMORY_BYTE_COUNT_MAX, timeout_s=None)
        with errors.translated():
            statement = check(text, connection)
        used = _tables_used(statement, dict.fromkeys(names))
    finally:
        connection.close()
    return ParsedQuery(frozenset(used), statement.tree)


def _lock(connection: duckdb.DuckDBPyConnection, *, memory_byte_count_max: int, timeout_s: float | None) -> None:
    connection.execute(f"SET memory_limit = '{memory_byte_count_max}B'")
    if timeout_s is not None:
        connection.execute(f"SET max_execution_time = {max(1, round(timeout_s * 1000))}")
    for setting in _LOCKED:
        connection.execute(f"SET {setting}")


def _start(connection: duckdb.DuckDBPyConnection, text: str) -> pa.RecordBatchReader:
    try:
        # Unlike execute(), sql() makes the rows while they are read; but its binder errors do not know their place.
        return connection.sql(text).to_arrow_reader(BATCH_ROW_COUNT)
    except (duckdb.BinderException, duckdb.CatalogException):
        connection.execute(text)  # fails while it binds, as above, and says where
        raise


def _tables_used(statement: Statement, tables: Mapping[str, object]) -> dict[str, bool]:
    """The true names of the tables that the statement reads, and whether it names them or merely lists them."""
    by_lower: dict[str, list[str]] = {}
    for name in tables:
        by_lower.setdefault(folded(name), []).append(name)
    used = dict.fromkeys(tables, False) if statement.lists_tables else {}
    for name, offset in statement.table_names.items():
        candidates = [name] if name in tables else by_lower.get(folded(name), [])
        line, column = statement.place(offset)
        if len(candidates) > 1:
            raise QueryError(f"table name {name} fits {_listed(candidates)}", line=line, column=column)
        if not candidates:
            hint = close_names(name, tables) or "SHOW TABLES lists the tables"
            raise QueryError(f"there is no table {name!r} in this database", line=line, column=column, hint=hint)
        used.update(dict.fromkeys(candidates, True))
    for name in used:
        twins = [other for other in by_lower[folded(name)] if other in used]
        if len(twins) > 1:
            raise QueryNotSupportedError(
                f"tables {_listed(twins)} differ by case alone", hint="query one of them by its exact name"
            )
    return used


def _listed(names: list[str]) -> str:
    return " and ".join(repr(name) for name in names)


class _EngineErrors:
    """
    Turns DuckDB's errors into ours, for one query.

    *failures* are the errors of reading its tables; *stopped* is set when it shall end.
    """

    def __init__(
        self,
        text: str,
        *,
        memory_byte_count_max: int,
        timeout_s: float | None,
        stopped: threading.Event | None = None,
    ) -> None:
        self.failures: list[Exception] = []
        self.stopped = stopped
        self._text = text
        self._memory_byte_count_max = memory_byte_count_max
        self._timeout_s = timeout_s
        self._begun = time.monotonic()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """
        Raise what happened while a table was read as it was, and DuckDB's errors as a QueryError.

        An error that arises while rows are read comes through pyarrow, as OSError or one of its own.
        """
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if self.failures:
                raise self.failures[0] from None
            raise self._query_error(error) from error

    def check(self) -> None:
        """Whether it may go on. DuckDB measures one step at a time; the time of all of them is measured here."""
        if self._is_stopped:
            raise _cancelled()
        if self._timeout_s is not None and time.monotonic() - self._begun > self._timeout_s:
            raise self._took_too_long()

    @property
    def _is_stopped(self) -> bool:
        return self.stopped is not None and self.stopped.is_set()

    def _took_too_long(self) -> QueryError:
        return QueryError(f"query took longer than {self._timeout_s} s")

    def _query_error(self, error: Exception) -> QueryError | JobCancelledError:
        details = _details(str(error))
        kind = details.get("exception_type")
        if kind == "INTERRUPT":
            return _cancelled() if self._is_stopped else self._took_too_long()
        if kind == "Out of Memory":
            return QueryError(
                f"query needs more than {self._memory_byte_count_max} bytes of memory",
                hint="ask for fewer rows, or for fewer distinct values in GROUP BY, DISTINCT and ORDER BY",
            )
        message, *rest = str(details["exception_message"]).splitlines() or [""]
        hint = " ".join(line.strip() for line in rest if line.strip() and "SET " not in line)
        position = details.get("position")
        line, column = place(self._text, int(position) if position is not None else None)
        return QueryError(_our_style(message), line=line, column=column, hint=hint or None)


def _cancelled() -> JobCancelledError:
    return JobCancelledError("the query was cancelled")


def _details(text: str) -> dict[str, Any]:
    """What DuckDB says of an error: ``<kind> Error: {json}``, or a plain text where it has no place to name."""
    kind, _, rest = text.partition(" Error: ")
    if not rest:
        return {"exception_message": text}
    if rest.startswith("{"):
        try:
            details = json.loads(rest)
        except ValueError:
            details = None
        if isinstance(details, dict) and "exception_message" in details:
            return details
    return {"exception_type": kind, "exception_message": rest}


def _our_style(message: str) -> str:
    """Lower case at the start, unless the word is all capitals; no mark at the end."""
    message = message.rstrip(".!: ")
    if message[:1].isupper() and not message[1:2].isupper():
        message = message[0].lower() + message[1:]
    return message or "query failed"
