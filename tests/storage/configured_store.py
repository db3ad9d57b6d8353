"""The container that settings name, opened for a test alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.storage.accounts import open_account
from tabvault.storage.settings import BackupStorageSettings, check_configured, container_of, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.contract import ObjectStore


def open_store(settings: BackupStorageSettings, data_folder: Path) -> ObjectStore:
    account, _ = check_configured(settings)
    return container_of(open_account(data_folder, account), settings, data_folder)


def own_store(data_folder: Path) -> ObjectStore:
    """By the settings as they are saved."""
    return open_store(load_settings(data_folder), data_folder)
