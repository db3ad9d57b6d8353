"""Huffman pages: by hand, by a slow encoder, by genuine files, and both decoders against each other."""

from __future__ import annotations

import heapq
import subprocess
import sys
from collections import Counter
from itertools import count, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError
from tabvault.formats.vertipaq import huffman

A_BC = bytes(32) + bytes([0x10, 0x22]) + bytes(94)
"""Code lengths: A (0x41) 1 bit, B and C 2 bits. So A is 0, B is 10, C is 11."""

AB_C_AAC = bytes.fromhex("80 59 00 00")
"""``AB``, ``C``, ``AAC``: 0 10 | 11 | 0 0 11 are the bytes 59 80, swapped, and two bytes more."""


@pytest.fixture(params=["xmhuffman", "our own"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways that a page is decoded in."""
    if request.param == "our own":
        monkeypatch.setattr(huffman, "xmhuffman", None)
    else:
        assert huffman.xmhuffman is not None
    return request.param


def strings(stream: bytes, lengths: bytes, *bit_offsets: int) -> list[bytes]:
    symbols = huffman.decode(stream, lengths, np.array(bit_offsets, np.uint32), offset=0x1F0, file="x.dictionary")
    return [symbols.values[start:end].tobytes() for start, end in pairwise(symbols.starts.tolist())]


def encoded(texts: list[bytes]) -> tuple[bytes, bytes, list[int]]:
    """Stream, code lengths and bit offsets of *texts*, with Python's strings of 0 and 1."""
    order = count()
    heap = [(weight, next(order), [symbol]) for symbol, weight in Counter(b"".join(texts)).items()]
    heap += [(0, next(order), [symbol]) for symbol in (254, 255)][: max(0, 2 - len(heap))]
    lengths = dict.fromkeys((symbol for _, _, (symbol,) in heap), 0)
    heapq.heapify(heap)
    while len(heap) > 1:
        (first, _, left), (second, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left + right:
            lengths[symbol] += 1
        heapq.heappush(heap, (first + second, next(order), left + right))
    codes, code, previous = {}, 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        code <<= length - previous
        codes[symbol], code, previous = f"{code:0{length}b}", code + 1, length
    bits, offsets = "", [0]
    for text in texts:
        bits += "".join(codes[symbol] for symbol in text)
        offsets.append(len(bits))
    byte_count = -(-len(bits) // 16) * 2 + 2
    stream = int(bits.ljust(8 * byte_count, "0"), 2).to_bytes(byte_count, "big")
    swapped = b"".join(stream[index : index + 2][::-1] for index in range(0, byte_count, 2))
    packed = bytes(lengths.get(2 * i, 0) | lengths.get(2 * i + 1, 0) << 4 for i in range(128))
    return swapped, packed, offsets


@pytest.mark.usefixtures("decoder")
def test_a_page_written_by_hand_decodes() -> None:
    assert strings(AB_C_AAC, A_BC, 0, 3, 5, 9) == [b"AB", b"C", b"AAC"]


@pytest.mark.usefixtures("decoder")
def test_an_empty_string_has_no_bits() -> None:
    assert strings(AB_C_AAC, A_BC, 0, 0, 3, 3, 9, 9) == [b"", b"AB", b"", b"CAAC", b""]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_what_was_encoded_comes_back_from_both_decoders(texts: list[bytes]) -> None:
    stream, lengths, offsets = encoded(texts)
    assert strings(stream, lengths, *offsets) == texts
    assert huffman.xmhuffman is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huffman, "xmhuffman", None)
        assert strings(stream, lengths, *offsets) == texts


@pytest.mark.usefixtures("decoder")
def test_long_codes_decode() -> None:
    texts = [bytes([symbol]) * (1 << symbol) for symbol in range(15)]  # code lengths up to 14
    stream, lengths, offsets = encoded(texts)
    assert max(huffman.code_lengths(lengths)) == 14
    assert strings(stream, lengths, *offsets) == texts


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("offsets", [(0, 2, 5, 9), (0, 3, 5, 8), (0, 3, 4, 9), (0, 3, 5, 10, 11)])
def test_a_string_that_ends_inside_a_code_is_refused(offsets: tuple[int, ...]) -> None:
    stream = bytes.fromhex("ff 59 00 00")  # C after the strings, so that no end is one by chance
    with pytest.raises(FormatError, match="does not end with a code") as refusal:
        strings(stream, A_BC, *offsets)
    assert (refusal.value.file, refusal.value.offset) == ("x.dictionary", 0x1F0)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("offsets", [(3, 5, 9), (0, 5, 3, 9), (0, 3, 33), (0, 0xFFFFFFFF)])
def test_offsets_outside_the_stream_are_refused(offsets: tuple[int, ...]) -> None:
    with pytest.raises(FormatError, match="bit offsets do not ascend from 0 within 32 bits"):
        strings(AB_C_AAC, A_BC, *offsets)


@pytest.mark.usefixtures("decoder")
def test_lengths_of_no_prefix_code_are_refused() -> None:
    with pytest.raises(FormatError, match="no prefix code"):
        strings(AB_C_AAC, bytes(32) + bytes([0x10, 0x12]) + bytes(94), 0, 3)


@pytest.mark.usefixtures("decoder")
def test_an_incomplete_code_is_decoded_as_far_as_it_goes() -> None:
    only_a_and_b = bytes(32) + bytes([0x10, 0x02]) + bytes(94)
    assert strings(AB_C_AAC, only_a_and_b, 0, 3) == [b"AB"]
    with pytest.raises(FormatError, match="no code begins at bit 3 of the page"):
        strings(AB_C_AAC, only_a_and_b, 0, 3, 5)


@pytest.mark.usefixtures("decoder")
def test_no_code_at_all_holds_empty_strings_only() -> None:
    assert strings(bytes(2), bytes(128), 0, 0, 0) == [b"", b""]
    with pytest.raises(FormatError, match="no code begins at bit 0"):
        strings(bytes(2), bytes(128), 0, 1)


@pytest.mark.usefixtures("decoder")
def test_a_long_page_is_cut_at_every_string() -> None:
    chosen = np.random.default_rng(3)
    texts = [chosen.integers(0, 40, size).astype(np.uint8).tobytes() for size in chosen.integers(0, 60, 5000)]
    stream, lengths, offsets = encoded(texts)
    assert sum(map(len, texts)) > 4 * huffman._BLOCK_SYMBOL_COUNT
    assert strings(stream, lengths, *offsets) == texts
    for index in (4900, 5000):
        moved = [*offsets[:index], offsets[index] - 1, *offsets[index + 1 :]]
        with pytest.raises(FormatError, match=r"does not end with a code|do not ascend"):
            strings(stream, lengths, *moved)


_FUZZ = """
import random, sys
import numpy as np
from tabvault.errors import FormatError
from tabvault.formats.vertipaq import huffman

assert huffman.xmhuffman is not None
native = huffman.xmhuffman
chosen = random.Random(int(sys.argv[1]))
refused = 0
for _ in range(400):
    lengths = [1, 1]  # split codes at random: always complete
    while len(lengths) < chosen.choice([2, 3, 20, 150, 256]):
        split = [index for index, length in enumerate(lengths) if length < 15]
        index = chosen.choice(split)
        lengths[index] += 1
        lengths.append(lengths[index])
    of = [0] * 256
    for symbol, length in zip(chosen.sample(range(256), len(lengths)), lengths):
        of[symbol] = length
    if chosen.random() < 0.2:
        of[chosen.randrange(256)] = chosen.randrange(16)
    packed = bytes(of[2 * i] | of[2 * i + 1] << 4 for i in range(128))
    stream = chosen.randbytes(chosen.randrange(200))
    total = chosen.choice([8 * len(stream), chosen.randrange(8 * len(stream) + 40)])
    starts = sorted(chosen.randrange(total + 1) for _ in range(chosen.choice([0, 1, 5])))
    offsets = np.array([*starts, total], np.uint32)
    if chosen.random() < 0.8:
        offsets[0] = 0
    outcomes = []
    for huffman.xmhuffman in (native, None):
        try:
            symbols = huffman.decode(stream, packed, offsets, offset=0, file=None)
            outcomes.append((symbols.values.tobytes(), symbols.starts.tolist()))
        except FormatError as error:
            outcomes.append(str(error))
            refused += 1
    assert outcomes[0] == outcomes[1], (packed.hex(), stream.hex(), offsets, outcomes)
print(refused)
"""


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_random_codes_and_bits_never_crash_the_native_decoder_and_both_agree(seed: str) -> None:
    """In a process of its own: what is looked for is a crash."""
    fuzz = subprocess.run([sys.executable, "-c", _FUZZ, seed], capture_output=True, text=True, timeout=60, check=False)
    assert fuzz.returncode == 0, fuzz.stderr
    assert 50 < int(fuzz.stdout) < 800
