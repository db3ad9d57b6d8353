"""
Object types of the structure of a model: tables, relationships, hierarchies, calendars.

Sources: the tables of genuine metadata of schema versions 17 to 122 (columns, their order); rows that Microsoft's
client writes at compatibility level 1000000 (what may be set, XML types); the public classes of the tabular object
model (levels, enumerations, defaults) and its JSON schema (TMSL names). The same holds for the sibling modules. Where
the level depends on the product, the lowest is given.
"""

from __future__ import annotations

from typing import Final

from tabvault.model.object_types import enumerations as words
from tabvault.model.object_types.definition import (
    ERROR_MESSAGE,
    MODIFIED,
    PREVIEW_LEVEL,
    REFRESHED,
    STRUCTURE_MODIFIED,
    SYSTEM_FLAGS,
    ObjectType,
    Parent,
    Property,
    Role,
    flag,
    identity,
    json_text,
    lines,
    link,
    only_child,
    storage,
    text,
    whole,
    word,
)

LINEAGE: Final = (
    text("LineageTag", "lineageTag", level=1540),
    text("SourceLineageTag", "sourceLineageTag", level=1550),
)
"""Tags by which an object is recognised after it was renamed, here and at its source."""

READY_STATE: Final = word("State", "state", words.OBJECT_STATE, default="ready", role=Role.STATE)
CALCULATION_NEEDED_STATE: Final = word(
    "State", "state", words.OBJECT_STATE, default="calculationNeeded", role=Role.STATE
)

MODEL: Final = ObjectType(
    "Model",
    1,
    "TMSCHEMA_MODEL",
    "Model",
    None,
    (
        *identity(),
        Property("Name", "string", tmsl="name", default="Model"),
        lines("Description", "description"),
        text("StorageLocation", "storageLocation"),
        word("DefaultMode", "defaultMode", words.MODE, default="import"),
        word("DefaultDataView", "defaultDataView", words.DATA_VIEW, default="full"),
        text("Culture", "culture"),
        text("Collation", "collation"),
        MODIFIED,
        STRUCTURE_MODIFIED,
        Property("Version", "long", Role.STATE, is_stored=False),
        json_text("DataAccessOptions", "dataAccessOptions", level=1400),
        link("DefaultMeasureID", "defaultMeasure", "Measure", level=1400),
        word(
            "DefaultPowerBIDataSourceVersion",
            "defaultPowerBIDataSourceVersion",
            words.POWER_BI_DATA_SOURCE_VERSION,
            default="powerBI_V1",
            level=1450,
        ),
        flag("ForceUniqueNames", "forceUniqueNames", level=1465),
        flag("DiscourageImplicitMeasures", "discourageImplicitMeasures", level=1470),
        Property("DiscourageReportMeasures", "boolean", Role.STORAGE, minimum_level=1470),
        word(
            "DataSourceVariablesOverrideBehavior",
            "dataSourceVariablesOverrideBehavior",
            words.DATA_SOURCE_VARIABLES_OVERRIDE_BEHAVIOR,
            default="disallow",
            level=1475,
        ),
        whole("DataSourceDefaultMaxConnections", "dataSourceDefaultMaxConnections", default=10, level=1510),
        text("SourceQueryCulture", "sourceQueryCulture", level=1520),
        text("MAttributes", "mAttributes", level=1535),
        flag("DiscourageCompositeModels", "discourageCompositeModels", level=1560),
        json_text("AutomaticAggregationOptions", "automaticAggregationOptions", level=1564),
        whole("DisableAutoExists", "disableAutoExists", default=-1, level=1566),
        whole("MaxParallelismPerRefresh", "maxParallelismPerRefresh", default=-1, level=1568),
        whole("MaxParallelismPerQuery", "maxParallelismPerQuery", level=1569),
        flag("DisableSystemDefaultExpression", level=PREVIEW_LEVEL),
        word("DirectLakeBehavior", "directLakeBehavior", words.DIRECT_LAKE_BEHAVIOR, default="automatic", level=1604),
        word(
            "ValueFilterBehavior", "valueFilterBehavior", words.VALUE_FILTER_BEHAVIOR, default="automatic", level=1606
        ),
        word(
            "SelectionExpressionBehavior",
            "selectionExpressionBehavior",
            words.SELECTION_EXPRESSION_BEHAVIOR,
            default="automatic",
            level=1609,
        ),
        word("MetadataAccessPolicy", "metadataAccessPolicy", words.METADATA_CATEGORY, default="inherited", level=1703),
        word(
            "DefaultDirectLakeIndexingBehavior",
            "defaultDirectLakeIndexingBehavior",
            words.DIRECT_LAKE_INDEXING_BEHAVIOR,
            default="auto",
            level=PREVIEW_LEVEL,
        ),
    ),
    key="Name",
    description="the root of the objects of a database",
)

TABLE: Final = ObjectType(
    "Table",
    3,
    "TMSCHEMA_TABLES",
    "Tables",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        text("DataCategory", "dataCategory"),
        lines("Description", "description"),
        flag("IsHidden", "isHidden"),
        *storage("TableStorageID"),
        MODIFIED,
        STRUCTURE_MODIFIED,
        SYSTEM_FLAGS,
        flag("ShowAsVariationsOnly", "showAsVariationsOnly"),
        flag("IsPrivate", "isPrivate"),
        only_child("DefaultDetailRowsDefinitionID", "defaultDetailRowsDefinition", "DetailRowsDefinition", level=1400),
        whole("AlternateSourcePrecedence", "alternateSourcePrecedence", level=1460),
        only_child("RefreshPolicyID", "refreshPolicy", "RefreshPolicy", level=1450),
        only_child("CalculationGroupID", "calculationGroup", "CalculationGroup", level=1470),
        flag("ExcludeFromModelRefresh", "excludeFromModelRefresh", level=1480),
        *LINEAGE,
        flag("SystemManaged", "systemManaged", level=1562),
        flag("ExcludeFromAutomaticAggregations", "excludeFromAutomaticAggregations", level=1572),
        word(
            "DirectLakeIndexingBehavior",
            "directLakeIndexingBehavior",
            words.DIRECT_LAKE_INDEXING_BEHAVIOR,
            default="default",
            level=PREVIEW_LEVEL,
        ),
    ),
    key="Name",
    tmsl_collection="tables",
    description="a table of the model",
)

RELATIONSHIP: Final = ObjectType(
    "Relationship",
    7,
    "TMSCHEMA_RELATIONSHIPS",
    "Relationships",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        flag("IsActive", "isActive", default=True),
        word("Type", "type", words.RELATIONSHIP_TYPE, default="singleColumn"),
        word(
            "CrossFilteringBehavior", "crossFilteringBehavior", words.CROSS_FILTERING_BEHAVIOR, default="oneDirection"
        ),
        word("JoinOnDateBehavior", "joinOnDateBehavior", words.DATE_TIME_RELATIONSHIP_BEHAVIOR, default="dateAndTime"),
        flag("RelyOnReferentialIntegrity", "relyOnReferentialIntegrity"),
        link("FromTableID", "fromTable", "Table"),
        link("FromColumnID", "fromColumn", "Column"),
        word("FromCardinality", "fromCardinality", words.RELATIONSHIP_END_CARDINALITY, default="many"),
        link("ToTableID", "toTable", "Table"),
        link("ToColumnID", "toColumn", "Column"),
        word("ToCardinality", "toCardinality", words.RELATIONSHIP_END_CARDINALITY, default="one"),
        CALCULATION_NEEDED_STATE,
        *storage("RelationshipStorageID", "RelationshipStorage2ID"),
        MODIFIED,
        REFRESHED,
        word(
            "SecurityFilteringBehavior",
            "securityFilteringBehavior",
            words.SECURITY_FILTERING_BEHAVIOR,
            default="oneDirection",
        ),
    ),
    key="Name",
    tmsl_collection="relationships",
    description="a relationship between two columns",
)

HIERARCHY: Final = ObjectType(
    "Hierarchy",
    9,
    "TMSCHEMA_HIERARCHIES",
    "Hierarchies",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        text("Name", "name"),
        lines("Description", "description"),
        flag("IsHidden", "isHidden"),
        CALCULATION_NEEDED_STATE,
        *storage("HierarchyStorageID"),
        MODIFIED,
        STRUCTURE_MODIFIED,
        REFRESHED,
        text("DisplayFolder", "displayFolder"),
        word("HideMembers", "hideMembers", words.HIERARCHY_HIDE_MEMBERS, default="default", level=1400),
        *LINEAGE,
    ),
    key="Name",
    tmsl_collection="hierarchies",
    description="a hierarchy that the modeller made of columns",
)

LEVEL: Final = ObjectType(
    "Level",
    10,
    "TMSCHEMA_LEVELS",
    "Levels",
    Parent("HierarchyID", ("Hierarchy",)),
    (
        *identity(parent="HierarchyID", target="Hierarchy"),
        whole("Ordinal", "ordinal", default=-1),
        text("Name", "name"),
        lines("Description", "description"),
        link("ColumnID", "column", "Column"),
        MODIFIED,
        *LINEAGE,
    ),
    key="Name",
    tmsl_collection="levels",
    description="a level of a hierarchy",
)

SET: Final = ObjectType(
    "Set",
    38,
    "TMSCHEMA_SETS",
    "Sets",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        text("Name", "name"),
        lines("Description", "description"),
        lines("Expression", "expression"),
        flag("IsDynamic", "isDynamic"),
        flag("IsHidden", "isHidden"),
        READY_STATE,
        MODIFIED,
        STRUCTURE_MODIFIED,
        ERROR_MESSAGE,
        text("DisplayFolder", "displayFolder"),
    ),
    key="Name",
    tmsl_collection="sets",
    minimum_level=1400,
    description="a named set of a table",
)

CALENDAR: Final = ObjectType(
    "Calendar",
    60,
    "TMSCHEMA_CALENDARS",
    "Calendars",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        text("Name", "name"),
        lines("Description", "description"),
        text("LineageTag", "lineageTag"),
        text("SourceLineageTag", "sourceLineageTag"),
        MODIFIED,
    ),
    key="Name",
    tmsl_collection="calendars",
    minimum_level=1701,
    description="a calendar: which columns of a date table are which units of time",
)

CALENDAR_COLUMN_GROUP: Final = ObjectType(
    "CalendarColumnGroup",
    61,
    "TMSCHEMA_CALENDAR_COLUMN_GROUPS",
    "CalendarColumnGroups",
    Parent("CalendarID", ("Calendar",)),
    (
        *identity(parent="CalendarID", target="Calendar"),
        word("TimeUnit", "timeUnit", words.TIME_UNIT, default="unknown"),
        MODIFIED,
    ),
    key="TimeUnit",
    tmsl_collection="calendarColumnGroups",
    minimum_level=1701,
    description="the columns of one unit of time; those that are only related to time have TimeUnit 0",
)

CALENDAR_COLUMN_REFERENCE: Final = ObjectType(
    "CalendarColumnReference",
    62,
    "TMSCHEMA_CALENDAR_COLUMN_REFERENCES",
    "CalendarColumnReferences",
    Parent("CalendarColumnGroupID", ("CalendarColumnGroup",)),
    (
        *identity(parent="CalendarColumnGroupID", target="CalendarColumnGroup"),
        link("ColumnID", None, "Column"),
        flag("IsPrimaryColumn"),
        MODIFIED,
    ),
    key="ColumnID",
    minimum_level=1701,
    description="one column of a group; TMSL writes it as primaryColumn, or into associatedColumns or columns",
)

STRUCTURE_TYPES: Final = (
    MODEL,
    TABLE,
    RELATIONSHIP,
    HIERARCHY,
    LEVEL,
    SET,
    CALENDAR,
    CALENDAR_COLUMN_GROUP,
    CALENDAR_COLUMN_REFERENCE,
)
