"""
``TMSCHEMA_*``: the metadata tables themselves, each as a rowset.

The columns of an object's rowset, their order and types are those of its type
(:mod:`tabvault.model.object_types`); what the file has besides follows, and what its schema version does not have yet
is the default of the property. Of tables of the storage engine, and of tables that we do not know, the file alone says
which columns there are:

======================  =========================================================================================
cells of                become
======================  =========================================================================================
``Is…`` and like flags  boolean (stored as 0 or 1)
``…Time``               dateTime, UTC (stored as FILETIME: 100 ns since 1601; the tenth of a microsecond is dropped)
RangeStart, RangeEnd    dateTime (stored as OLE date: days since 30 December 1899)
other columns           the type of their values: long, double, string, base64Binary
======================  =========================================================================================

Of secrets the value is masked, see :mod:`tabvault.model.secrets`. Of tables, columns and partitions the rows
of system tables (H$, R$, U$) are left out, as a server does; the ``…_STORAGES`` rowsets show them. ``Model.Version``,
which TOM asks for and no file has, is that of the database.

A rowset's name is the plural of its table's name, in capitals; where that is not so, the object's type says it. So
tables of schema versions that we do not know are served too. All of them take the restrictions ``DatabaseName``, ids,
and names. They are for administrators of the database.

Sources: [MS-SSAS-T] 3.1.5.1.1 (names, columns), the list of rowsets in the documentation of trace events, GUIDs of
ADOMD.NET's public AdomdSchemaGuid.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tabvault.engine.rowsets.database import of_database
from tabvault.engine.rowsets.definition import (
    OLAP_GUID,
    TYPE_KEY,
    Match,
    Restriction,
    Rowset,
    arrow_field,
    schema,
)
from tabvault.errors import ModelError
from tabvault.model import filetime, ole_date
from tabvault.model.load import SYSTEM_FLAG
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.secrets import SECRET_COLUMNS, masked

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Sequence

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetSource
    from tabvault.model.metadata import Metadata
    from tabvault.model.object_types import ObjectType

_GUIDS: Final[dict[str, int | str]] = {
    "MODEL": 0x49,
    "DATA_SOURCES": 0x4A,
    "TABLES": 0x4B,
    "COLUMNS": 0x4C,
    "ATTRIBUTE_HIERARCHIES": 0x4D,
    "PARTITIONS": 0x4E,
    "RELATIONSHIPS": 0x4F,
    "MEASURES": 0x50,
    "HIERARCHIES": 0x51,
    "LEVELS": 0x52,
    "ANNOTATIONS": 0x53,
    "DETAIL_ROWS_DEFINITIONS": 0x54,
    "TABLE_STORAGES": 0x55,
    "COLUMN_STORAGES": 0x56,
    "PARTITION_STORAGES": 0x57,
    "SEGMENT_MAP_STORAGES": 0x58,
    "DICTIONARY_STORAGES": 0x59,
    "COLUMN_PARTITION_STORAGES": 0x5A,
    "RELATIONSHIP_STORAGES": 0x5B,
    "RELATIONSHIP_INDEX_STORAGES": 0x5C,
    "ATTRIBUTE_HIERARCHY_STORAGES": 0x5D,
    "HIERARCHY_STORAGES": 0x5E,
    "KPIS": 0x5F,
    "STORAGE_FOLDERS": 0x60,
    "STORAGE_FILES": 0x61,
    "SEGMENT_STORAGES": 0x62,
    "CULTURES": 0x63,
    "OBJECT_TRANSLATIONS": 0x64,
    "LINGUISTIC_METADATA": 0x65,
    "PERSPECTIVES": 0x66,
    "PERSPECTIVE_TABLES": 0x67,
    "PERSPECTIVE_COLUMNS": 0x68,
    "PERSPECTIVE_HIERARCHIES": 0x69,
    "PERSPECTIVE_MEASURES": 0x6A,
    "ROLES": 0x6B,
    "ROLE_MEMBERSHIPS": 0x6C,
    "TABLE_PERMISSIONS": 0x6D,
    "VARIATIONS": 0x6E,
    "SETS": 0x6F,
    "PERSPECTIVE_SETS": 0x70,
    "EXTENDED_PROPERTIES": 0x71,
    "EXPRESSIONS": 0x72,
    "COLUMN_PERMISSIONS": 0x73,
    "RELATED_COLUMN_DETAILS": 0x74,
    "GROUP_BY_COLUMNS": 0x75,
    "CALCULATION_GROUPS": 0x76,
    "CALCULATION_ITEMS": 0x77,
    "ALTERNATE_OF_DEFINITIONS": 0x78,
    "REFRESH_POLICIES": 0x79,
    "FORMAT_STRING_DEFINITIONS": 0x7A,
    "QUERY_GROUPS": 0x7B,
    "ANALYTICS_AIMETADATA": 0x7C,
    "FUNCTIONS": 0x7D,
    "GENERAL_SEGMENT_MAP_SEGMENT_METADATA_STORAGES": 0x7F,
    "DELTA_TABLE_METADATA_STORAGES": 0x80,
    "PARQUET_FILE_STORAGES": 0x81,
    "DATA_COVERAGE_DEFINITIONS": 0x82,
    "CALCULATION_EXPRESSIONS": 0x83,
    "CALENDARS": 0x84,
    "CALENDAR_COLUMN_GROUPS": 0x85,
    "CALENDAR_COLUMN_REFERENCES": 0x86,
    "BINDING_INFO_COLLECTION": 0x87,
    "DELTA_TABLE_COLUMN_STORAGES": 0x97,
    "STRING_INDEX_STORAGES": 0x98,
    "COLUMN_INDEX_STORAGES": 0x99,
    "FULL_TEXT_INDEX_STORAGES": 0x9A,
    "PACKAGES": 0x9B,
    "PACKAGE_OBJECT_REFERENCES": 0x9C,
    "STRING_INDEXES": 0x9D,
    "FULL_TEXT_INDEXES": 0x9E,
    "CHANGED_PROPERTIES": "5B5F186B-E834-4E61-AF92-EB1E6BF3D21E",
    "EXCLUDED_ARTIFACTS": "E0B79227-1F53-41B4-BAC8-5315E58F12F2",
}
"""GUID of each rowset, or the byte of :data:`~tabvault.engine.rowsets.definition.OLAP_GUID` that it differs in."""

_PREFIX: Final = "TMSCHEMA_"

FLAGS: Final = frozenset({"FastCombine", "HasStatistics", "Statistics_HasNulls", "SystemManaged"})
"""Flags that do not begin with ``Is``, of tables and columns that no object type has."""

TEXTS: Final = frozenset(
    {
        "ArtifactObjectId",
        "ArtifactSecurityVersion",
        "Collation",
        "CreatedVersion",
        "CubeName",
        "CurrentVersion",
        "DataSourceReference",
        "DatamartObjectID",
        "DefaultDetailRowsExpression",
        "DeletedVersion",
        "DeletionVectorFileETag",
        "DeletionVectorFileLocation",
        "DeltaColumnMappingPhysicalName",
        "DeltaLogETag",
        "Description",
        "DetailRowsExpression",
        "DetailRowsExpressionErrorMessage",
        "ETag",
        "ErrorMessage",
        "Expression",
        "FileName",
        "FramedSchemaName",
        "FramedSourceColumn",
        "LevelDefinition",
        "Location",
        "MaxValue",
        "MinValue",
        "Name",
        "OrderByColumn",
        "Path",
        "RootLocation",
        "TableName",
        "TableObjectID",
    }
)
"""Columns of such tables that are text also where no row has a value, by every schema version seen."""

_OLE_DATES: Final = frozenset({"RangeStart", "RangeEnd"})
_WITH_SYSTEM_ROWS: Final = frozenset({"Table", "Column", "Partition"})
_TABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")

_NAMES: Final = frozenset({"Name", "ExplicitName", "ObjectType", "Type", "State"})
"""Columns that a restriction may name, besides ids."""


def rowset_name(table: str) -> str:
    """``AttributeHierarchyStorage`` -> ``TMSCHEMA_ATTRIBUTE_HIERARCHY_STORAGES``."""
    if table in OBJECT_TYPES:
        return OBJECT_TYPES[table].rowset
    name = "_".join(_WORD.findall(table[0].upper() + table[1:])).upper()
    plural = re.sub(r"Y$", "IE", re.sub(r"X$", "XE", name))
    return f"{_PREFIX}{plural}S"


def root_name(rowset: str) -> str | None:
    """What the root of a rowset is called, by which TOM knows it: ``DataSources``. None for others than TMSCHEMA_*."""
    if not rowset.upper().startswith(_PREFIX):
        return None
    return _COLLECTIONS.get(rowset.upper()) or rowset[len(_PREFIX) :].title().replace("_", "")


def table_of(rowset: str, metadata: Metadata) -> str | None:
    """The metadata table behind a rowset, None when this database has none."""
    return next((table for table in _served_tables(metadata) if rowset_name(table) == rowset), None)


def other_rowsets(source: RowsetSource) -> list[Rowset]:
    """Rowsets of tables that this database has and no other list of ours names."""
    known = {rowset.name for rowset in ROWSETS}
    names = (rowset_name(table) for table in sorted(_served_tables(source.metadata)))
    return [_rowset(name, _read_schema(name, source.metadata)) for name in names if name not in known]


def read_table(metadata: Metadata, table: str, *, version: int = 1) -> pa.Table:
    """
    The rows of metadata table *table* as its rowset shows them.

    Args:
        metadata: of the database.
        table: its name.
        version: of the database, for ``Model.Version``.

    Raises:
        ModelError: a cell holds what its column cannot hold.
        FormatError: the bytes of the table are damaged.
    """
    type_ = OBJECT_TYPES.get(table)
    stored = metadata.column_names(table)
    rows = list(metadata.rows(table))
    if table in _WITH_SYSTEM_ROWS and "SystemFlags" in stored:
        rows = [row for row in rows if not (isinstance(row["SystemFlags"], int) and row["SystemFlags"] & SYSTEM_FLAG)]
    known = [prop.name for prop in type_.properties] if type_ else []
    fields, arrays = [], []
    for name in [*known, *(name for name in stored if name not in known)]:
        try:
            if type_ and name in type_:
                prop = type_[name]
                absent = version if not prop.is_stored else prop.default
                cells = [row[name] for row in rows] if name in stored else [absent] * len(rows)
                array = _typed(table, name, prop.type, cells, is_stored=name in stored)
                fields.append(arrow_field(name, prop.type))
            else:
                array = _guessed(table, name, [row[name] for row in rows])
                fields.append(_field_of(name, array))
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise ModelError(f"{table}.{name} holds a value of the wrong kind: {error}") from error
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _served_tables(metadata: Metadata) -> list[str]:
    return [name for name in metadata.table_names() if _TABLE_NAME.fullmatch(name) and name != "DBPROPERTIES"]


def _typed(table: str, name: str, xsd_type: str, cells: Sequence[Any], *, is_stored: bool) -> pa.Array:
    kind = arrow_field(name, xsd_type).type
    if xsd_type == "boolean":
        return _converted(cells, _flag, kind)
    if xsd_type == "dateTime" and is_stored:
        return _converted(cells, _ole_date if name in _OLE_DATES else _filetime, kind)
    if (table, name) in SECRET_COLUMNS:
        return _converted(cells, lambda cell: masked(table, name, _text(cell)) if cell else cell, kind)
    return _converted(cells, _text if xsd_type == "string" else _whole, kind)


def _guessed(table: str, name: str, cells: Sequence[Any]) -> pa.Array:
    if name in FLAGS or re.match(r"Is[A-Z]", name):
        return _typed(table, name, "boolean", cells, is_stored=True)
    if name.endswith("Time") or name in _OLE_DATES:
        return _typed(table, name, "dateTime", cells, is_stored=True)
    inferred = pa.array(cells)
    if not pa.types.is_null(inferred.type):
        return inferred
    return inferred.cast(pa.string() if name in TEXTS else pa.int64())


def _field_of(name: str, array: pa.Array) -> pa.Field:
    for xsd_type in ("string", "boolean", "long", "double", "dateTime", "base64Binary"):
        field = arrow_field(name, xsd_type)
        if field.type == array.type:
            return field
    raise ModelError(f"{name} holds values of type {array.type}, which no rowset has")


def _converted(cells: Sequence[Any], convert: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
    return pa.array([None if cell is None else convert(cell) for cell in cells], kind)


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise ValueError(f"{cell!r} is not a text")  # noqa: TRY004  # of a file, not of a caller
    return cell


def _whole(cell: Any) -> int:
    if not isinstance(cell, int):
        raise ValueError(f"{cell!r} is not a whole number")  # noqa: TRY004  # of a file, not of a caller
    return cell


def _flag(cell: Any) -> bool:
    if cell not in (0, 1):
        raise ValueError(f"{cell!r} is neither 0 nor 1")
    return bool(cell)


def _filetime(cell: Any) -> int:
    """Microseconds since 1970."""
    if not isinstance(cell, int) or not 0 <= cell < filetime.END:
        raise ValueError(f"{cell!r} is not a FILETIME")
    return filetime.unix_microseconds(cell)


def _ole_date(cell: Any) -> datetime.datetime:
    if not isinstance(cell, int | float) or not ole_date.DAYS_MIN <= cell < ole_date.DAYS_END:
        raise ValueError(f"{cell!r} is not an OLE date")
    return ole_date.moment(cell)


def _read(request: RowsetRequest, source: RowsetSource) -> pa.Table | tuple[()]:
    table = table_of(request.rowset.name, source.metadata)
    if table is None:
        return ()
    version = source.database.version
    if source.kept is None:
        return read_table(source.metadata, table, version=version)
    kept = source.kept.get((table, version))
    if kept is None:
        kept = source.kept[table, version] = read_table(source.metadata, table, version=version)
    return kept


def _read_schema(name: str, metadata: Metadata) -> pa.Schema:
    table = table_of(name, metadata)
    assert table is not None, f"{name} was made from a table"
    return read_table(metadata, table).schema


def _rowset(name: str, columns: pa.Schema, description: str = "a metadata table") -> Rowset:
    guid = _GUIDS.get(name[len(_PREFIX) :])
    compared = (
        Restriction(field.name, field.metadata[TYPE_KEY].decode(), Match.EQUAL, field.name)
        for field in columns
        if field.name.endswith("ID") or field.name in _NAMES
    )
    return Rowset(
        name,
        OLAP_GUID.format(guid) if isinstance(guid, int) else guid,
        description,
        columns,
        (Restriction("DatabaseName", "string", Match.OTHER), *compared),
        of_database(_read, named_by="DatabaseName", for_administrators=True),
    )


def _object_rowset(type_: ObjectType) -> Rowset:
    columns = pa.schema([arrow_field(prop.name, prop.type) for prop in type_.properties])
    return _rowset(type_.rowset, columns, type_.description or f"objects of type {type_.name}")


_COLLECTIONS: Final = {type_.rowset: type_.collection for type_ in OBJECT_TYPES.values()}

ROWSETS: Final = (
    *map(_object_rowset, OBJECT_TYPES.values()),
    *(
        _rowset(f"{_PREFIX}{name}", schema("ID:unsignedLong"))
        for name in _GUIDS
        if f"{_PREFIX}{name}" not in _COLLECTIONS
    ),
)
"""Of every object type, and of every other table that a client has a GUID for: without it, one empty column."""
