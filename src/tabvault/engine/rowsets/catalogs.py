"""
Databases, their tables and their columns, as OLE DB lists them.

DBSCHEMA_CATALOGS   the databases that the caller may see
DBSCHEMA_TABLES     the tables of the current database, and every rowset as a table of schema ``$SYSTEM``
DBSCHEMA_COLUMNS    their columns and measures, and the columns of every rowset

Hidden tables and columns are listed, because queries may name them; the internal row number is not.

Sources: [MS-SSAS] 3.1.4.2.2.1.3.1 to .4 (names, types, restrictions); the documentation of OLE DB (DBTYPE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.cubes import MEASURE_DBTYPES, visible_columns, visible_measures, visible_tables
from tabvault.engine.rowsets.database import of_database
from tabvault.engine.rowsets.definition import TYPE_KEY, Rowset, restrictions, schema
from tabvault.engine.rowsets.language import (
    DBTYPE_BOOL,
    DBTYPE_BYTES,
    DBTYPE_DATE,
    DBTYPE_I8,
    DBTYPE_R8,
    DBTYPE_VARIANT,
    DBTYPE_WSTR,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetContext, RowsetSource

    Rowsets = Callable[[RowsetContext], Mapping[str, Rowset]]

_CATALOGS: Final = schema(
    "CATALOG_NAME DESCRIPTION ROLES DATE_MODIFIED:dateTime COMPATIBILITY_LEVEL:int TYPE:int VERSION:int DATABASE_ID"
    " DATE_QUERIED:dateTime CURRENTLY_USED:boolean POPULARITY:double WEIGHTEDPOPULARITY:double"
    " CLIENTCACHEREFRESHPOLICY:int"
)
_TABLES: Final = schema(
    "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_TYPE TABLE_GUID:uuid DESCRIPTION TABLE_PROPID:unsignedInt"
    " DATE_CREATED:dateTime DATE_MODIFIED:dateTime TABLE_OLAP_TYPE"
)
_COLUMNS: Final = schema(
    "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME COLUMN_GUID:uuid COLUMN_PROPID:unsignedInt"
    " ORDINAL_POSITION:unsignedInt COLUMN_HAS_DEFAULT:boolean COLUMN_DEFAULT COLUMN_FLAGS:unsignedInt"
    " IS_NULLABLE:boolean DATA_TYPE:unsignedShort TYPE_GUID:uuid CHARACTER_MAXIMUM_LENGTH:unsignedInt"
    " CHARACTER_OCTET_LENGTH:unsignedInt NUMERIC_PRECISION:unsignedShort NUMERIC_SCALE:short"
    " DATETIME_PRECISION:unsignedInt CHARACTER_SET_CATALOG CHARACTER_SET_SCHEMA CHARACTER_SET_NAME COLLATION_CATALOG"
    " COLLATION_SCHEMA COLLATION_NAME DOMAIN_CATALOG DOMAIN_SCHEMA DOMAIN_NAME DESCRIPTION COLUMN_OLAP_TYPE"
)

_TABULAR_METADATA: Final = 0x1
_TABULAR_MODEL: Final = 0x2
_ADMINISTRATOR: Final = "*"
"""``ROLES`` of one who may do everything."""

SYSTEM_SCHEMA: Final = "$SYSTEM"

_DBTYPES: Final = {
    "string": DBTYPE_WSTR,
    "boolean": DBTYPE_BOOL,
    "short": 2,
    "int": 3,
    "long": DBTYPE_I8,
    "unsignedShort": 18,
    "unsignedInt": 19,
    "unsignedLong": 21,
    "double": DBTYPE_R8,
    "dateTime": DBTYPE_DATE,
    "base64Binary": DBTYPE_BYTES,
    "uuid": 72,
    "xmlDocument": 141,
    "restrictions": 136,
}
"""OLE DB's number of each type of XML schema."""


def _catalogs(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    current = (request.context.catalog or "").casefold()
    for entry in sorted(request.context.catalogs, key=lambda entry: entry.name):
        yield {
            "CATALOG_NAME": entry.name,
            "DESCRIPTION": entry.description,
            "ROLES": _ADMINISTRATOR if entry.roles is None else ",".join(entry.roles),
            "DATE_MODIFIED": entry.modified.replace(tzinfo=None) if entry.modified else None,
            "COMPATIBILITY_LEVEL": entry.compatibility_level,
            "TYPE": _TABULAR_METADATA | _TABULAR_MODEL,
            "VERSION": entry.version,
            "DATABASE_ID": entry.id,
            "CURRENTLY_USED": entry.name.casefold() == current,
        }


def _tables(source: RowsetSource, rowsets: Iterable[Rowset]) -> Iterator[Mapping[str, object]]:
    for table in visible_tables(source):
        yield {
            "TABLE_CATALOG": source.database.name,
            "TABLE_SCHEMA": source.model.name,
            "TABLE_NAME": table.name,
            "TABLE_TYPE": "TABLE",
            "DESCRIPTION": table.description,
            "TABLE_OLAP_TYPE": "MEASURE_GROUP",
        }
    for rowset in rowsets:
        yield {
            "TABLE_CATALOG": source.database.name,
            "TABLE_SCHEMA": SYSTEM_SCHEMA,
            "TABLE_NAME": rowset.name,
            "TABLE_TYPE": "SCHEMA",
            "DESCRIPTION": rowset.description,
            "TABLE_OLAP_TYPE": "SCHEMA",
        }


def _columns(source: RowsetSource, rowsets: Iterable[Rowset]) -> Iterator[Mapping[str, object]]:
    for table in visible_tables(source):
        place = {
            "TABLE_CATALOG": source.database.name,
            "TABLE_SCHEMA": source.model.name,
            "TABLE_NAME": table.name,
            "COLUMN_HAS_DEFAULT": False,
        }
        columns = visible_columns(source, table)
        for position, column in enumerate(columns, 1):
            yield {
                **place,
                "COLUMN_NAME": column.name,
                "ORDINAL_POSITION": position,
                "DATA_TYPE": MEASURE_DBTYPES.get(column.data_type, DBTYPE_VARIANT),
                "DESCRIPTION": column.description,
                "IS_NULLABLE": True,
                "COLUMN_OLAP_TYPE": "ATTRIBUTE",
            }
        for position, measure in enumerate(visible_measures(source, table), len(columns) + 1):
            yield {
                **place,
                "COLUMN_NAME": measure.name,
                "ORDINAL_POSITION": position,
                "DATA_TYPE": DBTYPE_VARIANT,
                "DESCRIPTION": measure.description,
                "IS_NULLABLE": True,
                "COLUMN_OLAP_TYPE": "MEASURE",
            }
    for rowset in rowsets:
        for position, field in enumerate(rowset.schema, 1):
            yield {
                "TABLE_CATALOG": source.database.name,
                "TABLE_SCHEMA": SYSTEM_SCHEMA,
                "TABLE_NAME": rowset.name,
                "COLUMN_NAME": field.name,
                "ORDINAL_POSITION": position,
                "COLUMN_HAS_DEFAULT": False,
                "DATA_TYPE": _DBTYPES[field.metadata[TYPE_KEY].decode()],
                "IS_NULLABLE": True,
                "COLUMN_OLAP_TYPE": "SCHEMA",
            }


def catalog_rowsets(rowsets: Rowsets) -> tuple[Rowset, ...]:
    """
    The three rowsets.

    Args:
        rowsets: gives all rowsets there are, these among them.
    """

    def tables(request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
        return _tables(source, rowsets(request.context).values())

    def columns(request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
        return _columns(source, rowsets(request.context).values())

    return (
        Rowset(
            "DBSCHEMA_CATALOGS",
            "C8B52211-5CF3-11CE-ADE5-00AA0044773D",
            "the databases",
            _CATALOGS,
            restrictions("CATALOG_NAME", on=_CATALOGS),
            _catalogs,
        ),
        Rowset(
            "DBSCHEMA_TABLES",
            "C8B52229-5CF3-11CE-ADE5-00AA0044773D",
            "the tables of a database, and the rowsets",
            _TABLES,
            restrictions("TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_TYPE TABLE_OLAP_TYPE", on=_TABLES),
            of_database(tables, named_by="TABLE_CATALOG"),
        ),
        Rowset(
            "DBSCHEMA_COLUMNS",
            "C8B52214-5CF3-11CE-ADE5-00AA0044773D",
            "the columns and measures of a database, and the columns of rowsets",
            _COLUMNS,
            restrictions("TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME COLUMN_OLAP_TYPE", on=_COLUMNS),
            of_database(columns, named_by="TABLE_CATALOG"),
        ),
    )
