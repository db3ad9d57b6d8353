"""
Hybrid segments (``XMHybridRLECompressionInfo``): run lengths over bit-packed stretches.

Each primary word is an entry ``u32 value, u32 count``. ``value + c == 0xFFFFFFFF``, where c is how many bit-packed
values the entries before it took, means that the next *count* values come from the subsegment; else *count* rows have
the data id *value*. There are ``StorageUsedSize / 2 - 1`` entries; the words after them are slack and may hold
anything. The subsegment is packed in N bits, data id = stored + Min.

*XM123* (the row number) has one entry for all rows and a subsegment of no words: its ids count up from MinDataID.

Source: [MS-XLDM] 2.7.1 to 2.7.3; the number of entries, the slack and the mark's dependence on c were read off
    genuine files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tabvault.errors import FormatError
from tabvault.formats.vertipaq import bitpack
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.idfmeta import SegmentMeta

BIT_PACKED_MARK = 0xFFFFFFFF
"""Value of the first entry that is a bit-packed stretch."""


def decode(
    words: NDArray[np.uint64],
    sub_words: NDArray[np.uint64],
    segment: SegmentMeta,
    *,
    offset: int,
    sub_offset: int,
    file: str | None,
) -> NDArray[np.uint32]:
    """
    Expand one segment.

    Args:
        words: the primary words.
        sub_words: the words of the subsegment.
        segment: what the segment metadata say.
        offset: of the primary word count in the file, for errors.
        sub_offset: of the subsegment's word count in the file, for errors.
        file: logical name, for errors.

    Returns:
        The data ids, shape ``(Records,)``, a copy.

    Raises:
        FormatError: words and metadata contradict each other.
    """
    allocated, used, sub_records = segment.storage_alloc_size, segment.storage_used_size, segment.sub_records
    assert allocated is not None
    assert used is not None
    assert sub_records is not None
    if allocated != 2 * len(words) or used > allocated:
        raise FormatError(
            f"{len(words)} primary words, with StorageAllocSize {allocated} and StorageUsedSize {used}",
            file=file,
            offset=offset,
        )
    if segment.is_xm123:
        return _counted(words, sub_words, segment, offset=offset, file=file)
    if sub_records > segment.records:
        raise FormatError(
            f"Records of the subsegment is {sub_records}, over {segment.records} of the segment",
            file=file,
            offset=sub_offset,
        )
    packed = bitpack.unpack_counted(
        sub_words, bit_width=segment.bit_width, count=sub_records, offset=sub_offset, file=file
    )
    packed += np.uint32(segment.min)  # a sum past 2^32 comes out below Min, and is found by _check_ids
    values, counts = _entries(words, used // 2 - 1)
    if len(values) == 1 and values[0] == BIT_PACKED_MARK and counts[0] == sub_records == segment.records:
        _check_ids(values[:0], packed, segment, offset=offset, file=file)
        return packed  # by far the most common: one stretch of all rows
    is_packed = _packed_entries(values, counts, segment, offset=offset, file=file)
    run_ids = values[~is_packed] if len(packed) else values
    _check_ids(run_ids, packed, segment, offset=offset, file=file)
    data_ids = values.repeat(counts)
    if len(packed):
        data_ids[is_packed.repeat(counts)] = packed
    return data_ids


def _entries(words: NDArray[np.uint64], entry_count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The values and the counts of the first entries."""
    halves = words[:entry_count].view("<u4")
    return halves[0::2], halves[1::2]


def _counted(
    words: NDArray[np.uint64], sub_words: NDArray[np.uint64], segment: SegmentMeta, *, offset: int, file: str | None
) -> NDArray[np.uint32]:
    """XM123: the ids from MinDataID to MaxDataID, one for each row."""
    statistics = segment.statistics
    if segment.sub_records != segment.records or len(sub_words) or statistics.has_nulls:
        raise FormatError(
            f"row number of {segment.records} rows has {segment.sub_records} rows and {len(sub_words)} words in its "
            f"subsegment, nulls: {statistics.has_nulls}",
            file=file,
            offset=offset,
        )
    if segment.records == 0:
        return np.empty(0, np.uint32)
    values, counts = _entries(words, 1)
    if len(values) == 0 or values[0] != BIT_PACKED_MARK or counts[0] != segment.records:
        raise FormatError(
            f"first entry of the row number is not the mark of {segment.records} rows", file=file, offset=offset + 8
        )
    id_count = statistics.max_data_id - statistics.min_data_id + 1
    if id_count != segment.records:
        raise FormatError(
            f"MinDataID to MaxDataID are {id_count} ids, and Records is {segment.records}", file=file, offset=offset
        )
    return np.arange(statistics.min_data_id, statistics.max_data_id + 1, dtype=np.uint32)


def _packed_entries(
    values: NDArray[np.uint32], counts: NDArray[np.uint32], segment: SegmentMeta, *, offset: int, file: str | None
) -> NDArray[np.bool_]:
    """
    Which entries stand for bit-packed values: those over MaxDataID.

    Each of them has to be the very mark that its place demands. The counts of all entries sum to Records and those of
    the marks to the subsegment's, which bounds what is allocated; no entry stands for no row.
    """
    statistics, sub_records = segment.statistics, segment.sub_records or 0
    if statistics.max_data_id + sub_records >= BIT_PACKED_MARK:
        raise FormatError(
            f"MaxDataID {statistics.max_data_id} cannot be told from the marks of {sub_records} bit-packed values",
            file=file,
            offset=offset,
        )
    is_packed = values > np.uint32(statistics.max_data_id)
    packed_counts = counts[is_packed]
    taken = packed_counts.cumsum(dtype=np.uint64)
    found = (int(counts.sum(dtype=np.uint64)), int(taken[-1]) if len(taken) else 0, len(taken))
    stated = (segment.records, sub_records, statistics.others_rle_runs if segment.records else 0)
    if found != stated:
        raise FormatError(
            "rows, bit-packed rows and bit-packed stretches of the entries are {}, {}, {}; ".format(*found)
            + "Records, Records of the subsegment and OthersRLERuns say {}, {}, {}".format(*stated),
            file=file,
            offset=offset + 8,
        )
    is_marked = values[is_packed] + (taken - packed_counts) == BIT_PACKED_MARK
    if np.count_nonzero(is_marked) < len(taken) or np.count_nonzero(counts) < len(counts):
        raise FormatError(
            f"an entry is for no row, or is neither of an id up to MaxDataID {statistics.max_data_id} nor the mark "
            "of its place",
            file=file,
            offset=offset + 8,
        )
    return is_packed


def _check_ids(
    run_ids: NDArray[np.uint32], packed: NDArray[np.uint32], segment: SegmentMeta, *, offset: int, file: str | None
) -> None:
    """Demand that MinDataID, MaxDataID and HasNulls are what the ids say."""
    lowest, lowest_value, highest = 1 << 32, 1 << 32, NULL_DATA_ID
    for data_ids in (run_ids, packed):
        if len(data_ids):
            low = int(data_ids.min())
            lowest, highest = min(lowest, low), max(highest, int(data_ids.max()))
            if low == NULL_DATA_ID:  # minus the first id, BLANK wraps to the largest of all unsigned numbers
                low = int((data_ids - np.uint32(FIRST_DATA_ID)).min()) + FIRST_DATA_ID
            lowest_value = min(lowest_value, low)
    if segment.records and lowest < NULL_DATA_ID:
        raise FormatError(f"data id {lowest} stands for nothing", file=file, offset=offset)
    statistics = segment.statistics
    found = (min(lowest_value, highest), highest, lowest == NULL_DATA_ID)
    stated = (statistics.min_data_id, statistics.max_data_id, statistics.has_nulls)
    if found != stated:
        raise FormatError(
            "data ids run from {} to {}, nulls: {}; ".format(*found)
            + "MinDataID, MaxDataID and HasNulls say {}, {}, {}".format(*stated),
            file=file,
            offset=offset,
        )
