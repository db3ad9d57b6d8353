"""What is in a backup, from its header, directory, log and metadata alone: no column is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import LimitError
from tabvault.jobs.landing import read_definition
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.formats.abf import db_xml
    from tabvault.formats.abf.container import Container
    from tabvault.jobs.opening import OpenedBackup
    from tabvault.model.objects import Model, Partition, Table

METADATA_BYTE_COUNT_MAX = 1 << 30
"""Metadata are read into memory from a backup; the largest models of the field stay under a tenth of this."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """A user table: its mode, rows, visible and hidden columns (without the row number), and bytes of all its files."""

    name: str
    is_hidden: bool
    mode: str
    row_count: int
    column_count: int
    partition_count: int
    measure_count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class RoleSummary:
    """A role and its members."""

    name: str
    permission: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """
    What the backup says of itself and of its model.

    Of a model with XML metadata *compatibility_level* is its own, and everything else is of what it is converted to.
    """

    database: str
    id: str
    compatibility_level: int
    schema_version: int
    mode: str
    culture: str | None
    collation: str | None
    encrypted: bool
    envelope: str
    package_member: str | None
    compressed: bool
    has_checksums: bool
    directory_encoding: str
    file_byte_count: int
    raw_byte_count: int
    file_count: int
    row_count: int
    tables: tuple[TableSummary, ...]
    roles: tuple[RoleSummary, ...]
    relationship_count: int
    measure_count: int
    data_sources: tuple[str, ...]


_PERMISSIONS: Mapping[int, str] = {1: "none", 2: "read", 3: "readRefresh", 4: "refresh", 5: "administrator"}


def inspect_backup(opened: OpenedBackup) -> Inspection:
    """
    Summarise an opened backup.

    Raises:
        CompatibilityError: a compatibility level that is not supported.
        FormatError: the backup is damaged.
        ModelError: its metadata are.
    """
    container = opened.container
    _, definition = read_definition(container)
    with metadata_of(container) as metadata:
        model = load_model(metadata)
    return _summary(opened, definition, model)


def metadata_of(container: Container) -> Metadata:
    """
    The metadata of a container's model, held in memory.

    Raises:
        FormatError: it is damaged.
        LimitError: it is over :data:`METADATA_BYTE_COUNT_MAX`.
    """
    byte_count = container.files[METADATA_FILE].byte_count
    if byte_count > METADATA_BYTE_COUNT_MAX:
        raise LimitError(f"metadata of {byte_count} bytes are over {METADATA_BYTE_COUNT_MAX}", file=METADATA_FILE)
    return Metadata.from_bytes(container.read(METADATA_FILE))


def mode_of(model: Model) -> str:
    """``import``, ``directQuery``, ``composite``, … over the partitions of the user tables."""
    return _mode_of_all([partition for table in model.tables for partition in table.partitions], model)


def _mode_of_all(partitions: Sequence[Partition], model: Model) -> str:
    modes = {_mode_name(partition.mode) for partition in partitions} or {_mode_name(model.default_mode)}
    return modes.pop() if len(modes) == 1 else "composite"


def _mode_name(mode: int) -> str:
    """As TMSL spells it; the number of a mode that is newer than this."""
    names = {0: "import", 1: "directQuery", 2: "import", 3: "push", 4: "dual", 5: "directLake"}
    return names.get(int(mode), f"mode {int(mode)}")


def _summary(opened: OpenedBackup, definition: db_xml.DatabaseDefinition, model: Model) -> Inspection:
    container = opened.container
    tables = tuple(
        TableSummary(
            name=table.name,
            is_hidden=table.is_hidden,
            mode=_mode_of_all(table.partitions, model),
            row_count=table.row_count,
            column_count=sum(not column.is_row_number for column in table.columns),
            partition_count=len(table.partitions),
            measure_count=len(table.measures),
            byte_count=sum(container.files[name].byte_count for name in files_of(table) if name in container.files),
        )
        for table in model.tables
    )
    return Inspection(
        database=definition.name,
        id=definition.id,
        compatibility_level=opened.converted_from or definition.compatibility_level,
        schema_version=model.schema_version,
        mode=mode_of(model),
        culture=model.culture,
        collation=model.collation,
        encrypted=opened.encrypted,
        envelope=opened.envelope.name.lower(),
        package_member=opened.package_member,
        compressed=container.header.apply_compression,
        has_checksums=container.header.error_code,
        directory_encoding=container.encoding.name,
        file_byte_count=opened.file_byte_count,
        raw_byte_count=sum(file.byte_count for file in container.files.values()),
        file_count=len(container.files),
        row_count=sum(table.row_count for table in model.tables),
        tables=tables,
        roles=tuple(
            RoleSummary(
                name=role.name,
                permission=_PERMISSIONS.get(role.model_permission, str(role.model_permission)),
                members=tuple(member.name for member in role.members),
            )
            for role in model.roles
        ),
        relationship_count=len(model.relationships),
        measure_count=sum(len(table.measures) for table in model.tables),
        data_sources=tuple(source.name for source in model.data_sources),
    )


def files_of(table: Table) -> Iterator[str]:
    """Logical names of the files that hold the table's columns."""
    for column in table.columns:
        if column.storage is None:
            continue
        if column.storage.dictionary is not None and column.storage.dictionary.file is not None:
            yield column.storage.dictionary.file
        for partition in column.storage.partitions:
            yield from (name for name in (partition.idf_file, partition.idfmeta_file) if name is not None)
