"""
What stands around the rows of an answer: SOAP envelope, response elements, faults and messages.

An answer to Discover or Execute is the concatenation ::

    envelope_begin(session_id)
      DISCOVER_BEGIN | EXECUTE_BEGIN
        one result                                      a rowset (see .rowset), EMPTY_RESULT or result_error(...)
        or RESULTS_BEGIN, a result per command of the Batch in its order, RESULTS_END
      DISCOVER_END | EXECUTE_END                        (or a fault(...) instead of the response element)
    ENVELOPE_END

An error that turns up after rows have been sent is written as :func:`messages` before ``ROWSET_END``: every client
throws the rows' error when it comes to it. Sources: [MS-SSAS] 2.2.4.1 and 3.1.4, SOAP 1.1 section 4.4; each form was
read by ADOMD.NET 19.118.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.formats.xmla.escape import attribute, content
from tabvault.formats.xmla.namespaces import EMPTY, ENGINE, EXCEPTION, MULTIPLE_RESULTS, SOAP, XML_ANALYSIS

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVELOPE_END = b"</soap:Body></soap:Envelope>"
DISCOVER_BEGIN = f'<DiscoverResponse xmlns="{XML_ANALYSIS}"><return>'.encode()
DISCOVER_END = b"</return></DiscoverResponse>"
EXECUTE_BEGIN = f'<ExecuteResponse xmlns="{XML_ANALYSIS}"><return>'.encode()
EXECUTE_END = b"</return></ExecuteResponse>"
RESULTS_BEGIN = f'<results xmlns="{MULTIPLE_RESULTS}">'.encode()
RESULTS_END = b"</results>"
EMPTY_RESULT = f'<root xmlns="{EMPTY}"/>'.encode()


@dataclass(frozen=True, slots=True)
class Message:
    """
    An error or a warning of a command.

    Attributes:
        code: unsigned 32-bit number; clients show it as a signed one.
        description: for people; clients never parse it.
        source: the name of the server.
        is_warning: whether the command was done all the same.
        line: 1-based line in the statement, where known.
        column: 1-based column in that line, where known.
    """

    code: int
    description: str
    source: str
    is_warning: bool = False
    line: int | None = None
    column: int | None = None


def envelope_begin(session_id: str | None = None) -> bytes:
    """Everything before the response element; the header names the session that the request began or went on with."""
    header = ""
    if session_id is not None:
        session = f'<Session xmlns="{XML_ANALYSIS}" SessionId={attribute(session_id)}/>'
        header = f"<soap:Header>{session}</soap:Header>"
    start = '<?xml version="1.0" encoding="utf-8"?>'
    return f'{start}<soap:Envelope xmlns:soap="{SOAP}">{header}<soap:Body>'.encode()


def fault(error: Message) -> bytes:
    """A SOAP fault: stands in the body instead of a response element."""
    return (
        f"<soap:Fault><faultcode>XMLAnalysisError.0x{error.code:08X}</faultcode>"
        f"<faultstring>{content(error.description)}</faultstring><detail>{_element(error)}</detail></soap:Fault>"
    ).encode()


def messages(of_command: Sequence[Message]) -> bytes:
    """
    What stands at the end of a root, after any rows: errors and warnings, in order.

    The ``Exception`` element, by which a client knows that it failed, is there if one of them is an error.
    """
    failed = any(not message.is_warning for message in of_command)
    exception = f'<Exception xmlns="{EXCEPTION}"/>' if failed else ""
    elements = "".join(_element(message) for message in of_command)
    return f'{exception}<Messages xmlns="{EXCEPTION}">{elements}</Messages>'.encode()


def result_messages(of_command: Sequence[Message]) -> bytes:
    """A whole result without rows that carries errors or warnings: the second legal form of an error."""
    return f'<root xmlns="{EMPTY}">'.encode() + messages(of_command) + b"</root>"


def _element(message: Message) -> str:
    name, code_name = ("Warning", "WarningCode") if message.is_warning else ("Error", "ErrorCode")
    attributes = (
        f'{code_name}="{message.code}" Description={attribute(message.description)}'
        f' Source={attribute(message.source)} HelpFile=""'
    )
    if message.line is None:
        return f"<{name} {attributes}/>"
    place = f"<Line>{message.line}</Line><Column>{message.column or 1}</Column>"
    return (
        f'<{name} {attributes}><Location xmlns="{ENGINE}"><Start>{place}</Start><End>{place}</End>'
        f"<LineOffset>0</LineOffset><TextLength>0</TextLength></Location></{name}>"
    )
