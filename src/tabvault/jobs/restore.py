"""Restoring a backup from the container of the storage account, and importing one from anywhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.jobs.landing import LandingOptions, land, preflight
from tabvault.jobs.opening import open_backup
from tabvault.jobs.progress import ProgressMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import Progress
    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.data_folder.folder import DataFolder


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored. *raw_byte_count* counts the database's files as they lie in the data folder."""

    database: str
    id: str
    compatibility_level: int
    file: str
    file_byte_count: int
    raw_byte_count: int
    file_count: int
    replaced: bool
    warnings: tuple[str, ...]
    seconds: float


def restore_database(
    folder: DataFolder,
    store: ObjectStore,
    file: str,
    database: str | None = None,
    *,
    options: LandingOptions | None = None,
    password: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RestoreResult:
    """
    Restore a backup that lies in the container.

    Args:
        folder: the data folder.
        store: the container of the storage account.
        file: name in the container.
        database: name to restore under; the one in the backup by default.
        options: overwriting, security, read-write mode.
        password: of an encrypted backup.
        progress: told after each piece; raising from it cancels the job.

    Raises:
        ObjectNotFoundError: no such file.
        PasswordError: missing, wrong or superfluous.
        FormatError: not a backup, or damaged.
        ModelError: its model cannot be served, or contradicts itself.
        DatabaseError: the name is taken and overwriting not asked for, or the target is read-only.
        DiskFullError: not enough room.
    """
    with store.open(file) as stored:
        return bring_in(
            folder,
            stored,
            stored.info.name,
            database,
            options=options or LandingOptions(),
            password=password,
            progress=progress,
        )


def bring_in(
    folder: DataFolder,
    source: ByteSource,
    file: str,
    database: str | None,
    *,
    options: LandingOptions,
    password: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RestoreResult:
    """
    Make a database of a backup, wherever its bytes lie. Arguments and errors as :func:`restore_database`.

    Args:
        source: the backup's bytes.
        file: what to call it in the result.
    """
    begun = time.monotonic()
    meter = ProgressMeter(progress)
    with open_backup(source, password=password, spool_folder=folder.spool_folder, meter=meter) as opened:
        landing = preflight(folder, opened, database, options)
        landed = land(folder, landing, options, meter)
        return RestoreResult(
            database=landed.info.name,
            id=landed.info.id,
            compatibility_level=landed.info.compatibility_level,
            file=file,
            file_byte_count=opened.file_byte_count,
            raw_byte_count=landing.raw_byte_count,
            file_count=len(opened.container.files),
            replaced=landing.replaces is not None,
            warnings=(*opened.warnings, *landed.warnings),
            seconds=time.monotonic() - begun,
        )
