"""The connections of this process: one of each library for every user, opened when it is first needed."""

from __future__ import annotations

from typing import Any

from Microsoft.AnalysisServices import AdomdClient, Tabular

_PASSWORDS: dict[str, str] = {}
_servers: dict[str, Any] = {}
_queries: dict[tuple[str, str], Any] = {}
_url = ""


def use(url: str, passwords: dict[str, str]) -> None:
    """Where the server is, and who its users are. Connections to another one are forgotten."""
    global _url  # noqa: PLW0603 - one process, one server
    close()
    _url = url
    _PASSWORDS.clear()
    _PASSWORDS.update(passwords)


def connection_string(user: str, **more: str) -> str:
    items = {"Data Source": _url, "User ID": user, "Password": _PASSWORDS[user], **more}
    return "".join(f"{key}={value};" for key, value in items.items())


def server(user: str = "alice") -> Any:
    """The connection of the tabular object model."""
    if user not in _servers:
        connected = Tabular.Server()
        connected.Connect(connection_string(user))
        _servers[user] = connected
    return _servers[user]


def fresh_server(user: str = "alice") -> Any:
    """A new one: nothing that the client remembers can be taken for what the server says."""
    if user in _servers:
        _servers.pop(user).Disconnect()
    return server(user)


def adomd(catalog: str, user: str = "alice") -> Any:
    """A connection of ADOMD.NET to one database; to none in particular with an empty name."""
    key = (user, catalog)
    if key not in _queries:
        connected = AdomdClient.AdomdConnection(connection_string(user, **({"Catalog": catalog} if catalog else {})))
        connected.Open()
        _queries[key] = connected
    return _queries[key]


def close() -> None:
    """End every session."""
    for one in _servers.values():
        one.Disconnect()
    for one in _queries.values():
        one.Close()
    _servers.clear()
    _queries.clear()
