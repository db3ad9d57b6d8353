"""
Administration of a server: where backups go, users, API keys, identity providers, the firewall.

All of it is for server administrators, and every change has its two lines in the audit log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import NotAuthorizedError
from tabvault.jobs.access.authorization import require_server_administrator
from tabvault.jobs.operations.task import audit_action
from tabvault.storage.account_credentials import ContainerUrl
from tabvault.storage.accounts import EMBEDDED_ACCOUNT
from tabvault.storage.server_state.network_rules import network_text
from tabvault.storage.settings import embedded_account

if TYPE_CHECKING:
    import datetime
    from collections.abc import Collection, Mapping, Sequence

    from tabvault.jobs.access.server_access import ServerAccess
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.storage_probe import Probe
    from tabvault.jobs.vault import Vault
    from tabvault.storage.account_credentials import AccountCredential
    from tabvault.storage.accounts import AccountFacts
    from tabvault.storage.contract import ContainerInfo
    from tabvault.storage.server_state.accounts import ApiKeyRecord, UserRecord
    from tabvault.storage.server_state.aliases import Alias
    from tabvault.storage.server_state.audit_chain import AuditCheck, NotedLine
    from tabvault.storage.server_state.audit_line import AuditLine
    from tabvault.storage.server_state.audit_log import AuditLog, AuditOperation
    from tabvault.storage.server_state.firewall_rules import FirewallRule, FirewallSettings
    from tabvault.storage.server_state.identity_providers import IdentityProvider
    from tabvault.storage.server_state.network_rules import NetworkRules
    from tabvault.storage.settings import BackupStorageSettings

_CONFIGURE: Final = "configure the backup storage"


class Administration:
    """
    What administrators may ask of a server. Threads may share it.

    Every method raises ``NotAuthorizedError`` for a caller who does not administer the server, and every one that
    changes something raises ``StorageError`` where the audit log or the change cannot be written.

    Args:
        vault: its backup storage.
        access: its users, keys, providers and firewall.
        audit: the audit log.
    """

    def __init__(self, vault: Vault, access: ServerAccess, audit: AuditLog) -> None:
        self._vault = vault
        self._access = access
        self._audit = audit

    # ---- the audit log, the backup storage

    def audit_lines(
        self, caller: Caller, *, since: datetime.datetime | None, until: datetime.datetime | None, limit: int
    ) -> list[AuditLine]:
        """Lines of the audit log, the latest first; see :meth:`AuditLog.read`."""
        require_server_administrator(caller.principal, "read the audit log")
        return list(self._audit.read(since=since, until=until, limit=limit))

    def check_audit(self, caller: Caller, noted: NotedLine | None) -> AuditCheck:
        """What a check of the audit log's chain finds; see :meth:`AuditLog.verify_chain`."""
        require_server_administrator(caller.principal, "check the audit log")
        return self._audit.verify_chain(noted)

    def storage(self, caller: Caller) -> BackupStorageSettings:
        """Where backups go."""
        require_server_administrator(caller.principal, "see the settings of the backup storage")
        return self._vault.settings

    def configure_storage(
        self, caller: Caller, settings: BackupStorageSettings, *, force: bool = False
    ) -> Probe | None:
        """Set where backups go; see :meth:`BackupStorage.configure`."""
        require_server_administrator(caller.principal, _CONFIGURE)
        self._require_folder(caller, settings.account)
        options = {
            "enabled": settings.enabled,
            "account": settings.account,
            "container": settings.container,
            "force": force,
        }
        with self._begun(caller, "configure_storage", None, options):
            return self._vault.storage.configure(settings, force=force)

    def set_container_url(self, caller: Caller, url: str, *, force: bool = False) -> Probe | None:
        """Have backups go to the container of a URL with a SAS; see :meth:`BackupStorage.set_container_url`."""
        require_server_administrator(caller.principal, _CONFIGURE)
        account_url, container = ContainerUrl(url).place
        options = {"enabled": True, "account": account_url, "container": container, "force": force}
        with self._begun(caller, "configure_storage", None, options):
            return self._vault.storage.set_container_url(url, force=force)

    def disable_storage(self, caller: Caller) -> None:
        """Allow no backups and restores; see :meth:`BackupStorage.disable`."""
        require_server_administrator(caller.principal, _CONFIGURE)
        with self._begun(caller, "configure_storage", None, {"enabled": False}):
            self._vault.storage.disable()

    def check_storage(self, caller: Caller) -> Probe:
        """What a probe of the container finds; see :meth:`BackupStorage.check`."""
        require_server_administrator(caller.principal, "check the backup storage")
        return self._vault.storage.check()

    # ---- storage accounts

    def storage_accounts(self, caller: Caller) -> Sequence[AccountFacts]:
        """The accounts that backups can go to."""
        require_server_administrator(caller.principal, "see the storage accounts")
        return self._vault.storage.accounts()

    def add_storage_account(
        self, caller: Caller, name: str, credential: AccountCredential, *, replace: bool = False
    ) -> AccountFacts:
        """Register an account; see :meth:`BackupStorage.add_account`."""
        require_server_administrator(caller.principal, _CONFIGURE)
        record, _ = credential.record(name)
        options = {
            "type": record.credential,
            "account": record.url,
            "container": record.container,
            "overwrite": replace,
        }
        with self._begun(caller, "add_storage_account", name, options):
            return self._vault.storage.add_account(name, credential, replace=replace)

    def remove_storage_account(self, caller: Caller, name: str) -> None:
        """Forget an account; see :meth:`BackupStorage.remove_account`."""
        require_server_administrator(caller.principal, _CONFIGURE)
        with self._begun(caller, "remove_storage_account", name):
            self._vault.storage.remove_account(name)

    def storage_containers(self, caller: Caller, account: str, prefix: str = "") -> Sequence[ContainerInfo]:
        """The containers of an account; see :meth:`BackupStorage.containers`."""
        require_server_administrator(caller.principal, "see the containers of a storage account")
        self._require_folder(caller, account)
        return self._vault.storage.containers(account, prefix)

    def create_storage_container(self, caller: Caller, account: str, name: str) -> ContainerInfo:
        """Make a container; see :meth:`BackupStorage.create_container`."""
        require_server_administrator(caller.principal, _CONFIGURE)
        self._require_folder(caller, account)
        with self._begun(caller, "create_storage_container", name, {"account": account, "container": name}):
            return self._vault.storage.create_container(account, name)

    def _require_folder(self, caller: Caller, account: str | None) -> None:
        """
        A folder of the machine is chosen by who owns the data folder there: who administers the server from elsewhere
        need not have any right to the files of that machine, and the container's are read and written.

        Raises:
            NotAuthorizedError: *account* is a folder that the settings do not name yet, and he is not the owner.
        """
        if account in {None, EMBEDDED_ACCOUNT, embedded_account(self._vault.data), self._vault.settings.account}:
            return
        is_folder = self._vault.storage.account(account or "").kind == "folder"
        if is_folder and caller.principal.authentication != "local":
            raise NotAuthorizedError(
                f"{caller.principal.label} may not have backups go to another folder of the server's machine",
                hint="on that machine: tabvault storage configure --account DIR --container NAME",
            )

    # ---- users

    def users(self, caller: Caller) -> Sequence[UserRecord]:
        """All users."""
        require_server_administrator(caller.principal, "manage users")
        return self._access.accounts.users

    def user(self, caller: Caller, name: str) -> UserRecord | None:
        """The user of that name, if there is one."""
        require_server_administrator(caller.principal, "manage users")
        return self._access.accounts.user(name)

    def create_user(self, caller: Caller, name: str, password: str, *, is_server_administrator: bool) -> UserRecord:
        """Register a user; see :meth:`AccountBook.create_user`."""
        require_server_administrator(caller.principal, "manage users")
        options = {"type": "server administrator" if is_server_administrator else "user"}
        with self._begun(caller, "create_user", name, options):
            return self._access.accounts.create_user(name, password, is_server_administrator=is_server_administrator)

    def set_password(self, caller: Caller, name: str, password: str) -> None:
        """Give a user another password; see :meth:`AccountBook.set_password`."""
        require_server_administrator(caller.principal, "manage users")
        with self._begun(caller, "set_password", name):
            self._access.accounts.set_password(name, password)

    def set_server_administrator(self, caller: Caller, name: str, *, is_server_administrator: bool) -> None:
        """Make a user a server administrator, or no longer; see :meth:`AccountBook.set_server_administrator`."""
        require_server_administrator(caller.principal, "manage users")
        options = {"type": "server administrator" if is_server_administrator else "user"}
        with self._begun(caller, "change_user", name, options):
            self._access.accounts.set_server_administrator(name, is_server_administrator=is_server_administrator)

    def remove_user(self, caller: Caller, name: str) -> None:
        """Remove a user and his API keys; see :meth:`AccountBook.remove_user`."""
        require_server_administrator(caller.principal, "manage users")
        with self._begun(caller, "remove_user", name):
            self._access.accounts.remove_user(name)

    # ---- API keys

    def api_keys(self, caller: Caller, owner: str | None = None) -> Sequence[ApiKeyRecord]:
        """The API keys of *owner*, or of everybody."""
        require_server_administrator(caller.principal, "manage API keys")
        return self._access.accounts.api_keys(owner)

    def create_api_key(
        self,
        caller: Caller,
        owner: str,
        name: str,
        scopes: Collection[str],
        *,
        databases: Collection[str] | None,
        expires: datetime.datetime | None,
    ) -> tuple[ApiKeyRecord, str]:
        """Make an API key, to be shown once; see :meth:`AccountBook.create_api_key`."""
        require_server_administrator(caller.principal, "manage API keys")
        with self._begun(caller, "create_api_key", name, {"user": owner, "scope": sorted(scopes)}):
            return self._access.accounts.create_api_key(owner, name, scopes, databases=databases, expires=expires)

    def revoke_api_key(self, caller: Caller, key_id: str) -> None:
        """Remove an API key; see :meth:`AccountBook.revoke_api_key`."""
        require_server_administrator(caller.principal, "manage API keys")
        with self._begun(caller, "revoke_api_key", key_id):
            self._access.accounts.revoke_api_key(key_id)

    # ---- the firewall

    def firewall(self, caller: Caller) -> FirewallSettings:
        """The firewall as it is."""
        require_server_administrator(caller.principal, "manage the firewall")
        return self._access.firewall.settings

    def replace_firewall(self, caller: Caller, settings: FirewallSettings) -> None:
        """Make *settings* those of the server; see :meth:`Firewall.replace`."""
        require_server_administrator(caller.principal, "manage the firewall")
        options = {"enabled": settings.enabled, "objects": [_rule_text(rule) for rule in settings.rules]}
        with self._begun(caller, "configure_firewall", None, options):
            self._access.firewall.replace(settings)

    def put_firewall_rule(self, caller: Caller, rule: FirewallRule) -> None:
        """Add a rule, or change the one of its name; see :meth:`Firewall.put_rule`."""
        require_server_administrator(caller.principal, "manage the firewall")
        with self._begun(caller, "put_firewall_rule", rule.name, {"objects": [_rule_text(rule)]}):
            self._access.firewall.put_rule(rule)

    def remove_firewall_rule(self, caller: Caller, name: str) -> None:
        """Remove a rule; see :meth:`Firewall.remove_rule`."""
        require_server_administrator(caller.principal, "manage the firewall")
        with self._begun(caller, "remove_firewall_rule", name):
            self._access.firewall.remove_rule(name)

    # ---- network rules of the storage

    def storage_network(self, caller: Caller) -> NetworkRules:
        """From where files may be put and got."""
        require_server_administrator(caller.principal, "see the network rules of the backup storage")
        return self._access.storage_network.rules

    def set_storage_network(self, caller: Caller, rules: NetworkRules) -> None:
        """Make *rules* those of the storage; see :meth:`StorageNetwork.replace`."""
        require_server_administrator(caller.principal, "change the network rules of the backup storage")
        options = {"type": rules.words, "objects": [network_text(network) for network in rules.ip_rules]}
        with self._begun(caller, "configure_storage_network", None, options):
            self._access.storage_network.replace(rules)

    # ---- aliases

    def aliases(self, caller: Caller) -> Sequence[Alias]:
        """The names that stand for servers."""
        require_server_administrator(caller.principal, "manage aliases")
        return self._access.aliases.all

    def set_alias(self, caller: Caller, alias: Alias) -> None:
        """Have an alias stand for a server; see :meth:`ServerAliases.put`."""
        require_server_administrator(caller.principal, "manage aliases")
        with self._begun(caller, "set_alias", alias.name, {"to": alias.server}):
            self._access.aliases.put(alias)

    def remove_alias(self, caller: Caller, name: str) -> None:
        """Remove an alias; see :meth:`ServerAliases.remove`."""
        require_server_administrator(caller.principal, "manage aliases")
        with self._begun(caller, "remove_alias", name):
            self._access.aliases.remove(name)

    # ---- identity providers

    def identity_providers(self, caller: Caller) -> Sequence[IdentityProvider]:
        """The issuers whose tokens are believed."""
        require_server_administrator(caller.principal, "manage identity providers")
        return self._access.identity_providers

    def set_identity_providers(self, caller: Caller, providers: Sequence[IdentityProvider]) -> None:
        """Believe these issuers and no others; see :meth:`ServerAccess.set_identity_providers`."""
        require_server_administrator(caller.principal, "manage identity providers")
        options = {"objects": [provider.issuer for provider in providers]}
        with self._begun(caller, "set_identity_providers", None, options):
            self._access.set_identity_providers(tuple(providers))

    def _begun(
        self, caller: Caller, operation: str, about: str | None, options: Mapping[str, object] | None = None
    ) -> AuditOperation:
        return self._audit.begin(audit_action(caller, operation, about, options))


def _rule_text(rule: FirewallRule) -> str:
    return f"{rule.name} {rule.start}-{rule.end}"
