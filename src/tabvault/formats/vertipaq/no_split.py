"""
Encode segments of system tables (``XMRENoSplitCompressionInfo<N>``).

The words are bit-packed, value = stored + Min. What the columns of the system tables take:

======================================================= ======= ========================================
column                                                  Min     N
======================================================= ======= ========================================
H$ POS_TO_ID and ID_TO_POS                              0       32
R$ INDEX                                                -1      the smallest for the rows of the one side
U$ MULTI_LEVEL_ID                                       0       32
U$ PARENT_POS, FIRST_CHILD_POS, CHILD_COUNT             -1      32
======================================================= ======= ========================================

The statistics of such a segment are empty. Older builds fill them in for some R$ INDEX: RowCount is Records, MinDataID
-1 and MaxDataID the last row of the one side (both as unsigned numbers), DistinctStates how many numbers that is.

Source: [MS-XLDM] 2.7.1, 2.4; Min, N and the statistics were read off genuine files.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tabvault.formats.vertipaq import bitpack
from tabvault.formats.vertipaq.encoded_segment import EncodedSegment, framed
from tabvault.formats.vertipaq.idfmeta import NO_SPLIT_CLASS, NULL_DATA_ID, SegmentMeta, SegmentStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUB_CLASS = 1

_U32_MAX = 0xFFFFFFFF

_NO_ROW = -1
"""In a relationship index: no row of the one side matches."""

_NO_STATISTICS = SegmentStatistics(
    distinct_states=0,
    min_data_id=NULL_DATA_ID,
    max_data_id=NULL_DATA_ID,
    original_min_segment_data_id=NULL_DATA_ID,
    rle_sort_order=-1,
    row_count=0,
    has_nulls=False,
    rle_runs=0,
    others_rle_runs=0,
)


def encode(
    values: NDArray[np.int64],
    *,
    min: int,  # noqa: A002 - the specification's word
    bit_width: int,
    one_side_row_count: int | None = None,
) -> EncodedSegment:
    """
    Encode one segment.

    Args:
        values: shape ``(Records,)``.
        min: subtracted from each value, so that none is negative.
        bit_width: one of :data:`~tabvault.formats.vertipaq.bit_widths.BIT_WIDTHS`.
        one_side_row_count: fill in the statistics, as older builds do in a relationship index of a table with so many
            rows.

    Raises:
        ValueError: a value minus *min* does not fit into *bit_width* bits.
    """
    stored = values - min
    if len(stored) and (stored.min() < 0 or int(stored.max()) >> bit_width):
        raise ValueError(f"values {values.min()} to {values.max()} do not fit into {bit_width} bits from {min} on")
    words = bitpack.pack(stored.astype(np.uint32), bit_width=bit_width)
    meta = SegmentMeta(
        records=len(values),
        mask=0,
        compression_class=NO_SPLIT_CLASS + bit_width,
        sub_class=_SUB_CLASS,
        bookmark_bits=None,
        storage_alloc_size=None,
        storage_used_size=None,
        min=min,
        statistics=_NO_STATISTICS if one_side_row_count is None else _statistics(len(values), one_side_row_count),
        sub_records=None,
        data_offsets=None,
    )
    return EncodedSegment(framed(words), meta)


def _statistics(records: int, one_side_row_count: int) -> SegmentStatistics:
    return replace(
        _NO_STATISTICS,
        distinct_states=one_side_row_count + 1,
        min_data_id=_NO_ROW & _U32_MAX,
        max_data_id=(one_side_row_count - 1) & _U32_MAX,
        row_count=records,
    )
