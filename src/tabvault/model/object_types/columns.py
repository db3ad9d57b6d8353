"""Object types of columns, and what belongs to a column."""

from __future__ import annotations

from typing import Final

from tabvault.model.object_types import enumerations as words
from tabvault.model.object_types.definition import (
    ERROR_MESSAGE,
    MODIFIED,
    REFRESHED,
    STRUCTURE_MODIFIED,
    SYSTEM_FLAGS,
    ObjectType,
    Parent,
    Property,
    Role,
    flag,
    identity,
    lines,
    link,
    only_child,
    storage,
    text,
    whole,
    word,
)
from tabvault.model.object_types.structure import CALCULATION_NEEDED_STATE, LINEAGE, READY_STATE

COLUMN: Final = ObjectType(
    "Column",
    4,
    "TMSCHEMA_COLUMNS",
    "Columns",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        text("ExplicitName", "name"),
        text("InferredName"),
        word("ExplicitDataType", "dataType", words.DATA_TYPE, default=None),
        word("InferredDataType", None, words.DATA_TYPE, default="unknown", role=Role.STATE),
        text("DataCategory", "dataCategory"),
        lines("Description", "description"),
        flag("IsHidden", "isHidden"),
        READY_STATE,
        flag("IsUnique", "isUnique"),
        flag("IsKey", "isKey"),
        flag("IsNullable", "isNullable", default=True),
        word("Alignment", "alignment", words.ALIGNMENT, default="default"),
        whole("TableDetailPosition", "tableDetailPosition", default=-1),
        flag("IsDefaultLabel", "isDefaultLabel"),
        flag("IsDefaultImage", "isDefaultImage"),
        word("SummarizeBy", "summarizeBy", words.AGGREGATE_FUNCTION, default="default"),
        *storage("ColumnStorageID"),
        word("Type", "type", words.COLUMN_TYPE, default="data"),
        text("SourceColumn", "sourceColumn"),
        Property("ColumnOriginID", "unsignedLong", Role.STATE, target="Column"),
        lines("Expression", "expression"),
        text("FormatString", "formatString"),
        flag("IsAvailableInMDX", "isAvailableInMdx", default=True),
        link("SortByColumnID", "sortByColumn", "Column"),
        only_child("AttributeHierarchyID", "attributeHierarchy", "AttributeHierarchy"),
        MODIFIED,
        STRUCTURE_MODIFIED,
        REFRESHED,
        SYSTEM_FLAGS,
        flag("KeepUniqueRows", "keepUniqueRows"),
        whole("DisplayOrdinal", "displayOrdinal"),
        ERROR_MESSAGE,
        text("SourceProviderType", "sourceProviderType"),
        text("DisplayFolder", "displayFolder"),
        word("EncodingHint", "encodingHint", words.ENCODING_HINT, default="default", level=1400),
        only_child("RelatedColumnDetailsID", "relatedColumnDetails", "RelatedColumnDetails", level=1400),
        only_child("AlternateOfID", "alternateOf", "AlternateOf", level=1460),
        *LINEAGE,
        word("ExpressionContext", "expressionContext", words.EXPRESSION_CONTEXT, default="standard", level=1705),
        word("StringIndexingBehavior", "stringIndexingBehavior", words.INDEXING_BEHAVIOR, default="auto", level=1706),
        word(
            "FullTextIndexingBehavior", "fullTextIndexingBehavior", words.INDEXING_BEHAVIOR, default="off", level=1708
        ),
    ),
    key="ExplicitName",
    tmsl_collection="columns",
    description="a column of a table; the calculated kinds have InferredName and InferredDataType instead",
)

ATTRIBUTE_HIERARCHY: Final = ObjectType(
    "AttributeHierarchy",
    5,
    "TMSCHEMA_ATTRIBUTE_HIERARCHIES",
    "AttributeHierarchies",
    Parent("ColumnID", ("Column",)),
    (
        *identity(parent="ColumnID", target="Column"),
        CALCULATION_NEEDED_STATE,
        *storage("AttributeHierarchyStorageID"),
        MODIFIED,
        REFRESHED,
    ),
    description="the hierarchy of the values of one column, which the engine makes by itself",
)

VARIATION: Final = ObjectType(
    "Variation",
    37,
    "TMSCHEMA_VARIATIONS",
    "Variations",
    Parent("ColumnID", ("Column",)),
    (
        *identity(parent="ColumnID", target="Column"),
        text("Name", "name"),
        lines("Description", "description"),
        link("RelationshipID", "relationship", "Relationship"),
        link("DefaultHierarchyID", "defaultHierarchy", "Hierarchy"),
        link("DefaultColumnID", "defaultColumn", "Column"),
        flag("IsDefault", "isDefault"),
    ),
    key="Name",
    tmsl_collection="variations",
    description="another way to look at a column, such as the hierarchy of its date table",
)

RELATED_COLUMN_DETAILS: Final = ObjectType(
    "RelatedColumnDetails",
    44,
    "TMSCHEMA_RELATED_COLUMN_DETAILS",
    "RelatedColumnDetails",
    Parent("ColumnID", ("Column",)),
    (*identity(parent="ColumnID", target="Column"), MODIFIED),
    minimum_level=1400,
    description="the columns that a column is grouped by together with",
)

GROUP_BY_COLUMN: Final = ObjectType(
    "GroupByColumn",
    45,
    "TMSCHEMA_GROUP_BY_COLUMNS",
    "GroupByColumns",
    Parent("RelatedColumnDetailsID", ("RelatedColumnDetails",)),
    (
        *identity(parent="RelatedColumnDetailsID", target="RelatedColumnDetails"),
        link("GroupingColumnID", "groupingColumn", "Column"),
        MODIFIED,
    ),
    key="GroupingColumnID",
    tmsl_collection="groupByColumns",
    minimum_level=1400,
    description="one column of related column details",
)

ALTERNATE_OF: Final = ObjectType(
    "AlternateOf",
    48,
    "TMSCHEMA_ALTERNATE_OF_DEFINITIONS",
    "AlternateOfDefinitions",
    Parent("ColumnID", ("Column",)),
    (
        *identity(parent="ColumnID", target="Column"),
        link("BaseColumnID", "baseColumn", "Column"),
        link("BaseTableID", "baseTable", "Table"),
        word("Summarization", "summarization", words.SUMMARIZATION, default="groupBy"),
    ),
    minimum_level=1460,
    description="what a column of an aggregation table aggregates",
)

COLUMN_TYPES: Final = (
    COLUMN,
    ATTRIBUTE_HIERARCHY,
    VARIATION,
    RELATED_COLUMN_DETAILS,
    GROUP_BY_COLUMN,
    ALTERNATE_OF,
)
