"""Metadata built from a tree of objects, row by row: what export reads, without the code that changes metadata."""

from __future__ import annotations

import datetime
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tabvault.model.metadata import ESSENTIAL_TABLES, Metadata
from tabvault.model.object_types import OBJECT_TYPES, Role

if TYPE_CHECKING:
    from tabvault.model.tmsl.tree import TabularObject

_OLE_EPOCH = datetime.datetime(1899, 12, 30)  # noqa: DTZ001


class _Builder:
    def __init__(self) -> None:
        self.rows: dict[int, tuple[TabularObject, dict[str, object]]] = {}
        self._ids: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}

    def add(self, tree: TabularObject, parent: int | None, path: dict[str, str]) -> None:
        row_id = len(self.rows) + 1
        cells: dict[str, object] = {"ID": row_id}
        for prop in tree.type.properties:
            if prop.role is Role.DEFINITION and prop.default is not None:
                cells[prop.name] = prop.default
        cells |= tree.values
        if parent is not None:
            above, parent_cells = self.rows[parent]
            cells[tree.type.parent.column] = parent
            if tree.type.parent.is_generic:
                cells["ObjectType"] = above.type.number
            for prop in above.type.children:
                if prop.target == tree.type.name:
                    parent_cells[prop.name] = row_id
        self.rows[row_id] = (tree, cells)
        own = dict(path)
        if tree.type.name != "Model" and tree.name is not None:
            own[tree.type.name] = tree.name
        self._ids.setdefault((tree.type.name, frozenset(own.items())), row_id)
        for child in tree.children:
            self.add(child, row_id, own)

    def refer(self) -> None:
        for tree, cells in self.rows.values():
            for column, reference in tree.references.items():
                path = {name: value for name, value in reference.path.items() if name != "Model"}
                cells[column] = self._ids[reference.type, frozenset(path.items())]


def _cell(value: object) -> object:
    if isinstance(value, datetime.datetime):
        return (value - _OLE_EPOCH) / datetime.timedelta(days=1)
    return int(value) if isinstance(value, bool) else value


def metadata_bytes(model: TabularObject, *, change: str | None = None) -> bytes:
    """The file with every object of *model*; *change* is a statement of SQL that is run over it in the end."""
    builder = _Builder()
    builder.add(model, None, {})
    builder.refer()
    with closing(sqlite3.connect(":memory:")) as connection:
        for table in ESSENTIAL_TABLES:
            if table not in OBJECT_TYPES:
                connection.execute(f'CREATE TABLE "{table}" (ID INTEGER PRIMARY KEY)')
        for type_ in OBJECT_TYPES.values():
            columns = ", ".join(f'"{p.name}"' for p in type_.properties if p.is_stored and p.name != "ID")
            connection.execute(f'CREATE TABLE "{type_.table}" (ID INTEGER PRIMARY KEY, {columns})')
        for tree, cells in builder.rows.values():
            names = ", ".join(f'"{name}"' for name in cells)
            places = ", ".join("?" * len(cells))
            values = [_cell(value) for value in cells.values()]
            connection.execute(f'INSERT INTO "{tree.type.table}" ({names}) VALUES ({places})', values)
        if change is not None:
            connection.execute(change)
        connection.commit()
        return connection.serialize()


def built(model: TabularObject, *, change: str | None = None) -> Metadata:
    return Metadata.from_bytes(metadata_bytes(model, change=change))
