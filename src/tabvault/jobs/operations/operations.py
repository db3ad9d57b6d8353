"""
The operations of a server.

Each one, in this order: may he? (nothing is told of what he may not see); the line in the audit log that it begins; the
job, which waits for its turn; the line that it ended. A task is made first (:meth:`Operations.backup`, …), which
refuses him who may not, and then run (XMLA waits for its end) or submitted (REST does not).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import CommandNotSupportedError, DatabaseNotFoundError, NotAuthorizedError
from tabvault.jobs.access.authorization import (
    DatabasePermissions,
    no_access,
    require_new_database,
    require_restore_new,
    require_server_administrator,
)
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.attachment import attach_database, detach_database
from tabvault.jobs.backup import backup_version
from tabvault.jobs.creation import create_database
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.operations.data_sources import DataSources
from tabvault.jobs.operations.opened_versions import OpenedVersions
from tabvault.jobs.operations.refreshes import Refreshes
from tabvault.jobs.operations.task import Task, TaskDesk
from tabvault.jobs.operations.visibility import Visibility
from tabvault.jobs.processing.source_settings import SourceSettings
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.opened_versions import OpenedVersion
    from tabvault.jobs.reading import OpenDatabase
    from tabvault.jobs.runner.context import JobContext
    from tabvault.jobs.runner.runner import JobRunner
    from tabvault.jobs.vault import Vault
    from tabvault.model.tmsl.tree import TabularObject
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.server_state.audit_log import AuditLog


@dataclass(frozen=True, slots=True)
class Reading:
    """A database opened for a caller: the version stays as long as he reads."""

    info: DatabaseInfo
    database: OpenDatabase
    permissions: DatabasePermissions


class Operations(TaskDesk):
    """
    What callers may ask for, until :meth:`close`. Threads may share it.

    Args:
        vault: data folder and backup storage.
        folder: the same data folder.
        runner: of the jobs.
        audit: of administrative operations.

    Attributes:
        refreshes: makes tasks that refresh.
        sources: where databases get their rows from.
    """

    def __init__(self, vault: Vault, folder: DataFolder, runner: JobRunner, audit: AuditLog) -> None:
        self._opened = OpenedVersions(folder)
        super().__init__(runner, audit, on_end=self._opened.let_go_superseded)
        self._vault = vault
        self._folder = folder
        self._visibility = Visibility(folder)
        self._settings = SourceSettings(folder, vault.data)
        self.refreshes = Refreshes(self, folder, self._settings)
        self.sources = DataSources(self._visibility, self._settings, audit)

    def close(self) -> None:
        """Keep no database open any more. Twice is allowed."""
        self._opened.close()

    # ---- reading

    def visible(self, caller: Caller) -> list[tuple[DatabaseInfo, DatabasePermissions]]:
        """See :meth:`Visibility.visible`."""
        return self._visibility.visible(caller)

    def find(self, caller: Caller, database: str) -> tuple[DatabaseInfo, DatabasePermissions]:
        """See :meth:`Visibility.find`."""
        return self._visibility.find(caller, database)

    @contextmanager
    def reading(
        self, caller: Caller, database: str, *, properties: Mapping[str, str] | None = None
    ) -> Iterator[Reading]:
        """
        Open a database whose metadata *caller* may read.

        Args:
            caller: who asks.
            database: name or id.
            properties: of XMLA; ``EffectiveUserName`` and ``Roles`` make him ask as somebody else.

        Raises:
            DatabaseNotFoundError: there is none.
            NotAuthorizedError: he may not.
            DataFolderDamagedError: it is damaged.
        """
        given = properties or {}
        effective_user_name = given.get("EffectiveUserName") or None
        role_names = [name.strip() for name in given.get("Roles", "").split(",") if name.strip()]
        info, _ = self._visibility.find(caller, database)
        with self._opened.open(info) as opened:
            # The roles of the version that is read, not of the one that was found.
            permissions = self._visibility.permissions(
                caller,
                opened.info,
                metadata=opened.database.metadata,
                effective_user_name=effective_user_name,
                role_names=role_names,
            )
            permissions.require_read()
            yield Reading(opened.info, opened.database, permissions)

    @contextmanager
    def backup_file(self, file: str, password: str | None) -> Iterator[OpenDatabase]:
        """A backup file of the container, opened for reading. The caller has been asked for already."""
        with self._vault.open(f"storage:{file}", password=password) as opened:
            yield opened

    # ---- tasks

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
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`find`, or he may not back it up.
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
            with self.backup_file(file, password) as opened:
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

    def _require_restore(self, caller: Caller, name: str) -> None:
        seen = self._seen(caller, name)
        if seen is None:
            require_restore_new(caller.principal, name)
        else:
            seen[1].require_restore_over()

    def _seen(self, caller: Caller, name: str) -> tuple[DatabaseInfo, DatabasePermissions] | None:
        """
        The database of that *name* (ids do not count), if there is one that *caller* may see.

        Of one that he may not see he hears what he would hear if it were not there; who may make a new one sees all.
        """
        try:
            info = self._folder.find(name)
            permissions = self._visibility.permissions(caller, info)
        except (DatabaseNotFoundError, NotAuthorizedError):
            return None
        return (info, permissions) if info.name.casefold() == name.casefold() and permissions.is_visible else None

    def verify(self, caller: Caller, database: str) -> Task:
        """
        A verification of a database; see :meth:`Vault.verify`.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`find`, or he does not administer it.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_backup()

        def work(job: JobContext) -> object:
            now, permissions = self.again(caller, info)
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

    def drop(self, caller: Caller, database: str) -> Task:
        """
        Remove a database, and the credentials of its data sources; its backups stay.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`find`, or he does not administer it.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator("drop")

        def work(_: JobContext) -> object:
            dropped = self._administered(caller, info, "drop")
            self._folder.drop(dropped)
            self._settings.forget(dropped)
            return None

        return Task(JobKind.DROP, info.name, {}, work)

    def detach(self, caller: Caller, database: str, *, password: str | None = None) -> Task:
        """
        Take a database out of service; see :func:`~tabvault.jobs.attachment.detach_database`.

        Args:
            caller: who asks.
            database: name or id.
            password: to protect its secrets with.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`find`, or he does not administer it.
            CommandNotSupportedError: of a password.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator("detach")
        _refuse_password(password)

        def work(_: JobContext) -> object:
            return detach_database(self._folder, self._administered(caller, info, "detach"))

        return Task(JobKind.DETACH, info.name, {}, work)

    def attach(
        self,
        caller: Caller,
        folder: str,
        *,
        read_write_mode: ReadWriteMode | None = None,
        password: str | None = None,
    ) -> Task:
        """
        Take a detached database into service; see :func:`~tabvault.jobs.attachment.attach_database`.

        Args:
            caller: who asks.
            folder: name of its folder.
            read_write_mode: None leaves it as it is.
            password: with which its secrets are protected.

        Raises:
            NotAuthorizedError: he does not administer the server: which name it has, only the folder says.
            CommandNotSupportedError: of a password.
            DatabaseNotFoundError: there is no such folder.
            FormatError: there is no database in it.
        """
        require_server_administrator(caller.principal, "attach databases")
        _refuse_password(password)
        with self._folder.open_detached(folder) as detached:
            name = detached.manifest.name
        options = {"folder": folder, "read_write_mode": read_write_mode}

        def work(job: JobContext) -> object:
            return attach_database(self._folder, folder, read_write_mode=read_write_mode, progress=job.progress)

        return Task(JobKind.ATTACH, name, options, work)

    def create(
        self,
        caller: Caller,
        name: str,
        *,
        id: str | None = None,  # noqa: A002 - the word of the protocol
        compatibility_level: int,
        model: TabularObject | None = None,
        replace: bool = False,
    ) -> Task:
        """
        Make a database.

        Args:
            caller: who asks.
            name: of the database.
            id: of the database; its name by default.
            compatibility_level: from 1200.
            model: what its model is.
            replace: take the place of the database of that name, if there is one.

        Raises:
            NotAuthorizedError: he may not.
        """
        existing = None
        seen = self._seen(caller, name) if replace else None
        if seen is not None:
            existing, permissions = seen
            permissions.require_administrator("alter")
        else:
            require_new_database(caller.principal, name)
        options = {"name": name, "compatibility_level": compatibility_level, "overwrite": replace}

        def work(_: JobContext) -> object:
            replaced = self._administered(caller, existing, "alter") if existing is not None else None
            info = create_database(
                self._folder,
                name,
                id=replaced.id if replaced is not None else id,
                compatibility_level=compatibility_level,
                model=model,
                replaces=replaced,
            )
            return {"database": info.name, "id": info.id}

        return Task(JobKind.CREATE, name, options, work)

    def begin_alteration(self, caller: Caller, database: str) -> Alteration:
        """
        Begin to change the objects of a database; nothing is seen or recorded before :meth:`commit_alteration`.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`find`, or he does not administer it.
            DatabaseReadOnlyError: it is read-only.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator("alter")
        return Alteration(self._folder, info)

    def begin_refresh(self, caller: Caller, database: str) -> Alteration:
        """
        Begin to change the values of a database; as :meth:`begin_alteration`, for those who may process it.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`find`, or he may not process it.
            DatabaseReadOnlyError: it is read-only.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_refresh()
        return Alteration(self._folder, info)

    def commit_alteration(self, caller: Caller, alteration: Alteration) -> Task:
        """
        The end of an alteration: its changes become those of the database.

        Who may process the database may change its values; any other change is for its administrators, however the
        alteration was begun.
        """
        is_refresh = alteration.is_refresh

        def work(_: JobContext) -> object:
            if is_refresh:
                self.again(caller, alteration.info)[1].require_refresh()
            else:
                self._administered(caller, alteration.info, "alter")
            info = alteration.commit()
            return {"database": info.name, "version": info.version}

        if is_refresh:
            return Task(JobKind.REFRESH, alteration.info.name, {}, work)
        return Task(JobKind.ALTER, alteration.info.name, {}, work)

    @contextmanager
    def _opened_again(self, caller: Caller, info: DatabaseInfo) -> Iterator[OpenedVersion]:
        """
        The database at its turn, opened and pinned.

        Raises:
            NotAuthorizedError: it is gone.
        """
        now, _ = self.again(caller, info)
        with self._opened.open(now) as opened:
            yield opened

    def _administered(self, caller: Caller, info: DatabaseInfo, action: str) -> DatabaseInfo:
        """
        The database as it is at its turn, if *caller* still administers it.

        Raises:
            NotAuthorizedError: he does not any more, or it is gone.
        """
        now, permissions = self.again(caller, info)
        permissions.require_administrator(action)
        return now

    def again(self, caller: Caller, info: DatabaseInfo) -> tuple[DatabaseInfo, DatabasePermissions]:
        """
        The database as it is at its turn, and what *caller* may do there: it may have been restored over since.

        Raises:
            NotAuthorizedError: it is gone.
        """
        now = next((one for one in self._folder.databases() if one.key == info.key), None)
        if now is None:
            raise no_access(caller.principal, info.name)
        return now, self._visibility.permissions(caller, now)


def _refuse_password(password: str | None) -> None:
    if password:
        raise CommandNotSupportedError(
            "secrets of a detached database are not protected by a password",
            hint="leave the password out; a backup with a password is encrypted as a whole",
        )
