"""
Management of the server as one resource, in the way of Azure Resource Manager: what it is, change it, suspend it.

All of it is for server administrators. A change is looked at wholly before anything of it is done. Then its parts are
done one after the other, that first which something outside can refuse: the container for backups, administrators, the
firewall, the rest. Each part is whole or not at all, and has its lines in the audit log; a change that failed in its
middle can be asked for again as it was.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from tabvault.errors import RequestError
from tabvault.jobs.access.authorization import require_server_administrator
from tabvault.jobs.access.firewall import lets_in
from tabvault.jobs.operations.server_administrators import administrator_changes, server_administrators
from tabvault.jobs.operations.task import audit_action
from tabvault.storage.server_state.firewall_rules import FirewallSettings
from tabvault.storage.server_state.server_resource import load_server_resource, save_server_resource

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.access.server_access import ServerAccess
    from tabvault.jobs.operations.administration import Administration
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.server_administrators import AdministratorChanges
    from tabvault.storage.server_state.audit_log import AuditLog
    from tabvault.storage.server_state.firewall_rules import FirewallRule
    from tabvault.storage.server_state.server_resource import ServerResource, Sku

_ACTION = "manage the server"


class Pausable(Protocol):
    """What can be paused: the server in its process."""

    def start_paused(self) -> None:
        """Be paused from the start, as it was when it ended."""
        ...

    def pause(self, timeout_s: float) -> None:
        """Begin nothing new, and let what runs end within *timeout_s*."""
        ...

    def resume(self) -> None:
        """Take up everything again."""
        ...


@dataclass(frozen=True, slots=True)
class ManagedServer:
    """
    The server as it is.

    Attributes:
        resource: what only the management interface knows.
        administrators: names of all server administrators.
        container_url: of the container for backups without any signature; None where that is no container of Azure
            Storage, or backups are disabled.
        firewall: of the server.
    """

    resource: ServerResource
    administrators: tuple[str, ...]
    container_url: str | None
    firewall: FirewallSettings


@dataclass(frozen=True, slots=True)
class FirewallChange:
    """
    Another firewall for IPv4.

    Attributes:
        enabled: whether it keeps anybody out.
        rules: of IPv4 addresses, instead of all that there are; None leaves them.
    """

    enabled: bool
    rules: tuple[FirewallRule, ...] | None


@dataclass(frozen=True, slots=True)
class ServerChange:
    """
    What is to be changed; None leaves it as it is.

    Attributes:
        administrators: names of all server administrators.
        container_url: of the container for backups, with its signature; empty disables backups. As it is shown,
            without signature, it leaves it as it is.
        firewall: of the server.
        sku, tags, location, querypool_connection_mode, enable_power_bi_service, managed_mode, server_monitor_mode: see
            :class:`ServerResource`.
    """

    administrators: tuple[str, ...] | None = None
    container_url: str | None = field(default=None, repr=False)
    firewall: FirewallChange | None = None
    sku: Sku | None = None
    tags: tuple[tuple[str, str], ...] | None = None
    location: str | None = None
    querypool_connection_mode: str | None = None
    enable_power_bi_service: bool | None = None
    managed_mode: int | None = None
    server_monitor_mode: int | None = None

    def resource_changes(self) -> dict[str, Any]:
        """The fields of :class:`ServerResource` that change."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        others = {"administrators", "container_url", "firewall"}
        return {name: value for name, value in given.items() if value is not None and name not in others}


@dataclass(frozen=True, slots=True)
class _Plan:
    """A change that can be made, as far as that can be known before."""

    resource: ServerResource
    container_url: str | None = field(repr=False)
    administrators: AdministratorChanges | None
    firewall: FirewallSettings | None


class Management:
    """
    What administrators may ask of the server as a resource. Threads may share it.

    Every method raises ``NotAuthorizedError`` for a caller who does not administer the server, and every one that
    changes something ``StorageError`` where the audit log or the change cannot be written.

    Args:
        data_folder: root of the data folder, which the caller owns.
        administration: of the server.
        access: its users, identity providers and firewall.
        audit: the audit log.
        server: is paused and resumed; paused at once, if the server was when it ended.

    Raises:
        FormatError: what is kept of the server is damaged.
    """

    def __init__(
        self,
        data_folder: Path,
        administration: Administration,
        access: ServerAccess,
        audit: AuditLog,
        server: Pausable,
    ) -> None:
        self._data_folder = data_folder
        self._administration = administration
        self._access = access
        self._audit = audit
        self._server = server
        self._changing = threading.RLock()
        self._resource = load_server_resource(data_folder)
        if self._resource.is_paused:
            server.start_paused()

    def show(self, caller: Caller) -> ManagedServer:
        """The server as it is."""
        require_server_administrator(caller.principal, _ACTION)
        return ManagedServer(
            self._resource,
            server_administrators(self._access),
            self._container_url(caller),
            self._access.firewall.settings,
        )

    def check(self, caller: Caller, change: ServerChange) -> None:
        """
        Refuse a change that cannot be made, as far as that can be known without the storage.

        Raises:
            RequestError: something in it cannot be, contradicts something else, or would shut the caller out.
        """
        self._planned(caller, change)

    def update(self, caller: Caller, change: ServerChange) -> None:
        """
        Make a change.

        Raises:
            RequestError: as :meth:`check`.
            StorageError: the container cannot be used.
        """
        with self._changing:
            plan = self._planned(caller, change)
            if plan.container_url == "":
                self._administration.disable_storage(caller)
            elif plan.container_url is not None:
                self._administration.set_container_url(caller, plan.container_url)
            if plan.administrators is not None:
                self._set_administrators(caller, plan.administrators)
            if plan.firewall is not None:
                self._administration.replace_firewall(caller, plan.firewall)
            if plan.resource != self._resource:
                names = {"objects": sorted(change.resource_changes())}
                with self._audit.begin(audit_action(caller, "update_server", None, names)):
                    self._save(plan.resource)

    def suspend(self, caller: Caller, timeout_s: float) -> None:
        """
        Pause the server; it stays so until it is resumed, whatever becomes of the process. Twice is allowed.

        Args:
            caller: who asks.
            timeout_s: how long jobs that run may take; then they are interrupted.
        """
        require_server_administrator(caller.principal, "suspend the server")
        with self._changing, self._audit.begin(audit_action(caller, "suspend_server")):
            self._save(replace(self._resource, is_paused=True))
            self._server.pause(timeout_s)

    def resume(self, caller: Caller) -> None:
        """Let the server work again. Twice is allowed."""
        require_server_administrator(caller.principal, "resume the server")
        with self._changing, self._audit.begin(audit_action(caller, "resume_server")):
            self._save(replace(self._resource, is_paused=False))
            self._server.resume()

    def _planned(self, caller: Caller, change: ServerChange) -> _Plan:
        require_server_administrator(caller.principal, _ACTION)
        members = change.administrators
        return _Plan(
            resource=replace(self._resource, **change.resource_changes()),
            container_url=self._new_container_url(caller, change.container_url),
            administrators=None if members is None else administrator_changes(self._access, members, caller.principal),
            firewall=None if change.firewall is None else self._new_firewall(caller, change.firewall),
        )

    def _new_container_url(self, caller: Caller, url: str | None) -> str | None:
        """None if it stays."""
        if not url or "?" in url:
            return url
        if url.rstrip("/") == self._container_url(caller):
            return None
        raise RequestError(
            "the URL has no shared access signature",
            path="backupBlobContainerUri",
            hint="make a SAS for the container and give the whole URL, ?sv=...&sig=... included",
        )

    def _container_url(self, caller: Caller) -> str | None:
        settings = self._administration.storage(caller)
        if not settings.enabled or settings.container is None:
            return None
        for account in self._administration.storage_accounts(caller):
            if account.name == settings.account and account.kind == "azure":
                return f"{account.url.rstrip('/')}/{settings.container}"
        return None

    def _new_firewall(self, caller: Caller, change: FirewallChange) -> FirewallSettings:
        """Rules for IPv6 cannot be said over the management interface: they stay."""
        now = self._access.firewall.settings
        kept = tuple(rule for rule in now.rules if rule.start.version != 4)
        firewall = FirewallSettings(change.enabled, now.rules if change.rules is None else (*kept, *change.rules))
        if not lets_in(firewall, caller.address):
            raise RequestError(
                f"the firewall would keep you out, at {caller.address}",
                path="ipV4FirewallSettings",
                hint="add a rule for your own address; a client on the machine itself is always let in",
            )
        return firewall

    def _set_administrators(self, caller: Caller, changes: AdministratorChanges) -> None:
        for name in changes.raised:
            self._administration.set_server_administrator(caller, name, is_server_administrator=True)
        if changes.providers is not None:
            self._administration.set_identity_providers(caller, changes.providers)
        for name in changes.lowered:
            self._administration.set_server_administrator(caller, name, is_server_administrator=False)

    def _save(self, resource: ServerResource) -> None:
        save_server_resource(self._data_folder, resource)
        self._resource = resource
