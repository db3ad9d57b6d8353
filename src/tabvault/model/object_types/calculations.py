"""Object types that compute: measures, KPIs, calculation groups, functions, and the definitions that hang on them."""

from __future__ import annotations

from typing import Final

from tabvault.model.object_types import enumerations as words
from tabvault.model.object_types.definition import (
    ERROR_MESSAGE,
    GENERIC_IDENTITY,
    MODIFIED,
    STRUCTURE_MODIFIED,
    ObjectType,
    Parent,
    Role,
    flag,
    identity,
    lines,
    only_child,
    text,
    whole,
    word,
)
from tabvault.model.object_types.structure import LINEAGE, READY_STATE

MEASURE: Final = ObjectType(
    "Measure",
    8,
    "TMSCHEMA_MEASURES",
    "Measures",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        text("Name", "name"),
        lines("Description", "description"),
        word("DataType", "dataType", words.DATA_TYPE, default="unknown", role=Role.STATE),
        lines("Expression", "expression"),
        text("FormatString", "formatString"),
        flag("IsHidden", "isHidden"),
        READY_STATE,
        MODIFIED,
        STRUCTURE_MODIFIED,
        only_child("KPIID", "kpi", "KPI"),
        flag("IsSimpleMeasure", "isSimpleMeasure"),
        ERROR_MESSAGE,
        text("DisplayFolder", "displayFolder"),
        only_child("DetailRowsDefinitionID", "detailRowsDefinition", "DetailRowsDefinition", level=1400),
        text("DataCategory", "dataCategory", level=1455),
        only_child("FormatStringDefinitionID", "formatStringDefinition", "FormatStringDefinition", level=1601),
        *LINEAGE,
    ),
    key="Name",
    tmsl_collection="measures",
    description="a measure; its name is unique in the model",
)

KPI: Final = ObjectType(
    "KPI",
    12,
    "TMSCHEMA_KPIS",
    "Kpis",
    Parent("MeasureID", ("Measure",)),
    (
        *identity(parent="MeasureID", target="Measure"),
        lines("Description", "description"),
        lines("TargetDescription", "targetDescription"),
        lines("TargetExpression", "targetExpression"),
        text("TargetFormatString", "targetFormatString"),
        text("StatusGraphic", "statusGraphic"),
        lines("StatusDescription", "statusDescription"),
        lines("StatusExpression", "statusExpression"),
        text("TrendGraphic", "trendGraphic"),
        lines("TrendDescription", "trendDescription"),
        lines("TrendExpression", "trendExpression"),
        MODIFIED,
    ),
    description="target, status and trend of a measure",
)

DETAIL_ROWS_DEFINITION: Final = ObjectType(
    "DetailRowsDefinition",
    43,
    "TMSCHEMA_DETAIL_ROWS_DEFINITIONS",
    "DetailRowsDefinitions",
    Parent("ObjectID", ("Table", "Measure")),
    (*GENERIC_IDENTITY, lines("Expression", "expression"), MODIFIED, READY_STATE, ERROR_MESSAGE),
    minimum_level=1400,
    description="the rows that are shown behind a value",
)

CALCULATION_GROUP: Final = ObjectType(
    "CalculationGroup",
    46,
    "TMSCHEMA_CALCULATION_GROUPS",
    "CalculationGroups",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        lines("Description", "description"),
        MODIFIED,
        whole("Precedence", "precedence"),
    ),
    minimum_level=1470,
    description="what makes a table a set of calculations",
)

CALCULATION_ITEM: Final = ObjectType(
    "CalculationItem",
    47,
    "TMSCHEMA_CALCULATION_ITEMS",
    "CalculationItems",
    Parent("CalculationGroupID", ("CalculationGroup",)),
    (
        *identity(parent="CalculationGroupID", target="CalculationGroup"),
        only_child("FormatStringDefinitionID", "formatStringDefinition", "FormatStringDefinition"),
        text("Name", "name"),
        lines("Description", "description"),
        MODIFIED,
        READY_STATE,
        ERROR_MESSAGE,
        lines("Expression", "expression"),
        whole("Ordinal", "ordinal", default=-1, level=1500),
    ),
    key="Name",
    tmsl_collection="calculationItems",
    minimum_level=1470,
    description="one calculation of a calculation group",
)

CALCULATION_EXPRESSION: Final = ObjectType(
    "CalculationExpression",
    59,
    "TMSCHEMA_CALCULATION_EXPRESSIONS",
    "CalculationExpressions",
    Parent("CalculationGroupID", ("CalculationGroup",)),
    (
        *identity(parent="CalculationGroupID", target="CalculationGroup"),
        only_child("FormatStringDefinitionID", "formatStringDefinition", "FormatStringDefinition"),
        lines("Description", "description"),
        lines("Expression", "expression"),
        MODIFIED,
        READY_STATE,
        ERROR_MESSAGE,
        word("SelectionMode", None, words.CALCULATION_GROUP_SELECTION_MODE, default=None),
    ),
    key="SelectionMode",
    minimum_level=1605,
    description="what a calculation group does for no or several items: TMSL's noSelectionExpression and "
    "multipleOrEmptySelectionExpression",
)

FORMAT_STRING_DEFINITION: Final = ObjectType(
    "FormatStringDefinition",
    50,
    "TMSCHEMA_FORMAT_STRING_DEFINITIONS",
    "FormatStringDefinitions",
    Parent("ObjectID", ("Measure", "CalculationItem", "CalculationExpression")),
    (*GENERIC_IDENTITY, lines("Expression", "expression"), MODIFIED, READY_STATE, ERROR_MESSAGE),
    minimum_level=1470,
    description="a format string that is computed",
)

FUNCTION: Final = ObjectType(
    "Function",
    63,
    "TMSCHEMA_FUNCTIONS",
    "Functions",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        lines("Description", "description"),
        lines("Expression", "expression"),
        flag("IsHidden", "isHidden"),
        READY_STATE,
        ERROR_MESSAGE,
        MODIFIED,
        STRUCTURE_MODIFIED,
        text("LineageTag", "lineageTag"),
        text("SourceLineageTag", "sourceLineageTag"),
    ),
    key="Name",
    tmsl_collection="functions",
    minimum_level=1702,
    description="a function that the modeller wrote",
)

CALCULATION_TYPES: Final = (
    MEASURE,
    KPI,
    DETAIL_ROWS_DEFINITION,
    CALCULATION_GROUP,
    CALCULATION_ITEM,
    CALCULATION_EXPRESSION,
    FORMAT_STRING_DEFINITION,
    FUNCTION,
)
