"""What TMSL says about an object: a tree of :class:`TabularObject`, in the words of the metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping

    from tabvault.model.object_types import ObjectType

    Value = str | int | bool | datetime.datetime


@dataclass(frozen=True, slots=True)
class Reference:
    """
    Another object, by name.

    Attributes:
        type: its type.
        path: the names on the way to it, by type: ``{"Table": "Sales", "Column": "Date"}``. A model stands in no path.
    """

    type: str
    path: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TabularObject:
    """
    One object as a client describes it.

    Attributes:
        type: its type.
        values: what was said of its properties, by column of the metadata: numbers of enumerations, JSON as text,
            times without a zone (UTC). What was not said is not there. Passwords may be among them: not in ``repr``.
        references: the objects that its ``…ID`` columns refer to, by column.
        children: what belongs to it, in the order of the text.
        members: the TMSL members that were there: an empty array is something else than none.
        place: where it stands in the request, as ``model.tables[2]``.
        level_needed: the compatibility level that it and its children need.
    """

    type: ObjectType
    values: Mapping[str, Value] = field(repr=False)
    references: Mapping[str, Reference]
    children: tuple[TabularObject, ...]
    members: frozenset[str]
    place: str
    level_needed: int

    @property
    def name(self) -> str | None:
        """What tells it from its siblings: its own name, or that of the object its key refers to."""
        key = self.type.key
        if key is None:
            return None
        if key in self.references:
            reference = self.references[key]
            return reference.path[reference.type]
        name = self.values.get(key)
        if name is None and self.type.name == "Column":
            name = self.values.get("InferredName")
        return name if isinstance(name, str) else None

    def walk(self) -> Iterator[TabularObject]:
        """Itself and everything below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class DatabaseDefinition:
    """
    The ``database`` object of TMSL.

    Attributes:
        name: its name.
        id: its id; the name when the text has none.
        compatibility_level: of the model; None when the text has none.
        description: of the database, not of the model.
        read_write_mode: a word of TMSL, such as ``readOnly``; None when the text has none.
        model: None when the text has none.
    """

    name: str
    id: str
    compatibility_level: int | None
    description: str | None
    read_write_mode: str | None
    model: TabularObject | None
