"""
Encode segments of table columns: what :mod:`tabvault.formats.vertipaq.hybrid` decodes.

Every run of 64 equal data ids and more becomes an entry of its own, what lies between two of them a bit-packed stretch.
The primary words are the smallest power of two, from 16 on, that leaves three words of slack; ours is zeros.

===================================== ==================================================================================
field                                 what the engine writes
===================================== ==================================================================================
Min                                   2 with nulls, else MinDataID; of the row number its first id
N                                     the smallest for MaxDataID - Min
OriginalMinSegmentDataID              2 in a column with a hash dictionary, 3 with value encoding, 0x80000000 in a
                                      segment of nulls alone
Mask                                  1, but 0 in the row number, in calculated columns, and in some others
BookmarkBits, builds until 2023       with g = Records div 64: floor(log2(g)), 1 while g is 0
BookmarkBits, builds since            ceil(log2(10 * (Records + 1) / (entries + 1))), 1 without rows
BookmarkBits of the row number        24
===================================== ==================================================================================

Source: read off genuine files, which these rules give back byte for byte; [MS-XLDM] 2.7.3. No genuine file has a
second segment of a row number: that its Min is its own first id is a guess, after the other hybrid segments.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.formats.vertipaq import bit_widths, bitpack
from tabvault.formats.vertipaq.encoded_segment import EncodedSegment, framed
from tabvault.formats.vertipaq.hybrid import BIT_PACKED_MARK
from tabvault.formats.vertipaq.idfmeta import (
    FIRST_DATA_ID,
    HYBRID_CLASS,
    NO_SPLIT_CLASS,
    NULL_DATA_ID,
    XM123_CLASS,
    SegmentMeta,
    SegmentStatistics,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN_LENGTH_MIN = 64
"""Equal ids side by side, from which on they are an entry."""

_PRIMARY_WORD_COUNT_MIN = 16

_ORIGINAL_MIN_OF_NULLS = 0x80000000

_ROW_NUMBER_BOOKMARK_BITS = 24


class BookmarkRule(Enum):
    """How BookmarkBits, a hint for random access, is found: :attr:`ROWS` until 2023, :attr:`ENTRIES` since."""

    ROWS = "rows"
    ENTRIES = "entries"

    def bits(self, *, records: int, entry_count: int) -> int:
        """BookmarkBits of a segment of so many rows and entries."""
        if records == 0:
            return 1
        if self is BookmarkRule.ROWS:
            return (records // RUN_LENGTH_MIN).bit_length() - 1 if records >= RUN_LENGTH_MIN else 1
        rows_per_entry = -(-10 * (records + 1) // (entry_count + 1))
        return (rows_per_entry - 1).bit_length()


class _Entries(NamedTuple):
    """The entries of a segment in their order: ids (any for a stretch), counts, which are runs."""

    data_ids: NDArray[np.uint32]
    counts: NDArray[np.int64]
    is_run: NDArray[np.bool_]


def encode(
    data_ids: NDArray[np.uint32], *, mask: int = 1, bookmark: BookmarkRule, is_value_encoded: bool = False
) -> EncodedSegment:
    """
    Encode one segment of a table column.

    Args:
        data_ids: shape ``(Records,)``: 2 for BLANK, else 3 and up.
        mask: 0 or 1, see above; no reader needs it.
        bookmark: the rule of the builds that are followed.
        is_value_encoded: whether the column has no hash dictionary.

    Raises:
        ValueError: an id stands for nothing, or so high that it is the mark of a stretch.
    """
    lowest, highest = (int(data_ids.min()), int(data_ids.max())) if len(data_ids) else (NULL_DATA_ID, NULL_DATA_ID)
    if lowest < NULL_DATA_ID:
        raise ValueError(f"data id {lowest} stands for nothing")
    if highest + len(data_ids) >= BIT_PACKED_MARK:
        raise ValueError(f"data id {highest} cannot be told from the marks of {len(data_ids)} rows")
    entries = _entries(data_ids)
    packed = data_ids[~entries.is_run.repeat(entries.counts)] if entries.is_run.any() else data_ids
    bit_width = bit_widths.width_of(highest - lowest)
    return _encoded(
        _entry_words(entries),
        bitpack.pack(packed - np.uint32(lowest), bit_width=bit_width),
        used_entry_count=len(entries.counts),
        bookmark_bits=bookmark.bits(records=len(data_ids), entry_count=len(entries.counts)),
        mask=mask,
        sub_class=NO_SPLIT_CLASS + bit_width,
        min_=lowest,
        statistics=_statistics(data_ids, entries, lowest=lowest, highest=highest, is_value_encoded=is_value_encoded),
        sub_records=len(packed),
    )


def encode_row_number(count: int, *, first_data_id: int = FIRST_DATA_ID) -> EncodedSegment:
    """
    Encode one segment of the row number (XM123): ids that count up from *first_data_id*, of which none is stored.

    Args:
        count: rows of the segment.
        first_data_id: 3, and in a later segment of the table so many more as rows are before it.
    """
    stretch = _Entries(np.zeros(1, np.uint32), np.array([count]), np.zeros(1, np.bool_))
    statistics = SegmentStatistics(
        distinct_states=0,
        min_data_id=first_data_id if count else NULL_DATA_ID,
        max_data_id=first_data_id + count - 1 if count else NULL_DATA_ID,
        original_min_segment_data_id=NULL_DATA_ID,
        rle_sort_order=-1,
        row_count=count,
        has_nulls=False,
        rle_runs=0,
        others_rle_runs=0,
    )
    return _encoded(
        _entry_words(stretch),
        np.empty(0, "<u8"),
        used_entry_count=0,
        bookmark_bits=_ROW_NUMBER_BOOKMARK_BITS,
        mask=0,
        sub_class=XM123_CLASS,
        min_=first_data_id,
        statistics=statistics,
        sub_records=count,
    )


def _entries(data_ids: NDArray[np.uint32]) -> _Entries:
    """The runs, and the stretches between them."""
    starts, lengths = _runs(data_ids)
    bounds = np.zeros(2 * len(starts) + 2, np.int64)  # stretch, run, stretch, run, …, stretch; stretches may be empty
    bounds[1:-1:2] = starts
    bounds[2:-1:2] = starts + lengths
    bounds[-1] = len(data_ids)
    counts = np.diff(bounds)
    is_run = np.arange(len(counts)) % 2 == 1
    ids = np.zeros(len(counts), np.uint32)
    ids[is_run] = data_ids[starts]
    is_kept = counts > 0
    return _Entries(ids[is_kept], counts[is_kept], is_run[is_kept])


def _runs(data_ids: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the runs of :data:`RUN_LENGTH_MIN` and more begin, and how long they are."""
    (changes,) = (data_ids[1:] != data_ids[:-1]).nonzero()
    bounds = np.concatenate(([0], changes + 1, [len(data_ids)]))
    lengths = np.diff(bounds)
    (long,) = (lengths >= RUN_LENGTH_MIN).nonzero()
    return bounds[long], lengths[long]


def _entry_words(entries: _Entries) -> NDArray[np.uint64]:
    """The primary words. The mark of a stretch counts down by the values that the stretches before it took."""
    taken = np.where(entries.is_run, 0, entries.counts).cumsum()
    marks = BIT_PACKED_MARK - taken + entries.counts
    words = np.zeros(max(_PRIMARY_WORD_COUNT_MIN, 1 << (len(entries.counts) + 2).bit_length()), "<u8")
    halves = words.view("<u4")
    halves[0 : 2 * len(marks) : 2] = np.where(entries.is_run, entries.data_ids, marks)
    halves[1 : 2 * len(marks) : 2] = entries.counts
    return words


def _statistics(
    data_ids: NDArray[np.uint32], entries: _Entries, *, lowest: int, highest: int, is_value_encoded: bool
) -> SegmentStatistics:
    run_count = int(np.count_nonzero(entries.is_run))
    has_nulls = lowest == NULL_DATA_ID and len(data_ids) > 0
    original_min = FIRST_DATA_ID if is_value_encoded else NULL_DATA_ID
    if has_nulls and highest == NULL_DATA_ID:
        original_min = _ORIGINAL_MIN_OF_NULLS
    elif has_nulls:  # minus the first id, BLANK wraps to the largest of all unsigned numbers
        lowest = int((data_ids - np.uint32(FIRST_DATA_ID)).min()) + FIRST_DATA_ID
    return SegmentStatistics(
        distinct_states=0,
        min_data_id=lowest,
        max_data_id=highest,
        original_min_segment_data_id=original_min,
        rle_sort_order=-1,
        row_count=len(data_ids),
        has_nulls=has_nulls,
        rle_runs=run_count,
        others_rle_runs=len(entries.counts) - run_count if len(data_ids) else 1,  # without rows, 1 that is not there
    )


def _encoded(
    words: NDArray[np.uint64],
    sub_words: NDArray[np.uint64],
    *,
    used_entry_count: int,
    bookmark_bits: int,
    mask: int,
    sub_class: int,
    min_: int,
    statistics: SegmentStatistics,
    sub_records: int,
) -> EncodedSegment:
    meta = SegmentMeta(
        records=statistics.row_count,
        mask=mask,
        compression_class=HYBRID_CLASS,
        sub_class=sub_class,
        bookmark_bits=bookmark_bits,
        storage_alloc_size=2 * len(words),
        storage_used_size=2 * (used_entry_count + 1),
        min=min_,
        statistics=statistics,
        sub_records=sub_records,
        data_offsets=None,
    )
    return EncodedSegment(framed(words) + framed(sub_words), meta)
