"""
From the storage tables to storage facts: which files hold which column of which partition, and how to read them.

======================  ==============================================================================
row                     names
======================  ==============================================================================
Table                   TableStorageID: TableStorage (Version)
Partition               PartitionStorageID: PartitionStorage (StoragePosition)
PartitionStorage        SegmentMapStorageID: SegmentMapStorage (RecordCount, SegmentCount)
Column                  ColumnStorageID: ColumnStorage (StoragePosition, Statistics)
ColumnStorage           DictionaryStorageID: DictionaryStorage
DictionaryStorage       StorageFileID: the .dictionary file, 0 when there is none
ColumnPartitionStorage  ColumnStorageID, PartitionStorageID: whose; StorageFileID: the .idf file;
                        SegmentStorageID: SegmentStorage (SegmentCount), its StorageFileID: the .idfmeta file
StorageFile             StorageFolderID: StorageFolder; logical name of the file = Path, backslash, FileName
======================  ==============================================================================

Source: the tables of genuine files of schema versions 17 to 122. The names of the files follow from nothing but these
rows (storage names keep the name an object had when it was created).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import ModelError
from tabvault.model.objects import (
    ColumnPartitionStorage,
    ColumnStatistics,
    ColumnStorage,
    DictionaryStorage,
    PartitionStorage,
)
from tabvault.model.records import Record, Records

if TYPE_CHECKING:
    from tabvault.model.metadata import Metadata


class StorageFacts:
    """
    The storage tables of one model.

    Raises:
        ModelError: they contradict themselves.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._file_names = storage_file_names(metadata)
        self._table_storages = Records(metadata, "TableStorage", ("Version",))
        self._partition_storages = Records(
            metadata, "PartitionStorage", ("PartitionID", "StoragePosition", "SegmentMapStorageID")
        )
        self._segment_maps = Records(
            metadata, "SegmentMapStorage", ("RecordCount", "SegmentCount", "RecordsPerSegment")
        )
        self._column_storages = Records(metadata, "ColumnStorage", _COLUMN_STORAGE)
        self._dictionaries = Records(metadata, "DictionaryStorage", _DICTIONARY_STORAGE)
        self._segment_storages = Records(metadata, "SegmentStorage", ("SegmentCount", "StorageFileID"))
        column_partitions = Records(
            metadata,
            "ColumnPartitionStorage",
            ("ColumnStorageID", "PartitionStorageID", "SegmentStorageID", "StorageFileID"),
        )
        self._by_column = column_partitions.grouped_by("ColumnStorageID", self._column_storages)

    def table_version(self, table: Record) -> int:
        """``TableStorage.Version`` of *table*; 0 without storage."""
        storage = self._table_storages.target_or_none(table, "TableStorageID")
        return 0 if storage is None else storage.integer("Version", 0)

    def partition_storage(self, partition: Record) -> PartitionStorage | None:
        """The storage of *partition*, or None when it has none."""
        storage = self._partition_storages.target_or_none(partition, "PartitionStorageID")
        if storage is None:
            return None
        if storage.integer("PartitionID", 0) != partition.id:
            raise storage.error("PartitionID", f"{partition.id}, the partition that names it")
        segment_map = self._segment_maps.target(storage, "SegmentMapStorageID")
        return PartitionStorage(
            id=storage.id,
            storage_position=storage.integer("StoragePosition", 0),
            record_count=_count(segment_map, "RecordCount"),
            segment_count=_count(segment_map, "SegmentCount"),
            records_per_segment=_count(segment_map, "RecordsPerSegment"),
        )

    def column_storage(self, column: Record, positions: dict[int, int]) -> tuple[int, ColumnStorage] | None:
        """
        The storage position of *column* and its storage, or None when it has none.

        Args:
            column: a row of ``Column``.
            positions: the place of each partition storage of the column's table, by id.
        """
        storage = self._column_storages.target_or_none(column, "ColumnStorageID")
        if storage is None:
            return None
        if storage.integer("ColumnID", 0) != column.id:
            raise storage.error("ColumnID", f"{column.id}, the column that names it")
        partitions = self._by_column.get(storage.id, [])
        for part in partitions:
            if part.integer("PartitionStorageID", 0) not in positions:
                raise part.error("PartitionStorageID", "the id of a partition storage of the column's table")
        partitions.sort(key=lambda part: positions[part.integer("PartitionStorageID")])
        dictionary = self._dictionaries.target_or_none(storage, "DictionaryStorageID")
        return storage.integer("StoragePosition", 0), ColumnStorage(
            id=storage.id,
            name=storage.text("Name"),
            statistics=_statistics(storage),
            dictionary=None if dictionary is None else self._dictionary(dictionary),
            partitions=tuple(self._column_partition(part) for part in partitions),
        )

    def _column_partition(self, record: Record) -> ColumnPartitionStorage:
        segments = self._segment_storages.target(record, "SegmentStorageID")
        return ColumnPartitionStorage(
            id=record.id,
            partition_storage_id=record.integer("PartitionStorageID"),
            segment_count=_count(segments, "SegmentCount"),
            idf_file=self._file(record),
            idfmeta_file=self._file(segments),
        )

    def _dictionary(self, record: Record) -> DictionaryStorage:
        return DictionaryStorage(
            id=record.id,
            type=record.integer("Type"),
            data_type=record.integer("DataType"),
            base_id=record.integer("BaseId", 0),
            magnitude=record.real("Magnitude", 0.0),
            last_id=record.integer("LastId", 0),
            is_nullable=record.flag("IsNullable"),
            is_operating_on_32=record.flag("IsOperatingOn32"),
            file=self._file(record),
        )

    def _file(self, record: Record) -> str | None:
        file_id = record.integer("StorageFileID", 0)
        if file_id == 0:
            return None
        name = self._file_names.get(file_id)
        if name is None:
            raise record.error("StorageFileID", "the id of a row of StorageFile")
        return name


_COLUMN_STORAGE = (
    "ColumnID",
    "Name",
    "StoragePosition",
    "DictionaryStorageID",
    "Statistics_DistinctStates",
    "Statistics_MinDataID",
    "Statistics_MaxDataID",
    "Statistics_RowCount",
    "Statistics_HasNulls",
)
_DICTIONARY_STORAGE = (
    "Type",
    "DataType",
    "BaseId",
    "Magnitude",
    "LastId",
    "IsNullable",
    "IsOperatingOn32",
    "StorageFileID",
)


def storage_file_names(metadata: Metadata) -> dict[int, str]:
    """
    Logical name of every file by the id of its ``StorageFile`` row.

    Raises:
        ModelError: a file has no folder or no name of its own.
    """
    folders = Records(metadata, "StorageFolder", ("Path",))
    names: dict[int, str] = {}
    owners: dict[str, int] = {}
    for file in Records(metadata, "StorageFile", ("StorageFolderID", "FileName")):
        name = f"{folders.target(file, 'StorageFolderID').text('Path')}\\{file.text('FileName')}"
        if name in owners:
            raise ModelError(f"StorageFile {file.id}: file {name!r} is that of StorageFile {owners[name]} too")
        owners[name] = file.id
        names[file.id] = name
    return names


def _statistics(record: Record) -> ColumnStatistics:
    return ColumnStatistics(
        distinct_states=record.integer("Statistics_DistinctStates", 0),
        min_data_id=record.integer("Statistics_MinDataID", 0),
        max_data_id=record.integer("Statistics_MaxDataID", 0),
        row_count=_count(record, "Statistics_RowCount"),
        has_nulls=record.flag("Statistics_HasNulls"),
    )


def _count(record: Record, column: str) -> int:
    count = record.integer(column, 0)
    if count < 0:
        raise record.error(column, "a count")
    return count
