"""
Do the segments of the columns agree with each other and with what the metadata say of them?

For every column of every partition: as many segments as the partition's segment map says, with the same rows as the
segments of every other column, and as many rows in all as the map says. For every column of a user table:
``Statistics_RowCount`` counts those rows, and the data ids of the segments lie within ``Statistics_MinDataID`` to
``Statistics_MaxDataID``, and these within the dictionary. The first half says how values are found; the second is what
the engine noted about them, and no value is read by it.

Read off genuine files of schema versions 17 to 122, where the ranges are even equal; that they may be wider is a guess,
because a dictionary may keep the values of rows that are gone. Statistics of system tables are zero or old.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tabvault.errors import FormatError
from tabvault.formats.vertipaq import idfmeta
from tabvault.model.objects import DictionaryType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import ColumnPartitionStorage, ColumnStorage, Model, PartitionStorage


def segment_violations(model: Model, files: FileSet) -> Iterator[str]:
    """What disagrees between the segments and the segment maps. A missing file is another condition's matter."""
    present = set(files.names())
    for table in (*model.tables, *model.system_tables):
        storages = {partition.storage.id: partition.storage for partition in table.partitions if partition.storage}
        first_column: dict[int, tuple[int, ...]] = {}
        for column in table.columns:
            for part in column.storage.partitions if column.storage else ():
                try:
                    segments = _segments(part, files, present)
                except FormatError as error:
                    yield f"column {table.name}[{column.name}]: {error}"
                    continue
                if segments is None:
                    continue
                records = tuple(segment.records for segment in segments)
                others = first_column.setdefault(part.partition_storage_id, records)
                for violation in _records_violations(part, storages[part.partition_storage_id], records, others):
                    yield f"column {table.name}[{column.name}]: {violation}"


def statistics_violations(model: Model, files: FileSet) -> Iterator[str]:
    """What disagrees between the segments and the statistics of their columns. Damaged files are passed over."""
    present = set(files.names())
    for table in model.tables:
        for column in table.columns:
            if column.storage is None:
                continue
            segments: list[SegmentMeta] = []
            with suppress(FormatError):
                for part in column.storage.partitions:
                    segments += _segments(part, files, present) or ()
                for violation in _statistics_violations(column.storage, segments, row_count=table.row_count):
                    yield f"column {table.name}[{column.name}]: {violation}"


def _segments(part: ColumnPartitionStorage, files: FileSet, present: set[str]) -> tuple[SegmentMeta, ...] | None:
    if part.idfmeta_file is None or part.idfmeta_file not in present:
        return None
    return idfmeta.parse(files.read(part.idfmeta_file), file=part.idfmeta_file)


def _records_violations(
    part: ColumnPartitionStorage, storage: PartitionStorage, records: tuple[int, ...], others: tuple[int, ...]
) -> Iterator[str]:
    """Rows of the segments, against the segment map and another column of the partition."""
    if not storage.segment_count == part.segment_count == len(records):
        counts = f"{storage.segment_count}, of SegmentStorage {part.segment_count}, of the file {len(records)}"
        yield f"segment count of SegmentMapStorage is {counts}"
    if sum(records) != storage.record_count:
        yield f"RecordCount is {storage.record_count}, and the segments have {sum(records)} rows"
    if records != others:
        yield f"segments have {_shown(records)} rows, those of the table's first column {_shown(others)}"


def _statistics_violations(column: ColumnStorage, segments: list[SegmentMeta], *, row_count: int) -> Iterator[str]:
    """The ranges by which values are decoded, against the segments that are decoded by them."""
    statistics, dictionary = column.statistics, column.dictionary
    if statistics.row_count != row_count:
        yield f"Statistics_RowCount is {statistics.row_count}, and the table has {row_count} rows"
    if any(segment.statistics.has_nulls for segment in segments) and not statistics.has_nulls:
        yield "Statistics_HasNulls is 0, and a segment has nulls"
    filled = [segment.statistics for segment in segments if segment.statistics.max_data_id >= idfmeta.FIRST_DATA_ID]
    if filled:
        lowest = min(segment.min_data_id for segment in filled)
        highest = max(segment.max_data_id for segment in filled)
        if not statistics.min_data_id <= lowest <= highest <= statistics.max_data_id:
            stated = f"{statistics.min_data_id} to {statistics.max_data_id}"
            yield f"Statistics_MinDataID to MaxDataID is {stated}, and the segments have {lowest} to {highest}"
    hashed = dictionary is not None and dictionary.type == DictionaryType.HASH
    if dictionary and hashed and dictionary.last_id < statistics.max_data_id:
        yield f"LastId of the dictionary is {dictionary.last_id}, and Statistics_MaxDataID {statistics.max_data_id}"


def _shown(records: tuple[int, ...]) -> str:
    """Enough of a list of segments to compare it with another."""
    return ", ".join(map(str, records[:10])) + (", …" if len(records) > 10 else "")
