"""
Taking a database out of service, and back into it.

A detached database is a folder below ``detached`` of the data folder: whole, readable without this program, and
anybody's to put another one there. What a restore demands of a backup, an attachment demands of such a folder.
Invariants:

1. A database is in service or out of it, whatever fails and whenever the process dies: whole in both, never lost, never
   both. Each way is one step of the data folder (:mod:`tabvault.storage.data_folder.detached`).
2. What comes into service was read to the last byte: every file has the length and CRC of the manifest, the manifest
   and ``db.xml`` speak of the same database, and it passed the same consistency check as a restore.
3. Whether a database may be written changes in no other way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import (
    CompatibilityError,
    DatabaseExistsError,
    DataFolderDamagedError,
    FormatError,
    LimitError,
)
from tabvault.formats.abf import backup_log, db_xml
from tabvault.jobs.database_name import check_database_name, id_problem
from tabvault.jobs.landing import COMPATIBILITY_LEVEL_MAX, COMPATIBILITY_LEVEL_MIN, check_staged
from tabvault.jobs.origin import Origin
from tabvault.jobs.progress import ProgressMeter
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.jobs.landing import ReadWriteMode
    from tabvault.jobs.progress import Progress
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.data_folder.manifest import Manifest
    from tabvault.storage.data_folder.staging import StagedVersion

_MANIFEST: Final = "manifest.json"
_DEFINITION_BYTE_COUNT_MAX: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class DetachResult:
    """What was detached. *folder* is the name by which it is attached again."""

    database: str
    folder: str
    byte_count: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttachResult:
    """What was attached."""

    database: str
    id: str
    compatibility_level: int
    read_write_mode: str
    folder: str
    byte_count: int
    file_count: int
    warnings: tuple[str, ...]
    seconds: float


def detach_database(folder: DataFolder, info: DatabaseInfo) -> DetachResult:
    """
    Take a database out of service. Who reads it goes on reading what he began with.

    Args:
        folder: the data folder.
        info: the database.

    Raises:
        DatabaseError: it was changed or dropped meanwhile.
        DataFolderDamagedError: it is damaged.
        StorageError: the file system refuses.
    """
    detached = folder.detach(info)
    warnings = []
    if detached.key != detached.name:  # who cannot read results knows the name of the database only
        warnings.append(f"database {detached.name!r} lies in the folder {detached.key!r} now; attach it by that name")
    return DetachResult(detached.name, detached.key, detached.byte_count, tuple(warnings))


def attach_database(
    folder: DataFolder,
    name: str,
    *,
    read_write_mode: ReadWriteMode | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> AttachResult:
    """
    Take a detached database into service; its folder below ``detached`` is gone then.

    Args:
        folder: the data folder.
        name: of the folder below ``detached``, as :func:`detach_database` told it.
        read_write_mode: whether it may be written from now on; None leaves that as it is.
        progress: told after each piece; raising from it cancels the job.

    Raises:
        DatabaseNotFoundError: there is no such folder.
        InvalidNameError: *name* leads elsewhere, or no database can have the name it has.
        DatabaseExistsError: a database in service has its name or its id.
        FormatError: a file is damaged or missing, or something else is in the folder.
        ModelError: its model cannot be served, or contradicts itself.
        DiskFullError: not enough room for what has to be copied.
        DatabaseError: the folder changed meanwhile.
    """
    begun = time.monotonic()
    meter = ProgressMeter(progress)
    with folder.open_detached(name) as detached:
        manifest = detached.manifest
        _check_manifest(manifest)
        _check_free(folder, manifest)
        detached.check_contents()
        folder.check_free_space(detached.copy_byte_count())
        with folder.stage_detached(detached) as staged:
            meter.step("attaching", manifest.byte_count)
            for entry in manifest.files:
                detached.bring(staged, entry, counted=meter.counted)
            detached.make_durable()
            meter.step("checking", None)
            _check_definition(staged, manifest)
            warnings = check_staged(staged)
            info = staged.commit(
                name=manifest.name,
                database_id=manifest.id,
                compatibility_level=manifest.compatibility_level,
                read_write_mode=read_write_mode or manifest.read_write_mode,
                container=manifest.container,
                replaces=detached.info,
            )
        return AttachResult(
            database=info.name,
            id=info.id,
            compatibility_level=info.compatibility_level,
            read_write_mode=info.read_write_mode,
            folder=detached.path.name,
            byte_count=info.byte_count,
            file_count=info.file_count,
            warnings=tuple(warnings),
            seconds=time.monotonic() - begun,
        )


def _check_free(folder: DataFolder, manifest: Manifest) -> None:
    """Refuse early; the commit decides."""
    for info in folder.databases():
        if info.name.casefold() == manifest.name.casefold():
            raise DatabaseExistsError(f"database {info.name!r} exists", hint="drop, detach or rename it")
        if info.id.casefold() == manifest.id.casefold():
            raise DatabaseExistsError(
                f"database {info.name!r} has the id {info.id!r} already", hint="drop or detach that database"
            )


def _check_manifest(manifest: Manifest) -> None:
    check_database_name(manifest.name)
    if id_problem(manifest.id):
        raise FormatError(f"the database's id {manifest.id[:80]!r} cannot be one", file=_MANIFEST)
    if not COMPATIBILITY_LEVEL_MIN <= manifest.compatibility_level <= COMPATIBILITY_LEVEL_MAX:
        raise CompatibilityError(
            f"the model has compatibility level {manifest.compatibility_level}, not one from "
            f"{COMPATIBILITY_LEVEL_MIN} to {COMPATIBILITY_LEVEL_MAX}"
        )
    try:
        Origin.from_json(manifest.container)
    except DataFolderDamagedError as error:
        raise FormatError(error.message, file=_MANIFEST) from None
    classes = {file.group_class for file in manifest.files}
    if classes != {backup_log.DATABASE_CLASS, backup_log.TABULAR_CLASS}:
        raise FormatError(f"files are of the classes {sorted(classes)}, not 100002 and 100069", file=_MANIFEST)
    if METADATA_FILE not in {file.name for file in manifest.files}:
        raise FormatError(f"it names no {METADATA_FILE}", file=_MANIFEST)


def _check_definition(staged: StagedVersion, manifest: Manifest) -> None:
    names = [
        file.name
        for file in manifest.files
        if file.group_class == backup_log.DATABASE_CLASS and file.name.endswith(".db.xml")
    ]
    if len(names) != 1:
        raise FormatError(f"it names {len(names)} db.xml files, not one", file=_MANIFEST)
    [name] = names
    if staged.byte_count(name) > _DEFINITION_BYTE_COUNT_MAX:
        raise LimitError(f"{staged.byte_count(name)} bytes are over {_DEFINITION_BYTE_COUNT_MAX}", file=name)
    definition = db_xml.parse(staged.read(name), file=name)
    found = (definition.name, definition.id, definition.compatibility_level)
    expected = (manifest.name, manifest.id, manifest.compatibility_level)
    if found != expected:
        raise FormatError(f"db.xml is of {found}, the manifest of {expected}", file=name)
