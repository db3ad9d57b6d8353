"""
The data folder: which databases there are, who reads and who changes them.

The invariants of a database's folder, and what a crash leaves, stand in
:mod:`~tabvault.storage.data_folder.database_folder`. On top of them, within the one process that owns the data folder
(:mod:`~tabvault.storage.data_folder.lock`):

1. The catalogue in memory is what the disk says: a change that succeeded is entered, after one that failed the database
   is read again.
2. Changes (publish, drop, detach, attach, record a backup) exclude each other; whether a name is unused or a version
   still the current one is decided inside that exclusion. The long part of a commit, making files durable, lies before
   it.
3. A reader never waits for a change: it takes the version from the catalogue and pins it, under a lock that is never
   held during a call to the operating system. A change never waits for a reader: it leaves a version that is read
   alone.
4. A pinned version is not removed. A version that is not current is never pinned again. So it is removed by the
   change that replaced it, or by the last reader that leaves it, whichever comes last.
5. A folder that this process may not write is read under a shared lock: nobody owns it meanwhile, so what is read
   stays, and this process removes nothing either.

How databases go out of service and come back is said in :mod:`~tabvault.storage.data_folder.detached`.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from tabvault.errors import (
    DataFolderDamagedError,
    DiskFullError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.data_folder import catalogue, database_folder, layout
from tabvault.storage.data_folder.database_folder import VERSIONS, version_name
from tabvault.storage.data_folder.database_info import Current, DatabaseInfo, LastBackup
from tabvault.storage.data_folder.detached import DetachedDatabases
from tabvault.storage.data_folder.staging import StagedVersion
from tabvault.storage.data_folder.version import VersionReader
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from tabvault.storage.data_folder.detached_folder import DetachedFolder
    from tabvault.storage.data_folder.lock import OwnerLock
    from tabvault.storage.data_folder.manifest import Manifest

__all__ = ["DataFolder", "DatabaseInfo"]

_NOT_WRITABLE: Final = frozenset([errno.EROFS, errno.EACCES, errno.EPERM])
"""Why the lock file cannot be opened for writing where reading may still be possible."""


class DataFolder:
    """
    A data folder, owned until :meth:`close`; a context manager. All methods may be called from several threads.

    Make one with :meth:`open` or :meth:`open_existing`.

    Attributes:
        is_read_only: it may not be written, and every change is refused.
    """

    def __init__(self, path: Path, lock: OwnerLock, *, is_read_only: bool) -> None:
        self._path = path
        self._owner_lock = lock
        self.is_read_only = is_read_only
        self._detached = DetachedDatabases(path)
        self._changing = threading.RLock()
        self._catalogue_lock = threading.Lock()
        self._catalogue: dict[str, DatabaseInfo] = {}
        self._pins: Counter[tuple[str, int]] = Counter()

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Self:
        """
        Own the data folder *path* and read which databases are in it.

        Args:
            path: the folder.
            create: make it if there is none.

        Raises:
            DataFolderLockedError: another process owns it. DataFolderDamagedError: it was made by a newer version, or
            is damaged as a whole. A damaged database does not count: it is listed as damaged. DatabaseNotFoundError:
            there is none, and *create* is false. DatabaseError: it is no data folder, and other files are in it.
            StorageError: the file system refuses.
        """
        return cls._loaded(path, layout.take(path, create=create), is_read_only=False)

    @classmethod
    def open_existing(cls, path: Path) -> Self:
        """
        Own the data folder *path*, or only read it where this process may not write; nothing is made.

        Raises:
            DatabaseNotFoundError: there is none. All others as :meth:`open`.
        """
        try:
            return cls.open(path, create=False)
        except StorageError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _NOT_WRITABLE:
                raise
        return cls._loaded(path, layout.share(path), is_read_only=True)

    @classmethod
    def _loaded(cls, path: Path, lock: OwnerLock, *, is_read_only: bool) -> Self:
        try:
            folder = cls(path, lock, is_read_only=is_read_only)
            with storage_errors(f"data folder {path}"):
                folder._load()
        except BaseException:
            lock.release()
            raise
        return folder

    @property
    def path(self) -> Path:
        """Where the folder lies."""
        return self._path

    @property
    def spool_folder(self) -> Path:
        """A folder on the same file system for temporary files of jobs; emptied when the data folder is opened."""
        return self._path / layout.STAGING

    def check_free_space(self, byte_count: int) -> None:
        """
        Raise unless the file system has room for *byte_count* bytes more.

        Raises:
            DiskFullError: it has not.
            StorageError: it does not say.
        """
        with storage_errors(f"data folder {self._path}"):
            status = os.statvfs(self._path)
        available_byte_count = status.f_bavail * status.f_frsize
        if byte_count > available_byte_count:
            raise DiskFullError(
                f"{byte_count} bytes are needed in data folder {self._path}, {available_byte_count} are free",
                hint="free space there, or choose a data folder on another disk",
            )

    def check_writable(self) -> None:
        """
        Raise unless databases may be changed.

        Raises:
            StoreUnavailableError: this process may only read the folder.
        """
        if self.is_read_only:
            raise StoreUnavailableError(
                f"data folder {self._path} can only be read",
                hint="ask for the right to write there, or import the database into another data folder",
            )

    def databases(self) -> list[DatabaseInfo]:
        """All databases by name, the damaged ones too."""
        with self._catalogue_lock:
            infos = list(self._catalogue.values())
        return sorted(infos, key=lambda info: (info.name.casefold(), info.key))

    def find(self, name_or_id: str) -> DatabaseInfo:
        """
        The database of that name, or else of that id; case does not matter, as in Analysis Services.

        Raises:
            DatabaseNotFoundError: there is none.
        """
        with self._catalogue_lock:
            return catalogue.find(self._catalogue, name_or_id)

    def read(self, database: str | DatabaseInfo) -> VersionReader:
        """
        Begin to read the current version of a database, which stays until the reader is closed.

        Args:
            database: its name or id as a person gives it; or which one it is, for a caller who knows: one database's id
                may be another one's name.

        Raises:
            DatabaseNotFoundError: there is none.
            DataFolderDamagedError: it is damaged.
        """
        with self._catalogue_lock:
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

    def stage(self) -> StagedVersion:
        """
        Begin to write a version of a database, new or old.

        Raises:
            StorageError: the file system refuses.
        """
        self.check_writable()
        return StagedVersion(self._path / layout.STAGING, self._publish)

    def scratch_file(self) -> BinaryIO:
        """
        An empty file without a name, on the disk of the databases: gone when it is closed, or the process dies.

        Raises:
            StorageError: the file system refuses.
        """
        self.check_writable()
        with storage_errors("temporary file of the data folder", missing=StorageError):
            return cast("BinaryIO", tempfile.TemporaryFile(dir=self._path / layout.STAGING, prefix="scratch-"))

    def drop(self, info: DatabaseInfo) -> None:
        """
        Remove a database, whatever its current version is. Its space is free when the last reader has left.

        When this raises, the database is still there; only if the disk failed at the very last step can it be gone.

        Raises:
            DatabaseNotFoundError: it is gone already.
            StorageError: the file system refuses.
        """
        self.check_writable()
        with self._changing:
            self._detached.settle(info.key)
            self._drop(info)

    def detached(self) -> list[DatabaseInfo]:
        """
        The databases out of service, the damaged ones too; the key of each is the name of its folder.

        Raises:
            StorageError: the file system refuses.
        """
        with self._changing:
            return self._detached.infos()

    def detach(self, info: DatabaseInfo) -> DatabaseInfo:
        """
        Take a database out of service; who reads it goes on reading.

        When this raises, it is still in service; only if the disk failed at the very last step can it be out of it.

        Returns:
            The detached database; its key is the name of its folder.

        Raises:
            DatabaseNotFoundError: it was dropped meanwhile.
            DatabaseError: it was changed meanwhile.
            DataFolderDamagedError: it is damaged. FormatError: a file is missing or not as long as it should be.
            StorageError: the file system refuses.
        """
        self.check_writable()
        staging = self._path / layout.STAGING
        with self.read(info) as version, StagedVersion(staging, self._publish_detached) as staged:
            for name in version.names():
                staged.link(version, name)
            return staged.commit(
                name=version.info.name,
                database_id=version.info.id,
                compatibility_level=version.info.compatibility_level,
                read_write_mode=version.info.read_write_mode,
                container=version.manifest.container,
                replaces=version.info,
            )

    def open_detached(self, folder: str) -> DetachedFolder:
        """See :meth:`~tabvault.storage.data_folder.detached.DetachedDatabases.open`."""
        with self._changing:
            return self._detached.open(folder)

    def stage_detached(self, detached: DetachedFolder) -> StagedVersion:
        """
        Begin to take a detached database into service: the commit of the staged version does, in one step.

        That commit *replaces* ``detached.info``; it raises DatabaseError when the folder is not what it was.

        Raises:
            StorageError: the file system refuses.
        """
        self.check_writable()
        return StagedVersion(self._path / layout.STAGING, partial(self._publish_attached, detached))

    def record_backup(self, info: DatabaseInfo, when: datetime.datetime, *, file: str | None = None) -> None:
        """
        Note that a backup of the database ended.

        Args:
            info: the database.
            when: with an offset.
            file: its name in the container, as :func:`~tabvault.storage.names.check_object_name` spells it.

        Raises:
            DatabaseNotFoundError: it was dropped meanwhile.
            StorageError: the file system refuses.
        """
        if when.tzinfo is None:
            raise ValueError("the time of a backup needs an offset")
        self.check_writable()
        with self._changing:
            self._check_present(info)
            with self._following_disk(info.key), storage_errors(f"database {info.name!r}"):
                database_folder.record_backup(self._folder(info.key), LastBackup(when, file))
            with self._catalogue_lock:
                noted = replace(self._catalogue[info.key], last_backup=when, last_backup_file=file)
                self._catalogue[info.key] = noted

    def close(self) -> None:
        """Let another process own the folder. No reader and no staged version may be left. Twice is allowed."""
        self._owner_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _drop(self, info: DatabaseInfo) -> None:
        self._check_present(info)
        with self._following_disk(info.key), storage_errors(f"database {info.name!r}"):
            database_folder.mark_dropped(self._folder(info.key))
        with self._catalogue_lock:
            del self._catalogue[info.key]
            is_read = any(key == info.key for key, _ in self._pins)
        if not is_read:
            database_folder.remove_dropped(self._folder(info.key), self._path / layout.TRASH)

    def _publish_detached(
        self, staged: Path, manifest: Manifest, manifest_digest: str, replaces: DatabaseInfo | None
    ) -> DatabaseInfo:
        """The last step of a detachment: the copy is there, then the database is dropped."""
        assert replaces is not None
        with self._changing:
            self._check_unused(manifest, replaces)
            with self._catalogue_lock:
                info = self._catalogue[replaces.key]
            backup = LastBackup(info.last_backup, info.last_backup_file) if info.last_backup else None
            self._detached.settle(info.key)
            try:
                with storage_errors(f"database {info.name!r}"):
                    folder_name = self._detached.arrive(staged, manifest_digest, info, backup)
                self._drop(info)
            finally:
                self._detached.settle(info.key)
        return DatabaseInfo.of(folder_name, Current(1, manifest_digest), manifest, last_backup=backup)

    def _publish_attached(
        self,
        detached: DetachedFolder,
        staged: Path,
        manifest: Manifest,
        manifest_digest: str,
        replaces: DatabaseInfo | None,
    ) -> DatabaseInfo:
        """The last step of an attachment: the detached copy is aside, then the database is published."""
        assert replaces is detached.info
        with self._changing:
            self._check_unused(manifest, None)
            try:
                with storage_errors(f"detached database {manifest.name!r}"):
                    if detached.last_backup is not None:
                        database_folder.record_backup(staged, detached.last_backup)
                    self._detached.depart(detached, staged.name)
                return self._publish(staged, manifest, manifest_digest, None, last_backup=detached.last_backup)
            finally:
                self._detached.settle(staged.name)

    def _publish(
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
        with self._changing:
            self._check_unused(manifest, replaces)
            key = replaces.key if replaces else staged.name
            publish = database_folder.publish_next if replaces else database_folder.publish_new
            try:
                with self._following_disk(key), storage_errors(f"database {manifest.name!r}"):
                    current = publish(staged, self._folder(key), manifest_digest)
                with self._catalogue_lock:
                    info = DatabaseInfo.of(key, current, manifest, last_backup=last_backup)
                    if replaces:
                        old = self._catalogue[key]
                        info = replace(info, last_backup=old.last_backup, last_backup_file=old.last_backup_file)
                    self._catalogue[key] = info
            finally:
                self._remove_unread_versions(key)
            return info

    def _check_unused(self, manifest: Manifest, replaces: DatabaseInfo | None) -> None:
        with self._catalogue_lock:
            databases = dict(self._catalogue)
        catalogue.check_unused(databases, manifest, replaces)

    def _check_present(self, info: DatabaseInfo) -> None:
        with self._catalogue_lock:
            catalogue.present(self._catalogue, info)

    def _release(self, key: str, version: int) -> None:
        with self._catalogue_lock:
            self._pins[key, version] -= 1
            if self._pins[key, version]:
                return
            del self._pins[key, version]
            info = self._catalogue.get(key)
            is_dropped = info is None and all(pinned != key for pinned, _ in self._pins)
            is_old = info is not None and info.damage is None and info.version != version
        if is_dropped:
            database_folder.remove_dropped(self._folder(key), self._path / layout.TRASH)
        elif is_old:
            database_folder.remove_version(self._folder(key), version)

    def _remove_unread_versions(self, key: str) -> None:
        with self._catalogue_lock:
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
            with self._catalogue_lock:
                if info is None:
                    self._catalogue.pop(key, None)
                else:
                    self._catalogue[key] = info
            raise

    def _load(self) -> None:
        if not self.is_read_only:
            self._detached.settle_all()
        with os.scandir(self._path / layout.DATABASES) as entries:
            keys = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        found = []
        for key in keys:
            info = database_folder.load(self._folder(key))
            if info is not None:
                found.append(info)
            elif not self.is_read_only:
                database_folder.remove_dropped(self._folder(key), self._path / layout.TRASH)
        for info in catalogue.without_doubles(found):
            self._catalogue[info.key] = info
            if info.damage is None and not self.is_read_only:
                database_folder.sweep(self._folder(info.key), current_version=info.version)

    def _folder(self, key: str) -> Path:
        return self._path / layout.DATABASES / key
