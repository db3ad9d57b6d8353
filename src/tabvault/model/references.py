"""
Which column of the metadata refers to which table, and the conditions that follow.

Nothing in the file declares its foreign keys. The tables below were read off genuine files of schema versions 17 to
122, in which every reference leads to a row of the table named here, every storage is named by the object it names, and
ids are unique over all tables and not above ``DBPROPERTIES.MAXID``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.metadata import Metadata

REQUIRED: Final = (
    ("Column", "TableID", "Table"),
    ("ColumnPartitionStorage", "ColumnStorageID", "ColumnStorage"),
    ("ColumnPartitionStorage", "PartitionStorageID", "PartitionStorage"),
    ("ColumnPermission", "ColumnID", "Column"),
    ("ColumnPermission", "TablePermissionID", "TablePermission"),
    ("Hierarchy", "TableID", "Table"),
    ("KPI", "MeasureID", "Measure"),
    ("Level", "ColumnID", "Column"),
    ("Level", "HierarchyID", "Hierarchy"),
    ("Measure", "TableID", "Table"),
    ("Partition", "TableID", "Table"),
    ("PartitionStorage", "StorageFolderID", "StorageFolder"),
    ("Relationship", "FromColumnID", "Column"),
    ("Relationship", "FromTableID", "Table"),
    ("Relationship", "ToColumnID", "Column"),
    ("Relationship", "ToTableID", "Table"),
    ("Role", "ModelID", "Model"),
    ("RoleMembership", "RoleID", "Role"),
    ("StorageFile", "StorageFolderID", "StorageFolder"),
    ("TablePermission", "RoleID", "Role"),
    ("TablePermission", "TableID", "Table"),
    ("TableStorage", "StorageFolderID", "StorageFolder"),
)
"""Table, column and the table it refers to; the reference is never empty."""

OPTIONAL: Final = (
    ("AttributeHierarchyStorage", "StorageFileID", "StorageFile"),
    ("ColumnPartitionStorage", "StorageFileID", "StorageFile"),
    ("AttributeHierarchyStorage", "SystemTableID", "Table"),
    ("Column", "ColumnOriginID", "Column"),
    ("Column", "SortByColumnID", "Column"),
    ("DictionaryStorage", "StorageFileID", "StorageFile"),
    ("HierarchyStorage", "SystemTableID", "Table"),
    ("Partition", "DataSourceID", "DataSource"),
    ("RelationshipIndexStorage", "SecondarySystemTableID", "Table"),
    ("RelationshipIndexStorage", "StorageFileID", "StorageFile"),
    ("RelationshipIndexStorage", "StorageFolderID", "StorageFolder"),
    ("RelationshipIndexStorage", "SystemTableID", "Table"),
    ("SegmentStorage", "StorageFileID", "StorageFile"),
)
"""The same; 0 or NULL means none. A ``ColumnPartitionStorage`` may do without a file as long as it has no row, and a
``SegmentStorage`` as long as it has no segment."""

PAIRS: Final = (
    (("Table", ("TableStorageID",)), ("TableStorage", "TableID")),
    (("Column", ("ColumnStorageID",)), ("ColumnStorage", "ColumnID")),
    (("Column", ("AttributeHierarchyID",)), ("AttributeHierarchy", "ColumnID")),
    (("Partition", ("PartitionStorageID",)), ("PartitionStorage", "PartitionID")),
    (("Hierarchy", ("HierarchyStorageID",)), ("HierarchyStorage", "HierarchyID")),
    (("Relationship", ("RelationshipStorageID", "RelationshipStorage2ID")), ("RelationshipStorage", "RelationshipID")),
    (("PartitionStorage", ("SegmentMapStorageID",)), ("SegmentMapStorage", "PartitionStorageID")),
    (("ColumnStorage", ("DictionaryStorageID",)), ("DictionaryStorage", "ColumnStorageID")),
    (("ColumnPartitionStorage", ("SegmentStorageID",)), ("SegmentStorage", "ColumnPartitionStorageID")),
    (
        ("AttributeHierarchy", ("AttributeHierarchyStorageID",)),
        ("AttributeHierarchyStorage", "AttributeHierarchyID"),
    ),
    (
        ("RelationshipStorage", ("RelationshipIndexStorageID",)),
        ("RelationshipIndexStorage", "RelationshipStorageID"),
    ),
)
"""An object and its storage name each other: (table, columns) and (storage table, column back)."""

FILE_OWNERS: Final = {
    22: "DictionaryStorage",
    23: "ColumnPartitionStorage",
    24: "SegmentStorage",
    27: "AttributeHierarchyStorage",
}
"""``StorageFile.OwnerType``: the owner's ``StorageFileID`` names the file. Types of newer versions are not judged."""

FOLDER_OWNERS: Final = {18: "TableStorage", 20: "PartitionStorage"}
"""``StorageFolder.OwnerType``: the owner's ``StorageFolderID`` names the folder."""


def id_violations(metadata: Metadata) -> Iterator[str]:
    """Ids that two rows share, and ids above the counter."""
    counter = metadata.properties().get("MAXID")
    if not isinstance(counter, int):
        yield f"DBPROPERTIES MAXID is {counter!r}, not a whole number"
        return
    tables: dict[int, str] = {}
    for table in metadata.table_names():
        if "ID" in metadata.column_names(table):
            for record in Records(metadata, table, ()):
                if record.id in tables:
                    yield f"id {record.id} is in table {tables[record.id]} and in table {table}"
                if record.id > counter:
                    yield f"{table} {record.id}: ID is above MAXID {counter}"
                tables[record.id] = table


def reference_violations(metadata: Metadata) -> Iterator[str]:
    """References that lead to no row of the table they must lead to."""
    ids: dict[str, Records] = {}
    for references, required in ((REQUIRED, True), (OPTIONAL, False)):
        for table, column, target in references:
            if target not in ids:
                ids[target] = Records(metadata, target, ())
            for record in Records(metadata, table, (column,)):
                reference = record.integer(column, 0)
                if reference not in ids[target] and (required or reference != 0):
                    yield f"{table} {record.id}: {column} {reference} is no row of {target}"
    yield from _fileless_violations(metadata)


def _fileless_violations(metadata: Metadata) -> Iterator[str]:
    """Rows of a partition that no file of a column holds. (DirectLake columns have none until they are asked for.)"""
    maps = Records(metadata, "SegmentMapStorage", ("RecordCount",))
    counts = {record.id: record.integer("RecordCount", 0) for record in maps}
    storages = {
        record.id: counts.get(record.integer("SegmentMapStorageID", 0), 0)
        for record in Records(metadata, "PartitionStorage", ("SegmentMapStorageID",))
    }
    for record in Records(metadata, "ColumnPartitionStorage", ("PartitionStorageID", "StorageFileID")):
        record_count = storages.get(record.integer("PartitionStorageID", 0), 0)
        if record_count and record.integer("StorageFileID", 0) == 0:
            yield f"{record.table} {record.id}: StorageFileID 0 is no row of StorageFile, for {record_count} records"
    for record in Records(metadata, "SegmentStorage", ("SegmentCount", "StorageFileID")):
        segment_count = record.integer("SegmentCount", 0)
        if segment_count and record.integer("StorageFileID", 0) == 0:
            yield f"{record.table} {record.id}: StorageFileID 0 is no row of StorageFile, for {segment_count} segments"


def pair_violations(metadata: Metadata) -> Iterator[str]:
    """Objects and storages of which only one names the other."""
    for (table, columns), (storage_table, back) in PAIRS:
        owners = Records(metadata, table, columns)
        storages = Records(metadata, storage_table, (back,))
        named: dict[int, int] = {}
        for owner in owners:
            for column in columns:
                storage_id = owner.integer(column, 0)
                if storage_id:
                    named[storage_id] = owner.id
                    if storage_id not in storages:
                        yield f"{table} {owner.id}: {column} {storage_id} is no row of {storage_table}"
        for storage in storages:
            owner_id = storage.integer(back, 0)
            if named.get(storage.id) != owner_id:
                naming = f"{table} {named[storage.id]}" if storage.id in named else f"no row of {table}"
                yield f"{storage_table} {storage.id}: {back} is {owner_id}, and {naming} names it"


def owner_violations(metadata: Metadata) -> Iterator[str]:
    """Storage files and folders that their owner does not name."""
    for table, column, owner_types in (
        ("StorageFile", "StorageFileID", FILE_OWNERS),
        ("StorageFolder", "StorageFolderID", FOLDER_OWNERS),
    ):
        named = {
            owner_type: {record.id: record.integer(column, 0) for record in Records(metadata, owner_table, (column,))}
            for owner_type, owner_table in owner_types.items()
        }
        for record in Records(metadata, table, ("OwnerID", "OwnerType")):
            owner_type, owner_id = record.integer("OwnerType", 0), record.integer("OwnerID", 0)
            if owner_type in named and named[owner_type].get(owner_id) != record.id:
                yield f"{table} {record.id}: {owner_types[owner_type]} {owner_id} owns it and names another one or none"
