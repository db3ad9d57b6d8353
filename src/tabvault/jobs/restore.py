"""
Restoring a backup from the container of the storage account, and importing one from anywhere.

From a store that is reached over a network, what was fetched is kept in the data folder until the database is there
(:mod:`tabvault.storage.downloads`), so that a restore that was interrupted does not begin at nothing:

1. The room that the database needs comes first: what is kept never makes a restore fail that would succeed without it.
2. It is kept over failures that another try may not meet (network, disk, a wrong password, a name that is taken), and
   removed when the database is there, or the file is one that no try can restore.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import DiskFullError, FormatError, ModelError
from tabvault.jobs.landing import LandingOptions, land, preflight
from tabvault.jobs.opening import open_backup
from tabvault.jobs.progress import ProgressMeter
from tabvault.storage.downloads import ResumedDownload

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import Progress
    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.data_folder.folder import DataFolder

_RESERVED_RATIO: Final = 4
"""So many times the length of the file are left free for the database, whose length is not known yet."""


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

        def bring(source: ByteSource) -> RestoreResult:
            return bring_in(
                folder,
                source,
                stored.info.name,
                database,
                options=options or LandingOptions(),
                password=password,
                progress=progress,
            )

        if store.remote_place is None:
            return bring(stored)
        with ResumedDownload(stored, store.remote_place, folder.downloads_folder) as download:
            download.allow(folder.free_byte_count() - _RESERVED_RATIO * download.byte_count)
            return _resumed(bring, download)


def _resumed(bring: Callable[[ByteSource], RestoreResult], download: ResumedDownload) -> RestoreResult:
    """What *bring* makes of *download*, and what is kept of it removed when no other try needs it."""
    try:
        result = bring(download)
    except DiskFullError:
        if not download.discard():
            raise
        # Without what was kept there may be room.
        return bring(download)
    except (FormatError, ModelError):
        download.discard()
        raise
    download.discard()
    return result


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
