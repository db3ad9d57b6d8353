"""
Which rowsets there are, by name: those of every database, and those of tables that only the current one has.

Sources: [MS-SSAS] 3.1.4.2.2.1.3 (names, columns, types); GUIDs from the documentation of OLE DB and of AdomdSchemaGuid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets import (
    backup_files,
    dimensions,
    language,
    measures,
    properties,
    server,
    storage,
    tmschema,
    traces,
    xml_metadata,
)
from tabvault.engine.rowsets.catalogs import catalog_rowsets
from tabvault.engine.rowsets.definition import Rowset, restrictions, schema
from tabvault.engine.suggestion import close_names
from tabvault.errors import UnknownRowsetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetContext

_SCHEMA_ROWSETS: Final = schema(
    "SchemaName SchemaGuid:uuid Restrictions:restrictions Description RestrictionsMask:unsignedLong"
)


def find_rowset(name: str, context: RowsetContext) -> Rowset:
    """
    The rowset of *name*, in any case of letters.

    Raises:
        UnknownRowsetError: there is none.
    """
    rowset = ROWSETS.get(name.upper()) or rowsets(context).get(name.upper())
    if rowset is None:
        hint = close_names(name, ROWSETS) or "SELECT * FROM $SYSTEM.DISCOVER_SCHEMA_ROWSETS lists them"
        raise UnknownRowsetError(f"there is no rowset {name!r}", hint=hint)
    return rowset


def rowsets(context: RowsetContext) -> dict[str, Rowset]:
    """Every rowset, by name; of the current database also those of tables that no list of ours has."""
    if not context.catalog:
        return dict(ROWSETS)
    with context.open_database(context.entry(context.catalog).name) as source:
        others = tmschema.other_rowsets(source) if source.is_administrator else []
    return {**ROWSETS, **{rowset.name: rowset for rowset in others}}


def _schema_rowsets(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    for rowset in rowsets(request.context).values():
        yield {
            "SchemaName": rowset.name,
            "SchemaGuid": rowset.guid,
            "Restrictions": [
                {"Name": restriction.name, "Type": f"xsd:{restriction.type}"} for restriction in rowset.restrictions
            ],
            "Description": rowset.description,
            "RestrictionsMask": rowset.restrictions_mask,
        }


ROWSETS: Final[Mapping[str, Rowset]] = {
    rowset.name: rowset
    for rowset in (
        *properties.ROWSETS,
        *server.ROWSETS,
        Rowset(
            "DISCOVER_SCHEMA_ROWSETS",
            "EEA0302B-7922-4992-8991-0E605D0E5593",
            "the rowsets",
            _SCHEMA_ROWSETS,
            restrictions("SchemaName", on=_SCHEMA_ROWSETS),
            _schema_rowsets,
        ),
        *xml_metadata.ROWSETS,
        *backup_files.ROWSETS,
        *traces.ROWSETS,
        *language.ROWSETS,
        *catalog_rowsets(rowsets),
        *dimensions.ROWSETS,
        *measures.ROWSETS,
        *storage.ROWSETS,
        *tmschema.ROWSETS,
    )
}
"""By name: those that there are whatever the database."""
