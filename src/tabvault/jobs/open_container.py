"""
The container of the settings, kept open.

1. It is opened when it is first asked for and kept while the settings and the record of its account stay as they are;
   whoever changes them, another process included, has it opened anew.
2. What was opened under earlier settings stays of use for the jobs that began with it. It is closed with this one if
   they still hold it then; what nobody holds any more has closed its connections already.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from tabvault.storage.accounts import account_place, open_place
from tabvault.storage.settings import SETTINGS_FILE, check_configured, container_of, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.contract import ObjectStore, StorageAccount
    from tabvault.storage.server_state.storage_accounts import RegisteredAccount
    from tabvault.storage.settings import BackupStorageSettings


@dataclass(frozen=True, slots=True)
class _Opened:
    """A container, and what has to change for it to be opened anew."""

    key: tuple[BackupStorageSettings, RegisteredAccount | str, bool]
    account: StorageAccount
    store: ObjectStore


class OpenContainer:
    """
    The container that the settings of a data folder name. Threads may share it.

    Args:
        data: the data folder; it need not be there.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._now: _Opened | None = None
        self._earlier: WeakSet[ObjectStore | StorageAccount] = WeakSet()

    @property
    def store(self) -> ObjectStore:
        """
        The container, open.

        Raises:
            StorageNotConfiguredError: backup storage is disabled, or not set, or its account is not known.
            StorageError: the container cannot be used.
            FormatError: the settings or the registered accounts are damaged.
        """
        with self._lock:
            settings = load_settings(self._data)
            place = account_place(self._data, check_configured(settings)[0])
            # Before the first upload another store stands for the container, which makes it.
            key = (settings, place, (self._data / SETTINGS_FILE).exists())
            if self._now is None or self._now.key != key:
                self._set_aside()
                account = open_place(self._data, place)
                try:
                    self._now = _Opened(key, account, container_of(account, settings, self._data))
                except BaseException:
                    account.close()
                    raise
            return self._now.store

    def close(self) -> None:
        """Close everything; what is read or written meanwhile fails. A later question opens it anew."""
        with self._lock:
            self._set_aside()
            for opened in list(self._earlier):
                opened.close()
            self._earlier.clear()

    def _set_aside(self) -> None:
        if self._now is not None:
            self._earlier.update((self._now.store, self._now.account))
            self._now = None
