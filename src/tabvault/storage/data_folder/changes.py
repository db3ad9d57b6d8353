"""
Changes of the databases, one at a time: publish, drop, detach, attach, record a backup.

Changes exclude each other. Whether a name is unused or a version still the current one is decided inside that
exclusion; the long part of a commit, making files durable (:mod:`~tabvault.storage.data_folder.staging`), lies before
it. What a change does to databases in service is said in :mod:`~tabvault.storage.data_folder.in_service`, how they go
out of service and come back in :mod:`~tabvault.storage.data_folder.detached`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tabvault.storage.data_folder import database_folder
from tabvault.storage.data_folder.database_info import Current, DatabaseInfo, LastBackup
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.data_folder.detached import DetachedDatabases
    from tabvault.storage.data_folder.detached_folder import DetachedFolder
    from tabvault.storage.data_folder.in_service import DatabasesInService
    from tabvault.storage.data_folder.manifest import Manifest


class Changes:
    """
    What changes databases, in service and out of it. May be called from several threads.

    Args:
        in_service: changed by nobody else.
        detached: likewise.
    """

    def __init__(self, in_service: DatabasesInService, detached: DetachedDatabases) -> None:
        self._in_service = in_service
        self._detached = detached
        self._changing = threading.Lock()

    def drop(self, info: DatabaseInfo) -> None:
        """See :meth:`~tabvault.storage.data_folder.in_service.DatabasesInService.drop`."""
        with self._changing:
            self._detached.settle(info.key)
            self._in_service.drop(info)

    def record_backup(self, info: DatabaseInfo, backup: LastBackup) -> None:
        """See :meth:`~tabvault.storage.data_folder.in_service.DatabasesInService.record_backup`."""
        with self._changing:
            self._in_service.record_backup(info, backup)

    def detached(self) -> list[DatabaseInfo]:
        """See :meth:`~tabvault.storage.data_folder.detached.DetachedDatabases.infos`."""
        with self._changing:
            return self._detached.infos()

    def open_detached(self, folder: str) -> DetachedFolder:
        """See :meth:`~tabvault.storage.data_folder.detached.DetachedDatabases.open`."""
        with self._changing:
            return self._detached.open(folder)

    def publish(
        self, staged: Path, manifest: Manifest, manifest_digest: str, replaces: DatabaseInfo | None
    ) -> DatabaseInfo:
        """The last step of a commit."""
        with self._changing:
            return self._in_service.publish(staged, manifest, manifest_digest, replaces)

    def publish_detached(
        self, staged: Path, manifest: Manifest, manifest_digest: str, replaces: DatabaseInfo | None
    ) -> DatabaseInfo:
        """The last step of a detachment: the copy is there, then the database is dropped."""
        assert replaces is not None
        with self._changing:
            self._in_service.check_unused(manifest, replaces)
            info = self._in_service.present(replaces)
            backup = LastBackup(info.last_backup, info.last_backup_file) if info.last_backup else None
            self._detached.settle(info.key)
            try:
                with storage_errors(f"database {info.name!r}"):
                    folder_name = self._detached.arrive(staged, manifest_digest, info, backup)
                self._in_service.drop(info)
            finally:
                self._detached.settle(info.key)
        return DatabaseInfo.of(folder_name, Current(1, manifest_digest), manifest, last_backup=backup)

    def publish_attached(
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
            self._in_service.check_unused(manifest, None)
            try:
                with storage_errors(f"detached database {manifest.name!r}"):
                    if detached.last_backup is not None:
                        database_folder.record_backup(staged, detached.last_backup)
                    self._detached.depart(detached, staged.name)
                return self._in_service.publish(
                    staged, manifest, manifest_digest, None, last_backup=detached.last_backup
                )
            finally:
                self._detached.settle(staged.name)
