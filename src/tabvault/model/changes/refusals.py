"""
What an engine refuses: changed metadata that are rows, and no model.

Only objects that a change created, renamed or altered are asked about, so that a model which broke a rule before can be
mended one change at a time. The rules are those of the public documentation of tabular models:

1. Names are unique: tables, measures and whatever else belongs to the model in the model; columns, measures and
   hierarchies together in a table; the rest among their siblings. Objects that have no name are told by what they
   stand for.
2. A column stands in the table that the object which refers to it is about.
3. A relationship joins two tables, no two columns are joined twice, and one relationship of two tables is active.
4. A query partition has a data source.
5. A hierarchy has a level.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.objects import PartitionType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tabvault.model.changes.application import Application
    from tabvault.model.changes.rows import Rows
    from tabvault.model.object_types import ObjectType
    from tabvault.model.sqlite_file import Value

_TABLE_MEMBERS: Final = ("Column", "Measure", "Hierarchy")
"""Types that share the names of a table."""

_SAME_TABLE: Final = {
    "Column": ("SortByColumnID", None),
    "Level": ("ColumnID", ("HierarchyID", "Hierarchy")),
    "ColumnPermission": ("ColumnID", ("TablePermissionID", "TablePermission")),
    "PerspectiveColumn": ("ColumnID", ("PerspectiveTableID", "PerspectiveTable")),
    "PerspectiveMeasure": ("MeasureID", ("PerspectiveTableID", "PerspectiveTable")),
    "PerspectiveHierarchy": ("HierarchyID", ("PerspectiveTableID", "PerspectiveTable")),
    "CalendarColumnReference": ("ColumnID", None),
}
"""References to objects of a table, and the reference and type by which the referring object is of a table itself."""


_FOUNDATIONS: Final = frozenset({("Partition", "DataSourceID"), ("Partition", "ExpressionSourceID")})
"""References that may be empty, but not for what they referred to being deleted."""


def refuse(application: Application) -> None:
    """
    Ask every rule.

    Raises:
        RequestError: the first that is broken; object and reason are in the message.
    """
    named = application.created | application.renamed
    _refuse_same_names(application, named)
    touched = named | application.altered
    for row_id, type_ in touched.items():
        _refuse_other_table(application, type_, row_id)
    if any(type_.name == "Relationship" for type_ in touched.values()):
        _refuse_relationships(application, {key for key, type_ in touched.items() if type_.name == "Relationship"})
    _refuse_unfounded(application, touched)


def _refuse_same_names(application: Application, named: Mapping[int, ObjectType]) -> None:
    names, rows = application.names, application.rows
    for type_name in sorted({type_.name for type_ in named.values()}):
        type_ = OBJECT_TYPES[type_name]
        if type_.key is None:
            continue
        seen: dict[object, list[int]] = defaultdict(list)
        for row_id in rows[type_.table]:
            path = names.path(type_, row_id)
            key = names.key(type_, row_id)
            if path is not None and key is not None:
                seen[names.fold(key) if type_name == "Measure" else path].append(row_id)
        for same in seen.values():
            if len(same) > 1 and not named.keys().isdisjoint(same):
                raise RequestError(f"there are two of {names.display(type_, same[-1])}", hint="give one another name")
    tables = {rows[type_.table][row_id]["TableID"] for row_id, type_ in named.items() if type_.name in _TABLE_MEMBERS}
    _refuse_same_members(application, tables, named)


def _refuse_same_members(application: Application, tables: set[Value], named: Mapping[int, ObjectType]) -> None:
    names, rows = application.names, application.rows
    members: dict[tuple[Value, str], list[tuple[ObjectType, int]]] = defaultdict(list)
    for type_ in (OBJECT_TYPES[name] for name in _TABLE_MEMBERS):
        for row_id, row in rows[type_.table].items():
            key = names.key(type_, row_id) if row["TableID"] in tables else None
            if key is not None:
                members[row["TableID"], names.fold(key)].append((type_, row_id))
    for same in members.values():
        if len(same) > 1 and any(row_id in named for _, row_id in same):
            first, last = (names.display(*member) for member in (same[0], same[-1]))
            raise RequestError(f"{last} has the name of {first}", hint="give one another name")


def _refuse_other_table(application: Application, type_: ObjectType, row_id: int) -> None:
    rule = _SAME_TABLE.get(type_.name)
    if rule is None:
        return
    rows = application.rows
    row = rows[type_.table][row_id]
    column, by = rule
    target_type = OBJECT_TYPES[type_[column].target or ""]
    target = rows[target_type.table].get(_id(row.get(column)))
    if target is None:
        if column != "SortByColumnID":
            raise RequestError(f"{application.names.display(type_, row_id)} has no {column}")
        return
    if _id(row[column]) == row_id:
        raise RequestError(f"{application.names.display(type_, row_id)} cannot be sorted by itself")
    table_id = _table_of(rows, type_, row, by)
    if table_id is not None and target["TableID"] != table_id:
        shown = application.names.display(target_type, _id(row[column]))
        raise RequestError(f"{application.names.display(type_, row_id)} refers to {shown}, which is not of its table")


def _table_of(rows: Rows, type_: ObjectType, row: Mapping[str, Value], by: tuple[str, str] | None) -> Value:
    if by is not None:
        owner = rows[by[1]].get(_id(row[by[0]]))
        return None if owner is None else owner["TableID"]
    if type_.name != "CalendarColumnReference":
        return row["TableID"]
    group = rows["CalendarColumnGroup"].get(_id(row.get("CalendarColumnGroupID")))
    calendar = rows["Calendar"].get(_id(group.get("CalendarID"))) if group else None
    return calendar.get("TableID") if calendar else None


def _refuse_relationships(application: Application, touched: set[int]) -> None:
    rows, names = application.rows, application.names
    type_ = OBJECT_TYPES["Relationship"]
    joined: dict[frozenset[Value], list[int]] = defaultdict(list)
    active: dict[frozenset[Value], list[int]] = defaultdict(list)
    for row_id, row in rows["Relationship"].items():
        if row_id in touched:
            for table, column in (("FromTableID", "FromColumnID"), ("ToTableID", "ToColumnID")):
                stands_in = rows["Column"].get(_id(row[column]))
                if stands_in is None or stands_in["TableID"] != row[table]:
                    raise RequestError(f"{names.display(type_, row_id)}: {column} is no column of its {table}")
            if row["FromTableID"] == row["ToTableID"]:
                raise RequestError(f"{names.display(type_, row_id)} joins a table with itself")
        joined[frozenset((row["FromColumnID"], row["ToColumnID"]))].append(row_id)
        if row["IsActive"]:
            active[frozenset((row["FromTableID"], row["ToTableID"]))].append(row_id)
    for groups, reason in ((joined, "joins the columns of"), (active, "is active between the tables of")):
        for same in groups.values():
            if len(same) > 1 and not touched.isdisjoint(same):
                first, last = (names.display(type_, row_id) for row_id in (same[0], same[-1]))
                raise RequestError(f"{last} {reason} {first}, which does so already")


def _refuse_unfounded(application: Application, touched: Mapping[int, ObjectType]) -> None:
    """Query partitions that lost their data source, and hierarchies without a level."""
    rows, names = application.rows, application.names
    for table, row_id, column in application.emptied:
        row = rows[table].get(row_id)
        if row is not None and (table, column) in _FOUNDATIONS and not row[column]:
            raise RequestError(
                f"{names.display(OBJECT_TYPES[table], row_id)} takes its rows from what would be deleted"
            )
    for row_id in _of_type(touched, "Partition"):
        row = rows["Partition"][row_id]
        if row["Type"] == PartitionType.QUERY and not row["DataSourceID"]:
            raise RequestError(f"{names.display(OBJECT_TYPES['Partition'], row_id)} has a query and no data source")
    levels = {row["HierarchyID"] for row in rows["Level"].values()}
    hierarchies = {*_of_type(touched, "Hierarchy"), *application.lost_levels}
    for row_id in hierarchies:
        if row_id in rows["Hierarchy"] and row_id not in levels:
            raise RequestError(f"{names.display(OBJECT_TYPES['Hierarchy'], row_id)} has no level")


def _of_type(touched: Mapping[int, ObjectType], name: str) -> Iterable[int]:
    return [row_id for row_id, type_ in touched.items() if type_.name == name]


def _id(value: Value) -> int:
    return value if isinstance(value, int) else 0
