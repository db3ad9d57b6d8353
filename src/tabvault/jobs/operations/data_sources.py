"""
Where databases get their rows from, as a caller may see and set it.

The sources of a database, with their credentials, are for its administrators: they write the model that says where the
sources are, and a credential is shown to nobody and used for the address alone that it was bound for. Folders whose
files may be read, and limits, are the server's, and so for server administrators. Every change has its two lines in the
audit log.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tabvault.errors import RequestError
from tabvault.jobs.access.authorization import require_server_administrator
from tabvault.jobs.operations.task import audit_action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.visibility import Visibility
    from tabvault.jobs.processing.source_listing import SourceListing
    from tabvault.jobs.processing.source_settings import SourceSettings
    from tabvault.storage.data_folder.folder import DatabaseInfo
    from tabvault.storage.server_state.audit_log import AuditLog


class DataSources:
    """
    What may be asked about sources. Threads may share it.

    Every method raises ``NotAuthorizedError`` for a caller who may not, ``DatabaseNotFoundError`` for a database that
    is not there, and ``StorageError`` where the audit log or the change cannot be written.

    Args:
        visibility: of the databases.
        settings: of the sources.
        audit: the audit log.
    """

    def __init__(self, visibility: Visibility, settings: SourceSettings, audit: AuditLog) -> None:
        self._visibility = visibility
        self._settings = settings
        self._audit = audit

    def list(self, caller: Caller, database: str) -> list[SourceListing]:
        """The sources of a database; see :meth:`SourceSettings.list`."""
        return self._settings.list(self._administered(caller, database, "see the data sources of"))

    def set_credential(self, caller: Caller, database: str, name: str, *, user: str | None, password: str) -> None:
        """Bind a credential to a source; see :meth:`SourceSettings.set_credential`."""
        info = self._administered(caller, database, "set credentials of")
        options = {"name": name, "user": user}
        with self._audit.begin(audit_action(caller, "set_source_credential", info.name, options)):
            self._settings.set_credential(info, name, user=user, password=password)

    def remove_credential(self, caller: Caller, database: str, name: str) -> None:
        """Forget the credential of a source; see :meth:`SourceSettings.remove_credential`."""
        info = self._administered(caller, database, "remove credentials of")
        with self._audit.begin(audit_action(caller, "remove_source_credential", info.name, {"name": name})):
            self._settings.remove_credential(info, name)

    def test(self, caller: Caller, database: str, name: str) -> None:
        """Connect to a source; see :meth:`SourceSettings.test`."""
        info = self._administered(caller, database, "test the data sources of")
        with self._audit.begin(audit_action(caller, "test_source", info.name, {"name": name})):
            self._settings.test(info, name)

    def folders(self, caller: Caller) -> Sequence[Path]:
        """The folders whose files may be read."""
        require_server_administrator(caller.principal, "see the folders of source files")
        return self._settings.folders

    def allow_folder(self, caller: Caller, folder: str) -> Path:
        """Allow the files of a folder to be read; see :meth:`SourceSettings.allow_folder`."""
        require_server_administrator(caller.principal, "allow folders of source files")
        with self._audit.begin(audit_action(caller, "allow_source_folder", None, {"folder": folder})):
            return self._settings.allow_folder(_absolute(folder))

    def disallow_folder(self, caller: Caller, folder: str) -> None:
        """Allow a folder no more; see :meth:`SourceSettings.disallow_folder`."""
        require_server_administrator(caller.principal, "disallow folders of source files")
        with self._audit.begin(audit_action(caller, "disallow_source_folder", None, {"folder": folder})):
            self._settings.disallow_folder(_absolute(folder))

    def row_count_max(self, caller: Caller) -> int:
        """Rows that a source may give for one question of a query."""
        require_server_administrator(caller.principal, "see the limits of data sources")
        return self._settings.row_count_max

    def set_row_count_max(self, caller: Caller, row_count_max: int) -> None:
        """Set that; see :meth:`SourceSettings.set_row_count_max`."""
        require_server_administrator(caller.principal, "set the limits of data sources")
        options = {"direct_query_row_count_max": row_count_max}
        with self._audit.begin(audit_action(caller, "set_source_limits", None, options)):
            self._settings.set_row_count_max(row_count_max)

    def _administered(self, caller: Caller, database: str, action: str) -> DatabaseInfo:
        info, permissions = self._visibility.find(caller, database)
        permissions.require_administrator(action)
        return info


def _absolute(folder: str) -> Path:
    path = Path(folder)
    if "\0" in folder or not path.is_absolute():
        raise RequestError(f"{folder!r:.200} is not an absolute path", path="folder")
    return path
