"""
``MDSCHEMA_*`` of cubes, dimensions, hierarchies and levels, and which measure group goes with which dimension.

Counts of members come from the statistics that the engine stored with a column: its distinct values, and one for the
member "All". A level of a user hierarchy has those of its column, though a value may stand under several parents: OLE
DB allows an approximation, and ADOMD.NET does not take NULL. What has no stored values counts 0. Hierarchies are not
calculated here, so members (MDSCHEMA_MEMBERS) are not listed.

Sources: see :mod:`~tabvault.engine.rowsets.cubes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.cubes import MEASURE_DBTYPES, MEASURES, cubes, unique_name
from tabvault.engine.rowsets.database import of_database
from tabvault.engine.rowsets.definition import Match, Restriction, Rowset, restrictions, schema
from tabvault.engine.rowsets.language import CUBE_SOURCE, DBTYPE_VARIANT
from tabvault.errors import ModelError
from tabvault.model.objects import Column
from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.cubes import Cube, CubeTable
    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetSource
    from tabvault.model.objects import Hierarchy, Level

_CUBES: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME CUBE_TYPE CUBE_GUID:uuid CREATED_ON:dateTime LAST_SCHEMA_UPDATE:dateTime"
    " SCHEMA_UPDATED_BY LAST_DATA_UPDATE:dateTime DATA_UPDATED_BY DESCRIPTION IS_DRILLTHROUGH_ENABLED:boolean"
    " IS_LINKABLE:boolean IS_WRITE_ENABLED:boolean IS_SQL_ENABLED:boolean CUBE_CAPTION BASE_CUBE_NAME ANNOTATIONS"
    " CUBE_SOURCE:unsignedShort PREFERRED_QUERY_PATTERNS:unsignedShort"
)
_DIMENSIONS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME DIMENSION_NAME DIMENSION_UNIQUE_NAME DIMENSION_GUID:uuid DIMENSION_CAPTION"
    " DIMENSION_ORDINAL:unsignedInt DIMENSION_TYPE:short DIMENSION_CARDINALITY:unsignedInt DEFAULT_HIERARCHY"
    " DESCRIPTION IS_VIRTUAL:boolean IS_READWRITE:boolean DIMENSION_UNIQUE_SETTINGS:int DIMENSION_MASTER_UNIQUE_NAME"
    " DIMENSION_IS_VISIBLE:boolean"
)
_HIERARCHIES: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME DIMENSION_UNIQUE_NAME HIERARCHY_NAME HIERARCHY_UNIQUE_NAME HIERARCHY_GUID:uuid"
    " HIERARCHY_CAPTION DIMENSION_TYPE:short HIERARCHY_CARDINALITY:unsignedInt DEFAULT_MEMBER ALL_MEMBER DESCRIPTION"
    " STRUCTURE:short IS_VIRTUAL:boolean IS_READWRITE:boolean DIMENSION_UNIQUE_SETTINGS:int"
    " DIMENSION_MASTER_UNIQUE_NAME DIMENSION_IS_VISIBLE:boolean HIERARCHY_ORDINAL:unsignedInt"
    " DIMENSION_IS_SHARED:boolean HIERARCHY_IS_VISIBLE:boolean HIERARCHY_ORIGIN:unsignedShort HIERARCHY_DISPLAY_FOLDER"
    " INSTANCE_SELECTION:unsignedShort GROUPING_BEHAVIOR:short STRUCTURE_TYPE"
)
_LEVELS: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME DIMENSION_UNIQUE_NAME HIERARCHY_UNIQUE_NAME LEVEL_NAME LEVEL_UNIQUE_NAME"
    " LEVEL_GUID:uuid LEVEL_CAPTION LEVEL_NUMBER:unsignedInt LEVEL_CARDINALITY:unsignedInt LEVEL_TYPE:int DESCRIPTION"
    " CUSTOM_ROLLUP_SETTINGS:int LEVEL_UNIQUE_SETTINGS:int LEVEL_IS_VISIBLE:boolean LEVEL_ORDERING_PROPERTY"
    " LEVEL_DBTYPE:int LEVEL_MASTER_UNIQUE_NAME LEVEL_NAME_SQL_COLUMN_NAME LEVEL_KEY_SQL_COLUMN_NAME"
    " LEVEL_UNIQUE_NAME_SQL_COLUMN_NAME LEVEL_ATTRIBUTE_HIERARCHY_NAME LEVEL_KEY_CARDINALITY:unsignedShort"
    " LEVEL_ORIGIN:unsignedShort"
)
_PROPERTIES: Final = schema(
    "CATALOG_NAME SCHEMA_NAME CUBE_NAME DIMENSION_UNIQUE_NAME HIERARCHY_UNIQUE_NAME LEVEL_UNIQUE_NAME"
    " MEMBER_UNIQUE_NAME PROPERTY_TYPE:short PROPERTY_NAME PROPERTY_CAPTION DATA_TYPE:unsignedShort"
    " CHARACTER_MAXIMUM_LENGTH:unsignedInt CHARACTER_OCTET_LENGTH:unsignedInt NUMERIC_PRECISION:unsignedShort"
    " NUMERIC_SCALE:short DESCRIPTION PROPERTY_CONTENT_TYPE:short SQL_COLUMN_NAME LANGUAGE:unsignedShort"
    " PROPERTY_ORIGIN:unsignedShort PROPERTY_ATTRIBUTE_HIERARCHY_NAME PROPERTY_CARDINALITY MIME_TYPE"
    " PROPERTY_IS_VISIBLE:boolean"
)

_DIMENSION_TIME: Final = 1
_DIMENSION_MEASURE: Final = 2
_DIMENSION_OTHER: Final = 3
_ORIGIN_USER: Final = 1
_ORIGIN_ATTRIBUTE: Final = 2
_LEVEL_REGULAR: Final = 0
_LEVEL_ALL: Final = 1
_MEMBER_KEY_UNIQUE: Final = 1
_DRILLDOWN_MEMBER: Final = 1
"""PREFERRED_QUERY_PATTERNS: clients nest hierarchies by DrilldownMember, not by crossjoins."""

_CARDINALITY_MAX: Final = (1 << 32) - 1

_ALL_LEVEL: Final = "(All)"
_ALL_MEMBER: Final = "All"


def _cubes(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    modified = source.database.modified.replace(tzinfo=None) if source.database.modified else None
    for cube in cubes(source):
        yield {
            **_place(source, cube),
            "CUBE_TYPE": "CUBE",
            "LAST_SCHEMA_UPDATE": modified,
            "LAST_DATA_UPDATE": modified,
            "DESCRIPTION": cube.description,
            "IS_DRILLTHROUGH_ENABLED": True,
            "IS_LINKABLE": False,
            "IS_WRITE_ENABLED": False,
            "IS_SQL_ENABLED": False,
            "CUBE_CAPTION": cube.name,
            "BASE_CUBE_NAME": cube.base_name,
            "CUBE_SOURCE": 1,
            "PREFERRED_QUERY_PATTERNS": _DRILLDOWN_MEMBER,
        }


def _dimensions(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    times = _time_tables(source)
    for cube in cubes(source):
        common = {
            **_place(source, cube),
            "IS_VIRTUAL": False,
            "IS_READWRITE": False,
            "DIMENSION_UNIQUE_SETTINGS": _MEMBER_KEY_UNIQUE,
        }
        measure_count = sum(len(table.measures) for table in cube.tables)
        yield {
            **common,
            "DIMENSION_NAME": "Measures",
            "DIMENSION_UNIQUE_NAME": MEASURES,
            "DIMENSION_CAPTION": "Measures",
            "DIMENSION_ORDINAL": 0,
            "DIMENSION_TYPE": _DIMENSION_MEASURE,
            "DIMENSION_CARDINALITY": measure_count,
            "DEFAULT_HIERARCHY": MEASURES,
            "DIMENSION_IS_VISIBLE": True,
        }
        for ordinal, table in enumerate((table for table in cube.tables if table.is_dimension), 1):
            first = (table.columns or table.hierarchies)[0].name
            yield {
                **common,
                "DIMENSION_NAME": table.table.name,
                "DIMENSION_UNIQUE_NAME": table.unique_name,
                "DIMENSION_CAPTION": table.table.name,
                "DIMENSION_ORDINAL": ordinal,
                "DIMENSION_TYPE": _DIMENSION_TIME if table.table.id in times else _DIMENSION_OTHER,
                "DIMENSION_CARDINALITY": _bounded(table.table.row_count),
                "DEFAULT_HIERARCHY": unique_name(table.table.name, first),
                "DESCRIPTION": table.table.description,
                "DIMENSION_IS_VISIBLE": table.is_visible,
            }


def _hierarchies(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    times = _time_tables(source)
    folders = {
        record.id: record.text_or_none("DisplayFolder")
        for table in ("Column", "Hierarchy")
        for record in Records(source.metadata, table, ("DisplayFolder",))
    }
    for cube in cubes(source):
        yield _measures_hierarchy(source, cube)
        for ordinal, (table, member) in enumerate(_members(cube), 1):
            name = unique_name(table.table.name, member.name)
            yield {
                **_place(source, cube),
                "DIMENSION_UNIQUE_NAME": table.unique_name,
                "HIERARCHY_NAME": member.name,
                "HIERARCHY_UNIQUE_NAME": name,
                "HIERARCHY_CAPTION": member.name,
                "DIMENSION_TYPE": _DIMENSION_TIME if table.table.id in times else _DIMENSION_OTHER,
                "HIERARCHY_CARDINALITY": _member_count(table, member),
                "DEFAULT_MEMBER": f"{name}.[{_ALL_MEMBER}]",
                "ALL_MEMBER": f"{name}.[{_ALL_MEMBER}]",
                "DESCRIPTION": member.description if isinstance(member, Column) else None,
                "STRUCTURE": 0,
                "IS_VIRTUAL": False,
                "IS_READWRITE": False,
                "DIMENSION_UNIQUE_SETTINGS": _MEMBER_KEY_UNIQUE,
                "DIMENSION_IS_VISIBLE": table.is_visible,
                "HIERARCHY_ORDINAL": ordinal,
                "DIMENSION_IS_SHARED": True,
                "HIERARCHY_IS_VISIBLE": table.shows(member),
                "HIERARCHY_ORIGIN": _ORIGIN_ATTRIBUTE if isinstance(member, Column) else _ORIGIN_USER,
                "HIERARCHY_DISPLAY_FOLDER": folders.get(member.id),
                "INSTANCE_SELECTION": 0,
                "GROUPING_BEHAVIOR": 1,
                "STRUCTURE_TYPE": "Natural" if isinstance(member, Column) else "Unknown",
            }


def _members(cube: Cube) -> Iterator[tuple[CubeTable, Column | Hierarchy]]:
    for table in cube.tables:
        yield from ((table, column) for column in table.columns)
        yield from ((table, hierarchy) for hierarchy in table.hierarchies)


def _measures_hierarchy(source: RowsetSource, cube: Cube) -> Mapping[str, object]:
    return {
        **_place(source, cube),
        "DIMENSION_UNIQUE_NAME": MEASURES,
        "HIERARCHY_NAME": "Measures",
        "HIERARCHY_UNIQUE_NAME": MEASURES,
        "HIERARCHY_CAPTION": "Measures",
        "DIMENSION_TYPE": _DIMENSION_MEASURE,
        "HIERARCHY_CARDINALITY": sum(len(table.measures) for table in cube.tables),
        "STRUCTURE": 0,
        "IS_VIRTUAL": False,
        "IS_READWRITE": False,
        "DIMENSION_UNIQUE_SETTINGS": _MEMBER_KEY_UNIQUE,
        "DIMENSION_IS_VISIBLE": True,
        "HIERARCHY_ORDINAL": 0,
        "DIMENSION_IS_SHARED": True,
        "HIERARCHY_IS_VISIBLE": True,
        "HIERARCHY_ORIGIN": _ORIGIN_USER,
        "INSTANCE_SELECTION": 0,
        "GROUPING_BEHAVIOR": 1,
        "STRUCTURE_TYPE": "Unknown",
    }


def _levels(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    for cube in cubes(source):
        place = _place(source, cube)
        yield {
            **place,
            "DIMENSION_UNIQUE_NAME": MEASURES,
            "HIERARCHY_UNIQUE_NAME": MEASURES,
            **_level(MEASURES, "MeasuresLevel", 0, _ORIGIN_USER),
            "LEVEL_IS_VISIBLE": True,
            "LEVEL_CARDINALITY": sum(len(table.measures) for table in cube.tables),
        }
        for table in cube.tables:
            for column in table.columns:
                yield from ({**place, **_of(table, column), **level} for level in _attribute_levels(table, column))
            for hierarchy in table.hierarchies:
                name = unique_name(table.table.name, hierarchy.name)
                yield {**place, **_of(table, hierarchy), **_all_level(name, _ORIGIN_USER)}
                for number, (level, column) in enumerate(_level_columns(table, hierarchy), 1):
                    yield {
                        **place,
                        **_of(table, hierarchy),
                        **_level(name, level.name, number, _ORIGIN_USER),
                        "LEVEL_CARDINALITY": _distinct_count(column),
                        "LEVEL_DBTYPE": MEASURE_DBTYPES.get(column.data_type, DBTYPE_VARIANT),
                        "LEVEL_ATTRIBUTE_HIERARCHY_NAME": column.name,
                    }


def _attribute_levels(table: CubeTable, column: Column) -> Iterator[Mapping[str, object]]:
    name = unique_name(table.table.name, column.name)
    yield _all_level(name, _ORIGIN_ATTRIBUTE)
    yield {
        **_level(name, column.name, 1, _ORIGIN_ATTRIBUTE),
        "LEVEL_CARDINALITY": _distinct_count(column),
        "LEVEL_DBTYPE": MEASURE_DBTYPES.get(column.data_type, DBTYPE_VARIANT),
        "LEVEL_ATTRIBUTE_HIERARCHY_NAME": column.name,
    }


def _all_level(hierarchy: str, origin: int) -> Mapping[str, object]:
    return {**_level(hierarchy, _ALL_LEVEL, 0, origin), "LEVEL_TYPE": _LEVEL_ALL, "LEVEL_CARDINALITY": 1}


def _level(hierarchy: str, name: str, number: int, origin: int) -> dict[str, object]:
    return {
        "LEVEL_NAME": name,
        "LEVEL_UNIQUE_NAME": f"{hierarchy}.{unique_name(name)}",
        "LEVEL_CAPTION": name,
        "LEVEL_NUMBER": number,
        "LEVEL_TYPE": _LEVEL_REGULAR,
        "CUSTOM_ROLLUP_SETTINGS": 0,
        "LEVEL_UNIQUE_SETTINGS": 0,
        "LEVEL_KEY_CARDINALITY": 1,
        "LEVEL_ORIGIN": origin,
    }


def _of(table: CubeTable, member: Column | Hierarchy) -> dict[str, object]:
    """What all levels of a hierarchy have: a client takes a level only with its hierarchy, visible or not."""
    return {
        "DIMENSION_UNIQUE_NAME": table.unique_name,
        "HIERARCHY_UNIQUE_NAME": unique_name(table.table.name, member.name),
        "LEVEL_IS_VISIBLE": table.shows(member),
    }


def _place(source: RowsetSource, cube: Cube) -> dict[str, object]:
    return {"CATALOG_NAME": source.database.name, "CUBE_NAME": cube.name}


def _member_count(table: CubeTable, member: Column | Hierarchy) -> int:
    """Those of all levels, and the member "All"."""
    if isinstance(member, Column):
        return _bounded(_distinct_count(member) + 1)
    return _bounded(sum(_distinct_count(column) for _, column in _level_columns(table, member)) + 1)


def _level_columns(table: CubeTable, hierarchy: Hierarchy) -> Iterator[tuple[Level, Column]]:
    column_of = {column.id: column for column in table.table.columns}
    for level in hierarchy.levels:
        if level.column_id not in column_of:
            raise ModelError(
                f"Hierarchy {hierarchy.id}: level {level.name!r} is column {level.column_id} of another table"
            )
        yield level, column_of[level.column_id]


def _distinct_count(column: Column) -> int:
    return _bounded(column.storage.statistics.distinct_states) if column.storage else 0


def _bounded(count: int) -> int:
    """As the columns hold it: more than 32 bits are told as their highest number."""
    return max(0, min(count, _CARDINALITY_MAX))


def _time_tables(source: RowsetSource) -> set[int]:
    records = Records(source.metadata, "Table", ("DataCategory",))
    return {record.id for record in records if record.text_or_none("DataCategory") == "Time"}


def _none(_request: RowsetRequest, _source: RowsetSource) -> Iterator[Mapping[str, object]]:
    return iter(())


_CUBE: Final = "CATALOG_NAME SCHEMA_NAME CUBE_NAME "

ROWSETS: Final = (
    Rowset(
        "MDSCHEMA_CUBES",
        "C8B522D8-5CF3-11CE-ADE5-00AA0044773D",
        "the model and its perspectives",
        _CUBES,
        (
            *restrictions(_CUBE, on=_CUBES),
            Restriction("CUBE_SOURCE", "unsignedShort", Match.BITS, "CUBE_SOURCE"),
            *restrictions("BASE_CUBE_NAME", on=_CUBES),
        ),
        of_database(_cubes),
    ),
    Rowset(
        "MDSCHEMA_DIMENSIONS",
        "C8B522D9-5CF3-11CE-ADE5-00AA0044773D",
        "the tables of a cube that have columns",
        _DIMENSIONS,
        restrictions(
            _CUBE + "DIMENSION_NAME DIMENSION_UNIQUE_NAME",
            on=_DIMENSIONS,
            others=[
                CUBE_SOURCE,
                Restriction("DIMENSION_VISIBILITY", "unsignedShort", Match.VISIBLE, "DIMENSION_IS_VISIBLE"),
            ],
        ),
        of_database(_dimensions),
    ),
    Rowset(
        "MDSCHEMA_HIERARCHIES",
        "C8B522DA-5CF3-11CE-ADE5-00AA0044773D",
        "the columns and hierarchies of a cube",
        _HIERARCHIES,
        restrictions(
            _CUBE + "DIMENSION_UNIQUE_NAME HIERARCHY_NAME HIERARCHY_UNIQUE_NAME",
            on=_HIERARCHIES,
            others=[
                Restriction("HIERARCHY_ORIGIN", "unsignedShort", Match.BITS, "HIERARCHY_ORIGIN"),
                CUBE_SOURCE,
                Restriction("HIERARCHY_VISIBILITY", "unsignedShort", Match.VISIBLE, "HIERARCHY_IS_VISIBLE"),
            ],
        ),
        of_database(_hierarchies),
    ),
    Rowset(
        "MDSCHEMA_LEVELS",
        "C8B522DB-5CF3-11CE-ADE5-00AA0044773D",
        "the levels of columns and hierarchies",
        _LEVELS,
        restrictions(
            _CUBE + "DIMENSION_UNIQUE_NAME HIERARCHY_UNIQUE_NAME LEVEL_NAME LEVEL_UNIQUE_NAME",
            on=_LEVELS,
            others=[
                Restriction("LEVEL_ORIGIN", "unsignedShort", Match.BITS, "LEVEL_ORIGIN"),
                CUBE_SOURCE,
                Restriction("LEVEL_VISIBILITY", "unsignedShort", Match.VISIBLE, "LEVEL_IS_VISIBLE"),
            ],
        ),
        of_database(_levels),
    ),
    Rowset(
        "MDSCHEMA_PROPERTIES",
        "C8B522DD-5CF3-11CE-ADE5-00AA0044773D",
        "the properties of members and cells: no members are listed, no cells calculated",
        _PROPERTIES,
        restrictions(
            _CUBE + "DIMENSION_UNIQUE_NAME HIERARCHY_UNIQUE_NAME LEVEL_UNIQUE_NAME MEMBER_UNIQUE_NAME",
            on=_PROPERTIES,
            others=[
                Restriction("PROPERTY_TYPE", "short", Match.BITS, "PROPERTY_TYPE"),
                *restrictions("PROPERTY_NAME PROPERTY_CONTENT_TYPE", on=_PROPERTIES),
                Restriction("PROPERTY_ORIGIN", "unsignedShort", Match.BITS, "PROPERTY_ORIGIN"),
                CUBE_SOURCE,
                Restriction("PROPERTY_VISIBILITY", "unsignedShort", Match.VISIBLE, "PROPERTY_IS_VISIBLE"),
            ],
        ),
        of_database(_none),
    ),
)
