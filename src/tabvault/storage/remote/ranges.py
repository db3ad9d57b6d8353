"""
Reading a published object through ranged requests.

A backup is read as a file is: some bytes at the front, a table at the end, then body after body, most of them small.
Each request costs a round trip, so a small range is read with what comes behind it and kept (one window, for all
threads). The window begins small, for who only looks at a header, and doubles as long as reading goes on behind it.
When that has gone on for some MiB, and for a long range at once, blocks of 8 MiB are fetched ahead by four threads
(:mod:`~tabvault.storage.remote.read_ahead`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import ObjectChangedError
from tabvault.formats.byte_source import check_range
from tabvault.storage.remote.patience import Refusal
from tabvault.storage.remote.read_ahead import BLOCK_BYTE_COUNT, ReadAhead, blocks
from tabvault.storage.remote.wire import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tabvault.storage.contract import ObjectInfo

RANGE_BYTE_COUNT_MAX: Final = BLOCK_BYTE_COUNT
"""One request; a longer range is read by several, so that a lost connection costs no more than this."""

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


class _Ahead:
    """Blocks of an object from *begin* on, fetched ahead."""

    def __init__(self, fetch: Callable[[int, int], bytes], begin: int, end: int) -> None:
        self._fetch = fetch
        self._begin = begin
        self._end = end
        self._blocks = ReadAhead(self._block, -(-(end - begin) // BLOCK_BYTE_COUNT))

    def has(self, offset: int) -> bool:
        """Whether reading goes on at *offset*, or has just been there."""
        return offset >= self._begin and self._blocks.has((offset - self._begin) // BLOCK_BYTE_COUNT)

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """A range from *begin* on."""
        return self._blocks.read_at(offset - self._begin, byte_count, block_byte_count=BLOCK_BYTE_COUNT)

    def close(self) -> None:
        self._blocks.close()

    def _block(self, index: int) -> bytes:
        offset = self._begin + index * BLOCK_BYTE_COUNT
        return self._fetch(offset, min(BLOCK_BYTE_COUNT, self._end - offset))


class RangedObject(ABC):
    """
    A :class:`~tabvault.storage.contract.StoredObject` of a service that gives ranges.

    Args:
        info: the object as it is to be read.

    Attributes:
        stop: set when the object is closed, and nobody waits for ranges any more; ends what is on the wire.
    """

    def __init__(self, info: ObjectInfo) -> None:
        self.stop = Stop()
        self._info = info
        self._window = _Window(0, memoryview(b""), _WINDOW_BYTE_COUNT_MIN)
        self._ahead: _Ahead | None = None
        self._ahead_lock = threading.Lock()
        self._is_open = True

    @abstractmethod
    def _asked(self, offset: int, byte_count: int) -> bytes:
        """
        The bytes of a range inside the object, from the service: 1 to ``RANGE_BYTE_COUNT_MAX`` of them.

        Raises:
            Refusal: it failed for good; with an ``ObjectChangedError`` when the object is not the one of ``info``.
        """

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
        if byte_count == RANGE_BYTE_COUNT_MAX:
            return self._range(offset, byte_count)  # who asks for blocks knows himself what comes next
        window = self._window
        if window.begin <= offset <= offset + byte_count <= window.end:
            return window.data[offset - window.begin : offset - window.begin + byte_count]
        ahead = self._ahead
        if ahead is not None and byte_count and ahead.has(offset):
            return ahead.read_at(offset, byte_count)
        window_byte_count = max(byte_count, window.next_byte_count(offset))
        if window_byte_count >= RANGE_BYTE_COUNT_MAX:
            return self._new_ahead(offset).read_at(offset, byte_count)
        self._window = window = self._window_at(offset, window_byte_count)
        return window.data[:byte_count]

    def whole(self) -> Iterator[bytes | memoryview]:
        """All of it; see the contract."""
        return blocks(self)

    def close(self) -> None:
        """Let go of the object; see the contract."""
        self._is_open = False
        self._window = _Window(0, memoryview(b""), _WINDOW_BYTE_COUNT_MIN)
        self.stop.set()
        with self._ahead_lock:
            ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.close()

    def _range(self, offset: int, byte_count: int) -> bytes:
        try:
            return self._asked(offset, byte_count)
        except Refusal as refusal:
            if isinstance(refusal.error, ObjectChangedError):
                error = ObjectChangedError(
                    f"{self._info.name} was replaced while it was read", hint="begin again with the new file"
                )
                raise error from None
            raise refusal.error from None

    def _new_ahead(self, offset: int) -> _Ahead:
        """Fetch ahead from *offset* on, and no more where it was done before."""
        new = _Ahead(self._range, offset, self._info.byte_count)
        with self._ahead_lock:
            if not self._is_open:
                raise ValueError(f"{self._info.name} is closed")
            old, self._ahead = self._ahead, new
        if old is not None:
            old.close()
        return new

    def _window_at(self, offset: int, byte_count: int) -> _Window:
        there_byte_count = min(byte_count, self._info.byte_count - offset)
        # Nothing is asked for behind the end: a service answers that with an error.
        data = self._range(offset, there_byte_count) if there_byte_count else b""
        return _Window(offset, memoryview(data), byte_count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
