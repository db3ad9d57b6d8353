"""
Changes made to the rows of a model, one after the other.

1. What an engine makes by itself is made here: the row number of a table, the attribute hierarchy of a column, the
   parent's reference to an only child, times of modification.
2. Values that are no longer those of a column's definition go: a column whose data type or expression changed has no
   values until it is processed.
3. A secret that comes back masked is the one that is stored, see :mod:`tabvault.model.secrets`.
4. Whether the result is a model is asked at the end, by :mod:`tabvault.model.changes.refusals`, so that a sequence may
   pass through states that are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import CompatibilityError, RequestError
from tabvault.model.changes.removal import remove
from tabvault.model.changes.resolution import Resolution, is_system_table
from tabvault.model.changes.row_changes import default_cell
from tabvault.model.changes.values import (
    column_storage,
    refreshed_rows,
    row_number_storage,
    table_storage,
    tables_with_rows,
)
from tabvault.model.filetime import NEVER
from tabvault.model.object_types import OBJECT_TYPES, Role
from tabvault.model.objects import ColumnType, DataType
from tabvault.model.secrets import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tabvault.model.changes.change import Change
    from tabvault.model.changes.rows import Rows
    from tabvault.model.object_types import ObjectType
    from tabvault.model.sqlite_file import Value

_ROW_NUMBER_NAME: Final = "RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61"
_ROW_NUMBER: Final[dict[str, Value]] = {
    "ExplicitName": _ROW_NUMBER_NAME,
    "ExplicitDataType": DataType.INT64,
    "InferredDataType": DataType.UNKNOWN,
    "IsHidden": 1,
    "IsUnique": 1,
    "IsKey": 1,
    "IsNullable": 0,
    "SummarizeBy": 1,
    "Type": ColumnType.ROW_NUMBER,
}

_RETIRED: Final[dict[str, Value]] = {"EvaluationBehavior": 1}
"""Cells of columns of ``Column`` that newer schema versions do not have any more, as in every genuine file."""

_VALUES_DEPEND_ON: Final = ("ExplicitDataType", "Expression", "Type")
"""Properties of a column without which its stored values mean nothing."""


class Application:
    """
    Makes changes to *rows*.

    Args:
        rows: the rows of the model.
        compatibility_level: of the database; what a higher one brought cannot be set.
        time: the time of the changes, as ``ModifiedTime`` has it.

    Attributes:
        created: ids of new objects that clients know of, with their types.
        renamed: the same of those whose key or parent changed.
        altered: the same of those that an alter named.
        removed: ids of the rows that went, of any table.
        emptied: references to removed rows that were emptied: table, row, column.
        lost_levels: ids of hierarchies that lost a level.
        incomplete_tables: ids of tables whose columns, partitions, hierarchies or values are not what they were.
    """

    def __init__(self, rows: Rows, *, compatibility_level: int, time: int) -> None:
        self.rows = rows
        self.removed: set[int] = set()
        self._resolution = Resolution(rows, self.removed)
        self.names = self._resolution.names
        self.created: dict[int, ObjectType] = {}
        self.renamed: dict[int, ObjectType] = {}
        self.altered: dict[int, ObjectType] = {}
        self.emptied: list[tuple[str, int, str]] = []
        self.lost_levels: set[int] = set()
        self.incomplete_tables: set[int] = set()
        self._level = compatibility_level
        self._time = time
        self._adoptions: list[tuple[ObjectType, int, Change, int]] = []

    def run(self, changes: Sequence[Change]) -> None:
        """
        Make the changes.

        Raises:
            RequestError: an object is not there, or is already, or a property cannot be set so.
            CompatibilityError: the schema version has no place for what is set.
        """
        ids = self._resolution.declare(changes)
        deletions: list[int] = []
        clearings: list[Change] = []
        for number, change in enumerate(changes):
            # To remove rows takes a look at every row, so what follows each other is done at once.
            if change.verb != "delete":
                self._remove(deletions)
            if change.verb != "clear":
                self._clear(clearings)
            if change.verb == "create":
                self._create(ids[number], change)
            elif change.verb == "alter":
                self._alter(change)
            elif change.verb == "delete":
                deletions.append(self._deleted(change))
            else:
                clearings.append(change)
        self._remove(deletions)
        self._clear(clearings)
        for owner_type, parent_id, change, row_id in self._adoptions:
            self._adopt(owner_type, parent_id, change, row_id)
        self.names.forget()

    def _create(self, row_id: int, change: Change) -> None:
        type_ = change.type
        if type_.table not in self.rows.columns or type_.minimum_level > self._level:
            raise self._beyond(change, type_.name, type_.minimum_level)
        cells: dict[str, Value] = {
            prop.name: default_cell(type_, prop) for prop in type_.properties if prop.role is not Role.ID
        }
        cells |= self._checked_cells(change, {})
        cells |= {"ModifiedTime": self._time, "StructureModifiedTime": self._time, "RefreshedTime": NEVER}
        if type_.name == "Column":
            cells = _RETIRED | cells | {"ExplicitDataType": cells["ExplicitDataType"] or DataType.AUTOMATIC}
        owner_type, parent_id = self._parent(change, cells)
        self._require_key(change, cells)
        self.rows.insert(type_.table, cells, row_id=row_id)
        self.created[row_id] = type_
        self._adoptions.append((owner_type, parent_id, change, row_id))
        if type_.name == "Table":
            row_number = {prop.name: default_cell(_COLUMN, prop) for prop in _COLUMN.properties}
            times = {key: cells[key] for key in ("ModifiedTime", "StructureModifiedTime", "RefreshedTime")}
            column_id = self.rows.insert(
                "Column", {**row_number, **_RETIRED, **_ROW_NUMBER, **times, "TableID": row_id}
            )
            self._add_attribute_hierarchy(column_id)
        elif type_.name == "Column":
            self._add_attribute_hierarchy(row_id)
        self._restructured(type_, row_id)

    def _parent(self, change: Change, cells: dict[str, Value]) -> tuple[ObjectType, int]:
        """The new object's parent, whose id is put into *cells* where that is the model."""
        parent = change.type.parent
        assert parent is not None
        if parent.column == "ModelID":
            cells["ModelID"] = next(iter(self.rows["Model"]))
        owner_type = self._resolution.target(change, parent.column)
        assert owner_type is not None
        parent_id = cells[parent.column]
        if not isinstance(parent_id, int) or not parent_id:
            raise RequestError(f"{change.type.name} has no {parent.column}", path=change.place)
        return owner_type, parent_id

    def _require_key(self, change: Change, cells: dict[str, Value]) -> None:
        key = change.type.key
        if key is None or change.type.name == "Relationship":
            return
        has_key = cells.get(key) or (key == "ExplicitName" and cells.get("InferredName"))
        if not has_key and change.type[key].enumeration is None:
            raise RequestError(f"{change.type.name} has no {key}", path=change.place)

    def _adopt(self, owner_type: ObjectType, parent_id: int, change: Change, row_id: int) -> None:
        """Name an only child in its parent, if both are there still."""
        if row_id in self.removed:
            return
        for prop in owner_type.children:
            if prop.target == change.type.name and prop.name in self.rows.columns[owner_type.table]:
                if self.rows[owner_type.table][parent_id][prop.name]:
                    shown = self.names.display(owner_type, parent_id)
                    raise RequestError(f"{shown} has a {change.type.name} already", path=change.place)
                self.rows.update(owner_type.table, parent_id, {prop.name: row_id})

    def _add_attribute_hierarchy(self, column_id: int) -> None:
        cells = {"ColumnID": column_id, "ModifiedTime": self._time, "RefreshedTime": NEVER}
        hierarchy_id = self.rows.insert("AttributeHierarchy", cells)
        self.rows.update("Column", column_id, {"AttributeHierarchyID": hierarchy_id})

    def _alter(self, change: Change) -> None:
        type_ = change.type
        row_id = self._resolution.existing(change)
        row = self.rows[type_.table][row_id]
        cells = {name: value for name, value in self._checked_cells(change, row).items() if name in row}
        if type_.parent is not None:
            for column in (type_.parent.column, "ObjectType"):
                if column in cells and cells[column] != row[column]:
                    shown = self.names.display(type_, row_id)
                    raise RequestError(f"{shown} cannot move to another object", path=change.place)
        changed = {name: value for name, value in cells.items() if value != row[name]}
        self.altered[row_id] = type_
        if not changed:
            return
        self._require_key(change, {**row, **changed})
        self.rows.update(type_.table, row_id, {**changed, "ModifiedTime": self._time})
        if type_.key in changed or "InferredName" in changed:
            self.names.forget()
            self.renamed[row_id] = type_
        self._restructured(type_, row_id)
        if type_.name == "Column" and any(name in changed for name in _VALUES_DEPEND_ON):
            if row["Type"] == ColumnType.CALCULATED and "InferredDataType" not in changed:
                self.rows.update("Column", row_id, {"InferredDataType": DataType.UNKNOWN})
            self.drop_values(row_id)
        elif type_.name == "Relationship" and not changed.keys().isdisjoint(("FromColumnID", "ToColumnID")):
            self._remove_storage([row["RelationshipStorageID"], row["RelationshipStorage2ID"]])

    def drop_values(self, column_id: int) -> None:
        """Remove the storage of a column, and of what was derived from its values."""
        self._remove_storage(column_storage(self.rows, column_id))

    def _clear(self, clearings: list[Change]) -> None:
        """
        Take the values of partitions, tables or the model away.

        A table without rows has no dictionaries either, so with its last rows all of its values go.
        """
        if not clearings:
            return
        tables: set[Value] = set()
        partitions: set[int] = set()
        for change in clearings:
            row_id = self._resolution.existing(change)
            if change.type.name == "Partition":
                partitions.add(row_id)
            elif change.type.name == "Table":
                tables.add(row_id)
            elif change.type.name == "Model":
                tables |= {key for key, row in self.rows["Table"].items() if not is_system_table(row)}
            else:
                raise RequestError(f"a {change.type.name} has no values to be cleared", path=change.place)
        clearings.clear()
        touched = tables | {self.rows["Partition"][row_id]["TableID"] for row_id in partitions}
        tables |= touched - tables_with_rows(self.rows, without=partitions)
        roots = [*table_storage(self.rows, tables), *row_number_storage(self.rows, touched)]
        roots += [self.rows["Partition"][row_id]["PartitionStorageID"] for row_id in partitions]
        self._remove_storage(roots)
        self.incomplete_tables |= {table_id for table_id in touched if isinstance(table_id, int)}
        for table, row_id in [*refreshed_rows(self.rows, tables), *(("Partition", row_id) for row_id in partitions)]:
            self.rows.update(table, row_id, {"RefreshedTime": NEVER})

    def _remove_storage(self, roots: Iterable[Value]) -> None:
        self.removed |= remove(self.rows, [root for root in roots if isinstance(root, int) and root]).ids

    def _deleted(self, change: Change) -> int:
        if change.type.name in ("Model", "AttributeHierarchy"):
            raise RequestError(f"a {change.type.name} cannot be deleted", path=change.place)
        return self._resolution.existing(change)

    def _remove(self, deletions: list[int]) -> None:
        roots = [row_id for row_id in deletions if row_id not in self.removed]
        deletions.clear()
        if not roots:
            return
        for row_id in roots:
            self._restructured(OBJECT_TYPES[self.rows.table_of(row_id) or ""], row_id)
        for row_id in roots:
            if row_id in self.rows["Partition"]:
                table_id = self.rows["Partition"][row_id]["TableID"]
                self._remove_storage(row_number_storage(self.rows, {table_id}))
        levels = dict(self.rows["Level"])
        removal = remove(self.rows, roots)
        self.removed |= removal.ids
        self.emptied += removal.emptied
        self.lost_levels |= {
            hierarchy_id
            for row_id in removal.ids & levels.keys()
            if isinstance(hierarchy_id := levels[row_id]["HierarchyID"], int)
        }
        for row_id in removal.ids:
            for known in (self.created, self.renamed, self.altered):
                known.pop(row_id, None)
        self.names.forget()

    def _checked_cells(self, change: Change, stored: Mapping[str, Value]) -> dict[str, Value]:
        """
        The cells that a change sets in the row *stored*, as far as the schema version has columns for them.

        References are resolved, and masks of secrets replaced by those.
        """
        type_ = change.type
        columns = self.rows.columns[type_.table]
        checked: dict[str, Value] = {}
        for name, value in {**dict.fromkeys(change.paths), **change.cells}.items():
            if name == "ID":
                continue
            resolved = self._resolution.resolved(change, name, value)
            if isinstance(resolved, str):
                before = stored.get(name)
                before = before if isinstance(before, str) else "" if stored else None
                resolved = kept(type_.name, name, resolved, stored=before, place=change.place)
            is_said = resolved not in (None, "", default_cell(type_, type_[name]))
            if is_said and (name not in columns or type_[name].minimum_level > self._level):
                raise self._beyond(change, f"{type_.name}.{name}", type_[name].minimum_level)
            if name in columns:
                checked[name] = resolved
        return checked

    def _beyond(self, change: Change, what: str, level: int) -> CompatibilityError:
        message = f"{change.place}: a database of compatibility level {self._level} has no {what}"
        return CompatibilityError(
            message, hint=f"it takes level {level} or more, and metadata of an engine that knows it"
        )

    def _restructured(self, type_: ObjectType, row_id: int) -> None:
        """Note the time in the table and the model whose structure changes with an object."""
        owner: tuple[ObjectType, int] | None = (type_, row_id)
        while owner is not None:
            if owner[0].name in ("Table", "Model", type_.name):
                self.rows.update(owner[0].table, owner[1], {"StructureModifiedTime": self._time})
            if owner[0].name == "Table":
                self.incomplete_tables.add(owner[1])
            owner = self.names.parent(*owner)


_COLUMN: Final = OBJECT_TYPES["Column"]
