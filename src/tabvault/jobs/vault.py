"""
One data folder with its backup storage: what the command line, the Python interface and later the server all drive.

A :class:`Vault` opens (and locks) the data folder only when something about databases is asked, and the storage
only when something about backup files is, so that looking into a file needs neither.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import platformdirs

from tabvault.errors import (
    DatabaseNotFoundError,
    FormatError,
    InvalidNameError,
    PasswordSuperfluousError,
    StorageError,
)
from tabvault.jobs.backup import backup_database
from tabvault.jobs.database_name import STORAGE_PREFIX, check_database_name
from tabvault.jobs.inspect import inspect_backup
from tabvault.jobs.landing import LandingOptions
from tabvault.jobs.listing import list_databases
from tabvault.jobs.opening import open_backup
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.restore import bring_in, restore_database
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.file_source import FileSource
from tabvault.storage.local import LocalAccount
from tabvault.storage.names import check_object_name
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.settings import DEFAULT_ACCOUNT, BackupStorageSettings, load_settings, open_store, save_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.backup import BackupResult
    from tabvault.jobs.export import ExportedFile, ExportFormat
    from tabvault.jobs.inspect import Inspection
    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.listing import DatabaseListing
    from tabvault.jobs.model_creation import CreationResult
    from tabvault.jobs.processing.request import RefreshRequest
    from tabvault.jobs.processing.result import RefreshResult
    from tabvault.jobs.processing.source_settings import SourceSettings
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.query import Answer
    from tabvault.jobs.reading import OpenDatabase
    from tabvault.jobs.restore import RestoreResult
    from tabvault.jobs.verify import Verification
    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.data_folder.version import VersionReader


class Vault:
    """
    Args:
        data: the data folder; the platform's folder for user data by default. It is made by an import, a restore, a
            configuration of the storage or the first upload to it; whatever only reads makes nothing.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.data = data or platformdirs.user_data_path("tabvault", appauthor=False)
        self._stack = contextlib.ExitStack()
        self._folder: DataFolder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the data folder."""
        self._folder = None
        self._stack.close()

    @property
    def folder(self) -> DataFolder:
        """
        The data folder, locked by this process from now on: owned, or only read where it may not be written.

        Raises:
            DatabaseNotFoundError: there is none.
            DataFolderLockedError: another process owns it.
        """
        if self._folder is None:
            self._folder = self._stack.enter_context(_shared_folder(self.data, DataFolder.open_existing))
        return self._folder

    @property
    def own_folder(self) -> DataFolder:
        """
        The data folder for one who writes to it, owned by this process from now on; made if there is none.

        Raises:
            DataFolderLockedError: another process owns it.
            StorageError: it may not be written.
        """
        if self._folder is None:
            self._folder = self._stack.enter_context(_shared_folder(self.data, DataFolder.open))
        self._folder.check_writable()
        return self._folder

    @property
    def settings(self) -> BackupStorageSettings:
        """Where backups go."""
        return load_settings(self.data)

    def configure_storage(self, settings: BackupStorageSettings) -> None:
        """
        Set where backups go, and make the container if it is not there.

        Raises:
            InvalidNameError: a container cannot have that name.
            StorageError: the folder cannot be made.
        """
        with storage_errors(f"data folder {self.data}"):
            self.data.mkdir(parents=True, exist_ok=True)
        if settings.enabled and settings.account is not None and settings.container is not None:
            account = (self.data / settings.account).resolve()
            own = self.data.resolve()
            if account == own or (account.is_relative_to(own) and account.relative_to(own).parts[0] != DEFAULT_ACCOUNT):
                raise InvalidNameError(
                    f"account {account} is where the databases lie", hint="choose a folder outside the data folder"
                )
            LocalAccount(self.data / settings.account).container(settings.container, create=True)
        save_settings(self.data, settings)

    @property
    def store(self) -> ObjectStore:
        """
        The container of the storage account.

        Raises:
            StorageNotConfiguredError: backup storage is disabled or not set.
        """
        return open_store(self.settings, self.data)

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
        folder = self.folder
        try:
            store = self.store
        except (StorageError, FormatError):  # a list of databases does not fail by its backup storage
            store = None
        return list_databases(folder, store)

    def backup(
        self,
        database: str,
        file: str | None = None,
        *,
        overwrite: bool = False,
        compress: bool = True,
        password: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> BackupResult:
        """See :func:`tabvault.jobs.backup.backup_database`."""
        return backup_database(
            self.folder,
            self.store,
            database,
            file.removeprefix(STORAGE_PREFIX) if file is not None else None,
            overwrite=overwrite,
            compress=compress,
            password=password,
            progress=progress,
        )

    def restore(
        self,
        file: str,
        database: str | None = None,
        *,
        overwrite: bool = False,
        password: str | None = None,
        security: Security = "copyAll",
        read_write_mode: ReadWriteMode = "readWrite",
        force: bool = False,
        ignore_incompatibilities: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> RestoreResult:
        """
        See :func:`tabvault.jobs.restore.restore_database`.

        *force* is taken for compatibility: Analysis Services unloads the old database first to save memory. Here
        the old one lies on disk and needs no unloading, so it serves until the new one is whole, forced or not.
        """
        del force
        store, file = self.store, file.removeprefix(STORAGE_PREFIX)
        store.info(file)  # a data folder is not made for a file that is not there
        result = restore_database(
            self.own_folder,
            store,
            file,
            database,
            options=LandingOptions(overwrite, security, read_write_mode, ignore_incompatibilities),
            password=password,
            progress=progress,
        )
        return self._with_source_warnings(result)

    def import_file(
        self,
        path: str | Path,
        database: str | None = None,
        *,
        overwrite: bool = False,
        password: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> RestoreResult:
        """
        Make a database of an ``.abf``, ``.pbix`` or ``cache.abf`` anywhere on this machine.

        Power BI gives its databases random names, so the file's own name is the default.
        """
        path = str(path)
        name = check_database_name(default_database_name(path) if database is None else database)
        if path.startswith(STORAGE_PREFIX):
            path = f"{STORAGE_PREFIX}{check_object_name(path.removeprefix(STORAGE_PREFIX))}"
        with self.file(path) as source:
            result = bring_in(
                self.own_folder,
                source,
                path,
                name,
                options=LandingOptions(overwrite=overwrite),
                password=password,
                progress=progress,
            )
        return self._with_source_warnings(result)

    def create(
        self, database: str, model_file: Path, *, overwrite: bool = False, compatibility_level: int | None = None
    ) -> CreationResult:
        """
        Make a database of a model in a file or folder; there are no rows in it yet.

        See :func:`tabvault.jobs.model_files.read_model_file` and
        :func:`tabvault.jobs.model_creation.create_from_definition`.
        """
        from tabvault.jobs.model_creation import create_from_definition
        from tabvault.jobs.model_files import definition_of, named_places, read_model_file

        check_database_name(database)
        file = str(model_file)
        document = read_model_file(model_file)
        with named_places(file):
            definition = definition_of(document, name=database, compatibility_level=compatibility_level)
        # The data folder is not made for a file that is none.
        result = create_from_definition(self.own_folder, definition, file=file, overwrite=overwrite)
        return replace(result, warnings=self.sources.credential_warnings(result.database))

    def script(self, database: str) -> dict[str, Any]:
        """The ``database`` object of TMSL; see :func:`tabvault.jobs.model_files.script_database`."""
        from tabvault.jobs.model_files import script_database

        with self.folder.read(database) as version:
            return script_database(version)

    def _with_source_warnings(self, result: RestoreResult) -> RestoreResult:
        """The same, and which data sources need a credential here before a refresh."""
        return replace(result, warnings=(*result.warnings, *self.sources.credential_warnings(result.database)))

    def drop(self, database: str) -> None:
        """
        Remove a database, and the credentials of its data sources; its backups stay.

        Raises:
            DatabaseNotFoundError: no such database.
        """
        info = self.folder.find(database)
        self.folder.drop(info)
        self.sources.forget(info)

    @property
    def sources(self) -> SourceSettings:
        """Where the databases get their rows from; errors as :attr:`folder`."""
        from tabvault.jobs.processing.source_settings import SourceSettings

        return SourceSettings(self.folder, self.data)

    def refresh(
        self, database: str, request: RefreshRequest, *, progress: Callable[[Progress], None] | None = None
    ) -> RefreshResult:
        """See :func:`tabvault.jobs.processing.refresh.refresh_database`."""
        from tabvault.jobs.processing.refresh import refresh_database

        return refresh_database(self.own_folder, database, request, self.sources.access, progress=progress)

    def inspect(
        self, path: str, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
    ) -> Inspection:
        """See :func:`tabvault.jobs.inspect.inspect_backup`."""
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
                if not _looks_like_file(path_or_database):
                    raise
            else:
                _refuse_password(path_or_database, password)
                return verify_database(self.folder, info, progress=progress)
        with self.file(path_or_database) as source:
            return verify_backup(source, password=password, progress=progress)

    @contextlib.contextmanager
    def open(self, path_or_database: str, *, password: str | None = None) -> Iterator[OpenDatabase]:
        """
        A database of the data folder, a local backup, or ``storage:NAME``: its model and its tables.

        What exists as a local file, or is written as ``storage:NAME``, is a backup; anything else is a database.
        """
        from tabvault.jobs.reading import OpenDatabase

        if is_file(path_or_database):
            with (
                self.file(path_or_database) as source,
                open_backup(source, password=password) as opened,
                OpenDatabase.of_container(opened.container) as database,
            ):
                yield database
        else:
            _refuse_password(path_or_database, password)
            with self._reader(path_or_database) as version, OpenDatabase.of_version(version) as database:
                yield database

    def _reader(self, database: str) -> VersionReader:
        try:
            return self.folder.read(database)
        except DatabaseNotFoundError as error:
            if _looks_like_file(database):
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


def is_file(path_or_database: str) -> bool:
    """Whether the text denotes a backup file and not a database of the data folder."""
    if path_or_database.startswith(STORAGE_PREFIX):
        return True
    try:
        return Path(path_or_database).is_file()
    except (OSError, ValueError):  # longer than a path can be, or with a character that none can have
        return False


def _looks_like_file(text: str) -> bool:
    """Whether who wrote it may have meant a file: for the choice between two errors."""
    return "/" in text or "." in text


def _refuse_password(database: str, password: str | None) -> None:
    if password:
        raise PasswordSuperfluousError(
            f"a password was given, and {database!r} is a database of the data folder", hint="leave the password out"
        )


def default_database_name(path: str) -> str:
    """``Sales`` for ``…/Sales.pbix`` or ``storage:folder/Sales.abf``."""
    name = path.removeprefix(STORAGE_PREFIX).replace("\\", "/").rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    if not (stem if dot else name).strip():
        raise InvalidNameError(f"no database name can be taken from {name!r}", hint="give the name of the database")
    return (stem if dot else name).strip()


_shared: dict[Path, tuple[DataFolder, int]] = {}
_shared_lock = threading.Lock()


@contextlib.contextmanager
def _shared_folder(path: Path, open_folder: Callable[[Path], DataFolder]) -> Iterator[DataFolder]:
    """
    The data folder of *path*, opened once in this process however many vaults use it.

    It is owned by a process, not by a vault: two databases opened side by side must not lock each other out.
    """
    key = path.absolute()
    with _shared_lock:
        folder, users = _shared[key] if key in _shared else (open_folder(key), 0)
        _shared[key] = (folder, users + 1)
    try:
        yield folder
    finally:
        with _shared_lock:
            folder, users = _shared.pop(key)
            if users > 1:
                _shared[key] = (folder, users - 1)
            else:
                folder.close()
