"""
Query parameters: texts with an XSD type, as values ([MS-SSAS] 3.1.4.3.2.1.2).

::

    <Parameters><Parameter><Name>p</Name><Value xsi:type="xsd:int">7</Value></Parameter></Parameters>

Integers must be of their type's range. A ``dateTime`` may have .NET's seven digits of a second; the last is cut, being
finer than the microseconds of Python's ``datetime`` and than what a tabular column holds.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from tabvault.errors import CommandNotSupportedError
from tabvault.formats.xmla.namespaces import SCHEMA_INSTANCE
from tabvault.formats.xmla.xml_tree import Fields, boolean, child_elements, echo, integer, is_nil, leaf_text, wrong

if TYPE_CHECKING:
    from lxml import etree

ParameterValue: TypeAlias = str | int | float | bool | datetime.datetime | Decimal | None

_INTEGERS = {
    "byte": (-(1 << 7), (1 << 7) - 1),
    "short": (-(1 << 15), (1 << 15) - 1),
    "int": (-(1 << 31), (1 << 31) - 1),
    "long": (-(1 << 63), (1 << 63) - 1),
    "unsignedByte": (0, (1 << 8) - 1),
    "unsignedShort": (0, (1 << 16) - 1),
    "unsignedInt": (0, (1 << 32) - 1),
    "unsignedLong": (0, (1 << 64) - 1),
}
_DOUBLE = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,6})?")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SPECIAL_DOUBLES = {"INF": float("inf"), "-INF": float("-inf"), "NaN": float("nan")}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter. ``None`` is ``xsi:nil``; a time without zone has none here either."""

    name: str
    value: ParameterValue


def parse_parameters(element: etree._Element | None) -> tuple[Parameter, ...]:
    """
    Read a ``Parameters`` element; none if it is absent.

    Raises:
        CommandNotSupportedError: a type that is none of the above, a table for instance.
        RequestError: a text that is no value of its type, or a name twice.
    """
    parameters: dict[str, Parameter] = {}
    for child in () if element is None else child_elements(element):
        fields = Fields(child, ("Name", "Value"))
        name = fields.required_text("Name")
        if name in parameters:
            raise wrong(child, f"gives {echo(name)} a second time")
        parameters[name] = Parameter(name, _value(fields.require("Value")))
    return tuple(parameters.values())


def _value(element: etree._Element) -> ParameterValue:
    if is_nil(element):
        return None
    kind = (element.get(f"{{{SCHEMA_INSTANCE}}}type") or "string").rpartition(":")[2]
    if len(element):
        raise CommandNotSupportedError("a table as a parameter is not supported", line=element.sourceline)
    text = leaf_text(element)
    if kind in ("string", "uuid"):
        return text
    word = text.strip()
    if kind in _INTEGERS:
        return integer(word, element, bounds=_INTEGERS[kind])
    if kind == "boolean":
        return boolean(word, element)
    if kind in ("double", "float"):
        return _double(word, element)
    if kind == "decimal":
        if not _DECIMAL.fullmatch(word):
            raise wrong(element, "is no decimal number of at most 30 digits before and after its point")
        return Decimal(word)
    if kind == "dateTime":
        return _date_time(word, element)
    raise CommandNotSupportedError(f"a parameter of type {echo(kind)} is not supported", line=element.sourceline)


def _double(word: str, element: etree._Element) -> float:
    if word in _SPECIAL_DOUBLES:
        return _SPECIAL_DOUBLES[word]
    if not _DOUBLE.fullmatch(word):
        raise wrong(element, "is no floating-point number")
    return float(word)


def _date_time(word: str, element: etree._Element) -> datetime.datetime:
    match = _DATE_TIME.fullmatch(word)
    if match is None:
        raise wrong(element, "is no date and time")
    seconds, fraction, zone = match.groups(default="")
    try:
        return datetime.datetime.fromisoformat(f"{seconds}{fraction[:7]}{zone}")
    except ValueError:
        raise wrong(element, "is no date and time of the years 1 to 9999") from None
