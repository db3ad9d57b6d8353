"""
One data folder with its backup storage: what the command line, the Python interface and the server all drive.

What only reads is in :mod:`tabvault.jobs.vault_contents`; here is what makes, changes and removes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tabvault.jobs.database_name import STORAGE_PREFIX, check_database_name
from tabvault.jobs.file_or_database import default_database_name
from tabvault.jobs.shared_folder import shared_folder
from tabvault.jobs.vault_contents import VaultContents
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tabvault.jobs.backup import BackupResult
    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.model_creation import CreationResult
    from tabvault.jobs.processing.request import RefreshRequest
    from tabvault.jobs.processing.result import RefreshResult
    from tabvault.jobs.processing.source_settings import SourceSettings
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.restore import RestoreResult
    from tabvault.storage.settings import BackupStorageSettings


class Vault(VaultContents):
    """
    Args:
        data: the data folder; the platform's folder for user data by default. It is made by an import, a restore, a
            configuration of the storage or the first upload to it; whatever only reads makes nothing.
    """

    @property
    def own_folder(self) -> DataFolder:
        """
        The data folder for one who writes to it, owned by this process from now on; made if there is none.

        Raises:
            DataFolderLockedError: another process owns it.
            StorageError: it may not be written.
        """
        if self._folder is None:
            self._folder = self._stack.enter_context(shared_folder(self.data, DataFolder.open))
        self._folder.check_writable()
        return self._folder

    def configure_storage(self, settings: BackupStorageSettings) -> None:
        """Set where backups go; see :meth:`BackupStorage.configure`."""
        self.storage.configure(settings)

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
        from tabvault.jobs.backup import backup_database

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
        from tabvault.jobs.landing import LandingOptions
        from tabvault.jobs.restore import restore_database

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
        from tabvault.jobs.landing import LandingOptions
        from tabvault.jobs.restore import bring_in, restore_database

        path = str(path)
        name = check_database_name(default_database_name(path) if database is None else database)
        options = LandingOptions(overwrite=overwrite)
        if path.startswith(STORAGE_PREFIX):
            store, file = self.store, check_object_name(path.removeprefix(STORAGE_PREFIX))
            store.info(file)  # as in restore()
            result = restore_database(
                self.own_folder, store, file, name, options=options, password=password, progress=progress
            )
            return self._with_source_warnings(replace(result, file=f"{STORAGE_PREFIX}{file}"))
        with self.file(path) as source:
            result = bring_in(
                self.own_folder, source, path, name, options=options, password=password, progress=progress
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
