"""
From the metadata tables to a :class:`~tabvault.model.objects.Model`, wholly or not at all.

Every reference is followed through a dictionary by id and must lead to a row of the right table. What a schema version
does not have yet takes the value that its absence meant. Sources: genuine files of schema versions 17 to 122; the
enumerations are those of the public tabular object model. Names are not asked to be different, for nothing stored
depends on them, and a number that an enumeration does not know stays a number until values are decoded by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import ModelError
from tabvault.model import filetime
from tabvault.model.load_storage import StorageFacts
from tabvault.model.objects import (
    Cardinality,
    Column,
    DataSource,
    DataType,
    DataView,
    Hierarchy,
    Level,
    Measure,
    Model,
    NamedExpression,
    ObjectState,
    Partition,
    PartitionMode,
    PartitionType,
    Relationship,
    Role,
    RoleMember,
    Table,
)
from tabvault.model.records import Record, Records

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import ColumnStorage

SYSTEM_FLAG = 1
"""``Table.SystemFlags``: an H$, R$ or U$ structure. 2 marks Power BI's calculated tables, which are like others."""


def load_model(metadata: Metadata) -> Model:
    """
    The whole model.

    Raises:
        FormatError: the bytes of a table are damaged.
        ModelError: a row contradicts itself or another, or an id leads nowhere; table and id are in the message.
    """
    model = _the_model(metadata)
    default_mode = _mode(model.integer("DefaultMode"))
    if default_mode == PartitionMode.DEFAULT:
        raise model.error("DefaultMode", "a mode of its own")
    tables = Records(metadata, "Table", ("Name", "Description", "IsHidden", "SystemFlags", "TableStorageID"))
    columns = Records(metadata, "Column", _COLUMN)
    loaded = _tables(metadata, tables=tables, columns=columns, model=model)
    return Model(
        name=model.text("Name"),
        description=model.text_or_none("Description"),
        schema_version=metadata.schema_version,
        default_mode=default_mode,
        culture=model.text_or_none("Culture"),
        collation=model.text_or_none("Collation"),
        last_update=_last_committed(metadata),
        tables=tuple(table for table in loaded if not table.is_system),
        system_tables=tuple(table for table in loaded if table.is_system),
        relationships=_relationships(metadata, tables=tables, columns=columns),
        roles=_roles(metadata),
        data_sources=_data_sources(metadata),
        expressions=_expressions(metadata),
    )


_COLUMN = (
    "TableID",
    "ExplicitName",
    "InferredName",
    "ExplicitDataType",
    "InferredDataType",
    "Type",
    "Description",
    "Expression",
    "FormatString",
    "IsHidden",
    "IsAvailableInMDX",
    "ColumnStorageID",
    "SourceColumn",
    "IsKey",
    "IsNullable",
    "State",
    "SortByColumnID",
)


def _the_model(metadata: Metadata) -> Record:
    models = list(
        Records(metadata, "Model", ("Name", "Description", "DefaultMode", "DefaultDataView", "Culture", "Collation"))
    )
    if len(models) != 1:
        raise ModelError(f"table Model has {len(models)} rows, not 1")
    return models[0]


def _last_committed(metadata: Metadata) -> datetime | None:
    """``DBPROPERTIES.LASTCOMMITTED``, a FILETIME."""
    committed = metadata.properties().get("LASTCOMMITTED")
    if committed is None or committed in (0, filetime.NEVER):
        return None
    if not isinstance(committed, int) or not 0 < committed < filetime.END:
        raise ModelError(f"DBPROPERTIES LASTCOMMITTED is {committed!r}, not a time")
    return filetime.moment(committed)


def _tables(metadata: Metadata, *, tables: Records, columns: Records, model: Record) -> tuple[Table, ...]:
    storage = StorageFacts(metadata)
    partitions = Records(
        metadata,
        "Partition",
        (
            "TableID",
            "Name",
            "Type",
            "Mode",
            "DataView",
            "State",
            "QueryDefinition",
            "PartitionStorageID",
            "DataSourceID",
            "RangeStart",
            "RangeEnd",
        ),
    ).grouped_by("TableID", tables)
    columns_of = columns.grouped_by("TableID", tables)
    measures = _measures(metadata, tables)
    hierarchies = _hierarchies(metadata, tables=tables, columns=columns)
    loaded = []
    for record in tables:
        own_partitions = _partitions(partitions.get(record.id, ()), storage, model)
        system_flags = record.integer("SystemFlags", 0)
        table = Table(
            id=record.id,
            name=record.text("Name"),
            description=record.text_or_none("Description"),
            is_hidden=record.flag("IsHidden"),
            is_system=bool(system_flags & SYSTEM_FLAG),
            system_flags=system_flags,
            columns=_columns(columns_of.get(record.id, ()), storage, own_partitions),
            partitions=own_partitions,
            measures=tuple(measures.get(record.id, ())),
            hierarchies=tuple(hierarchies.get(record.id, ())),
            storage_version=storage.table_version(record),
        )
        loaded.append(table)
    return tuple(loaded)


def _partitions(records: Iterable[Record], storage: StorageFacts, model: Record) -> tuple[Partition, ...]:
    """In the order of their storage positions, which is the order of the rows."""
    partitions = []
    for record in records:
        kind = record.integer("Type")
        mode = record.integer("Mode")
        if mode == PartitionMode.DEFAULT and kind != PartitionType.SYSTEM:
            mode = model.integer("DefaultMode")
        data_view = record.integer("DataView", DataView.DEFAULT)
        if data_view == DataView.DEFAULT:
            data_view = model.integer("DefaultDataView", DataView.FULL)
        partitions.append(
            Partition(
                id=record.id,
                name=record.text("Name"),
                type=kind,
                mode=_mode(mode),
                state=record.integer("State", ObjectState.READY),
                query_definition=record.text_or_none("QueryDefinition"),
                storage=storage.partition_storage(record),
                is_sample=data_view == DataView.SAMPLE,
                data_source_id=record.integer("DataSourceID", 0) or None,
                range_start=record.real_or_none("RangeStart"),
                range_end=record.real_or_none("RangeEnd"),
            )
        )
    return tuple(sorted(partitions, key=lambda part: (part.storage.storage_position if part.storage else 0, part.id)))


def _mode(number: int) -> PartitionMode | int:
    return PartitionMode(number) if number in set(PartitionMode) else number


def _columns(records: Iterable[Record], storage: StorageFacts, partitions: tuple[Partition, ...]) -> tuple[Column, ...]:
    """In the order of their storage positions; a column without storage comes last."""
    positions = {part.storage.id: place for place, part in enumerate(partitions) if part.storage}
    columns = []
    for record in records:
        stored = storage.column_storage(record, positions)
        place = (0, stored[0], record.id) if stored else (1, 0, record.id)
        columns.append((place, _column(record, stored)))
    return tuple(column for _, column in sorted(columns, key=lambda item: item[0]))


def _column(record: Record, stored: tuple[int, ColumnStorage] | None) -> Column:
    name = record.text_or_none("ExplicitName")
    return Column(
        id=record.id,
        name=record.text("InferredName") if name is None else name,
        table_id=record.integer("TableID"),
        type=record.integer("Type"),
        data_type=_data_type(record),
        description=record.text_or_none("Description"),
        expression=record.text_or_none("Expression"),
        format_string=record.text_or_none("FormatString"),
        is_hidden=record.flag("IsHidden"),
        is_available_in_mdx=record.flag("IsAvailableInMDX", default=True),
        storage=stored[1] if stored else None,
        source_column=record.text_or_none("SourceColumn"),
        is_key=record.flag("IsKey"),
        is_nullable=record.flag("IsNullable", default=True),
        state=record.integer("State", ObjectState.READY),
        sort_by_column_id=record.integer("SortByColumnID", 0) or None,
    )


def _data_type(record: Record) -> DataType | int:
    """The explicit type; the inferred one where the explicit one is "automatic" or "unknown"."""
    column = "ExplicitDataType"
    if record.integer(column, DataType.AUTOMATIC) in (DataType.AUTOMATIC, DataType.UNKNOWN):
        column = "InferredDataType"
    number = record.integer(column, DataType.UNKNOWN)
    return DataType(number) if number in set(DataType) else number


def _measures(metadata: Metadata, tables: Records) -> dict[int, list[Measure]]:
    records = Records(metadata, "Measure", ("TableID", "Name", "Expression", "Description", "FormatString", "IsHidden"))
    return {
        table_id: [
            Measure(
                id=record.id,
                name=record.text("Name"),
                table_id=table_id,
                expression=record.text_or_none("Expression") or "",
                description=record.text_or_none("Description"),
                format_string=record.text_or_none("FormatString"),
                is_hidden=record.flag("IsHidden"),
            )
            for record in group
        ]
        for table_id, group in records.grouped_by("TableID", tables).items()
    }


def _hierarchies(metadata: Metadata, *, tables: Records, columns: Records) -> dict[int, list[Hierarchy]]:
    records = Records(metadata, "Hierarchy", ("TableID", "Name"))
    levels = Records(metadata, "Level", ("HierarchyID", "Name", "Ordinal", "ColumnID"))
    levels_of = levels.grouped_by("HierarchyID", records)
    hierarchies: dict[int, list[Hierarchy]] = {}
    for table_id, group in records.grouped_by("TableID", tables).items():
        for record in group:
            own_levels = [
                Level(
                    name=level.text("Name"),
                    ordinal=level.integer("Ordinal"),
                    column_id=columns.target(level, "ColumnID").id,
                )
                for level in levels_of.get(record.id, ())
            ]
            own_levels.sort(key=lambda level: level.ordinal)
            hierarchy = Hierarchy(id=record.id, name=record.text("Name"), table_id=table_id, levels=tuple(own_levels))
            hierarchies.setdefault(table_id, []).append(hierarchy)
    return hierarchies


_JOIN = ("FromCardinality", "ToCardinality", "JoinOnDateBehavior")


def _relationships(metadata: Metadata, *, tables: Records, columns: Records) -> tuple[Relationship, ...]:
    ends = ("FromTableID", "FromColumnID", "ToTableID", "ToColumnID")
    relationships = []
    for record in Records(metadata, "Relationship", ("Name", "IsActive", "CrossFilteringBehavior", *ends, *_JOIN)):
        for table_column, column_column in (ends[:2], ends[2:]):
            if columns.target(record, column_column).integer("TableID") != tables.target(record, table_column).id:
                raise record.error(column_column, f"a column of {table_column} {record.integer(table_column)}")
        relationships.append(
            Relationship(
                id=record.id,
                name=record.text_or_none("Name") or "",
                is_active=record.flag("IsActive", default=True),
                from_table_id=record.integer("FromTableID"),
                from_column_id=record.integer("FromColumnID"),
                to_table_id=record.integer("ToTableID"),
                to_column_id=record.integer("ToColumnID"),
                cross_filtering_behavior=record.integer("CrossFilteringBehavior", 1),
                from_cardinality=record.integer("FromCardinality", Cardinality.MANY),
                to_cardinality=record.integer("ToCardinality", Cardinality.ONE),
                join_on_date_behavior=record.integer("JoinOnDateBehavior", 1),
            )
        )
    return tuple(relationships)


def _roles(metadata: Metadata) -> tuple[Role, ...]:
    roles = Records(metadata, "Role", ("Name", "Description", "ModelPermission"))
    members = Records(
        metadata, "RoleMembership", ("RoleID", "MemberName", "MemberID", "IdentityProvider", "MemberType")
    ).grouped_by("RoleID", roles)
    return tuple(
        Role(
            id=role.id,
            name=role.text("Name"),
            description=role.text_or_none("Description"),
            model_permission=role.integer("ModelPermission"),
            members=tuple(_member(member) for member in members.get(role.id, ())),
        )
        for role in roles
    )


def _member(record: Record) -> RoleMember:
    return RoleMember(
        id=record.id,
        name=record.text_or_none("MemberName") or "",
        member_id=record.text_or_none("MemberID"),
        identity_provider=record.text_or_none("IdentityProvider"),
        member_type=record.integer("MemberType", 1),
    )


_DATA_SOURCE = (
    "Name",
    "Type",
    "Provider",
    "ConnectionString",
    "Account",
    "Password",
    "Timeout",
    "ConnectionDetails",
    "Options",
    "Credential",
)


def _data_sources(metadata: Metadata) -> tuple[DataSource, ...]:
    return tuple(
        DataSource(
            id=record.id,
            name=record.text("Name"),
            type=record.integer("Type", 1),
            provider=record.text_or_none("Provider"),
            connection_string=record.text_or_none("ConnectionString"),
            account=record.text_or_none("Account"),
            password=record.text_or_none("Password"),
            timeout_s=record.integer("Timeout", 0),
            connection_details=record.text_or_none("ConnectionDetails"),
            options=record.text_or_none("Options"),
            credential=record.text_or_none("Credential"),
        )
        for record in Records(metadata, "DataSource", _DATA_SOURCE)
    )


def _expressions(metadata: Metadata) -> tuple[NamedExpression, ...]:
    return tuple(
        NamedExpression(
            id=record.id,
            name=record.text("Name"),
            kind=record.integer("Kind", 0),
            expression=record.text_or_none("Expression") or "",
        )
        for record in Records(metadata, "Expression", ("Name", "Kind", "Expression"))
    )
