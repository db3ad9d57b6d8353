"""Rows of two metadata files made comparable: ids of storage, versions and times are no facts of the values."""

from __future__ import annotations

import re

NEVER = 31_240_512_000_000_000

_OWNERS = {
    "TableStorage": ("Table", "TableID"),
    "PartitionStorage": ("Partition", "PartitionID"),
    "SegmentMapStorage": ("PartitionStorage", "PartitionStorageID"),
    "ColumnStorage": ("Column", "ColumnID"),
    "DictionaryStorage": ("ColumnStorage", "ColumnStorageID"),
    "SegmentStorage": ("ColumnPartitionStorage", "ColumnPartitionStorageID"),
    "AttributeHierarchyStorage": ("AttributeHierarchy", "AttributeHierarchyID"),
    "HierarchyStorage": ("Hierarchy", "HierarchyID"),
    "RelationshipIndexStorage": ("RelationshipStorage", "RelationshipStorageID"),
}
_FILE_OWNERS = {
    18: "TableStorage",
    20: "PartitionStorage",
    22: "DictionaryStorage",
    23: "ColumnPartitionStorage",
    24: "SegmentStorage",
    27: "AttributeHierarchyStorage",
}
_TIMES = ("ModifiedTime", "StructureModifiedTime", "RefreshedTime")
_TEXTS = ("Name", "FileName", "Path", "LevelDefinition", "OrderByColumn")


def comparable(rows):
    """The cells of every row, by a key that says whose it is; references are such keys too."""
    keyed = _Keyed(rows)
    return {
        (table, keyed.key(table, row_id)): keyed.cells(row)
        for table, found in rows.items()
        for row_id, row in found.items()
    }


class _Keyed:
    def __init__(self, rows):
        self._rows = rows
        self._table_of = {row_id: table for table, found in rows.items() for row_id in found}
        self._system = {row_id for row_id, row in rows["Table"].items() if row["SystemFlags"] == 1}
        self._keys = {}

    def key(self, table, row_id):
        if (table, row_id) not in self._keys:
            self._keys[table, row_id] = self._made_key(table, row_id, self._rows[table][row_id])
        return self._keys[table, row_id]

    def _made_key(self, table, row_id, row):
        if table == "Table" and row_id in self._system:
            return _text(row["Name"])
        if table in ("Column", "Partition") and row["TableID"] in self._system:
            return self.key("Table", row["TableID"]), row.get("ExplicitName")
        if table in _OWNERS:
            owner, column = _OWNERS[table]
            return self.key(owner, row[column])
        if table == "RelationshipStorage":
            relationship = self._rows["Relationship"][row["RelationshipID"]]
            return row["RelationshipID"], relationship["RelationshipStorageID"] == row_id
        if table == "ColumnPartitionStorage":
            ends = ("ColumnStorage", "PartitionStorage")
            return tuple(self.key(end, row[f"{end}ID"]) for end in ends)
        if table in ("StorageFolder", "StorageFile"):
            owner = _FILE_OWNERS[row["OwnerType"]]
            return owner, self.key(owner, row["OwnerID"])
        return row_id

    def cells(self, row):
        cells = {}
        for column, value in row.items():
            if column in ("ID", "Version", "DataVersion"):
                continue
            if column in _TIMES:
                cells[column] = value == NEVER
            elif column.endswith("ID") and isinstance(value, int) and "DataID" not in column and value:
                found = self._table_of.get(value)
                cells[column] = (found, self.key(found, value)) if found else value
            else:
                cells[column] = _text(value) if column in _TEXTS and isinstance(value, str) else value
        return cells


def _text(value):
    """Names without what objects were called when storage was made, files without versions."""
    value = re.sub(r"\$\(\d+\)\.tbl", ".tbl", value)
    if "$" in value:
        value = re.sub(r"\\\d+\.prt", ".prt", value)
    value = re.sub(r"^\d+\.(?=.*\.(idf|idfmeta|dictionary|hidx)$)", "", value)
    return re.sub(r"[^$.\\]* \((\d+)\)", r"(\1)", value)
