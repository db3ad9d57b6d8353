"""
``DISCOVER_XML_METADATA``: the server or one database as an XML document, which AMO and TOM connect by.

================  ======================================  ===========================================================
ObjectExpansion   of the object                           of its databases
================  ======================================  ===========================================================
ReferenceOnly     name and id                             none
ObjectProperties  all properties                          none
ExpandObject      all properties                          name, id, and times
ExpandFull        all properties                          all properties
================  ======================================  ===========================================================

The root is ``Server``, with the restriction ``DatabaseID`` ``Database``, with ``TraceID`` ``Trace``. A client takes no
element that it does not know in exactly this namespace, and refuses the whole server for one database whose name it
does not take (:mod:`tabvault.formats.xmla.database_names`): such a database is left out of the list, and found by its
id and in other rowsets.
``StorageEngineUsed`` must be ``TabularMetadata``, or TOM shows no model. Tabular databases have no children here: those
are in ``TMSCHEMA_*``. Server properties (folders of the server) and traces are for its administrators.

Sources: [MS-SSAS] 2.2.4.2.2 and 3.1.4.2.2.1.3.20; namespaces read off what AMO 19 writes and takes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lxml import etree

from tabvault.engine.rowsets.definition import Match, Restriction, Rowset, schema
from tabvault.errors import DatabaseNotFoundError, RequestError
from tabvault.formats.xmla.database_names import NOT_IN_DATABASE_NAME

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import CatalogEntry, RowsetContext, TraceFacts

_METADATA: Final = schema("METADATA:xmlDocument")

_NAMESPACE: Final = "http://schemas.microsoft.com/analysisservices/{}"
_NAMESPACES: Final[dict[str | None, str]] = {
    None: _NAMESPACE.format("2003/engine"),
    "ddl100": _NAMESPACE.format("2008/engine/100"),
    "ddl100_100": _NAMESPACE.format("2008/engine/100/100"),
    "ddl200": _NAMESPACE.format("2010/engine/200"),
    "ddl200_200": _NAMESPACE.format("2010/engine/200/200"),
    "ddl300": _NAMESPACE.format("2011/engine/300"),
    "ddl400": _NAMESPACE.format("2012/engine/400"),
    "ddl500": _NAMESPACE.format("2013/engine/500"),
    "ddl600": _NAMESPACE.format("2013/engine/600"),
    "ddl900": _NAMESPACE.format("2019/engine/900"),
}

REFERENCE_ONLY: Final = "ReferenceOnly"
OBJECT_PROPERTIES: Final = "ObjectProperties"
EXPAND_OBJECT: Final = "ExpandObject"
EXPAND_FULL: Final = "ExpandFull"
EXPANSIONS: Final = (REFERENCE_ONLY, OBJECT_PROPERTIES, EXPAND_OBJECT, EXPAND_FULL)

_EDITION_ID: Final = "2176971986"
"""``EditionID`` of the developer edition; clients only show it."""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry, not even as references."""

_OBJECT_IDS: Final = [
    "DatabaseID",
    "DimensionID",
    "CubeID",
    "MeasureGroupID",
    "PartitionID",
    "PerspectiveID",
    "DimensionPermissionID",
    "RoleID",
    "DatabasePermissionID",
    "MiningModelID",
    "MiningModelPermissionID",
    "DataSourceID",
    "MiningStructureID",
    "AggregationDesignID",
    "TraceID",
    "MiningStructurePermissionID",
    "CubePermissionID",
    "AssemblyID",
    "MdxScriptID",
    "DataSourceViewID",
    "DataSourcePermissionID",
]


def _metadata(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    context = request.context
    expansion = request.text("ObjectExpansion") or EXPAND_FULL
    if expansion not in EXPANSIONS:
        raise RequestError(f"ObjectExpansion is {expansion!r}", hint=f"there are {', '.join(EXPANSIONS)}")
    asked = {name: request.text(name) for name in _OBJECT_IDS if request.text(name)}
    for name, object_id in asked.items():
        if name not in {"DatabaseID", "TraceID"}:
            raise RequestError(f"object {name} {object_id!r} does not exist: a tabular database has no such objects")
    if "TraceID" in asked:
        root = _trace_root(asked["TraceID"], request, expansion)
    elif "DatabaseID" in asked:
        root = _root("Database")
        _describe_database(root, _by_id(context, asked["DatabaseID"]), expansion)
    else:
        root = _root("Server")
        _describe_server(root, context, expansion)
    yield {"METADATA": etree.tostring(root, encoding="unicode")}


def _by_id(context: RowsetContext, database_id: str | None) -> CatalogEntry:
    for entry in context.catalogs:
        if entry.id == database_id:
            return entry
    raise DatabaseNotFoundError(
        f"either the database with id {database_id!r} does not exist, or you have no access to it"
    )


def _describe_server(server: etree._Element, context: RowsetContext, expansion: str) -> None:
    facts = context.server
    _add(server, "Name", facts.name)
    _add(server, "ID", facts.name)
    if expansion == REFERENCE_ONLY:
        return
    _add(server, "CreatedTimestamp", _moment(facts.started))
    _add(server, "LastSchemaUpdate", _moment(facts.started))
    _add(server, "Version", facts.version)
    _add(server, "Edition", facts.edition)
    _add(server, "EditionID", _EDITION_ID)
    _add(server, "ddl300:ServerMode", "Tabular")
    _add(server, "ProductLevel", "RTM")
    _add(server, "ProductName", "Microsoft Analysis Services")
    _add(server, "ddl400:ServerLocation", "OnPremise")
    _add(server, "ddl400:DefaultCompatibilityLevel", str(facts.default_compatibility_level))
    _add(server, "ddl600:SupportedCompatibilityLevels", ",".join(map(str, facts.compatibility_levels)))
    _add(server, "ddl900:CompatibilityMode", "AnalysisServices")
    if context.is_administrator:
        _add_server_properties(server, facts.properties)
    if expansion == OBJECT_PROPERTIES:
        return
    databases = _child(server, "Databases")
    for entry in context.catalogs:
        if NOT_IN_DATABASE_NAME.search(entry.name):
            continue
        _describe_database(_child(databases, "Database"), entry, expansion, is_child=True)
    if context.is_administrator:
        traces = _child(server, "Traces")
        for trace in facts.traces:
            _describe_trace(_child(traces, "Trace"), trace)


def _add_server_properties(server: etree._Element, properties: Mapping[str, str]) -> None:
    parent = _child(server, "ServerProperties")
    for name, value in properties.items():
        element = _child(parent, "ServerProperty")
        for child, text in (
            ("Name", name),
            ("Type", "string"),
            ("Value", value),
            ("DefaultValue", value),
            ("PendingValue", value),
            ("RequiresRestart", "true"),
            ("IsReadOnly", "true"),
            ("DisplayFlag", "true"),
            ("Category", "Basic"),
        ):
            _add(element, child, text)


def _describe_database(
    database: etree._Element, entry: CatalogEntry, expansion: str, *, is_child: bool = False
) -> None:
    _add(database, "Name", entry.name)
    _add(database, "ID", entry.id)
    if expansion == REFERENCE_ONLY:
        return
    _add(database, "CreatedTimestamp", _moment(entry.created or entry.modified))
    _add(database, "LastSchemaUpdate", _moment(entry.modified))
    if is_child and expansion != EXPAND_FULL:
        return
    if entry.description:
        _add(database, "Description", entry.description)
    _add(database, "LastUpdate", _moment(entry.modified))
    _add(database, "LastProcessed", _moment(entry.processed or entry.modified))
    _add(database, "State", "Processed")
    _add(database, "ddl100:ReadWriteMode", entry.read_write_mode)
    _add(database, "ddl200:CompatibilityLevel", str(entry.compatibility_level))
    _add(database, "ddl200_200:StorageEngineUsed", "TabularMetadata")
    _add(database, "ddl500:Version", str(entry.version))
    _add(database, "EstimatedSize", str(entry.byte_count))
    if entry.language is not None:
        _add(database, "Language", str(entry.language))
    if entry.collation:
        _add(database, "Collation", entry.collation)


def _trace_root(trace_id: str | None, request: RowsetRequest, expansion: str) -> etree._Element:
    request.context.require_administrator(request.rowset.name)
    for trace in request.context.server.traces:
        if trace.id == trace_id:
            root = _root("Trace")
            _describe_trace(root, trace, is_reference=expansion == REFERENCE_ONLY)
            return root
    raise RequestError(f"trace {trace_id!r} does not exist")


def _describe_trace(element: etree._Element, trace: TraceFacts, *, is_reference: bool = False) -> None:
    _add(element, "Name", trace.name)
    _add(element, "ID", trace.id)
    if not is_reference:
        _add(element, "CreatedTimestamp", _moment(trace.created))
        _add(element, "LastSchemaUpdate", _moment(trace.created))


def _root(name: str) -> etree._Element:
    return etree.Element(f"{{{_NAMESPACES[None]}}}{name}", nsmap=_NAMESPACES)


def _child(parent: etree._Element, name: str) -> etree._Element:
    prefix, _, local = name.rpartition(":")
    return etree.SubElement(parent, f"{{{_NAMESPACES[prefix or None]}}}{local}")


def _add(parent: etree._Element, name: str, text: str) -> None:
    element = _child(parent, name)
    element.text = _NOT_XML.sub("\ufffd", text)


def _moment(moment: datetime.datetime | None) -> str:
    """XML's spelling; the year 1 for a time that nobody knows, because AMO must have one."""
    return "0001-01-01T00:00:00Z" if moment is None else f"{moment.replace(tzinfo=None).isoformat()}Z"


ROWSETS: Final = (
    Rowset(
        "DISCOVER_XML_METADATA",
        "3444B255-171E-4CB9-AD98-19E57888A75F",
        "the server or a database as XML",
        _METADATA,
        tuple(Restriction(name, "string", Match.OTHER) for name in (*_OBJECT_IDS, "ObjectExpansion")),
        _metadata,
    ),
)
