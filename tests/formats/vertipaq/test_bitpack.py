"""Bit-packed values, against words written out by hand and packed one value after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError
from tabvault.formats.vertipaq import bit_widths, bitpack


def packed(values: list[int], bit_width: int) -> np.ndarray:
    """The layout as the specification tells it, with Python's integers."""
    per_word = 64 // bit_width
    words = [0] * (len(values) // per_word + 1)
    for index, value in enumerate(values):
        words[index // per_word] |= value << (index % per_word * bit_width)
    return np.frombuffer(b"".join(word.to_bytes(8, "little") for word in words), "<u8")


def test_values_lie_from_the_lowest_bit_up() -> None:
    words = np.frombuffer(bytes.fromhex("00 55 ea 3f 00 00 00 00"), "<u8")  # ProductTypeCode of an SSAS 2016 backup
    unpacked = bitpack.unpack(words, bit_width=2, count=15)
    assert unpacked.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert unpacked.dtype == np.uint32


def test_a_value_never_crosses_a_word() -> None:
    words = np.array([7 | 21 << 21 | 42 << 42 | 1 << 63, 5], "<u8")
    assert bitpack.unpack(words, bit_width=21, count=4).tolist() == [7, 21, 42, 5]


def test_thirty_two_bits_are_two_values_in_a_word() -> None:
    words = np.frombuffer(bytes.fromhex("03000000 ffffffff 05000000 00000000"), "<u8")
    assert bitpack.unpack(words, bit_width=32, count=3).tolist() == [3, 0xFFFFFFFF, 5]


@pytest.mark.parametrize(("count", "expected"), [(0, 1), (31, 1), (32, 2), (33, 2), (64, 3)])
def test_there_is_one_word_more_than_full_words(count: int, expected: int) -> None:
    assert bit_widths.word_count(count, bit_width=2) == expected


@settings(deadline=None, max_examples=150)
@given(st.data(), st.integers(1, 32))
def test_what_was_packed_comes_back(data: st.DataObject, bit_width: int) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bit_width) - 1), max_size=700))
    assert bitpack.unpack(packed(values, bit_width), bit_width=bit_width, count=len(values)).tolist() == values


@pytest.mark.parametrize("bit_width", bit_widths.BIT_WIDTHS)
def test_long_stretches_come_back_across_all_blocks(bit_width: int) -> None:
    values = np.random.default_rng(bit_width).integers(0, 1 << bit_width, 150_000).tolist()
    unpacked = bitpack.unpack(packed(values, bit_width), bit_width=bit_width, count=len(values))
    assert unpacked.tolist() == values


def test_the_values_are_a_copy() -> None:
    words = np.array([0x0000000700000003], "<u8")
    unpacked = bitpack.unpack(words, bit_width=32, count=2)
    unpacked[:] = 0
    assert words[0] == 0x0000000700000003


def test_a_word_too_few_and_a_word_too_many_are_refused() -> None:
    words = np.zeros(4, "<u8")
    for count in (31, 64, 128):
        with pytest.raises(FormatError, match=f"4 words for {count} values of 2 bits, not"):
            bitpack.unpack_counted(words, bit_width=2, count=count, offset=0, file="x.idf")
    assert len(bitpack.unpack_counted(words, bit_width=2, count=96, offset=0, file="x.idf")) == 96


def test_more_values_than_the_words_hold_are_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="hold fewer"):
        bitpack.unpack(np.zeros(1, "<u8"), bit_width=16, count=5)


def test_packing_writes_what_a_real_server_wrote() -> None:
    words = bitpack.pack(np.repeat(np.arange(4, dtype=np.uint32), (4, 4, 3, 4)), bit_width=2)
    assert words.tobytes() == bytes.fromhex("00 55 ea 3f 00 00 00 00")


@pytest.mark.parametrize(("count", "expected"), [(0, 1), (2, 1), (3, 2), (4, 2)])
def test_packing_leaves_a_word_more_than_full_words(count: int, expected: int) -> None:
    words = bitpack.pack(np.full(count, 0x1FFFFF, np.uint32), bit_width=21)
    assert len(words) == expected
    assert words.tobytes() == packed([0x1FFFFF] * count, 21).tobytes()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(bit_widths.BIT_WIDTHS), st.integers(0, 300), st.integers(0, 1 << 32))
def test_packing_follows_the_layout_at_every_width(bit_width: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << bit_width, count, np.uint64).astype(np.uint32)
    assert bitpack.pack(values, bit_width=bit_width).tobytes() == packed(values.tolist(), bit_width).tobytes()


@pytest.mark.parametrize("bit_width", bit_widths.BIT_WIDTHS)
def test_many_values_come_back(bit_width: int) -> None:
    values = np.random.default_rng(bit_width).integers(0, 1 << bit_width, 200_001, np.uint64).astype(np.uint32)
    words = bitpack.pack(values, bit_width=bit_width)
    assert np.array_equal(bitpack.unpack(words, bit_width=bit_width, count=len(values)), values)


@pytest.mark.parametrize(("span", "bit_width"), [(0, 1), (1, 1), (2, 2), (1023, 10), (1024, 12), (65536, 21)])
def test_the_smallest_width_of_the_engine_is_taken(span: int, bit_width: int) -> None:
    assert bit_widths.width_of(span) == bit_width
    assert bit_widths.width_of((1 << 32) - 1) == 32


def test_a_value_that_does_not_fit_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="value 4 does not fit into 2 bits"):
        bitpack.pack(np.array([3, 4], np.uint32), bit_width=2)
    with pytest.raises(ValueError, match="bit width 11 is none of"):
        bitpack.pack(np.array([3], np.uint32), bit_width=11)
    for span in (-1, 1 << 32):
        with pytest.raises(ValueError, match="fit into no bit width"):
            bit_widths.width_of(span)
