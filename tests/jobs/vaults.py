"""Vaults in temporary folders, with genuine databases in them; and what a whole database looks like, for comparing."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import sample_path
from tabvault.formats.abf import backup_log
from tabvault.formats.abf.container import Container
from tabvault.formats.abf.writer import ContainerWriter
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.vault import Vault
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.storage.data_folder.folder import DataFolder

SMALL = "Hugoberry__abc.pbix"
"""A genuine model of 43 files: quick, where it does not matter which."""

WITH_ROLES = "Hugoberry__rls-sample-report.pbix"


@contextlib.contextmanager
def vault_with(folder: Path, sample: str = SMALL, name: str = "shop") -> Iterator[Vault]:
    """A data folder with the database *name*: a copy of one that was imported once."""
    if not (folder / "data").exists():
        shutil.copytree(imported(sample, name), folder / "data")
        with Vault(folder / "data") as vault:
            assert vault.own_folder  # locked from the beginning, as after an import
            yield vault
        return
    with Vault(folder / "data") as vault:  # a second one beside what is there
        vault.import_file(str(sample_path(sample)), name)
        yield vault


@functools.cache
def imported(sample: str, name: str) -> Path:
    """A data folder with one imported database, made once in this process; nobody works in it."""
    folder = Path(tempfile.mkdtemp(prefix="tabvault-imported-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Vault(folder / "data") as vault:
        vault.import_file(str(sample_path(sample)), name)
    return folder / "data"


def bodies(vault: Vault, database: str) -> dict[str, str]:
    """SHA-256 of every file of the current version, by logical name."""
    with vault.folder.read(database) as version:
        return {name: hashlib.sha256(version.read(name)).hexdigest() for name in version.names()}


def values(vault: Vault, database: str) -> dict[str, str]:
    """Every table of a database or backup, as the digest of its Arrow stream."""
    import pyarrow as pa

    digests = {}
    with vault.open(database) as opened:
        for table in opened.tables:
            sink = pa.BufferOutputStream()
            data = table.to_arrow()
            with pa.ipc.new_stream(sink, data.schema) as writer:
                writer.write_table(data)
            digests[table.name] = hashlib.sha256(sink.getvalue()).hexdigest()
    return digests


def with_metadata(backup: bytes, *statements: str) -> bytes:
    """The backup with metadata that these statements of SQL have changed."""

    def change(name: str, body: bytes) -> bytes:
        if name != METADATA_FILE:
            return body
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(body)
            for statement in statements:
                connection.execute(statement)
            connection.commit()
            return connection.serialize()

    return with_bodies(backup, change)


@contextlib.contextmanager
def changed_metadata(folder: DataFolder, database: str, *, name: str | None = None) -> Iterator[sqlite3.Connection]:
    """The metadata of a new version, which is committed at the end; perhaps under another *name*."""
    with folder.read(database) as version, folder.stage() as staged:
        for file in version.names():
            staged.link(version, file)
        with contextlib.closing(sqlite3.connect(staged.path(METADATA_FILE))) as connection, connection:
            yield connection
        manifest = version.manifest
        staged.commit(
            name=name or manifest.name,
            database_id=manifest.id,
            compatibility_level=manifest.compatibility_level,
            read_write_mode=manifest.read_write_mode,
            container=manifest.container,
            replaces=version.info,
        )


def with_bodies(backup: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The backup with other file bodies, all that is said about them adjusted: what a hostile writer can make."""
    container = Container.open(MemorySource(backup))
    data = bytearray()
    writer = ContainerWriter(data.extend, compress=False, object_id=container.header.object_id, now=0)
    writer.add_part("PARTITIONS", container.part("PARTITIONS"))
    byte_counts = {}
    for name, file in container.files.items():
        body = change(name, b"".join(container.body(name)))
        byte_counts[file.storage_path] = len(body)
        writer.add_file(file.storage_path, [body])
    groups = tuple(
        dataclasses.replace(
            group,
            files=tuple(dataclasses.replace(file, byte_count=byte_counts[file.storage_path]) for file in group.files),
        )
        for group in container.log.groups
    )
    page = writer.finish(backup_log.emit(dataclasses.replace(container.log, groups=groups)))
    return page + bytes(data)
