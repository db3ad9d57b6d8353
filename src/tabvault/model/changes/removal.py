"""
Removing rows with everything that hangs on them.

1. In every table of every schema version the column after ``ID`` says what a row belongs to, where its name ends in
   ``ID``: rows go with that. Some rows cannot be without another object either, see ``_NEEDED``.
2. Storage rows that go take the H$, R$ or U$ table that they name with them.
3. Any other reference to a row that went becomes 0, which is empty.

Ids are unique over all tables, so a reference is found by its number, in tables that we do not know as well. What an
engine of its own accord removes or refuses is not documented; this leaves nothing that refers to what is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tabvault.model.changes.rows import Rows
    from tabvault.model.sqlite_file import Value

_NEEDED: Final = frozenset(
    {
        ("CalendarColumnReference", "ColumnID"),
        ("ColumnPartitionStorage", "PartitionStorageID"),
        ("ColumnPermission", "ColumnID"),
        ("GroupByColumn", "GroupingColumnID"),
        ("Level", "ColumnID"),
        ("ObjectTranslation", "ObjectID"),
        ("PerspectiveColumn", "ColumnID"),
        ("PerspectiveHierarchy", "HierarchyID"),
        ("PerspectiveMeasure", "MeasureID"),
        ("PerspectiveSet", "SetID"),
        ("PerspectiveTable", "TableID"),
        ("Relationship", "FromColumnID"),
        ("Relationship", "FromTableID"),
        ("Relationship", "ToColumnID"),
        ("Relationship", "ToTableID"),
        ("StorageFile", "StorageFolderID"),
        ("TablePermission", "TableID"),
        ("Variation", "RelationshipID"),
    }
)
"""References that a row cannot be without, besides that to what it belongs to."""

_SYSTEM_TABLES: Final = {
    "AttributeHierarchyStorage": ("SystemTableID",),
    "HierarchyStorage": ("SystemTableID",),
    "RelationshipIndexStorage": ("SystemTableID", "SecondarySystemTableID"),
}
"""Storage rows that own a system table."""

_NO_REFERENCES: Final = "Statistics_"
"""Columns such as ``Statistics_MinDataID`` hold data ids of values."""


class Removal(NamedTuple):
    """What went: ids of rows, and references to them that became empty, by table, row and column."""

    ids: set[int]
    emptied: list[tuple[str, int, str]]


def remove(rows: Rows, roots: Iterable[int]) -> Removal:
    """Remove the rows of those ids, and what cannot be without them."""
    hanging = _hanging(rows)
    removed: set[int] = set()
    pending = [row_id for row_id in roots if rows.table_of(row_id) is not None]
    while pending:
        row_id = pending.pop()
        if row_id in removed:
            continue
        removed.add(row_id)
        pending += hanging.get(row_id, ())
        table = rows.table_of(row_id)
        assert table is not None
        for column in _SYSTEM_TABLES.get(table, ()):
            system_table = rows[table][row_id].get(column)
            if isinstance(system_table, int) and rows.table_of(system_table) == "Table":
                pending.append(system_table)
    for row_id in removed:
        rows.delete(row_id)
    return Removal(removed, _empty_references(rows, removed))


def reference_columns(rows: Rows, table: str) -> Iterator[tuple[str, bool]]:
    """The columns of *table* that refer to rows, and whether a row cannot be without the reference."""
    columns = rows.columns[table]
    for column in columns:
        if column != "ID" and column.endswith("ID") and not column.startswith(_NO_REFERENCES):
            yield column, column == columns[1] or (table, column) in _NEEDED


def _hanging(rows: Rows) -> dict[int, list[int]]:
    """The ids of the rows that cannot be without a row, by the id of that one."""
    hanging: dict[int, list[int]] = {}
    for table in rows.columns:
        needed = [column for column, is_needed in reference_columns(rows, table) if is_needed]
        for row_id, row in rows[table].items():
            for column in needed:
                owner: Value = row[column]
                if isinstance(owner, int) and owner:
                    hanging.setdefault(owner, []).append(row_id)
    return hanging


def _empty_references(rows: Rows, removed: set[int]) -> list[tuple[str, int, str]]:
    emptied = []
    for table in rows.columns:
        columns = [column for column, is_needed in reference_columns(rows, table) if not is_needed]
        for row_id, row in rows[table].items():
            gone: dict[str, Value] = {column: 0 for column in columns if row[column] in removed}
            if gone:
                rows.update(table, row_id, gone)
                emptied += [(table, row_id, column) for column in gone]
    return emptied
