"""
What a rowset is: a name, columns, the restrictions it takes, and who makes its rows.

Columns and restrictions are written down as one text each, ``NAME NAME:type …``, where a type is that of XML schema
without its prefix and ``string`` is left out. Every field of an Arrow schema made here carries its type as metadata
``xmla``, because several types of XML schema share one of Arrow.

================  =========================  ===========================================================================
match             restriction value          a row stays when
================  =========================  ===========================================================================
EQUAL             of the column's type       the column has one of the values; texts in any case of letters
BITS              mask                       its column and the mask have a bit in common
VISIBLE           mask: 1 visible, 2 hidden  its column, a boolean, is one of these; without the restriction: visible
AT_LEAST          number                     the column is not less
OTHER             any                        the reader of the rowset says
================  =========================  ===========================================================================

Source: [MS-SSAS] 3.1.4.2.2.1.3; the defaults of masks are in the documentation of the rowsets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa

from tabvault.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tabvault.engine.rowsets.source import RowsetContext

TYPE_KEY: Final = b"xmla"
"""Metadata of an Arrow field under which its type of XML schema stands."""

RESTRICTION_LIST: Final = pa.list_(pa.struct([("Name", pa.string()), ("Type", pa.string())]))
"""``Restrictions`` of DISCOVER_SCHEMA_ROWSETS: on the wire one element ``Restrictions`` for each entry."""

_ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "unsignedShort": pa.uint16(),
    "unsignedInt": pa.uint32(),
    "unsignedLong": pa.uint64(),
    "double": pa.float64(),
    "dateTime": pa.timestamp("us"),
    "base64Binary": pa.binary(),
    "uuid": pa.string(),
    "xmlDocument": pa.string(),
    "restrictions": RESTRICTION_LIST,
}
Rows: TypeAlias = "Iterable[Mapping[str, object]] | pa.Table"
"""What a reader makes: rows by column (what a row does not have is NULL, what is no column is left out), or a table."""

_INTEGERS: Final = frozenset({"short", "int", "long", "unsignedShort", "unsignedInt", "unsignedLong"})
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

OLAP_GUID: Final = "A07CCD{:02X}-8148-11D0-87BB-00C04FC33942"
"""GUIDs of most rowsets of Analysis Services differ in this byte alone."""


class Match(enum.Enum):
    """How a restriction chooses rows, see the table of the module."""

    EQUAL = enum.auto()
    BITS = enum.auto()
    VISIBLE = enum.auto()
    AT_LEAST = enum.auto()
    OTHER = enum.auto()


@dataclass(frozen=True, slots=True)
class Restriction:
    """
    A restriction that a rowset takes.

    Attributes:
        name: as a request spells it.
        type: of its values.
        match: how it chooses rows.
        column: the column it looks at; None where all rows count as 1 (``CUBE_SOURCE``: they come of a cube).
        required: whether a request must have it.
    """

    name: str
    type: str
    match: Match = Match.EQUAL
    column: str | None = None
    required: bool = False

    def value(self, text: str) -> str | int | bool:
        """
        *text* as a value of the restriction's type.

        Raises:
            RequestError: it is none.
        """
        if self.type in _INTEGERS:
            try:
                number = int(text)
                pa.scalar(number, _ARROW_TYPES[self.type])
            except (ValueError, OverflowError, pa.ArrowException):
                raise self._error(text) from None
            return number
        if self.type == "boolean":
            if text.lower() not in _BOOLEANS:
                raise self._error(text)
            return _BOOLEANS[text.lower()]
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._error(text) from None
        return text

    def _error(self, text: str) -> RequestError:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        return RequestError(f"restriction {self.name} is {shown!r}, not of type {self.type}")


@dataclass(frozen=True, slots=True)
class RowsetRequest:
    """
    A request for one rowset, with restrictions that it takes.

    Attributes:
        rowset: what is asked for.
        restrictions: the values of each restriction by the name that the rowset gives it.
        context: who asks, and what of.
    """

    rowset: Rowset
    restrictions: Mapping[str, tuple[str, ...]]
    context: RowsetContext

    def text(self, name: str) -> str | None:
        """
        The one value of a restriction, None when it is not there.

        Raises:
            RequestError: it has several.
        """
        values = self.restrictions.get(name, ())
        if len(values) > 1:
            raise RequestError(f"restriction {name} has {len(values)} values, not one")
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Rowset:
    """
    A schema rowset.

    Attributes:
        name: ``DISCOVER_…``, ``DBSCHEMA_…``, ``MDSCHEMA_…``, ``TMSCHEMA_…``.
        guid: by which OLE DB and ADOMD.NET know it, None where nobody published one.
        description: for people.
        schema: its columns; a rowset of metadata may have more in a newer database.
        restrictions: those it takes, in the order in which OLE DB counts them.
        read: makes its rows, at least those that the restrictions leave.
    """

    name: str
    guid: str | None
    description: str
    schema: pa.Schema
    restrictions: tuple[Restriction, ...]
    read: Callable[[RowsetRequest], Rows]

    @property
    def restrictions_mask(self) -> int:
        """A bit for each restriction that is supported: all of them."""
        return (1 << len(self.restrictions)) - 1


def arrow_field(name: str, xsd_type: str) -> pa.Field:
    """A column of this type, which the field carries along."""
    return pa.field(name, _ARROW_TYPES[xsd_type], metadata={TYPE_KEY: xsd_type.encode()})


def schema(columns: str) -> pa.Schema:
    """``"CATALOG_NAME VERSION:int"`` as an Arrow schema."""
    return pa.schema([arrow_field(name, xsd_type or "string") for name, _, xsd_type in _words(columns)])


def restrictions(
    text: str, *, on: pa.Schema | None = None, others: Iterable[Restriction] = ()
) -> tuple[Restriction, ...]:
    """
    Restrictions that compare columns, and after them *others*.

    Args:
        text: names of columns; one with ``!`` after it is required.
        on: the columns, whose types are taken. Without it none of them is a column, and the reader looks at them.
        others: restrictions of any other kind.
    """
    return (*(_restriction(word, on) for word in text.split()), *others)


def _restriction(word: str, on: pa.Schema | None) -> Restriction:
    name = word.removesuffix("!")
    if on is None:
        return Restriction(name, "string", Match.OTHER, required=word.endswith("!"))
    xsd_type = on.field(name).metadata[TYPE_KEY].decode()
    return Restriction(name, xsd_type, Match.EQUAL, name, required=word.endswith("!"))


def _words(text: str) -> Iterable[tuple[str, str, str]]:
    return (word.partition(":") for word in text.split())
