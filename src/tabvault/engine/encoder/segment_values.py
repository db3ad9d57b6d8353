"""
The distinct values of a column in one segment, in the order in which they first appear, and the number of each row's.

Number 0 is null, the n-th value is n. Texts, doubles, dates and decimals go through Arrow's hash table. Integers whose
range is not much larger than the segment, as keys and counts are, index an array instead, which takes half the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.unsignedinteger]

_DENSE_SPAN_MAX = 2
"""Largest range, in rows of the segment, for which an array is as fast as a hash table."""


def numbered(chunks: Sequence[pa.Array]) -> tuple[pa.Array, Numbers]:
    """
    Number the values of a segment.

    Args:
        chunks: its rows, one at least, all of one type.

    Returns:
        The distinct values without null, as Arrow tells them apart, and numbers of the narrowest type.
    """
    if pa.types.is_int64(chunks[0].type) and not any(chunk.null_count for chunk in chunks):
        found = _dense(np.concatenate([chunk.to_numpy() for chunk in chunks]))
        if found is not None:
            return found
    encoded = pa.chunked_array(chunks).dictionary_encode()
    values = encoded.chunk(0).dictionary  # that of every chunk
    numbers = np.empty(sum(map(len, chunks)), np.min_scalar_type(len(values)))
    start = 0
    for chunk in encoded.chunks:
        indexes = chunk.indices.fill_null(-1) if chunk.null_count else chunk.indices
        np.add(indexes.to_numpy(), 1, out=numbers[start : start + len(indexes)], casting="unsafe")
        start += len(indexes)
    return values, numbers


def _dense(rows: NDArray[np.int64]) -> tuple[pa.Array, Numbers] | None:
    """The same for integers of a small range; None if theirs is not."""
    lowest, highest = int(rows.min()), int(rows.max())
    if highest - lowest >= _DENSE_SPAN_MAX * len(rows):
        return None
    offsets = rows - lowest
    first_of = np.full(highest - lowest + 1, -1, np.int32)
    first_of[offsets[::-1]] = np.arange(len(rows), dtype=np.int32)[::-1]  # of several assignments the last one holds
    is_first = np.zeros(len(rows), np.bool_)
    is_first[first_of[first_of >= 0]] = True
    (first,) = is_first.nonzero()
    number_of = np.zeros(len(first_of), np.min_scalar_type(len(first)))
    number_of[offsets[first]] = np.arange(1, len(first) + 1)
    return pa.array(rows[first]), number_of.take(offsets)
