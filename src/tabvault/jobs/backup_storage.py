"""
The backup storage of a data folder: its settings, the accounts that are registered for it, and the container itself.

1. Settings are saved after the container was tried, an account is registered before the settings name it, and no
   account is removed that they name: whatever ends the process, they are the old ones or the new, and can be used.
2. Only facts of accounts get out of here; a secret goes in and no further than to the service it is for.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tabvault.errors import (
    JobConflictError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageAccountInUseError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.jobs.open_container import OpenContainer
from tabvault.jobs.own_folders import refuse_own_folders
from tabvault.jobs.storage_probe import probe, unopened
from tabvault.storage.account_credentials import ContainerUrl
from tabvault.storage.accounts import (
    EMBEDDED_ACCOUNT,
    AccountFacts,
    account_facts,
    facts_of,
    list_accounts,
    open_account,
    open_registered,
)
from tabvault.storage.local import LocalAccount
from tabvault.storage.names import check_container_name
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.storage_accounts import add_account, load_accounts, remove_account
from tabvault.storage.settings import (
    BackupStorageSettings,
    check_configured,
    load_settings,
    save_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.jobs.storage_probe import Probe
    from tabvault.storage.account_credentials import AccountCredential
    from tabvault.storage.contract import ContainerInfo, ObjectStore, StorageAccount

_CONTAINER_COUNT_MAX: Final = 5000
"""More than one page of the service, and than anybody looks through; a prefix finds the others."""

_TURN_S: Final = 10.0
"""How long a change waits for the one before it."""


class BackupStorage:
    """
    The backup storage of one data folder. Threads may share it.

    Args:
        data: the data folder; it need not be there.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._container = OpenContainer(data)
        self._changing_lock = threading.Lock()

    # ---- the container

    @property
    def settings(self) -> BackupStorageSettings:
        """
        Where backups go.

        Raises:
            FormatError: the settings are damaged.
            StorageError: they cannot be read.
        """
        return load_settings(self._data)

    @property
    def store(self) -> ObjectStore:
        """The container of the settings; it is not the caller's to close. See :attr:`OpenContainer.store`."""
        return self._container.store

    @property
    def shares_disk(self) -> bool:
        """
        Whether the container is, or will be, a folder on the disk of the data folder.

        Raises:
            StorageNotConfiguredError: there is none.
            FormatError, StorageError: as :attr:`settings`.
        """
        name, container = check_configured(self.settings)
        facts = self.account(name)
        if facts.kind != "folder":
            return False
        with storage_errors(f"account {facts.url}"):
            return _device(Path(facts.url) / container) == _device(self._data)

    def close(self) -> None:
        """Let go of every container that is open; what is read or written meanwhile fails."""
        self._container.close()

    # ---- accounts

    def accounts(self) -> list[AccountFacts]:
        """
        The embedded account, then those that are registered, ordered by name.

        Raises:
            FormatError: the registered accounts are damaged.
            StorageError: they cannot be read.
        """
        return list_accounts(self._data)

    def account(self, name: str) -> AccountFacts:
        """
        One account: ``storage``, a registered name, or the path of a folder.

        Raises:
            StorageNotConfiguredError: there is none.
            InvalidNameError: that cannot be one.
            FormatError, StorageError: as :meth:`accounts`.
        """
        return account_facts(self._data, name)

    def add_account(self, name: str, credential: AccountCredential, *, replace: bool = False) -> AccountFacts:
        """
        Register an account, or give one a new credential. Nothing is asked of the service.

        Args:
            name: by which settings shall name it.
            credential: where it is, and by what right it is used.
            replace: whether it takes the place of one of that name.

        Raises:
            ObjectExistsError: there is one of that name.
            RequestError: the name or a part of the credential cannot be used.
            StorageError: the credential cannot be one, or nothing can be written.
            FormatError: the registered accounts are damaged.
        """
        with self._changing():
            return self._add(name, credential, replace_old=replace)

    def remove_account(self, name: str) -> None:
        """
        Forget an account and its secret; what lies in it stays.

        Raises:
            ObjectNotFoundError: there is none of that name.
            StorageAccountInUseError: the settings name it.
            StorageError: nothing can be written.
            FormatError: the registered accounts are damaged.
        """
        with self._changing():
            used = self.settings.account
            if used is not None and used.casefold() == name.casefold():
                raise StorageAccountInUseError(
                    f"backups go to the storage account {name}", hint="choose another in the storage settings first"
                )
            if not remove_account(self._data, name):
                raise ObjectNotFoundError(
                    f"there is no storage account {name!r:.80}", hint="tabvault storage accounts list shows them"
                )

    # ---- containers

    def containers(self, account: str, prefix: str = "") -> list[ContainerInfo]:
        """
        The containers of an account whose names begin with *prefix*, ordered by name.

        Raises:
            StorageAccessError: this server may not list them.
            StorageError: the account cannot be asked, or has too many containers of that prefix.
            StorageNotConfiguredError, InvalidNameError, FormatError: as :meth:`account`.
        """
        if account == EMBEDDED_ACCOUNT and not (self._data / EMBEDDED_ACCOUNT).exists():
            return []  # it is made with its first container
        opened = open_account(self._data, account)
        try:
            found: list[ContainerInfo] = []
            for container in opened.containers(prefix):
                if len(found) >= _CONTAINER_COUNT_MAX:
                    raise StorageError(
                        f"storage account {account} has more than {_CONTAINER_COUNT_MAX} such containers",
                        hint="give the first letters of their names",
                    )
                found.append(container)
            return found
        finally:
            opened.close()

    def create_container(self, account: str, name: str) -> ContainerInfo:
        """
        Make a container.

        Raises:
            ObjectExistsError: there is one of that name.
            StorageAccessError: this server may not.
            StorageError: the account cannot be asked.
            InvalidNameError: a container cannot have that name, or databases lie there.
            StorageNotConfiguredError, FormatError: as :meth:`account`.
        """
        check_container_name(name)
        refuse_own_folders(self._data, account, name)
        opened = open_account(self._data, account)
        try:
            return opened.create_container(name)
        finally:
            opened.close()

    # ---- settings

    def configure(self, settings: BackupStorageSettings, *, force: bool = False) -> Probe | None:
        """
        Set where backups go, when a probe has shown that they can. The container of a folder is made if it is missing.

        Args:
            settings: the new ones.
            force: whether they are saved also if backups cannot be made there.

        Returns:
            What the probe found; None where nothing was tried, since storage is disabled or not wholly set.

        Raises:
            StorageNotConfiguredError: the account is not known.
            InvalidNameError: a container cannot have that name, or databases lie there.
            StorageError: backups cannot be made there, or nothing can be written.
            FormatError: the registered accounts are damaged.
        """
        with self._changing():
            return self._configure(settings, force=force)

    def set_container_url(self, url: str, *, force: bool = False) -> Probe | None:
        """
        Have backups go to a container of Azure Storage, given by its URL with a SAS.

        The account is registered, or its SAS renewed; both before the settings name it. If the container cannot be
        used, neither has happened.

        Args:
            url: with the SAS.
            force: as for :meth:`configure`.

        Raises:
            StorageError: it is no such URL; or as for :meth:`configure`.
            InvalidNameError: its last part cannot be a container's name.
            FormatError: the registered accounts are damaged.
        """
        credential = ContainerUrl(url)
        with self._changing():
            name, is_known = self._name_of(credential)
            record, secret = credential.record(name)
            _, container = credential.place
            account = open_registered(record, secret)
            try:
                probe = _probe_container(account, facts_of(self._data, record), container)
            finally:
                account.close()
            _refuse(probe, force=force)
            self._add(name, credential, replace_old=is_known)
            save_settings(self._data, BackupStorageSettings(True, name, container))
            return probe

    def disable(self) -> None:
        """
        Allow no backups and restores; where they went is remembered.

        Raises:
            FormatError: the settings are damaged.
            StorageError: they cannot be written.
        """
        with self._changing():
            self._configure(replace(self.settings, enabled=False), force=False)

    def check(self) -> Probe:
        """
        What a probe of the container finds, also if it is not even there.

        Raises:
            StorageNotConfiguredError: backup storage is disabled, or not set, or its account is not known.
            FormatError: the settings or the registered accounts are damaged.
        """
        name, container = check_configured(self.settings)
        return _probe(lambda: self.store, self.account(name), container)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time. What is probed may take minutes to answer, and nobody queues up behind that."""
        if not self._changing_lock.acquire(timeout=_TURN_S):
            raise JobConflictError(
                "the backup storage is being configured, and what is tried there does not answer",
                hint="try again when that has ended",
            )
        try:
            yield
        finally:
            self._changing_lock.release()

    def _configure(self, settings: BackupStorageSettings, *, force: bool) -> Probe | None:
        with storage_errors(f"data folder {self._data}"):
            self._data.mkdir(parents=True, exist_ok=True)
        probe = None
        if settings.enabled and settings.account is not None and settings.container is not None:
            check_container_name(settings.container)
            refuse_own_folders(self._data, settings.account, settings.container)
            account = open_account(self._data, settings.account)
            try:
                if isinstance(account, LocalAccount):
                    account.container(settings.container, create=True)
                probe = _probe_container(account, account_facts(self._data, settings.account), settings.container)
            finally:
                account.close()
            _refuse(probe, force=force)
        save_settings(self._data, settings)
        return probe

    def _add(self, name: str, credential: AccountCredential, *, replace_old: bool) -> AccountFacts:
        record, secret = credential.record(name)
        with storage_errors(f"data folder {self._data}"):
            self._data.mkdir(parents=True, exist_ok=True)
        return facts_of(self._data, add_account(self._data, record, secret, replace_old=replace_old))

    def _name_of(self, credential: ContainerUrl) -> tuple[str, bool]:
        """The account that opens the same container by a SAS, and True; or a free name, and False."""
        accounts = load_accounts(self._data)
        taken = {account.key for account in accounts}
        for account in accounts:
            if account.credential == "sas" and (account.url, account.container) == credential.place:
                return account.name, True
        return next(name for name in credential.names() if name.casefold() not in taken), False


def _device(path: Path) -> int:
    """Of *path*, or of the folder in which it would be made."""
    return next(place for place in (path, *path.parents) if place.exists()).stat().st_dev


def _probe_container(account: StorageAccount, facts: AccountFacts, container: str) -> Probe:
    """What a probe of a container finds that nobody has open."""
    with contextlib.ExitStack() as stack:

        def open_() -> ObjectStore:
            store = account.container(container)
            stack.callback(store.close)
            return store

        return _probe(open_, facts, container)


def _probe(open_: Callable[[], ObjectStore], facts: AccountFacts, container: str) -> Probe:
    now = datetime.now(UTC)
    try:
        store = open_()
    except (StoreUnavailableError, StorageAccessError) as error:
        return unopened(error, account=facts, container=container, now=now)
    return probe(store, account=facts, container=container, now=now)


def _refuse(probe: Probe, *, force: bool) -> None:
    if not force and (refusal := probe.refusal) is not None:
        raise refusal
