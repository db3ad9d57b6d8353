"""
The enumerations of a tabular model: words of TMSL and the numbers of metadata, rowsets and commands.

Numbers are those of the public enumerations of the tabular object model, words those of the JSON schema that it
publishes: the member's name with a small first letter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Enumeration:
    """
    One enumeration.

    Attributes:
        name: as the tabular object model calls it.
        words: number of each word.
    """

    name: str
    words: Mapping[str, int]
    _by_number: Mapping[int, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_number = {number: word for word, number in self.words.items()}
        assert len(by_number) == len(self.words), f"{self.name} has a number twice"
        object.__setattr__(self, "_by_number", by_number)

    def number(self, word: str) -> int:
        """The number of *word*. Raises KeyError: no such word."""
        return self.words[word]

    def word(self, number: int) -> str | None:
        """The word of *number*; None when it has none, as a number of a newer version."""
        return self._by_number.get(number)


AGGREGATE_FUNCTION: Final = Enumeration(
    "AggregateFunction",
    {"default": 1, "none": 2, "sum": 3, "min": 4, "max": 5, "count": 6, "average": 7, "distinctCount": 8},
)
ALIGNMENT: Final = Enumeration("Alignment", {"default": 1, "left": 2, "right": 3, "center": 4})
BINDING_INFO_TYPE: Final = Enumeration("BindingInfoType", {"unknown": 0, "dataBindingHint": 1})
CALCULATION_GROUP_SELECTION_MODE: Final = Enumeration(
    "CalculationGroupSelectionMode", {"unknown": 0, "multipleOrEmptySelection": 1, "noSelection": 2}
)
COLUMN_TYPE: Final = Enumeration("ColumnType", {"data": 1, "calculated": 2, "rowNumber": 3, "calculatedTableColumn": 4})
CONTENT_TYPE: Final = Enumeration("ContentType", {"xml": 0, "json": 1})
CROSS_FILTERING_BEHAVIOR: Final = Enumeration(
    "CrossFilteringBehavior", {"oneDirection": 1, "bothDirections": 2, "automatic": 3}
)
DATASOURCE_ISOLATION: Final = Enumeration("DatasourceIsolation", {"readCommitted": 1, "snapshot": 2})
DATA_SOURCE_TYPE: Final = Enumeration("DataSourceType", {"provider": 1, "structured": 2})
DATA_SOURCE_VARIABLES_OVERRIDE_BEHAVIOR: Final = Enumeration(
    "DataSourceVariablesOverrideBehaviorType", {"disallow": 0, "allow": 1}
)
DATA_TYPE: Final = Enumeration(
    "DataType",
    {
        "automatic": 1,
        "string": 2,
        "int64": 6,
        "double": 8,
        "dateTime": 9,
        "decimal": 10,
        "boolean": 11,
        "binary": 17,
        "unknown": 19,
        "variant": 20,
    },
)
DATA_VIEW: Final = Enumeration("DataViewType", {"full": 0, "sample": 1, "default": 3})
DATE_TIME_RELATIONSHIP_BEHAVIOR: Final = Enumeration(
    "DateTimeRelationshipBehavior", {"dateAndTime": 1, "datePartOnly": 2}
)
DIRECT_LAKE_BEHAVIOR: Final = Enumeration(
    "DirectLakeBehavior", {"automatic": 0, "directLakeOnly": 1, "directQueryOnly": 2}
)
DIRECT_LAKE_INDEXING_BEHAVIOR: Final = Enumeration(
    "DirectLakeIndexingBehavior", {"auto": 0, "explicit": 1, "full": 2, "default": 3}
)
ENCODING_HINT: Final = Enumeration("EncodingHintType", {"default": 0, "hash": 1, "value": 2})
EXPRESSION_CONTEXT: Final = Enumeration("ExpressionContext", {"standard": 1, "userContext": 2})
EXPRESSION_KIND: Final = Enumeration("ExpressionKind", {"m": 0})
EXTENDED_PROPERTY_TYPE: Final = Enumeration("ExtendedPropertyType", {"string": 0, "json": 1})
HIERARCHY_HIDE_MEMBERS: Final = Enumeration("HierarchyHideMembersType", {"default": 0, "hideBlankMembers": 1})
IMPERSONATION_MODE: Final = Enumeration(
    "ImpersonationMode",
    {
        "default": 1,
        "impersonateAccount": 2,
        "impersonateAnonymous": 3,
        "impersonateCurrentUser": 4,
        "impersonateServiceAccount": 5,
        "impersonateUnattendedAccount": 6,
    },
)
INDEXING_BEHAVIOR: Final = Enumeration("IndexingBehavior", {"off": 0, "auto": 1, "explicit": 2, "full": 3})
METADATA_CATEGORY: Final = Enumeration("MetadataCategory", {"inherited": 0, "basic": 1, "calculationDefinitions": 2})
METADATA_PERMISSION: Final = Enumeration("MetadataPermission", {"default": 0, "none": 1, "read": 2})
MODEL_PERMISSION: Final = Enumeration(
    "ModelPermission", {"none": 1, "read": 2, "readRefresh": 3, "refresh": 4, "administrator": 5}
)
MODE: Final = Enumeration(
    "ModeType", {"import": 0, "directQuery": 1, "default": 2, "push": 3, "dual": 4, "directLake": 5}
)
OBJECT_STATE: Final = Enumeration(
    "ObjectState",
    {
        "ready": 1,
        "noData": 3,
        "calculationNeeded": 4,
        "semanticError": 5,
        "evaluationError": 6,
        "dependencyError": 7,
        "incomplete": 8,
        "forceCalculationNeeded": 10,
    },
)
PARTITION_SOURCE_TYPE: Final = Enumeration(
    "PartitionSourceType",
    {
        "query": 1,
        "calculated": 2,
        "none": 3,
        "m": 4,
        "entity": 5,
        "policyRange": 6,
        "calculationGroup": 7,
        "inferred": 8,
        "parquet": 9,
    },
)
POWER_BI_DATA_SOURCE_VERSION: Final = Enumeration(
    "PowerBIDataSourceVersion", {"powerBI_V1": 0, "powerBI_V2": 1, "powerBI_V3": 2}
)
REFRESH_GRANULARITY: Final = Enumeration(
    "RefreshGranularityType", {"invalid": -1, "day": 0, "month": 1, "quarter": 2, "year": 3}
)
REFRESH_POLICY_MODE: Final = Enumeration("RefreshPolicyMode", {"import": 0, "hybrid": 1})
REFRESH_POLICY_TYPE: Final = Enumeration("RefreshPolicyType", {"basic": 0})
REFRESH_TYPE: Final = Enumeration(
    "RefreshType",
    {
        "full": 1,
        "clearValues": 2,
        "calculate": 3,
        "dataOnly": 4,
        "automatic": 5,
        "add": 7,
        "defragment": 8,
        "indexes": 9,
    },
)
RELATIONSHIP_END_CARDINALITY: Final = Enumeration("RelationshipEndCardinality", {"none": 0, "one": 1, "many": 2})
RELATIONSHIP_TYPE: Final = Enumeration("RelationshipType", {"singleColumn": 1})
ROLE_MEMBER_TYPE: Final = Enumeration("RoleMemberType", {"auto": 1, "user": 2, "group": 3})
SECURITY_FILTERING_BEHAVIOR: Final = Enumeration(
    "SecurityFilteringBehavior", {"oneDirection": 1, "bothDirections": 2, "none": 3}
)
SELECTION_EXPRESSION_BEHAVIOR: Final = Enumeration(
    "SelectionExpressionBehaviorType", {"automatic": 0, "visual": 1, "nonVisual": 2}
)
SUMMARIZATION: Final = Enumeration("SummarizationType", {"groupBy": 0, "sum": 1, "count": 2, "min": 3, "max": 4})
TIME_UNIT: Final = Enumeration(
    "TimeUnit",
    {
        "unknown": 0,
        "year": 1,
        "semester": 2,
        "semesterOfYear": 3,
        "quarter": 4,
        "quarterOfYear": 5,
        "quarterOfSemester": 6,
        "month": 7,
        "monthOfYear": 8,
        "monthOfSemester": 9,
        "monthOfQuarter": 10,
        "week": 11,
        "weekOfYear": 12,
        "weekOfSemester": 13,
        "weekOfQuarter": 14,
        "weekOfMonth": 15,
        "date": 16,
        "dayOfYear": 17,
        "dayOfSemester": 18,
        "dayOfQuarter": 19,
        "dayOfMonth": 20,
        "dayOfWeek": 21,
    },
)
TRANSLATED_PROPERTY: Final = Enumeration("TranslatedProperty", {"caption": 1, "description": 2, "displayFolder": 3})
VALUE_FILTER_BEHAVIOR: Final = Enumeration(
    "ValueFilterBehaviorType", {"automatic": 0, "independent": 1, "coalesced": 2}
)
