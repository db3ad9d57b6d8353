"""
Encode the characters of a compressed dictionary page: what :mod:`tabvault.formats.vertipaq.huffman` decodes.

The lengths are those of Huffman's tree, the two rarest joined again and again; among equally rare ones the lower symbol
goes first, and a symbol before what was joined. While a code is over 15 bits, 1 is added to the count of every symbol
that occurs, and the tree built anew. uiDecodeBits, a hint, is the length of the longest code up to 8 bits; else the
smallest number of bits, up to 12, beyond which codes take no more than 1.1 % of the stream.

Source: the order among equals and the way to 15 bits were read off genuine pages, which they give back byte for byte.
Guesses: that the number added is the smallest one (genuine pages of three texts are over 15 bits; 1 and 5 to 9 give
their lengths); the 1.1 % (all genuine pages agree with any share from 1.04 % to 1.17 %); the second symbol of a page
that has but one (an incomplete code was never seen).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.formats.vertipaq.huffman import CODE_BITS_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SYMBOL_COUNT = 256

_EVERY_STEP_UNTIL = 64
"""Counts are raised by 1 at a time so long, and then by a 64th: hundreds of trees at most, whatever the counts."""

_DECODE_BITS_MIN, _DECODE_BITS_MAX = 2, 12
_DECODE_BITS_OF_SHORT_CODES = 8
_LONG_CODE_SHARE_MAX = 0.011

_GROUP_SYMBOL_COUNT = 4
"""Codes joined before they are put into words: 4 codes of 15 bits fit into 64 bits."""


class Page(NamedTuple):
    """
    An encoded page.

    *stream* has its bytes pairwise swapped and the two spare bytes behind it. *bit_offsets*, shape ``(n,)``, are where
    the strings begin.
    """

    stream: bytes
    packed_lengths: bytes
    decode_bits: int
    total_bits: int
    bit_offsets: NDArray[np.uint32]


def encode(symbols: NDArray[np.uint8], starts: NDArray[np.int64]) -> Page:
    """
    Encode all strings of a page.

    Args:
        symbols: of all strings, one behind the other; at least one.
        starts: shape ``(n,)``: where in *symbols* each string begins.
    """
    counts = np.bincount(symbols, minlength=_SYMBOL_COUNT)
    lengths = code_lengths(counts)
    bits_of = np.zeros(len(symbols) + 1, np.uint32)
    bits_of[1:] = lengths[symbols]
    ends = bits_of.cumsum(dtype=np.int64)
    total_bits = int(ends[-1])
    return Page(
        stream=_stream(_codes(lengths)[symbols], bits_of[1:], total_bits=total_bits),
        packed_lengths=(lengths[0::2] | lengths[1::2] << 4).tobytes(),
        decode_bits=_decode_bits(lengths, counts),
        total_bits=total_bits,
        bit_offsets=ends[starts].astype(np.uint32),
    )


def code_lengths(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """
    The code length of each symbol, in bits, 0 for one that does not occur.

    Args:
        counts: shape ``(256,)``: how often each symbol occurs, at least one of them.
    """
    used = np.flatnonzero(counts)
    if len(used) == 1:
        used = np.array(sorted({int(used[0]), 0 if used[0] else 1}))
    added = 0
    depths = _depths(counts[used].tolist())
    while max(depths) > CODE_BITS_MAX:
        added += 1 + added // _EVERY_STEP_UNTIL
        depths = _depths((counts[used] + added).tolist())
    lengths = np.zeros(_SYMBOL_COUNT, np.uint8)
    lengths[used] = depths
    return lengths


def _depths(weights: list[int]) -> list[int]:
    """How deep in Huffman's tree each of at least two leaves is."""
    heap = [(weight, node) for node, weight in enumerate(weights)]
    heapq.heapify(heap)
    parents = [0] * (2 * len(weights) - 1)
    for node in range(len(weights), len(parents)):
        weight, rarest = heapq.heappop(heap)
        other_weight, other = heap[0]
        parents[rarest] = parents[other] = node
        heapq.heapreplace(heap, (weight + other_weight, node))
    depths = [0] * len(parents)
    for node in range(len(parents) - 2, -1, -1):
        depths[node] = depths[parents[node]] + 1
    return depths[: len(weights)]


def _codes(lengths: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The canonical code of each symbol."""
    order = np.lexsort((np.arange(_SYMBOL_COUNT), lengths))
    order = order[lengths[order] > 0]
    space = 1 << (CODE_BITS_MAX - lengths[order].astype(np.int64))  # what a code takes of all runs of 15 bits
    codes = np.zeros(_SYMBOL_COUNT, np.uint64)
    codes[order] = (space.cumsum() - space) // space
    return codes


def _decode_bits(lengths: NDArray[np.uint8], counts: NDArray[np.int64]) -> int:
    longest = int(lengths.max())
    if longest <= _DECODE_BITS_OF_SHORT_CODES:
        return max(_DECODE_BITS_MIN, longest)
    bits = np.bincount(lengths, weights=counts * lengths)
    beyond = bits[::-1].cumsum()[::-1] / bits.sum()  # the share of the codes of so many bits and more
    shares = beyond[_DECODE_BITS_MIN + 1 : _DECODE_BITS_MAX + 1]
    return _DECODE_BITS_MIN + int(np.count_nonzero(shares > _LONG_CODE_SHARE_MAX))


def _stream(codes: NDArray[np.uint64], bits: NDArray[np.uint32], *, total_bits: int) -> bytes:
    """The codes from the highest bit of each 16-bit unit on, and an empty unit behind them."""
    values, widths = _groups(codes, bits.astype(np.uint64))
    ends = widths.cumsum()
    starts = ends - widths
    word_of, offset = starts >> np.uint64(6), starts & np.uint64(63)
    aligned = values << (np.uint64(64) - widths)  # every width is from 1 to 60
    words = np.zeros(total_bits // 64 + 2, np.uint64)
    (firsts,) = np.diff(word_of, prepend=np.uint64(0xFFFFFFFF)).nonzero()
    words[word_of[firsts]] = np.bitwise_or.reduceat(aligned >> offset, firsts)
    (lasts,) = (offset + widths > 64).nonzero()  # at most one group of a word goes on in the next
    words[word_of[lasts] + np.uint64(1)] |= aligned[lasts] << (np.uint64(64) - offset[lasts])
    unit_count = -(-total_bits // 16) + 1
    return words.astype(">u8").view(">u2")[:unit_count].astype("<u2").tobytes()


def _groups(codes: NDArray[np.uint64], bits: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Neighbouring codes joined, :data:`_GROUP_SYMBOL_COUNT` at a time: their bits and how many these are."""
    missing = -len(codes) % _GROUP_SYMBOL_COUNT
    codes, bits = (np.concatenate((values, np.zeros(missing, np.uint64))) for values in (codes, bits))
    group_symbol_count = _GROUP_SYMBOL_COUNT
    while group_symbol_count > 1:
        codes = codes[0::2] << bits[1::2] | codes[1::2]
        bits = bits[0::2] + bits[1::2]
        group_symbol_count //= 2
    return codes, bits
