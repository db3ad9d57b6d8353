"""
The element tree of a request, read without entities, document types or unbounded memory.

A request comes from the network, before anybody knows who sends it. So everything that makes memory or time is counted
in its bytes before a tree is built of them: bytes, elements (every ``<`` that does not begin an end tag) and attributes
(every ``=`` with a quotation mark behind it; text may have such too, so that limit is wide). The nesting and the length
of one text are bounded by the parser itself.

White space and CDATA in the text of an element are kept as they are; comments are as if they were not there. An error
says line and column, but nothing of the text: it may be a password.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from lxml import etree

from tabvault.errors import RequestError, RequestTooLargeError
from tabvault.formats.xmla.namespaces import SCHEMA_INSTANCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

REQUEST_BYTE_COUNT_MAX = 64 << 20
"""Ours. The largest models known are some 10 MB as TMSL, and twice that as rows with their schemas."""
ELEMENT_COUNT_MAX = 2_000_000
"""Ours: 100,000 rows of twenty values each. Takes some 300 MB while it is read."""
ATTRIBUTE_COUNT_MAX = 500_000
"""Ours: clients write one for each row and four for each column of a schema."""
DEPTH_MAX = 256
"""Of libxml2. A command of a Batch is some twelve deep."""
TEXT_BYTE_COUNT_MAX = 10_000_000
"""Of libxml2, for one text."""

ECHO_CHARACTER_COUNT_MAX = 40
"""Of a name or value of the request in an error message."""

_ENCODINGS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DECLARATION = re.compile(rb"<\?xml[ \t\r\n][^>]*?\?>")
_DECLARED_ENCODING = re.compile(rb"""encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z0-9._\-]*)["']""")
_ATTRIBUTE = re.compile(rb"""=[ \t\r\n]*["']""")
_TOO_LARGE = ("ERR_RESOURCE_LIMIT", "ERR_DOCUMENT_TOO_BIG", "ERR_NAME_TOO_LONG")


def parse(body: bytes) -> etree._Element:
    """
    The root element of a request.

    Args:
        body: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        RequestTooLargeError: over one of the limits above.
        RequestError: not well-formed, in another encoding, or with a document type or processing instruction.
    """
    if len(body) > REQUEST_BYTE_COUNT_MAX:
        raise RequestTooLargeError(f"a request of {len(body)} bytes is over the limit of {REQUEST_BYTE_COUNT_MAX}")
    text = _utf8(body)
    _refuse_document_type(text)
    _refuse_too_many(text)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise _named(error, parser) from None
    instruction = next(
        itertools.chain(root.itersiblings(preceding=True), root.itersiblings(), root.iter(etree.PI)), None
    )
    if instruction is not None:
        raise RequestError("a processing instruction stands in a request", line=instruction.sourceline)
    return root


def _utf8(body: bytes) -> bytes:
    """The text as UTF-8 without byte order mark; a declaration that contradicts the bytes is refused."""
    mark, encoding = next((entry for entry in _ENCODINGS if body.startswith(entry[0])), (b"", "utf-8"))
    try:
        characters = body[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise RequestError(f"byte {len(mark) + error.start} of the request is not valid {encoding}") from None
    text = body[len(mark) :] if encoding == "utf-8" else characters.encode()
    declaration = _DECLARATION.match(text)
    declared = _DECLARED_ENCODING.search(declaration[0]) if declaration is not None else None
    if declared is not None and declared[1].lower() not in (b"utf-8", b"us-ascii", *_declarable(encoding)):
        raise RequestError(f"the request says it is {echo(declared[1].decode())} and is {encoding}", line=1)
    return text


def _declarable(encoding: str) -> tuple[bytes, ...]:
    return () if encoding == "utf-8" else (b"utf-16", encoding.encode())


def _refuse_document_type(text: bytes) -> None:
    """It can only stand before the root element; the parser is not even begun on one."""
    position = 0
    while True:
        start = text.find(b"<", position)
        if text.startswith(b"<!--", start):
            position = text.find(b"-->", start + 4) + 3
        elif text.startswith(b"<?", start):
            position = text.find(b"?>", start) + 2
        else:
            break
        if position <= start:  # it does not end: not well-formed, as the parser will say
            break
    if text.startswith(b"<!", start):
        raise RequestError("a document type declaration stands in a request", line=text.count(b"\n", 0, start) + 1)


def _refuse_too_many(text: bytes) -> None:
    element_count = text.count(b"<") - text.count(b"</")
    if element_count > ELEMENT_COUNT_MAX:
        raise RequestTooLargeError(f"{element_count} elements are over the limit of {ELEMENT_COUNT_MAX}")
    attributes = itertools.islice(_ATTRIBUTE.finditer(text), ATTRIBUTE_COUNT_MAX + 1)
    if sum(1 for _ in attributes) > ATTRIBUTE_COUNT_MAX:
        raise RequestTooLargeError(f"more than {ATTRIBUTE_COUNT_MAX} attributes stand in a request")


def _named(error: etree.XMLSyntaxError, parser: etree.XMLParser) -> RequestError:
    # The error's own log goes back to the errors of other parsers in this thread.
    kind = next((entry.type_name for entry in parser.error_log), "ERR_DOCUMENT_EMPTY")
    line, column = error.position
    if kind in _TOO_LARGE:
        return RequestTooLargeError(
            f"a request is nested deeper than {DEPTH_MAX}, or has a text over {TEXT_BYTE_COUNT_MAX} bytes",
            line=line,
            column=column,
        )
    # The parser's own sentence may quote the request.
    fault = kind.removeprefix("ERR_").replace("_", " ").lower()
    return RequestError(f"the request is not well-formed XML: {fault}", line=line or None, column=column or None)


def echo(text: str) -> str:
    """*text* for an error message: quoted and not long."""
    shortened = text if len(text) <= ECHO_CHARACTER_COUNT_MAX else f"{text[:ECHO_CHARACTER_COUNT_MAX]}…"
    return repr(shortened)


def local_name(element: etree._Element) -> str:
    """The name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def wrong(element: etree._Element, what: str) -> RequestError:
    """An error with the element's line."""
    return RequestError(f"element {echo(local_name(element))} {what}", line=element.sourceline)


def leaf_text(element: etree._Element) -> str:
    """
    The text of an element that has no children, exactly.

    Raises:
        RequestError: it has children.
    """
    if len(element):
        raise wrong(element, f"holds element {echo(local_name(element[0]))}, not text")
    return element.text or ""


def is_nil(element: etree._Element) -> bool:
    """Whether ``xsi:nil`` says that there is no value."""
    return element.get(f"{{{SCHEMA_INSTANCE}}}nil") in ("true", "1")


def child_elements(element: etree._Element) -> Iterator[etree._Element]:
    """
    The children of an element that holds elements only.

    Raises:
        RequestError: text stands between them.
    """
    texts = itertools.chain((element.text,), (child.tail for child in element))
    if any(text and not text.isspace() for text in texts):
        raise wrong(element, "holds text, not elements")
    return iter(element)


def only_child(element: etree._Element) -> etree._Element:
    """
    The one child of an element.

    Raises:
        RequestError: none, or several.
    """
    inside = list(child_elements(element))
    if len(inside) != 1:
        raise wrong(element, f"holds {len(inside)} elements, not one")
    return inside[0]


class Fields:
    """
    The children of an element by local name, each there at most once.

    Args:
        element: whose children.
        known: names that may be there.

    Raises:
        RequestError: another child, or one twice.
    """

    __slots__ = ("_elements", "element")

    def __init__(self, element: etree._Element, known: Collection[str]) -> None:
        self.element = element
        self._elements: dict[str, etree._Element] = {}
        for child in child_elements(element):
            name = local_name(child)
            if name not in known:
                raise wrong(element, f"holds the unknown element {echo(name)}")
            if name in self._elements:
                raise wrong(element, f"holds element {echo(name)} twice")
            self._elements[name] = child

    def __contains__(self, name: str) -> bool:
        return name in self._elements

    def get(self, name: str) -> etree._Element | None:
        """The child of that name, if it is there."""
        return self._elements.get(name)

    def require(self, name: str) -> etree._Element:
        """
        The child of that name.

        Raises:
            RequestError: it is not there.
        """
        found = self._elements.get(name)
        if found is None:
            raise wrong(self.element, f"lacks element {name}")
        return found

    def text(self, name: str) -> str | None:
        """The text of a child; ``None`` if it is not there."""
        found = self._elements.get(name)
        return None if found is None or is_nil(found) else leaf_text(found)

    def required_text(self, name: str) -> str:
        """
        The text of a child, not empty.

        Raises:
            RequestError: absent or empty.
        """
        text = leaf_text(self.require(name))
        if not text.strip():
            raise wrong(self.element, f"has an empty {name}")
        return text

    def boolean(self, name: str, *, default: bool) -> bool:
        """
        ``true``/``1`` or ``false``/``0``.

        Raises:
            RequestError: anything else.
        """
        text = self.text(name)
        return default if text is None else boolean(text, self._elements[name])

    def integer(self, name: str) -> int | None:
        """
        A decimal number of at most 64 bits.

        Raises:
            RequestError: anything else.
        """
        text = self.text(name)
        return None if text is None else integer(text, self._elements[name])


def boolean(text: str, element: etree._Element) -> bool:
    """
    The value of *text* of *element* (or of one of its attributes).

    Raises:
        RequestError: neither true nor false.
    """
    word = text.strip()
    if word not in ("true", "false", "1", "0"):
        raise wrong(element, f"is {echo(text)}, not true or false")
    return word in ("true", "1")


def integer(text: str, element: etree._Element, *, bounds: tuple[int, int] = (-(1 << 63), (1 << 64) - 1)) -> int:
    """
    The value of *text* of *element*.

    Raises:
        RequestError: not a decimal number, or outside *bounds*.
    """
    word = text.strip()
    digits = word.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise wrong(element, f"is {echo(text)}, not a number")
    value = int(word)
    if not bounds[0] <= value <= bounds[1]:
        raise wrong(element, f"is {value}, not from {bounds[0]} to {bounds[1]}")
    return value
