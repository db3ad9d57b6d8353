r"""
Storage of tables that were created and never processed.

Every table of every genuine file has storage rows and files, those of DirectQuery models too, which never held a row:
what is made here is what such a table has. (The ids of the rows show that an engine makes them in the transaction that
makes the object.)

======================  ==============================================================================
row                     cells
======================  ==============================================================================
TableStorage            Name ``Sales (12)``, Version 1, Settings 4097; folder ``Sales (12).tbl``
PartitionStorage        Name ``P1 (15)``, StoragePosition after the last; folder ``Sales (12).tbl\15.prt``
SegmentMapStorage       Type 3, RecordCount 0, SegmentCount 1
ColumnStorage           Name ``Amount (16)``, StoragePosition after the last; statistics of no row
DictionaryStorage       Type 1 (hash), no entries, no file
ColumnPartitionStorage  one for each column of each partition; the ``.idf`` file
SegmentStorage          the ``.idfmeta`` file
======================  ==============================================================================

A column that is added to a table with rows gets none, because its segments would have to hold those rows: it has no
value to show until the table is processed. The same goes for a column whose data type is not known yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.changes import empty_segment
from tabvault.model.changes.values import record_count
from tabvault.model.objects import ColumnType, DataType, DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.changes.rows import Rows
    from tabvault.model.sqlite_file import Value


_TABLE_STORAGE, _PARTITION_STORAGE = 18, 20
"""``StorageFolder.OwnerType``."""

_COLUMN_PARTITION_STORAGE, _SEGMENT_STORAGE = 23, 24
"""``StorageFile.OwnerType``."""

_TABLE_SETTINGS: Final = 4097
_SEGMENT_MAP_TYPE: Final = 3
_NAME_LENGTH_MAX: Final = 100
"""Characters of a name of storage; the id that follows makes it its own."""

_STRING, _LONG, _REAL = DictionaryDataType.STRING, DictionaryDataType.LONG, DictionaryDataType.REAL
_STORED_AS: Final[Mapping[int, tuple[int, int, int, int, int]]] = {
    DataType.STRING: (_STRING, 0, 3, 130, 2),
    DataType.INT64: (_LONG, 1, 0, 20, 0),
    DataType.DOUBLE: (_REAL, 0, 0, 5, 1),
    DataType.DATETIME: (_REAL, 0, 0, 7, 1),
    DataType.DECIMAL: (_LONG, 1, 0, 6, 0),
    DataType.BOOLEAN: (_LONG, 1, 0, 11, 0),
    DataType.BINARY: (_STRING, 0, 0x103, 130, 2),
}
"""By data type: data type of the dictionary, IsOperatingOn32, DictionaryFlags, Statistics_DBType, Statistics_XMType."""

_NULLABLE, _NOT_NULL, _KEY, _ROW_NUMBER = 8, 9, 15, 31
"""``ColumnStorage.ColumnFlags``."""

_STATISTICS: Final[Mapping[str, Value]] = {
    "Statistics_DistinctStates": 1,
    "Statistics_MinDataID": 2,
    "Statistics_MaxDataID": 2,
    "Statistics_OriginalMinSegmentDataID": 2,
    "Statistics_RLESortOrder": -1,
    "Statistics_Usage": 3,
}


class NewStorage:
    """
    Makes storage in *rows*, whose objects are as they shall be.

    Args:
        rows: the rows of the model, changed by this.
        schema_version: decides how segment metadata are written.

    Attributes:
        files: the files that belong to the new storage, by logical name.
        columns: ids of the columns of each table.
        partitions: ids of the partitions of each table.
    """

    def __init__(self, rows: Rows, *, schema_version: int) -> None:
        self.files: dict[str, bytes] = {}
        self._rows = rows
        self._idfmeta = empty_segment.idfmeta(schema_version)
        self.columns = _by_table(rows, "Column")
        self.partitions = _by_table(rows, "Partition")

    def complete(self, table_id: int) -> None:
        """Give storage to what has none in a table, as far as it can have some."""
        if not self._rows["Table"][table_id]["TableStorageID"]:
            self._add_table(table_id)
        for partition_id in self.partitions.get(table_id, ()):
            if not self._rows["Partition"][partition_id]["PartitionStorageID"]:
                self._add_partition(table_id, partition_id)
        self._count_rows(table_id)
        if self.has_rows(table_id):
            return
        position = self._column_position(table_id)
        for column_id in self.columns.get(table_id, ()):
            column = self._rows["Column"][column_id]
            if not column["ColumnStorageID"] and data_type(column) in _STORED_AS:
                self._add_column(table_id, column_id, position=position)
                position += 1

    def has_rows(self, table_id: int) -> bool:
        """Whether a partition of the table holds a row."""
        return any(self.record_count(partition_id) for partition_id in self.partitions.get(table_id, ()))

    def record_count(self, partition_id: int) -> int:
        """Rows of a partition."""
        return record_count(self._rows, partition_id)

    def _count_rows(self, table_id: int) -> None:
        """Say in the statistics of the columns how many rows are left after partitions went."""
        row_count = sum(self.record_count(partition_id) for partition_id in self.partitions.get(table_id, ()))
        for column_id in self.columns.get(table_id, ()):
            storage = self._of("ColumnStorage", self._rows["Column"][column_id]["ColumnStorageID"])
            if storage is not None and storage["Statistics_RowCount"] != row_count:
                self._rows.update("ColumnStorage", _whole(storage["ID"]), {"Statistics_RowCount": row_count})

    def _add_table(self, table_id: int) -> None:
        table = self._rows["Table"][table_id]
        name = storage_name(str(table["Name"]), table_id)
        storage_id, folder_id = self._rows.new_id(), self._rows.new_id()
        self._rows.insert(
            "TableStorage",
            {
                "TableID": table_id,
                "Name": name,
                "Version": 1,
                "Settings": _TABLE_SETTINGS,
                "StorageFolderID": folder_id,
            },
            row_id=storage_id,
        )
        self._add_folder(folder_id, storage_id, _TABLE_STORAGE, f"{name}.tbl")
        self._rows.update("Table", table_id, {"TableStorageID": storage_id})

    def _add_partition(self, table_id: int, partition_id: int) -> None:
        rows = self._rows
        storage_id, map_id, folder_id = rows.new_id(), rows.new_id(), rows.new_id()
        position = 1 + max((self._position(other) for other in self.partitions[table_id]), default=-1)
        rows.insert(
            "PartitionStorage",
            {
                "PartitionID": partition_id,
                "Name": storage_name(str(rows["Partition"][partition_id]["Name"]), partition_id),
                "StoragePosition": position,
                "SegmentMapStorageID": map_id,
                "StorageFolderID": folder_id,
            },
            row_id=storage_id,
        )
        rows.insert(
            "SegmentMapStorage",
            {"PartitionStorageID": storage_id, "Type": _SEGMENT_MAP_TYPE, "SegmentCount": 1},
            row_id=map_id,
        )
        folder = f"{_text(self._table_folder(table_id))}\\{partition_id}.prt"
        self._add_folder(folder_id, storage_id, _PARTITION_STORAGE, folder)
        rows.update("Partition", partition_id, {"PartitionStorageID": storage_id})
        for column_id in self.columns.get(table_id, ()):
            column_storage_id = rows["Column"][column_id]["ColumnStorageID"]
            if column_storage_id:
                self._add_segment(table_id, column_storage_id, storage_id)

    def _position(self, partition_id: int) -> int:
        storage = self._of("PartitionStorage", self._rows["Partition"][partition_id]["PartitionStorageID"])
        position = storage["StoragePosition"] if storage else None
        return position if isinstance(position, int) else -1

    def _column_position(self, table_id: int) -> int:
        """The storage position after that of the last column."""
        columns = (self._rows["Column"][column_id] for column_id in self.columns.get(table_id, ()))
        storages = (self._of("ColumnStorage", column["ColumnStorageID"]) for column in columns)
        positions = (storage["StoragePosition"] for storage in storages if storage)
        return 1 + max((position for position in positions if isinstance(position, int)), default=-1)

    def _add_column(self, table_id: int, column_id: int, *, position: int) -> None:
        rows = self._rows
        column = rows["Column"][column_id]
        dictionary_data_type, is_operating_on_32, dictionary_flags, db_type, xm_type = _STORED_AS[data_type(column)]
        storage_id, dictionary_id = rows.new_id(), rows.new_id()
        rows.insert(
            "ColumnStorage",
            {
                "ColumnID": column_id,
                "Name": storage_name(str(column["ExplicitName"] or column["InferredName"]), column_id),
                "StoragePosition": position,
                "DictionaryStorageID": dictionary_id,
                "Settings": 2049 if column["Type"] == ColumnType.CALCULATED else 1,
                "ColumnFlags": _column_flags(column),
                "Locale": 1033,
                **_STATISTICS,
                "Statistics_DBType": db_type,
                "Statistics_XMType": xm_type,
                "DeltaColumnMappingId": -1,
            },
            row_id=storage_id,
        )
        rows.insert(
            "DictionaryStorage",
            {
                "ColumnStorageID": storage_id,
                "Type": 1,
                "DataType": dictionary_data_type,
                "BaseId": 2,
                "LastId": 2,
                "IsNullable": 1,
                "IsUnique": int(column["Type"] == ColumnType.ROW_NUMBER),
                "IsOperatingOn32": is_operating_on_32,
                "DictionaryFlags": dictionary_flags,
            },
            row_id=dictionary_id,
        )
        rows.update("Column", column_id, {"ColumnStorageID": storage_id})
        for partition_id in self.partitions.get(table_id, ()):
            partition_storage_id = rows["Partition"][partition_id]["PartitionStorageID"]
            self._add_segment(table_id, storage_id, partition_storage_id)

    def _add_segment(self, table_id: int, column_storage_id: Value, partition_storage_id: Value) -> None:
        """One column in one partition: its rows and files."""
        rows = self._rows
        part_id, segment_id, idf_id, idfmeta_id = (rows.new_id() for _ in range(4))
        column_storage = self._of("ColumnStorage", column_storage_id)
        partition_storage = self._of("PartitionStorage", partition_storage_id)
        assert column_storage is not None
        assert partition_storage is not None
        rows.insert(
            "ColumnPartitionStorage",
            {
                "ColumnStorageID": column_storage_id,
                "PartitionStorageID": partition_storage_id,
                "State": 1,
                "SegmentStorageID": segment_id,
                "StorageFileID": idf_id,
            },
            row_id=part_id,
        )
        rows.insert(
            "SegmentStorage",
            {"ColumnPartitionStorageID": part_id, "SegmentCount": 1, "StorageFileID": idfmeta_id},
            row_id=segment_id,
        )
        table_storage = self._of("TableStorage", rows["Table"][table_id]["TableStorageID"])
        assert table_storage is not None
        stem = f"0.{_text(table_storage['Name'])}.{_text(column_storage['Name'])}.0"
        folder_id = partition_storage["StorageFolderID"]
        for file_id, owner_id, owner_type, extension, content in (
            (idf_id, part_id, _COLUMN_PARTITION_STORAGE, "idf", empty_segment.IDF),
            (idfmeta_id, segment_id, _SEGMENT_STORAGE, "idfmeta", self._idfmeta),
        ):
            name = f"{stem}.{extension}"
            rows.insert(
                "StorageFile",
                {"OwnerID": owner_id, "OwnerType": owner_type, "StorageFolderID": folder_id, "FileName": name},
                row_id=file_id,
            )
            folder = self._of("StorageFolder", folder_id)
            assert folder is not None
            self.files[f"{_text(folder['Path'])}\\{name}"] = content

    def _add_folder(self, folder_id: int, owner_id: int, owner_type: int, path: str) -> None:
        cells: dict[str, Value] = {"OwnerID": owner_id, "OwnerType": owner_type, "Path": path}
        self._rows.insert("StorageFolder", cells, row_id=folder_id)

    def _table_folder(self, table_id: int) -> Value:
        table_storage = self._of("TableStorage", self._rows["Table"][table_id]["TableStorageID"])
        folder = self._of("StorageFolder", table_storage["StorageFolderID"]) if table_storage else None
        assert folder is not None
        return folder["Path"]

    def _of(self, table: str, row_id: Value) -> dict[str, Value] | None:
        return self._rows[table].get(row_id) if isinstance(row_id, int) else None


def _whole(value: Value) -> int:
    assert isinstance(value, int), "metadata were checked before"
    return value


def _text(value: Value) -> str:
    assert isinstance(value, str), "metadata were checked before"
    return value


def storage_name(name: str, object_id: int) -> str:
    """The name under which the storage of an object goes: every character but letters and digits becomes a blank."""
    kept = "".join(character if character.isalnum() else " " for character in name[:_NAME_LENGTH_MAX])
    return f"{kept} ({object_id})"


def data_type(column: Mapping[str, Value]) -> int:
    """The data type of a column's row: the explicit one, unless that is left to the engine."""
    explicit = column["ExplicitDataType"]
    found = column["InferredDataType"] if explicit in (None, 0, DataType.AUTOMATIC, DataType.UNKNOWN) else explicit
    return found if isinstance(found, int) else DataType.UNKNOWN


def _column_flags(column: Mapping[str, Value]) -> int:
    if column["Type"] == ColumnType.ROW_NUMBER:
        return _ROW_NUMBER
    if column["IsKey"]:
        return _KEY
    return _NULLABLE if column["IsNullable"] else _NOT_NULL


def _by_table(rows: Rows, table: str) -> dict[int, list[int]]:
    """Ids of the rows of *table* (columns, partitions), by the table they belong to."""
    groups: dict[int, list[int]] = {}
    for row_id, row in rows[table].items():
        owner = row["TableID"]
        if isinstance(owner, int):
            groups.setdefault(owner, []).append(row_id)
    return groups
