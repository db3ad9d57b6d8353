"""
Where backups go and the storage accounts for it: in a data folder, or, while it runs, by the server itself.

What only looks needs no lock of the data folder; what changes something is done by its owner, and stands in the same
audit log.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from tabvault.faces.cli.administration import administration_of
from tabvault.faces.cli.remote.backup_storage import RemoteBackupStorage
from tabvault.faces.cli.session import connected, connected_to_owner
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabvault.faces.cli.target import Target
    from tabvault.jobs.operations.administration import Administration
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.storage_probe import Probe
    from tabvault.storage.account_credentials import AccountCredential
    from tabvault.storage.accounts import AccountFacts
    from tabvault.storage.contract import ContainerInfo
    from tabvault.storage.settings import BackupStorageSettings


class AdministeredStorage(Protocol):
    """The backup storage as an administrator changes it; see :class:`tabvault.jobs.backup_storage.BackupStorage`."""

    def settings(self) -> BackupStorageSettings:
        """Where backups go."""
        ...

    def configure(self, settings: BackupStorageSettings, *, force: bool) -> Probe | None:
        """Set where backups go; what a probe found there, None where nothing was tried."""
        ...

    def accounts(self) -> Sequence[AccountFacts]:
        """The accounts that backups can go to, the embedded one first."""
        ...

    def add_account(self, name: str, credential: AccountCredential, *, replace: bool) -> AccountFacts:
        """Register an account, or give it a new credential."""
        ...

    def remove_account(self, name: str) -> None:
        """Forget an account."""
        ...

    def containers(self, account: str, prefix: str) -> Sequence[ContainerInfo]:
        """The containers of an account whose names begin with *prefix*."""
        ...

    def create_container(self, account: str, name: str) -> ContainerInfo:
        """Make a container."""
        ...


@contextlib.contextmanager
def open_backup_storage(target: Target) -> Iterator[AdministeredStorage]:
    """The backup storage of what *target* names: a server, or a data folder, which a change makes if there is none."""
    if target.server is not None:
        yield RemoteBackupStorage(connected(target.server))
        return
    with Vault(target.data) as vault:
        served = connected_to_owner(vault.data)
        yield _InFolder(vault) if served is None else RemoteBackupStorage(served)


class _InFolder:
    """No server runs: the files are ours."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._storage = vault.storage

    @cached_property
    def _owned(self) -> tuple[Administration, Caller]:
        return administration_of(self._vault)

    def settings(self) -> BackupStorageSettings:
        return self._storage.settings

    def configure(self, settings: BackupStorageSettings, *, force: bool) -> Probe | None:
        administration, caller = self._owned
        return administration.configure_storage(caller, settings, force=force)

    def accounts(self) -> Sequence[AccountFacts]:
        return self._storage.accounts()

    def add_account(self, name: str, credential: AccountCredential, *, replace: bool) -> AccountFacts:
        administration, caller = self._owned
        return administration.add_storage_account(caller, name, credential, replace=replace)

    def remove_account(self, name: str) -> None:
        administration, caller = self._owned
        administration.remove_storage_account(caller, name)

    def containers(self, account: str, prefix: str) -> Sequence[ContainerInfo]:
        return self._storage.containers(account, prefix)

    def create_container(self, account: str, name: str) -> ContainerInfo:
        administration, caller = self._owned
        return administration.create_storage_container(caller, account, name)
