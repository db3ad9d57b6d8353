"""
The data sources of a server's databases: in its data folder, or, while it runs, by the server itself.

In the data folder the change is made by its owner, and stands in the same audit log.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tabvault.engine.suggestion import all_names
from tabvault.errors import RequestError
from tabvault.faces.cli.remote.connection import quoted, unexpected
from tabvault.faces.cli.session import connected, connected_to_owner
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.operations.data_sources import DataSources
from tabvault.jobs.operations.visibility import Visibility
from tabvault.jobs.processing.source_listing import SourceListing
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.audit_log import AuditLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabvault.faces.cli.remote.connection import ServerConnection
    from tabvault.faces.cli.target import Target

_HERE = "127.0.0.1"


class Sources(Protocol):
    """Sources as an administrator sees and sets them; each method says by an error of ours what is wrong."""

    def list(self, database: str) -> Sequence[SourceListing]:
        """The sources of a database."""
        ...

    def check(self, database: str, name: str) -> None:
        """Raise if the database has no source of that name."""
        ...

    def set_credential(self, database: str, name: str, *, user: str | None, password: str) -> None:
        """The credential of a source."""
        ...

    def remove_credential(self, database: str, name: str) -> None:
        """The credential of a source, gone."""
        ...

    def test(self, database: str, name: str) -> None:
        """Connect to a source."""
        ...

    def folders(self) -> Sequence[str]:
        """The folders that may be read."""
        ...

    def allow_folder(self, folder: str) -> Sequence[str]:
        """One more; all of them now."""
        ...

    def disallow_folder(self, folder: str) -> Sequence[str]:
        """One less; all of them now."""
        ...

    def row_count_max(self) -> int:
        """Rows that a source may give for one question of a query."""
        ...

    def set_row_count_max(self, row_count_max: int) -> None:
        """Another number of them."""
        ...


@contextlib.contextmanager
def open_sources(target: Target, *, makes_folder: bool = False) -> Iterator[Sources]:
    """
    What *target* names: a server, or a data folder.

    Args:
        target: which.
        makes_folder: for settings that may be the first thing in a data folder: it is made if there is none.

    Raises:
        DatabaseNotFoundError: there is no data folder.
        DataFolderLockedError: a process that is no server of ours owns the data folder.
    """
    if target.server is not None:
        yield _OnServer(connected(target.server), is_here=False)
        return
    with Vault(target.data) as vault:
        served = connected_to_owner(vault.data)
        if served is not None:
            yield _OnServer(served, is_here=True)
            return
        if not makes_folder:
            _ = vault.folder  # whoever only asks, or means a database, does not make one
        yield _InFolder(vault)


class _Checked:
    """What both kinds of sources do alike."""

    def check(self: Sources, database: str, name: str) -> None:
        names = [one.name for one in self.list(database) if one.kind is not None]
        if name.casefold() not in map(str.casefold, names):
            raise RequestError(f"no partition reads a data source {name!r}", hint=all_names(names) or "it has none")


class _InFolder(_Checked):
    """No server runs: the files are ours."""

    def __init__(self, vault: Vault) -> None:
        folder = vault.own_folder
        self._sources = DataSources(Visibility(folder), vault.sources, AuditLog(vault.data))
        self._caller = Caller(ServerAccess(vault.data).local_owner.owner, _HERE, "cli")

    def list(self, database: str) -> Sequence[SourceListing]:
        return self._sources.list(self._caller, database)

    def set_credential(self, database: str, name: str, *, user: str | None, password: str) -> None:
        self._sources.set_credential(self._caller, database, name, user=user, password=password)

    def remove_credential(self, database: str, name: str) -> None:
        self._sources.remove_credential(self._caller, database, name)

    def test(self, database: str, name: str) -> None:
        self._sources.test(self._caller, database, name)

    def folders(self) -> Sequence[str]:
        return [str(folder) for folder in self._sources.folders(self._caller)]

    def allow_folder(self, folder: str) -> Sequence[str]:
        self._sources.allow_folder(self._caller, _absolute(folder))
        return self.folders()

    def disallow_folder(self, folder: str) -> Sequence[str]:
        self._sources.disallow_folder(self._caller, _absolute(folder))
        return self.folders()

    def row_count_max(self) -> int:
        return self._sources.row_count_max(self._caller)

    def set_row_count_max(self, row_count_max: int) -> None:
        self._sources.set_row_count_max(self._caller, row_count_max)


class _OnServer(_Checked):
    """A server runs, here or elsewhere."""

    def __init__(self, connection: ServerConnection, *, is_here: bool) -> None:
        self._connection = connection
        self._is_here = is_here

    def list(self, database: str) -> Sequence[SourceListing]:
        document = self._connection.get(f"/databases/{quoted(database)}/datasources")
        try:
            return [
                SourceListing(
                    one["name"], one["kind"], one["address"], tuple(one["tables"]), one["credential"], one["problem"]
                )
                for one in document["data_sources"]
            ]
        except (KeyError, TypeError):
            raise unexpected(self._connection.url) from None

    def set_credential(self, database: str, name: str, *, user: str | None, password: str) -> None:
        content = {"user": user, "password": password}
        self._connection.send("PUT", f"{_path(database, name)}/credential", content)

    def remove_credential(self, database: str, name: str) -> None:
        self._connection.send("DELETE", f"{_path(database, name)}/credential")

    def test(self, database: str, name: str) -> None:
        self._connection.send("POST", f"{_path(database, name)}/test", {})

    def folders(self) -> Sequence[str]:
        return self._folders(self._connection.get("/source-folders"))

    def allow_folder(self, folder: str) -> Sequence[str]:
        return self._folders(self._connection.send("POST", "/source-folders", {"folder": self._named(folder)}))

    def disallow_folder(self, folder: str) -> Sequence[str]:
        with self._connection.request("DELETE", "/source-folders", query={"folder": self._named(folder)}) as answer:
            return self._folders(answer.document())

    def row_count_max(self) -> int:
        document = self._connection.get("/source-limits")
        found = document.get("direct_query_row_count_max") if isinstance(document, dict) else None
        if not isinstance(found, int):
            raise unexpected(self._connection.url)
        return found

    def set_row_count_max(self, row_count_max: int) -> None:
        self._connection.send("PUT", "/source-limits", {"direct_query_row_count_max": row_count_max})

    def _named(self, folder: str) -> str:
        """On another machine only that one knows what is relative to what."""
        return _absolute(folder) if self._is_here else folder

    def _folders(self, document: object) -> Sequence[str]:
        found = document.get("folders") if isinstance(document, dict) else None
        if not isinstance(found, list):
            raise unexpected(self._connection.url)
        return [str(folder) for folder in found]


def _path(database: str, name: str) -> str:
    return f"/databases/{quoted(database)}/datasources/{quoted(name)}"


def _absolute(folder: str) -> str:
    """As a person means it who is in a folder of this machine."""
    return str(Path(folder).expanduser().absolute())
