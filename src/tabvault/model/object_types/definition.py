"""
How one type of object of a tabular model is described: :class:`ObjectType`, made of :class:`Property`.

One description serves five readers: the metadata tables, the ``TMSCHEMA_*`` rowsets, the rows of
``Create``/``Alter``/``Delete`` commands, TMSL, and the references between objects. The functions below the classes
(:func:`text`, :func:`flag`, :func:`link`, …) are the vocabulary in which the sibling modules write the descriptions.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.object_types.enumerations import Enumeration

XsdType = Literal["string", "boolean", "int", "long", "unsignedLong", "dateTime"]
"""The XML type of a cell in rowsets and commands, without its prefix. Enumerations travel as ``long``."""

LEVEL_MIN: Final = 1200
"""Models of a lower compatibility level have XML metadata."""

PREVIEW_LEVEL: Final = 1_000_000
"""The compatibility level under which clients reach what is not released yet."""


class Role(enum.Enum):
    """What a property is to the one who changes a model."""

    ID = enum.auto()
    """The object's own number."""
    PARENT = enum.auto()
    """``…ID`` of the object it belongs to (and ``ObjectType``, where that may be of several types)."""
    DEFINITION = enum.auto()
    """Set by the modeller: a column of ``Create`` and ``Alter``."""
    CHILD = enum.auto()
    """``…ID`` of the only child of a type: follows from the child, never set by itself."""
    STATE = enum.auto()
    """Set by the engine, visible in rowsets and TMSL, ignored in what a client sends."""
    STORAGE = enum.auto()
    """Set by the engine, of no meaning outside of it: storage ids and flags."""


class Form(enum.Enum):
    """How a text stands in TMSL."""

    PLAIN = enum.auto()
    """One string."""
    LINES = enum.auto()
    """A string, or an array of its lines when it has several."""
    JSON = enum.auto()
    """A JSON value, whose text is the value of the property."""


@dataclass(frozen=True, slots=True)
class Property:
    """
    One property: a column of the metadata table, the rowset and the command rows.

    Attributes:
        name: the column, as the newer schema versions call it.
        type: its XML type.
        role: who sets it.
        tmsl: its name in TMSL; None where TMSL has no such property, or shapes it otherwise.
        enumeration: words of its numbers.
        default: the value that a new object has. TMSL leaves it out.
        minimum_level: the compatibility level that brought it.
        target: the type of object that an ``…ID`` refers to.
        form: how a text stands in TMSL.
        is_secret: a password or a credential. It is never handed out.
        is_stored: False for a column of the rowset that the metadata table does not have.
    """

    name: str
    type: XsdType
    role: Role = Role.DEFINITION
    tmsl: str | None = None
    enumeration: Enumeration | None = None
    default: str | int | bool | None = None
    minimum_level: int = LEVEL_MIN
    target: str | None = None
    form: Form = Form.PLAIN
    is_secret: bool = False
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class Parent:
    """
    What objects of a type belong to.

    Attributes:
        column: the property that holds the parent's id.
        types: the types that the parent may be of. With *column* ``ObjectID`` the property ``ObjectType`` says which.
    """

    column: str
    types: tuple[str, ...]

    @property
    def is_generic(self) -> bool:
        """Whether ``ObjectType`` says what the parent is."""
        return self.column == "ObjectID"


@dataclass(frozen=True)
class ObjectType:
    """
    One type of object.

    Attributes:
        name: as the tabular object model and the metadata table call it.
        number: its number in ``ObjectType`` columns.
        rowset: the ``TMSCHEMA_*`` rowset.
        collection: the element that holds its rows in commands, and the name of the rowset's root.
        parent: None for the model alone.
        properties: in the order of the rowset.
        key: the property that tells it from its siblings; None when it has none of its type. An ``…ID`` stands for the
            name of the object referred to, an enumeration for its word.
        tmsl_collection: the array of the parent's TMSL object that holds it; None for the model, for only children
            (whose TMSL name is that of the parent's :attr:`Role.CHILD` property) and what TMSL shapes otherwise.
        minimum_level: the compatibility level that brought it.
        description: one line for people.
    """

    name: str
    number: int
    rowset: str
    collection: str
    parent: Parent | None
    properties: tuple[Property, ...]
    key: str | None = None
    tmsl_collection: str | None = None
    minimum_level: int = LEVEL_MIN
    description: str = ""
    _by_name: Mapping[str, Property] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {prop.name: prop for prop in self.properties}
        assert len(by_name) == len(self.properties), f"{self.name} names a property twice"
        assert self.key is None or self.key in by_name, f"{self.name} has no property {self.key}"
        assert self.parent is None or self.parent.column in by_name, f"{self.name} has no column of its parent"
        object.__setattr__(self, "_by_name", by_name)

    @property
    def table(self) -> str:
        """Its table in ``metadata.sqlitedb``."""
        return self.name

    def __getitem__(self, name: str) -> Property:
        """The property of that name. Raises KeyError: there is none."""
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @cached_property
    def by_tmsl(self) -> Mapping[str, Property]:
        """The properties that TMSL has, by their names there."""
        return {prop.tmsl: prop for prop in self.properties if prop.tmsl is not None}

    @cached_property
    def children(self) -> tuple[Property, ...]:
        """The ids of only children."""
        return tuple(prop for prop in self.properties if prop.role is Role.CHILD)


def identity(*, parent: str | None = None, target: str | None = None) -> tuple[Property, ...]:
    """``ID`` and the column of the parent."""
    own = Property("ID", "unsignedLong", Role.ID)
    if parent is None:
        return (own,)
    return own, Property(parent, "unsignedLong", Role.PARENT, target=target)


GENERIC_IDENTITY: Final = (
    Property("ID", "unsignedLong", Role.ID),
    Property("ObjectID", "unsignedLong", Role.PARENT),
    Property("ObjectType", "int", Role.PARENT),
)
"""``ID`` and the columns of a parent that may be of several types. ``ObjectType`` is an ``int`` in command rows."""


def text(
    name: str, tmsl: str | None = None, *, level: int = LEVEL_MIN, form: Form = Form.PLAIN, is_secret: bool = False
) -> Property:
    """A text that the modeller writes."""
    return Property(name, "string", tmsl=tmsl, minimum_level=level, form=form, is_secret=is_secret)


def lines(name: str, tmsl: str | None = None, *, level: int = LEVEL_MIN) -> Property:
    """A text that TMSL may break into lines: expressions, queries, descriptions."""
    return text(name, tmsl, level=level, form=Form.LINES)


def json_text(name: str, tmsl: str | None = None, *, level: int = LEVEL_MIN, is_secret: bool = False) -> Property:
    """A text that is JSON."""
    return text(name, tmsl, level=level, form=Form.JSON, is_secret=is_secret)


def flag(name: str, tmsl: str | None = None, *, default: bool = False, level: int = LEVEL_MIN) -> Property:
    """True or false."""
    return Property(name, "boolean", tmsl=tmsl, default=default, minimum_level=level)


def whole(name: str, tmsl: str | None = None, *, default: int = 0, level: int = LEVEL_MIN) -> Property:
    """A number of 32 bits."""
    return Property(name, "int", tmsl=tmsl, default=default, minimum_level=level)


def word(
    name: str,
    tmsl: str | None,
    enumeration: Enumeration,
    *,
    default: str | None,
    level: int = LEVEL_MIN,
    role: Role = Role.DEFINITION,
) -> Property:
    """A number of an enumeration; *default* is its word."""
    number = None if default is None else enumeration.number(default)
    return Property(name, "long", role, tmsl=tmsl, enumeration=enumeration, default=number, minimum_level=level)


def link(name: str, tmsl: str | None, target: str, *, level: int = LEVEL_MIN) -> Property:
    """The id of another object that the modeller chose."""
    return Property(name, "unsignedLong", tmsl=tmsl, target=target, minimum_level=level)


def only_child(name: str, tmsl: str, target: str, *, level: int = LEVEL_MIN) -> Property:
    """The id of the only child of type *target*, which TMSL writes as the object *tmsl*."""
    return Property(name, "unsignedLong", Role.CHILD, tmsl=tmsl, target=target, minimum_level=level)


def storage(*names: str) -> tuple[Property, ...]:
    """Ids of storage objects."""
    return tuple(Property(name, "unsignedLong", Role.STORAGE) for name in names)


SYSTEM_FLAGS: Final = Property("SystemFlags", "long", Role.STORAGE, default=0)
"""1 for system objects (H$, R$, U$ tables), 2 for objects of a system table that a user table uses."""


def _state(name: str, type_: XsdType, tmsl: str) -> Property:
    return Property(name, type_, Role.STATE, tmsl=tmsl)


MODIFIED: Final = _state("ModifiedTime", "dateTime", "modifiedTime")
STRUCTURE_MODIFIED: Final = _state("StructureModifiedTime", "dateTime", "structureModifiedTime")
REFRESHED: Final = _state("RefreshedTime", "dateTime", "refreshedTime")
ERROR_MESSAGE: Final = _state("ErrorMessage", "string", "errorMessage")
