r"""
Rows that say where values lie: of tables, partitions, columns and files.

User tables and system tables (H$, R$, U$) have the same rows, with other names, folders and settings:

======================  ==============================================================================
row                     goes with
======================  ==============================================================================
TableStorage            the folder ``Sales (12).tbl``
PartitionStorage        its SegmentMapStorage, and the folder ``Sales (12).tbl\15.prt``
ColumnStorage           its DictionaryStorage, which names the ``.dictionary`` file if there is one
ColumnPartitionStorage  one for each column of each partition; names the ``.idf`` file
SegmentStorage          one for each ColumnPartitionStorage; names the ``.idfmeta`` file
======================  ==============================================================================

A file is called ``<data version>.<table>.<column>.0.idf`` (``.0.idfmeta``, ``.dictionary``), by the names of the
storage, which keep the name that an object had when it was created. New content takes a higher version, so that a file
is never written over. Source: every file of every genuine database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import ModelError
from tabvault.model.changes.values import record_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.changes.rows import Rows
    from tabvault.model.sqlite_file import Value

_TABLE_STORAGE, _PARTITION_STORAGE = 18, 20
"""``StorageFolder.OwnerType``."""

_FILE_OWNER_TYPES: Final = {
    "DictionaryStorage": 22,
    "ColumnPartitionStorage": 23,
    "SegmentStorage": 24,
    "AttributeHierarchyStorage": 27,
}
"""``StorageFile.OwnerType``."""

SEGMENT_MAP: Final = 3
"""``SegmentMapStorage.Type`` of all but H$ tables."""

LOADED: Final = 1
"""``ColumnPartitionStorage.State`` of user tables."""

_NAME_LENGTH_MAX: Final = 100
"""Characters of a name of storage; the id that follows makes it its own."""

_STATISTICS: Final[Mapping[str, Value]] = {
    "Statistics_DistinctStates": 1,
    "Statistics_MinDataID": 2,
    "Statistics_MaxDataID": 2,
    "Statistics_OriginalMinSegmentDataID": 2,
    "Statistics_RLESortOrder": -1,
    "Statistics_Usage": 3,
    "DeltaColumnMappingId": -1,
}
"""Of a column without rows, and what no processing changes."""


class StorageRows:
    """
    Finds and makes rows of storage in *rows*.

    Attributes:
        rows: the rows of the model, changed by this.
        columns: ids of the columns of each user table.
        partitions: ids of the partitions of each user table.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.columns = _by_table(rows, "Column")
        self.partitions = _by_table(rows, "Partition")
        self._parts = {
            (part["ColumnStorageID"], part["PartitionStorageID"]): part_id
            for part_id, part in rows["ColumnPartitionStorage"].items()
        }

    def of(self, table: str, row_id: Value) -> dict[str, Value] | None:
        """The row of *table* with that id, if there is one: 0 and NULL name none."""
        return self.rows[table].get(row_id) if isinstance(row_id, int) else None

    def row(self, table: str, row_id: Value) -> dict[str, Value]:
        """
        The row of *table* with that id.

        Raises:
            ModelError: there is none.
        """
        row = self.of(table, row_id)
        if row is None:
            raise ModelError(f"{table} {row_id!r} is named by a row of storage and not there")
        return row

    def table_storage(self, table_id: int) -> dict[str, Value]:
        """The row of ``TableStorage`` of a table that has one."""
        return self.row("TableStorage", self.rows["Table"][table_id]["TableStorageID"])

    def record_count(self, partition_id: int) -> int:
        """Rows of a partition."""
        return record_count(self.rows, partition_id)

    def has_rows(self, table_id: int) -> bool:
        """Whether a partition of the table holds a row."""
        return any(self.record_count(partition_id) for partition_id in self.partitions.get(table_id, ()))

    def add_table(self, table_id: int, *, name: str, folder: str, version: int, settings: int) -> None:
        """Storage of a table that has none."""
        rows = self.rows
        storage_id = rows.new_id()
        cells: dict[str, Value] = {"TableID": table_id, "Name": name, "Version": version, "Settings": settings}
        cells["StorageFolderID"] = self._add_folder(storage_id, _TABLE_STORAGE, folder)
        rows.insert("TableStorage", cells, row_id=storage_id)
        rows.update("Table", table_id, {"TableStorageID": storage_id})

    def add_partition(
        self, table_id: int, partition_id: int, *, name: str, segment_map: Mapping[str, Value], position: int
    ) -> int:
        """Storage of a partition that has none, in a table that has some; returns its id."""
        rows = self.rows
        storage_id, map_id = rows.new_id(), rows.new_id()
        folder = f"{self.folder_path(self.table_storage(table_id))}\\{partition_id}.prt"
        cells: dict[str, Value] = {"PartitionID": partition_id, "Name": name, "StoragePosition": position}
        cells["StorageFolderID"] = self._add_folder(storage_id, _PARTITION_STORAGE, folder)
        rows.insert("PartitionStorage", {**cells, "SegmentMapStorageID": map_id}, row_id=storage_id)
        rows.insert("SegmentMapStorage", {"PartitionStorageID": storage_id, **segment_map}, row_id=map_id)
        rows.update("Partition", partition_id, {"PartitionStorageID": storage_id})
        return storage_id

    def add_column(
        self, column_id: int, *, name: str, position: int, cells: Mapping[str, Value], dictionary: Mapping[str, Value]
    ) -> int:
        """Storage of a column that has none, with its dictionary; returns its id."""
        rows = self.rows
        storage_id, dictionary_id = rows.new_id(), rows.new_id()
        own: dict[str, Value] = {"ColumnID": column_id, "Name": name, "StoragePosition": position}
        own |= {"DictionaryStorageID": dictionary_id}
        rows.insert("ColumnStorage", {**own, **_STATISTICS, **cells}, row_id=storage_id)
        rows.insert("DictionaryStorage", {"ColumnStorageID": storage_id, **dictionary}, row_id=dictionary_id)
        rows.update("Column", column_id, {"ColumnStorageID": storage_id})
        return storage_id

    def put_segments(
        self,
        column_storage_id: int,
        partition_storage_id: int,
        *,
        table_name: str,
        version: int,
        segment_count: int,
        state: int = LOADED,
    ) -> tuple[str, str]:
        """
        New segments of a column in a partition, in place of those that are there.

        Returns:
            The logical names of the ``.idf`` and of the ``.idfmeta`` file.
        """
        rows = self.rows
        part_id = self._parts.get((column_storage_id, partition_storage_id))
        if part_id is None:
            part_id, segment_id = rows.new_id(), rows.new_id()
            owners = {"ColumnStorageID": column_storage_id, "PartitionStorageID": partition_storage_id}
            rows.insert("ColumnPartitionStorage", {**owners, "SegmentStorageID": segment_id}, row_id=part_id)
            rows.insert("SegmentStorage", {"ColumnPartitionStorageID": part_id}, row_id=segment_id)
            self._parts[column_storage_id, partition_storage_id] = part_id
        segment_id = whole(self.row("ColumnPartitionStorage", part_id)["SegmentStorageID"])
        rows.update("ColumnPartitionStorage", part_id, {"DataVersion": version, "State": state})
        rows.update("SegmentStorage", segment_id, {"SegmentCount": segment_count})
        folder_id = self.row("PartitionStorage", partition_storage_id)["StorageFolderID"]
        stem = f"{version}.{table_name}.{text(rows['ColumnStorage'][column_storage_id]['Name'])}.0"
        return (
            self.put_file("ColumnPartitionStorage", part_id, folder_id, f"{stem}.idf"),
            self.put_file("SegmentStorage", segment_id, folder_id, f"{stem}.idfmeta"),
        )

    def put_file(self, owner_table: str, owner_id: int, folder_id: Value, file_name: str) -> str:
        """Name the file of an owner, in place of the one it has; returns the logical name."""
        rows = self.rows
        folder = self.row("StorageFolder", folder_id)
        file = self.of("StorageFile", self.row(owner_table, owner_id)["StorageFileID"])
        if file is None:
            cells: dict[str, Value] = {"OwnerID": owner_id, "OwnerType": _FILE_OWNER_TYPES[owner_table]}
            file_id = rows.insert("StorageFile", {**cells, "StorageFolderID": folder_id, "FileName": file_name})
            rows.update(owner_table, owner_id, {"StorageFileID": file_id})
        else:
            rows.update("StorageFile", whole(file["ID"]), {"StorageFolderID": folder_id, "FileName": file_name})
        return f"{text(folder['Path'])}\\{file_name}"

    def drop_file(self, owner_table: str, owner_id: int) -> None:
        """Take the file of an owner away, if it has one."""
        file = self.of("StorageFile", self.row(owner_table, owner_id)["StorageFileID"])
        if file is not None:
            self.rows.delete(whole(file["ID"]))
            self.rows.update(owner_table, owner_id, {"StorageFileID": 0})

    def folder_path(self, storage: Mapping[str, Value]) -> str:
        """The path of the folder of a row of ``TableStorage`` or ``PartitionStorage``."""
        return text(self.row("StorageFolder", storage["StorageFolderID"])["Path"])

    def _add_folder(self, owner_id: int, owner_type: int, path: str) -> int:
        cells: dict[str, Value] = {"OwnerID": owner_id, "OwnerType": owner_type, "Path": path}
        return self.rows.insert("StorageFolder", cells)


def whole(value: Value) -> int:
    """
    *value*, which is a number.

    Raises:
        ModelError: it is not; most cells are checked before, but not all.
    """
    if not isinstance(value, int):
        raise ModelError(f"a row of storage holds {_shown(value)}, where there must be a number")
    return value


def text(value: Value) -> str:
    """
    *value*, which is a text.

    Raises:
        ModelError: it is not; most cells are checked before, but not all.
    """
    if not isinstance(value, str):
        raise ModelError(f"a row of storage holds {_shown(value)}, where there must be a text")
    return value


def _shown(value: Value) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def storage_name(name: str, object_id: int) -> str:
    """The name under which the storage of an object goes: every character but letters and digits becomes a blank."""
    kept = "".join(character if character.isalnum() else " " for character in name[:_NAME_LENGTH_MAX])
    return f"{kept} ({object_id})"


def _by_table(rows: Rows, table: str) -> dict[int, list[int]]:
    """Ids of the rows of *table* (columns, partitions), by the table they belong to."""
    groups: dict[int, list[int]] = {}
    for row_id, row in rows[table].items():
        owner = row["TableID"]
        if isinstance(owner, int):
            groups.setdefault(owner, []).append(row_id)
    return groups
