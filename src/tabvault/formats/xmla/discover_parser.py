"""
``Discover``, and the property lists that it shares with ``Execute`` ([MS-SSAS] 3.1.4.2).

Restrictions and properties are elements named after them. Several values for one restriction are legal in the protocol
(``<Value>`` elements, or the element again); no client does it, and one of them alone would be a wrong answer, so
that is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import CommandNotSupportedError
from tabvault.formats.xmla.commands import Discover
from tabvault.formats.xmla.names import decode_name
from tabvault.formats.xmla.xml_tree import Fields, child_elements, echo, is_nil, leaf_text, local_name, wrong

if TYPE_CHECKING:
    from lxml import etree


def parse_discover(element: etree._Element) -> Discover:
    """
    Read a ``Discover`` element.

    Raises:
        CommandNotSupportedError: a restriction with several values.
        RequestError: not as the protocol has it.
    """
    fields = Fields(element, ("RequestType", "Restrictions", "Properties"))
    return Discover(
        request_type=fields.required_text("RequestType").strip(),
        restrictions=_named_texts(fields.get("Restrictions"), "RestrictionList"),
        properties=parse_properties(fields.get("Properties")),
    )


def parse_properties(element: etree._Element | None) -> dict[str, str]:
    """
    The properties of a ``Properties`` element, of any name; none if it is absent.

    Raises:
        RequestError: not as the protocol has it.
    """
    return _named_texts(element, "PropertyList")


def _named_texts(element: etree._Element | None, list_name: str) -> dict[str, str]:
    found = None if element is None else Fields(element, (list_name,)).get(list_name)
    texts: dict[str, str] = {}
    for child in () if found is None else child_elements(found):
        if is_nil(child):
            continue
        name = decode_name(local_name(child))
        text = _text(child)
        if texts.setdefault(name, text) != text:
            raise CommandNotSupportedError(f"several values of {echo(name)} are not supported", line=child.sourceline)
    return texts


def _text(element: etree._Element) -> str:
    if not len(element):
        return leaf_text(element)
    values = list(child_elements(element))
    if any(local_name(value) != "Value" for value in values):
        raise wrong(element, "holds elements, not text")
    if len(values) > 1:
        name = echo(local_name(element))
        raise CommandNotSupportedError(f"several values of {name} are not supported", line=element.sourceline)
    return leaf_text(values[0])
