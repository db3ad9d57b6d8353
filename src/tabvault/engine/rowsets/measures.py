"""
``MDSCHEMA_*`` of measures: measures, KPIs, and the tables they are in as measure groups.

A measure group goes with the dimensions that its table is related to, over active relationships from the many side to
the one side, however long the way; and with itself.

An expression may name what is kept from the caller, so who does not see everything sees none.

Sources: see :mod:`~tabvault.engine.rowsets.cubes`; the names of the measures of a KPI from [MS-SSAS-T] 2.2.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.cubes import MEASURE_DBTYPES, cubes, unique_name
from tabvault.engine.rowsets.database import of_database
from tabvault.engine.rowsets.definition import OLAP_GUID, Match, Restriction, Rowset, restrictions, schema
from tabvault.engine.rowsets.language import CUBE_SOURCE, DBTYPE_VARIANT
from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetSource

_MEASURES: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME MEASURE_NAME MEASURE_UNIQUE_NAME MEASURE_CAPTION MEASURE_GUID:uuid"
    " MEASURE_AGGREGATOR:int DATA_TYPE:unsignedShort NUMERIC_PRECISION:unsignedShort NUMERIC_SCALE:short MEASURE_UNITS"
    " DESCRIPTION EXPRESSION MEASURE_IS_VISIBLE:boolean LEVELS_LIST MEASURE_NAME_SQL_COLUMN_NAME"
    " MEASURE_UNQUALIFIED_CAPTION MEASUREGROUP_NAME MEASURE_DISPLAY_FOLDER DEFAULT_FORMAT_STRING"
)
_KPIS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME MEASUREGROUP_NAME KPI_NAME KPI_CAPTION KPI_DESCRIPTION KPI_DISPLAY_FOLDER"
    " KPI_VALUE KPI_GOAL KPI_STATUS KPI_TREND KPI_STATUS_GRAPHIC KPI_TREND_GRAPHIC KPI_WEIGHT KPI_CURRENT_TIME_MEMBER"
    " KPI_PARENT_KPI_NAME SCOPE:int ANNOTATIONS"
)
_GROUPS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME MEASUREGROUP_NAME DESCRIPTION IS_WRITE_ENABLED:boolean MEASUREGROUP_CAPTION"
)
_GROUP_DIMENSIONS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME MEASUREGROUP_NAME MEASUREGROUP_CARDINALITY DIMENSION_UNIQUE_NAME"
    " DIMENSION_CARDINALITY DIMENSION_IS_VISIBLE:boolean DIMENSION_IS_FACT_DIMENSION:boolean DIMENSION_PATH"
    " DIMENSION_GRANULARITY"
)

_CALCULATED: Final = 127
"""MEASURE_AGGREGATOR of a formula that is no single aggregation."""

_GLOBAL: Final = 1


def _measures(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    facts = {record.id: record for record in Records(source.metadata, "Measure", ("DataType", "DisplayFolder"))}
    shows_expressions = not (source.hidden_table_ids or source.hidden_column_ids)
    for cube in cubes(source):
        for table in cube.tables:
            for measure in table.measures:
                record = facts[measure.id]
                yield {
                    "CATALOG_NAME": source.database.name,
                    "CUBE_NAME": cube.name,
                    "MEASURE_NAME": measure.name,
                    "MEASURE_UNIQUE_NAME": unique_name("Measures", measure.name),
                    "MEASURE_CAPTION": measure.name,
                    "MEASURE_AGGREGATOR": _CALCULATED,
                    "DATA_TYPE": MEASURE_DBTYPES.get(record.integer("DataType", 0), DBTYPE_VARIANT),
                    "DESCRIPTION": measure.description,
                    "EXPRESSION": measure.expression if shows_expressions else None,
                    "MEASURE_IS_VISIBLE": not measure.is_hidden and not table.table.is_hidden,
                    "MEASURE_UNQUALIFIED_CAPTION": measure.name,
                    "MEASUREGROUP_NAME": table.table.name,
                    "MEASURE_DISPLAY_FOLDER": record.text_or_none("DisplayFolder"),
                    "DEFAULT_FORMAT_STRING": measure.format_string,
                }


def _kpis(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    columns = ("MeasureID", "Description", "StatusGraphic", "TrendGraphic", *_KPI_EXPRESSIONS)
    kpis = {record.integer("MeasureID"): record for record in Records(source.metadata, "KPI", columns)}
    for cube in cubes(source):
        for table in cube.tables:
            for measure in table.measures:
                kpi = kpis.get(measure.id)
                if kpi is None:
                    continue
                parts = {
                    column: unique_name("Measures", f"_{measure.name} {part}") if kpi.text_or_none(expression) else None
                    for expression, (column, part) in _KPI_EXPRESSIONS.items()
                }
                yield {
                    "CATALOG_NAME": source.database.name,
                    "CUBE_NAME": cube.name,
                    "MEASUREGROUP_NAME": table.table.name,
                    "KPI_NAME": measure.name,
                    "KPI_CAPTION": measure.name,
                    "KPI_DESCRIPTION": kpi.text_or_none("Description"),
                    "KPI_VALUE": unique_name("Measures", measure.name),
                    **parts,
                    "KPI_STATUS_GRAPHIC": kpi.text_or_none("StatusGraphic"),
                    "KPI_TREND_GRAPHIC": kpi.text_or_none("TrendGraphic"),
                    "SCOPE": _GLOBAL,
                }


_KPI_EXPRESSIONS: Final = {
    "TargetExpression": ("KPI_GOAL", "Goal"),
    "StatusExpression": ("KPI_STATUS", "Status"),
    "TrendExpression": ("KPI_TREND", "Trend"),
}
"""Column, and the word in its measure's name, of each expression of a KPI."""


def _groups(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    for cube in cubes(source):
        for table in cube.tables:
            yield {
                "CATALOG_NAME": source.database.name,
                "CUBE_NAME": cube.name,
                "MEASUREGROUP_NAME": table.table.name,
                "DESCRIPTION": table.table.description,
                "IS_WRITE_ENABLED": False,
                "MEASUREGROUP_CAPTION": table.table.name,
            }


def _group_dimensions(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    one_sides: dict[int, set[int]] = {}
    for relationship in source.model.relationships:
        ends = {relationship.from_column_id, relationship.to_column_id}
        if relationship.is_active and not ends & source.hidden_column_ids:
            one_sides.setdefault(relationship.from_table_id, set()).add(relationship.to_table_id)
    for cube in cubes(source):
        for group in cube.tables:
            reached = _reached(group.table.id, one_sides)
            for dimension in cube.tables:
                if dimension.table.id not in reached or not dimension.is_dimension:
                    continue
                yield {
                    "CATALOG_NAME": source.database.name,
                    "CUBE_NAME": cube.name,
                    "MEASUREGROUP_NAME": group.table.name,
                    "MEASUREGROUP_CARDINALITY": "ONE",
                    "DIMENSION_UNIQUE_NAME": dimension.unique_name,
                    "DIMENSION_CARDINALITY": "ONE" if dimension is group else "MANY",
                    "DIMENSION_IS_VISIBLE": dimension.is_visible,
                    "DIMENSION_IS_FACT_DIMENSION": dimension is group,
                }


def _reached(table_id: int, one_sides: Mapping[int, set[int]]) -> set[int]:
    reached, ahead = {table_id}, [table_id]
    while ahead:
        new = one_sides.get(ahead.pop(), set()) - reached
        reached |= new
        ahead += new
    return reached


_CUBE: Final = "CATALOG_NAME SCHEMA_NAME CUBE_NAME "

ROWSETS: Final = (
    Rowset(
        "MDSCHEMA_MEASURES",
        "C8B522DC-5CF3-11CE-ADE5-00AA0044773D",
        "the measures",
        _MEASURES,
        restrictions(
            _CUBE + "MEASURE_NAME MEASURE_UNIQUE_NAME MEASUREGROUP_NAME",
            on=_MEASURES,
            others=[
                CUBE_SOURCE,
                Restriction("MEASURE_VISIBILITY", "unsignedShort", Match.VISIBLE, "MEASURE_IS_VISIBLE"),
            ],
        ),
        of_database(_measures),
    ),
    Rowset(
        "MDSCHEMA_KPIS",
        "2AE44109-ED3D-4842-B16F-B694D1CB0E3F",
        "the key performance indicators",
        _KPIS,
        restrictions(_CUBE + "KPI_NAME", on=_KPIS, others=[CUBE_SOURCE]),
        of_database(_kpis),
    ),
    Rowset(
        "MDSCHEMA_MEASUREGROUPS",
        "E1625EBF-FA96-42FD-BEA6-DB90ADAFD96B",
        "the tables as measure groups",
        _GROUPS,
        restrictions(_CUBE + "MEASUREGROUP_NAME", on=_GROUPS),
        of_database(_groups),
    ),
    Rowset(
        "MDSCHEMA_MEASUREGROUP_DIMENSIONS",
        OLAP_GUID.format(0x33),
        "the tables that a table is related to",
        _GROUP_DIMENSIONS,
        restrictions(
            _CUBE + "MEASUREGROUP_NAME DIMENSION_UNIQUE_NAME",
            on=_GROUP_DIMENSIONS,
            others=[Restriction("DIMENSION_VISIBILITY", "unsignedShort", Match.VISIBLE, "DIMENSION_IS_VISIBLE")],
        ),
        of_database(_group_dimensions),
    ),
)
