"""
Reading everything of a backup or of a database, and saying of each condition whether it holds.

Of a backup, in order: the file opens (envelope, password, header, directory and log agree); every byte of the container
is read, which proves the encryption tags, and re-emitting it gives the same bytes; every file's CRC and length. Of a
database: its manifest is the one that was committed, and every file has the CRC and the length it was committed with.

Of both, then: ``db.xml``; the key file; the metadata against the files (the same check as before a restore's commit);
and every column of every table is decoded under the hard checks, its statistics compared (as a WARNING, for no value is
read by them), its hierarchies and hash indexes read.

A condition that fails does not hide those behind it: only what cannot be asked without the part that is damaged is
left out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tabvault.errors import (
    DataFolderDamagedError,
    FormatError,
    ProcessingError,
    StorageError,
    UnsupportedFeatureError,
)
from tabvault.formats.abf import db_xml
from tabvault.formats.abf.container import Container
from tabvault.jobs.inspect import metadata_of
from tabvault.jobs.landing import read_definition
from tabvault.jobs.opening import unwrap
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.verification import DAMAGE, Condition, Severity, Verification, fails, holds
from tabvault.jobs.verify_container import body_conditions, container_conditions, salvage_conditions
from tabvault.jobs.verify_contents import content_conditions
from tabvault.jobs.xml_import.conversion import convert
from tabvault.jobs.xml_import.converted_container import is_xml_model
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata
from tabvault.model.xml_models.tmsl import LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.opening import Unwrapped
    from tabvault.jobs.progress import Progress
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.data_folder.version import VersionReader

__all__ = ["Condition", "Severity", "Verification", "verify_backup", "verify_database"]


def verify_backup(
    source: ByteSource, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
) -> Verification:
    """
    Verify a backup, encrypted or not, or a Power BI file.

    Args:
        source: the file's bytes.
        password: of an encrypted one.
        progress: told after each piece; raising from it cancels.

    Raises:
        PasswordError: required, wrong or superfluous. Everything else that is wrong with the file is a condition.
        UnsupportedFeatureError: nothing is wrong with the file, and this version cannot read its model.
        StorageError: the file cannot be read.
        JobCancelledError: raised by *progress*.
    """
    begun = time.monotonic()
    meter = ProgressMeter(progress)
    conditions: list[Condition] = []
    try:
        with unwrap(source, password=password, meter=meter) as unwrapped:
            conditions.append(holds("envelope", _envelope(unwrapped)))
            conditions.extend(_backup(unwrapped, meter))
    except UnsupportedFeatureError:
        raise
    except DAMAGE as error:
        conditions.append(fails("file", error))
    return Verification(tuple(conditions), time.monotonic() - begun)


def verify_database(
    folder: DataFolder, info: DatabaseInfo, *, progress: Callable[[Progress], None] | None = None
) -> Verification:
    """
    Verify the current version of a database as it lies on the disk.

    Args:
        folder: the data folder.
        info: the database.
        progress: told after each piece; raising from it cancels.

    Raises:
        DatabaseNotFoundError: it was dropped meanwhile.
        JobCancelledError: raised by *progress*.
    """
    begun = time.monotonic()
    meter = ProgressMeter(progress)
    conditions: list[Condition] = []
    try:
        with folder.read(info) as version:
            conditions.append(
                holds("manifest", f"version {version.info.version}, {len(version.names())} files; as it was committed")
            )
            conditions.extend(_database(version, meter))
    except DataFolderDamagedError as error:
        conditions.append(fails("manifest", error))
    return Verification(tuple(conditions), time.monotonic() - begun)


def _envelope(unwrapped: Unwrapped) -> str:
    parts = ["encrypted (age v1), opened with the password"] if unwrapped.encrypted else []
    if unwrapped.package_member:
        parts.append(f"member {unwrapped.package_member} of a package")
    name = unwrapped.envelope.name
    parts.append({"NONE": "plain stream storage"}.get(name, f"XPress9, {name.lower()}"))
    return ", ".join(parts)


def _backup(unwrapped: Unwrapped, meter: ProgressMeter) -> Iterator[Condition]:
    try:
        container = Container.open(unwrapped.source)
    except UnsupportedFeatureError:
        raise
    except FormatError as error:
        yield from salvage_conditions(unwrapped.source, error, meter)
        return
    yield from container_conditions(container, unwrapped.source, meter)
    broken = yield from body_conditions(container, meter)
    if is_xml_model(container):
        try:
            conversion = convert(container)
        except UnsupportedFeatureError:
            raise
        except (*DAMAGE, ProcessingError) as error:
            yield fails("XML metadata", error)
            return
        yield holds("XML metadata", f"compatibility level {conversion.level}, convertible to level {LEVEL}")
        container = conversion.container
    try:
        _, definition = read_definition(container)
        yield holds("db.xml", f"database {definition.name!r}, compatibility level {definition.compatibility_level}")
    except UnsupportedFeatureError:
        raise
    except DAMAGE as error:
        yield fails("db.xml", error)
    if METADATA_FILE in container.files:
        yield from content_conditions(ContainerFiles(container), lambda: metadata_of(container), broken, meter)


def _database(version: VersionReader, meter: ProgressMeter) -> Iterator[Condition]:
    broken = yield from _version_bodies(version, meter)
    yield _definition(version, broken)
    if METADATA_FILE in version.names():
        yield from content_conditions(version, lambda: Metadata.open(version.path(METADATA_FILE)), broken, meter)
    else:
        yield Condition("FAILED", "metadata", f"the manifest names no {METADATA_FILE}")


def _version_bodies(version: VersionReader, meter: ProgressMeter) -> Generator[Condition, None, set[str]]:
    """Yields conditions and returns the names of the files that are not what was committed."""
    broken: set[str] = set()
    meter.step("checking files", version.manifest.byte_count)
    for name in version.names():
        try:
            version.check(name)
        except (FormatError, StorageError) as error:  # a sector that the disk cannot read is damage, too
            broken.add(name)
            yield fails(name, error)
        meter.advance(version.byte_count(name))
    if not broken:
        yield holds("file bodies", f"{len(version.names())} files read, every CRC matches")
    return broken


def _definition(version: VersionReader, broken: set[str]) -> Condition:
    """``db.xml``, and whether the manifest says of the database what it says."""
    manifest = version.manifest
    names = [file.name for file in manifest.files if file.name.endswith(".db.xml")]
    if len(names) != 1:
        return Condition("FAILED", "db.xml", f"the manifest names {len(names)} db.xml files, not one")
    if names[0] in broken:
        return Condition("FAILED", "db.xml", f"{names[0]} is damaged")
    try:
        found = db_xml.parse(version.read(names[0]), file=names[0])
    except FormatError as error:
        return fails("db.xml", error)
    if (found.name, found.id, found.compatibility_level) != (manifest.name, manifest.id, manifest.compatibility_level):
        stated = f"{manifest.name!r} ({manifest.id!r}) of level {manifest.compatibility_level}"
        there = f"{found.name!r} ({found.id!r}) of level {found.compatibility_level}"
        return Condition("FAILED", "db.xml", f"the manifest is of {stated}, db.xml of {there}")
    return holds("db.xml", f"database {found.name!r}, compatibility level {found.compatibility_level}")
