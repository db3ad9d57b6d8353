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
from tabvault.storage.server_state.aliases import Alias
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.firewall_rules import FirewallRule, FirewallSettings
from tabvault.storage.server_state.network_rules import NetworkRules, network_text, parse_network

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

    def storage_network(self) -> NetworkRules:
        """From where files of the backup storage may be put and got."""
        ...

    def set_storage_network(self, rules: NetworkRules) -> None:
        """Other network rules."""
        ...

    def aliases(self) -> Sequence[Alias]:
        """The names that stand for servers."""
        ...

    def set_alias(self, alias: Alias) -> None:
        """A new alias, or another server for the one of that name."""
        ...

    def remove_alias(self, name: str) -> None:
        """An alias, gone."""
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


def administration_of(vault: Vault) -> tuple[Administration, Caller]:
    """
    What administrators may ask of a data folder that no server has, and as whom its owner asks; it is ours from now on.

    Raises:
        DataFolderLockedError: another process owns it.
        StorageError: it may not be written.
    """
    _ = vault.own_folder
    access = ServerAccess(vault.data)
    return Administration(vault, access, AuditLog(vault.data)), Caller(access.local_owner.owner, _HERE, "cli")


class _InFolder:
    """No server runs: the files are ours."""

    def __init__(self, vault: Vault) -> None:
        self._administration, self._caller = administration_of(vault)

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

    def storage_network(self) -> NetworkRules:
        return self._administration.storage_network(self._caller)

    def set_storage_network(self, rules: NetworkRules) -> None:
        self._administration.set_storage_network(self._caller, rules)

    def aliases(self) -> Sequence[Alias]:
        return self._administration.aliases(self._caller)

    def set_alias(self, alias: Alias) -> None:
        self._administration.set_alias(self._caller, alias)

    def remove_alias(self, name: str) -> None:
        self._administration.remove_alias(self._caller, name)


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

    def storage_network(self) -> NetworkRules:
        document = self._connection.get("/storage/network")
        with self._expected():
            return NetworkRules(
                document["public_network_access"],
                document["default_action"],
                tuple(parse_network(text) for text in document["ip_rules"]),
            )

    def set_storage_network(self, rules: NetworkRules) -> None:
        content = {
            "public_network_access": rules.public_network_access,
            "default_action": rules.default_action,
            "ip_rules": [network_text(network) for network in rules.ip_rules],
        }
        self._connection.send("PUT", "/storage/network", content)

    def aliases(self) -> Sequence[Alias]:
        document = self._connection.get("/aliases")
        with self._expected():
            return [Alias(alias["name"], alias["server"]) for alias in document["aliases"]]

    def set_alias(self, alias: Alias) -> None:
        self._connection.send("PUT", f"/aliases/{quoted(alias.name)}", {"server": alias.server})

    def remove_alias(self, name: str) -> None:
        self._connection.send("DELETE", f"/aliases/{quoted(name)}")

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
