"""
A tabular model as cubes: the model itself, and each of its perspectives.

A table is a dimension, a measure group, or both; a column is an attribute hierarchy. What object-level security keeps
from the caller is left out here, for all rowsets that show objects of a model.

=====================  ======================  ===========================================================
unique name of         is                      example
=====================  ======================  ===========================================================
dimension              the table               ``[Sales]``; all measures together are ``[Measures]``
hierarchy              table and name          ``[Sales].[Product]``
level                  hierarchy and name      ``[Sales].[Product].[Product]``, ``[Sales].[Product].[(All)]``
measure                                        ``[Measures].[Total]``
=====================  ======================  ===========================================================

A ``]`` in a name is doubled.

Sources: [MS-SSAS] 3.1.4.2.2.1.3.5 and after; the documentation of the rowsets; answers of tabular servers in public
reports of tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.language import (
    DBTYPE_BOOL,
    DBTYPE_BYTES,
    DBTYPE_CY,
    DBTYPE_DATE,
    DBTYPE_I8,
    DBTYPE_R8,
    DBTYPE_VARIANT,
    DBTYPE_WSTR,
)
from tabvault.model.objects import Column, DataType
from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.engine.rowsets.source import RowsetSource
    from tabvault.model.objects import Hierarchy, Measure, Table

MEASURE_DBTYPES: Final[dict[int, int]] = {
    DataType.STRING: DBTYPE_WSTR,
    DataType.INT64: DBTYPE_I8,
    DataType.DOUBLE: DBTYPE_R8,
    DataType.DATETIME: DBTYPE_DATE,
    DataType.DECIMAL: DBTYPE_CY,
    DataType.BOOLEAN: DBTYPE_BOOL,
    DataType.BINARY: DBTYPE_BYTES,
    DataType.VARIANT: DBTYPE_VARIANT,
}
"""OLE DB's number of each data type of columns and measures."""

MEASURES: Final = "[Measures]"
"""Unique name of the dimension that all measures are in."""


def quoted(name: str) -> str:
    """``Sales]`` -> ``[Sales]]]``."""
    return f"[{name.replace(']', ']]')}]"


def unique_name(*names: str) -> str:
    """``[Sales].[Product]``."""
    return ".".join(quoted(name) for name in names)


def visible_tables(source: RowsetSource) -> list[Table]:
    """The user tables that the caller may know of."""
    return [table for table in source.model.tables if table.id not in source.hidden_table_ids]


def visible_columns(source: RowsetSource, table: Table) -> list[Column]:
    """The columns of *table* that he may know of, without the internal row number."""
    return [
        column for column in table.columns if not column.is_row_number and column.id not in source.hidden_column_ids
    ]


def visible_measures(source: RowsetSource, table: Table) -> list[Measure]:
    """The measures of *table* that he may know of."""
    return [measure for measure in table.measures if measure.id not in source.hidden_measure_ids]


def visible_hierarchies(source: RowsetSource, table: Table) -> list[Hierarchy]:
    """The hierarchies of *table* that he may know of: those with no hidden column in them."""
    return [
        hierarchy
        for hierarchy in table.hierarchies
        if not any(level.column_id in source.hidden_column_ids for level in hierarchy.levels)
    ]


@dataclass(frozen=True, slots=True)
class CubeTable:
    """What a cube has of a table."""

    table: Table
    columns: tuple[Column, ...]
    hierarchies: tuple[Hierarchy, ...]
    measures: tuple[Measure, ...]
    hidden_hierarchy_ids: frozenset[int]

    @property
    def unique_name(self) -> str:
        """Of its dimension."""
        return quoted(self.table.name)

    @property
    def is_dimension(self) -> bool:
        """Whether it has anything to group by."""
        return bool(self.columns or self.hierarchies)

    @property
    def is_visible(self) -> bool:
        """Whether a list of fields shows any of them."""
        return any(map(self.shows, self.columns)) or any(map(self.shows, self.hierarchies))

    def shows(self, member: Column | Hierarchy) -> bool:
        """Whether a list of fields shows *member*, which is one of its own."""
        hidden = member.is_hidden if isinstance(member, Column) else member.id in self.hidden_hierarchy_ids
        return not hidden and not self.table.is_hidden


@dataclass(frozen=True, slots=True)
class Cube:
    """The model, or a perspective of it: then *base_name* is the model's name."""

    name: str
    description: str | None
    base_name: str | None
    tables: tuple[CubeTable, ...]


def cubes(source: RowsetSource) -> Iterator[Cube]:
    """
    The model, and after it its perspectives by name.

    Raises:
        ModelError: a perspective contradicts itself.
    """
    hierarchies = Records(source.metadata, "Hierarchy", ("IsHidden",))
    hidden = frozenset(record.id for record in hierarchies if record.flag("IsHidden"))
    tables = tuple(
        CubeTable(
            table,
            tuple(column for column in visible_columns(source, table) if column.is_available_in_mdx),
            tuple(visible_hierarchies(source, table)),
            tuple(visible_measures(source, table)),
            hidden,
        )
        for table in visible_tables(source)
    )
    yield Cube(source.model.name, source.model.description, None, tables)
    metadata = source.metadata
    perspectives = Records(metadata, "Perspective", ("Name", "Description"))
    shown_tables = list(Records(metadata, "PerspectiveTable", ("PerspectiveID", "TableID", "IncludeAll")))
    members: dict[int, set[int]] = {record.id: set() for record in shown_tables}
    for kind in ("Column", "Hierarchy", "Measure"):
        for record in Records(metadata, f"Perspective{kind}", ("PerspectiveTableID", f"{kind}ID")):
            members.setdefault(record.integer("PerspectiveTableID"), set()).add(record.integer(f"{kind}ID"))
    for perspective in sorted(perspectives, key=lambda record: record.text("Name")):
        shown = {
            record.integer("TableID"): (record.flag("IncludeAll"), members[record.id])
            for record in shown_tables
            if record.integer("PerspectiveID") == perspective.id
        }
        yield Cube(
            perspective.text("Name"),
            perspective.text_or_none("Description"),
            source.model.name,
            tuple(_part(table, *shown[table.table.id]) for table in tables if table.table.id in shown),
        )


def _part(whole: CubeTable, include_all: bool, ids: set[int]) -> CubeTable:  # noqa: FBT001  # a cell of the table
    if include_all:
        return whole
    return CubeTable(
        whole.table,
        tuple(column for column in whole.columns if column.id in ids),
        tuple(hierarchy for hierarchy in whole.hierarchies if hierarchy.id in ids),
        tuple(measure for measure in whole.measures if measure.id in ids),
        whole.hidden_hierarchy_ids,
    )
