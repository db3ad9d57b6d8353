"""
The SOAP envelope of a request: what its header says of the session, and ``Discover`` or ``Execute`` ([MS-SSAS] 2.2.4).

::

    <Envelope>
      <Header>  BeginSession | Session SessionId="" | EndSession SessionId="" ;  Version ...  </Header>
      <Body>
        <Discover> RequestType  Restrictions/RestrictionList  Properties/PropertyList </Discover>
        or <Execute> Command/(one command)  Properties/PropertyList  Parameters </Execute>
      </Body>
    </Envelope>

Header elements that are not known are passed over, as SOAP 1.1 section 4.2.3 has it, unless they must be understood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.formats.xmla.command_parser import parse_command
from tabvault.formats.xmla.commands import Command, Discover
from tabvault.formats.xmla.discover_parser import parse_discover, parse_properties
from tabvault.formats.xmla.namespaces import SOAP, SOAP_1_2, XML_ANALYSIS
from tabvault.formats.xmla.parameters import Parameter, parse_parameters
from tabvault.formats.xmla.xml_tree import Fields, child_elements, echo, local_name, only_child, parse, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml import etree

__all__ = ["Discover", "Execute", "Parameter", "Request", "SessionHeader", "parse_request"]

_UNDERSTOOD = ("Version", "NamespaceCompatibility", "ProtocolCapabilities")
"""Header elements that ask for nothing that a server that answers in plain text would have to do."""


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """What the SOAP header says of a session: begin one, go on with ``id``, or end ``id``."""

    begin: bool = False
    id: str | None = None
    end: bool = False


@dataclass(frozen=True, slots=True)
class Execute:
    """A command with its properties (``Catalog``, ``Format`` ...) and parameters."""

    command: Command
    properties: Mapping[str, str] = field(repr=False)
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    session: SessionHeader
    operation: Discover | Execute


def parse_request(body: bytes) -> Request:
    """
    Read a request.

    Args:
        body: of the HTTP request, whole and uncompressed.

    Raises:
        RequestTooLargeError: over a limit of :mod:`.xml_tree`.
        CommandNotSupportedError: a part of the protocol that this version does not do.
        RequestError: anything else that is not as the protocol has it, with its line.
    """
    envelope = parse(body)
    if envelope.tag not in (f"{{{SOAP}}}Envelope", f"{{{SOAP_1_2}}}Envelope"):
        raise wrong(envelope, "is no SOAP envelope")
    fields = Fields(envelope, ("Header", "Body"))
    session = _session(fields.get("Header"))
    return Request(session, _operation(only_child(fields.require("Body"))))


def _session(header: etree._Element | None) -> SessionHeader:
    found: SessionHeader | None = None
    for element in () if header is None else child_elements(header):
        name = local_name(element)
        session = _session_element(element, name) if element.tag == f"{{{XML_ANALYSIS}}}{name}" else None
        if session is not None:
            if found is not None:
                raise wrong(element, "is the second of a session in one header")
            found = session
        elif name not in _UNDERSTOOD and _must_understand(element):
            raise CommandNotSupportedError(
                f"header element {echo(name)} must be understood, and is not", line=element.sourceline
            )
    return found or SessionHeader()


def _session_element(element: etree._Element, name: str) -> SessionHeader | None:
    if name == "BeginSession":
        return SessionHeader(begin=True)
    if name not in ("Session", "EndSession"):
        return None
    session_id = element.get("SessionId")
    if not session_id:
        raise wrong(element, "has no SessionId")
    return SessionHeader(id=session_id, end=name == "EndSession")


def _must_understand(element: etree._Element) -> bool:
    marks = (element.get(f"{{{namespace}}}mustUnderstand") for namespace in (SOAP, SOAP_1_2))
    return any(mark is not None and mark.strip() in ("1", "true") for mark in marks)


def _operation(element: etree._Element) -> Discover | Execute:
    name = local_name(element)
    if name == "Discover":
        return parse_discover(element)
    if name == "Authenticate":
        raise CommandNotSupportedError(
            "authentication inside SOAP is not supported",
            line=element.sourceline,
            hint="connect by HTTP with a user name and password",
        )
    if name != "Execute":
        raise RequestError(f"the body holds element {echo(name)}, not Discover or Execute", line=element.sourceline)
    fields = Fields(element, ("Command", "Properties", "Parameters"))
    return Execute(
        parse_command(only_child(fields.require("Command"))),
        parse_properties(fields.get("Properties")),
        parse_parameters(fields.get("Parameters")),
    )
