"""Object types that say where values come from: data sources, partitions, expressions, refresh policies."""

from __future__ import annotations

from typing import Final

from tabvault.model.object_types import enumerations as words
from tabvault.model.object_types.definition import (
    ERROR_MESSAGE,
    MODIFIED,
    REFRESHED,
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
from tabvault.model.object_types.structure import LINEAGE, READY_STATE

DATA_SOURCE: Final = ObjectType(
    "DataSource",
    2,
    "TMSCHEMA_DATA_SOURCES",
    "DataSources",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        lines("Description", "description"),
        word("Type", "type", words.DATA_SOURCE_TYPE, default="provider"),
        text("ConnectionString", "connectionString"),
        word("ImpersonationMode", "impersonationMode", words.IMPERSONATION_MODE, default="default"),
        text("Account", "account"),
        text("Password", "password", is_secret=True),
        whole("MaxConnections", "maxConnections", default=10),
        word("Isolation", "isolation", words.DATASOURCE_ISOLATION, default="readCommitted"),
        whole("Timeout", "timeout"),
        text("Provider", "provider"),
        MODIFIED,
        json_text("ConnectionDetails", "connectionDetails", level=1400),
        json_text("Options", "options", level=1400),
        json_text("Credential", "credential", level=1400, is_secret=True),
        lines("ContextExpression", "contextExpression", level=1400),
    ),
    key="Name",
    tmsl_collection="dataSources",
    description="a connection to where values come from",
)

PARTITION: Final = ObjectType(
    "Partition",
    6,
    "TMSCHEMA_PARTITIONS",
    "Partitions",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        text("Name", "name"),
        lines("Description", "description"),
        link("DataSourceID", None, "DataSource"),
        lines("QueryDefinition"),
        word("State", "state", words.OBJECT_STATE, default="noData", role=Role.STATE),
        word("Type", None, words.PARTITION_SOURCE_TYPE, default="query"),
        *storage("PartitionStorageID"),
        word("Mode", "mode", words.MODE, default="default"),
        word("DataView", "dataView", words.DATA_VIEW, default="default"),
        MODIFIED,
        REFRESHED,
        SYSTEM_FLAGS,
        ERROR_MESSAGE,
        flag("RetainDataTillForceCalculate", level=1400),
        Property("RangeStart", "dateTime", minimum_level=1450),
        Property("RangeEnd", "dateTime", minimum_level=1450),
        word("RangeGranularity", None, words.REFRESH_GRANULARITY, default="invalid", level=1450),
        lines("RefreshBookmark", level=1450),
        link("QueryGroupID", "queryGroup", "QueryGroup", level=1480),
        link("ExpressionSourceID", None, "Expression", level=1520),
        lines("MAttributes", level=1535),
        only_child("DataCoverageDefinitionID", "dataCoverageDefinition", "DataCoverageDefinition", level=1603),
        lines("SchemaName", level=1604),
    ),
    key="Name",
    tmsl_collection="partitions",
    description="a part of a table that is refreshed by itself; TMSL keeps what depends on Type in `source`",
)

EXPRESSION: Final = ObjectType(
    "Expression",
    41,
    "TMSCHEMA_EXPRESSIONS",
    "Expressions",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        lines("Description", "description"),
        word("Kind", "kind", words.EXPRESSION_KIND, default=None),
        lines("Expression", "expression"),
        MODIFIED,
        link("QueryGroupID", "queryGroup", "QueryGroup", level=1480),
        link("ParameterValuesColumnID", "parameterValuesColumn", "Column", level=1545),
        text("MAttributes", "mAttributes", level=1535),
        *LINEAGE,
        text("RemoteParameterName", "remoteParameterName", level=1570),
        link("ExpressionSourceID", "expressionSource", "Expression", level=1570),
    ),
    key="Name",
    tmsl_collection="expressions",
    minimum_level=1400,
    description="a named expression that partitions use",
)

REFRESH_POLICY: Final = ObjectType(
    "RefreshPolicy",
    49,
    "TMSCHEMA_REFRESH_POLICIES",
    "RefreshPolicies",
    Parent("TableID", ("Table",)),
    (
        *identity(parent="TableID", target="Table"),
        word("PolicyType", "policyType", words.REFRESH_POLICY_TYPE, default=None),
        word("RollingWindowGranularity", "rollingWindowGranularity", words.REFRESH_GRANULARITY, default="invalid"),
        whole("RollingWindowPeriods", "rollingWindowPeriods"),
        word("IncrementalGranularity", "incrementalGranularity", words.REFRESH_GRANULARITY, default="invalid"),
        whole("IncrementalPeriods", "incrementalPeriods"),
        whole("IncrementalPeriodsOffset", "incrementalPeriodsOffset"),
        lines("PollingExpression", "pollingExpression"),
        lines("SourceExpression", "sourceExpression"),
        word("Mode", "mode", words.REFRESH_POLICY_MODE, default="import", level=1565),
    ),
    minimum_level=1450,
    description="how a table is refreshed piece by piece",
)

QUERY_GROUP: Final = ObjectType(
    "QueryGroup",
    51,
    "TMSCHEMA_QUERY_GROUPS",
    "QueryGroups",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Folder", "folder"),
        lines("Description", "description"),
    ),
    key="Folder",
    tmsl_collection="queryGroups",
    minimum_level=1480,
    description="a folder of expressions and partitions",
)

DATA_COVERAGE_DEFINITION: Final = ObjectType(
    "DataCoverageDefinition",
    58,
    "TMSCHEMA_DATA_COVERAGE_DEFINITIONS",
    "DataCoverageDefinitions",
    Parent("PartitionID", ("Partition",)),
    (
        *identity(parent="PartitionID", target="Partition"),
        lines("Description", "description"),
        lines("Expression", "expression"),
        MODIFIED,
        READY_STATE,
        ERROR_MESSAGE,
    ),
    minimum_level=1603,
    description="which rows a DirectQuery partition may be asked for",
)

BINDING_INFO: Final = ObjectType(
    "BindingInfo",
    64,
    "TMSCHEMA_BINDING_INFO_COLLECTION",
    "BindingInfoCollection",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        lines("Description", "description"),
        word("Type", "type", words.BINDING_INFO_TYPE, default=None),
        text("ConnectionId", "connectionId"),
    ),
    key="Name",
    tmsl_collection="bindingInfoCollection",
    minimum_level=1608,
    description="a hint which connection of the service a data source is bound to",
)

SOURCE_TYPES: Final = (
    DATA_SOURCE,
    PARTITION,
    EXPRESSION,
    REFRESH_POLICY,
    QUERY_GROUP,
    DATA_COVERAGE_DEFINITION,
    BINDING_INFO,
)
