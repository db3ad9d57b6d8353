"""
An encoded segment: its words as they stand in the ``.idf`` file, and what the ``.idfmeta`` file says about them.

The ``.idf`` file of a column is the words of its segments, one behind the other; the layout is that of
:mod:`tabvault.formats.vertipaq.idf`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.idfmeta import SegmentMeta


@dataclass(frozen=True, slots=True)
class EncodedSegment:
    """
    One segment.

    *words* are framed: the word count and the words, and behind them those of the subsegment in a hybrid segment.
    *meta* has no *data_offsets*: where the segment lies follows from the segments before it.
    """

    words: bytes = field(repr=False)
    meta: SegmentMeta


def framed(words: NDArray[np.uint64]) -> bytes:
    """The word count and the *words*, which are little-endian in memory."""
    return len(words).to_bytes(8, "little") + words.tobytes()
