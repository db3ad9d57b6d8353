"""
States of what was created or lost its values, as an engine would report them before any processing.

``State`` is 1 (ready) where nothing has to be loaded or calculated, 3 (no data) where values have to be loaded, 4
(calculation needed) where they follow from others that are there. Source: the public enumeration ``ObjectState``; that
objects of DirectQuery tables are ready is read off genuine files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.objects import ColumnType, ObjectState, PartitionMode, PartitionType

if TYPE_CHECKING:
    from tabvault.model.changes.rows import Rows
    from tabvault.model.changes.storage import NewStorage
    from tabvault.model.sqlite_file import Value

_CALCULATED_TABLE: Final = 2
"""``Table.SystemFlags`` of a calculated table."""

_MATERIALIZED_LATER: Final = (ColumnType.CALCULATED, ColumnType.CALCULATED_TABLE_COLUMN)


class States:
    """Sets the states of a model's objects that have no values. *storage* knows which tables hold rows."""

    def __init__(self, rows: Rows, storage: NewStorage) -> None:
        self._rows = rows
        self._storage = storage
        self._default_mode: Value = next(row["DefaultMode"] for row in rows["Model"].values())

    def set_for_table(self, table_id: int) -> None:
        """Set the states of a table's partitions, columns and hierarchies, as far as they have no values."""
        rows = self._rows
        partitions = {row_id: rows["Partition"][row_id] for row_id in self._storage.partitions.get(table_id, ())}
        is_direct = bool(partitions) and all(self._is_direct(row) for row in partitions.values())
        is_calculated = any(row["Type"] == PartitionType.CALCULATED for row in partitions.values())
        for row_id, row in partitions.items():
            if not self._storage.record_count(row_id):
                state = _without_values(is_direct=self._is_direct(row), follows_from_others=is_calculated)
                rows.update("Partition", row_id, {"State": state})
        if is_calculated and not rows["Table"][table_id]["SystemFlags"]:
            rows.update("Table", table_id, {"SystemFlags": _CALCULATED_TABLE})
        has_rows = self._storage.has_rows(table_id)
        for row_id in self._storage.columns.get(table_id, ()):
            row = rows["Column"][row_id]
            if not (has_rows and row["ColumnStorageID"]):
                state = _without_values(is_direct=is_direct, follows_from_others=row["Type"] in _MATERIALIZED_LATER)
                rows.update("Column", row_id, {"State": state})
                hierarchy_id = row["AttributeHierarchyID"]
                if isinstance(hierarchy_id, int) and hierarchy_id in rows["AttributeHierarchy"]:
                    rows.update("AttributeHierarchy", hierarchy_id, {"State": state})
        for row_id, row in rows["Hierarchy"].items():
            if row["TableID"] == table_id and not row["HierarchyStorageID"]:
                state = _without_values(is_direct=is_direct, follows_from_others=has_rows)
                rows.update("Hierarchy", row_id, {"State": state})

    def set_for_relationships(self) -> None:
        """Set the states of the relationships that have no index."""
        for row_id, row in self._rows["Relationship"].items():
            if not row["RelationshipStorageID"]:
                ends = [row["FromTableID"], row["ToTableID"]]
                have_rows = all(isinstance(end, int) and self._storage.has_rows(end) for end in ends)
                state = _without_values(is_direct=False, follows_from_others=have_rows)
                self._rows.update("Relationship", row_id, {"State": state})

    def _is_direct(self, partition: dict[str, Value]) -> bool:
        mode = partition["Mode"]
        return (self._default_mode if mode == PartitionMode.DEFAULT else mode) == PartitionMode.DIRECT_QUERY


def _without_values(*, is_direct: bool, follows_from_others: bool) -> ObjectState:
    """The state of what has no values: rows that are asked of the source are none that are missing."""
    if is_direct:
        return ObjectState.READY
    return ObjectState.CALCULATION_NEEDED if follows_from_others else ObjectState.NO_DATA
