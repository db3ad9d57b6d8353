"""
Aliases of servers: ``<data>/server/aliases.json``.

::

    {"format_version": 1, "aliases": [{"name": "sales", "server": "https://two.example.com:8282/xmla"}]}

An alias is a name that clients keep while the server behind it changes (Azure Analysis Services: "alias server names",
``link://``). ``server`` is what a client connects to in its place: the address of an XMLA endpoint, or another name
that the client knows. It is told to everybody who asks, so nothing that looks like a credential may stand in it, and
nothing that would end a property in a connection string.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError
from tabvault.storage.server_state.state_file import read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALIASES_FILE: Final = "aliases.json"
ALIAS_COUNT_MAX: Final = 1000
SERVER_CHARACTER_COUNT_MAX: Final = 1024

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
"""What stands in a path as it is, and looks like the name of a server: no ``..`` and no dot at an end."""

_SERVER: Final = re.compile(r"[!#$%&()*+,\-./0-9:<>A-Z\[\\\]^_`a-z{|}~]+")
"""Visible ASCII without what means something in a connection string (``;``, ``=``, quotes), ``@`` and ``?``."""


@dataclass(frozen=True, slots=True)
class Alias:
    """
    One alias.

    Attributes:
        name: upper and lower case count as the same.
        server: what clients connect to instead.

    Raises:
        RequestError: the name or the server cannot be one.
    """

    name: str
    server: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or ".." in self.name:
            raise RequestError(
                f"{self.name!r:.100} cannot be an alias",
                path="name",
                hint="it has 1 to 64 letters, digits, dots, _ and -, and begins and ends with a letter or a digit",
            )
        if not _SERVER.fullmatch(self.server) or len(self.server) > SERVER_CHARACTER_COUNT_MAX:
            # It is not quoted: it may hold a password.
            raise RequestError(
                "that is not what a client could connect to without a credential",
                path="server",
                hint="it looks like https://vault.example.com:8282/xmla",
            )
        if _leads_nowhere(self.server):
            raise RequestError(
                f"{self.server!r:.200} is not a server",
                path="server",
                hint="it looks like https://vault.example.com:8282/xmla",
            )

    @property
    def key(self) -> str:
        """The same for all spellings of the name."""
        return self.name.lower()


def _leads_nowhere(server: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(server)
    except ValueError:
        return True
    return parts.scheme == "link" or (parts.scheme in {"http", "https"} and not parts.hostname)


def load_aliases(data_folder: Path) -> tuple[Alias, ...]:
    """
    The aliases of the server on *data_folder*, by name.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, ALIASES_FILE, "aliases")
    if members is None:
        return ()
    aliases: dict[str, Alias] = {}
    for item in members["aliases"].items():
        values = item.members("name", "server")
        try:
            alias = Alias(values["name"].text(), values["server"].text())
        except RequestError as error:
            raise item.error(str(error)) from None
        if aliases.setdefault(alias.key, alias) is not alias:
            raise item.error(f"{alias.name!r}, an alias that stands there twice")
    return tuple(aliases.values())


def save_aliases(data_folder: Path, aliases: Sequence[Alias]) -> None:
    """
    Make *aliases* those of the server on *data_folder*, durably and in one step.

    Raises:
        RequestError: there are too many.
        StorageError: the file cannot be written.
    """
    if len(aliases) > ALIAS_COUNT_MAX:
        raise RequestError(f"{len(aliases)} aliases, and {ALIAS_COUNT_MAX} are allowed", path="name")
    content = [{"name": alias.name, "server": alias.server} for alias in aliases]
    write_state(data_folder, ALIASES_FILE, {"aliases": content})
