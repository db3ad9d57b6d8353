"""
A published object of a container: a blob, pinned by its ETag, read by ranges.

A backup is read as a file is: some bytes at the front, a table at the end, then body after body, most of them small.
Each GET costs a round trip, so a small range is read with what comes behind it and kept (one window, for all threads).
The window begins small, for who only looks at a header, and doubles as long as reading goes on behind it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self

from azure.core import MatchConditions
from azure.core.exceptions import IncompleteReadError

from tabvault.errors import StorageError
from tabvault.formats.byte_source import check_range
from tabvault.storage.azure.refusals import GET_BLOB, Refusal
from tabvault.storage.contract import ObjectInfo

if TYPE_CHECKING:
    from types import TracebackType

    from azure.storage.blob import BlobClient, BlobProperties

    from tabvault.storage.azure.patience import Caller, TimeLeft

RANGE_BYTE_COUNT_MAX: Final = 8 << 20
"""One GET; a longer range is read by several, so that a lost connection costs no more than this."""

_WINDOW_BYTE_COUNT_MIN: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class _Window:
    """Bytes of the object from *begin*, and how many were asked for: at the object's end there are fewer."""

    begin: int
    data: memoryview
    byte_count: int

    @property
    def end(self) -> int:
        return self.begin + len(self.data)

    def next_byte_count(self, offset: int) -> int:
        """How large the window at *offset* is to be: larger when reading goes on behind this one."""
        if self.data and self.begin <= offset <= self.end + _WINDOW_BYTE_COUNT_MIN:
            return min(2 * self.byte_count, RANGE_BYTE_COUNT_MAX)
        return _WINDOW_BYTE_COUNT_MIN


class Unseen(Enum):
    """Whether an object is there cannot be known: the SAS does not allow to look."""

    UNSEEN = "unseen"


UNSEEN: Final = Unseen.UNSEEN


def object_info(properties: BlobProperties, name: str) -> ObjectInfo:
    """What the service says of a blob. A listing gives tags without quotes, a header with: they are kept without."""
    return ObjectInfo(name, properties.size, properties.last_modified, properties.etag.strip('"'))


def quoted(etag: str) -> str:
    """A tag as a condition takes it."""
    return f'"{etag}"'


class AzureObject:
    """
    A :class:`~tabvault.storage.contract.StoredObject` over ranged GETs with ``If-Match``.

    When the object is replaced or removed, reading raises: the service keeps nothing of the old one.

    Args:
        blob: the blob of that name.
        info: the object as it is to be read.
        caller: calls the service.
    """

    def __init__(self, blob: BlobClient, info: ObjectInfo, caller: Caller) -> None:
        self._blob = blob
        self._info = info
        self._caller = caller
        self._window = _Window(0, memoryview(b""), _WINDOW_BYTE_COUNT_MIN)
        self._is_open = True

    @property
    def info(self) -> ObjectInfo:
        """The object as it was when it was opened."""
        return self._info

    @property
    def byte_count(self) -> int:
        """Length of the object, in bytes."""
        return self._info.byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """A range; see the contract."""
        if not self._is_open:
            raise ValueError(f"{self._info.name} is closed")
        check_range(offset, byte_count, self._info.byte_count)
        if byte_count > RANGE_BYTE_COUNT_MAX:
            ends = offset + byte_count
            begins = range(offset, ends, RANGE_BYTE_COUNT_MAX)
            return b"".join(self._range(begin, min(RANGE_BYTE_COUNT_MAX, ends - begin)) for begin in begins)
        window = self._window
        if not window.begin <= offset <= offset + byte_count <= window.end:
            window = self._window_at(offset, max(byte_count, window.next_byte_count(offset)))
            self._window = window
        return window.data[offset - window.begin : offset - window.begin + byte_count]

    def close(self) -> None:
        """Let go of the object; see the contract."""
        self._is_open = False
        self._window = _Window(0, memoryview(b""), _WINDOW_BYTE_COUNT_MIN)

    def _window_at(self, offset: int, byte_count: int) -> _Window:
        there_byte_count = min(byte_count, self._info.byte_count - offset)
        # Nothing is asked for behind the end: the service answers that with an error.
        data = self._range(offset, there_byte_count) if there_byte_count else b""
        return _Window(offset, memoryview(data), byte_count)

    def _range(self, offset: int, byte_count: int) -> bytes:
        try:
            return self._caller.run(GET_BLOB, self._info.name, lambda left: self._get(offset, byte_count, left))
        except Refusal as refusal:
            if refusal.code == "ConditionNotMet":
                error = StorageError(
                    f"{self._info.name} was replaced while it was read", hint="begin again with the new file"
                )
                raise error from None
            raise refusal.error from None

    def _get(self, offset: int, byte_count: int, left: TimeLeft) -> bytes:
        """One GET. What is short, or of an object of another length, counts as a lost answer."""
        with _CutOff(left.seconds) as cut_off:
            download = self._blob.download_blob(
                offset,
                byte_count,
                etag=quoted(self._info.etag),
                match_condition=MatchConditions.IfNotModified,
                raw_response_hook=cut_off.watch,
                **left.options,
            )
            data: bytes = download.readall()
        total = str(download.properties.content_range).rpartition("/")[2]
        if len(data) != byte_count or total != str(self._info.byte_count):
            raise IncompleteReadError(f"{len(data)} bytes of {total}, not {byte_count} of {self._info.byte_count}")
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _CutOff:
    """
    Ends the reading of a body after *seconds*.

    The time-outs of a socket only bound the silence between two bytes; a service that sends one byte now and then would
    never run into them.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._body: Any = None
        self._is_over = False

    def watch(self, response: Any) -> None:
        """Called by the client library when the head of a response is there; its body comes next."""
        with self._lock:
            self._body = response.http_response.internal_response.raw
            if self._is_over:
                # The library begins again by itself when a body breaks off; not after our time is over.
                self._body.close()
                raise IncompleteReadError("the time is over")

    def _cut(self) -> None:
        with self._lock:
            self._is_over = True
            if self._body is not None:
                try:
                    self._body.shutdown()
                except (OSError, RuntimeError, ValueError):
                    # The body has come to its end in this moment.
                    return

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
