"""
The cube of an XML model and what goes with it: everything that is not about one table's columns.

=====================  ================================================================================================
object                 what it is in a tabular model
=====================  ================================================================================================
Cube                   the model as clients see it: its Dimensions refer to those of the database and say which tables
                       are hidden
MeasureGroup           one per table; a ReferenceMeasureGroupDimension in it names a relationship, which so is active
Partition              of a measure group: a query over a data source
DataSource             connection string
DataSourceView         column names of the sources by their encoded names in bindings
MdxScript              measures, see :mod:`tabvault.model.xml_models.script`; CalculationProperties say how they look
Perspective            tables, columns, hierarchies and measures of it
=====================  ================================================================================================

Source: [MS-SSAS] 2.2.4, [MS-SSAS-T] 2.2.2; the genuine workbooks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabvault.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.model.xml_models.ddl import Definition


@dataclass(frozen=True, slots=True)
class CubeDimension:
    """What the cube says of a table: *id* is its own id, *dimension_id* the table's."""

    id: str
    dimension_id: str
    is_visible: bool


@dataclass(frozen=True, slots=True)
class Cube:
    """The model as clients see it."""

    dimensions: tuple[CubeDimension, ...]
    action_count: int
    translation_count: int


@dataclass(frozen=True, slots=True)
class MeasureGroup:
    """
    What belongs to a table's facts.

    *cube_dimension_id* is that of the table itself. *active* and *active_ends* are the active relationships: by their
    ids; by cube dimension and attribute of the start, cube dimension of the end.
    """

    id: str
    cube_dimension_id: str
    active: frozenset[str]
    active_ends: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition. *query* is None where it has no source (rows of a worksheet)."""

    measure_group_id: str
    id: str
    name: str
    description: str
    data_source_id: str
    query: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data source."""

    id: str
    name: str
    description: str
    provider: str
    connection_string: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CalculationProperty:
    """How a measure looks. *reference* is its name in brackets; *format_string* an MDX text in single quotes."""

    reference: str
    description: str
    display_folder: str
    format_string: str
    is_visible: bool


@dataclass(frozen=True, slots=True)
class Perspective:
    """
    A perspective.

    *dimensions*: by the id of the cube dimension, the ids of attributes and of hierarchies. *calculations* are
    references to measures.
    """

    name: str
    description: str
    dimensions: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    calculations: tuple[str, ...]


def cube(definition: Definition) -> Cube:
    """
    Read a cube.

    Raises:
        FormatError: something that it needs is missing.
    """
    return Cube(
        dimensions=tuple(
            CubeDimension(one.needed("ID"), one.needed("DimensionID"), one.flag("Visible", default=True))
            for one in definition.all("Dimensions", "Dimension")
        ),
        action_count=len(definition.all("Actions", "Action")),
        translation_count=len(definition.all("Translations", "Translation")),
    )


def measure_group(definition: Definition) -> MeasureGroup:
    """
    Read a measure group.

    Raises:
        FormatError: something that it needs is missing.
    """
    dimensions = definition.all("Dimensions", "Dimension")
    own = [one for one in dimensions if one.type == "DegenerateMeasureGroupDimension"]
    references = [one for one in dimensions if one.type == "ReferenceMeasureGroupDimension"]
    if len(own) != 1:
        raise FormatError(f"measure group {definition.text('ID')!r} is of {len(own)} tables", file=definition.file)
    return MeasureGroup(
        id=definition.needed("ID"),
        cube_dimension_id=own[0].needed("CubeDimensionID"),
        active=frozenset(one.text("RelationshipID") for one in references) - {""},
        active_ends=frozenset(
            (
                one.text("IntermediateCubeDimensionID"),
                one.text("IntermediateGranularityAttributeID"),
                one.text("CubeDimensionID"),
            )
            for one in references
            if not one.text("RelationshipID")
        ),
    )


def partition(definition: Definition, measure_group_id: str) -> Partition:
    """
    Read a partition of a measure group.

    Raises:
        FormatError: something that it needs is missing.
    """
    source = definition.find("Source")
    has_query = source is not None and source.type == "QueryBinding"
    return Partition(
        measure_group_id=measure_group_id,
        id=definition.needed("ID"),
        name=definition.needed("Name"),
        description=definition.text("Description"),
        data_source_id=definition.text("Source", "DataSourceID"),
        query=definition.text("Source", "QueryDefinition") if has_query else None,
    )


def data_source(definition: Definition) -> DataSource:
    """
    Read a data source.

    Raises:
        FormatError: something that it needs is missing.
    """
    return DataSource(
        id=definition.needed("ID"),
        name=definition.needed("Name"),
        description=definition.text("Description"),
        provider=definition.text("ManagedProvider"),
        connection_string=definition.text("ConnectionString"),
    )


def source_names(definition: Definition) -> Iterator[tuple[tuple[str, str], str]]:
    """The bindings of a data source view and what the source calls their columns."""
    schema = definition.find("Schema", "schema", "element", "complexType", "choice")
    for table in [] if schema is None else schema.all("element"):
        for column in table.all("complexType", "sequence", "element"):
            names = column.attributes()
            if "DbColumnName" in names:
                yield (table.attributes().get("name", ""), names.get("name", "")), names["DbColumnName"]


def commands(definition: Definition) -> list[str]:
    """The texts of an MDX script."""
    return [one.text("Text") for one in definition.all("Commands", "Command")]


def calculation_properties(definition: Definition) -> list[CalculationProperty]:
    """What an MDX script says of its measures."""
    return [
        CalculationProperty(
            reference=one.text("CalculationReference"),
            description=one.text("Description"),
            display_folder=one.text("DisplayFolder"),
            format_string=one.text("FormatString"),
            is_visible=one.flag("Visible", default=True),
        )
        for one in definition.all("CalculationProperties", "CalculationProperty")
    ]


def perspective(definition: Definition) -> Perspective:
    """
    Read a perspective.

    Raises:
        FormatError: something that it needs is missing.
    """
    return Perspective(
        name=definition.needed("Name"),
        description=definition.text("Description"),
        dimensions={
            one.needed("CubeDimensionID"): (
                tuple(attribute.needed("AttributeID") for attribute in one.all("Attributes", "Attribute")),
                tuple(hierarchy.needed("HierarchyID") for hierarchy in one.all("Hierarchies", "Hierarchy")),
            )
            for one in definition.all("Dimensions", "Dimension")
        },
        calculations=tuple(one.needed("Name") for one in definition.all("Calculations", "Calculation")),
    )
