"""Huffman pages as they are written: by hand, against Python's strings of 0 and 1, and through both decoders."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.formats.vertipaq import huffman, huffman_writer

A_BC = bytes(32) + bytes([0x10, 0x22]) + bytes(94)
"""Code lengths: A (0x41) 1 bit, B and C 2 bits. So A is 0, B is 10, C is 11."""


def page_of(*texts: bytes) -> huffman_writer.Page:
    symbols = np.frombuffer(b"".join(texts), np.uint8)
    lengths = np.array([len(text) for text in texts])
    return huffman_writer.encode(symbols, lengths.cumsum() - lengths)


def decoded(page: huffman_writer.Page) -> list[bytes]:
    offsets = np.append(page.bit_offsets, np.uint32(page.total_bits))
    symbols = huffman.decode(page.stream, page.packed_lengths, offsets, offset=0, file="x.dictionary")
    return [symbols.values[start:end].tobytes() for start, end in pairwise(symbols.starts.tolist())]


def lengths_of(**counts: int) -> dict[str, int]:
    weights = np.zeros(256, np.int64)
    for symbol, count in counts.items():
        weights[ord(symbol)] = count
    lengths = huffman_writer.code_lengths(weights)
    return {chr(symbol): int(lengths[symbol]) for symbol in lengths.nonzero()[0]}


def test_a_page_written_by_hand_is_written_so() -> None:
    page = page_of(b"AB", b"C", b"AAC")
    assert page.packed_lengths == A_BC
    assert page.stream == bytes.fromhex("80 59 00 00")  # 0 10 | 11 | 0 0 11 are the bytes 59 80, swapped, and two more
    assert page.bit_offsets.tolist() == [0, 3, 5]
    assert (page.total_bits, page.decode_bits) == (9, 2)


@pytest.mark.parametrize(
    ("symbol_count", "byte_count"), [(1, 4), (16, 4), (17, 6), (32, 6), (33, 8), (64, 10), (65, 12)]
)
def test_two_bytes_follow_the_stream_made_even(symbol_count: int, byte_count: int) -> None:
    page = page_of(bytes(index % 2 for index in range(symbol_count)))
    assert page.total_bits == symbol_count
    assert len(page.stream) == byte_count


def test_among_equally_rare_symbols_the_lower_one_gets_the_longer_code() -> None:
    """As in the page of EnglishDescription of Adventure Works: of five that occur once the highest has a bit less."""
    assert lengths_of(a=1, b=1, c=1) == {"a": 2, "b": 2, "c": 1}
    assert lengths_of(a=2, b=1, c=1) == {"a": 1, "b": 2, "c": 2}  # a symbol goes before what was joined
    assert lengths_of(a=1, b=1, c=1, d=1, e=1) == {"a": 3, "b": 3, "c": 2, "d": 2, "e": 2}


def test_a_lone_symbol_gets_a_companion_that_makes_its_code_complete() -> None:
    assert lengths_of(a=5) == {"\0": 1, "a": 1}
    page = page_of(b"aaa", b"aa")
    assert (page.total_bits, page.decode_bits) == (5, 2)
    assert decoded(page) == [b"aaa", b"aa"]
    assert decoded(page_of(b"\0\0\0")) == [b"\0\0\0"]


def test_codes_over_fifteen_bits_are_shortened() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 24:
        fibonacci.append(sum(fibonacci[-2:]))
    text = b"".join(bytes([symbol]) * count for symbol, count in enumerate(fibonacci))
    page = page_of(text)
    lengths = huffman.code_lengths(page.packed_lengths)
    assert max(huffman_writer._depths(fibonacci)) == 23  # without a limit
    assert lengths.max() <= 15
    assert (1 << (15 - lengths[lengths > 0].astype(int))).sum() == 1 << 15
    assert decoded(page) == [text]
    assert page.decode_bits <= 12


def test_counts_of_any_size_have_codes_of_15_bits() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(sum(fibonacci[-2:]))
    counts = np.zeros(256, np.int64)
    counts[: len(fibonacci)] = fibonacci
    counts[len(fibonacci) :] = 1
    lengths = huffman_writer.code_lengths(counts)
    assert lengths.max() <= 15
    assert lengths.min() >= 1


def in_bits(texts: list[bytes], lengths: np.ndarray) -> str:
    """The stream in 0 and 1, by the code as the specification builds it."""
    codes, code, previous = {}, 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths.tolist()) if length):
        code <<= length - previous
        codes[symbol], code, previous = f"{code:0{length}b}", code + 1, length
    return "".join(codes[symbol] for symbol in b"".join(texts))


TEXTS = st.lists(st.binary(max_size=60), min_size=1, max_size=20).filter(any)


@settings(deadline=None, max_examples=150)
@given(TEXTS)
def test_any_page_is_the_canonical_code_and_comes_back(texts: list[bytes]) -> None:
    page = page_of(*texts)
    bits = in_bits(texts, huffman.code_lengths(page.packed_lengths))
    assert page.total_bits == len(bits)
    in_order = np.frombuffer(page.stream, "<u2").byteswap().tobytes()
    assert in_order == int(bits.ljust(8 * len(in_order), "0"), 2).to_bytes(len(in_order), "big")
    assert decoded(page) == texts


@settings(deadline=None, max_examples=40)
@given(TEXTS)
def test_our_own_decoder_reads_it_too(texts: list[bytes]) -> None:
    native = huffman.xmhuffman
    huffman.xmhuffman = None
    try:
        assert decoded(page_of(*texts)) == texts
    finally:
        huffman.xmhuffman = native


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.integers(0, 255), st.integers(1, 1 << 20), min_size=2))
def test_no_code_is_longer_than_that_of_a_rarer_symbol(weights: dict[int, int]) -> None:
    counts = np.zeros(256, np.int64)
    counts[list(weights)] = list(weights.values())
    lengths = huffman_writer.code_lengths(counts)
    by_weight = sorted(weights, key=lambda symbol: (weights[symbol], symbol))
    assert all(lengths[rarer] >= lengths[other] for rarer, other in pairwise(by_weight))
    assert sum(1 << (15 - int(lengths[symbol])) for symbol in weights) == 1 << 15


@pytest.mark.parametrize("symbol_count", [2, 12, 90, 256])
def test_a_full_page_of_skewed_symbols_comes_back(symbol_count: int) -> None:
    random = np.random.default_rng(symbol_count)
    symbols = np.minimum(random.geometric(min(0.9, 3 / symbol_count), 1 << 19), symbol_count).astype(np.uint8)
    starts = np.sort(random.integers(0, len(symbols), 30_000))
    starts[0] = 0
    page = huffman_writer.encode(symbols, starts)
    assert Counter(map(len, decoded(page))) == Counter(np.diff(np.append(starts, len(symbols))).tolist())
    assert b"".join(decoded(page)) == symbols.tobytes()
