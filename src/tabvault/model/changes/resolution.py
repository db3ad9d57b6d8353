"""
Which rows a change is about: references by id, or by a path of names.

1. Objects that any change of the sequence creates have their ids before the first is made, so a reference by name may
   lead forward.
2. A path means a new object before an existing one, for clients call existing objects by id.
3. What only an engine makes and changes (row numbers, all of system tables) cannot be referred to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import RequestError
from tabvault.model.changes.names import FoldedPath, Names, key_text, parent_type_of
from tabvault.model.load import SYSTEM_FLAG
from tabvault.model.object_types import OBJECT_TYPES, by_number
from tabvault.model.objects import ColumnType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.model.changes.change import Change, ObjectPath
    from tabvault.model.changes.rows import Rows
    from tabvault.model.object_types import ObjectType
    from tabvault.model.sqlite_file import Value


class Resolution:
    """
    Resolves the references of a sequence of changes.

    Args:
        rows: the rows of the model, as they are at the time of each question.
        removed: ids of the rows that went, filled by the caller.

    Attributes:
        names: paths of all objects.
    """

    def __init__(self, rows: Rows, removed: set[int]) -> None:
        self.names = Names(rows)
        self._rows = rows
        self._removed = removed
        self._declared: dict[tuple[str, FoldedPath], int] = {}
        self._new_ids: set[int] = set()

    def declare(self, changes: Sequence[Change]) -> dict[int, int]:
        """
        Give the new objects their ids, and know them by their paths.

        Returns:
            The ids by the number of the change in the sequence.

        Raises:
            RequestError: a change would create a second model.
        """
        ids: dict[int, int] = {}
        for number, change in enumerate(changes):
            if change.verb != "create":
                continue
            if change.type.name == "Model":
                raise RequestError("a model has one Model object, which cannot be created", path=change.place)
            row_id = ids[number] = self._rows.new_id()
            path = self._new_path(change)
            self._new_ids.add(row_id)
            if path is not None:
                self._declared.setdefault((change.type.name, path), row_id)
        return ids

    def _new_path(self, change: Change) -> FoldedPath | None:
        """The path that an object will have; None when its parent is given by an id that is not there."""
        type_ = change.type
        owner_type = parent_type_of(type_, change.cells.get("ObjectType"))
        assert type_.parent is not None
        if owner_type is None:
            return None
        above = self._path_in(change, type_.parent.column, owner_type)
        if type_.key is None or above is None:
            return above
        target = type_[type_.key].target
        if target is None:
            key = change.cells.get(type_.key)
            if key is None and type_.key == "ExplicitName":
                key = change.cells.get("InferredName")
            name = key_text(type_, key)
        else:
            name = change.paths.get(type_.key, {}).get(target)
            row_id = change.cells.get(type_.key)
            if name is None and isinstance(row_id, int):
                name = self.names.key(OBJECT_TYPES[target], row_id)
        return None if name is None else above | {(type_.name, self.names.fold(name))}

    def _path_in(self, change: Change, column: str, type_: ObjectType) -> FoldedPath | None:
        """The path of the object that *column* refers to, by name or by id."""
        if type_.name == "Model":
            return frozenset()
        if column in change.paths:
            return self.names.folded(change.paths[column])
        row_id = change.cells.get(column)
        return self.names.path(type_, row_id) if isinstance(row_id, int) else None

    def existing(self, change: Change) -> int:
        """
        The id of the object that a change is about.

        Raises:
            RequestError: there is none, or it is the engine's own.
        """
        type_ = change.type
        row_id: Value = change.cells.get("ID")
        if row_id is None and "ID" in change.paths:
            row_id = self._found(type_, change.paths["ID"], change)
        elif row_id is None and type_.name == "Model":
            row_id = next(iter(self._rows["Model"]))
        if isinstance(row_id, int) and row_id in self._removed and change.verb == "delete":
            return row_id
        if not isinstance(row_id, int) or row_id not in self._rows[type_.table]:
            raise RequestError(f"there is no {type_.name} {row_id!r}", path=change.place)
        self._require_of_user(type_, row_id, change)
        return row_id

    def resolved(self, change: Change, name: str, value: Value) -> Value:
        """
        A reference as an id; any other value as it is.

        Raises:
            RequestError: it refers to nothing, or to what is the engine's own.
        """
        target = self.target(change, name)
        if target is None:
            return value
        if name in change.paths:
            return self._found(target, change.paths[name], change)
        if not value:
            return 0
        assert isinstance(value, int)
        if value in self._rows[target.table]:
            self._require_of_user(target, value, change)
        elif value not in self._new_ids:
            raise RequestError(f"{change.type.name}.{name} {value} is no {target.name}", path=change.place)
        return value

    def target(self, change: Change, name: str) -> ObjectType | None:
        """
        The type of object that a property refers to; None when it refers to none.

        Raises:
            RequestError: the change says that it is of a type that cannot be.
        """
        if name != "ObjectID":
            target = change.type[name].target
            return None if target is None else OBJECT_TYPES[target]
        number = change.cells.get("ObjectType")
        found = by_number(number) if isinstance(number, int) else None
        parent = change.type.parent
        if found is None or (parent is not None and parent.is_generic and found.name not in parent.types):
            message = f"{change.type.name}: ObjectType {number!r} is no type that has one"
            raise RequestError(message, path=change.place)
        return found

    def _found(self, type_: ObjectType, path: ObjectPath, change: Change) -> int:
        folded = self.names.folded(path)
        is_new = change.verb not in ("delete", "clear")
        row_id = self._declared.get((type_.name, folded)) if is_new else None
        row_id = row_id or self.names.find(type_, folded)
        if row_id is None:
            shown = ", ".join(f"{kind} {name!r}" for kind, name in path.items())
            raise RequestError(f"there is no {type_.name} of {shown}", path=change.place)
        if row_id in self._rows[type_.table]:
            self._require_of_user(type_, row_id, change)
        return row_id

    def _require_of_user(self, type_: ObjectType, row_id: int, change: Change) -> None:
        """Refuse what only an engine changes or refers to: row numbers and all of system tables."""
        row = self._rows[type_.table][row_id]
        if type_.name == "Column" and row["Type"] == ColumnType.ROW_NUMBER:
            raise RequestError(f"{self.names.display(type_, row_id)} is the engine's own", path=change.place)
        table: dict[str, Value] | None = row
        if type_.name != "Table":
            table_id = row.get("TableID")
            table = self._rows["Table"].get(table_id) if isinstance(table_id, int) else None
        if table is not None and is_system_table(table):
            raise RequestError(f"{self.names.display(type_, row_id)} is the engine's own", path=change.place)


def is_system_table(table: dict[str, Value]) -> bool:
    """Whether a row of ``Table`` is an H$, R$ or U$ table."""
    flags = table.get("SystemFlags")
    return isinstance(flags, int) and bool(flags & SYSTEM_FLAG)
