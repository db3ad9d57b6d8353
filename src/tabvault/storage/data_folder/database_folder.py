"""
The folder of one database: its layout, and the order in which it is written.

::

    databases/<key>/                     key: 32 random hexadecimal digits; names and ids live in the manifest
        CURRENT                          the current version and the SHA-256 of its manifest
        LAST_BACKUP                      when the last backup ended, and its name (there once there was one)
        DROPPED                          the database is gone, its readers are not
        versions/<8 digits>/
            manifest.json                what the version consists of
            files/…                      its files, under names that a person recognises

``CURRENT`` is one line, ``00000003 <64 digits>``. It holds the digest so that a damaged manifest is never taken for a
good one.

Invariants:

1. A database exists iff its folder is in ``databases`` and has no ``DROPPED``.
2. Its content is the version that ``CURRENT`` names. ``CURRENT`` only ever names a version whose files, manifest and
   folders, up to ``CURRENT`` itself, are durable.
3. A committed version never changes. It is removed only when ``CURRENT`` durably names another or the database is
   durably dropped, and no reader is left. Version numbers only grow, so a version that was left is never entered
   again.
4. Three steps change what there is, each one ``rename``: of the whole folder into ``databases`` (a new database), of
   ``CURRENT`` (a new version), of ``DROPPED`` into place. Before it the old state holds, after it the new one.
5. Everything else is garbage. Opening the data folder removes it, before anybody else can want it.

What a crash leaves, and what opening the data folder makes of it:

======================================================  ==============  =========================================
crash after                                             state           garbage
======================================================  ==============  =========================================
files written in ``staging``, none or some durable      old             the staging folder
manifest durable in ``staging``                         old             the staging folder
new database: ``CURRENT`` written in ``staging``        absent          the staging folder
new database: folder renamed into ``databases``         new             -
new version: renamed into ``versions``                  old             that version
new version: ``.CURRENT-….tmp`` written                 old             that version, the temporary file
new version: ``CURRENT`` renamed                        new             the version before
drop: ``.DROPPED-….tmp`` written                        there           the temporary file
drop: ``DROPPED`` renamed                               gone            the folder
drop: folder renamed into ``trash``, partly removed     gone            what is in ``trash``
======================================================  ==============  =========================================

After a power failure a rename that was not yet followed by ``fsync`` of its folder may be undone; the state is then
that of the line above, whose versions are all still there (invariant 3).
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tabvault.errors import DataFolderDamagedError, FormatError, InvalidNameError, StorageError
from tabvault.storage.data_folder import manifest as manifest_json
from tabvault.storage.data_folder.database_info import Current, DatabaseInfo, LastBackup
from tabvault.storage.durable import fsync_directory, write_file_durably
from tabvault.storage.file_source import FileSource
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tabvault.storage.data_folder.manifest import Manifest

CURRENT: Final = "CURRENT"
LAST_BACKUP: Final = "LAST_BACKUP"
DROPPED: Final = "DROPPED"
VERSIONS: Final = "versions"
MANIFEST: Final = "manifest.json"
FILES: Final = "files"

_CURRENT_LINE: Final = re.compile(rb"([0-9]{8,12}) ([0-9a-f]{64})\n")
_VERSION_NAME: Final = re.compile(r"[0-9]{8,12}")
SMALL_FILE_BYTE_COUNT_MAX: Final = 8192
"""Room for a time and the longest name of a backup: 1024 characters, each of four bytes at most."""


def version_name(version: int) -> str:
    """Name of a version's folder."""
    return f"{version:08d}"


def load(folder: Path) -> DatabaseInfo | None:
    """The database in *folder* as it is on the disk, damage included; None if there is none or it was dropped."""
    try:
        if not _exists(folder) or _exists(folder / DROPPED):
            return None
        current = read_current(folder)
        manifest = read_manifest(folder, current)
    except DataFolderDamagedError as error:
        return DatabaseInfo.damaged(folder.name, error.message)
    return DatabaseInfo.of(folder.name, current, manifest, last_backup=_read_last_backup(folder))


def read_current(folder: Path) -> Current:
    """
    The content of ``CURRENT``.

    Raises:
        DataFolderDamagedError: it is missing, or says something else.
    """
    path = folder / CURRENT
    try:
        return parse_current(_read(path, SMALL_FILE_BYTE_COUNT_MAX))
    except ValueError as error:
        raise DataFolderDamagedError(f"{path} {error}") from None


def parse_current(data: bytes) -> Current:
    """
    The content of ``CURRENT``.

    Raises:
        ValueError: it says something else. The caller knows where it lies, and begins the sentence with the place.
    """
    match = _CURRENT_LINE.fullmatch(data)
    if match is None:
        raise ValueError(f"says {data[:100]!r}, not a version and a digest")
    return Current(int(match[1]), match[2].decode("ascii"))


def read_manifest(folder: Path, current: Current) -> Manifest:
    """
    The manifest of the version that *current* names.

    Raises:
        DataFolderDamagedError: it is missing, or not the one that was committed, or no manifest.
    """
    path = folder / VERSIONS / version_name(current.version) / MANIFEST
    try:
        return parse_manifest(_read(path, manifest_json.MANIFEST_BYTE_COUNT_MAX), current)
    except ValueError as error:
        raise DataFolderDamagedError(f"{path} {error}") from None


def parse_manifest(data: bytes, current: Current) -> Manifest:
    """
    The manifest of the version that *current* names.

    Raises:
        ValueError: it is not the one that was committed, or no manifest; as :func:`parse_current`.
    """
    digest = manifest_json.digest(data)
    if digest != current.manifest_digest:
        raise ValueError(f"has SHA-256 {digest}, {CURRENT} says {current.manifest_digest}")
    try:
        return manifest_json.parse(data)
    except ValueError as error:
        raise ValueError(f"is no manifest: {error}") from None


def publish_new(staged: Path, folder: Path, manifest_digest: str) -> Current:
    """
    Make the staged folder the database *folder*, which does not exist.

    Args:
        staged: a folder with ``versions/00000001``, all of it durable.
        folder: in ``databases``, on the same file system.
        manifest_digest: of that version.

    Raises:
        OSError: invariant 4 says what holds then.
    """
    current = Current(1, manifest_digest)
    write_file_durably(staged / CURRENT, _current_line(current))
    staged.rename(folder)
    fsync_directory(folder.parent)
    return current


def publish_next(staged: Path, folder: Path, manifest_digest: str) -> Current:
    """
    Make the version in the staged folder the current one of the database *folder*.

    Args:
        staged: a folder with ``versions/00000001``, all of it durable.
        folder: in ``databases``, on the same file system.
        manifest_digest: of that version.

    Raises:
        OSError: invariant 4 says what holds then.
    """
    versions = folder / VERSIONS
    current = Current(1 + max(_version_numbers(folder)), manifest_digest)
    (staged / VERSIONS / version_name(1)).rename(versions / version_name(current.version))
    fsync_directory(versions)
    write_file_durably(folder / CURRENT, _current_line(current))
    return current


def mark_dropped(folder: Path) -> None:
    """
    The step after which the database in *folder* does not exist.

    Raises:
        OSError: invariant 4 says what holds then.
    """
    write_file_durably(folder / DROPPED, b"")


def remove_dropped(folder: Path, trash: Path) -> None:
    """
    Free the space of a dropped database that nobody reads.

    It leaves ``databases`` as a whole first: to remove ``DROPPED`` before ``CURRENT`` would bring it back. What
    cannot be removed now is garbage for the next opening.
    """
    with suppress(OSError):
        fsync_directory(folder)
        folder.rename(trash / folder.name)
        fsync_directory(folder.parent)
        shutil.rmtree(trash / folder.name, ignore_errors=True)


def remove_version(folder: Path, version: int) -> None:
    """
    Free the space of a version that is not current and that nobody reads.

    Nothing is removed when ``CURRENT`` cannot be made durable first (invariant 3). What cannot be removed now is
    garbage for the next opening.
    """
    with suppress(OSError):
        fsync_directory(folder)
        shutil.rmtree(folder / VERSIONS / version_name(version), ignore_errors=True)


def remove_versions(folder: Path, *, keep: Collection[int]) -> None:
    """Free the space of all versions but those in *keep*, the current one among them."""
    with suppress(OSError):
        for version in set(_version_numbers(folder)) - set(keep):
            remove_version(folder, version)


def sweep(folder: Path, *, current_version: int) -> None:
    """Remove what earlier processes left in the folder of a sound database."""
    remove_versions(folder, keep=[current_version])
    with suppress(OSError):
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()


def record_backup(folder: Path, backup: LastBackup) -> None:
    """
    Note when a backup ended and, on a second line, the name of its file.

    Raises:
        OSError: the old or the new note stands there.
    """
    lines = [backup.ended.isoformat(), *([backup.file] if backup.file is not None else [])]
    write_file_durably(folder / LAST_BACKUP, "".join(f"{line}\n" for line in lines).encode())


def parse_last_backup(data: bytes) -> LastBackup | None:
    """The content of ``LAST_BACKUP``; None also when it is damaged: a backup too many is the safe side."""
    try:
        time, separator, file = data.decode().removesuffix("\n").partition("\n")
        ended = datetime.datetime.fromisoformat(time)
        if separator and check_object_name(file) != file:
            return None
    except (InvalidNameError, ValueError):
        return None
    return LastBackup(ended, file or None) if ended.tzinfo is not None else None


def _read_last_backup(folder: Path) -> LastBackup | None:
    try:
        return parse_last_backup(_read(folder / LAST_BACKUP, SMALL_FILE_BYTE_COUNT_MAX))
    except DataFolderDamagedError:
        return None


def _version_numbers(folder: Path) -> list[int]:
    with os.scandir(folder / VERSIONS) as entries:
        return [int(entry.name) for entry in entries if _VERSION_NAME.fullmatch(entry.name)]


def _current_line(current: Current) -> bytes:
    return f"{version_name(current.version)} {current.manifest_digest}\n".encode("ascii")


def _exists(path: Path) -> bool:
    """Whether there is such a file or folder. Not knowing is not a no: on a no, folders are removed."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataFolderDamagedError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    return True


def _read(path: Path, byte_count_max: int) -> bytes:
    """The whole of a small file."""
    try:
        with FileSource(path) as source:
            if source.byte_count > byte_count_max:
                raise DataFolderDamagedError(f"{path} has {source.byte_count} bytes, over {byte_count_max}")
            return source.read_at(0, source.byte_count)
    except (StorageError, FormatError) as error:
        raise DataFolderDamagedError(str(error)) from error
