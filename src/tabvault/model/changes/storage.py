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

A user hierarchy whose levels are not those of its ``LevelDefinition`` any more loses its U$ table, which is made of the
old ones.
"""

from __future__ import annotations

import locale
from typing import TYPE_CHECKING, Final

from tabvault.model.changes import empty_segment
from tabvault.model.changes.removal import remove
from tabvault.model.changes.storage_rows import SEGMENT_MAP, StorageRows, storage_name, text, whole
from tabvault.model.objects import Cardinality, ColumnType, DataType, DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.changes.rows import Rows
    from tabvault.model.sqlite_file import Value

SETTINGS: Final = 4097
"""``TableStorage.Settings``."""

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

_ALWAYS, _IS_ROW_NUMBER, _IS_KEY, _IS_UNIQUE, _NOT_NULL = 8, 16, 4, 2, 1
"""Bits of ``ColumnStorage.ColumnFlags``; a key is unique, and both have no null."""

_LOCALES: Final = {name.replace("_", "-").lower(): number for number, name in locale.windows_locale.items()}
_LOCALE: Final = 1033
"""``ColumnStorage.Locale`` of a model whose culture has no number: that of en-US."""


class NewStorage:
    """
    Makes storage in *rows*, whose objects are as they shall be.

    Args:
        rows: the rows of the model, changed by this.
        schema_version: decides how segment metadata are written.

    Attributes:
        files: the files that belong to the new storage, by logical name.
        storage_rows: the rows of storage.
        columns: ids of the columns of each table.
        partitions: ids of the partitions of each table.
    """

    def __init__(self, rows: Rows, *, schema_version: int) -> None:
        self.files: dict[str, bytes] = {}
        self.storage_rows = StorageRows(rows)
        self.columns = self.storage_rows.columns
        self.partitions = self.storage_rows.partitions
        self._rows = rows
        self._idfmeta = empty_segment.idfmeta(schema_version)
        self._locale = _LOCALES.get(_culture(rows), _LOCALE)
        self._targets = _relationship_targets(rows)

    def complete(self, table_id: int) -> None:
        """Give storage to what has none in a table, as far as it can have some, and take it from what is outdated."""
        self._remove_outdated_hierarchies(table_id)
        if not self._rows["Table"][table_id]["TableStorageID"]:
            name = storage_name(str(self._rows["Table"][table_id]["Name"]), table_id)
            self.storage_rows.add_table(table_id, name=name, folder=f"{name}.tbl", version=1, settings=SETTINGS)
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

    def add_column(self, table_id: int, column_id: int) -> None:
        """Give storage to a column of a table that may have rows, which the caller then stores for it."""
        self._add_column(table_id, column_id, position=self._column_position(table_id))

    def has_rows(self, table_id: int) -> bool:
        """Whether a partition of the table holds a row."""
        return self.storage_rows.has_rows(table_id)

    def record_count(self, partition_id: int) -> int:
        """Rows of a partition."""
        return self.storage_rows.record_count(partition_id)

    def column_flags(self, column_id: int) -> int:
        """``ColumnStorage.ColumnFlags``: what the model demands of the values, the one side of a relationship too."""
        column = self._rows["Column"][column_id]
        flags = _ALWAYS
        if not column["IsNullable"]:
            flags |= _NOT_NULL
        if column["IsUnique"]:
            flags |= _IS_UNIQUE
        if column_id in self._targets:
            flags |= _IS_UNIQUE | _NOT_NULL
        if column["IsKey"]:
            flags |= _IS_KEY | _IS_UNIQUE | _NOT_NULL
        return flags | _IS_ROW_NUMBER if column["Type"] == ColumnType.ROW_NUMBER else flags

    def _remove_outdated_hierarchies(self, table_id: int) -> None:
        """Take away the storage of user hierarchies that got, lost or changed a level: it is made of the old ones."""
        rows = self._rows
        outdated = []
        for row_id, hierarchy in rows["Hierarchy"].items():
            storage = self.storage_rows.of("HierarchyStorage", hierarchy["HierarchyStorageID"])
            if hierarchy["TableID"] != table_id or storage is None:
                continue
            levels = [level for level in rows["Level"].values() if level["HierarchyID"] == row_id]
            levels.sort(key=lambda level: whole(level["Ordinal"]))
            columns = [rows["Column"][whole(level["ColumnID"])] for level in levels]
            storages = [self.storage_rows.of("ColumnStorage", column["ColumnStorageID"]) for column in columns]
            names = [column_storage and column_storage["Name"] for column_storage in storages]
            if str(storage["LevelDefinition"]).split("$")[1:-1:2] != names:
                outdated.append(whole(storage["ID"]))
        if outdated:
            remove(rows, outdated)

    def _count_rows(self, table_id: int) -> None:
        """Say in the statistics of the columns how many rows are left after partitions went."""
        row_count = sum(self.record_count(partition_id) for partition_id in self.partitions.get(table_id, ()))
        for column_id in self.columns.get(table_id, ()):
            storage = self.storage_rows.of("ColumnStorage", self._rows["Column"][column_id]["ColumnStorageID"])
            if storage is not None and storage["Statistics_RowCount"] != row_count:
                self._rows.update("ColumnStorage", whole(storage["ID"]), {"Statistics_RowCount": row_count})

    def _add_partition(self, table_id: int, partition_id: int) -> None:
        partition = self._rows["Partition"][partition_id]
        storage_id = self.storage_rows.add_partition(
            table_id,
            partition_id,
            name=storage_name(str(partition["Name"]), partition_id),
            segment_map={"Type": SEGMENT_MAP, "SegmentCount": 1},
            position=1 + max((self._position(other) for other in self.partitions[table_id]), default=-1),
        )
        for column_id in self.columns.get(table_id, ()):
            column_storage_id = self._rows["Column"][column_id]["ColumnStorageID"]
            if column_storage_id:
                self._add_segment(table_id, whole(column_storage_id), storage_id)

    def _position(self, partition_id: int) -> int:
        storage_id = self._rows["Partition"][partition_id]["PartitionStorageID"]
        storage = self.storage_rows.of("PartitionStorage", storage_id)
        position = storage["StoragePosition"] if storage else None
        return position if isinstance(position, int) else -1

    def _column_position(self, table_id: int) -> int:
        """The storage position after that of the last column."""
        columns = (self._rows["Column"][column_id] for column_id in self.columns.get(table_id, ()))
        storages = (self.storage_rows.of("ColumnStorage", column["ColumnStorageID"]) for column in columns)
        positions = (storage["StoragePosition"] for storage in storages if storage)
        return 1 + max((position for position in positions if isinstance(position, int)), default=-1)

    def _add_column(self, table_id: int, column_id: int, *, position: int) -> None:
        column = self._rows["Column"][column_id]
        dictionary_data_type, is_operating_on_32, dictionary_flags, db_type, xm_type = _STORED_AS[data_type(column)]
        storage_id = self.storage_rows.add_column(
            column_id,
            name=storage_name(str(column["ExplicitName"] or column["InferredName"]), column_id),
            position=position,
            cells={
                "Settings": 2049 if column["Type"] == ColumnType.CALCULATED else 1,
                "ColumnFlags": self.column_flags(column_id),
                "Locale": self._locale,
                "Statistics_DBType": db_type,
                "Statistics_XMType": xm_type,
            },
            dictionary={
                "Type": 1,
                "DataType": dictionary_data_type,
                "BaseId": 2,
                "LastId": 2,
                "IsNullable": 1,
                "IsUnique": int(column["Type"] == ColumnType.ROW_NUMBER),
                "IsOperatingOn32": is_operating_on_32,
                "DictionaryFlags": dictionary_flags,
            },
        )
        for partition_id in self.partitions.get(table_id, ()):
            partition_storage_id = self._rows["Partition"][partition_id]["PartitionStorageID"]
            self._add_segment(table_id, storage_id, whole(partition_storage_id))

    def _add_segment(self, table_id: int, column_storage_id: int, partition_storage_id: int) -> None:
        """One column in one partition: its rows and files."""
        idf, idfmeta = self.storage_rows.put_segments(
            column_storage_id,
            partition_storage_id,
            table_name=text(self.storage_rows.table_storage(table_id)["Name"]),
            version=0,
            segment_count=1,
        )
        self.files[idf] = empty_segment.IDF
        self.files[idfmeta] = self._idfmeta


def data_type(column: Mapping[str, Value]) -> int:
    """The data type of a column's row: the explicit one, unless that is left to the engine."""
    explicit = column["ExplicitDataType"]
    found = column["InferredDataType"] if explicit in (None, 0, DataType.AUTOMATIC, DataType.UNKNOWN) else explicit
    return found if isinstance(found, int) else DataType.UNKNOWN


def _culture(rows: Rows) -> str:
    return next((str(model["Culture"]).lower() for model in rows["Model"].values()), "")


def _relationship_targets(rows: Rows) -> set[Value]:
    """Ids of the columns that relationships look values up in: the one side, both of a one-to-one relationship."""
    ends = (("ToCardinality", "ToColumnID"), ("FromCardinality", "FromColumnID"))
    return {
        row[column]
        for row in rows["Relationship"].values()
        for cardinality, column in ends
        if row[cardinality] == Cardinality.ONE
    }
