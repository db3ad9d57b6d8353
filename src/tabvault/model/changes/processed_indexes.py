"""
What is derived of values: attribute hierarchies, relationship indexes and user hierarchies, written into rows.

=========================  ==========================================================================================
row                        cells
=========================  ==========================================================================================
AttributeHierarchyStorage  MaterializationType, DistinctDataCount; DataVersion is that of the H$ table; the places of
                           its columns POS_TO_ID and ID_TO_POS, -1 where there is none; the ``.hidx`` file, which
                           lies in the folder of the column's table
RelationshipStorage        Name ``<relationship> (<id>)``; DefinitionType 2 where only the date is joined. Of a
                           one-to-one relationship there are two, the second with an index from the other side
RelationshipIndexStorage   IndexType 1; Flags 1 where a value of the many side has no match; RecordCount
HierarchyStorage           Name ``<hierarchy> (<id>)``; LevelDefinition ``$Year (5)$0$Month (7)$10$``: the column and
                           the first row of each level; StructureType 1 where each value of a level has one
                           parent, and 2 elsewhere
=========================  ==========================================================================================

What was derived before is not there any more when this is written: its rows, tables and files go first, see
:mod:`tabvault.model.changes.processed_storage`. Source: genuine files of schema versions 17 to 122, of which every row
is so. HasStatistics 0 says that the smallest and the largest value, which schema versions since 95 keep, are not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.changes.storage_rows import storage_name, text, whole
from tabvault.model.changes.system_table_rows import ATTRIBUTE_HIERARCHY_MAP, SystemTable, SystemTables
from tabvault.model.objects import ObjectState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.changes.storage_rows import StorageRows
    from tabvault.model.processed import (
        ProcessedAttributeHierarchy,
        ProcessedRelationship,
        ProcessedUserHierarchy,
        SystemColumn,
    )
    from tabvault.model.sqlite_file import Value

_JOINS_ON_DATE: Final = 2
"""``Relationship.JoinOnDateBehavior`` where only the date is joined; ``RelationshipStorage.DefinitionType`` then."""


class ProcessedIndexes:
    """
    Writes what was derived, of tables that are written already.

    Args:
        storage: the rows of storage, changed by this.
        time: the time of the processing, as ``RefreshedTime`` has it.

    Attributes:
        files: the files that belong to what was written, by logical name.
    """

    def __init__(self, storage: StorageRows, *, time: int) -> None:
        self._storage = storage
        self._rows = storage.rows
        self._tables = SystemTables(storage, time=time)
        self._done: dict[str, Value] = {"State": ObjectState.READY, "RefreshedTime": time}
        self.files: dict[str, ByteSource] = self._tables.files

    def write_attribute_hierarchy(self, column_id: int, hierarchy: ProcessedAttributeHierarchy) -> None:
        """Write the hierarchy of a column, whose table and column have storage."""
        rows = self._rows
        column = rows["Column"][column_id]
        row = self._storage.row("AttributeHierarchy", column["AttributeHierarchyID"])
        table = self._storage.table_storage(whole(column["TableID"]))
        column_name = text(self._storage.row("ColumnStorage", column["ColumnStorageID"])["Name"])
        name = f"H${text(table['Name'])}${column_name}"
        version = whole(table["Version"])
        names = [one.name for one in hierarchy.columns]
        cells: dict[str, Value] = {
            "AttributeHierarchyID": row["ID"],
            "MaterializationType": hierarchy.materialization_type,
            "ColumnPositionToData": names.index("POS_TO_ID") if "POS_TO_ID" in names else -1,
            "ColumnDataToPosition": names.index("ID_TO_POS") if "ID_TO_POS" in names else -1,
            "DistinctDataCount": hierarchy.distinct_data_count,
            "DataVersion": version,
            **_extremes(hierarchy),
        }
        if hierarchy.columns:
            cells["SystemTableID"] = self._tables.add(
                SystemTable(
                    name,
                    hierarchy.columns,
                    record_count=hierarchy.record_count,
                    segment_count=hierarchy.segment_count,
                    segment_map_type=ATTRIBUTE_HIERARCHY_MAP,
                    records_per_segment=hierarchy.distinct_data_count,
                ),
                version=version,
            )
        storage_id = rows.insert("AttributeHierarchyStorage", cells)
        if hierarchy.hash_index is not None:
            file_name = f"{version}.{name}.hidx"
            file = self._storage.put_file("AttributeHierarchyStorage", storage_id, table["StorageFolderID"], file_name)
            self.files[file] = hierarchy.hash_index
        cells = {**self._done, "AttributeHierarchyStorageID": storage_id}
        rows.update("AttributeHierarchy", whole(row["ID"]), cells)

    def write_relationship(self, processed: ProcessedRelationship) -> None:
        """Write the index of a relationship, and the one the other way round."""
        row_id = processed.relationship_id
        from_table_id = whole(self._rows["Relationship"][row_id]["FromTableID"])
        to_table_id = whole(self._rows["Relationship"][row_id]["ToTableID"])
        cells = dict(self._done)
        cells["RelationshipStorageID"] = self._add_index(
            row_id, from_table_id, processed.index, processed.record_count, is_violated=processed.has_unmatched
        )
        if processed.secondary is not None:
            cells["RelationshipStorage2ID"] = self._add_index(
                row_id,
                to_table_id,
                processed.secondary,
                processed.secondary_record_count,
                is_violated=processed.secondary_has_unmatched,
            )
        self._rows.update("Relationship", row_id, cells)

    def _add_index(
        self, row_id: int, table_id: int, column: SystemColumn, record_count: int, *, is_violated: bool
    ) -> int:
        """Make an index of a relationship that starts from the table; returns the id of its ``RelationshipStorage``."""
        rows = self._rows
        relationship = rows["Relationship"][row_id]
        name = storage_name(str(relationship["Name"]), row_id)
        table = self._storage.table_storage(table_id)
        system_table_id = self._tables.add(
            SystemTable(
                f"R${text(table['Name'])}${name}",
                (column,),
                record_count=record_count,
                segment_count=column.segments.segment_count,
            ),
            version=whole(table["Version"]),
        )
        storage_id, index_id = rows.new_id(), rows.new_id()
        cells: dict[str, Value] = {"RelationshipID": row_id, "Name": name, "RelationshipIndexStorageID": index_id}
        if relationship["JoinOnDateBehavior"] == _JOINS_ON_DATE:
            cells["DefinitionType"] = _JOINS_ON_DATE
        rows.insert("RelationshipStorage", cells, row_id=storage_id)
        cells = {"RelationshipStorageID": storage_id, "IndexType": 1, "Flags": int(is_violated)}
        cells |= {"RecordCount": record_count, "SystemTableID": system_table_id}
        rows.insert("RelationshipIndexStorage", cells, row_id=index_id)
        return storage_id

    def write_user_hierarchy(self, processed: ProcessedUserHierarchy, *, column_ids: list[int]) -> None:
        """Write a user hierarchy, whose levels are of those columns, from the top."""
        rows = self._rows
        hierarchy = rows["Hierarchy"][processed.hierarchy_id]
        table = self._storage.table_storage(whole(hierarchy["TableID"]))
        name = storage_name(str(hierarchy["Name"]), processed.hierarchy_id)
        columns = [rows["Column"][column_id] for column_id in column_ids]
        column_names = [text(self._storage.row("ColumnStorage", one["ColumnStorageID"])["Name"]) for one in columns]
        levels = zip(column_names, processed.level_starts, strict=True)
        table_id = self._tables.add(
            SystemTable(
                f"U${text(table['Name'])}${name}",
                processed.columns,
                record_count=processed.record_count,
                segment_count=processed.columns[0].segments.segment_count,
            ),
            version=whole(table["Version"]),
        )
        cells: dict[str, Value] = {
            "HierarchyID": processed.hierarchy_id,
            "Name": name,
            "LevelDefinition": "$" + "".join(f"{column_name}${start}$" for column_name, start in levels),
            "StructureType": processed.structure_type,
            "SystemTableID": table_id,
        }
        cells = {**self._done, "HierarchyStorageID": rows.insert("HierarchyStorage", cells)}
        rows.update("Hierarchy", processed.hierarchy_id, cells)


def _extremes(hierarchy: ProcessedAttributeHierarchy) -> Mapping[str, Value]:
    """``HasStatistics``, ``MinValue``, ``MaxValue`` and ``StringValueMaxLength``, for the schemas that have them."""
    extremes = (hierarchy.min_value, hierarchy.max_value, hierarchy.string_value_max_length)
    if extremes == (None, None, None):
        return {}
    lowest, highest, length = extremes
    return {"HasStatistics": 1, "MinValue": lowest, "MaxValue": highest, "StringValueMaxLength": length or 0}
