"""
One reading of a source, as a driver does it, and the rows that come out of it.

1. Every call into a driver is made in a thread of the reading's own, so that whoever waits for rows can be told to stop
   at any moment: a driver may be silent for minutes.
2. At most :data:`_BATCHES_AHEAD` batches are read ahead of whoever takes them.
3. Cancelled, the one who waits hears it at once. The driver is told to stop again and again until it does. One that
   cannot be told (SQLite while it reads, ODBC) ends its step in the background, and what it gives is dropped.
4. What a driver raises becomes a :class:`~tabvault.errors.SourceError` in the reading itself. Neither a password nor a
   connection string is in its message.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from tabvault.errors import JobCancelledError, SourceTypeError
from tabvault.sources.source_type import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

BATCH_ROW_COUNT: Final = 1 << 16
"""Rows of a batch at most, unless the caller says otherwise."""

_BATCHES_AHEAD: Final = 2
_STEP_S: Final = 0.1
_PATIENCE_S: Final = 2.0
"""How long a reading that was told to stop is waited for when its rows are closed."""


class Reading(ABC):
    """
    What a driver does for one query: :meth:`open`, :meth:`batches`, :meth:`close`, all in one thread.

    :meth:`cancel` may come from another one, at any time and more than once.
    """

    @abstractmethod
    def open(self) -> pa.Schema:
        """
        Begin: connect, start the query, and say what its columns are.

        Raises:
            SourceError: what the source has against it.
        """

    @abstractmethod
    def batches(self) -> Iterator[pa.RecordBatch]:
        """
        The rows, in batches of the schema that :meth:`open` gave.

        Raises:
            SourceError: the source fails on the way.
        """

    def describe(self) -> pa.Schema:
        """The schema of :meth:`open`, with as little work of the source as it needs."""
        return self.open()

    def cancel(self) -> None:  # noqa: B027 - what cannot be told to stop has nothing to do here
        """Tell the driver to stop what it does."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything. Called once, whatever happened before."""


class _End:
    """No more batches."""


class SourceRows:
    """
    The rows of a query. Use it as a context manager: entering begins the query, leaving ends it.

    Attributes:
        schema: names and types of the columns (:mod:`tabvault.sources.source_type`); there once entered.
    """

    schema: pa.Schema

    def __init__(self, reading: Reading, *, batch_row_count: int) -> None:
        self._reading = reading
        self._batch_row_count = batch_row_count
        self._results: queue.Queue[pa.Schema | pa.RecordBatch | BaseException | _End] = queue.Queue(_BATCHES_AHEAD)
        self._is_over = threading.Event()
        self._must_stop = threading.Event()
        self._is_cancelled = threading.Event()
        self._is_read = False
        self._is_left = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """
        Begin the query.

        Raises:
            SourceError: what the source has against it.
            JobCancelledError: it was cancelled.
        """
        self._thread = threading.Thread(target=self._run, daemon=True, name="tabvault-source")
        self._thread.start()
        try:
            self.schema = self._take()
        except BaseException:
            self._end()
            raise
        return self

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """
        The batches that were not yet taken, of at most the row count that was asked for.

        Raises:
            SourceError: the source fails.
            SourceTypeError: what it gives as text is none.
            JobCancelledError: it was cancelled.
        """
        while not self._is_read:
            batch = self._take()
            if isinstance(batch, _End):
                self._is_read = True
                return
            for first_row in range(0, batch.num_rows, self._batch_row_count):
                yield batch.slice(first_row, self._batch_row_count)

    def cancel(self) -> None:
        """Stop, from any thread: whoever takes rows hears of it. After the end, and a second time, it does nothing."""
        self._is_cancelled.set()
        self._stop_driver()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _take(self) -> Any:
        """The next result, once there is one. A reading that was told to stop has no end: it is cancelled, or left."""
        while True:
            if self._is_cancelled.is_set():
                raise JobCancelledError("reading from the source was cancelled")
            assert not self._is_left, "rows are taken inside of the `with` that began them"
            with contextlib.suppress(queue.Empty):
                result = self._results.get(timeout=_STEP_S)
                if not isinstance(result, BaseException):
                    return result
                if not self._is_cancelled.is_set():
                    self._is_read = True
                    raise result

    def _end(self) -> None:
        self._is_left = True
        if not self._is_over.is_set():
            self._stop_driver()
            self._is_over.wait(_PATIENCE_S)

    def _stop_driver(self) -> None:
        if not self._must_stop.is_set():
            self._must_stop.set()
            threading.Thread(target=self._keep_cancelling, daemon=True, name="tabvault-source-cancel").start()

    def _keep_cancelling(self) -> None:
        """A statement may begin just after it was cancelled, so once is not enough."""
        while not self._is_over.is_set():
            self._reading.cancel()
            self._is_over.wait(2 * _STEP_S)

    def _run(self) -> None:
        try:
            if not self._must_stop.is_set():
                self._put(self._reading.open())
            if not self._must_stop.is_set():
                for batch in self._reading.batches():
                    self._put(_checked(batch))
                    if self._must_stop.is_set():
                        break
            self._put(_End())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            self._put(error)
        finally:
            self._reading.close()
            self._is_over.set()

    def _put(self, result: pa.Schema | pa.RecordBatch | BaseException | _End) -> None:
        while not self._must_stop.is_set():
            try:
                self._results.put(result, timeout=_STEP_S)
            except queue.Full:
                continue
            return


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """*batch*, whose text is text. Not every driver looks: SQLite takes any bytes for it."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if is_text(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise SourceTypeError(f"column {name!r} of the source has text that is not UTF-8: {error}") from error
    return batch
