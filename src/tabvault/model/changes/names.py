"""
Which object a path of names means.

The engine compares names as the collation of the model does; unless it is a case-sensitive or binary one, case does not
matter. An object is told from its siblings by its key (``ObjectType.key``): its name, or that of the object it stands
for, as a perspective's table does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tabvault.model.object_types import OBJECT_TYPES, by_number

if TYPE_CHECKING:
    from tabvault.model.changes.change import ObjectPath
    from tabvault.model.changes.rows import Rows
    from tabvault.model.object_types import ObjectType
    from tabvault.model.sqlite_file import Value

FoldedPath: TypeAlias = frozenset[tuple[str, str]]
"""Names by type, so written that equal means equal to the engine."""


class Names:
    """Paths of all objects. *rows* may change meanwhile: see :meth:`forget`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        collation = next((str(row.get("Collation") or "") for row in rows["Model"].values()), "").upper()
        self._is_exact = "_CS" in collation or "_BIN" in collation
        self._paths: dict[int, FoldedPath | None] = {}
        self._ids: dict[str, dict[FoldedPath, int]] = {}

    def fold(self, name: str) -> str:
        """*name*, so that equal means equal to the engine."""
        return name if self._is_exact else name.lower()

    def folded(self, path: ObjectPath) -> FoldedPath:
        """*path*, so that equal means equal to the engine."""
        return frozenset((kind, self.fold(name)) for kind, name in path.items())

    def forget(self) -> None:
        """To be called when a name changed, or an object went."""
        self._paths.clear()
        self._ids.clear()

    def find(self, type_: ObjectType, path: FoldedPath) -> int | None:
        """The id of the object of that type and path."""
        ids = self._ids.get(type_.name)
        if ids is None:
            ids = self._ids[type_.name] = {}
            for row_id in self._rows[type_.table]:
                own = self.path(type_, row_id)
                if own is not None:
                    ids.setdefault(own, row_id)
        return ids.get(path)

    def path(self, type_: ObjectType, row_id: int) -> FoldedPath | None:
        """The path of an object; None when something it belongs to is missing."""
        if row_id not in self._paths:
            self._paths[row_id] = None  # for an object that belongs to itself
            self._paths[row_id] = self._path(type_, row_id)
        return self._paths[row_id]

    def _path(self, type_: ObjectType, row_id: int) -> FoldedPath | None:
        if type_.name == "Model":
            return frozenset()
        owner = self.parent(type_, row_id)
        above = None if owner is None else self.path(*owner)
        key = self.key(type_, row_id)
        if above is None or (key is None and type_.key is not None):
            return None
        return above if key is None else above | {(type_.name, self.fold(key))}

    def parent(self, type_: ObjectType, row_id: int) -> tuple[ObjectType, int] | None:
        """The object that an object belongs to; None when it is missing."""
        row = self._rows[type_.table].get(row_id)
        if row is None or type_.parent is None:
            return None
        parent_id = row.get(type_.parent.column)
        parent_type = parent_type_of(type_, row.get("ObjectType"))
        if parent_type is None or not isinstance(parent_id, int) or parent_id not in self._rows[parent_type.table]:
            return None
        return parent_type, parent_id

    def key(self, type_: ObjectType, row_id: int) -> str | None:
        """What tells an object from its siblings; None for an only child."""
        if type_.key is None:
            return None
        row = self._rows[type_.table].get(row_id)
        if row is None:
            return None
        target = type_[type_.key].target
        value = row.get(type_.key)
        if target is not None:
            return self.key(OBJECT_TYPES[target], value) if isinstance(value, int) else None
        if value is None and type_.key == "ExplicitName":
            value = row.get("InferredName")
        return key_text(type_, value)

    def display(self, type_: ObjectType, row_id: int) -> str:
        """The object in the words of an administrator: ``column 'Amount' of table 'Sales'``."""
        shown = f"{type_.name} {self.key(type_, row_id)!r}" if type_.key else type_.name
        owner = self.parent(type_, row_id)
        while owner is not None and owner[0].name != "Model":
            shown += f" of {owner[0].name} {self.key(*owner)!r}"
            owner = self.parent(*owner)
        return shown


def parent_type_of(type_: ObjectType, number: Value) -> ObjectType | None:
    """The type of the parent of an object of *type_*; *number* is its ``ObjectType``, if it has one."""
    if type_.parent is None:
        return None
    if not type_.parent.is_generic:
        return OBJECT_TYPES[type_.parent.types[0]]
    found = by_number(number) if isinstance(number, int) else None
    return found if found is not None and found.name in type_.parent.types else None


def key_text(type_: ObjectType, value: Value) -> str | None:
    """A key as a name: the word of an enumeration, else the text."""
    assert type_.key is not None
    enumeration = type_[type_.key].enumeration
    if enumeration is not None and isinstance(value, int):
        return enumeration.word(value) or str(value)
    return None if value is None else str(value)
