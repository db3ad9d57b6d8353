"""
The rows of a model's objects, checked and joined: which row an id means, which rows belong to which.

Ids come from one counter over all tables, so an id says which object is meant; that its table is the expected one is
checked. Rows of system tables (H$, R$, U$) hang on no table that is visited, and rows without a parent on nothing.
"""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import ModelError
from tabvault.model import filetime, ole_date
from tabvault.model.object_types import OBJECT_TYPES, ObjectType, Property, by_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.model.metadata import Metadata
    from tabvault.model.sqlite_file import Value

SYSTEM_OBJECT: Final = 1
"""Bit of ``SystemFlags``."""


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object: its type and its cells by column."""

    type: ObjectType
    cells: Mapping[str, Value]

    @property
    def id(self) -> int:
        """Its number. Raises ModelError: it is none."""
        value = self.cells.get("ID")
        if not isinstance(value, int):
            raise ModelError(f"{self.type.table}: ID is {value!r}, not a whole number")
        return value

    def text(self, name: str) -> str | None:
        """The text of a property. Raises ModelError: the cell holds something else."""
        value = self.cells.get(name)
        if value is not None and not isinstance(value, str):
            raise self._error(name, "a text")
        return value

    def number(self, name: str) -> int | None:
        """The whole number of a property. Raises ModelError: the cell holds something else."""
        value = self.cells.get(name)
        if value is not None and not isinstance(value, int):
            raise self._error(name, "a whole number")
        return value

    def time(self, name: str) -> datetime.datetime | None:
        """The time of a property: a FILETIME or, as a fraction, an OLE date. Raises ModelError: it is neither."""
        value = self.cells.get(name)
        if value is None:
            return None
        try:
            if isinstance(value, int):
                return filetime.moment(value).replace(tzinfo=None)  # TMSL times have no zone
            if isinstance(value, float) and math.isfinite(value):
                return (ole_date.moment(value) + datetime.timedelta(milliseconds=500)).replace(microsecond=0)
        except OverflowError:
            pass
        raise self._error(name, "a time")

    def value(self, prop: Property) -> str | int | bool | datetime.datetime | None:
        """The value of *prop*, of its type. Raises ModelError: the cell holds something else."""
        if prop.type == "string":
            return self.text(prop.name)
        if prop.type == "dateTime":
            return self.time(prop.name)
        number = self.number(prop.name)
        if prop.type != "boolean" or number is None:
            return number
        if number not in {0, 1}:
            raise self._error(prop.name, "0 or 1")
        return number == 1

    def _error(self, name: str, wanted: str) -> ModelError:
        """Texts and bytes are not shown: they may be secrets."""
        value = self.cells.get(name)
        shown = repr(value) if isinstance(value, int | float) else "text" if isinstance(value, str) else "binary"
        return ModelError(f"{self.type.table} {self.cells.get('ID')!r}: {name} is {shown}, not {wanted}")


class ModelRows:
    """
    All objects of a model.

    Raises:
        FormatError: the metadata are damaged.
        ModelError: an id is there twice or is none.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._by_id: dict[int, ObjectRow] = {}
        self._children: defaultdict[tuple[str, int, str], list[ObjectRow]] = defaultdict(list)
        for type_ in OBJECT_TYPES.values():
            for cells in metadata.rows(type_.table):
                self._add(ObjectRow(type_, cells))

    def _add(self, row: ObjectRow) -> None:
        if row.id in self._by_id:
            raise ModelError(f"{row.type.table} {row.id}: {self._by_id[row.id].type.table} has the same ID")
        self._by_id[row.id] = row
        parent = row.type.parent
        if parent is None:
            return
        parent_id = row.number(parent.column)
        if parent_id is None:
            return
        parent_type: str | None = parent.types[0]
        if parent.is_generic:
            number = row.number("ObjectType")
            known = None if number is None else by_number(number)
            parent_type = known.name if known else None
        if parent_type is not None:
            self._children[parent_type, parent_id, row.type.name].append(row)

    def model(self) -> ObjectRow:
        """The one row of the model. Raises ModelError: there is none, or several."""
        models = [row for row in self._by_id.values() if row.type.name == "Model"]
        if len(models) != 1:
            raise ModelError(f"Model: {len(models)} rows, not 1")
        return models[0]

    def children(self, parent: ObjectRow, type_name: str) -> Sequence[ObjectRow]:
        """The objects of a type that belong to *parent*, in the order of the file, without system objects."""
        rows = self._children.get((parent.type.name, parent.id, type_name), ())
        if type_name != "Table":
            return rows
        return [row for row in rows if not (row.number("SystemFlags") or 0) & SYSTEM_OBJECT]

    def target(self, row: ObjectRow, prop: Property) -> ObjectRow | None:
        """
        The object that ``…ID`` property *prop* of *row* refers to; None when it refers to none (NULL or 0).

        Raises:
            ModelError: no such object, or one of another type.
        """
        number = row.number(prop.name)
        return None if not number else self.object(number, prop.target, because=f"{row.type.table} {row.id}")

    def object(self, number: int, type_name: str | None, *, because: str) -> ObjectRow:
        """The object with that id. Raises ModelError: there is none, or it is of another type than *type_name*."""
        found = self._by_id.get(number)
        if found is None or (type_name is not None and found.type.name != type_name):
            what = "nothing" if found is None else f"a {found.type.name}"
            raise ModelError(f"{because}: it refers to {type_name or 'object'} {number}, which is {what}")
        return found

    def parent(self, row: ObjectRow) -> ObjectRow:
        """The object that *row* belongs to. Raises ModelError: there is none."""
        parent = row.type.parent
        assert parent is not None, "the model has no parent"
        number = row.number(parent.column)
        because = f"{row.type.table} {row.id}"
        if number is None:
            raise ModelError(f"{because}: {parent.column} is NULL")
        found = self.object(number, None if parent.is_generic else parent.types[0], because=because)
        if found.type.name not in parent.types:
            raise ModelError(f"{because}: it belongs to {found.type.table} {number}, which cannot have it")
        return found

    def name(self, row: ObjectRow) -> str:
        """
        What tells *row* from its siblings.

        Raises:
            ModelError: it has no name, or a reference in its place is broken.
        """
        key = row.type.key
        assert key is not None, f"{row.type.name} has no name"
        prop = row.type[key]
        if prop.target is not None:
            target = self.target(row, prop)
            if target is not None:
                return self.name(target)
        else:
            name = row.text(key)
            if row.type.name == "Column" and not name:
                name = row.text("InferredName")
            if name is not None:
                return name
        raise ModelError(f"{row.type.table} {row.id}: {key} is NULL")
