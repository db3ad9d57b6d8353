"""
What the sources of a database may be asked with: credentials that were bound on this server, folders that were allowed.

A credential is handed out for the address it was bound for and for no other: what a model says of its sources may have
come with a backup.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import DataFolderDamagedError, FormatError, SourceCredentialError, StorageError
from tabvault.sources.definition import Credential
from tabvault.storage.server_state.source_credentials import bind_credential, find_credential, login_of
from tabvault.storage.server_state.source_folders import load_source_folders
from tabvault.storage.server_state.source_limits import SET_HINT, load_row_count_max

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.sources.definition import SourceDefinition


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """
    What the sources of one database may be asked with.

    Args:
        data: root of the data folder.
        database_id: of the database.
    """

    data: Path
    database_id: str

    @property
    def allowed_folders(self) -> tuple[Path, ...]:
        """Folders whose files may be read."""
        return load_source_folders(self.data)

    @property
    def row_count_max(self) -> int:
        """
        Rows that a source may give for one question of a query.

        Raises:
            DataFolderDamagedError: what was set cannot be read; whoever asks need not know where it is.
        """
        try:
            return load_row_count_max(self.data)
        except (FormatError, StorageError) as error:
            raise DataFolderDamagedError(
                "the limits of data sources are damaged: no source is asked", hint=f"for an administrator: {SET_HINT}"
            ) from error

    def credential(self, name: str, definition: SourceDefinition, own: Credential | None) -> Credential | None:
        """
        Who asks.

        Args:
            name: of the data source.
            definition: where it is, as the model says.
            own: what the model itself says; a bound one counts before it.

        Raises:
            SourceCredentialError: one is needed and none is bound, or it was bound for another address.
            FormatError: the bound one cannot be opened.
        """
        bound = find_credential(self.data, database_id=self.database_id, data_source=name)
        hint = f"tabvault datasource set-credential {self.database_id} {name!r} USER"
        if bound is not None:
            if bound.address != address_of(definition):
                raise SourceCredentialError(
                    f"the credential of data source {name!r} was set for {bound.address.rpartition(' #')[0]}, "
                    f"and the model now says {definition}",
                    hint=f"if that is right: {hint}",
                )
            login = login_of(self.data, bound)
            return Credential(login.user, login.password or "")
        if own is None and definition.needs_credential:
            raise SourceCredentialError(f"data source {name!r} ({definition}) has no credential", hint=hint)
        return own

    def bind(self, name: str, definition: SourceDefinition, *, user: str | None, password: str | None) -> None:
        """
        Bind a credential to a data source as it is now.

        Raises:
            StorageError: it cannot be kept.
        """
        bind_credential(
            self.data,
            database_id=self.database_id,
            data_source=name,
            address=address_of(definition),
            user=user,
            password=password,
        )


def address_of(definition: SourceDefinition) -> str:
    """
    A text that is the same for the same source, and for no other.

    What messages call a source leaves out what may be a secret, and with that where a driver really goes: so a digest
    of everything stands behind it.
    """
    everything = json.dumps(dataclasses.asdict(definition), default=str, sort_keys=True)
    return f"{definition} #{hashlib.sha256(everything.encode()).hexdigest()[:32]}"
