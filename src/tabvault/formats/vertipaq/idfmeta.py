r"""
Segment metadata: how the segments of one ``.idf`` file are encoded, and what the engine knew about their data ids.

::

    "<1:CP\0"  u64 segment count, so many column segments, "CP:1>\0", and in newer builds the segment data offsets

    column segment                      offset  type  field
      "<1:CS\0"                              0
      Records                                6  u64   rows in the segment
      Mask                                  14  u64   0 or 1, not needed to read
      CompressionClass                      22  u32   0xABA5A hybrid, else 0xABA36 + N: NoSplit<N>
      SubClass                              26  u32   hybrid: 0xABA36 + N or 0xABA5B (XM123); NoSplit: 1
      - hybrid only -
      BookmarkBits                              u64   a hint for the engine's random access
      StorageAllocSize                          u64   32-bit halves of the primary words
      StorageUsedSize                           u64   2 * (RLERuns + OthersRLERuns + 1), or 2 without entries
      SegmentNeedsResizing                      u8    0
      - all -
      Min                                       i32   added to each bit-packed value
      statistics                                      "<1:SS\0" … "SS:1>\0", see SegmentStatistics
      has subsegment                            u8    hybrid 1, NoSplit 0
      "<1:CS\0" u64 Records, u64 Mask, u8 0, "CS:1>\0"   the subsegment: how many values are bit-packed
      "CS:1>\0"

    segment data offsets
      "<1:SDOs\0", for each segment "<1:CSDOs\0" i64 offset, i64 words, the same again nested for the subsegment
      of a hybrid segment, "CSDOs:1>\0"; "SDOs:1>\0"

Source: read off genuine files of 2016 to 2026, side by side with the XML twin of the same fields in Power Pivot
    workbooks,
whose names ([MS-XLDM] 2.5.2: ``XMColumnSegment``, ``XMRLECompressionInfo``, ``XMRENoSplitCompressionInfo``) are used
here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct
from typing import TYPE_CHECKING

from tabvault.errors import FormatError, LimitError
from tabvault.formats.cursor import Cursor
from tabvault.formats.vertipaq.bit_widths import BIT_WIDTHS, word_count
from tabvault.formats.vertipaq.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HYBRID_CLASS = 0xABA5A
"""``XMHybridRLECompressionInfo``: run lengths over bit-packed stretches, in every table column."""

XM123_CLASS = 0xABA5B
"""``XM123CompressionInfo``: ids that count up, in the row number; nothing is stored for them."""

NO_SPLIT_CLASS = 0xABA36
"""``XMRENoSplitCompressionInfo<N>`` is this plus N."""

NULL_DATA_ID = 2
"""BLANK, in every column of every file; the ids below it stand for no value."""

FIRST_DATA_ID = 3
"""The first id that stands for a value."""

RECORDS_MAX = 1 << 27
"""
Rows in a segment that we allocate for. [MS-XLDM] 2.3.1 allows 2^24; servers can be set to more, and their first segment
may hold two segments' rows. A run-length entry makes any number of rows from eight bytes, so there has to be an end.
"""

_PARTITION = Record("column partition", "Q", begin=b"<1:CP\0")
_SEGMENT = Record("column segment", "QQII", begin=b"<1:CS\0")
_HYBRID = Struct("<QQQBi")
_STATISTICS = Record("segment statistics", "QIIIqQBQQ", begin=b"<1:SS\0", end=b"SS:1>\0")
_SUBSEGMENT = Record("subsegment", "QQ", begin=b"\1<1:CS\0", end=b"\0CS:1>\0CS:1>\0")
_PLACE = Record("segment data offset", "qq", begin=b"<1:CSDOs\0")
_SUB_PLACE = Record("subsegment data offset", "qq", begin=b"<1:CSDOs\0", end=b"CSDOs:1>\0")

_NO_SPLIT = Struct("<i")
_PARTITION_END = b"CP:1>\0"
_PLACES, _PLACES_END = b"<1:SDOs\0", b"SDOs:1>\0"
_PLACE_END = b"CSDOs:1>\0"
_NO_SUBSEGMENT = b"\0CS:1>\0"

_SEGMENT_BYTE_COUNT_MIN = 106
"""A NoSplit segment, the smallest there is: it bounds the segment count by the bytes that remain."""

_RELATIONS = (
    ("RowCount", "Records"),
    ("StorageUsedSize", "2 * (RLERuns + OthersRLERuns + 1)"),
    ("Min", "the lowest data id"),
)
"""Which fields of a table column's segment have to be equal to what."""


@dataclass(frozen=True, slots=True)
class SegmentStatistics:
    """
    ``XMColumnSegmentStats``: what the engine found in the segment when it wrote it.

    *min_data_id* and *max_data_id* leave nulls out and are both 2 when nothing else is there. *distinct_states* is 0
    but in some relationship indexes.
    """

    distinct_states: int
    min_data_id: int
    max_data_id: int
    original_min_segment_data_id: int
    rle_sort_order: int
    row_count: int
    has_nulls: bool
    rle_runs: int
    others_rle_runs: int


@dataclass(frozen=True, slots=True)
class SegmentDataOffsets:
    """Where a segment lies in the ``.idf`` file: *offset* is that of its word count, in bytes."""

    offset: int
    word_count: int
    sub: SegmentDataOffsets | None


@dataclass(frozen=True, slots=True)
class SegmentMeta:
    """
    One segment.

    *bookmark_bits*, *storage_alloc_size*, *storage_used_size* and *sub_records* are ``None`` unless the segment is
    hybrid; the two sizes are in units of 32 bits. *data_offsets* is ``None`` in files of older builds.
    """

    records: int
    mask: int
    compression_class: int
    sub_class: int
    bookmark_bits: int | None
    storage_alloc_size: int | None
    storage_used_size: int | None
    min: int
    statistics: SegmentStatistics
    sub_records: int | None
    data_offsets: SegmentDataOffsets | None

    @property
    def is_hybrid(self) -> bool:
        """A table column's segment; else it is one of a system table's."""
        return self.compression_class == HYBRID_CLASS

    @property
    def is_xm123(self) -> bool:
        """A row number's segment: ids count up, nothing is stored."""
        return self.is_hybrid and self.sub_class == XM123_CLASS

    @property
    def bit_width(self) -> int:
        """Bits of a packed value; for a row number, which packs none, there is no such number."""
        return (self.sub_class if self.is_hybrid else self.compression_class) - NO_SPLIT_CLASS


def parse(data: bytes | memoryview, *, file: str | None) -> tuple[SegmentMeta, ...]:
    """
    Read a whole ``.idfmeta`` file.

    Args:
        data: the file.
        file: its logical name, for errors.

    Returns:
        The segments in the order of the ``.idf`` file.

    Raises:
        TruncatedError: the file ends too early.
        LimitError: a segment claims more than :data:`RECORDS_MAX` rows.
        FormatError: a tag, a class or a flag is not one of the format, or bytes follow the end.
    """
    cursor = Cursor(data, file=file)
    (segment_count,) = _PARTITION.take(cursor)
    if segment_count * _SEGMENT_BYTE_COUNT_MIN > cursor.remaining:
        raise LimitError(
            f"segment count is {segment_count}, too many for the {cursor.remaining} bytes after it",
            file=file,
            offset=cursor.offset - 8,
        )
    segments = [_segment(cursor) for _ in range(segment_count)]
    cursor.expect(_PARTITION_END, "end tag CP")
    if cursor.remaining:
        cursor.expect(_PLACES, "begin tag SDOs")
        segments = [replace(segment, data_offsets=_data_offsets(cursor, segment)) for segment in segments]
        cursor.expect(_PLACES_END, "end tag SDOs")
    cursor.expect_end("the segment metadata")
    return tuple(segments)


def build(segments: Sequence[SegmentMeta], *, with_data_offsets: bool) -> bytes:
    """
    Write a whole ``.idfmeta`` file.

    Args:
        segments: in the order of the ``.idf`` file; where they lie in it is found here, *data_offsets* are not used.
        with_data_offsets: whether the segment data offsets follow, as in newer builds.
    """
    parts = [_PARTITION.bytes_of(len(segments)), *map(_segment_bytes, segments), _PARTITION_END]
    if with_data_offsets:
        parts += [_PLACES, *_place_bytes(segments), _PLACES_END]
    return b"".join(parts)


def _segment_bytes(segment: SegmentMeta) -> bytes:
    statistics = segment.statistics
    head = _SEGMENT.bytes_of(segment.records, segment.mask, segment.compression_class, segment.sub_class)
    if segment.is_hybrid:
        sizes = (segment.bookmark_bits, segment.storage_alloc_size, segment.storage_used_size)
        head += _HYBRID.pack(*sizes, 0, segment.min)
    else:
        head += _NO_SPLIT.pack(segment.min)
    return (
        head
        + _STATISTICS.bytes_of(
            statistics.distinct_states,
            statistics.min_data_id,
            statistics.max_data_id,
            statistics.original_min_segment_data_id,
            statistics.rle_sort_order,
            statistics.row_count,
            statistics.has_nulls,
            statistics.rle_runs,
            statistics.others_rle_runs,
        )
        + (_SUBSEGMENT.bytes_of(segment.sub_records, 0) if segment.is_hybrid else _NO_SUBSEGMENT)
    )


def _place_bytes(segments: Sequence[SegmentMeta]) -> Iterator[bytes]:
    """Where each segment lies, one behind the other."""
    offset = 0
    for segment in segments:
        primary, sub = _word_counts(segment)
        yield _PLACE.bytes_of(offset, primary)
        offset += 8 * (1 + primary)
        if sub is not None:
            yield _SUB_PLACE.bytes_of(offset, sub)
            offset += 8 * (1 + sub)
        yield _PLACE_END


def _word_counts(segment: SegmentMeta) -> tuple[int, int | None]:
    """How many words the segment has, and its subsegment."""
    if segment.storage_alloc_size is None or segment.sub_records is None:
        return word_count(segment.records, bit_width=segment.bit_width), None
    sub = 0 if segment.is_xm123 else word_count(segment.sub_records, bit_width=segment.bit_width)
    return segment.storage_alloc_size // 2, sub


def _segment(cursor: Cursor) -> SegmentMeta:
    start = cursor.offset
    records, mask, compression_class, sub_class = _SEGMENT.take(cursor)
    if records > RECORDS_MAX:
        raise LimitError(f"Records is {records}, over {RECORDS_MAX}", file=cursor.file, offset=start)
    if not _is_known(compression_class, sub_class):
        raise FormatError(
            f"CompressionClass {compression_class:#x} with SubClass {sub_class:#x} is not known",
            file=cursor.file,
            offset=start,
        )
    described = _hybrid if compression_class == HYBRID_CLASS else _no_split
    return described(cursor, records, mask, compression_class, sub_class)


def _no_split(cursor: Cursor, records: int, mask: int, compression_class: int, sub_class: int) -> SegmentMeta:
    minimum = cursor.i32("Min")
    statistics = _statistics(cursor)
    cursor.expect(_NO_SUBSEGMENT, "has-subsegment flag and end tag CS")
    return SegmentMeta(
        records=records,
        mask=mask,
        compression_class=compression_class,
        sub_class=sub_class,
        bookmark_bits=None,
        storage_alloc_size=None,
        storage_used_size=None,
        min=minimum,
        statistics=statistics,
        sub_records=None,
        data_offsets=None,
    )


def _hybrid(cursor: Cursor, records: int, mask: int, compression_class: int, sub_class: int) -> SegmentMeta:
    start = cursor.offset
    bookmark_bits, alloc_size, used_size, needs_resizing, minimum = cursor.unpack(_HYBRID, "compression info")
    if needs_resizing:
        raise FormatError(f"SegmentNeedsResizing is {needs_resizing}, not 0", file=cursor.file, offset=start + 24)
    statistics = _statistics(cursor)
    sub_records, _sub_mask = _SUBSEGMENT.take(cursor)
    segment = SegmentMeta(
        records=records,
        mask=mask,
        compression_class=compression_class,
        sub_class=sub_class,
        bookmark_bits=bookmark_bits,
        storage_alloc_size=alloc_size,
        storage_used_size=used_size,
        min=minimum,
        statistics=statistics,
        sub_records=sub_records,
        data_offsets=None,
    )
    _check_hybrid(segment, file=cursor.file, offset=start)
    return segment


def _statistics(cursor: Cursor) -> SegmentStatistics:
    distinct, lowest, highest, original, sort_order, rows, nulls, runs, others = _STATISTICS.take(cursor)
    if nulls > 1:
        raise FormatError(f"HasNulls is {nulls}, neither 0 nor 1", file=cursor.file, offset=cursor.offset - 23)
    return SegmentStatistics(
        distinct_states=distinct,
        min_data_id=lowest,
        max_data_id=highest,
        original_min_segment_data_id=original,
        rle_sort_order=sort_order,
        row_count=rows,
        has_nulls=nulls == 1,
        rle_runs=runs,
        others_rle_runs=others,
    )


def _data_offsets(cursor: Cursor, segment: SegmentMeta) -> SegmentDataOffsets:
    offset, word_count = _PLACE.take(cursor)
    sub = None
    if segment.is_hybrid:
        sub_offset, sub_word_count = _SUB_PLACE.take(cursor)
        sub = SegmentDataOffsets(sub_offset, sub_word_count, None)
    cursor.expect(_PLACE_END, "end tag CSDOs")
    return SegmentDataOffsets(offset, word_count, sub)


def _is_known(compression_class: int, sub_class: int) -> bool:
    """Whether the layout of a class is known: words of an unknown one would be read as something they are not."""
    if compression_class == HYBRID_CLASS:
        return sub_class == XM123_CLASS or sub_class - NO_SPLIT_CLASS in BIT_WIDTHS
    return compression_class - NO_SPLIT_CLASS in BIT_WIDTHS and sub_class == 1


def _check_hybrid(segment: SegmentMeta, *, file: str | None, offset: int) -> None:
    """The relations between the fields of a table column's segment that hold without looking at its words."""
    statistics = segment.statistics
    lowest, highest = statistics.min_data_id, statistics.max_data_id
    entries = statistics.rle_runs + statistics.others_rle_runs
    if segment.records == 0 or segment.is_xm123:
        entries = 0  # an empty data segment counts one bit-packed stretch that has no entry
    minimum = NULL_DATA_ID if statistics.has_nulls else lowest
    found = (statistics.row_count, segment.storage_used_size, segment.min)
    stated = (segment.records, 2 * (entries + 1), segment.min if segment.is_xm123 else minimum)
    for (name, other_name), value, other in zip(_RELATIONS, found, stated, strict=True):
        if value != other:
            raise FormatError(f"{name} is {value}, and {other_name} is {other}", file=file, offset=offset)
    only_nulls = lowest == highest == NULL_DATA_ID and (statistics.has_nulls or segment.records == 0)
    if not (only_nulls or FIRST_DATA_ID <= lowest <= highest):
        raise FormatError(
            f"MinDataID {lowest} and MaxDataID {highest} are no range of data ids", file=file, offset=offset
        )
    if not segment.is_xm123 and highest - segment.min >= 1 << segment.bit_width:
        raise FormatError(
            f"MaxDataID {highest} does not fit into {segment.bit_width} bits from {segment.min} on",
            file=file,
            offset=offset,
        )
