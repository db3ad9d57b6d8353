"""
How wide packed values are, and how many words they take: what the metadata of a segment says of its data.

The engine uses fourteen widths, and always one word more than full words are needed: ``count // per_word + 1``, so an
extra word stands behind a count that fills its words exactly, and one word stands for no value at all.

Source: read off genuine files, without an exception. The packing itself is :mod:`~tabvault.formats.vertipaq.bitpack`.
"""

from __future__ import annotations

BIT_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 21, 32)
"""Every N for which the engine has a class ``XMRENoSplit<N>``."""


def word_count(count: int, *, bit_width: int) -> int:
    """Words that the engine writes for *count* values."""
    return count // (64 // bit_width) + 1


def width_of(span: int) -> int:
    """
    The width that the engine takes for stored values from 0 to *span*: the smallest it has, and never none.

    Raises:
        ValueError: *span* does not fit into 32 bits.
    """
    if not 0 <= span < 1 << 32:
        raise ValueError(f"values up to {span} fit into no bit width")
    return next(width for width in BIT_WIDTHS if span < 1 << width)
