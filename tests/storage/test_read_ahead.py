"""Blocks that threads fetch before they are asked for."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from tabvault.errors import StoreUnavailableError
from tabvault.formats.byte_source import MemorySource
from tabvault.storage.remote import read_ahead
from tabvault.storage.remote.read_ahead import AHEAD_COUNT_MAX, HELD_COUNT_MAX, ReadAhead, blocks
from waiting import eventually


class Fetches:
    """Block *n* is the text of *n*; *broken* are the ones that fail. Nothing comes before :meth:`go`."""

    def __init__(self) -> None:
        self.indexes: list[int] = []
        self.broken: set[int] = set()
        self.at_once = 0
        self.at_once_max = 0
        self._lock = threading.Lock()

    def __call__(self, index: int) -> bytes:
        with self._lock:
            self.indexes.append(index)
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            if index in self.broken:
                raise StoreUnavailableError(f"block {index}")
            return str(index).encode()
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def fetches():
    return Fetches()


def test_in_order_each_block_is_fetched_once(fetches):
    blocks = ReadAhead(fetches, 50)
    assert [int(blocks.block(index)) for index in range(50) for _ in range(3)] == sorted([*range(50)] * 3)
    blocks.close()
    assert sorted(fetches.indexes) == list(range(50))
    assert fetches.at_once_max <= AHEAD_COUNT_MAX


def test_a_jump_fetches_one_block(fetches):
    blocks = ReadAhead(fetches, 50)
    for index in (40, 7, 30, 7, 2):
        assert int(blocks.block(index)) == index
    blocks.close()
    assert sorted(fetches.indexes) == [2, 7, 30, 40]


def test_no_more_is_held_than_allowed(fetches):
    blocks = ReadAhead(fetches, 1000)
    for index in range(500):
        blocks.block(index)
        assert sum(blocks.has(other) for other in range(1000)) <= HELD_COUNT_MAX
    blocks.close()


def test_a_block_that_fails_ahead_is_an_error_only_for_who_asks_for_it_and_fetched_again(fetches):
    fetches.broken = {4}
    blocks = ReadAhead(fetches, 6)
    for index in range(4):
        assert int(blocks.block(index)) == index
    with pytest.raises(StoreUnavailableError, match="block 4"):
        blocks.block(4)
    assert int(blocks.block(5)) == 5
    fetches.broken = set()
    assert int(blocks.block(4)) == 4
    blocks.close()


def test_after_closing_blocks_are_still_had_and_nothing_is_fetched_ahead(fetches):
    blocks = ReadAhead(fetches, 10)
    blocks.block(0)
    blocks.close()
    blocks.close()
    fetched = len(fetches.indexes)
    assert [int(blocks.block(index)) for index in range(10)] == list(range(10))
    assert len(fetches.indexes) <= fetched + 11


def test_many_threads_get_what_they_ask_for(fetches):
    blocks = ReadAhead(fetches, 40)

    def read(begin: int) -> list[int]:
        return [int(blocks.block((begin + step) % 40)) for step in range(40)]

    with ThreadPoolExecutor(8) as pool:
        for begin, read_indexes in enumerate(pool.map(read, range(16))):
            assert read_indexes == [(begin + step) % 40 for step in range(40)]
    blocks.close()


class Ranges(MemorySource):
    """A source that remembers where it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.offsets: list[int] = []

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        self.offsets.append(offset)
        return super().read_at(offset, byte_count)


@pytest.mark.parametrize("byte_count", [0, 1, 9, 10, 11, 95])
def test_all_of_a_source_comes_in_order_and_once(monkeypatch, byte_count):
    monkeypatch.setattr(read_ahead, "BLOCK_BYTE_COUNT", 10)
    source = Ranges(bytes(range(byte_count)))
    assert b"".join(blocks(source)) == bytes(range(byte_count))
    assert sorted(source.offsets) == list(range(0, byte_count, 10))


def test_a_source_of_which_the_beginning_was_enough_is_left_alone(monkeypatch):
    monkeypatch.setattr(read_ahead, "BLOCK_BYTE_COUNT", 1)
    source = Ranges(bytes(1000))
    some = blocks(source)
    for _ in range(3):
        next(some)
    some.close()
    assert len(source.offsets) <= 3 + AHEAD_COUNT_MAX


def test_a_block_that_was_handed_over_is_not_kept(monkeypatch):
    monkeypatch.setattr(read_ahead, "BLOCK_BYTE_COUNT", 10)
    some = blocks(Ranges(bytes(200)))
    taken = [weakref.ref(next(some)) for _ in range(15)]
    eventually(lambda: all(block() is None for block in taken))
    assert len(list(some)) == 5
