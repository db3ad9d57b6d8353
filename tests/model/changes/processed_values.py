"""What processing must have made of a genuine database: its facts from its own rows, read by SQLite itself."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

from tabvault.formats.byte_source import MemorySource
from tabvault.model.metadata import SYNONYMS
from tabvault.model.processed import (
    Processed,
    ProcessedAttributeHierarchy,
    ProcessedColumn,
    ProcessedDictionary,
    ProcessedPartition,
    ProcessedRelationship,
    ProcessedSegments,
    ProcessedStatistics,
    ProcessedTable,
    ProcessedUserHierarchy,
    SystemColumn,
)

_EXTREMES = ("MinValue", "MaxValue", "StringValueMaxLength")

SYSTEM_TABLE = 1
"""``Table.SystemFlags``."""

DIRECT_QUERY = 1
"""``Partition.Mode``."""


def stored_rows(content: bytes) -> dict[str, dict[int, dict[str, object]]]:
    """Every row that has an id, by table and id, columns by their newer names."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        connection.row_factory = sqlite3.Row
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
    return {
        name: {
            row["ID"]: {SYNONYMS.get((name, column), column): value for column, value in row.items()} for row in rows
        }
        for name, rows in tables.items()
        if rows and "ID" in rows[0]
    }


class GenuineProcessing:
    """*read* gives the body of a file by its logical name."""

    def __init__(self, content, read):
        self.rows = stored_rows(content)
        self._read = read
        self._parts = {}
        for part in self._all("ColumnPartitionStorage"):
            self._parts.setdefault(part["ColumnStorageID"], {})[part["PartitionStorageID"]] = part
        self._columns, self._partitions = {}, {}
        for table, groups in (("Column", self._columns), ("Partition", self._partitions)):
            for row in self._all(table):
                groups.setdefault(row["TableID"], []).append(row)

    def processed(self) -> Processed:
        """Of all tables that hold values or could."""
        tables = [
            row["ID"]
            for row in self._all("Table")
            if row["SystemFlags"] != SYSTEM_TABLE
            and not any(partition["Mode"] == DIRECT_QUERY for partition in self._partitions[row["ID"]])
        ]
        relationships = [row for row in self._all("Relationship") if row["RelationshipStorageID"]]
        hierarchies = [row for row in self._all("Hierarchy") if row["HierarchyStorageID"]]
        return Processed(
            tuple(self.table(table_id) for table_id in tables),
            tuple(self._relationship(row) for row in relationships if row["FromTableID"] in tables),
            tuple(self._user_hierarchy(row) for row in hierarchies),
        )

    def table(self, table_id) -> ProcessedTable:
        return ProcessedTable(
            table_id,
            tuple(
                ProcessedPartition(partition["ID"], *self._segment_map(partition))
                for partition in self._partitions[table_id]
            ),
            tuple(self._column(column) for column in self._columns[table_id]),
        )

    def _all(self, table):
        return self.rows.get(table, {}).values()

    def _segment_map(self, partition):
        storage = self.rows["PartitionStorage"][partition["PartitionStorageID"]]
        segment_map = self.rows["SegmentMapStorage"][storage["SegmentMapStorageID"]]
        return [segment_map[name] for name in ("RecordCount", "SegmentCount", "RecordsPerSegment")]

    def _body(self, owner):
        if not owner["StorageFileID"]:
            return None
        file = self.rows["StorageFile"][owner["StorageFileID"]]
        path = self.rows["StorageFolder"][file["StorageFolderID"]]["Path"]
        return MemorySource(self._read(f"{path}\\{file['FileName']}"))

    def _segments(self, column):
        """The segments of a column by the ids of the partitions."""
        found = {}
        for storage_id, part in self._parts[column["ColumnStorageID"]].items():
            segments = self.rows["SegmentStorage"][part["SegmentStorageID"]]
            partition_id = self.rows["PartitionStorage"][storage_id]["PartitionID"]
            bodies = self._body(part), self._body(segments)
            found[partition_id] = ProcessedSegments(segments["SegmentCount"], *bodies)
        return found

    def _statistics(self, column):
        row = self.rows["ColumnStorage"][column["ColumnStorageID"]]
        names = "DistinctStates MinDataID MaxDataID OriginalMinSegmentDataID RowCount HasNulls RLERuns OthersRLERuns"
        return ProcessedStatistics(*(row[f"Statistics_{name}"] for name in names.split()))

    def _column(self, column):
        storage = self.rows["ColumnStorage"][column["ColumnStorageID"]]
        row = self.rows["DictionaryStorage"][storage["DictionaryStorageID"]]
        names = "Type DataType BaseId Magnitude LastId IsUnique IsOperatingOn32 DictionaryFlags"
        dictionary = ProcessedDictionary(*(row[name] for name in names.split()), body=self._body(row))
        hierarchy = self._attribute_hierarchy(column)
        return ProcessedColumn(column["ID"], dictionary, self._statistics(column), hierarchy, self._segments(column))

    def _system_table(self, table_id):
        """Its segment map and columns, in order."""
        if not table_id:
            return [0, 0, 0], ()
        (partition,) = self._partitions[table_id]
        columns = self._columns[table_id]
        columns.sort(key=lambda one: self.rows["ColumnStorage"][one["ColumnStorageID"]]["StoragePosition"])
        return self._segment_map(partition), tuple(
            SystemColumn(one["ExplicitName"], self._statistics(one), *self._segments(one).values()) for one in columns
        )

    def _attribute_hierarchy(self, column):
        hierarchy = self.rows["AttributeHierarchy"][column["AttributeHierarchyID"]]
        storage = self.rows["AttributeHierarchyStorage"][hierarchy["AttributeHierarchyStorageID"]]
        (record_count, segment_count, _), columns = self._system_table(storage["SystemTableID"])
        return ProcessedAttributeHierarchy(
            storage["MaterializationType"],
            storage["DistinctDataCount"],
            record_count,
            segment_count,
            columns,
            self._body(storage),
            *(storage.get(name) if storage.get("HasStatistics") else None for name in _EXTREMES),
        )

    def _relationship(self, row):
        count, column, flags = self._index(row["RelationshipStorageID"])
        other_count, other, other_flags = self._index(row["RelationshipStorage2ID"])
        return ProcessedRelationship(
            row["ID"], count, bool(flags & 1), column, other_count, other, bool(other_flags & 1)
        )

    def _index(self, storage_id):
        if not storage_id:
            return 0, None, 0
        storage = self.rows["RelationshipStorage"][storage_id]
        index = self.rows["RelationshipIndexStorage"][storage["RelationshipIndexStorageID"]]
        _, (column,) = self._system_table(index["SystemTableID"])
        return index["RecordCount"], column, index["Flags"]

    def _user_hierarchy(self, row):
        storage = self.rows["HierarchyStorage"][row["HierarchyStorageID"]]
        (record_count, _, _), columns = self._system_table(storage["SystemTableID"])
        starts = tuple(int(start) for start in re.findall(r"\)\$(\d+)(?=\$)", storage["LevelDefinition"]))
        return ProcessedUserHierarchy(row["ID"], record_count, storage["StructureType"], starts, columns)
