"""
Is each H$, R$ and U$ table whole, and does one row of storage have it?

==========================  =========================================  ==========================  ==================
materialization type        columns of the H$ table                    their positions in the row  ``.hidx`` file
==========================  =========================================  ==========================  ==================
0 (hash dictionary)         POS_TO_ID, ID_TO_POS                       0 and 1                     no
1 (value encoding)          POS_TO_ID                                  0 and -1                    yes
2 (no data), 3 (row         no table                                   -1 and -1                   no
number), -1 (not in MDX)
==========================  =========================================  ==========================  ==================

An R$ table has a column INDEX; a U$ table MULTI_LEVEL_ID, PARENT_POS, FIRST_CHILD_POS and CHILD_COUNT, and its
``LevelDefinition`` names the storage of the columns of the levels, from the top, each with its first row: the first is
row 0, and each level has a row. Every system table is named by one row of storage, once.

Source: read off genuine files of schema versions 17 to 122: all their 1 198 H$, 127 R$ and 37 U$ tables are so.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Model, Table
    from tabvault.model.records import Record

_NONE: Final = ((), -1, -1, False)
_MATERIALIZED: Final = {
    0: (("POS_TO_ID", "ID_TO_POS"), 0, 1, False),
    1: (("POS_TO_ID",), 0, -1, True),
    2: _NONE,
    3: _NONE,
    -1: _NONE,
}
"""By ``MaterializationType``: columns, ColumnPositionToData, ColumnDataToPosition, and whether there is a file."""

_INDEX: Final = ("INDEX",)
_HIERARCHY: Final = ("MULTI_LEVEL_ID", "PARENT_POS", "FIRST_CHILD_POS", "CHILD_COUNT")

_LEVEL: Final = re.compile(r"([^$]+)\$(\d{1,18})\$", re.ASCII)

_OWNERS: Final = (
    ("AttributeHierarchyStorage", "SystemTableID"),
    ("HierarchyStorage", "SystemTableID"),
    ("RelationshipIndexStorage", "SystemTableID"),
    ("RelationshipIndexStorage", "SecondarySystemTableID"),
)


def owned_violations(metadata: Metadata, model: Model) -> Iterator[str]:
    """
    System tables that no row of storage names, or more than one.

    Raises:
        ModelError: a cell is none of its type.
    """
    owners: dict[int, list[str]] = {table.id: [] for table in model.system_tables}
    for table, column in _OWNERS:
        for record in Records(metadata, table, (column,)):
            owners.setdefault(record.integer(column, 0), []).append(f"{table} {record.id}")
    for system_table in model.system_tables:
        found = owners[system_table.id]
        if len(found) != 1:
            shown = " and ".join(found[:3]) or "no row of storage"
            yield f"table {system_table.name!r} is named by {shown}"


def whole_violations(metadata: Metadata, model: Model) -> Iterator[str]:
    """
    System tables with other columns than their kind has, and rows of storage that say something else.

    Raises:
        ModelError: a cell is none of its type.
    """
    tables = {table.id: table for table in model.system_tables}
    cells = ("MaterializationType", "SystemTableID", "ColumnPositionToData", "ColumnDataToPosition", "StorageFileID")
    for storage in Records(metadata, "AttributeHierarchyStorage", cells):
        expected = _MATERIALIZED.get(storage.integer("MaterializationType"))
        found = (
            _columns(tables.get(storage.integer("SystemTableID", 0))),
            storage.integer("ColumnPositionToData", -1),
            storage.integer("ColumnDataToPosition", -1),
            storage.integer("StorageFileID", 0) != 0,
        )
        if expected is not None and found != expected:
            yield f"{_shown(storage)}: columns, their positions and a file are {found}, not {expected}"
    for table, columns in (("RelationshipIndexStorage", _INDEX), ("HierarchyStorage", _HIERARCHY)):
        for storage in Records(metadata, table, ("SystemTableID",)):
            system_table = tables.get(storage.integer("SystemTableID", 0))
            if system_table is not None and _columns(system_table) != columns:
                yield f"table {system_table.name!r} has columns {_columns(system_table)}, not {columns}"


def level_violations(metadata: Metadata, model: Model) -> Iterator[str]:
    """
    Level definitions that do not fit the levels of their hierarchy.

    Raises:
        ModelError: a cell is none of its type.
    """
    tables = {table.id: table for table in model.system_tables}
    names = {column.id: column.storage.name for table in model.tables for column in table.columns if column.storage}
    levels = {
        hierarchy.id: [names.get(level.column_id) for level in hierarchy.levels]
        for table in model.tables
        for hierarchy in table.hierarchies
    }
    for storage in Records(metadata, "HierarchyStorage", ("HierarchyID", "LevelDefinition", "SystemTableID")):
        table = tables.get(storage.integer("SystemTableID", 0))
        if table is None:
            continue
        definition = storage.text("LevelDefinition")
        found = _LEVEL.findall(definition)
        starts = [int(start) for _, start in found]
        expected = levels.get(storage.integer("HierarchyID", 0), [])
        is_whole = definition == "$" + "".join(f"{name}${start}$" for name, start in found)
        if not is_whole or [name for name, _ in found] != expected:
            yield f"{storage.table} {storage.id}: LevelDefinition {definition[:200]!r} is not of the columns {expected}"
        elif starts[:1] != [0] or not all(start < end for start, end in pairwise([*starts, table.row_count])):
            shown = f"{starts} of {table.row_count} rows"
            yield f"{storage.table} {storage.id}: levels start in rows {shown}"


def _columns(table: Table | None) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns) if table else ()


def _shown(storage: Record) -> str:
    return f"{storage.table} {storage.id} of MaterializationType {storage.integer('MaterializationType')}"
