"""
``TMSCHEMA_*``: the metadata tables themselves, each as a rowset.

======================  =========================================================================================
cells of                become
======================  =========================================================================================
``Is…`` and like flags  boolean (stored as 0 or 1)
``…Time``               timestamp, UTC (stored as FILETIME: 100 ns since 1601; the tenth of a microsecond is dropped)
RangeStart, RangeEnd    timestamp (stored as OLE date: days since 30 December 1899)
secrets                 ``********``, see :data:`SECRETS`
other columns           the type of their values: int64, double, string, binary
======================  =========================================================================================

A rowset's name is the plural of its table's name, in capitals; the few that are built otherwise are in
:data:`IRREGULAR_NAMES`. So tables of schema versions that we do not know are served too. Of tables, columns and
partitions the rows of system tables (H$, R$, U$) are left out, as a server does; the ``…_STORAGES`` rowsets show
them.

Sources: [MS-SSAS-T] 3.1.5.1.1 (names, columns), the list of rowsets in the documentation of trace events; ids are
``xsd:unsignedLong`` there and int64 here, which SQLite keeps them in.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tabvault.errors import ModelError
from tabvault.model.load import SYSTEM_FLAG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tabvault.model.metadata import Metadata

IRREGULAR_NAMES: Final = {
    "AlternateOf": "TMSCHEMA_ALTERNATE_OF_DEFINITIONS",
    "AnalyticsAIMetadata": "TMSCHEMA_ANALYTICS_AIMETADATA",
    "BindingInfo": "TMSCHEMA_BINDING_INFO",
    "KPI": "TMSCHEMA_KPIS",
    "LinguisticMetadata": "TMSCHEMA_LINGUISTIC_METADATA",
    "Model": "TMSCHEMA_MODEL",
    "RelatedColumnDetails": "TMSCHEMA_RELATED_COLUMN_DETAILS",
}
"""By table; ``TMSCHEMA_BINDING_INFO`` is a guess, since no list of a server's rowsets that we know has it."""

SECRETS: Final = frozenset(
    {
        ("DataSource", "Account"),
        ("DataSource", "ConnectionString"),
        ("DataSource", "Credential"),
        ("DataSource", "Password"),
    }
)
"""Cells that may hold a secret. They are masked whole: a connection string hides a password in many spellings."""

MASK: Final = "********"

FLAGS: Final = frozenset(
    {
        "Altered",
        "DiscourageCompositeModels",
        "DiscourageImplicitMeasures",
        "DiscourageReportMeasures",
        "ExcludeFromAutomaticAggregations",
        "ExcludeFromModelRefresh",
        "FastCombine",
        "ForceUniqueNames",
        "HasStatistics",
        "IncludeAll",
        "KeepUniqueRows",
        "RelyOnReferentialIntegrity",
        "RetainDataTillForceCalculate",
        "ShowAsVariationsOnly",
        "Statistics_HasNulls",
        "SystemManaged",
    }
)
"""Flags that do not begin with ``Is``."""

TEXTS: Final = frozenset(
    {
        "Account",
        "ArtifactObjectId",
        "ArtifactSecurityVersion",
        "AutomaticAggregationOptions",
        "Collation",
        "ConnectionDetails",
        "ConnectionId",
        "ConnectionString",
        "Content",
        "ContextExpression",
        "CreatedVersion",
        "Credential",
        "CubeName",
        "Culture",
        "CurrentVersion",
        "DataAccessOptions",
        "DataCategory",
        "DatamartObjectID",
        "DataSourceReference",
        "DefaultDetailRowsExpression",
        "DeletedVersion",
        "DeletionVectorFileETag",
        "DeletionVectorFileLocation",
        "DeltaColumnMappingPhysicalName",
        "DeltaLogETag",
        "Description",
        "DetailRowsExpression",
        "DetailRowsExpressionErrorMessage",
        "DisplayFolder",
        "ErrorMessage",
        "ETag",
        "ExplicitName",
        "Expression",
        "FileName",
        "FilterExpression",
        "Folder",
        "FormatString",
        "FramedSchemaName",
        "FramedSourceColumn",
        "IdentityProvider",
        "InferredName",
        "LevelDefinition",
        "LineageTag",
        "Location",
        "MAttributes",
        "MaxValue",
        "MeasureAnalysisDefinition",
        "MemberID",
        "MemberName",
        "MinValue",
        "Name",
        "Options",
        "OrderByColumn",
        "Password",
        "Path",
        "PollingExpression",
        "Provider",
        "QueryDefinition",
        "Reference",
        "RefreshBookmark",
        "RemoteParameterName",
        "RootLocation",
        "SchemaName",
        "SourceColumn",
        "SourceExpression",
        "SourceLineageTag",
        "SourceProviderType",
        "SourceQueryCulture",
        "StatusDescription",
        "StatusExpression",
        "StatusGraphic",
        "StorageLocation",
        "TableName",
        "TableObjectID",
        "TargetDescription",
        "TargetExpression",
        "TargetFormatString",
        "TrendDescription",
        "TrendExpression",
        "TrendGraphic",
        "Value",
    }
)
"""Columns that are text also where no row has a value, by every schema version seen."""

_OLE_DATES: Final = frozenset({"RangeStart", "RangeEnd"})
_WITH_SYSTEM_ROWS: Final = frozenset({"Table", "Column", "Partition"})
_TABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_UNIX_EPOCH_FILETIME: Final = 116_444_736_000_000_000
_FILETIME_MAX: Final = 2_650_467_744_000_000_000  # 1 January 10000
_OLE_EPOCH: Final = datetime.datetime(1899, 12, 30)  # noqa: DTZ001  # a rowset's times carry no zone
_OLE_DAYS_MIN: Final = -657_434  # 1 January 100
_OLE_DAYS_MAX: Final = 2_958_466  # 1 January 10000
_TIMESTAMP: Final = pa.timestamp("us")


def rowset_names(metadata: Metadata) -> dict[str, str]:
    """The metadata table behind each ``TMSCHEMA_*`` rowset of this database, by the rowset's name."""
    tables = [name for name in metadata.table_names() if _TABLE_NAME.fullmatch(name) and name != "DBPROPERTIES"]
    return {rowset_name(table): table for table in tables}


def rowset_name(table: str) -> str:
    """``AttributeHierarchyStorage`` -> ``TMSCHEMA_ATTRIBUTE_HIERARCHY_STORAGES``."""
    if table in IRREGULAR_NAMES:
        return IRREGULAR_NAMES[table]
    name = "_".join(_WORD.findall(table[0].upper() + table[1:])).upper()
    return f"TMSCHEMA_{name[:-1]}IES" if name.endswith("Y") else f"TMSCHEMA_{name}S"


def read_table(metadata: Metadata, table: str) -> pa.Table:
    """
    The rows of metadata table *table* as its rowset shows them.

    Raises:
        ModelError: a cell holds what its column cannot hold.
        FormatError: the bytes of the table are damaged.
    """
    names = metadata.column_names(table)
    rows = list(metadata.rows(table))
    if table in _WITH_SYSTEM_ROWS and "SystemFlags" in names:
        rows = [row for row in rows if not (isinstance(row["SystemFlags"], int) and row["SystemFlags"] & SYSTEM_FLAG)]
    columns = []
    for name in names:
        try:
            columns.append(_column(table, name, [row[name] for row in rows]))
        except (ValueError, pa.ArrowException) as error:
            raise ModelError(f"{table}.{name} holds a value of the wrong kind: {error}") from error
    return pa.table(columns, names=list(names))


def _column(table: str, name: str, cells: Sequence[Any]) -> pa.Array:
    if (table, name) in SECRETS:
        return pa.array([None if cell in (None, "") else MASK for cell in cells], pa.string())
    if name in FLAGS or re.match(r"Is[A-Z]", name):
        return _converted(cells, _flag, pa.bool_())
    if name.endswith("Time"):
        return _converted(cells, _filetime, _TIMESTAMP)
    if name in _OLE_DATES:
        return _converted(cells, _ole_date, _TIMESTAMP)
    inferred = pa.array(cells)
    if not pa.types.is_null(inferred.type):
        return inferred
    return inferred.cast(pa.string() if name in TEXTS else pa.int64())


def _converted(cells: Sequence[Any], convert: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
    return pa.array([None if cell is None else convert(cell) for cell in cells], kind)


def _flag(cell: Any) -> bool:
    if cell not in (0, 1):
        raise ValueError(f"{cell!r} is neither 0 nor 1")
    return bool(cell)


def _filetime(cell: Any) -> int:
    """Microseconds since 1970."""
    if not isinstance(cell, int) or not 0 <= cell < _FILETIME_MAX:
        raise ValueError(f"{cell!r} is not a FILETIME")
    return (cell - _UNIX_EPOCH_FILETIME) // 10


def _ole_date(cell: Any) -> datetime.datetime:
    """Whole days and, in the same direction for days before the epoch too, the fraction of the day's time."""
    if not isinstance(cell, int | float) or not _OLE_DAYS_MIN <= cell < _OLE_DAYS_MAX:
        raise ValueError(f"{cell!r} is not an OLE date")
    days = int(cell)
    return _OLE_EPOCH + datetime.timedelta(days=days, microseconds=round(abs(cell - days) * 86_400_000_000))
