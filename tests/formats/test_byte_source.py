"""Reading ahead of a reader of small ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvault.errors import TruncatedError
from tabvault.formats.byte_source import PIECE_BYTE_COUNT, MemorySource, ReadAheadSource

DATA = bytes(range(256)) * 12_000
"""Three mebibytes, a little less."""


class Recorded(MemorySource):
    """A source that notes what it is asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[tuple[int, int]] = []

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        self.asked.append((offset, byte_count))
        return super().read_at(offset, byte_count)


ranges = st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, 2 * PIECE_BYTE_COUNT)), max_size=20)


@given(ranges)
def test_any_range_is_that_of_the_source(asked: list[tuple[int, int]]) -> None:
    source = ReadAheadSource(MemorySource(DATA))
    assert source.byte_count == len(DATA)
    for offset, byte_count in asked:
        clipped = min(byte_count, len(DATA) - offset)
        assert source.read_at(offset, clipped) == DATA[offset : offset + clipped]


def test_small_ranges_in_order_are_read_in_pieces_and_no_byte_twice() -> None:
    recorded = Recorded(DATA)
    source = ReadAheadSource(recorded)
    for offset in range(0, len(DATA) - 100, 100):
        assert source.read_at(offset, 100) == DATA[offset : offset + 100]
    assert len(recorded.asked) == 3
    end = 0
    for offset, byte_count in recorded.asked:
        assert offset == end
        end += byte_count
    assert end == len(DATA)


def test_a_range_longer_than_a_piece_is_read_as_it_is() -> None:
    recorded = Recorded(DATA)
    assert ReadAheadSource(recorded).read_at(5, 2 * PIECE_BYTE_COUNT) == DATA[5 : 5 + 2 * PIECE_BYTE_COUNT]
    assert recorded.asked == [(5, 2 * PIECE_BYTE_COUNT)]


def test_a_range_beyond_the_end_is_refused_and_not_read() -> None:
    recorded = Recorded(DATA)
    with pytest.raises(TruncatedError):
        ReadAheadSource(recorded).read_at(len(DATA) - 1, 2)
    assert recorded.asked == []
