"""
A database as ``DataModel``, the stream in which Power BI Desktop keeps a model inside a ``.pbix``.

It differs from a backup in everything but the files of the database: the container has the profile of Desktop (no
checksums, no compression of its own), and an XPress9 envelope around it. It cannot be encrypted.

Invariants, each tested:

1. The file appears whole or not at all: it is written beside its place, synchronised and renamed. What ends the job
   (a full disk, a cancellation, a damaged file) leaves nothing, or the file that was there.
2. Every body is compared with the checksum it was committed with, where its backup had one, before the file appears:
   the stream itself has none.
3. A chunk and a piece are in memory, however large the database is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabvault.formats import xpress9_writer
from tabvault.formats.abf import backup_log, virtual_directory
from tabvault.formats.abf.desktop_writer import LOG_FIELDS, StoredBody, desktop_container
from tabvault.jobs.backup import check_direct_query_is_empty
from tabvault.jobs.landing import read_definition
from tabvault.jobs.opening import open_backup
from tabvault.jobs.origin import Origin
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.written_container import checked_body, definition_of, storage_keys, written_log
from tabvault.jobs.xpress9_process import DecoderProcess
from tabvault.model import filetime
from tabvault.storage.durable import FILE_MODE, fsync_directory
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tabvault.formats.abf.container import Container
    from tabvault.formats.abf.db_xml import DatabaseDefinition
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.written_container import ContainedFile
    from tabvault.storage.data_folder.version import VersionReader


@dataclass(frozen=True, slots=True)
class ExportedDataModel:
    """
    What was written. *raw_byte_count* counts the database's files as they are inside.

    *warnings* say what the conversion of a model with XML metadata left out.
    """

    database: str
    path: Path
    byte_count: int
    raw_byte_count: int
    file_count: int
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Content:
    """What a container is made of, wherever it comes from."""

    files: Sequence[ContainedFile]
    bodies: Iterable[Iterable[bytes | memoryview]]
    origin: Origin
    definition: DatabaseDefinition
    definition_name: str


def export_database(
    version: VersionReader, path: Path, *, progress: Callable[[Progress], None] | None = None
) -> ExportedDataModel:
    """
    Write *version*, which its reader keeps pinned, as a ``DataModel`` stream.

    Args:
        version: of the database.
        path: of the file; a file there is replaced. Its folder is made if it is not there.
        progress: told after each piece; raising from it cancels the job.

    Raises:
        ModelError: a table in DirectQuery mode holds rows.
        DataFolderDamagedError: the version does not say which database it is.
        ChecksumError: a database file is damaged on disk.
        DiskFullError: no room for it.
        StorageError: it cannot be written.
        JobError: the process that checks the stream does not run, or finds the stream wrong.
    """
    check_direct_query_is_empty(version)
    files = version.manifest.files
    name, definition = definition_of(version)
    content = _Content(
        files=files,
        bodies=(checked_body(version, file) for file in files),
        origin=Origin.from_json(version.manifest.container),
        definition=definition,
        definition_name=name,
    )
    return _export(content, path, ProgressMeter(progress))


def export_backup(
    source: ByteSource,
    path: Path,
    *,
    password: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ExportedDataModel:
    """
    Write the database of a backup as a ``DataModel`` stream; the rest is as in :func:`export_database`.

    Args:
        source: the backup's bytes, whatever is wrapped around it.
        path: of the file.
        password: of an encrypted backup.
        progress: told after each piece.

    Raises:
        PasswordError, FormatError: as :func:`tabvault.jobs.opening.open_backup`, and where a body is damaged.
    """
    meter = ProgressMeter(progress)
    with open_backup(source, password=password, meter=meter) as opened:
        return replace(_export(_content_of(opened.container), path, meter), warnings=opened.warnings)


def _content_of(container: Container) -> _Content:
    name, definition = read_definition(container)
    files = tuple(container.files.values())
    return _Content(
        files=files,
        bodies=(container.body(file.name) for file in files),
        origin=Origin.of_container(container),
        definition=definition,
        definition_name=name,
    )


def _export(content: _Content, path: Path, meter: ProgressMeter) -> ExportedDataModel:
    begun = time.monotonic()
    raw_byte_count = sum(file.byte_count for file in content.files)
    meter.step("exporting", raw_byte_count)
    container = desktop_container(_stored(content, meter), object_id=str(uuid.uuid4()).upper(), now=filetime.now())
    with DecoderProcess() as decoder:
        byte_count = _publish(path, xpress9_writer.wrap(container, new_decoder=decoder.new_session))
    return ExportedDataModel(
        database=content.definition.name,
        path=path,
        byte_count=byte_count,
        raw_byte_count=raw_byte_count,
        file_count=len(content.files),
        seconds=time.monotonic() - begun,
    )


def _stored(content: _Content, meter: ProgressMeter) -> list[StoredBody]:
    """All that the container stores, in its order; the bodies are read when they are asked for."""
    origin = content.origin
    storage_paths = {file.name: key for file, key in zip(content.files, storage_keys(), strict=False)}
    log = backup_log.emit(
        written_log(
            content.files,
            storage_paths,
            replace(origin, fields=LOG_FIELDS),
            definition=content.definition,
            definition_name=content.definition_name,
        )
    )
    parts = [StoredBody(virtual_directory.PARTITIONS, len(origin.partitions), [origin.partitions])]
    if origin.additional_log is not None:
        body = origin.additional_log
        parts.insert(0, StoredBody(virtual_directory.ADDITIONAL_LOG, len(body), [body]))
    files = [
        StoredBody(storage_paths[file.name], file.byte_count, meter.counted(body))
        for file, body in zip(content.files, content.bodies, strict=True)
    ]
    return [*parts, *files, StoredBody(virtual_directory.LOG, len(log), [log])]


def _publish(path: Path, data: Iterator[bytes]) -> int:
    """Make a file of *data*, whole or not at all; its length."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.partial")
    with storage_errors(f"file {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # It holds all that a backup holds, and nobody but who makes it has to read it.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.writelines(data)
                file.flush()
                os.fsync(descriptor)
                byte_count = file.tell()
            os.replace(temporary, path)  # noqa: PTH105 - the system call itself, as in storage.durable
        except BaseException:
            with contextlib.suppress(OSError):  # the failure that brought us here is the one to report
                os.unlink(temporary)  # noqa: PTH108 - see above
            raise
        fsync_directory(path.parent)
    return byte_count
