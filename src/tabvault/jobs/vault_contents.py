"""
What lies in a data folder and in its backup storage, for whoever reads.

The data folder is opened (and locked) only when something about databases is asked, and the storage only when something
about backup files is, so that looking into a file needs neither.
"""
# ruff: noqa: PLC0415 - `tabvault storage list` must not wait for DuckDB, Arrow and what reads backups

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import platformdirs

from tabvault.errors import DatabaseNotFoundError, FormatError, StorageError
from tabvault.jobs.backup_storage import BackupStorage
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.file_or_database import is_file, looks_like_file, refuse_password
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.shared_folder import shared_folder
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.export import ExportedFile, ExportFormat
    from tabvault.jobs.inspect import Inspection
    from tabvault.jobs.listing import DatabaseListing, DetachedListing
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.query import Answer
    from tabvault.jobs.reading import OpenDatabase
    from tabvault.jobs.verify import Verification
    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.data_folder.version import VersionReader
    from tabvault.storage.settings import BackupStorageSettings


class VaultContents:
    """
    Args:
        data: the data folder; the platform's folder for user data by default. Reading makes nothing in it.

    Attributes:
        storage: where its backups go.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.data = data or platformdirs.user_data_path("tabvault", appauthor=False)
        self.storage = BackupStorage(self.data)
        self._stack = contextlib.ExitStack()
        self._folder: DataFolder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the data folder and of the backup storage."""
        self._folder = None
        self._stack.close()
        self.storage.close()

    @property
    def folder(self) -> DataFolder:
        """
        The data folder, locked by this process from now on: owned, or only read where it may not be written.

        Raises:
            DatabaseNotFoundError: there is none.
            DataFolderLockedError: another process owns it.
        """
        if self._folder is None:
            self._folder = self._stack.enter_context(shared_folder(self.data, DataFolder.open_existing))
        return self._folder

    @property
    def settings(self) -> BackupStorageSettings:
        """Where backups go; see :attr:`BackupStorage.settings`."""
        return self.storage.settings

    @property
    def store(self) -> ObjectStore:
        """The container where backups go; see :attr:`BackupStorage.store`."""
        return self.storage.store

    @contextlib.contextmanager
    def file(self, path: str) -> Iterator[ByteSource]:
        """A local file, or ``storage:NAME`` in the container, for reading."""
        if path.startswith(STORAGE_PREFIX):
            with self.store.open(path.removeprefix(STORAGE_PREFIX)) as stored:
                yield stored
        else:
            with FileSource(Path(path)) as source:
                yield source

    def databases(self) -> list[DatabaseListing]:
        """
        Every database, damaged ones included; see :func:`tabvault.jobs.listing.list_databases`.

        Raises:
            DatabaseNotFoundError: there is no data folder.
        """
        from tabvault.jobs.listing import list_databases

        folder = self.folder
        try:
            store = self.store
        except (StorageError, FormatError):  # a list of databases does not fail by its backup storage
            store = None
        return list_databases(folder, store)

    def detached(self) -> list[DetachedListing]:
        """
        Every database out of service; see :func:`tabvault.jobs.listing.list_detached`.

        Raises:
            DatabaseNotFoundError: there is no data folder.
        """
        from tabvault.jobs.listing import list_detached

        return list_detached(self.folder)

    def script(self, database: str) -> dict[str, Any]:
        """The ``database`` object of TMSL; see :func:`tabvault.jobs.model_files.script_database`."""
        from tabvault.jobs.model_files import script_database

        with self.folder.read(database) as version:
            return script_database(version)

    def inspect(
        self, path: str, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
    ) -> Inspection:
        """See :func:`tabvault.jobs.inspect.inspect_backup`."""
        from tabvault.jobs.inspect import inspect_backup
        from tabvault.jobs.opening import open_backup

        with (
            self.file(path) as source,
            open_backup(source, password=password, meter=ProgressMeter(progress)) as opened,
        ):
            return inspect_backup(opened)

    def verify(
        self, path_or_database: str, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
    ) -> Verification:
        """
        Read and check everything of a backup or a database; which of the two it is, is as for :meth:`open`.

        See :func:`tabvault.jobs.verify.verify_backup` and :func:`tabvault.jobs.verify.verify_database`.
        """
        from tabvault.jobs.verify import verify_backup, verify_database

        if not is_file(path_or_database):
            try:
                info = self.folder.find(path_or_database)
            except DatabaseNotFoundError:
                if not looks_like_file(path_or_database):
                    raise
            else:
                refuse_password(path_or_database, password)
                return verify_database(self.folder, info, progress=progress)
        with self.file(path_or_database) as source:
            return verify_backup(source, password=password, progress=progress)

    @contextlib.contextmanager
    def open(self, path_or_database: str, *, password: str | None = None) -> Iterator[OpenDatabase]:
        """
        A database of the data folder, a local backup, or ``storage:NAME``: its model and its tables.

        What exists as a local file, or is written as ``storage:NAME``, is a backup; anything else is a database.
        """
        from tabvault.jobs.opening import open_backup
        from tabvault.jobs.reading import OpenDatabase

        if is_file(path_or_database):
            with (
                self.file(path_or_database) as source,
                open_backup(source, password=password) as opened,
                OpenDatabase.of_container(opened.container) as database,
            ):
                yield database
        else:
            refuse_password(path_or_database, password)
            with self._reader(path_or_database) as version, OpenDatabase.of_version(version) as database:
                yield database

    def _reader(self, database: str) -> VersionReader:
        try:
            return self.folder.read(database)
        except DatabaseNotFoundError as error:
            if looks_like_file(database):
                hint = error.hint if self._folder is not None else error.message
                raise DatabaseNotFoundError(f"there is no file and no database {database!r}", hint=hint) from None
            raise

    @contextlib.contextmanager
    def query(
        self, database: str, text: str, *, password: str | None = None, timeout_s: float | None = None
    ) -> Iterator[Answer]:
        """
        Ask a database, or a backup file, one question; see :func:`tabvault.jobs.query.query`.

        Args:
            database: name or id, a local backup, or ``storage:NAME``.
            text: SQL over the tables, or a DMV.
            password: of an encrypted backup.
            timeout_s: end the query with an error after this time.
        """
        from tabvault.jobs.processing.source_access import SourceAccess
        from tabvault.jobs.query import query
        from tabvault.jobs.reading import catalog_entry

        with self.open(database, password=password) as opened:
            catalogs, sources = [opened.entry], None
            if not is_file(database):
                catalogs = [catalog_entry(info) for info in self.folder.databases()]
                sources = SourceAccess(self.data, opened.entry.id)
            with query(opened, text, catalogs=catalogs, timeout_s=timeout_s, sources=sources) as answer:
                yield answer

    def export(
        self,
        path_or_database: str,
        to: Path | str,
        *,
        format_: ExportFormat = "parquet",
        table: str | None = None,
        password: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[ExportedFile]:
        """See :func:`tabvault.jobs.export.export_tables`."""
        from tabvault.jobs.export import export_tables

        with self.open(path_or_database, password=password) as database:
            return export_tables(database, Path(to), format_=format_, table=table, progress=progress)
