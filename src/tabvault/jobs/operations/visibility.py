"""
Which databases a caller may see, and what he may do on each.

The roles are those of the version that is asked about: they are read once for each version and remembered. A database
whose roles cannot be read is for server administrators only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tabvault.errors import DatabaseNotFoundError, FormatError, ModelError, NotAuthorizedError
from tabvault.jobs.access.authorization import DatabasePermissions, database_permissions, no_access
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata
from tabvault.model.permissions import ModelPermissions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.jobs.operations.caller import Caller
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder

REMEMBERED_COUNT_MAX: Final = 1024
"""Versions whose roles are kept in memory."""


class Visibility:
    """
    The databases of a data folder, as callers may see them. Threads may share it.

    Args:
        folder: the data folder.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[str, int], ModelPermissions] = OrderedDict()

    def find(
        self,
        caller: Caller,
        database: str,
        *,
        effective_user_name: str | None = None,
        role_names: Sequence[str] = (),
    ) -> tuple[DatabaseInfo, DatabasePermissions]:
        """
        A database by name or id, and what *caller* may do there.

        Args:
            caller: who asks.
            database: name or id.
            effective_user_name: ask as that user; for administrators.
            role_names: ask as a member of these roles only.

        Raises:
            DatabaseNotFoundError: there is none; told to server administrators only.
            NotAuthorizedError: there is none, or he may not know of it.
        """
        try:
            info = self._folder.find(database)
        except DatabaseNotFoundError:
            if caller.principal.is_server_administrator:
                raise
            raise no_access(caller.principal, database) from None
        permissions = self.permissions(
            caller, info, effective_user_name=effective_user_name, role_names=role_names, asked=database
        )
        if not permissions.is_visible:
            raise no_access(caller.principal, database)
        return info, permissions

    def named(self, caller: Caller, name: str) -> tuple[DatabaseInfo, DatabasePermissions] | None:
        """
        The database of that *name* (ids do not count), if there is one that *caller* may see.

        Of one that he may not see he hears what he would hear if it were not there; who may make a new one sees all.
        """
        try:
            info = self._folder.find(name)
            permissions = self.permissions(caller, info)
        except (DatabaseNotFoundError, NotAuthorizedError):
            return None
        return (info, permissions) if info.name.casefold() == name.casefold() and permissions.is_visible else None

    def again(self, caller: Caller, info: DatabaseInfo) -> tuple[DatabaseInfo, DatabasePermissions]:
        """
        The database as it is at its turn, and what *caller* may do there: it may have been restored over since.

        Raises:
            NotAuthorizedError: it is gone.
        """
        now = next((one for one in self._folder.databases() if one.key == info.key), None)
        if now is None:
            raise no_access(caller.principal, info.name)
        return now, self.permissions(caller, now)

    def administered(self, caller: Caller, info: DatabaseInfo, action: str) -> DatabaseInfo:
        """
        The database as it is at its turn, if *caller* still administers it.

        Raises:
            NotAuthorizedError: he does not any more, or it is gone.
        """
        now, permissions = self.again(caller, info)
        permissions.require_administrator(action)
        return now

    def visible(self, caller: Caller) -> list[tuple[DatabaseInfo, DatabasePermissions]]:
        """Every database that *caller* may know of, by name."""
        found = []
        for info in self._folder.databases():
            try:
                permissions = self.permissions(caller, info)
            except NotAuthorizedError:
                continue
            if permissions.is_visible:
                found.append((info, permissions))
        return found

    def permissions(
        self,
        caller: Caller,
        info: DatabaseInfo,
        *,
        metadata: Metadata | None = None,
        effective_user_name: str | None = None,
        role_names: Sequence[str] = (),
        asked: str | None = None,
    ) -> DatabasePermissions:
        """
        What *caller* may do on the version *info*.

        Args:
            caller: who asks.
            info: the version; of one that is not current any more the roles of the current one count.
            metadata: of exactly that version, opened by him who asks on behalf of *caller*: then its own roles count.
            effective_user_name: ask as that user; for administrators.
            role_names: ask as a member of these roles only.
            asked: what the database was called in the question.

        Raises:
            NotAuthorizedError: he may not ask as somebody else; or the roles cannot be read and he is no server
                administrator.
        """
        principal = caller.principal
        plain = effective_user_name is None and not role_names
        try:
            model = self._roles(info, metadata)
        except (FormatError, ModelError, DatabaseNotFoundError):
            if principal.administers_server and plain:
                return DatabasePermissions(principal, info.name, True, True, True)
            raise no_access(principal, asked or info.name) from None
        return database_permissions(
            principal, info.name, model, effective_user_name=effective_user_name, role_names=role_names
        )

    def _roles(self, info: DatabaseInfo, metadata: Metadata | None = None) -> ModelPermissions:
        key = (info.key, info.version)
        with self._lock:
            known = self._remembered.get(key)
            if known is not None:
                self._remembered.move_to_end(key)
                return known
        if info.damage is not None:
            raise ModelError(f"database {info.name!r} is damaged: {info.damage}")
        if metadata is not None:
            return self._remember(key, ModelPermissions.read(metadata))
        with self._folder.read(info) as version:
            if version.info.version != info.version:
                return self._roles(version.info)
            with Metadata.open(version.path(METADATA_FILE)) as own:
                return self._remember(key, ModelPermissions.read(own))

    def _remember(self, key: tuple[str, int], roles: ModelPermissions) -> ModelPermissions:
        with self._lock:
            self._remembered[key] = roles
            while len(self._remembered) > REMEMBERED_COUNT_MAX:
                self._remembered.popitem(last=False)
        return roles
