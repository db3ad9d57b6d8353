"""
The tables and columns of ``metadata.sqlitedb``, by schema version.

The version belongs to the engine, not to the model: every database of an engine has the schema of its engine, and an
engine restores a database of an older schema, never one of a newer. A new database therefore gets the oldest schema
here that has a place for everything its compatibility level allows:

=======================  ==============  =====================================================================
compatibility level      schema version  read off
=======================  ==============  =====================================================================
1200                     19              a backup of SQL Server 2016
1201 to 1400             48              Power BI Desktop, April 2018 (level 1400)
1401 to 1520             73              Power BI Desktop, August 2020 (level 1520)
1521 to 1566             92              Power BI Desktop, September 2022 (level 1550)
1567 to 1708             123             Power BI Desktop, 2026 (level 1600)
=======================  ==============  =====================================================================

Versions between these exist (17 to 122 are read); for those five every table, column, type and order is known from a
whole genuine file. Levels above 1708 may need columns that none of them has.

One line per table: for each version its new columns, in order, after those it had. ``ID`` comes first everywhere.
Columns are INTEGER; ``:T`` is TEXT, ``:R`` REAL, ``:B`` BLOB; ``-Name`` is a column that the version has no more.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from tabvault.errors import CompatibilityError

LEVEL_MIN: Final = 1200
"""Models of lower levels have XML metadata."""

LEVEL_MAX: Final = 1708
"""The highest level whose properties (full-text indexing) have columns in the newest schema here."""

_VERSION_BY_LEVEL_MAX: Final = ((1200, 19), (1400, 48), (1520, 73), (1566, 92), (LEVEL_MAX, 123))

_TYPES: Final = {"T": "TEXT", "R": "REAL", "B": "BLOB", "": "INTEGER"}

_CATALOGUE: Final = """
Model 19 Name:T Description:T StorageLocation:T DefaultMode DefaultDataView Culture:T Collation:T ModifiedTime
    StructureModifiedTime | 48 DataAccessOptions:T DefaultMeasureID DefaultPowerBIDataSourceVersion | 73
    ForceUniqueNames DiscourageImplicitMeasures DiscourageReportMeasures DataSourceVariablesOverrideBehavior
    DataSourceDefaultMaxConnections SourceQueryCulture:T MAttributes:T | 92 DiscourageCompositeModels
    AutomaticAggregationOptions:T DisableAutoExists MaxParallelismPerRefresh MaxParallelismPerQuery | 123
    DisableSystemDefaultExpression DirectLakeBehavior ValueFilterBehavior SelectionExpressionBehavior
    MetadataAccessPolicy DefaultDirectLakeIndexingBehavior
DataSource 19 ModelID Name:T Description:T Type ConnectionString:T ImpersonationMode Account:T Password:T
    MaxConnections Isolation Timeout Provider:T ModifiedTime | 48 ConnectionDetails:T Options:T Credential:T
    ContextExpression:T
Table 19 ModelID Name:T DataCategory:T Description:T IsHidden TableStorageID ModifiedTime StructureModifiedTime
    SystemFlags ShowAsVariationsOnly IsPrivate | 48 DefaultDetailRowsDefinitionID AlternateSourcePrecedence
    RefreshPolicyID CalculationGroupID | 73 ExcludeFromModelRefresh LineageTag:T | 92 SourceLineageTag:T
    SystemManaged ExcludeFromAutomaticAggregations | 123 DirectLakeIndexingBehavior
Column 19 TableID ExplicitName:T InferredName:T ExplicitDataType InferredDataType DataCategory:T Description:T
    IsHidden State IsUnique IsKey IsNullable Alignment TableDetailPosition IsDefaultLabel IsDefaultImage SummarizeBy
    ColumnStorageID Type SourceColumn:T ColumnOriginID Expression:T FormatString:T IsAvailableInMDX SortByColumnID
    AttributeHierarchyID ModifiedTime StructureModifiedTime RefreshedTime SystemFlags KeepUniqueRows DisplayOrdinal
    ErrorMessage:T SourceProviderType:T DisplayFolder:T | 48 EncodingHint RelatedColumnDetailsID AlternateOfID | 73
    LineageTag:T | 92 SourceLineageTag:T EvaluationBehavior | 123 -EvaluationBehavior ExpressionContext
    StringIndexingBehavior FullTextIndexingBehavior
AttributeHierarchy 19 ColumnID State AttributeHierarchyStorageID ModifiedTime RefreshedTime
Partition 19 TableID Name:T Description:T DataSourceID QueryDefinition:T State Type PartitionStorageID Mode DataView
    ModifiedTime RefreshedTime SystemFlags ErrorMessage:T | 48 RetainDataTillForceCalculate RangeStart:R RangeEnd:R
    RangeGranularity RefreshBookmark:T | 73 QueryGroupID CubeName:T ExpressionSourceID MAttributes:T | 123 -CubeName
    DataCoverageDefinitionID SchemaName:T
Relationship 19 ModelID Name:T IsActive Type CrossFilteringBehavior JoinOnDateBehavior RelyOnReferentialIntegrity
    FromTableID FromColumnID FromCardinality ToTableID ToColumnID ToCardinality State RelationshipStorageID
    RelationshipStorage2ID ModifiedTime RefreshedTime SecurityFilteringBehavior
Measure 19 TableID Name:T Description:T DataType Expression:T FormatString:T IsHidden State ModifiedTime
    StructureModifiedTime KPIID IsSimpleMeasure ErrorMessage:T DisplayFolder:T | 48 DetailRowsDefinitionID | 73
    DataCategory:T FormatStringDefinitionID LineageTag:T | 92 SourceLineageTag:T
Hierarchy 19 TableID Name:T Description:T IsHidden State HierarchyStorageID ModifiedTime StructureModifiedTime
    RefreshedTime DisplayFolder:T | 48 HideMembers | 73 LineageTag:T | 92 SourceLineageTag:T
Level 19 HierarchyID Ordinal Name:T Description:T ColumnID ModifiedTime | 73 LineageTag:T | 92 SourceLineageTag:T
Annotation 19 ObjectID ObjectType Name:T Value:T ModifiedTime
KPI 19 MeasureID Description:T TargetDescription:T TargetExpression:T TargetFormatString:T StatusGraphic:T
    StatusDescription:T StatusExpression:T TrendGraphic:T TrendDescription:T TrendExpression:T ModifiedTime
Culture 19 ModelID Name:T LinguisticMetadataID ModifiedTime StructureModifiedTime
ObjectTranslation 19 CultureID ObjectID ObjectType Property Value:T ModifiedTime | 92 Altered
LinguisticMetadata 19 CultureID Content:T ModifiedTime | 73 ContentType
StorageFolder 19 OwnerID OwnerType Path:T
StorageFile 19 OwnerID OwnerType StorageFolderID FileName:T
TableStorage 19 TableID Name:T Version Settings RIViolationCount StorageFolderID
ColumnStorage 19 ColumnID Name:T StoragePosition DictionaryStorageID Settings ColumnFlags Collation:T
    OrderByColumn:T Locale BinaryCharacters Statistics_DistinctStates Statistics_MinDataID Statistics_MaxDataID
    Statistics_OriginalMinSegmentDataID Statistics_RLESortOrder Statistics_RowCount Statistics_HasNulls
    Statistics_RLERuns Statistics_OthersRLERuns Statistics_Usage Statistics_DBType Statistics_XMType
    Statistics_CompressionType Statistics_CompressionParam Statistics_EncodingHint | 123 IsDeltaPartitionColumn
    DeltaColumnMappingPhysicalName:T DeltaColumnMappingId FramedSourceColumn:T DeltaColumnPrimitiveType
    DeltaTableColumnStorageID StringIndexStorageID ColumnIndexStorageID FullTextIndexStorageID
PartitionStorage 19 PartitionID Name:T StoragePosition SegmentMapStorageID DataObjectId StorageFolderID | 92
    DeltaTableMetadataStorageID
SegmentMapStorage 19 PartitionStorageID Type RecordCount SegmentCount RecordsPerSegment
DictionaryStorage 19 ColumnStorageID Type DataType DataVersion BaseId Magnitude:R LastId IsNullable IsUnique
    IsOperatingOn32 DictionaryFlags StorageFileID | 92 Size
ColumnPartitionStorage 19 ColumnStorageID PartitionStorageID DataVersion State SegmentStorageID StorageFileID
SegmentStorage 19 ColumnPartitionStorageID SegmentCount StorageFileID
RelationshipStorage 19 RelationshipID Name:T DefinitionType Cardinality Flags RelationshipIndexStorageID
RelationshipIndexStorage 19 RelationshipStorageID IndexType Flags RecordCount SecondaryRecordCount StorageFolderID
    StorageFileID SystemTableID SecondarySystemTableID
AttributeHierarchyStorage 19 AttributeHierarchyID SortOrder OptimizationLevel MaterializationType
    ColumnPositionToData ColumnDataToPosition DistinctDataCount DataVersion StorageFileID SystemTableID | 123
    HasStatistics MinValue:T MaxValue:T StringValueMaxLength
HierarchyStorage 19 HierarchyID Name:T LevelDefinition:T MaterializationType StructureType SystemTableID
Perspective 19 ModelID Name:T Description:T ModifiedTime
PerspectiveTable 19 PerspectiveID TableID IncludeAll ModifiedTime
PerspectiveColumn 19 PerspectiveTableID ColumnID ModifiedTime
PerspectiveHierarchy 19 PerspectiveTableID HierarchyID ModifiedTime
PerspectiveMeasure 19 PerspectiveTableID MeasureID ModifiedTime
Role 19 ModelID Name:T Description:T ModelPermission ModifiedTime
RoleMembership 19 RoleID MemberName:T MemberID:T IdentityProvider:T MemberType ModifiedTime
TablePermission 19 RoleID TableID FilterExpression:T ModifiedTime State ErrorMessage:T | 48 MetadataPermission
Variation 19 ColumnID Name:T Description:T RelationshipID DefaultHierarchyID DefaultColumnID IsDefault
Set 48 TableID Name:T Description:T Expression:T IsDynamic IsHidden State ModifiedTime StructureModifiedTime
    ErrorMessage:T DisplayFolder:T
PerspectiveSet 48 PerspectiveTableID SetID ModifiedTime
ExtendedProperty 48 ObjectID ObjectType Name:T Type Value:T ModifiedTime
Expression 48 ModelID Name:T Description:T Kind Expression:T ModifiedTime | 73 QueryGroupID ParameterValuesColumnID
    MAttributes:T LineageTag:T | 92 SourceLineageTag:T RemoteParameterName:T ExpressionSourceID
ColumnPermission 48 TablePermissionID ColumnID ModifiedTime MetadataPermission
DetailRowsDefinition 48 ObjectID ObjectType Expression:T ModifiedTime State ErrorMessage:T
RelatedColumnDetails 48 ColumnID ModifiedTime
GroupByColumn 48 RelatedColumnDetailsID GroupingColumnID ModifiedTime
CalculationGroup 48 TableID Description:T ModifiedTime Precedence
CalculationItem 48 CalculationGroupID Name:T Description:T ModifiedTime State ErrorMessage:T Expression:T | 73
    -Name -Description -ModifiedTime -State -ErrorMessage -Expression FormatStringDefinitionID Name:T Description:T
    ModifiedTime State ErrorMessage:T Expression:T Ordinal
AlternateOf 48 ColumnID BaseColumnID BaseTableID Summarization
RefreshPolicy 48 TableID PolicyType RollingWindowGranularity RollingWindowPeriods IncrementalGranularity
    IncrementalPeriods IncrementalPeriodsOffset PollingExpression:T SourceExpression:T | 92 Mode
FormatStringDefinition 73 ObjectID ObjectType Expression:T ModifiedTime State ErrorMessage:T
QueryGroup 73 ModelID Folder:T Description:T
AnalyticsAIMetadata 73 ModelID Name:T MeasureAnalysisDefinition:T
ChangedProperty 92 ObjectID ObjectType Property:T
ExcludedArtifact 92 ObjectID ObjectType ArtifactType Reference:T
GeneralSegmentMapSegmentMetadataStorage 92 SegmentMapStorageID RecordCount Ordinal
DeltaTableMetadataStorage 92 PartitionStorageID TableName:T RootLocation:T CurrentVersion:T TableObjectID:T | 123
    -TableName -RootLocation -CurrentVersion -TableObjectID DataSourceReference:T TableName:T RootLocation:T
    CurrentVersion:T TableObjectID:T DatamartObjectID:T FramedSchemaName:T FallbackReason DeltaColumnMappingMode
    DeltaLogETag:T ArtifactObjectId:T ArtifactSecurityVersion:T
ParquetFileStorage 92 DeltaTableMetadataStorageID Size Location:T CreatedVersion:T DeletedVersion:T RowgroupCount
    Ordinal | 123 ETag:T DeletionVectorFileLocation:T DeletionVectorBitmapOffset DeletionVectorBitmapSize
    DeletionVectorInlineBitmap:B DeletionVectorFileETag:T
DataCoverageDefinition 123 PartitionID Description:T Expression:T ModifiedTime State ErrorMessage:T
CalculationExpression 123 CalculationGroupID FormatStringDefinitionID Description:T Expression:T ModifiedTime State
    ErrorMessage:T SelectionMode
Calendar 123 TableID Name:T Description:T LineageTag:T SourceLineageTag:T ModifiedTime
CalendarColumnGroup 123 CalendarID TimeUnit ModifiedTime
CalendarColumnReference 123 CalendarColumnGroupID ColumnID IsPrimaryColumn ModifiedTime
Function 123 ModelID Name:T Description:T Expression:T IsHidden State ErrorMessage:T ModifiedTime
    StructureModifiedTime LineageTag:T SourceLineageTag:T
BindingInfo 123 ModelID Name:T Description:T Type ConnectionId:T
DeltaTableColumnStorage 123 ColumnStorageID UncompressedSize MinCardinality MaxCardinality
StringIndexStorage 123 ColumnStorageID StorageFileID DataVersion ImplementationVersion SourceDictionaryDataVersion
ColumnIndexStorage 123 ColumnStorageID StorageFileID DataVersion DeltaVersion LastId IsNullable IsOperatingOn32
FullTextIndexStorage 123 ColumnStorageID StorageFileID DataVersion ImplementationVersion SourceDictionaryDataVersion
"""


def schema_version_of(compatibility_level: int) -> int:
    """
    The schema version of a new database.

    Raises:
        CompatibilityError: the level is below or above those that the schemas here are for.
    """
    if compatibility_level >= LEVEL_MIN:
        for level_max, version in _VERSION_BY_LEVEL_MAX:
            if compatibility_level <= level_max:
                return version
    message = f"compatibility level is {compatibility_level}, not one from {LEVEL_MIN} to {LEVEL_MAX}"
    raise CompatibilityError(message, hint="create the database with a level that this version knows")


@cache
def tables_of(schema_version: int) -> dict[str, dict[str, str]]:
    """
    The tables of a schema version of :func:`schema_version_of`, in the order of genuine files, each with its columns
    after ``ID`` and their SQL types.
    """
    versions = {version for _, version in _VERSION_BY_LEVEL_MAX}
    if schema_version not in versions:
        raise ValueError(f"schema version {schema_version} is not among {sorted(versions)}")
    tables: dict[str, dict[str, str]] = {}
    for table, steps in _steps().items():
        columns: dict[str, str] = {}
        for version, changes in steps:
            if version > schema_version:
                break
            for change in changes:
                if change.startswith("-"):
                    del columns[change[1:]]
                else:
                    name, _, code = change.partition(":")
                    columns[name] = _TYPES[code]
        if columns:
            tables[table] = columns
    return tables


@cache
def column_types() -> dict[tuple[str, str], str]:
    """The SQL type of every (table, column) of any version here."""
    types: dict[tuple[str, str], str] = {}
    for table, steps in _steps().items():
        for _, changes in steps:
            for change in changes:
                name, _, code = change.partition(":")
                if not name.startswith("-"):
                    types[table, name] = _TYPES[code]
    return types


def _steps() -> dict[str, list[tuple[int, list[str]]]]:
    """By table: (version, changes of that version), oldest first."""
    steps: dict[str, list[tuple[int, list[str]]]] = {}
    for line in re.sub(r"\n +", " ", _CATALOGUE).strip().splitlines():
        table, _, rest = line.partition(" ")
        for part in rest.split(" | "):
            version, *changes = part.split()
            steps.setdefault(table, []).append((int(version), changes))
    return steps
