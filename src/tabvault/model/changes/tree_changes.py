"""
From objects of TMSL to changes.

=================  =====================================================================================================
``create``         the object and everything in it are new
createOrReplace    an object of the same path becomes what the tree says: properties that are not said take their
                   default, children that are not said go, the others keep their ids, and values stay where the
                   definition of a column stays; so do passwords and credentials, which no export says
``alter``          properties that are said change, others stay; a collection of children that is said is replaced
``delete``         the object goes with everything in it
=================  =====================================================================================================

Source: the public documentation of the commands. That a replaced object keeps its id, and what ``alter`` does to what
is not said, it leaves open; this way nothing is lost that was not asked for.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.model import filetime, ole_date
from tabvault.model.changes.change import Change, ObjectPath
from tabvault.model.changes.names import Names, key_text
from tabvault.model.changes.row_changes import default_cell
from tabvault.model.changes.rows import Rows
from tabvault.model.changes.schema_versions import column_types
from tabvault.model.edit import MetadataEdit
from tabvault.model.object_types import OBJECT_TYPES, Role
from tabvault.model.objects import ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.model.metadata import Metadata
    from tabvault.model.object_types import ObjectType
    from tabvault.model.sqlite_file import Value
    from tabvault.model.tmsl.tree import TabularObject

_ENGINES_OWN: Final = "AttributeHierarchy"
"""Comes and goes with its column."""

_ONLY_CHILDREN: Final = {prop.target for owner in OBJECT_TYPES.values() for prop in owner.children}
"""Types without a key of which an object has one. What else has no key (translations) is made anew."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What an object belongs to: a type and a path of names."""

    type: ObjectType
    path: ObjectPath


def create_changes(tree: TabularObject, *, owner_type: str = "Model", owner: ObjectPath | None = None) -> list[Change]:
    """
    The object and everything in it, as new.

    Args:
        tree: the object.
        owner_type: the type of what it belongs to.
        owner: the path of what it belongs to; empty for the model.
    """
    return list(_created(tree, _Place(OBJECT_TYPES[owner_type], owner or {})))


def delete_changes(type_name: str, path: ObjectPath, *, place: str) -> list[Change]:
    """The object of that type and path, with everything in it."""
    return [Change("delete", OBJECT_TYPES[type_name], {}, {"ID": path}, place)]


class ExistingObjects:
    """
    Objects of a database that TMSL replaces or alters.

    Args:
        metadata: of the database; not needed after this.

    Raises:
        FormatError: a table is damaged.
        ModelError: an id or the counter of ids is.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._rows = Rows(metadata, MetadataEdit(metadata))
        self._names = Names(self._rows)
        self._by_owner: dict[str, dict[int, list[int]]] = {}

    def replace_changes(
        self, tree: TabularObject, *, owner_type: str = "Model", owner: ObjectPath | None = None
    ) -> list[Change]:
        """The object as the tree says, whether it is there or not. A tree of the model replaces the model."""
        place = _Place(OBJECT_TYPES[owner_type], owner or {})
        row_id = self._find(tree, place)
        return list(_created(tree, place) if row_id is None else self._replaced(tree, place, row_id))

    def alter_changes(self, tree: TabularObject, path: ObjectPath) -> list[Change]:
        """
        What the tree says of the object at *path*, which it may give another name.

        Raises:
            RequestError: there is no such object.
        """
        row_id = self._names.find(tree.type, self._names.folded(path))
        if row_id is None:
            shown = ", ".join(f"{kind} {name!r}" for kind, name in path.items())
            raise RequestError(f"there is no {tree.type.name} of {shown}", path=tree.place)
        changes = [Change("alter", tree.type, {"ID": row_id, **_cells(tree)}, _references(tree), tree.place)]
        said = {child.type.name for child in tree.children}
        said |= {type_.name for type_ in _child_types(tree.type) if type_.tmsl_collection in tree.members}
        # Names of children are those they have after the object got its own.
        changes += self._replaced_children(tree, row_id, _Place(tree.type, _path(tree, dict(path))), said)
        return changes

    def _find(self, tree: TabularObject, place: _Place) -> int | None:
        if tree.type.name == "Model":
            return next(iter(self._rows["Model"]))
        return self._names.find(tree.type, self._names.folded(_path(tree, place.path)))

    def _replaced(self, tree: TabularObject, place: _Place, row_id: int) -> Iterator[Change]:
        type_ = tree.type
        paths = _references(tree)
        cells = {
            prop.name: default_cell(type_, prop)
            for prop in type_.properties
            if prop.role is Role.DEFINITION and prop.name not in paths and prop.is_stored and not prop.is_secret
        }
        if type_.name == "Model":
            del cells["Name"], cells["Culture"], cells["Collation"]
        elif type_.name == "Relationship":
            del cells["Name"]
        elif type_.name == "Column":
            del cells["ExplicitDataType"]
        yield Change("alter", type_, {**cells, **_cells(tree), "ID": row_id}, paths, tree.place)
        own = _Place(type_, _path(tree, place.path))
        yield from self._replaced_children(tree, row_id, own, {child.name for child in _child_types(type_)})

    def _replaced_children(self, tree: TabularObject, row_id: int, own: _Place, said: set[str]) -> list[Change]:
        """Children of the types *said*: replaced, created or deleted."""
        changes: list[Change] = []
        existing: dict[tuple[str, str], int] = {}
        unmatched: dict[int, ObjectType] = {}
        for type_ in (OBJECT_TYPES[type_name] for type_name in sorted(said)):
            for child_id in self._children(type_).get(row_id, ()):
                unmatched[child_id] = type_
                if type_.key is not None or type_.name in _ONLY_CHILDREN:
                    existing[type_.name, self._names.fold(self._names.key(type_, child_id) or "")] = child_id
        for child in tree.children:
            found = existing.pop((child.type.name, self._names.fold(_key(child) or "")), None)
            if found is None:
                changes += _created(child, own)
            else:
                del unmatched[found]
                changes += self._replaced(child, own, found)
        changes += [Change("delete", type_, {"ID": child_id}, {}, tree.place) for child_id, type_ in unmatched.items()]
        return changes

    def _children(self, type_: ObjectType) -> dict[int, list[int]]:
        """Ids of the objects of a type that a client may name, by the id of what they belong to."""
        if type_.name not in self._by_owner:
            groups = self._by_owner[type_.name] = {}
            for child_id in self._rows[type_.table]:
                owner = self._names.parent(type_, child_id)
                if owner is not None and not self._is_engines_own(type_.name, child_id):
                    groups.setdefault(owner[1], []).append(child_id)
        return self._by_owner[type_.name]

    def _is_engines_own(self, type_name: str, row_id: int) -> bool:
        return type_name == _ENGINES_OWN or (
            type_name == "Column" and self._rows["Column"][row_id]["Type"] == ColumnType.ROW_NUMBER
        )


def _created(tree: TabularObject, place: _Place, name: str | None = None) -> Iterator[Change]:
    if tree.type.name == _ENGINES_OWN:
        return
    parent = tree.type.parent
    cells = _cells(tree)
    paths = _references(tree)
    if parent is not None and parent.column != "ModelID":
        paths[parent.column] = place.path
        if parent.is_generic:
            cells["ObjectType"] = place.type.number
    if tree.type.name == "Relationship" and not cells.get("Name"):
        name = str(uuid.uuid4())  # as clients name relationships
        cells["Name"] = name
    yield Change("create", tree.type, cells, paths, tree.place)
    own = _Place(tree.type, _path(tree, place.path, name))
    for child in tree.children:
        yield from _created(child, own)


def _child_types(type_: ObjectType) -> list[ObjectType]:
    return [child for child in OBJECT_TYPES.values() if child.parent is not None and type_.name in child.parent.types]


def _path(tree: TabularObject, above: Mapping[str, str], name: str | None = None) -> dict[str, str]:
    """The path of an object whose owner has the path *above*."""
    if tree.type.name == "Model":
        return {}
    key = name or _key(tree)
    return dict(above) if key is None else {**above, tree.type.name: key}


def _key(tree: TabularObject) -> str | None:
    """What tells an object from its siblings, as a name."""
    key = tree.type.key
    if key is None or tree.name is not None:
        return tree.name
    value = tree.values.get(key)
    return key_text(tree.type, value) if isinstance(value, int) else None


def _cells(tree: TabularObject) -> dict[str, Value]:
    """What is said of an object, as the metadata hold it."""
    cells: dict[str, Value] = {}
    for name, value in tree.values.items():
        if isinstance(value, datetime.datetime):
            moment = value.replace(tzinfo=datetime.UTC)
            is_real = column_types().get((tree.type.table, name)) == "REAL"
            cells[name] = ole_date.of(moment) if is_real else filetime.of(moment)
        else:
            cells[name] = int(value) if isinstance(value, bool) else value
    return cells


def _references(tree: TabularObject) -> dict[str, ObjectPath]:
    return {column: reference.path for column, reference in tree.references.items()}
