"""
The databases of a data folder, as an administrator wants to see them.

What is said of a database is looked at, not remembered: that every file is there and as long as it was committed (a
``stat`` of each, no file is read but the metadata), and that the last backup still lies in the container. Bytes that
changed within a file are found by verifying the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tabvault.errors import FormatError, ObjectNotFoundError, StorageError, TabvaultError
from tabvault.jobs.inspect import mode_of
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from datetime import datetime

    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.data_folder.version import VersionReader

BackupState = Literal["present", "changed", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class DatabaseListing:
    """
    One database.

    Attributes:
        state: ``ready``, or ``damaged`` with *problem* saying how and what is unknown None.
        last_backup: when it ended, or None if there was none.
        last_backup_file: its name in the container.
        last_backup_state: whether the container still has it: ``present``, ``changed`` (another file has its name),
            ``gone``, or ``unknown`` where the container cannot be asked; None if there was no backup.
    """

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
    last_backup_file: str | None
    last_backup_state: BackupState | None


@dataclass(frozen=True, slots=True)
class DetachedListing:
    """
    One database out of service.

    Attributes:
        folder: by which it is attached.
        committed: when the version was made that it was detached with.
        state: ``ready``, or ``damaged`` with *problem* saying how and what is unknown None.
    """

    folder: str
    name: str | None
    id: str | None
    compatibility_level: int | None
    read_write_mode: str | None
    byte_count: int | None
    committed: datetime | None
    state: str
    problem: str | None


def list_detached(folder: DataFolder) -> list[DetachedListing]:
    """
    Every database out of service that lies in the data folder, by its folder.

    Raises:
        StorageError: it cannot be read.
    """
    return [_detached(info) for info in folder.detached()]


def _detached(info: DatabaseInfo) -> DetachedListing:
    known = info.damage is None
    return DetachedListing(
        folder=info.key,
        name=info.name if known else None,
        id=info.id if known else None,
        compatibility_level=info.compatibility_level if known else None,
        read_write_mode=info.read_write_mode if known else None,
        byte_count=info.byte_count if known else None,
        committed=info.committed,
        state=info.state,
        problem=info.damage,
    )


def list_databases(folder: DataFolder, store: ObjectStore | None) -> list[DatabaseListing]:
    """
    Every database, by name.

    Args:
        folder: the data folder.
        store: the container that backups go to now; None if it cannot be reached.
    """
    listings = (listing_of(folder, info, store) for info in folder.databases())
    return sorted(listings, key=lambda listing: listing.name.casefold())


def listing_of(folder: DataFolder, info: DatabaseInfo, store: ObjectStore | None) -> DatabaseListing:
    """One database as the list shows it; arguments as :func:`list_databases`."""
    mode = row_count = table_count = problem = None
    try:
        with folder.read(info) as version:
            problem = _file_problem(version)
            with Metadata.open(version.path(METADATA_FILE)) as metadata:
                model = load_model(metadata)
            mode = mode_of(model)
            row_count = sum(table.row_count for table in model.tables)
            table_count = len(model.tables)
    except TabvaultError as error:
        problem = problem or str(error)
    known = info.damage is None
    return DatabaseListing(
        name=info.name,
        id=info.id,
        compatibility_level=info.compatibility_level if known else None,
        mode=mode,
        read_write_mode=info.read_write_mode if known else None,
        byte_count=info.byte_count if known else None,
        row_count=row_count,
        table_count=table_count,
        state="damaged" if problem else "ready",
        problem=problem,
        version=info.version if known else None,
        restored=info.committed,
        last_backup=info.last_backup,
        last_backup_file=info.last_backup_file,
        last_backup_state=_backup_state(info, store),
    )


def _file_problem(version: VersionReader) -> str | None:
    """The first file that is missing or not of its length, and how many more are."""
    problems = []
    for name in version.names():
        try:
            version.check_length(name)
        except (FormatError, StorageError) as error:
            problems.append(str(error))
    if not problems:
        return None
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0]}{more} of {len(version.names())} files"


def _backup_state(info: DatabaseInfo, store: ObjectStore | None) -> BackupState | None:
    if info.last_backup is None:
        return None
    if info.last_backup_file is None or store is None:
        return "unknown"
    try:
        found = store.info(info.last_backup_file)
    except ObjectNotFoundError:
        return "gone"
    except StorageError:
        return "unknown"
    return "present" if found.last_modified == info.last_backup else "changed"
