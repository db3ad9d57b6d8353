"""
Users, API keys and the firewall of a server: in its data folder, or, while it runs, by the server itself.

In the data folder the change is made by its owner, and stands in the same audit log.
"""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tabvault.faces.cli.remote.connection import ServerConnection, quoted, unexpected
from tabvault.faces.cli.session import connected, connected_to_owner
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.operations.administration import Administration
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.firewall_rules import FirewallRule, FirewallSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabvault.faces.cli.target import Target
    from tabvault.storage.server_state.accounts import ApiKeyRecord

_HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class User:
    """A user of a server."""

    name: str
    is_server_administrator: bool
    created: datetime.datetime


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    owner: str
    scopes: tuple[str, ...]
    databases: tuple[str, ...] | None
    created: datetime.datetime
    expires: datetime.datetime | None
    last_used: str | None


class Administered(Protocol):
    """A server as its administrator changes it; each method says by an error of ours what is wrong."""

    def users(self) -> Sequence[User]:
        """All users."""
        ...

    def add_user(self, name: str, password: str, *, is_server_administrator: bool) -> None:
        """A new user."""
        ...

    def set_password(self, name: str, password: str) -> None:
        """Another password."""
        ...

    def remove_user(self, name: str) -> None:
        """A user and his API keys, gone."""
        ...

    def keys(self) -> Sequence[Key]:
        """All API keys."""
        ...

    def add_key(
        self,
        owner: str,
        name: str,
        scopes: Sequence[str],
        *,
        databases: Sequence[str] | None,
        expires: datetime.datetime | None,
    ) -> tuple[Key, str]:
        """A new API key, and its secret."""
        ...

    def revoke_key(self, key_id: str) -> None:
        """An API key, gone."""
        ...

    def firewall(self) -> FirewallSettings:
        """The firewall."""
        ...

    def enable_firewall(self, *, enabled: bool) -> None:
        """The firewall on or off."""
        ...

    def put_rule(self, rule: FirewallRule) -> None:
        """A new rule, or another one of that name."""
        ...

    def remove_rule(self, name: str) -> None:
        """A rule, gone."""
        ...


@contextlib.contextmanager
def open_administered(target: Target) -> Iterator[Administered]:
    """
    What *target* names: a server, or a data folder, which is made if there is none.

    Raises:
        DataFolderLockedError: a process that is no server of ours owns the data folder.
    """
    if target.server is not None:
        yield _OnServer(connected(target.server))
        return
    with Vault(target.data) as vault:
        served = connected_to_owner(vault.data)
        yield _InFolder(vault) if served is None else _OnServer(served)


class _InFolder:
    """No server runs: the files are ours."""

    def __init__(self, vault: Vault) -> None:
        _ = vault.own_folder
        access = ServerAccess(vault.data)
        self._administration = Administration(vault, access, AuditLog(vault.data))
        self._caller = Caller(access.local_owner.owner, _HERE, "cli")

    def users(self) -> Sequence[User]:
        found = self._administration.users(self._caller)
        return [User(user.name, user.is_server_administrator, user.created) for user in found]

    def add_user(self, name: str, password: str, *, is_server_administrator: bool) -> None:
        self._administration.create_user(self._caller, name, password, is_server_administrator=is_server_administrator)

    def set_password(self, name: str, password: str) -> None:
        self._administration.set_password(self._caller, name, password)

    def remove_user(self, name: str) -> None:
        self._administration.remove_user(self._caller, name)

    def keys(self) -> Sequence[Key]:
        return [_key_of_record(record) for record in self._administration.api_keys(self._caller)]

    def add_key(
        self,
        owner: str,
        name: str,
        scopes: Sequence[str],
        *,
        databases: Sequence[str] | None,
        expires: datetime.datetime | None,
    ) -> tuple[Key, str]:
        record, secret = self._administration.create_api_key(
            self._caller, owner, name, scopes, databases=databases, expires=expires
        )
        return _key_of_record(record), secret

    def revoke_key(self, key_id: str) -> None:
        self._administration.revoke_api_key(self._caller, key_id)

    def firewall(self) -> FirewallSettings:
        return self._administration.firewall(self._caller)

    def enable_firewall(self, *, enabled: bool) -> None:
        self._administration.replace_firewall(self._caller, FirewallSettings(enabled, self.firewall().rules))

    def put_rule(self, rule: FirewallRule) -> None:
        self._administration.put_firewall_rule(self._caller, rule)

    def remove_rule(self, name: str) -> None:
        self._administration.remove_firewall_rule(self._caller, name)


class _OnServer:
    """A server runs, here or elsewhere."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def users(self) -> Sequence[User]:
        document = self._connection.get("/users")
        with self._expected():
            return [
                User(str(user["name"]), bool(user["is_server_administrator"]), _moment(user["created"]))
                for user in document["users"]
            ]

    def add_user(self, name: str, password: str, *, is_server_administrator: bool) -> None:
        content = {"name": name, "password": password, "is_server_administrator": is_server_administrator}
        self._connection.send("POST", "/users", content)

    def set_password(self, name: str, password: str) -> None:
        self._connection.send("PUT", f"/users/{quoted(name)}/password", {"password": password})

    def remove_user(self, name: str) -> None:
        self._connection.send("DELETE", f"/users/{quoted(name)}")

    def keys(self) -> Sequence[Key]:
        document = self._connection.get("/keys")
        with self._expected():
            return [_key_of_document(key) for key in document["keys"]]

    def add_key(
        self,
        owner: str,
        name: str,
        scopes: Sequence[str],
        *,
        databases: Sequence[str] | None,
        expires: datetime.datetime | None,
    ) -> tuple[Key, str]:
        content = {
            "owner": owner,
            "name": name,
            "scopes": list(scopes),
            "databases": None if databases is None else list(databases),
            "expires": None if expires is None else expires.isoformat(),
        }
        document = self._connection.send("POST", "/keys", content)
        with self._expected():
            return _key_of_document(document["key"]), str(document["secret"])

    def revoke_key(self, key_id: str) -> None:
        self._connection.send("DELETE", f"/keys/{quoted(key_id)}")

    def firewall(self) -> FirewallSettings:
        document = self._connection.get("/firewall")
        with self._expected():
            rules = (FirewallRule.parse(rule["name"], rule["start"], rule["end"]) for rule in document["rules"])
            return FirewallSettings(bool(document["enabled"]), tuple(rules))

    def enable_firewall(self, *, enabled: bool) -> None:
        rules = [{"name": rule.name, "start": str(rule.start), "end": str(rule.end)} for rule in self.firewall().rules]
        self._connection.send("PUT", "/firewall", {"enabled": enabled, "rules": rules})

    def put_rule(self, rule: FirewallRule) -> None:
        content = {"start": str(rule.start), "end": str(rule.end)}
        self._connection.send("PUT", f"/firewall/rules/{quoted(rule.name)}", content)

    def remove_rule(self, name: str) -> None:
        self._connection.send("DELETE", f"/firewall/rules/{quoted(name)}")

    @contextlib.contextmanager
    def _expected(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError):
            raise unexpected(self._connection.url) from None


def _key_of_record(record: ApiKeyRecord) -> Key:
    return Key(
        id=record.id,
        name=record.name,
        owner=record.owner,
        scopes=tuple(sorted(record.scopes)),
        databases=None if record.databases is None else tuple(sorted(record.databases)),
        created=record.created,
        expires=record.expires,
        last_used=None if record.last_used is None else record.last_used.isoformat(),
    )


def _key_of_document(document: Any) -> Key:
    return Key(
        id=document["id"],
        name=document["name"],
        owner=document["owner"],
        scopes=tuple(document["scopes"]),
        databases=None if document["databases"] is None else tuple(document["databases"]),
        created=_moment(document["created"]),
        expires=None if document["expires"] is None else _moment(document["expires"]),
        last_used=document["last_used"],
    )


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
