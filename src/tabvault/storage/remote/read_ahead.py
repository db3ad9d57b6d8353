"""
Blocks that are fetched by threads before they are asked for, from where each fetch costs a round trip.

Who asks for blocks in their order has twice as many on their way each time, up to :data:`AHEAD_COUNT_MAX`; a jump
begins anew with none, so that looking into a file fetches little that nobody wants. At most :data:`HELD_COUNT_MAX`
blocks are in memory, the ones used last and the ones on their way.

Who wants all of them, once, in their order, has :func:`blocks`, which keeps none that it has handed over.

A block that could not be fetched is an error for whoever asks for it, and is fetched again for whoever asks then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tabvault.formats.byte_source import ByteSource

BLOCK_BYTE_COUNT: Final = 8 << 20
"""With four on their way at once this is where larger blocks gain nothing (measured for uploads and downloads)."""

AHEAD_COUNT_MAX: Final = 4
"""Blocks on their way while one is used."""

HELD_COUNT_MAX: Final = AHEAD_COUNT_MAX + 3
"""In memory at once: with 8 MiB each, 56 MiB."""


class ReadAhead:
    """
    The blocks ``0..block_count - 1`` of something that does not change. Threads may share it.

    Args:
        fetch: the bytes of a block; called from several threads.
        block_count: how many there are.
    """

    def __init__(self, fetch: Callable[[int], bytes | memoryview], block_count: int) -> None:
        self._fetch = fetch
        self._block_count = block_count
        self._pool = ThreadPoolExecutor(AHEAD_COUNT_MAX, thread_name_prefix="read-ahead")
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, Future[bytes | memoryview]] = OrderedDict()
        self._last_index = -1
        self._ahead_count = 0
        self._is_closed = False

    def has(self, index: int) -> bool:
        """Whether the block is here, on its way, or the one behind that which was used last."""
        with self._lock:
            return index in self._blocks or index == self._last_index + 1

    def block(self, index: int) -> bytes | memoryview:
        """The block, waited for if need be; whatever *fetch* raises."""
        future = self._asked_for(index)
        try:
            return self._fetch(index) if future is None else future.result()
        except CancelledError:
            return self._fetch(index)  # closed in this moment, or pushed out by other threads
        except BaseException:
            with self._lock:
                if self._blocks.get(index) is future:
                    del self._blocks[index]
            raise

    def read_at(self, offset: int, byte_count: int, *, block_byte_count: int) -> bytes | memoryview:
        """A range of what the blocks are, each but the last of *block_byte_count*; whatever *fetch* raises."""
        parts = []
        while byte_count:
            index, begin = divmod(offset, block_byte_count)
            part = memoryview(self.block(index))[begin : begin + byte_count]
            parts.append(part)
            offset += len(part)
            byte_count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Fetch nothing ahead any more, without waiting for what is on its way. Twice is allowed."""
        with self._lock:
            self._is_closed = True
            self._blocks.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _asked_for(self, index: int) -> Future[bytes | memoryview] | None:
        """The block as it comes, and those behind it set on their way; None when this is closed."""
        with self._lock:
            if self._is_closed:
                return None
            if index == self._last_index + 1:
                self._ahead_count = min(max(1, 2 * self._ahead_count), AHEAD_COUNT_MAX)
            elif index != self._last_index:
                self._ahead_count = 0
            self._last_index = index
            for wanted in range(index, min(index + self._ahead_count + 1, self._block_count)):
                if wanted not in self._blocks:
                    self._blocks[wanted] = self._pool.submit(self._fetch, wanted)
                self._blocks.move_to_end(wanted)
            while len(self._blocks) > HELD_COUNT_MAX:
                self._blocks.popitem(last=False)[1].cancel()
            return self._blocks[index]


def blocks(source: ByteSource) -> Iterator[bytes | memoryview]:
    """
    All of *source* in order, block after block, each fetched before it is asked for; whatever reading it raises.

    What was handed over is not kept, and nothing more is fetched when the iterator is closed early.
    """

    def fetch(offset: int) -> bytes | memoryview:
        return source.read_at(offset, min(BLOCK_BYTE_COUNT, source.byte_count - offset))

    pool = ThreadPoolExecutor(AHEAD_COUNT_MAX, thread_name_prefix="read-ahead")
    coming: deque[Future[bytes | memoryview]] = deque()
    try:
        for offset in range(0, source.byte_count, BLOCK_BYTE_COUNT):
            coming.append(pool.submit(fetch, offset))
            if len(coming) > AHEAD_COUNT_MAX:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
