"""The names under which clients look for a server, and what they are told to connect to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tabvault.errors import RequestError
from tabvault.storage.server_state.aliases import load_aliases, save_aliases

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.server_state.aliases import Alias


class ServerAliases:
    """
    The aliases that the server on *data_folder* answers to. Threads may share it.

    Raises:
        FormatError: their file is damaged.
        StorageError: it cannot be read.
    """

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder
        self._lock = threading.Lock()
        self._aliases = load_aliases(data_folder)

    @property
    def all(self) -> tuple[Alias, ...]:
        """Every alias, by name."""
        return self._aliases

    def find(self, name: str) -> Alias | None:
        """The alias of that name in any spelling, if there is one."""
        return next((alias for alias in self._aliases if alias.key == name.lower()), None)

    def put(self, alias: Alias) -> None:
        """
        Add *alias*, or put it in the place of the one of its name, at once.

        Raises:
            RequestError: there are too many.
            StorageError: it could not be written; nothing has changed.
        """
        with self._lock:
            self._keep((*self._without(alias.key), alias))

    def remove(self, name: str) -> None:
        """
        Remove the alias of that name.

        Raises:
            RequestError: there is none.
            StorageError: it could not be written; nothing has changed.
        """
        with self._lock:
            left = self._without(name.lower())
            if len(left) == len(self._aliases):
                raise no_such_alias(name)
            self._keep(left)

    def _without(self, key: str) -> tuple[Alias, ...]:
        return tuple(alias for alias in self._aliases if alias.key != key)

    def _keep(self, aliases: tuple[Alias, ...]) -> None:
        ordered = tuple(sorted(aliases, key=lambda alias: alias.key))
        save_aliases(self._data_folder, ordered)
        self._aliases = ordered


def no_such_alias(name: str) -> RequestError:
    """The error for a name that is no alias."""
    return RequestError(f"there is no alias {name!r:.200}", path="name", hint="tabvault alias list shows them")
