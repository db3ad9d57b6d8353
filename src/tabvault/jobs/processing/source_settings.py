"""
The sources of databases as administrators see and set them: what there is, credentials, folders that may be read,
limits.

Everything that changes goes through one lock: the files behind it are read and written as a whole.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError, TabvaultError
from tabvault.jobs.processing.partition_definitions import with_definitions
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.jobs.processing.source_listing import find_source, list_sources
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.sources.opening import open_source
from tabvault.storage.server_state.source_credentials import unbind_credential
from tabvault.storage.server_state.source_folders import allow_folder, disallow_folder, load_source_folders
from tabvault.storage.server_state.source_limits import load_row_count_max, save_row_count_max

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.processing.source_listing import SourceListing
    from tabvault.model.objects import Model
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder

_LOCK: Final = threading.Lock()
"""Of this process, which owns the data folder."""


class SourceSettings:
    """
    Sources, credentials and folders of one data folder. Threads may share it.

    Args:
        folder: the databases.
        data: root of the data folder.
    """

    def __init__(self, folder: DataFolder, data: Path) -> None:
        self._folder = folder
        self._data = data

    def access(self, database: DatabaseInfo) -> SourceAccess:
        """What the sources of *database* may be asked with."""
        return SourceAccess(self._data, database.id)

    # ---- sources of one database

    def list(self, database: str | DatabaseInfo) -> list[SourceListing]:
        """
        Where the rows of *database* come from, by name.

        Raises:
            DatabaseNotFoundError: there is none.
            FormatError, ModelError: it is damaged.
        """
        model, access = self._model(database)
        return list_sources(model, access)

    def set_credential(self, database: str | DatabaseInfo, name: str, *, user: str | None, password: str) -> None:
        """
        Bind a credential to a data source, at the address that the model says now.

        Raises:
            DatabaseNotFoundError: there is no such database.
            RequestError: it has no such data source, or the password is too long.
            StorageError: it cannot be kept.
        """
        model, access = self._model(database)
        source = find_source(model, name, access)
        assert source.definition is not None
        with _LOCK:
            access.bind(source.name, source.definition, user=user, password=password)

    def remove_credential(self, database: str | DatabaseInfo, name: str) -> None:
        """
        Forget the credential of a data source, which need not be there any more.

        Raises:
            DatabaseNotFoundError: there is no such database.
            RequestError: none is bound.
            StorageError: it cannot be written.
        """
        info = self._info(database)
        with _LOCK:
            was_bound = unbind_credential(self._data, database_id=info.id, data_source=name)
        if not was_bound:
            raise RequestError(
                f"no credential is bound to a data source {name!r} of {info.name!r}",
                hint="tabvault datasource list shows which have one",
            )

    def forget(self, database: DatabaseInfo) -> None:
        """Forget all credentials of a database that is dropped; raises ``StorageError``."""
        with _LOCK:
            unbind_credential(self._data, database_id=database.id)

    def test(self, database: str | DatabaseInfo, name: str) -> None:
        """
        Connect to a data source, and ask it for nothing.

        Raises:
            DatabaseNotFoundError: there is no such database.
            RequestError: it has no such data source.
            SourceError: it cannot be reached, or refuses the credential.
        """
        model, access = self._model(database)
        source = find_source(model, name, access)
        assert source.definition is not None
        credential = access.credential(source.name, source.definition, source.own)
        open_source(source.definition, credential, allowed_folders=access.allowed_folders).test()

    def credential_warnings(self, database: str | DatabaseInfo) -> tuple[str, ...]:
        """
        What a person has to do before *database* can be refreshed; for who just restored or made it.

        It raises nothing: what is wrong with the sources is said when they are wanted.
        """
        try:
            info = self._info(database)
            listings = self.list(info)
        except TabvaultError:
            return ()
        return tuple(
            f"data source {one.name!r} needs a credential before a refresh: "
            f"tabvault datasource set-credential {info.name!r} {one.name!r} USER"
            for one in listings
            if one.credential in ("missing", "set for another address")
        )

    # ---- folders

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders whose files may be read; raises ``FormatError`` or ``StorageError``."""
        return load_source_folders(self._data)

    def allow_folder(self, folder: Path) -> Path:
        """Allow files below *folder* to be read; arguments and errors as of the state file's ``allow_folder``."""
        with _LOCK:
            return allow_folder(self._data, folder)

    def disallow_folder(self, folder: Path) -> None:
        """
        Allow a folder no more.

        Raises:
            RequestError: it was not allowed.
            StorageError: the list cannot be written.
        """
        with _LOCK:
            was_allowed = disallow_folder(self._data, folder)
        if not was_allowed:
            raise RequestError(f"folder {folder} was not allowed", hint="tabvault datasource folders shows which are")

    # ---- limits

    @property
    def row_count_max(self) -> int:
        """Rows that a source may give for one question of a query; raises ``FormatError`` or ``StorageError``."""
        return load_row_count_max(self._data)

    def set_row_count_max(self, row_count_max: int) -> None:
        """
        Let a source give so many rows for one question of a query, from the next query on.

        Raises:
            RequestError: the number is out of bounds.
            StorageError: it cannot be kept.
        """
        with _LOCK:
            save_row_count_max(self._data, row_count_max)

    def _info(self, database: str | DatabaseInfo) -> DatabaseInfo:
        return self._folder.find(database) if isinstance(database, str) else database

    def _model(self, database: str | DatabaseInfo) -> tuple[Model, SourceAccess]:
        with self._folder.read(database) as version, Metadata.open(version.path(METADATA_FILE)) as metadata:
            return with_definitions(load_model(metadata), metadata), self.access(version.info)
