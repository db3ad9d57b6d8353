"""
Reading ``Load`` documents: the definitions of objects in the language of Analysis Services before level 1200.

::

    <Load>  <ParentObject> ids of the objects it belongs to </ParentObject>
            <ObjectDefinition> <Dimension> | <Cube> | <MeasureGroup> | <Partition> | … </ObjectDefinition>  </Load>

An element stands in the namespace of the engine version that brought it (``ddl200_200:ExpressionBinding``). No local
name means two things in the parts that are read here, so namespaces are not looked at.

Source: [MS-SSAS] 2.2.4 and 2.2.5; the definitions in the genuine workbooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lxml import etree

from tabvault.errors import FormatError
from tabvault.formats import safe_xml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"


class Definition:
    """
    An element of a definition.

    Args:
        element: the element.
        file: the logical name of the file, for errors.
    """

    def __init__(self, element: etree._Element, file: str) -> None:
        self._element = element
        self.file = file

    @property
    def tag(self) -> str:
        """Name without namespace."""
        return str(etree.QName(self._element).localname)

    @property
    def type(self) -> str:
        """``xsi:type`` without its prefix; empty where there is none."""
        return str(self._element.get(_TYPE, "")).rpartition(":")[2]

    @property
    def has_children(self) -> bool:
        """Whether there is anything but text in it."""
        return len(self._element) > 0

    def attributes(self) -> dict[str, str]:
        """XML attributes by their names without namespace."""
        return {str(etree.QName(name).localname): str(value) for name, value in self._element.items()}

    def children(self) -> Iterator[Definition]:
        """Child elements."""
        for _, child in safe_xml.children(self._element, file=self.file):
            yield Definition(child, self.file)

    def find(self, *path: str) -> Definition | None:
        """
        The element at *path*, names of elements from here down; None if one of them is absent.

        Raises:
            FormatError: one of them stands twice.
        """
        found = self
        for name in path:
            named = [child for child in found.children() if child.tag == name]
            if len(named) > 1:
                raise FormatError(f"element {name} stands {len(named)} times in {found.tag}", file=self.file)
            if not named:
                return None
            found = named[0]
        return found

    def all(self, *path: str) -> list[Definition]:
        """The elements called by the last name of *path* in the element that the others lead to."""
        *above, name = path
        owner = self.find(*above)
        return [] if owner is None else [child for child in owner.children() if child.tag == name]

    def text(self, *path: str) -> str:
        """
        The text at *path*, empty if it is absent.

        Raises:
            FormatError: there are elements instead.
        """
        found = self.find(*path)
        return "" if found is None else safe_xml.leaf_text(found._element, file=self.file)  # noqa: SLF001 - of this class

    def needed(self, *path: str) -> str:
        """
        The text at *path*.

        Raises:
            FormatError: it is absent or empty.
        """
        text = self.text(*path)
        if not text:
            raise FormatError(f"element {'/'.join(path)} of {self.tag} is missing or empty", file=self.file)
        return text

    def flag(self, *path: str, default: bool) -> bool:
        """
        ``true`` or ``false``; *default* if it is absent.

        Raises:
            FormatError: something else.
        """
        text = self.text(*path)
        return safe_xml.boolean(text, what=path[-1], file=self.file) if text else default

    def annotations(self) -> dict[str, str]:
        """Annotations that are texts, by name."""
        found = {}
        for one in self.all("Annotations", "Annotation"):
            value = one.find("Value")
            if value is not None and not value.has_children:
                found[one.text("Name")] = value.text()
        return found


class Loaded(NamedTuple):
    """An object, and the ids of those that it belongs to by the names of their elements (``MeasureGroupID``)."""

    object: Definition
    parents: Mapping[str, str]


def parse(data: bytes | memoryview, *, file: str) -> Loaded | None:
    """
    The object that a ``Load`` document defines; None of another document.

    Raises:
        FormatError: it is no XML, or a ``Load`` that defines no object or several.
    """
    root = Definition(safe_xml.parse(safe_xml.text_of(data, file=file), file=file), file)
    if root.tag != "Load":
        return None
    definition, parents = root.find("ObjectDefinition"), root.find("ParentObject")
    objects = [] if definition is None else list(definition.children())
    if len(objects) != 1:
        raise FormatError(f"the Load element defines {len(objects)} objects, not one", file=file)
    return Loaded(objects[0], {} if parents is None else {one.tag: one.text() for one in parents.children()})
