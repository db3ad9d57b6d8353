"""
``XMObject`` elements: the form in which the storage of a table is written down (``<table>.<version>.tbl.xml``).

::

    <XMObject class="XMRawColumn" name="Amount" ProviderVersion="1">
      <Properties>   <Records xsi:type="xsd:long">500</Records> …                          name and text
      <Members>      <Member><Name>ColumnStats</Name><XMObject …/></Member> …              one object each
      <Collections>  <Collection><Name>Segments</Name><XMObject …/> …</Collection> …       any number of objects
      <DataObjects>  <DataObject><XMObject …/></DataObject> …                              objects with a file

Each of the four may be absent. Namespaces are those of the engine's version and are not looked at.

Source: [MS-XLDM] 2.5; every file of the genuine workbooks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lxml import etree

from tabvault.errors import FormatError
from tabvault.formats import safe_xml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

T = TypeVar("T")

_TEXT_LENGTH_MAX = 40
"""Of what is shown of a text that is no number."""


@dataclass(frozen=True, slots=True)
class XmObject:
    """One object. *class_* is its class as written, *name* may be empty, *file* says where it stands, for errors."""

    class_: str
    name: str
    file: str
    properties: Mapping[str, str]
    members: Mapping[str, XmObject]
    collections: Mapping[str, tuple[XmObject, ...]]
    data_objects: tuple[XmObject, ...]

    def text(self, name: str) -> str:
        """
        A property.

        Raises:
            FormatError: there is none of that name.
        """
        if name not in self.properties:
            raise FormatError(f"{self.class_} {self.name!r} has no property {name}", file=self.file)
        return self.properties[name]

    def number(self, name: str, *, low: int = 0, high: int = (1 << 63) - 1) -> int:
        """
        A whole number.

        Raises:
            FormatError: it is absent, no number, or not between *low* and *high*.
        """
        value = safe_xml.integer(self.text(name), what=name, file=self.file, signed=True)
        if not low <= value <= high:
            raise FormatError(f"{name} is {value}, not between {low} and {high}", file=self.file)
        return value

    def data_id(self, name: str) -> int:
        """
        A data id, which is written as a signed number of 32 bits and means an unsigned one.

        Raises:
            FormatError: it is absent, or no number of 32 bits.
        """
        return self.number(name, low=-(1 << 31), high=(1 << 32) - 1) & 0xFFFFFFFF

    def real(self, name: str) -> float:
        """
        A finite number, such as ``1.E-2``.

        Raises:
            FormatError: it is absent or something else.
        """
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(f"{name} is {text[:_TEXT_LENGTH_MAX]!r}, not a finite number", file=self.file)
        return value

    def flag(self, name: str) -> bool:
        """
        ``true`` or ``false``.

        Raises:
            FormatError: it is absent or something else.
        """
        return safe_xml.boolean(self.text(name), what=name, file=self.file)

    def member(self, name: str) -> XmObject:
        """
        A member.

        Raises:
            FormatError: there is none of that name.
        """
        if name not in self.members:
            raise FormatError(f"{self.class_} {self.name!r} has no member {name}", file=self.file)
        return self.members[name]

    def collection(self, name: str) -> tuple[XmObject, ...]:
        """The objects of a collection; none where it is absent."""
        return self.collections.get(name, ())


def parse(data: bytes | memoryview, *, file: str) -> XmObject:
    """
    Read a whole file.

    Raises:
        FormatError: it is no XML, or not laid out as above.
        LimitError: it is too long.
    """
    return _object(safe_xml.parse(safe_xml.text_of(data, file=file), file=file), file)


def _object(element: etree._Element, file: str) -> XmObject:
    if _local_name(element) != "XMObject":
        raise FormatError(f"element {_local_name(element)} stands where XMObject is expected", file=file)
    class_ = element.get("class")
    if not class_:
        raise FormatError("an XMObject has no class", file=file)
    properties: dict[str, str] = {}
    members: dict[str, XmObject] = {}
    collections: dict[str, tuple[XmObject, ...]] = {}
    data_objects: tuple[XmObject, ...] = ()
    for name, part in _parts(element, file):
        if name == "Properties":
            _add_all(properties, ((key, safe_xml.leaf_text(leaf, file=file)) for key, leaf in _parts(part, file)), file)
        elif name == "Members":
            _add_all(members, (_member(member, file) for _, member in _parts(part, file)), file)
        elif name == "Collections":
            _add_all(collections, (_named(one, file) for _, one in _parts(part, file)), file)
        elif name == "DataObjects":
            inner = (child for _, one in _parts(part, file) for _, child in _parts(one, file))
            data_objects = tuple(_object(child, file) for child in inner)
        else:
            raise FormatError(f"element {name} stands in an XMObject, which has none", file=file)
    return XmObject(class_, element.get("name", ""), file, properties, members, collections, data_objects)


def _member(element: etree._Element, file: str) -> tuple[str, XmObject]:
    name, objects = _named(element, file)
    if len(objects) != 1:
        raise FormatError(f"member {name} has {len(objects)} objects, not one", file=file)
    return name, objects[0]


def _named(element: etree._Element, file: str) -> tuple[str, tuple[XmObject, ...]]:
    """A ``Name`` and the objects behind it."""
    parts = list(_parts(element, file))
    if not parts or parts[0][0] != "Name":
        raise FormatError(f"element {_local_name(element)} does not begin with its Name", file=file)
    return safe_xml.leaf_text(parts[0][1], file=file), tuple(_object(one, file) for _, one in parts[1:])


def _add_all(into: dict[str, T], items: Iterable[tuple[str, T]], file: str) -> None:
    for name, value in items:
        if name in into:
            raise FormatError(f"{name} stands twice in an XMObject", file=file)
        into[name] = value


def _parts(element: etree._Element, file: str) -> Iterator[tuple[str, etree._Element]]:
    """Child elements with their names without namespace."""
    for _, child in safe_xml.children(element, file=file):
        yield _local_name(child), child


def _local_name(element: etree._Element) -> str:
    return str(etree.QName(element).localname)
