"""
Which folders no container of backups may be: those in which the databases lie.

An object store lists, overwrites and removes whatever lies in its folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import InvalidNameError
from tabvault.storage.accounts import EMBEDDED_ACCOUNT, account_place

if TYPE_CHECKING:
    from pathlib import Path


def refuse_own_folders(data: Path, account: str, container: str) -> None:
    """
    Refuse a folder in which the databases lie, or that lies among them.

    Args:
        data: the data folder.
        account: in which the container is, or shall be; empty: the data folder itself.
        container: its name.

    Raises:
        InvalidNameError: it is such a folder.
        StorageNotConfiguredError: there is no such account.
        FormatError, StorageError: the registered accounts are damaged, or cannot be read.
    """
    place = account_place(data, account) if account else "."
    if not isinstance(place, str):
        return
    folder, own = (data / place).resolve(), data.resolve()
    target = (folder / container).resolve()  # a link may lead it elsewhere
    if _is_among(own, folder) or _is_among(own, target) or own.is_relative_to(target):
        raise InvalidNameError(
            f"account {folder} is where the databases lie", hint="choose a folder outside the data folder"
        )


def _is_among(own: Path, folder: Path) -> bool:
    """Whether *folder* is the data folder *own*, or lies in it elsewhere than the embedded account does."""
    return folder == own or (folder.is_relative_to(own) and folder.relative_to(own).parts[0] != EMBEDDED_ACCOUNT)
