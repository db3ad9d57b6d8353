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
   under one key, unless it is the same.
6. Two tries to write one version with the same options as one object give the same bytes, the password being the same:
   what is random or of the clock is derived from the secret of the try (:mod:`~tabvault.jobs.backup_try`), which is
   kept, durably, from before the first byte until the object is published. So a store that is reached over a network
   only gets the blocks that it has not yet.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import tabvault
from tabvault.errors import (
    DatabaseError,
    FormatError,
    InvalidNameError,
    ModelError,
    StorageError,
)
from tabvault.formats.abf import backup_log, virtual_directory
from tabvault.formats.abf.header import PAGE_BYTE_COUNT
from tabvault.formats.abf.writer import ContainerWriter
from tabvault.jobs.backup_try import (
    EncryptedUpload,
    begin_try,
    encryptor,
    object_id,
    storage_key_bytes,
    upload_key,
)
from tabvault.jobs.landing import MODE_WORDS
from tabvault.jobs.origin import Origin
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.written_container import checked_body, definition_of, storage_keys, written_log
from tabvault.model import filetime
from tabvault.model.consistency import direct_query_violations
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.storage.names import check_object_name
from tabvault.storage.upload_tries import UploadTry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.formats.abf.backup_log import BackupLog
    from tabvault.jobs.progress import Progress
    from tabvault.storage.contract import ObjectInfo, ObjectStore, Upload
    from tabvault.storage.data_folder.folder import DataFolder
    from tabvault.storage.data_folder.version import VersionReader

_FACT_CHARACTER_COUNT_MAX: Final = 200
"""All metadata of an object together have 8 KiB, and a character may take twelve bytes."""


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
    name = check_object_name(default_file_name(version.manifest.name) if file is None else file)
    meter = ProgressMeter(progress)
    raw_byte_count = sum(entry.byte_count for entry in version.manifest.files)
    with _begin(folder, store, name, version, compress=compress, encrypted=bool(password)) as this:
        if overwrite and this.superseded_secret is not None:
            _end_superseded(store, name, upload_key(this.superseded_secret))
        sealer = encryptor(this.secret, password, deferred_byte_count=PAGE_BYTE_COUNT) if password else None
        with store.create(
            name,
            replace=overwrite,
            head_byte_count=sealer.head_byte_count if sealer else PAGE_BYTE_COUNT,
            upload_key=upload_key(this.secret) if this.is_kept else None,
            facts=_facts(version, this, encrypted=sealer is not None),
        ) as upload:
            meter.step("backing up", raw_byte_count)
            target = upload if sealer is None else EncryptedUpload(upload, sealer, this)
            try:
                info = _write(version, target, this, compress=compress, meter=meter)
            except FormatError:  # what was pinned is damaged: the next try must not be held to it
                _forget(this)
                raise
        warnings = _forget(this)
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


def _begin(
    folder: DataFolder, store: ObjectStore, name: str, version: VersionReader, *, compress: bool, encrypted: bool
) -> UploadTry:
    """A try that is kept, where there is a place for it and something to gain."""
    if store.remote_place is None or folder.is_read_only:
        return UploadTry.unkept()
    return begin_try(folder.uploads_folder, name, version, compress=compress, encrypted=encrypted)


def _end_superseded(store: ObjectStore, name: str, key: str) -> None:
    """Let go of what an earlier try of another version or other options holds, so that it is not in our way."""
    with contextlib.suppress(StorageError):  # then it expires by itself
        store.create(name, replace=True, upload_key=key).abort()


def _forget(this: UploadTry) -> list[str]:
    """The backup is published, and the next one another; what is to be said when that cannot be noted."""
    try:
        this.forget()
    except StorageError as error:
        return [f"the record of the upload could not be removed: {error}"]
    return []


def _facts(version: VersionReader, this: UploadTry, *, encrypted: bool) -> dict[str, str]:
    """What a store keeps beside the file; of an encrypted one nothing that is in it."""
    facts = {
        "tabvault_version": tabvault.__version__,
        "tabvault_time": _time_of(this).isoformat(timespec="seconds"),
        "tabvault_encrypted": "true" if encrypted else "false",
    }
    if encrypted:
        return facts
    return facts | {
        "tabvault_database": version.manifest.name[:_FACT_CHARACTER_COUNT_MAX],
        "tabvault_compatibility_level": str(version.manifest.compatibility_level),
        "tabvault_raw_byte_count": str(sum(entry.byte_count for entry in version.manifest.files)),
        "tabvault_file_count": str(len(version.manifest.files)),
    }


def _time_of(this: UploadTry) -> datetime:
    return datetime.fromtimestamp(this.began_ns // 1_000_000_000, UTC)


def _write(
    version: VersionReader, target: Upload | EncryptedUpload, this: UploadTry, *, compress: bool, meter: ProgressMeter
) -> ObjectInfo:
    origin = Origin.from_json(version.manifest.container)
    writer = ContainerWriter(
        target.write, compress=compress, object_id=object_id(this.secret), now=filetime.of(_time_of(this))
    )
    if origin.additional_log is not None:
        writer.add_part(virtual_directory.ADDITIONAL_LOG, origin.additional_log)
    writer.add_part(virtual_directory.PARTITIONS, origin.partitions)
    keys = storage_keys(storage_key_bytes(this.secret))
    storage_paths: dict[str, str] = {}
    for entry in version.manifest.files:
        storage_paths[entry.name] = next(keys)
        writer.add_file(storage_paths[entry.name], meter.counted(checked_body(version, entry)))
    return target.finish(writer.finish(backup_log.emit(_log(version, origin, storage_paths, compress=compress))))


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
