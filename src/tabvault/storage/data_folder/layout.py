"""
The data folder as a whole: what lies in it, and the mark by which it is recognised.

::

    <data>/
        data-folder.json    the mark: {"format": "tabvault data folder", "format_version": 1}
        owner.lock          who uses it: tabvault.storage.data_folder.lock
        databases/<key>/    tabvault.storage.data_folder.database_folder
        detached/<name>/    databases out of service: tabvault.storage.data_folder.detached
        moving/<key>/       what is on its way there or back
        staging/            versions being written, and other files of running jobs; garbage for the next owner
        trash/              databases being removed; garbage for the next owner
        uploads/            tries of uploads that were interrupted: tabvault.storage.upload_tries; garbage after a week
        downloads/          parts of downloads that were interrupted: tabvault.storage.downloads; the same

The mark is written last when a data folder is made: a marked folder that lacks ``databases`` has lost it. A folder
with other people's files in it is not taken over.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tabvault.errors import DatabaseError, DatabaseNotFoundError, DataFolderDamagedError
from tabvault.storage.accounts import EMBEDDED_ACCOUNT
from tabvault.storage.data_folder.lock import OwnerLock
from tabvault.storage.downloads import remove_expired_downloads
from tabvault.storage.durable import FOLDER_MODE, make_directory_durably, write_file_durably
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.state_file import FOLDER as SERVER_STATE
from tabvault.storage.settings import SETTINGS_FILE
from tabvault.storage.upload_tries import remove_expired_tries

if TYPE_CHECKING:
    from pathlib import Path

MARK: Final = "data-folder.json"
LOCK: Final = "owner.lock"
DATABASES: Final = "databases"
DETACHED: Final = "detached"
MOVING: Final = "moving"
STAGING: Final = "staging"
TRASH: Final = "trash"
UPLOADS: Final = "uploads"
DOWNLOADS: Final = "downloads"

FORMAT: Final = "tabvault data folder"
FORMAT_VERSION: Final = 1

_MARK_BYTE_COUNT_MAX: Final = 4096
_TOLERATED: Final = frozenset([LOCK, DATABASES, SETTINGS_FILE, EMBEDDED_ACCOUNT, SERVER_STATE, "lost+found"])
"""What a folder may hold and still become a data folder: an interrupted making of one, backup storage that was used,
or whose accounts were registered, before there was a database, a fresh file system."""

_HINT_NONE: Final = "check its path; importing or restoring a database, or configuring backup storage, makes a new one"


def take(path: Path, *, create: bool) -> OwnerLock:
    """
    Own the data folder *path*, made or completed where *create* says so, with nothing in ``staging`` and ``trash``.

    One that so far has only backup storage is completed anyway.

    Raises:
        DataFolderLockedError: another process owns it.
        DataFolderDamagedError: it was made by a newer version, or its mark or ``databases`` is damaged.
        DatabaseNotFoundError: there is none, and *create* is false.
        DatabaseError: it is no data folder, and other files are in it.
        StorageError: the file system refuses.
    """
    with storage_errors(f"data folder {path}"):
        if not (path / MARK).exists():
            if not create:
                require(path)
            make_directory_durably(path)
            _refuse_foreign(path)
        lock = OwnerLock.acquire(path / LOCK)
        try:
            if not (path / MARK).exists():
                make_directory_durably(path / DATABASES)
                mark = {"format": FORMAT, "format_version": FORMAT_VERSION}
                write_file_durably(path / MARK, json.dumps(mark).encode("ascii") + b"\n")
            _check_mark(path)
            for garbage in (STAGING, TRASH):
                with suppress(OSError):  # rmtree ignores most errors, not all
                    shutil.rmtree(path / garbage, ignore_errors=True)
                (path / garbage).mkdir(FOLDER_MODE, exist_ok=True)
            remove_expired_tries(path / UPLOADS)
            remove_expired_downloads(path / DOWNLOADS)
        except BaseException:
            lock.release()
            raise
    return lock


def share(path: Path) -> OwnerLock:
    """
    Keep owners out of the data folder *path* while it is read; nothing in it is written.

    Raises:
        DataFolderLockedError: another process owns it.
        DataFolderDamagedError: as :func:`take`.
        DatabaseNotFoundError: it is no data folder.
        StorageError: the file system refuses.
    """
    with storage_errors(f"data folder {path}"):
        if not (path / MARK).exists():
            require(path)
            raise _none_at(path)  # backup storage alone: there is no database, and no place for the lock
        lock = OwnerLock.share(path / LOCK)
        try:
            _check_mark(path)
        except BaseException:
            lock.release()
            raise
    return lock


def require(path: Path) -> None:
    """
    Raise unless *path* is a data folder, or has at least its backup storage.

    Raises:
        DatabaseNotFoundError: it is neither.
    """
    if not path.exists():
        raise _none_at(path)
    if not any((path / name).exists() for name in (MARK, SETTINGS_FILE, EMBEDDED_ACCOUNT, SERVER_STATE)):
        raise DatabaseNotFoundError(f"{path} is no data folder", hint=_HINT_NONE)


def _none_at(path: Path) -> DatabaseNotFoundError:
    return DatabaseNotFoundError(f"there is no data folder at {path}", hint=_HINT_NONE)


def _refuse_foreign(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()}
    foreign = sorted(name for name in names if name not in _TOLERATED and not name.startswith(f".{MARK}-"))
    if foreign and MARK not in names:  # another process may be making it just now
        raise DatabaseError(
            f"{path} is no data folder, and {foreign[0]!a} is in it", hint="choose an empty or a new folder"
        )


def _check_mark(folder: Path) -> None:
    path = folder / MARK
    data = path.read_bytes() if path.stat().st_size <= _MARK_BYTE_COUNT_MAX else b""
    try:
        mark = json.loads(data)
        found = (mark["format"], mark["format_version"])
    except (ValueError, TypeError, KeyError, RecursionError):
        found = None
    if found is None or found[0] != FORMAT or type(found[1]) is not int:
        raise DataFolderDamagedError(
            f"{path} says {data[:80]!r}, not {FORMAT!r}", hint="put back that file from a backup of the folder"
        )
    if found[1] != FORMAT_VERSION:
        raise DataFolderDamagedError(
            f"{path} says format version {found[1]}, this program reads {FORMAT_VERSION}",
            hint="use the tabvault that wrote it, or a newer one",
        )
    if not (folder / DATABASES).is_dir():
        raise DataFolderDamagedError(f"{folder / DATABASES} is missing", hint="put it back from a backup of the folder")
