"""Databases as tasks: made, removed, taken out of service and into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import CommandNotSupportedError
from tabvault.jobs.access.authorization import require_new_database, require_server_administrator
from tabvault.jobs.attachment import attach_database, detach_database
from tabvault.jobs.creation import create_database
from tabvault.jobs.listing import list_detached
from tabvault.jobs.operations.task import Task
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from tabvault.jobs.landing import ReadWriteMode
    from tabvault.jobs.listing import DetachedListing
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.visibility import Visibility
    from tabvault.jobs.processing.source_settings import SourceSettings
    from tabvault.jobs.runner.context import JobContext
    from tabvault.model.tmsl.tree import TabularObject
    from tabvault.storage.data_folder.folder import DataFolder


class Databases:
    """
    The databases of a server. Threads may share it.

    Args:
        folder: the data folder.
        visibility: says who may what.
        settings: with what the sources are asked; those of a database go with it.
    """

    def __init__(self, folder: DataFolder, visibility: Visibility, settings: SourceSettings) -> None:
        self._folder = folder
        self._visibility = visibility
        self._settings = settings

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
        seen = self._visibility.named(caller, name) if replace else None
        if seen is not None:
            existing, permissions = seen
            permissions.require_administrator("alter")
        else:
            require_new_database(caller.principal, name)
        options = {"name": name, "compatibility_level": compatibility_level, "overwrite": replace}

        def work(_: JobContext) -> object:
            replaced = self._visibility.administered(caller, existing, "alter") if existing is not None else None
            info = create_database(
                self._folder,
                name,
                id=replaced.id if replaced is not None else id,
                compatibility_level=compatibility_level,
                model=model,
                replaces=replaced,
            )
            return {"database": info.name, "id": info.id, "warnings": self._settings.credential_warnings(info)}

        return Task(JobKind.CREATE, name, options, work)

    def drop(self, caller: Caller, database: str) -> Task:
        """
        Remove a database, and the credentials of its data sources; its backups stay.

        Raises:
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`Visibility.find`, or he does not administer it.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator("drop")

        def work(_: JobContext) -> object:
            dropped = self._visibility.administered(caller, info, "drop")
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
            DatabaseNotFoundError, NotAuthorizedError: as :meth:`Visibility.find`, or he does not administer it.
            CommandNotSupportedError: of a password.
        """
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator("detach")
        _refuse_password(password)

        def work(_: JobContext) -> object:
            return detach_database(self._folder, self._visibility.administered(caller, info, "detach"))

        return Task(JobKind.DETACH, info.name, {}, work)

    def detached(self, caller: Caller) -> list[DetachedListing]:
        """
        What can be attached; see :func:`~tabvault.jobs.listing.list_detached`.

        Raises:
            NotAuthorizedError: he does not administer the server.
        """
        require_server_administrator(caller.principal, "see detached databases")
        return list_detached(self._folder)

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


def _refuse_password(password: str | None) -> None:
    if password:
        raise CommandNotSupportedError(
            "secrets of a detached database are not protected by a password",
            hint="leave the password out; a backup with a password is encrypted as a whole",
        )
