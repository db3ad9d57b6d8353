"""
The storage of one table: ``<table>.<version>.tbl.xml``, an ``XMSimpleTable``.

=======================================  ===========================================================================
object                                   what it says
=======================================  ===========================================================================
``XMSimpleTable``, its name              a table of rows (named by the id of its dimension), or a system table
                                         ``H$…``, ``R$…``, ``U$…``
Partitions of ``XMPartition``            name, and *Partition*: the place among the table's partitions
Columns of ``XMRawColumn``               one column each, with
- IntrinsicHierarchy, ``XMHierarchy``    *TypeMaterialization*, *DistinctDataIDs*, *TableStore*: the H$ table;
                                         the ``.hidx`` file
- ColumnStats, ``XMColumnStats``         what ``ColumnStorage.Statistics_*`` says in newer models
- Segments of ``XMColumnSegment``        what an ``.idfmeta`` file says in newer models, field by field
- ``XMHashDataDictionary<…>``            named by its ``.dictionary`` file
- ``XMValueDataDictionary<…>``           *BaseId*, *Magnitude*
- ``XMRawColumnPartitionDataObject``     named by its ``.idf`` file; *Partition*, *SegmentCount*: the segments of
                                         the partitions follow each other in the order of these
Relationships of ``XMRelationship``      named by the relationship's id; in it
- ``XMRelationshipIndexDenseDIDs``       *TableName*: the R$ table; *Records*, *Flags*
=======================================  ===========================================================================

Files lie in the folder of the ``.tbl.xml``. Data ids are written as signed numbers of 32 bits. *DistinctStates* may be
0: not counted.

Source: [MS-XLDM] 2.5; every file of the genuine workbooks, whose tables have one partition: how several are written is
read off the names of the fields and the class names of the specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, UnsupportedFeatureError
from tabvault.formats.vertipaq.bit_widths import BIT_WIDTHS
from tabvault.formats.vertipaq.idfmeta import (
    HYBRID_CLASS,
    NO_SPLIT_CLASS,
    RECORDS_MAX,
    XM123_CLASS,
    SegmentMeta,
    SegmentStatistics,
)
from tabvault.model.objects import DictionaryDataType, DictionaryType
from tabvault.model.processed import ProcessedStatistics
from tabvault.model.xml_models import xm_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.xml_models.xm_object import XmObject

_NO_SPLIT: Final = re.compile(r"XMRENoSplitCompressionInfo<(\d{1,2})>")
_HYBRID: Final = re.compile(r"XMHybridRLECompressionInfo<class (.+)>")
_XM123: Final = "XM123CompressionInfo"
_DICTIONARY: Final = re.compile(r"XM(Hash|Value)DataDictionary<(XM_Long|XM_Real|XM_String)>")
_DATA_TYPES: Final = {
    "XM_Long": DictionaryDataType.LONG,
    "XM_Real": DictionaryDataType.REAL,
    "XM_String": DictionaryDataType.STRING,
}
_PARTITION_OBJECT: Final = "XMRawColumnPartitionDataObject"
_HASH_BASE_ID: Final = 2

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class StoredDictionary:
    """What ``DictionaryStorage`` says in newer models. *file*: logical name, None where there is no entry."""

    type: DictionaryType
    data_type: DictionaryDataType
    base_id: int
    magnitude: float
    last_id: int
    is_unique: bool
    is_operating_on_32: bool
    flags: int
    file: str | None


@dataclass(frozen=True, slots=True)
class StoredSegments:
    """The segments of a column in a partition. *partition*: its place. *file*: logical name of the ``.idf`` file."""

    partition: int
    file: str
    segments: tuple[SegmentMeta, ...]


@dataclass(frozen=True, slots=True)
class StoredHierarchy:
    """
    The attribute hierarchy of a column.

    *table* is the name of the H$ table, None where there is none; *hash_index* the logical name of the ``.hidx`` file.
    """

    materialization: int
    distinct_count: int
    is_processed: bool
    table: str | None
    hash_index: str | None


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """
    A column. *dictionary* and *hierarchy* are None in system tables.

    *db_type* is an OLE DB type (20 whole number, 130 text, …). *segments* are in the order of the table's partitions.
    """

    name: str
    db_type: int
    statistics: ProcessedStatistics
    dictionary: StoredDictionary | None
    hierarchy: StoredHierarchy | None
    segments: tuple[StoredSegments, ...]

    @property
    def row_count(self) -> int:
        """Rows of all segments."""
        return sum(segment.records for part in self.segments for segment in part.segments)


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """The index of a relationship. *table* is the name of the R$ table."""

    relationship_id: str
    table: str
    record_count: int
    has_unmatched: bool


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table. *partitions* are the names of its partitions by their place."""

    name: str
    file: str
    columns: tuple[StoredColumn, ...]
    partitions: tuple[str, ...]
    indexes: tuple[StoredIndex, ...]

    @property
    def row_count(self) -> int:
        """Rows of every column; 0 of a table without columns."""
        return self.columns[0].row_count if self.columns else 0


def parse(data: bytes | memoryview, *, file: str) -> StoredTable:
    """
    Read a whole ``.tbl.xml`` file.

    Args:
        data: the file.
        file: its logical name; the files that it names lie in the same folder.

    Raises:
        FormatError: it is no such file, or contradicts itself.
        UnsupportedFeatureError: a column is stored in a way that is not read.
        LimitError: it is too long.
    """
    table = xm_object.parse(data, file=file)
    if table.class_ != "XMSimpleTable" or not table.name:
        raise FormatError(f"the object is a {table.class_} {table.name!r}, not a named XMSimpleTable", file=file)
    columns = tuple(_column(one) for one in table.collection("Columns"))
    counts = {column.row_count for column in columns}
    if len(counts) > 1:
        raise FormatError(f"columns of {table.name!r} have {sorted(counts)} rows, not the same number", file=file)
    found = StoredTable(
        name=table.name,
        file=file,
        columns=columns,
        partitions=_partitions(table),
        indexes=tuple(index for one in table.collection("Relationships") for index in _indexes(one)),
    )
    _check_segment_map(table, found)
    return found


def _partitions(table: XmObject) -> tuple[str, ...]:
    by_place = {one.number("Partition", high=_INT32_MAX): one.name for one in table.collection("Partitions")}
    count = len(table.collection("Partitions"))
    if sorted(by_place) != list(range(count)):
        raise FormatError(f"the places of {count} partitions are {sorted(by_place)[:20]}", file=table.file)
    return tuple(by_place[place] for place in range(count))


def _check_segment_map(table: XmObject, found: StoredTable) -> None:
    """The rows that the map of segments counts, with or without those of the first partition, are the columns'."""
    segment_map = table.members.get("SegmentMap")
    if segment_map is None or not found.columns:
        return
    maps = [one for one in (segment_map, *segment_map.collection("Partitions")) if "Records" in one.properties]
    first = 0
    if "FirstPartitionRecordCount" in segment_map.properties:
        first = segment_map.number("FirstPartitionRecordCount")
    stated = sum(one.number("Records") for one in maps)
    if maps and found.row_count not in (stated, stated + first):
        raise FormatError(f"the segment map has {stated} rows, the columns have {found.row_count}", file=table.file)


def _column(column: XmObject) -> StoredColumn:
    statistics = column.member("ColumnStats")
    found = StoredColumn(
        name=column.name,
        db_type=statistics.number("DBType", low=_INT32_MIN, high=_INT32_MAX),
        statistics=_column_statistics(statistics),
        dictionary=_dictionary(column),
        hierarchy=_hierarchy(column.members["IntrinsicHierarchy"]) if "IntrinsicHierarchy" in column.members else None,
        segments=_segments(column),
    )
    # Of a system table the statistics of some columns are left at their defaults.
    if found.hierarchy is not None and found.statistics.row_count != found.row_count:
        raise FormatError(
            f"column {found.name!r} has {found.statistics.row_count} rows, its segments have {found.row_count}",
            file=column.file,
        )
    return found


def _column_statistics(statistics: XmObject) -> ProcessedStatistics:
    return ProcessedStatistics(
        distinct_states=statistics.number("DistinctStates"),
        min_data_id=statistics.data_id("MinDataID"),
        max_data_id=statistics.data_id("MaxDataID"),
        original_min_segment_data_id=statistics.data_id("OriginalMinSegmentDataID"),
        row_count=statistics.number("RowCount"),
        has_nulls=statistics.flag("HasNulls"),
        rle_runs=statistics.number("RLERuns"),
        others_rle_runs=statistics.number("OthersRLERuns"),
    )


def _hierarchy(hierarchy: XmObject) -> StoredHierarchy:
    indexes = [one for one in hierarchy.data_objects if one.class_ == "XMHierarchyDataID2PositionHashIndex"]
    return StoredHierarchy(
        materialization=hierarchy.number("TypeMaterialization", low=-1, high=_INT32_MAX),
        distinct_count=hierarchy.number("DistinctDataIDs", low=-1),
        is_processed=hierarchy.flag("IsProcessed"),
        table=hierarchy.properties.get("TableStore") or None,
        hash_index=_beside(indexes[0]) if indexes else None,
    )


def _dictionary(column: XmObject) -> StoredDictionary | None:
    found = [(one, match) for one in column.data_objects if (match := _DICTIONARY.fullmatch(one.class_))]
    others = {one.class_ for one in column.data_objects} - {one.class_ for one, _ in found} - {_PARTITION_OBJECT}
    if others:
        raise UnsupportedFeatureError(
            f"column {column.name!r} has a {min(others)}, which is not read", file=column.file
        )
    if len(found) > 1:
        raise FormatError(f"column {column.name!r} has {len(found)} dictionaries", file=column.file)
    if not found:
        return None
    dictionary, match = found[0]
    data_type = _DATA_TYPES[match[2]]
    if match[1] == "Value":
        return StoredDictionary(
            type=DictionaryType.VALUE,
            data_type=data_type,
            base_id=dictionary.number("BaseId", low=-(1 << 63)),
            magnitude=dictionary.real("Magnitude"),
            last_id=0,
            is_unique=False,
            is_operating_on_32=False,
            flags=0,
            file=None,
        )
    return StoredDictionary(
        type=DictionaryType.HASH,
        data_type=data_type,
        base_id=_HASH_BASE_ID,
        magnitude=0.0,
        last_id=dictionary.number("LastId", high=_INT32_MAX),
        is_unique=dictionary.flag("Unique"),
        is_operating_on_32="OperatingOn32" in dictionary.properties and dictionary.flag("OperatingOn32"),
        flags=dictionary.number("DictionaryFlags") if data_type == DictionaryDataType.STRING else 0,
        file=_beside(dictionary) if dictionary.name else None,
    )


def _beside(data_object: XmObject) -> str:
    r"""Logical name of a file that a ``.tbl.xml`` names; one with a folder in it could be anywhere."""
    if not data_object.name or "\\" in data_object.name or "/" in data_object.name:
        raise FormatError(f"{data_object.class_} has the file {data_object.name!r}", file=data_object.file)
    folder, separator, _ = data_object.file.rpartition("\\")
    return f"{folder}{separator}{data_object.name}"


def _indexes(relationship: XmObject) -> Iterator[StoredIndex]:
    """The index of a relationship. There are other kinds, which are not read; it can be made anew."""
    for one in relationship.data_objects:
        if one.class_ == "XMRelationshipIndexDenseDIDs":
            yield StoredIndex(
                relationship_id=relationship.name,
                table=one.text("TableName"),
                record_count=one.number("Records"),
                has_unmatched=bool(one.number("Flags") & 1),
            )


def _segments(column: XmObject) -> tuple[StoredSegments, ...]:
    segments = [_segment(one) for one in column.collection("Segments")]
    parts = [one for one in column.data_objects if one.class_ == _PARTITION_OBJECT]
    counts = [one.number("SegmentCount", high=_INT32_MAX) for one in parts]
    if sum(counts) != len(segments):
        raise FormatError(
            f"column {column.name!r} has {len(segments)} segments, its partitions have {sum(counts)}", file=column.file
        )
    found = []
    for part, count in zip(parts, counts, strict=True):
        taken, segments = segments[:count], segments[count:]
        found.append(StoredSegments(part.number("Partition", high=_INT32_MAX), _beside(part), tuple(taken)))
    if len({part.partition for part in found}) != len(found):
        raise FormatError(f"column {column.name!r} has two files in one partition", file=column.file)
    return tuple(sorted(found, key=lambda part: part.partition))


def _segment(segment: XmObject) -> SegmentMeta:
    compression = segment.member("CompressionInfo")
    hybrid = _HYBRID.fullmatch(compression.class_)
    run_lengths = compression.member("RLECompression") if hybrid else None
    bits = compression.member("SubCompression") if hybrid else compression
    sub_class = _class_number(hybrid[1] if hybrid else compression.class_, file=segment.file)
    if run_lengths is not None and run_lengths.flag("SegmentNeedsResizing"):
        raise FormatError("SegmentNeedsResizing is true", file=segment.file)
    return SegmentMeta(
        records=segment.number("Records", high=RECORDS_MAX),
        mask=segment.number("Mask"),
        compression_class=HYBRID_CLASS if hybrid else sub_class,
        sub_class=sub_class if hybrid else 1,
        bookmark_bits=None if run_lengths is None else run_lengths.number("BookmarkBits"),
        storage_alloc_size=None if run_lengths is None else run_lengths.number("StorageAllocSize"),
        storage_used_size=None if run_lengths is None else run_lengths.number("StorageUsedSize"),
        min=bits.number("Min", low=_INT32_MIN, high=_INT32_MAX),
        statistics=_segment_statistics(segment.member("ColumnSegmentStats")),
        sub_records=segment.member("SubSegment").number("Records", high=RECORDS_MAX) if hybrid else None,
        data_offsets=None,
    )


def _class_number(class_: str, *, file: str) -> int:
    if class_ == _XM123:
        return XM123_CLASS
    match = _NO_SPLIT.fullmatch(class_)
    if match is None or int(match[1]) not in BIT_WIDTHS:
        raise UnsupportedFeatureError(f"a segment is compressed by {class_}, which is not read", file=file)
    return NO_SPLIT_CLASS + int(match[1])


def _segment_statistics(statistics: XmObject) -> SegmentStatistics:
    return SegmentStatistics(
        distinct_states=statistics.number("DistinctStates"),
        min_data_id=statistics.data_id("MinDataID"),
        max_data_id=statistics.data_id("MaxDataID"),
        original_min_segment_data_id=statistics.data_id("OriginalMinSegmentDataID"),
        rle_sort_order=statistics.number("RLESortOrder", low=-(1 << 63)),
        row_count=statistics.number("RowCount"),
        has_nulls=statistics.flag("HasNulls"),
        rle_runs=statistics.number("RLERuns"),
        others_rle_runs=statistics.number("OthersRLERuns"),
    )
