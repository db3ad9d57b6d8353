"""
Dimensions: the tables of an XML model with their columns, user hierarchies and relationships.

An attribute is a column. Its KeyColumn says what it is: ``RowNumberBinding`` (the row number), ``ColumnBinding`` (a
column of the source) or ``ExpressionBinding`` (a calculated column).

Source: [MS-SSAS] 2.2.4, [MS-SSAS-T] 2.2.2; the genuine workbooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import FormatError

if TYPE_CHECKING:
    from tabvault.model.xml_models.ddl import Definition


@dataclass(frozen=True, slots=True)
class Attribute:
    """
    A column. *data_type* is a word such as ``BigInt``, ``Empty`` if only *inferred_type* says it.

    *binding* names what a bound column is bound to: table and column as a data source view encodes them. *type* is the
    data category (``City``), ``Regular`` for none. *aggregate* is the usual aggregation, empty for the engine's choice.
    """

    id: str
    name: str
    description: str
    is_key: bool
    is_row_number: bool
    is_visible: bool
    is_available_in_mdx: bool
    order_by_id: str
    display_folder: str
    data_type: str
    inferred_type: str
    format_string: str
    type: str
    aggregate: str
    expression: str | None
    binding: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class UserHierarchy:
    """A user hierarchy. *levels*: name and id of the attribute, from the top."""

    id: str
    name: str
    description: str
    display_folder: str
    levels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RelationshipEnd:
    """One end: dimension, attribute, and whether a value is in one row only."""

    dimension_id: str
    attribute_id: str
    is_one: bool


@dataclass(frozen=True, slots=True)
class Relationship:
    """A relationship."""

    id: str
    start: RelationshipEnd
    end: RelationshipEnd


@dataclass(frozen=True, slots=True)
class Dimension:
    """A table."""

    id: str
    name: str
    file: str
    description: str
    type: str
    attributes: tuple[Attribute, ...]
    hierarchies: tuple[UserHierarchy, ...]
    relationships: tuple[Relationship, ...]
    translation_count: int


def dimension(definition: Definition) -> Dimension:
    """
    Read a dimension.

    Raises:
        FormatError: something that it needs is missing.
    """
    return Dimension(
        id=definition.needed("ID"),
        name=definition.needed("Name"),
        file=definition.file,
        description=definition.text("Description"),
        type=definition.text("Type"),
        attributes=tuple(_attribute(one) for one in definition.all("Attributes", "Attribute")),
        hierarchies=tuple(_hierarchy(one) for one in definition.all("Hierarchies", "Hierarchy")),
        relationships=tuple(_relationship(one) for one in definition.all("Relationships", "Relationship")),
        translation_count=len(definition.all("Translations", "Translation")),
    )


def _attribute(definition: Definition) -> Attribute:
    keys = definition.all("KeyColumns", "KeyColumn")
    if len(keys) != 1:
        raise FormatError(f"attribute {definition.text('ID')!r} has {len(keys)} key columns", file=definition.file)
    source = keys[0].find("Source")
    kind = "" if source is None else source.type
    # 'Type' is RowNumber only where the schema of the engine has that word; the binding always says it.
    is_row_number = kind == "RowNumberBinding" or definition.text("Type") == "RowNumber"
    return Attribute(
        id=definition.needed("ID"),
        name=definition.needed("Name"),
        description=definition.text("Description"),
        is_key=definition.text("Usage") == "Key" and not is_row_number,
        is_row_number=is_row_number,
        is_visible=definition.flag("AttributeHierarchyVisible", default=True),
        is_available_in_mdx=definition.flag("AttributeHierarchyEnabled", default=True),
        order_by_id=definition.text("OrderByAttributeID") if definition.text("OrderBy") == "AttributeKey" else "",
        display_folder=definition.text("AttributeHierarchyDisplayFolder"),
        data_type=keys[0].text("DataType"),
        inferred_type=definition.text("InferredDatatype"),
        format_string=definition.text("FormatString"),
        type=definition.text("Type"),
        aggregate=definition.text("VisualizationProperties", "DefaultAggregateFunction"),
        expression=source.text("Expression") if source is not None and kind == "ExpressionBinding" else None,
        binding=_binding(source) if source is not None and kind == "ColumnBinding" else None,
    )


def _binding(source: Definition) -> tuple[str, str]:
    return source.needed("TableID"), source.needed("ColumnID")


def _hierarchy(definition: Definition) -> UserHierarchy:
    levels = definition.all("Levels", "Level")
    return UserHierarchy(
        id=definition.needed("ID"),
        name=definition.needed("Name"),
        description=definition.text("Description"),
        display_folder=definition.text("DisplayFolder"),
        levels=tuple((level.needed("Name"), level.needed("SourceAttributeID")) for level in levels),
    )


def _relationship(definition: Definition) -> Relationship:
    return Relationship(
        definition.needed("ID"), _end(definition, "FromRelationshipEnd"), _end(definition, "ToRelationshipEnd")
    )


def _end(definition: Definition, name: str) -> RelationshipEnd:
    attributes = definition.all(name, "Attributes", "Attribute")
    if len(attributes) != 1:
        raise FormatError(
            f"{name} of relationship {definition.text('ID')!r} has {len(attributes)} attributes", file=definition.file
        )
    return RelationshipEnd(
        dimension_id=definition.needed(name, "DimensionID"),
        attribute_id=attributes[0].needed("AttributeID"),
        is_one=definition.text(name, "Multiplicity") == "One",
    )
