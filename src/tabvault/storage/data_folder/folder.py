"""
The data folder: one process owns it, reads its databases and changes them.

Owning is the lock's matter (:mod:`~tabvault.storage.data_folder.lock`). Which databases there are, and what a reader
may rely on, is kept by :mod:`~tabvault.storage.data_folder.in_service`; that changes exclude each other by
:mod:`~tabvault.storage.data_folder.changes`; how databases go out of service and come back is said in
:mod:`~tabvault.storage.data_folder.detached`.

A folder that this process may not write is read under a shared lock: nobody owns it meanwhile, so what is read stays,
and this process removes nothing either.
"""

from __future__ import annotations

import errno
import os
import tempfile
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from tabvault.errors import DiskFullError, StorageError, StoreUnavailableError
from tabvault.storage.data_folder import layout
from tabvault.storage.data_folder.changes import Changes
from tabvault.storage.data_folder.database_info import DatabaseInfo, LastBackup
from tabvault.storage.data_folder.detached import DetachedDatabases
from tabvault.storage.data_folder.in_service import DatabasesInService
from tabvault.storage.data_folder.staging import StagedVersion
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    import datetime
    from pathlib import Path
    from types import TracebackType

    from tabvault.storage.data_folder.detached_folder import DetachedFolder
    from tabvault.storage.data_folder.lock import OwnerLock
    from tabvault.storage.data_folder.version import VersionReader

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
        self._in_service = DatabasesInService(path)
        self._changes = Changes(self._in_service, self._detached)

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
                if not is_read_only:
                    folder._detached.settle_all()
                folder._in_service.load(collect=not is_read_only)
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

    @property
    def uploads_folder(self) -> Path:
        """Where the tries of uploads lie that were interrupted (:mod:`tabvault.storage.upload_tries`)."""
        return self._path / layout.UPLOADS

    @property
    def downloads_folder(self) -> Path:
        """Where the parts of interrupted downloads lie (:mod:`tabvault.storage.downloads`)."""
        return self._path / layout.DOWNLOADS

    def free_byte_count(self) -> int:
        """
        How many bytes may still be written here.

        Raises:
            StorageError: the file system does not say.
        """
        with storage_errors(f"data folder {self._path}"):
            status = os.statvfs(self._path)
        return status.f_bavail * status.f_frsize

    def check_free_space(self, byte_count: int) -> None:
        """
        Raise unless the file system has room for *byte_count* bytes more.

        Raises:
            DiskFullError: it has not.
            StorageError: it does not say.
        """
        available_byte_count = self.free_byte_count()
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
        return self._in_service.infos()

    def find(self, name_or_id: str) -> DatabaseInfo:
        """
        The database of that name, or else of that id; case does not matter, as in Analysis Services.

        Raises:
            DatabaseNotFoundError: there is none.
        """
        return self._in_service.find(name_or_id)

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
        return self._in_service.read(database)

    def stage(self) -> StagedVersion:
        """
        Begin to write a version of a database, new or old.

        Raises:
            StorageError: the file system refuses.
        """
        self.check_writable()
        return StagedVersion(self._path / layout.STAGING, self._changes.publish)

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
        self._changes.drop(info)

    def detached(self) -> list[DatabaseInfo]:
        """
        The databases out of service, the damaged ones too; the key of each is the name of its folder.

        Raises:
            StorageError: the file system refuses.
        """
        return self._changes.detached()

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
        with self.read(info) as version, StagedVersion(staging, self._changes.publish_detached) as staged:
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
        return self._changes.open_detached(folder)

    def stage_detached(self, detached: DetachedFolder) -> StagedVersion:
        """
        Begin to take a detached database into service: the commit of the staged version does, in one step.

        That commit *replaces* ``detached.info``; it raises DatabaseError when the folder is not what it was.

        Raises:
            StorageError: the file system refuses.
        """
        self.check_writable()
        return StagedVersion(self._path / layout.STAGING, partial(self._changes.publish_attached, detached))

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
        self._changes.record_backup(info, LastBackup(when, file))

    def close(self) -> None:
        """Let another process own the folder. No reader and no staged version may be left. Twice is allowed."""
        self._owner_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
