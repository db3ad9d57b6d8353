"""
Backing up a database into the container of the storage account.

Invariants, each tested by making every storage call fail in turn, before and after its effect:

1. The object becomes visible only by ``Upload.finish``, with every byte in it; until then there is none, or the old
   one.
2. Without ``overwrite`` an existing object is never touched; the store decides that when it publishes, not before.
3. Every file body is compared with the checksum its database version was committed with while it is written: a file
   that was damaged on disk stops the backup, it does not become part of one.
4. The version read is pinned: a restore that commits meanwhile changes nothing in the backup.
5. Page 0, and in an encrypted file the first encrypted chunk, is written once, last. Nothing is encrypted twice
   under one key.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import (
    DatabaseError,
    InvalidNameError,
    ModelError,
    StorageError,
)
from tabvault.formats import age
from tabvault.formats.abf import backup_log, virtual_directory
from tabvault.formats.abf.header import PAGE_BYTE_COUNT
from tabvault.formats.abf.writer import ContainerWriter
from tabvault.jobs.landing import MODE_WORDS
from tabvault.jobs.origin import Origin
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.written_container import checked_body, definition_of, storage_keys, written_log
from tabvault.model.consistency import direct_query_violations
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.formats.abf.backup_log import BackupLog
    from tabvault.jobs.progress import Progress
    from tabvault.storage.contract import ObjectInfo, ObjectStore, Upload
    from tabvault.storage.data_folder.folder import DataFolder
    from tabvault.storage.data_folder.version import VersionReader

_FILETIME_OF_UNIX_EPOCH: Final = 116_444_736_000_000_000


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What was written. *raw_byte_count* counts the database's files as they lie in the data folder."""

    database: str
    file: str
    byte_count: int
    raw_byte_count: int
    file_count: int
    compressed: bool
    encrypted: bool
    warnings: tuple[str, ...]
    seconds: float


def backup_database(
    folder: DataFolder,
    store: ObjectStore,
    database: str,
    file: str | None = None,
    *,
    overwrite: bool = False,
    compress: bool = True,
    password: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> BackupResult:
    """
    Write one database as an ``.abf`` file.

    Args:
        folder: the data folder.
        store: the container of the storage account.
        database: name or id.
        file: name in the container, folders allowed; ``<database>.abf`` by default.
        overwrite: replace an existing file.
        compress: Xpress8 per file, as Analysis Services does by default.
        password: encrypt with it (age v1 around the whole file); None or empty leaves it plain.
        progress: told after each piece; raising from it cancels the job.

    Raises:
        DatabaseNotFoundError: no such database.
        ObjectExistsError: the file exists and *overwrite* is false.
        ModelError: a table in DirectQuery mode holds rows.
        ChecksumError: a database file is damaged on disk.
        StorageError: the storage failed; no file appeared.
    """
    with folder.read(database) as version:
        return backup_version(
            folder,
            store,
            version,
            file,
            overwrite=overwrite,
            compress=compress,
            password=password,
            progress=progress,
        )


def backup_version(
    folder: DataFolder,
    store: ObjectStore,
    version: VersionReader,
    file: str | None = None,
    *,
    overwrite: bool = False,
    compress: bool = True,
    password: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> BackupResult:
    """Write exactly *version*, which its reader keeps pinned; the rest is as in :func:`backup_database`."""
    begun = time.monotonic()
    check_direct_query_is_empty(version)
    name = default_file_name(version.manifest.name) if file is None else file
    meter = ProgressMeter(progress)
    encryptor = age.Encryptor(password, deferred_byte_count=PAGE_BYTE_COUNT) if password else None
    head_byte_count = encryptor.head_byte_count if encryptor else PAGE_BYTE_COUNT
    with store.create(name, replace=overwrite, head_byte_count=head_byte_count) as upload:
        raw_byte_count = sum(entry.byte_count for entry in version.manifest.files)
        meter.step("backing up", raw_byte_count)
        info = _write(version, upload, encryptor, compress=compress, meter=meter)
    warnings = []
    try:
        folder.record_backup(version.info, info.last_modified, file=info.name)
    except (DatabaseError, StorageError) as error:  # the backup is there and whole, whatever became of the note
        warnings.append(f"the time of the backup could not be noted: {error}")
    return BackupResult(
        database=version.manifest.name,
        file=info.name,
        byte_count=info.byte_count,
        raw_byte_count=raw_byte_count,
        file_count=len(version.manifest.files),
        compressed=compress,
        encrypted=bool(password),
        warnings=tuple(warnings),
        seconds=time.monotonic() - begun,
    )


def default_file_name(database: str) -> str:
    """
    ``<database>.abf``, with ``_`` for what an object of the container cannot be called by.

    Raises:
        InvalidNameError: no such name can be made of it.
    """
    stem = re.sub(r'[\\/:*?"<>|]', "_", database).strip(". ") or "_"
    for name in (f"{stem}.abf", f"_{stem}.abf"):
        with contextlib.suppress(InvalidNameError):
            return check_object_name(name)
    raise InvalidNameError(f"no file name can be made of {database!r}", hint="give the name of the file")


def check_direct_query_is_empty(version: VersionReader) -> None:
    """
    What asks its source holds no rows here: its backup is metadata only, and this is what makes that true.

    Raises:
        ModelError: a partition in DirectQuery mode holds rows, and not as a sample.
    """
    with Metadata.open(version.path(METADATA_FILE)) as metadata:
        for violation in direct_query_violations(load_model(metadata)):
            raise ModelError(violation)


def _write(
    version: VersionReader, upload: Upload, encryptor: age.Encryptor | None, *, compress: bool, meter: ProgressMeter
) -> ObjectInfo:
    def sink(data: bytes | memoryview) -> None:
        upload.write(encryptor.update(data) if encryptor else data)

    origin = Origin.from_json(version.manifest.container)
    writer = ContainerWriter(sink, compress=compress, object_id=str(uuid.uuid4()).upper(), now=filetime_now())
    if origin.additional_log is not None:
        writer.add_part(virtual_directory.ADDITIONAL_LOG, origin.additional_log)
    writer.add_part(virtual_directory.PARTITIONS, origin.partitions)
    keys = storage_keys()
    storage_paths: dict[str, str] = {}
    for entry in version.manifest.files:
        storage_paths[entry.name] = next(keys)
        writer.add_file(storage_paths[entry.name], meter.counted(checked_body(version, entry)))
    page = writer.finish(backup_log.emit(_log(version, origin, storage_paths, compress=compress)))
    if encryptor is None:
        return upload.finish(page)
    finished = encryptor.finish(page)
    upload.write(finished.tail)
    return upload.finish(finished.head)


def _log(version: VersionReader, origin: Origin, storage_paths: dict[str, str], *, compress: bool) -> BackupLog:
    manifest = version.manifest
    definition_name, definition = definition_of(version)
    fields = origin.fields | {
        "CompressionFlag": "true" if compress else "false",
        "EncryptionFlag": "false",
        "Write": MODE_WORDS[manifest.read_write_mode],
    }
    return written_log(
        manifest.files,
        storage_paths,
        replace(origin, fields=fields),
        definition=definition,
        definition_name=definition_name,
    )


def filetime_now() -> int:
    """Now, in 100 ns since 1601."""
    return time.time_ns() // 100 + _FILETIME_OF_UNIX_EPOCH
