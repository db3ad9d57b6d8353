"""
Bit-packed values (``XMRENoSplit<N>``).

Values of ``bit_width`` bits lie in 64-bit little-endian words, lowest bits first. A value never crosses a word: the top
``64 % bit_width`` bits of a word are unused, and what stands in them or after the last value means nothing.

======== ==========================
width    values in a word
======== ==========================
1..32    ``64 // bit_width``
======== ==========================

Which widths there are, and how many words: :mod:`~tabvault.formats.vertipaq.bit_widths`.

Source: [MS-XLDM] 2.7.1 (layout).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tabvault.errors import FormatError
from tabvault.formats.vertipaq.bit_widths import BIT_WIDTHS, word_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHIFTS = {width: np.arange(0, 64 // width * width, width, dtype=np.uint64) for width in range(1, 33)}
"""Where the values of a word begin, by bit width."""

_MASKS = {width: np.uint64((1 << width) - 1) for width in range(1, 33)}

_BLOCK_VALUE_COUNT = 1 << 16
"""Values unpacked at a time: what lies between words and values stays in the processor's cache."""

_SHORT_WORD_COUNT = 256
_MANY_PER_WORD = 16
"""Measured: fewer words, or more values in each, are unpacked faster word by word than shift by shift."""


def pack(values: NDArray[np.uint32], *, bit_width: int) -> NDArray[np.uint64]:
    """
    Encode *values* as the engine does, with the word more than full words are needed.

    Args:
        values: shape ``(n,)``, each below ``1 << bit_width``.
        bit_width: one of :data:`BIT_WIDTHS`.

    Returns:
        Array of :func:`word_count` words, little-endian in memory; unused bits are 0.

    Raises:
        ValueError: the width is none of the engine's, or a value does not fit into it.
    """
    if bit_width not in BIT_WIDTHS:
        raise ValueError(f"bit width {bit_width} is none of {BIT_WIDTHS}")
    if len(values) and int(values.max()) >> bit_width:
        raise ValueError(f"value {values.max()} does not fit into {bit_width} bits")
    per_word = 64 // bit_width
    words = np.zeros(word_count(len(values), bit_width=bit_width), "<u8")
    if bit_width in {8, 16, 32}:
        words.view(f"<u{bit_width // 8}")[: len(values)] = values
        return words
    block_word_count = _BLOCK_VALUE_COUNT // per_word
    for first in range(0, len(words), block_word_count):
        block = words[first : first + block_word_count]
        _pack_block(values[first * per_word : (first + len(block)) * per_word], block, bit_width=bit_width)
    return words


def _pack_block(values: NDArray[np.uint32], words: NDArray[np.uint64], *, bit_width: int) -> None:
    """
    Pack *values* into *words*, which are 0.

    Neighbours are joined as long as the values of a word can be halved: it takes far fewer operations than a shift for
    each value of a word.
    """
    per_word = 64 // bit_width
    lanes: NDArray[np.uint64] = np.zeros(len(words) * per_word, np.uint64)
    lanes[: len(values)] = values
    while per_word % 2 == 0:
        lanes = lanes[0::2] | lanes[1::2] << np.uint64(bit_width)
        bit_width *= 2
        per_word //= 2
    for index in range(per_word):
        words |= lanes[index::per_word] << np.uint64(index * bit_width)


def unpack(words: NDArray[np.uint64], *, bit_width: int, count: int) -> NDArray[np.uint32]:
    """
    Decode *count* values of *bit_width* bits.

    Args:
        words: shape ``(n,)``, contiguous, little-endian in memory as ``np.frombuffer(data, "<u8")`` gives them; they
            may hold more than *count* values, never fewer.
        bit_width: 1..32 bits.
        count: values to decode.

    Returns:
        Array of shape ``(count,)``, a copy: safe to keep and to write to.

    Raises:
        ValueError: the width is none, or the words hold fewer than *count* values.
    """
    if not 1 <= bit_width <= 32:
        raise ValueError(f"bit width {bit_width} is not in 1..32")
    per_word = 64 // bit_width
    if count > len(words) * per_word:
        raise ValueError(f"{len(words)} words of {bit_width}-bit values hold fewer than {count} values")
    used = words[: -(-count // per_word)]
    if bit_width in {8, 16, 32}:
        return used.view(f"<u{bit_width // 8}")[:count].astype(np.uint32)
    shifts, mask = _SHIFTS[bit_width], _MASKS[bit_width]
    if len(used) < _SHORT_WORD_COUNT:
        return (used[:, np.newaxis] >> shifts & mask).astype(np.uint32).reshape(-1)[:count]
    values = np.empty((len(used), per_word), np.uint32)
    block_word_count = _BLOCK_VALUE_COUNT // per_word
    for start in range(0, len(used), block_word_count):
        block = used[start : start + block_word_count]
        if per_word >= _MANY_PER_WORD:
            values[start : start + len(block)] = block[:, np.newaxis] >> shifts & mask
        else:  # few shifts of many words: several times faster than many shifts of one word
            for index, shift in enumerate(shifts):
                values[start : start + len(block), index] = block >> shift & mask
    return values.reshape(-1)[:count]


def unpack_counted(
    words: NDArray[np.uint64], *, bit_width: int, count: int, offset: int, file: str | None
) -> NDArray[np.uint32]:
    """
    Decode all the values that a segment stores in *words*.

    Args:
        words: the segment's words.
        bit_width: one of :data:`BIT_WIDTHS`.
        count: values, as the segment metadata say.
        offset: of the segment in the file, for errors.
        file: logical name, for errors.

    Returns:
        Array of shape ``(count,)``, a copy.

    Raises:
        FormatError: width and count are not those that the words were written with.
    """
    expected = word_count(count, bit_width=bit_width)
    if len(words) != expected:
        raise FormatError(
            f"{len(words)} words for {count} values of {bit_width} bits, not {expected}", file=file, offset=offset
        )
    return unpack(words, bit_width=bit_width, count=count)
