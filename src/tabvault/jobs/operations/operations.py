"""
The operations of a server.

Each one, in this order: may he? (nothing is told of what he may not see); the line in the audit log that it begins; the
job, which waits for its turn; the line that it ended. A task is made first (:meth:`Backups.backup`, …), which
refuses him who may not, and then run (XMLA waits for its end) or submitted (REST does not).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.jobs.operations.alterations import Alterations
from tabvault.jobs.operations.backups import Backups
from tabvault.jobs.operations.data_sources import DataSources
from tabvault.jobs.operations.databases import Databases
from tabvault.jobs.operations.opened_versions import OpenedVersions
from tabvault.jobs.operations.refreshes import Refreshes
from tabvault.jobs.operations.task import TaskDesk
from tabvault.jobs.operations.visibility import Visibility
from tabvault.jobs.processing.source_settings import SourceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.jobs.access.authorization import DatabasePermissions
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.reading import OpenDatabase
    from tabvault.jobs.runner.runner import JobRunner
    from tabvault.jobs.vault import Vault
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
        databases: makes tasks that make and remove databases.
        alterations: of databases, and the tasks that end them.
        backups: makes tasks that back up, restore and verify.
        refreshes: makes tasks that refresh.
        sources: where databases get their rows from.
    """

    def __init__(self, vault: Vault, folder: DataFolder, runner: JobRunner, audit: AuditLog) -> None:
        self._opened = OpenedVersions(folder)
        super().__init__(runner, audit, on_end=self._opened.let_go_superseded)
        self._visibility = Visibility(folder)
        settings = SourceSettings(folder, vault.data)
        self.databases = Databases(folder, self._visibility, settings)
        self.alterations = Alterations(folder, self._visibility)
        self.backups = Backups(vault, folder, self._visibility, self._opened)
        self.refreshes = Refreshes(folder, self._visibility, settings)
        self.sources = DataSources(self._visibility, settings, audit)

    def close(self) -> None:
        """Keep no database open any more. Twice is allowed."""
        self._opened.close()

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
