"""
The definition of a trace: which events are asked for, with which columns, under which condition ([MS-SSAS] 2.2.4.2.2).

::

    <Trace><ID/><Name/><StopTime/>
      <Events><Event><EventID>15</EventID><Columns><ColumnID>28</ColumnID>...</Columns></Event>...</Events>
      <Filter><And><Equal><ColumnID>39</ColumnID><Value>...</Value></Equal>...</And></Filter>
    </Trace>
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from tabvault.formats.xmla.commands import TraceCombination, TraceComparison, TraceCondition, TraceEvent
from tabvault.formats.xmla.xml_tree import (
    Fields,
    child_elements,
    echo,
    integer,
    leaf_text,
    local_name,
    only_child,
    wrong,
)

if TYPE_CHECKING:
    from lxml import etree

_NUMBER_BOUNDS = (0, (1 << 31) - 1)

_FIELDS = ("ID", "Name", "Description", "AutoRestart", "StopTime", "Events", "EventType", "Filter")
_LOG_FIELDS = ("LogFileName", "LogFileAppend", "LogFileSize", "LogFileRollover", "Audit")
"""Of a trace that the server writes to a file. Only ones that say no are accepted."""

_COMPARISONS = ("Equal", "NotEqual", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Like", "NotLike")


class TraceProperties(TypedDict):
    """The arguments of a ``TraceDefinition``."""

    id: str | None
    name: str | None
    stop_time: str | None
    auto_restart: bool
    events: tuple[TraceEvent, ...]
    filter: TraceCondition | None


def parse_trace(trace: etree._Element) -> TraceProperties:
    """
    Read a ``Trace`` element.

    Raises:
        RequestError: not as above, or a trace that goes to a file.
    """
    fields = Fields(trace, (*_FIELDS, *_LOG_FIELDS))
    for name in _LOG_FIELDS:
        if (fields.text(name) or "").strip() not in ("", "0", "false"):
            raise wrong(trace, f"asks for a trace that is written to a file ({name})")
    condition = fields.get("Filter")
    return TraceProperties(
        id=fields.text("ID"),
        name=fields.text("Name"),
        stop_time=fields.text("StopTime") or None,
        auto_restart=fields.boolean("AutoRestart", default=False),
        events=_events(fields),
        filter=None if condition is None or len(condition) == 0 else _condition(only_child(condition)),
    )


def _events(fields: Fields) -> tuple[TraceEvent, ...]:
    container = fields.get("Events")
    if container is None and (kind := fields.get("EventType")) is not None:
        container = Fields(kind, ("Events",)).get("Events")
    return () if container is None else tuple(_event(event) for event in _named(container, "Event"))


def _event(event: etree._Element) -> TraceEvent:
    fields = Fields(event, ("EventID", "Columns"))
    columns = fields.get("Columns")
    inside = [] if columns is None else _named(columns, "ColumnID")
    return TraceEvent(_number(fields.require("EventID")), tuple(_number(column) for column in inside))


def _named(container: etree._Element, name: str) -> list[etree._Element]:
    inside = list(child_elements(container))
    stranger = next((child for child in inside if local_name(child) != name), None)
    if stranger is not None:
        raise wrong(container, f"holds the unknown element {echo(local_name(stranger))}")
    return inside


def _number(element: etree._Element) -> int:
    return integer(leaf_text(element), element, bounds=_NUMBER_BOUNDS)


def _condition(element: etree._Element) -> TraceCondition:
    """One node of the condition; its depth is that of the request, which is bounded."""
    operator = local_name(element)
    if operator in _COMPARISONS:
        fields = Fields(element, ("ColumnID", "Value"))
        return TraceComparison(operator, _number(fields.require("ColumnID")), leaf_text(fields.require("Value")))
    if operator == "Not":
        return TraceCombination(operator, (_condition(only_child(element)),))
    if operator in ("And", "Or"):
        operands = tuple(_condition(child) for child in child_elements(element))
        if not operands:
            raise wrong(element, "holds no condition")
        return TraceCombination(operator, operands)
    raise wrong(element, "is no condition of a trace")
