"""
Backups as tasks: databases written into files of the backup storage, restored from them, and verified.

What a task was allowed when it was made is asked again at its turn: while it waited the database may have been restored
over, and another one may have come to a name.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tabvault.jobs.access.authorization import require_restore_new, require_server_administrator
from tabvault.jobs.backup import backup_version
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.operations.task import Task
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.opened_versions import OpenedVersion, OpenedVersions
    from tabvault.jobs.operations.visibility import Visibility
    from tabvault.jobs.reading import OpenDatabase
    from tabvault.jobs.runner.context import JobContext
    from tabvault.jobs.vault import Vault
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder


class Backups:
    """
    The backups of a server. Threads may share it.

    Args:
        vault: data folder and backup storage.
        folder: the same data folder.
        visibility: says who may what.
        opened: versions that are open.
    """

    def __init__(self, vault: Vault, folder: DataFolder, visibility: Visibility, opened: OpenedVersions) -> None:
        self._vault = vault
        self._folder = folder
        self._visibility = visibility
        self._opened = opened

    @contextmanager
    def open_file(self, file: str, password: str | None) -> Iterator[OpenDatabase]:
        """A backup file of the container, opened for reading. The caller has been asked for already."""
        with self._vault.open(f"storage:{file}", password=password) as opened:
            yield opened

    def backup(
        self,
        caller: Caller,
        database: str,
        file: str | None,
        *,
        overwrite: bool = False,
        compress: bool = True,
        password: str | None = None,
    ) -> Task:
        """
        A backup; see :meth:`Vault.backup`.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`Visibility.find`, or he may not back it up.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_backup()
        password = password or None
        options = {"file": file, "overwrite": overwrite, "compress": compress, "encrypted": password is not None}

        def work(job: JobContext) -> object:
            # While it waited the database may have been restored over, and he may not be its administrator any more:
            # the roles of the version that is backed up count.
            with self._opened_again(caller, info) as opened:
                self._visibility.permissions(caller, opened.info, metadata=opened.database.metadata).require_backup()
                return backup_version(
                    self._folder,
                    self._vault.store,
                    opened.version,
                    file.removeprefix(STORAGE_PREFIX) if file is not None else None,
                    overwrite=overwrite,
                    compress=compress,
                    password=password,
                    progress=job.progress,
                )

        return Task(JobKind.BACKUP, info.name, options, work)

    def restore(
        self,
        caller: Caller,
        file: str,
        database: str | None,
        *,
        overwrite: bool = False,
        password: str | None = None,
        security: Security = "copyAll",
        read_write_mode: ReadWriteMode = "readWrite",
        force: bool = False,
        ignore_incompatibilities: bool = False,
    ) -> Task:
        """
        A restore; see :meth:`Vault.restore`.

        Without a name of the database the one in the file counts, and so it is read before anybody is asked.

        Raises:
            NotAuthorizedError: he may not restore under that name.
        """
        password = password or None
        if database is None:
            # What a file says is for those who may restore at all.
            require_restore_new(caller.principal, "")
            with self.open_file(file, password) as opened:
                database = opened.name
        self._require_restore(caller, database)
        name = database
        options = {
            "file": file,
            "overwrite": overwrite,
            "security": security,
            "read_write_mode": read_write_mode,
            "force": force,
            "ignore_incompatibilities": ignore_incompatibilities,
            "encrypted": password is not None,
        }

        def work(job: JobContext) -> object:
            # Between the question and the turn another database may have come to that name.
            self._require_restore(caller, name)
            return self._vault.restore(
                file,
                name,
                overwrite=overwrite,
                password=password,
                security=security,
                read_write_mode=read_write_mode,
                force=force,
                ignore_incompatibilities=ignore_incompatibilities,
                progress=job.progress,
            )

        return Task(JobKind.RESTORE, name, options, work)

    def verify(self, caller: Caller, database: str) -> Task:
        """
        A verification of a database; see :meth:`Vault.verify`.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`Visibility.find`, or he does not administer it.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_backup()

        def work(job: JobContext) -> object:
            now, permissions = self._visibility.again(caller, info)
            permissions.require_backup()
            return self._vault.verify(now.name, progress=job.progress)

        return Task(JobKind.VERIFY, info.name, {}, work)

    def verify_file(self, caller: Caller, file: str, password: str | None) -> Task:
        """
        A verification of a backup file.

        Raises:
            NotAuthorizedError: he does not administer the server.
        """
        require_server_administrator(caller.principal, "verify backup files")
        options = {"file": file, "encrypted": bool(password)}
        return Task(
            JobKind.VERIFY,
            None,
            options,
            lambda job: self._vault.verify(f"storage:{file}", password=password or None, progress=job.progress),
        )

    def _require_restore(self, caller: Caller, name: str) -> None:
        seen = self._visibility.named(caller, name)
        if seen is None:
            require_restore_new(caller.principal, name)
        else:
            seen[1].require_restore_over()

    @contextmanager
    def _opened_again(self, caller: Caller, info: DatabaseInfo) -> Iterator[OpenedVersion]:
        """
        The database at its turn, opened and pinned.

        Raises:
            NotAuthorizedError: it is gone.
        """
        now, _ = self._visibility.again(caller, info)
        with self._opened.open(now) as opened:
            yield opened
