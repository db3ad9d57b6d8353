"""
Where a server's backups go, and the storage accounts that are registered for it.

A secret goes there in the body of a request, over TLS or on this machine; it is in no address, which is logged.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tabvault.faces.cli.remote.connection import quoted
from tabvault.faces.cli.remote.documents import built, expected, with_times
from tabvault.jobs.storage_findings import Finding
from tabvault.jobs.storage_probe import Probe
from tabvault.storage.account_credentials import (
    AccessKey,
    AccountKey,
    AzureCli,
    ConnectionString,
    ContainerUrl,
    ManagedIdentity,
)
from tabvault.storage.accounts import AccountFacts
from tabvault.storage.contract import ContainerInfo
from tabvault.storage.probing import UnfinishedUpload
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.faces.cli.remote.connection import ServerConnection
    from tabvault.storage.account_credentials import AccountCredential

_ACCOUNTS = "/storage/accounts"


class RemoteBackupStorage:
    """
    The backup storage of a server; see :class:`tabvault.faces.cli.backup_storage.AdministeredStorage`.

    Args:
        connection: to the server, as one of its administrators.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def settings(self) -> BackupStorageSettings:
        """Where backups go."""
        return built(BackupStorageSettings, self._connection.get("/storage"), self._connection.url)

    def configure(self, settings: BackupStorageSettings, *, force: bool) -> Probe | None:
        """Set where backups go; what a probe found there."""
        document = self._connection.send("PUT", "/storage", {**asdict(settings), "force": force})
        with expected(self._connection.url):
            check = document["check"]
            return None if check is None else probe_of(check, self._connection.url)

    def accounts(self) -> Sequence[AccountFacts]:
        """The accounts that backups can go to."""
        document = self._connection.get(_ACCOUNTS)
        with expected(self._connection.url):
            return [self._account(one) for one in document["accounts"]]

    def add_account(self, name: str, credential: AccountCredential, *, replace: bool) -> AccountFacts:
        """Register an account."""
        self._connection.check_secured("a secret")
        content = {"name": name, "credential": _credential(credential), "overwrite": replace}
        return self._account(self._connection.send("POST", _ACCOUNTS, content))

    def remove_account(self, name: str) -> None:
        """Forget an account."""
        self._connection.send("DELETE", f"{_ACCOUNTS}/{quoted(name)}")

    def containers(self, account: str, prefix: str) -> Sequence[ContainerInfo]:
        """The containers of an account."""
        document = self._connection.get(f"{_ACCOUNTS}/{quoted(account)}/containers", prefix=prefix)
        with expected(self._connection.url):
            return [self._container(one) for one in document["containers"]]

    def create_container(self, account: str, name: str) -> ContainerInfo:
        """Make a container."""
        return self._container(
            self._connection.send("POST", f"{_ACCOUNTS}/{quoted(account)}/containers", {"name": name})
        )

    def _account(self, document: Any) -> AccountFacts:
        with expected(self._connection.url):
            return built(AccountFacts, with_times(document, "expires"), self._connection.url)

    def _container(self, document: Any) -> ContainerInfo:
        with expected(self._connection.url):
            return built(ContainerInfo, with_times(document, "last_modified"), self._connection.url)


def probe_of(document: Any, url: str) -> Probe:
    """The probe that a server's answer tells of."""
    with expected(url):
        findings = [built(Finding, finding, url) for finding in document["findings"]]
        unfinished = [built(UnfinishedUpload, with_times(one, "begun"), url) for one in document["unfinished"]]
        told = {**with_times(document, "time", "expires"), "findings": findings, "unfinished": unfinished}
        return built(Probe, told, url)


def _credential(credential: AccountCredential) -> dict[str, object]:
    """What the body of the request has, secrets and all."""
    match credential:
        case ConnectionString(text):
            return {"type": "connection_string", "text": text}
        case ContainerUrl(url):
            return {"type": "container_url", "url": url}
        case AccountKey(url, key, account):
            return {"type": "account_key", "url": url, "key": key, "account": account}
        case ManagedIdentity(url, client_id):
            return {"type": "managed_identity", "url": url, "client_id": client_id}
        case AzureCli(url):
            return {"type": "azure_cli", "url": url}
        case AccessKey(url, region, access_key_id, secret):
            given = {"url": url, "region": region, "access_key_id": access_key_id, "secret": secret}
            return {"type": "access_key", **given}
    facts = {"tenant": credential.tenant, "client_id": credential.client_id, "secret": credential.secret}
    return {"type": "service_principal", "url": credential.url, **facts}
