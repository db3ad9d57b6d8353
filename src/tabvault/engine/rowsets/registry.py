"""
Which rowsets there are, by name, and what makes each.

``DBSCHEMA_CATALOGS`` and ``DISCOVER_SCHEMA_ROWSETS``, which list databases and rowsets, are made here too.

Sources: [MS-SSAS] 3.1.4.2.2.1.3 (names, columns, types); GUIDs from the documentation of OLE DB and of AdomdSchemaGuid,
where those of ``TMSCHEMA_*`` are not given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.engine.rowsets import storage, tmschema
from tabvault.engine.suggestion import close_names
from tabvault.errors import UnknownRowsetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.engine.rowsets.source import RowsetSource

CATALOGS: Final = pa.schema(
    [
        ("CATALOG_NAME", pa.string()),
        ("DESCRIPTION", pa.string()),
        ("ROLES", pa.string()),
        ("DATE_MODIFIED", pa.timestamp("us")),
        ("COMPATIBILITY_LEVEL", pa.int64()),
        ("TYPE", pa.int64()),
        ("VERSION", pa.int64()),
        ("DATABASE_ID", pa.string()),
        ("DATE_QUERIED", pa.timestamp("us")),
        ("CURRENTLY_USED", pa.bool_()),
        ("POPULARITY", pa.float64()),
        ("WEIGHTEDPOPULARITY", pa.float64()),
        ("CLIENTCACHEREFRESHPOLICY", pa.int64()),
    ]
)
SCHEMA_ROWSETS: Final = pa.schema(
    [
        ("SchemaName", pa.string()),
        ("SchemaGuid", pa.string()),
        ("Restrictions", pa.string()),
        ("Description", pa.string()),
        ("RestrictionsMask", pa.int64()),
    ]
)

_TABULAR_METADATA: Final = 0x1
_TABULAR_MODEL: Final = 0x2
_ADMINISTRATOR: Final = "*"
"""``ROLES`` of one who may do everything, as the owner of a data folder may."""


@dataclass(frozen=True, slots=True)
class Rowset:
    """A schema rowset. *read* makes all its rows."""

    name: str
    guid: str | None
    description: str
    read: Callable[[RowsetSource], pa.Table]


def find_rowset(name: str, source: RowsetSource) -> Rowset:
    """
    The rowset of *name*, in any case of letters.

    Raises:
        UnknownRowsetError: there is none.
    """
    known = rowsets(source)
    rowset = known.get(name.upper())
    if rowset is None:
        hint = close_names(name, known) or "SELECT * FROM $SYSTEM.DISCOVER_SCHEMA_ROWSETS lists them"
        raise UnknownRowsetError(f"there is no rowset {name!r}", hint=hint)
    return rowset


def rowsets(source: RowsetSource) -> dict[str, Rowset]:
    """Every rowset of this database, by name."""
    served = [
        *_FIXED,
        *(
            Rowset(name, None, f"metadata table {table}", partial(_metadata_table, table=table))
            for name, table in sorted(tmschema.rowset_names(source.metadata).items())
        ),
    ]
    return {rowset.name: rowset for rowset in served}


def catalogs(source: RowsetSource) -> pa.Table:
    """``DBSCHEMA_CATALOGS``: one row per database, sorted by name."""
    rows = [
        {
            "CATALOG_NAME": entry.name,
            "DESCRIPTION": entry.description,
            "ROLES": _ADMINISTRATOR,
            "DATE_MODIFIED": entry.modified.replace(tzinfo=None) if entry.modified else None,
            "COMPATIBILITY_LEVEL": entry.compatibility_level,
            "TYPE": _TABULAR_METADATA | _TABULAR_MODEL,
            "VERSION": entry.version,
            "DATABASE_ID": entry.id,
        }
        for entry in sorted(source.catalogs, key=lambda entry: entry.name)
    ]
    return pa.Table.from_pylist(rows, CATALOGS)


def schema_rowsets(source: RowsetSource) -> pa.Table:
    """``DISCOVER_SCHEMA_ROWSETS``: one row per rowset. None takes restrictions: a WHERE does the same."""
    rows = [
        {"SchemaName": rowset.name, "SchemaGuid": rowset.guid, "Description": rowset.description, "RestrictionsMask": 0}
        for rowset in rowsets(source).values()
    ]
    return pa.Table.from_pylist(rows, SCHEMA_ROWSETS)


def _metadata_table(source: RowsetSource, *, table: str) -> pa.Table:
    return tmschema.read_table(source.metadata, table)


_FIXED: Final = (
    Rowset("DBSCHEMA_CATALOGS", "C8B52211-5CF3-11CE-ADE5-00AA0044773D", "the databases", catalogs),
    Rowset(
        "DISCOVER_SCHEMA_ROWSETS",
        "EEA0302B-7922-4992-8991-0E605D0E5593",
        "the rowsets of this database",
        schema_rowsets,
    ),
    Rowset(
        "DISCOVER_STORAGE_TABLES",
        "A07CCD43-8148-11D0-87BB-00C04FC33942",
        "tables as the storage engine sees them",
        storage.storage_tables,
    ),
    Rowset(
        "DISCOVER_STORAGE_TABLE_COLUMNS",
        "A07CCD44-8148-11D0-87BB-00C04FC33942",
        "columns as the storage engine sees them",
        storage.storage_columns,
    ),
    Rowset(
        "DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS",
        "A07CCD45-8148-11D0-87BB-00C04FC33942",
        "segments of columns",
        storage.storage_segments,
    ),
)
