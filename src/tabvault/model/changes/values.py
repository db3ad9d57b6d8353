"""
Where the values of a model are, to be taken away.

==================  ==================================================================================================
values of           are in
==================  ==================================================================================================
a partition         ``PartitionStorage``, with the parts of all columns in it
a column            ``ColumnStorage`` and what was derived from it: the storage of its attribute hierarchy, of the user
                    hierarchies with a level of it, of the relationships that join it
a table             all of those, and ``TableStorage``
==================  ==================================================================================================

Relationship indexes hold row numbers, so they go as soon as rows go from between others. What is returned are ids of
rows of storage, for :func:`tabvault.model.changes.removal.remove`; 0 and NULL, which are none, may be among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from tabvault.model.changes.rows import Rows
    from tabvault.model.sqlite_file import Value


def column_storage(rows: Rows, column_id: int) -> Iterator[Value]:
    """Storage of a column, and of what was derived from its values."""
    column = rows["Column"][column_id]
    yield column["ColumnStorageID"]
    hierarchy_id = column["AttributeHierarchyID"]
    if isinstance(hierarchy_id, int) and hierarchy_id in rows["AttributeHierarchy"]:
        yield rows["AttributeHierarchy"][hierarchy_id]["AttributeHierarchyStorageID"]
    for relationship in rows["Relationship"].values():
        if column_id in (relationship["FromColumnID"], relationship["ToColumnID"]):
            yield from (relationship["RelationshipStorageID"], relationship["RelationshipStorage2ID"])
    hierarchies = {level["HierarchyID"] for level in rows["Level"].values() if level["ColumnID"] == column_id}
    for row_id, hierarchy in rows["Hierarchy"].items():
        if row_id in hierarchies:
            yield hierarchy["HierarchyStorageID"]


def row_number_storage(rows: Rows, table_ids: AbstractSet[Value]) -> Iterator[Value]:
    """Relationship indexes that hold row numbers of one of the tables."""
    for relationship in rows["Relationship"].values():
        if relationship["FromTableID"] in table_ids or relationship["ToTableID"] in table_ids:
            yield from (relationship["RelationshipStorageID"], relationship["RelationshipStorage2ID"])


def table_storage(rows: Rows, table_ids: AbstractSet[Value]) -> Iterator[Value]:
    """All storage of tables, and of what was derived from their values."""
    yield from row_number_storage(rows, table_ids)
    for row_id, table in rows["Table"].items():
        if row_id in table_ids:
            yield table["TableStorageID"]
    for kind, row_id in refreshed_rows(rows, table_ids):
        yield rows[kind][row_id][f"{kind}StorageID"]


def refreshed_rows(rows: Rows, table_ids: AbstractSet[Value]) -> Iterator[tuple[str, int]]:
    """Rows of objects of tables that a refresh gives values: each has storage and a time of refresh."""
    columns = {row_id for row_id, column in rows["Column"].items() if column["TableID"] in table_ids}
    for table in ("Partition", "Column", "Hierarchy", "AttributeHierarchy"):
        owner, owners = ("ColumnID", columns) if table == "AttributeHierarchy" else ("TableID", table_ids)
        for row_id, row in rows[table].items():
            if row[owner] in owners:
                yield table, row_id


def tables_with_rows(rows: Rows, *, without: AbstractSet[int]) -> set[Value]:
    """Ids of the tables of which a partition holds a row, some partitions not counted."""
    return {
        partition["TableID"]
        for partition_id, partition in rows["Partition"].items()
        if partition_id not in without and record_count(rows, partition_id)
    }


def record_count(rows: Rows, partition_id: int) -> int:
    """Rows of a partition."""
    storage = _row(rows, "PartitionStorage", rows["Partition"][partition_id]["PartitionStorageID"])
    segment_map = _row(rows, "SegmentMapStorage", storage["SegmentMapStorageID"]) if storage else None
    count = segment_map["RecordCount"] if segment_map else 0
    return count if isinstance(count, int) else 0


def _row(rows: Rows, table: str, row_id: Value) -> dict[str, Value] | None:
    return rows[table].get(row_id) if isinstance(row_id, int) else None
