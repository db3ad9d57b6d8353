"""
Databases in service: which there are, and who reads them.

The invariants of a database's folder, and what a crash leaves, stand in
:mod:`~tabvault.storage.data_folder.database_folder`. On top of them, within the process that owns the data folder:

1. The catalogue in memory is what the disk says: a change that succeeded is entered, after one that failed the database
   is read again.
2. A reader never waits for a change: it takes the version from the catalogue and pins it, under a lock that is never
   held during a call to the operating system. A change never waits for a reader: it leaves a version that is read
   alone.
3. A pinned version is not removed. A version that is not current is never pinned again. So it is removed by the
   change that replaced it, or by the last reader that leaves it, whichever comes last.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tabvault.errors import DataFolderDamagedError
from tabvault.storage.data_folder import catalogue, database_folder, layout
from tabvault.storage.data_folder.database_folder import VERSIONS, version_name
from tabvault.storage.data_folder.database_info import Current, DatabaseInfo, LastBackup
from tabvault.storage.data_folder.version import VersionReader
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.storage.data_folder.manifest import Manifest


class DatabasesInService:
    """
    The folder ``databases`` of a data folder, empty until :meth:`load`.

    What reads may be called from several threads; what changes (publish, drop, record a backup) by one at a time, while
    others read.

    Args:
        path: the data folder.
    """

    def __init__(self, path: Path) -> None:
        self._databases = path / layout.DATABASES
        self._trash = path / layout.TRASH
        self._lock = threading.Lock()
        self._catalogue: dict[str, DatabaseInfo] = {}
        self._pins: Counter[tuple[str, int]] = Counter()

    def load(self, *, collect: bool) -> None:
        """
        Read which databases there are.

        Args:
            collect: remove what dropped databases, and changes that a crash interrupted, left.

        Raises:
            OSError: the folder cannot be read.
        """
        with os.scandir(self._databases) as entries:
            keys = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        found = []
        for key in keys:
            info = database_folder.load(self._folder(key))
            if info is not None:
                found.append(info)
            elif collect:
                database_folder.remove_dropped(self._folder(key), self._trash)
        for info in catalogue.without_doubles(found):
            self._catalogue[info.key] = info
            if info.damage is None and collect:
                database_folder.sweep(self._folder(info.key), current_version=info.version)

    def infos(self) -> list[DatabaseInfo]:
        """All databases by name, the damaged ones too."""
        with self._lock:
            infos = list(self._catalogue.values())
        return sorted(infos, key=lambda info: (info.name.casefold(), info.key))

    def find(self, name_or_id: str) -> DatabaseInfo:
        """
        The database of that name, or else of that id.

        Raises:
            DatabaseNotFoundError: there is none.
        """
        with self._lock:
            return catalogue.find(self._catalogue, name_or_id)

    def present(self, info: DatabaseInfo) -> DatabaseInfo:
        """
        The database *info* as it is now.

        Raises:
            DatabaseNotFoundError: it was dropped meanwhile.
        """
        with self._lock:
            return catalogue.present(self._catalogue, info)

    def check_unused(self, manifest: Manifest, replaces: DatabaseInfo | None) -> None:
        """See :func:`tabvault.storage.data_folder.catalogue.check_unused`."""
        with self._lock:
            databases = dict(self._catalogue)
        catalogue.check_unused(databases, manifest, replaces)

    def read(self, database: str | DatabaseInfo) -> VersionReader:
        """
        Pin the current version of a database; the reader unpins it when it is closed.

        Args:
            database: its name or id, or which one it is.

        Raises:
            DatabaseNotFoundError: there is none.
            DataFolderDamagedError: it is damaged.
        """
        with self._lock:
            if isinstance(database, str):
                info = catalogue.find(self._catalogue, database)
            else:
                info = catalogue.present(self._catalogue, database)
            if info.damage is not None:
                raise DataFolderDamagedError(
                    f"database {info.name!r} is damaged: {info.damage}",
                    hint="restore the last good backup, and drop this one",
                )
            self._pins[info.key, info.version] += 1
        folder = self._folder(info.key)
        try:
            manifest = database_folder.read_manifest(folder, Current(info.version, info.manifest_digest))
        except BaseException:
            self._release(info.key, info.version)
            raise
        return VersionReader(
            folder / VERSIONS / version_name(info.version),
            info,
            manifest,
            lambda: self._release(info.key, info.version),
        )

    def publish(
        self,
        staged: Path,
        manifest: Manifest,
        manifest_digest: str,
        replaces: DatabaseInfo | None,
        *,
        last_backup: LastBackup | None = None,
    ) -> DatabaseInfo:
        """
        The last step of a commit: see :meth:`StagedVersion.commit` for what is raised.

        *last_backup* is what a new database brings with it.
        """
        self.check_unused(manifest, replaces)
        key = replaces.key if replaces else staged.name
        publish = database_folder.publish_next if replaces else database_folder.publish_new
        try:
            with self._following_disk(key), storage_errors(f"database {manifest.name!r}"):
                current = publish(staged, self._folder(key), manifest_digest)
            with self._lock:
                info = DatabaseInfo.of(key, current, manifest, last_backup=last_backup)
                if replaces:
                    old = self._catalogue[key]
                    info = replace(info, last_backup=old.last_backup, last_backup_file=old.last_backup_file)
                self._catalogue[key] = info
        finally:
            self._remove_unread_versions(key)
        return info

    def drop(self, info: DatabaseInfo) -> None:
        """
        Remove a database, whatever its current version is. Its space is free when the last reader has left.

        Raises:
            DatabaseNotFoundError: it is gone already.
            StorageError: the file system refuses.
        """
        self.present(info)
        with self._following_disk(info.key), storage_errors(f"database {info.name!r}"):
            database_folder.mark_dropped(self._folder(info.key))
        with self._lock:
            del self._catalogue[info.key]
            is_read = any(key == info.key for key, _ in self._pins)
        if not is_read:
            database_folder.remove_dropped(self._folder(info.key), self._trash)

    def record_backup(self, info: DatabaseInfo, backup: LastBackup) -> None:
        """
        Note that a backup of the database ended.

        Raises:
            DatabaseNotFoundError: it was dropped meanwhile.
            StorageError: the file system refuses.
        """
        self.present(info)
        with self._following_disk(info.key), storage_errors(f"database {info.name!r}"):
            database_folder.record_backup(self._folder(info.key), backup)
        with self._lock:
            noted = replace(self._catalogue[info.key], last_backup=backup.ended, last_backup_file=backup.file)
            self._catalogue[info.key] = noted

    def _release(self, key: str, version: int) -> None:
        with self._lock:
            self._pins[key, version] -= 1
            if self._pins[key, version]:
                return
            del self._pins[key, version]
            info = self._catalogue.get(key)
            is_dropped = info is None and all(pinned != key for pinned, _ in self._pins)
            is_old = info is not None and info.damage is None and info.version != version
        if is_dropped:
            database_folder.remove_dropped(self._folder(key), self._trash)
        elif is_old:
            database_folder.remove_version(self._folder(key), version)

    def _remove_unread_versions(self, key: str) -> None:
        with self._lock:
            info = self._catalogue.get(key)
            pinned = [version for pinned_key, version in self._pins if pinned_key == key]
        if info is not None and info.damage is None:
            database_folder.remove_versions(self._folder(key), keep=[info.version, *pinned])

    @contextmanager
    def _following_disk(self, key: str) -> Iterator[None]:
        """When the change in the block fails, the catalogue says of the database what the disk says then."""
        try:
            yield
        except BaseException:
            info = database_folder.load(self._folder(key))
            with self._lock:
                if info is None:
                    self._catalogue.pop(key, None)
                else:
                    self._catalogue[key] = info
            raise

    def _folder(self, key: str) -> Path:
        return self._databases / key
