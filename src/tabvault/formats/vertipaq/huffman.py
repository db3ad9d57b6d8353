"""
Huffman-coded characters of a compressed dictionary page.

The code is canonical: symbols (bytes) sorted by length and then by value get consecutive codes from 0 on, shifted left
where the length grows. Only the lengths are stored, in 128 bytes: the low nibble of byte i is the length of the code of
symbol 2 * i, the high nibble that of 2 * i + 1, 0 for a symbol that does not occur. Codes are written from the highest
bit of a byte downwards, one string after the other without a gap; then the bytes of each pair are swapped.

Source: [MS-XLDM] 2.7.4. Genuine pages also hold codes of 1 bit, and always a complete code: every run of bits is one.

``xmhuffman`` walks the codes, or our own code where it is not installed. It is native and checks nothing, so it gets
complete codes only, and the page as one string: the handles, which it would trust, are compared with what it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.errors import FormatError

try:
    import xmhuffman
except ImportError:  # pragma: no cover - the same pages are decoded without it in the tests
    xmhuffman = None

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODE_LENGTHS_BYTE_COUNT = 128

CODE_BITS_MAX = 15

_SPARE_BYTE_COUNT = 8
"""Zero bytes put behind the stream: a code is looked up by loading more bits than it has."""


_BLOCK_SYMBOL_COUNT = 1 << 15
"""Symbols whose code ends are added up at a time: what is needed for them stays in the processor's cache."""


_EACH_BYTE = np.uint64(0x0101010101010101)
"""Times this, byte k of a word becomes the sum of its bytes up to k, provided that no sum needs more than a byte."""

_HIGH_BITS = np.uint64(0x8080808080808080)


class Symbols(NamedTuple):
    """The symbols of all strings; string i is ``values[starts[i]:starts[i + 1]]``."""

    values: NDArray[np.uint8]
    starts: NDArray[np.int64]


def decode(
    stream: bytes | memoryview,
    packed_lengths: bytes | memoryview,
    bit_offsets: NDArray[np.uint32],
    *,
    offset: int,
    file: str | None,
) -> Symbols:
    """
    Decode all strings of a page.

    Args:
        stream: the coded strings, bytes pairwise swapped.
        packed_lengths: the 128 bytes of code lengths.
        bit_offsets: shape ``(n + 1,)``: where each of n strings begins and the last one ends, in bits.
        offset: of the page in the file, for errors.
        file: logical name, for errors.

    Returns:
        The symbols of the n strings.

    Raises:
        FormatError: the lengths are those of no prefix code, the offsets do not ascend from 0 within the stream, bits
            are no code, or a string does not end with a code.
    """
    total_bits = int(bit_offsets[-1])
    if bit_offsets[0] != 0 or (bit_offsets[1:] < bit_offsets[:-1]).any() or total_bits > 8 * len(stream):
        raise FormatError(f"bit offsets do not ascend from 0 within {8 * len(stream)} bits", file=file, offset=offset)
    lengths = code_lengths(packed_lengths)
    code_space = int((1 << (CODE_BITS_MAX - lengths[lengths > 0].astype(np.int64))).sum())
    if code_space > 1 << CODE_BITS_MAX:
        raise FormatError("code lengths are those of no prefix code", file=file, offset=offset)
    in_order = _in_order(stream)
    if xmhuffman is not None and code_space == 1 << CODE_BITS_MAX:
        (symbols,) = xmhuffman.decode_page(in_order, bytes(packed_lengths), [0], total_bits, swap=False)
    else:
        symbols = _decode_plain(in_order, lengths, total_bits, offset=offset, file=file)
    starts = _starts(symbols, lengths, bit_offsets)
    if starts is None:
        raise FormatError("a string of the page does not end with a code", file=file, offset=offset)
    return Symbols(np.frombuffer(symbols, np.uint8), starts)


def _starts(
    symbols: bytes | bytearray, lengths: NDArray[np.uint8], bit_offsets: NDArray[np.uint32]
) -> NDArray[np.int64] | None:
    """
    Where in *symbols* each bit offset is, or None when one of them is where no code begins.

    Code lengths are added up eight at a time, as the bytes of a word; none of the sums reaches 128. Done in blocks,
    because the sums of a large page would leave the processor's cache.
    """
    table = lengths.tobytes()
    offsets = bit_offsets.astype(np.uint64)
    starts = np.zeros(len(offsets), np.int64)
    end_bit = np.uint64(0)
    done = int(offsets.searchsorted(end_bit, side="right"))
    for first in range(0, len(symbols), _BLOCK_SYMBOL_COUNT):
        code_bits = symbols[first : first + _BLOCK_SYMBOL_COUNT].translate(table)
        sums = np.frombuffer(code_bits + bytes(-len(code_bits) % 8), "<u8") * _EACH_BYTE
        word_bits = sums >> 56
        word_ends = word_bits.cumsum() + end_bit
        end_bit = word_ends[-1]
        until = int(offsets.searchsorted(end_bit, side="right"))
        ends = offsets[done:until]
        word = word_ends.searchsorted(ends)
        bits_in_word = ends - (word_ends - word_bits)[word]
        above = (sums | _HIGH_BITS)[word] - bits_in_word * _EACH_BYTE  # has the high bit where a sum is no less
        no_less, more = above & _HIGH_BITS, above - _EACH_BYTE & _HIGH_BITS
        if np.count_nonzero(no_less != more) < len(ends):
            return None
        starts[done:until] = (word << 3) - np.bitwise_count(no_less) + (first + 9)
        done = until
    decoded_all = done == len(offsets) and end_bit == offsets[-1]  # what the native code did is not taken on trust
    return starts if decoded_all else None


def code_lengths(packed_lengths: bytes | memoryview) -> NDArray[np.uint8]:
    """The code length of each of the 256 symbols, in bits, 0 for none."""
    packed = np.frombuffer(packed_lengths, np.uint8)
    return np.stack((packed & 15, packed >> 4), axis=1).reshape(-1)


def _in_order(stream: bytes | memoryview) -> bytes:
    """The stream in the order it was written, with spare bytes behind it."""
    padded = np.frombuffer(bytes(stream) + bytes(_SPARE_BYTE_COUNT + len(stream) % 2), "<u2")
    return padded.byteswap().tobytes()


def _decode_plain(
    stream: bytes, lengths: NDArray[np.uint8], total_bits: int, *, offset: int, file: str | None
) -> bytearray:
    """One code after the other, by a table of what each run of 15 bits begins with; length 0 stands for no code."""
    symbol_of = bytearray(1 << CODE_BITS_MAX)
    length_of = bytearray(1 << CODE_BITS_MAX)
    next_code = 0
    for symbol in sorted(np.flatnonzero(lengths).tolist(), key=lambda symbol: (lengths[symbol], symbol)):
        code_count = 1 << (CODE_BITS_MAX - int(lengths[symbol]))
        symbol_of[next_code : next_code + code_count] = bytes([symbol]) * code_count
        length_of[next_code : next_code + code_count] = bytes([lengths[symbol]]) * code_count
        next_code += code_count
    octets = np.frombuffer(stream, np.uint8).astype(np.uint32)
    windows = (octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]).tolist()  # 24 bits, from each byte on

    symbols = bytearray()
    position = 0
    while position < total_bits:
        code = windows[position >> 3] >> (9 - (position & 7)) & 0x7FFF
        if not length_of[code]:
            raise FormatError(f"no code begins at bit {position} of the page", file=file, offset=offset)
        symbols.append(symbol_of[code])
        position += length_of[code]
    return symbols
