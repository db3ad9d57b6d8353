"""
Do the H$, R$ and U$ tables fit the columns that they index?

- An attribute hierarchy of materialization type 0 (hash dictionary) has an H$ table of ``Statistics_MaxDataID + 1``
  records; one of type 1 (value encoding) an H$ table of D + 3, or D + 2 with nulls, D being ``DistinctDataCount``. The
  other types (no data, row number, not available) have none.
- A relationship has an R$ table of as many records as ``RelationshipIndexStorage.RecordCount`` says, which is
  ``Statistics_MaxDataID + 1`` of the column it starts from; a one-to-one relationship has a second one that
  starts from its other column.
- A user hierarchy has a U$ table, or none yet.

Source: read off genuine files of schema versions 17 to 122: all their 1 198 H$, 127 R$ and 37 U$ tables are so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import ColumnStorage, Model, Table
    from tabvault.model.records import Record

_HASH, _VALUE = 0, 1
"""``AttributeHierarchyStorage.MaterializationType`` with an H$ table."""


def hierarchy_violations(metadata: Metadata, model: Model) -> Iterator[str]:
    """
    What does not fit in attribute hierarchies and user hierarchies.

    Raises:
        ModelError: a row of theirs leads nowhere.
    """
    system_tables = {table.id: table for table in model.system_tables}
    columns = _column_storages(model)
    hierarchies = Records(metadata, "AttributeHierarchy", ("ColumnID",))
    for storage in Records(
        metadata,
        "AttributeHierarchyStorage",
        ("AttributeHierarchyID", "MaterializationType", "SystemTableID", "DistinctDataCount"),
    ):
        table = _system_table(storage, system_tables)
        kind = storage.integer("MaterializationType")
        if (table is not None) != (kind in (_HASH, _VALUE)):
            yield f"{storage.table} {storage.id}: MaterializationType is {kind}, SystemTableID {_id(table)}"
        elif table is not None:
            hierarchy = hierarchies.target(storage, "AttributeHierarchyID")
            column = columns.get(hierarchy.integer("ColumnID", 0))
            if column is None:
                raise hierarchy.error("ColumnID", "the id of a column with storage")
            expected = column.statistics.max_data_id + 1
            if kind == _VALUE:
                expected = storage.integer("DistinctDataCount") + (2 if column.statistics.has_nulls else 3)
            if table.row_count != expected:
                yield f"table {table.name!r} has {table.row_count} records, and column {column.name!r} needs {expected}"
    for storage in Records(metadata, "HierarchyStorage", ("SystemTableID",)):
        _system_table(storage, system_tables)


def relationship_violations(metadata: Metadata, model: Model) -> Iterator[str]:
    """
    What does not fit in relationship indexes.

    Raises:
        ModelError: a row of theirs leads nowhere.
    """
    system_tables = {table.id: table for table in model.system_tables}
    columns = _column_storages(model)
    relationships = Records(metadata, "Relationship", ("FromColumnID", "ToColumnID", "RelationshipStorageID"))
    storages = Records(metadata, "RelationshipStorage", ("RelationshipID",))
    for index in Records(
        metadata, "RelationshipIndexStorage", ("RelationshipStorageID", "RecordCount", "SystemTableID")
    ):
        table = _system_table(index, system_tables)
        if table is None:
            continue
        storage = storages.target(index, "RelationshipStorageID")
        relationship = relationships.target(storage, "RelationshipID")
        forward = relationship.integer("RelationshipStorageID", 0) == storage.id
        end = "FromColumnID" if forward else "ToColumnID"
        column = columns.get(relationship.integer(end))
        if column is None:
            raise relationship.error(end, "the id of a column with storage")
        expected = column.statistics.max_data_id + 1
        if not table.row_count == index.integer("RecordCount", 0) == expected:
            counts = f"{table.row_count} records, RecordCount is {index.integer('RecordCount', 0)}"
            yield f"table {table.name!r} has {counts}, and column {column.name!r} needs {expected}"


def _column_storages(model: Model) -> dict[int, ColumnStorage]:
    return {column.id: column.storage for table in model.tables for column in table.columns if column.storage}


def _system_table(record: Record, system_tables: dict[int, Table]) -> Table | None:
    table_id = record.integer("SystemTableID", 0)
    if table_id and table_id not in system_tables:
        raise record.error("SystemTableID", "the id of a system table")
    return system_tables.get(table_id)


def _id(table: Table | None) -> int:
    return table.id if table else 0
