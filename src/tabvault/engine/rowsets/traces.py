"""
Traces: those that clients made, and what a trace can tell.

DISCOVER_TRACES                   the traces
DISCOVER_TRACE_EVENT_CATEGORIES   one row per category of events: an XML text with its events and their columns
DISCOVER_TRACE_COLUMNS            one row per column of events: an XML text

Only events that this server raises are listed: commands, progress, errors, administrative operations.

Sources: [MS-SSAS] 3.1.4.2.2.1.3 and 2.2.4.2.2 (rowsets, elements of the texts); the documentation of trace events
(numbers, types of columns); subclasses of events as AMO names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lxml import etree

from tabvault.engine.rowsets.definition import OLAP_GUID, Rowset, restrictions, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest

_TRACES: Final = schema(
    "TraceID TraceName LogFileName LogFileSize:int LogFileRollover:boolean AutoRestart:boolean CreationTime:dateTime"
    " StopTime:dateTime Type"
)
_DATA: Final = schema("Data")

_INT, _LONG, _TIME, _TEXT, _LONG_TEXT = 1, 2, 5, 8, 9
"""Types of columns as the texts number them."""


class TraceColumn(NamedTuple):
    """A column of events: its number, its type, and the type of XML schema that its values have in a trace."""

    id: int
    name: str
    type: int
    xsd_type: str


COLUMNS: Final = (
    TraceColumn(0, "EventClass", _INT, "int"),
    TraceColumn(1, "EventSubclass", _INT, "int"),
    TraceColumn(2, "CurrentTime", _TIME, "dateTime"),
    TraceColumn(3, "StartTime", _TIME, "dateTime"),
    TraceColumn(4, "EndTime", _TIME, "dateTime"),
    TraceColumn(5, "Duration", _LONG, "long"),
    TraceColumn(9, "ProgressTotal", _INT, "long"),
    TraceColumn(10, "IntegerData", _INT, "long"),
    TraceColumn(11, "ObjectID", _TEXT, "string"),
    TraceColumn(13, "ObjectName", _TEXT, "string"),
    TraceColumn(22, "Severity", _INT, "int"),
    TraceColumn(23, "Success", _INT, "int"),
    TraceColumn(24, "Error", _INT, "int"),
    TraceColumn(25, "ConnectionID", _INT, "int"),
    TraceColumn(28, "DatabaseName", _TEXT, "string"),
    TraceColumn(32, "NTUserName", _TEXT, "string"),
    TraceColumn(35, "ClientHostName", _TEXT, "string"),
    TraceColumn(37, "ApplicationName", _TEXT, "string"),
    TraceColumn(39, "SessionID", _TEXT, "string"),
    TraceColumn(41, "SPID", _INT, "int"),
    TraceColumn(42, "TextData", _LONG_TEXT, "string"),
    TraceColumn(43, "ServerName", _TEXT, "string"),
)
"""By number, which are those of AMO's TraceColumn."""

_COMMANDS: Final = {
    0: "Create",
    1: "Alter",
    2: "Delete",
    8: "Backup",
    9: "Restore",
    11: "Subscribe",
    12: "Batch",
    13: "BeginTransaction",
    14: "CommitTransaction",
    15: "RollbackTransaction",
    17: "Cancel",
    20: "Attach",
    21: "Detach",
    26: "TabularCreate",
    27: "TabularAlter",
    28: "TabularDelete",
    29: "TabularRefresh",
    33: "TabularRename",
    34: "TabularSequencePoint",
    38: "JsonCommand",
    10000: "Other",
}
_PROGRESS: Final = {1: "Process", 37: "Backup", 38: "Restore", 41: "Detach", 42: "Attach", 57: "TabularCommit"}
_OPERATIONS: Final = {1: "Backup", 2: "Restore", 3: "Synchronize", 4: "Detach", 5: "Attach"}


class TraceEvent(NamedTuple):
    """A class of events: its number, its columns and, by number, its subclasses."""

    id: int
    name: str
    columns: tuple[int, ...]
    subclasses: Mapping[int, str]


_WHO: Final = (25, 28, 32, 35, 37, 39, 41, 42, 43)
_RESULT: Final = (22, 23, 24)

CATEGORIES: Final[Mapping[str, tuple[TraceEvent, ...]]] = {
    "Command Events": (
        TraceEvent(15, "Command Begin", (0, 1, 2, 3, *_WHO), _COMMANDS),
        TraceEvent(16, "Command End", (0, 1, 2, 3, 4, 5, *_RESULT, *_WHO), _COMMANDS),
    ),
    "Progress Reports": (
        TraceEvent(5, "Progress Report Begin", (0, 1, 2, 3, 11, 13, *_WHO), _PROGRESS),
        TraceEvent(6, "Progress Report End", (0, 1, 2, 3, 4, 5, 9, 10, 11, 13, *_RESULT, *_WHO), _PROGRESS),
        TraceEvent(7, "Progress Report Current", (0, 1, 2, 3, 9, 10, 11, 13, *_WHO), _PROGRESS),
        TraceEvent(8, "Progress Report Error", (0, 1, 2, 3, 4, 5, 9, 10, 11, 13, *_RESULT, *_WHO), _PROGRESS),
    ),
    "Errors and Warnings": (TraceEvent(17, "Error", (0, 3, *_RESULT, *_WHO), {}),),
    "Security Audit": (TraceEvent(19, "Audit Admin Operations Event", (0, 1, 2, *_RESULT, *_WHO), _OPERATIONS),),
}
"""Events by category."""

_ERROR_CATEGORY: Final = "2"
_NORMAL_CATEGORY: Final = "0"


def _traces(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    request.context.require_administrator(request.rowset.name)
    for trace in request.context.server.traces:
        yield {
            "TraceID": trace.id,
            "TraceName": trace.name,
            "LogFileRollover": False,
            "AutoRestart": False,
            "CreationTime": trace.created.replace(tzinfo=None),
            "StopTime": trace.stops.replace(tzinfo=None) if trace.stops else None,
            "Type": "Subscription",
        }


def _categories(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    for name, events in CATEGORIES.items():
        category = etree.Element("EVENTCATEGORY")
        _add(category, "NAME", name)
        _add(category, "TYPE", _ERROR_CATEGORY if name.startswith("Errors") else _NORMAL_CATEGORY)
        _add(category, "DESCRIPTION", name)
        event_list = etree.SubElement(category, "EVENTLIST")
        for event in events:
            _add_event(event_list, event)
        yield {"Data": etree.tostring(category, encoding="unicode")}


def _add_event(parent: etree._Element, event: TraceEvent) -> None:
    element = etree.SubElement(parent, "EVENT")
    _add(element, "ID", str(event.id))
    _add(element, "NAME", event.name)
    _add(element, "DESCRIPTION", event.name)
    columns = etree.SubElement(element, "EVENTCOLUMNLIST")
    for column_id in event.columns:
        column = etree.SubElement(columns, "EVENTCOLUMN")
        _add(column, "ID", str(column_id))
        if column_id == 1:
            subclasses = etree.SubElement(column, "EVENTCOLUMNSUBCLASSLIST")
            for number, name in event.subclasses.items():
                subclass = etree.SubElement(subclasses, "EVENTCOLUMNSUBCLASS")
                _add(subclass, "ID", str(number))
                _add(subclass, "NAME", name)


def _columns(_request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    for column in COLUMNS:
        element = etree.Element("COLUMN")
        _add(element, "ID", str(column.id))
        _add(element, "TYPE", str(column.type))
        _add(element, "NAME", column.name)
        _add(element, "DESCRIPTION", column.name)
        for flag in ("FILTERABLE", "REPEATABLE", "REPEATEDBASE"):
            _add(element, flag, "false")
        yield {"Data": etree.tostring(element, encoding="unicode")}


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


ROWSETS: Final = (
    Rowset(
        "DISCOVER_TRACES",
        OLAP_GUID.format(0x1A),
        "the traces of clients",
        _TRACES,
        restrictions("TraceID Type", on=_TRACES),
        _traces,
    ),
    Rowset(
        "DISCOVER_TRACE_EVENT_CATEGORIES",
        OLAP_GUID.format(0x19),
        "the events that a trace can have",
        _DATA,
        restrictions("Data", on=_DATA),
        _categories,
    ),
    Rowset(
        "DISCOVER_TRACE_COLUMNS",
        OLAP_GUID.format(0x18),
        "the columns of events of a trace",
        _DATA,
        restrictions("Data", on=_DATA),
        _columns,
    ),
)
