"""
What one query asks sources, from its first question to its last row.

1. Every reading is known here until it is over: :meth:`SourceQuestions.cancel`, the end of the time and the end of the
   `with` stop them all. That goes for the question for columns too: PostgreSQL does not answer it while somebody else
   has locked the table.
2. No more than ``row_count_max`` rows come of one question: what a query cannot leave to the source is done here, in
   memory, and the source is shared by others. One row more is asked for, so that it shows.
3. Errors of a source say of which table; the data source, or its address, is in them already.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa

from tabvault.errors import JobCancelledError, QueryError, SourceError
from tabvault.sources.source import source_columns
from tabvault.storage.server_state.source_limits import ROW_COUNT_DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.sources.reading import SourceRows
    from tabvault.sources.source import LocalQuery, Source, SourceColumn

BATCH_ROW_COUNT: Final = 1 << 16

_HINT: Final = (
    "filter or aggregate in a way that its source can do (documentation: DirectQuery), have the table imported, or let "
    "an administrator raise the limit: tabvault datasource row-limit N"
)


class SourceQuestions:
    """
    The questions of one query. Use it as a context manager; threads may share it.

    Args:
        access: what the sources may be asked with, and how many rows they may give; None where none may be asked.
        row_count_max: rows of one question at most; as many as was set by default.
        timeout_s: from entering to the last row.
    """

    def __init__(
        self, access: SourceAccess | None = None, *, row_count_max: int | None = None, timeout_s: float | None = None
    ) -> None:
        self._access = access
        self._row_count_max = row_count_max
        self._timeout_s = timeout_s
        self._timer = threading.Timer(timeout_s, self._end_of_time) if timeout_s is not None else None
        self._lock = threading.Lock()
        self._readings: set[SourceRows] = set()
        self._is_late = False
        self._is_over = False
        self.stopped = threading.Event()
        """Set when nobody wants the rows any more: then DuckDB shall stop as well."""

    @cached_property
    def row_count_max(self) -> int:
        """
        Rows of one question at most; what was set is looked up for the first question to a source.

        Raises:
            DataFolderDamagedError: what was set cannot be read.
        """
        if self._row_count_max is not None:
            return self._row_count_max
        return ROW_COUNT_DEFAULT if self._access is None else self._access.row_count_max

    def __enter__(self) -> Self:
        """Begin to count the time. Entered once more, it goes on."""
        if self._timer is not None and self._timer.ident is None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop whatever is still read. Twice is allowed."""
        if self._timer is not None:
            self._timer.cancel()
        self.cancel()

    def cancel(self) -> None:
        """Stop all readings, from any thread: whoever takes rows hears of it."""
        self.stopped.set()
        self._stop_readings()

    def _stop_readings(self) -> None:
        with self._lock:
            self._is_over = True
            readings = list(self._readings)
        for reading in readings:
            reading.cancel()

    @contextmanager
    def asked(self, table: str) -> Iterator[None]:
        """Whatever a source is asked on behalf of *table*: errors say so."""
        try:
            yield
        except SourceError as error:
            place = f"table {table!r} in DirectQuery mode: "
            if not error.message.startswith(place):
                error.message = f"{place}{error.message}"
                error.args = (error.message,)
            raise
        except JobCancelledError:
            if self._is_late:
                raise QueryError(f"query took longer than {self._timeout_s} s") from None
            raise

    def columns(self, source: Source, query: str) -> tuple[SourceColumn, ...]:
        """
        What the columns of *query* are.

        Raises:
            SourceError: what the source has against it.
            JobCancelledError: it was cancelled.
        """
        described = source.description(query)
        with self._known(described), described:
            return source_columns(described.schema)

    @contextmanager
    def rows(self, source: Source, query: str, local: LocalQuery | None, *, table: str) -> Iterator[SourceRows]:
        """
        The rows of *query*, after what is done with them here.

        Raises:
            SourceError: what the source has against it.
            JobCancelledError: it was cancelled.
            QueryError: the time is over.
        """
        reading = source.read(query, local=local, batch_row_count=BATCH_ROW_COUNT)
        with self.asked(table), self._known(reading), reading as given:
            yield given

    def limited(self, batches: Iterator[pa.RecordBatch], *, table: str) -> Iterator[pa.RecordBatch]:
        """
        The same batches.

        Raises:
            QueryError: they have more rows than one question may give.
        """
        row_count = 0
        for batch in batches:
            row_count += batch.num_rows
            if row_count > self.row_count_max:
                raise QueryError(
                    f"table {table!r} in DirectQuery mode: its source gives more than {self.row_count_max:,} rows for "
                    "this query",
                    hint=_HINT,
                )
            yield batch

    @contextmanager
    def _known(self, reading: SourceRows) -> Iterator[None]:
        with self._lock:
            if self._is_over:
                raise JobCancelledError("the query was cancelled")
            self._readings.add(reading)
        try:
            yield
        finally:
            with self._lock:
                self._readings.discard(reading)

    def _end_of_time(self) -> None:
        self._is_late = True
        self._stop_readings()


def begun(resources: ExitStack, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    """*batches* as a reader that lets go of *resources* after the last one, or when nobody wants more."""

    def closing() -> Iterator[pa.RecordBatch]:
        with resources:
            yield from batches

    return pa.RecordBatchReader.from_batches(schema, closing())
