"""
``DISCOVER_PROPERTIES``: the XMLA properties that a request may carry, and what they are for this session.

ADOMD.NET sends only properties that it finds here, and reads ``Catalog`` again after it changed it: its value must be
the session's current database. Listing the three ``DbpropMsmd…ID`` makes clients send the ids of their requests, which
a log can then tell.

Sources: [MS-SSAS] 3.1.4.2.2.1.3.16 and 2.2.4.3.2 (names, types, access); requests of ADOMD.NET and AMO 19.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tabvault.engine.rowsets.definition import Rowset, restrictions, schema
from tabvault.engine.rowsets.server import PROVIDER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetContext

_PROPERTIES: Final = schema("PropertyName PropertyDescription PropertyType PropertyAccessType IsRequired:boolean Value")


class Property(NamedTuple):
    """A property: who may set it (``Read``, ``Write``, ``ReadWrite``), and its value when nobody has."""

    name: str
    type: str
    access: str
    default: str
    description: str


PROPERTIES: Final = (
    Property("ApplicationContext", "string", "ReadWrite", "", "context that the application gives"),
    Property("AxisFormat", "string", "Write", "TupleFormat", "format of the axes of a multidimensional result"),
    Property("BeginRange", "int", "Write", "-1", "first cell of a multidimensional result"),
    Property("Catalog", "string", "ReadWrite", "", "the current database of the session"),
    Property("ClientProcessID", "int", "ReadWrite", "0", "process of the client"),
    Property("Content", "string", "Write", "SchemaData", "whether a result has schema, data or both"),
    Property("Cube", "string", "ReadWrite", "", "the cube that a command means"),
    Property("CustomData", "string", "ReadWrite", "", "text that expressions of the model may read"),
    Property("DataSourceInfo", "string", "ReadWrite", "", "the data source, as DISCOVER_DATASOURCES names it"),
    Property("DBMSVersion", "string", "Read", "", "version of the server"),
    Property("DbpropInitMode", "int", "ReadWrite", "0", "access that the client asks for"),
    Property("DbpropMsmdActivityID", "string", "ReadWrite", "", "activity that the client's session belongs to"),
    Property("DbpropMsmdCurrentActivityID", "string", "ReadWrite", "", "activity that the request belongs to"),
    Property("DbpropMsmdFlattened2", "boolean", "ReadWrite", "false", "how a multidimensional result is flattened"),
    Property("DbpropMsmdMDXCompatibility", "int", "ReadWrite", "1", "how ragged hierarchies are shown"),
    Property("DbpropMsmdRequestID", "string", "ReadWrite", "", "id of the request"),
    Property("DbpropMsmdSubqueries", "int", "ReadWrite", "0", "how sub-queries are answered"),
    Property("EffectiveUserName", "string", "ReadWrite", "", "the user for whom an administrator asks"),
    Property("EndRange", "int", "Write", "-1", "last cell of a multidimensional result"),
    Property("Format", "string", "Write", "Native", "Tabular, Multidimensional or Native"),
    Property("LocaleIdentifier", "unsignedInt", "ReadWrite", "1033", "language of the client, an LCID"),
    Property("MDXSupport", "string", "Read", "Core", "the part of MDX that is understood"),
    Property("ProviderName", "string", "Read", PROVIDER_NAME, "name of the provider"),
    Property("ProviderType", "string", "Read", "MDP", "the kind of provider"),
    Property("ProviderVersion", "string", "Read", "", "version of the provider"),
    Property("ReadOnlySession", "boolean", "ReadWrite", "false", "whether the session may change nothing"),
    Property("ReturnAffectedObjects", "int", "ReadWrite", "0", "whether a command tells the objects it changed"),
    Property("Roles", "string", "ReadWrite", "", "the roles for which an administrator asks"),
    Property("SafetyOptions", "int", "ReadWrite", "0", "which functions of libraries are allowed"),
    Property("ServerName", "string", "Read", "", "name of the server"),
    Property("ShowHiddenCubes", "boolean", "ReadWrite", "false", "whether hidden cubes are shown"),
    Property("SspropInitAppName", "string", "ReadWrite", "", "name of the application"),
    Property("StateSupport", "string", "Read", "Sessions", "whether there are sessions"),
    Property("Timeout", "unsignedInt", "ReadWrite", "0", "seconds after which a request ends, 0 for never"),
    Property("TransactionDDL", "int", "ReadWrite", "0", "how definitions take part in transactions"),
    Property("UserName", "string", "Read", "", "the user of the session"),
)
"""By name. Properties of multidimensional calculation that only its own tools send are left out."""


def _properties(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    facts = _facts(request.context)
    given = {name.lower(): value for name, value in request.context.properties.items()}
    for known in PROPERTIES:
        value = known.default if known.access == "Read" else given.get(known.name.lower(), known.default)
        yield {
            "PropertyName": known.name,
            "PropertyDescription": known.description,
            "PropertyType": known.type,
            "PropertyAccessType": known.access,
            "IsRequired": False,
            "Value": facts.get(known.name, value),
        }


def _facts(context: RowsetContext) -> dict[str, str]:
    """The values that the server decides."""
    return {
        "Catalog": context.catalog or "",
        "DBMSVersion": context.server.version,
        "ProviderVersion": context.server.version,
        "ServerName": context.server.name,
        "UserName": context.user_name,
    }


ROWSETS: Final = (
    Rowset(
        "DISCOVER_PROPERTIES",
        "4B40ADFB-8B09-4758-97BB-636E8AE97BCF",
        "the properties of requests and of the session",
        _PROPERTIES,
        restrictions("PropertyName", on=_PROPERTIES),
        _properties,
    ),
)
