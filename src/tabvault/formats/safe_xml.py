"""
XML from hostile files: parsed without entities, external references or unbounded trees.

A backup's XML parts are flat lists of text elements. None of them has a document type declaration, so one that has is
refused before a parser sees it; that is where every entity-expansion and external-entity attack begins.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lxml import etree

from tabvault.errors import FormatError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

XML_BYTE_COUNT_MAX = 256 << 20
"""Our limit, because a directory of a million files takes about that much and no engine allows so many objects."""

BOM_UTF16 = b"\xff\xfe"


def text_of(data: bytes | memoryview, *, file: str) -> str:
    """
    Decode UTF-16LE (with or without byte order mark) or UTF-8 XML text.

    The second byte decides where there is no mark: the first character is always ``<``, so a zero there means UTF-16.

    Raises:
        LimitError: longer than :data:`XML_BYTE_COUNT_MAX`.
        FormatError: not valid in its encoding.
    """
    raw = bytes(data)
    if len(raw) > XML_BYTE_COUNT_MAX:
        raise LimitError(f"XML of {len(raw)} bytes is over the limit of {XML_BYTE_COUNT_MAX}", file=file)
    encoding, start = "utf-8", 0
    if raw.startswith(BOM_UTF16):
        encoding, start = "utf-16-le", 2
    elif raw.startswith(b"\xef\xbb\xbf"):
        start = 3
    elif len(raw) > 1 and raw[1] == 0:
        encoding = "utf-16-le"
    try:
        return raw[start:].decode(encoding)
    except UnicodeDecodeError as error:
        raise FormatError(f"text is not valid {encoding}", file=file, offset=start + error.start) from None


def parse(text: str, *, file: str) -> etree._Element:
    """
    The root element of *text*.

    Raises:
        FormatError: not well-formed, or it declares a document type.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FormatError("a document type declaration stands in XML that never has one", file=file)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False
    )
    try:
        # Bytes, because lxml refuses a str that carries an encoding declaration.
        return etree.fromstring(text.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError, ValueError) as error:
        raise FormatError(f"XML is not well-formed: {error}", file=file) from None


def children(element: etree._Element, *, file: str) -> Iterator[tuple[str, etree._Element]]:
    """Child elements with their names; a comment or processing instruction among them is damage."""
    for child in element:
        if not isinstance(child.tag, str):
            raise FormatError(f"something other than an element stands inside {element.tag}", file=file)
        yield child.tag, child


def leaf_text(element: etree._Element, *, file: str) -> str:
    """
    The text of an element that has no children (empty elements give an empty string).

    Raises:
        FormatError: it has children.
    """
    if len(element):
        raise FormatError(f"element {element.tag} has children, not text", file=file)
    return element.text or ""


def leaf(name: str, text: str | int) -> str:
    """One element as engines write it: escaped text, ``<Name/>`` when there is none."""
    if text == "":
        return f"<{name}/>"
    # A carriage return that is not written as a reference comes back as a line feed from every XML reader.
    escaped = escape(str(text), quote=False).replace("\r", "&#13;")
    return f"<{name}>{escaped}</{name}>"


def integer(text: str, *, what: str, file: str, signed: bool = False) -> int:
    """
    A decimal number of at most 64 bits.

    Raises:
        FormatError: anything else.
    """
    digits = text.removeprefix("-") if signed else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise FormatError(f"{what} is {text[:40]!r}, not a number", file=file)
    value = int(text)
    if not -(1 << 63) <= value < 1 << 64:
        raise FormatError(f"{what} is {text}, over 64 bits", file=file)
    return value


def boolean(text: str, *, what: str, file: str) -> bool:
    """
    ``true`` or ``false``, as engines write them.

    Raises:
        FormatError: anything else.
    """
    if text not in ("true", "false"):
        raise FormatError(f"{what} is {text[:40]!r}, not true or false", file=file)
    return text == "true"
