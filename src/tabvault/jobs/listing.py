"""The databases of a data folder, as an administrator wants to see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import TabvaultError
from tabvault.jobs.inspect import mode_of
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from datetime import datetime

    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder


@dataclass(frozen=True, slots=True)
class DatabaseListing:
    """One database. *state* is ``ready``, or ``damaged`` with *problem* saying how and what is unknown None."""

    name: str
    id: str
    compatibility_level: int | None
    mode: str | None
    read_write_mode: str | None
    byte_count: int | None
    row_count: int | None
    table_count: int | None
    state: str
    problem: str | None
    version: int | None
    restored: datetime | None
    last_backup: datetime | None


def list_databases(folder: DataFolder) -> list[DatabaseListing]:
    """Every database, by name."""
    return sorted((_listing(folder, info) for info in folder.databases()), key=lambda listing: listing.name.casefold())


def _listing(folder: DataFolder, info: DatabaseInfo) -> DatabaseListing:
    mode = row_count = table_count = problem = None
    try:
        with folder.read(info) as version, Metadata.open(version.path(METADATA_FILE)) as metadata:
            model = load_model(metadata)
            mode = mode_of(model)
            row_count = sum(table.row_count for table in model.tables)
            table_count = len(model.tables)
    except TabvaultError as error:
        problem = str(error)
    return DatabaseListing(
        name=info.name,
        id=info.id,
        compatibility_level=info.compatibility_level,
        mode=mode,
        read_write_mode=info.read_write_mode,
        byte_count=info.byte_count,
        row_count=row_count,
        table_count=table_count,
        state="damaged" if problem else "ready",
        problem=problem,
        version=info.version,
        restored=info.committed,
        last_backup=info.last_backup,
    )
