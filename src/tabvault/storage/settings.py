"""
Where a server keeps its backups: the backup storage settings of a data folder.

They are the file ``settings.json`` at the root of the data folder, UTF-8 JSON of one object::

    {"backup_storage": {"enabled": true, "account": "/srv/backups", "container": "backups"}}

``account`` is a folder or the name of a registered account (:mod:`tabvault.storage.accounts`). It and ``container`` may
be ``null``. No other key is known: one that we do not know is more likely a typing error than harmless.

A data folder without the file has backup storage of its own, the container ``backups`` in its ``storage`` folder, and
has never used it: the first upload makes the container and writes the file, so that a container which is missing later
is known to have vanished. Its account is written as ``storage``, without the path of the data folder, which may be
moved.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from tabvault.errors import FormatError, ObjectNotFoundError, StorageNotConfiguredError
from tabvault.storage.accounts import EMBEDDED_ACCOUNT, check_account
from tabvault.storage.durable import write_file_durably
from tabvault.storage.file_source import FileSource
from tabvault.storage.first_use import FirstUseStore
from tabvault.storage.local import LocalAccount
from tabvault.storage.names import check_container_name
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.storage.contract import ObjectStore, StorageAccount

SETTINGS_FILE = "settings.json"
SETTINGS_BYTE_COUNT_MAX = 65536
"""Far more than the longest path needs; what is larger is not our file."""

_SECTION = "backup_storage"
_DEFAULT_CONTAINER = "backups"


@dataclass(frozen=True)
class BackupStorageSettings:
    """
    Which container backups go to.

    Attributes:
        enabled: whether backups and restores are allowed at all.
        account: the storage account, as :mod:`tabvault.storage.accounts` reads it.
        container: name of the container in it.
    """

    enabled: bool
    account: str | None
    container: str | None


def load_settings(data_folder: Path) -> BackupStorageSettings:
    """
    The backup storage settings of *data_folder*; what a fresh one has, if nothing was ever saved.

    Raises:
        FormatError: the file is not what this module describes; ``file`` is its path.
        StorageError: the file cannot be read.
    """
    path = data_folder / SETTINGS_FILE
    try:
        with FileSource(path) as source:
            if source.byte_count > SETTINGS_BYTE_COUNT_MAX:
                raise _damage(path, f"it has {source.byte_count} bytes, and {SETTINGS_BYTE_COUNT_MAX} are allowed")
            data = source.read_at(0, source.byte_count)
    except ObjectNotFoundError:
        return BackupStorageSettings(enabled=True, account=embedded_account(data_folder), container=_DEFAULT_CONTAINER)
    settings = _parse(path, data)
    return (
        replace(settings, account=embedded_account(data_folder)) if settings.account == EMBEDDED_ACCOUNT else settings
    )


def save_settings(data_folder: Path, settings: BackupStorageSettings) -> None:
    """
    Make *settings* those of *data_folder*, durably and in one step. The account and the container are not touched.

    Raises:
        InvalidNameError: the container's name cannot be one, or the account is neither a name nor a path.
        StorageError: the file cannot be written.
    """
    if settings.container is not None:
        check_container_name(settings.container)
    if settings.account is not None:
        check_account(settings.account)
    if settings.account == embedded_account(data_folder):
        settings = replace(settings, account=EMBEDDED_ACCOUNT)
    text = json.dumps({_SECTION: asdict(settings)}, indent=2, ensure_ascii=False) + "\n"
    path = data_folder / SETTINGS_FILE
    with storage_errors(f"file {path}"):
        write_file_durably(path, text.encode())


def check_configured(settings: BackupStorageSettings) -> tuple[str, str]:
    """
    The account and the container of settings by which backups can be made.

    Raises:
        StorageNotConfiguredError: storage is disabled, or the account or the container is not set.
    """
    if settings.account is None or settings.container is None:
        hint = "name an account and a container: tabvault storage settings set ACCOUNT/CONTAINER"
    elif not settings.enabled:
        hint = "backups are disabled: tabvault storage settings enable"
    else:
        return settings.account, settings.container
    raise StorageNotConfiguredError("backup storage is not configured", hint=hint)


def container_of(account: StorageAccount, settings: BackupStorageSettings, data_folder: Path) -> ObjectStore:
    """
    The container that *settings* name, in *account*, which is theirs.

    The default container, inside the data folder, is made by the first upload ever. Afterwards, as any other, it has
    to be there: its folder may be a disk that is not mounted now, and a backup must not go to the disk below.

    Raises:
        StorageNotConfiguredError: storage is disabled, or the container is not set.
        InvalidNameError: the container's name cannot be one.
        StoreUnavailableError: the container is missing or cannot be used.
    """
    name, container = check_configured(settings)
    is_default = (name, container) == (embedded_account(data_folder), _DEFAULT_CONTAINER)
    if isinstance(account, LocalAccount) and is_default and not (data_folder / SETTINGS_FILE).exists():
        return FirstUseStore(data_folder, account, container, remember=lambda: _remember(data_folder, settings))
    return account.container(container)


def _remember(data_folder: Path, settings: BackupStorageSettings) -> None:
    """Write the settings that hold so far, unless somebody has set others since they were loaded."""
    if not (data_folder / SETTINGS_FILE).exists():
        save_settings(data_folder, settings)


def embedded_account(data_folder: Path) -> str:
    """How settings that were loaded call the embedded account: by the path of its folder."""
    return str(data_folder.absolute() / EMBEDDED_ACCOUNT)


def _parse(path: Path, data: bytes) -> BackupStorageSettings:
    try:
        document = json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise _damage(path, f"it is not JSON: {error}") from None
    (section,) = _values(path, document, _SECTION)
    enabled, account, container = _values(path, section, "enabled", "account", "container")
    if not isinstance(enabled, bool):
        raise _damage(path, f"enabled is {enabled!r:.80}, not true or false")
    return BackupStorageSettings(
        enabled=enabled,
        account=_text(path, "account", account),
        container=_text(path, "container", container),
    )


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def _values(path: Path, document: object, *keys: str) -> list[object]:
    """The values of *keys* in a JSON object that has these keys and no others."""
    if not isinstance(document, dict) or document.keys() != set(keys):
        found = sorted(document) if isinstance(document, dict) else type(document).__name__
        raise _damage(path, f"an object with the keys {sorted(keys)} is expected, and {found!r:.200} is there")
    return [document[key] for key in keys]


def _text(path: Path, key: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _damage(path, f"{key} is {value!r:.80}, not a text or null")


def _damage(path: Path, reason: str) -> FormatError:
    return FormatError(
        f"the settings cannot be used: {reason}",
        file=str(path),
        hint="correct the file, or write it anew with tabvault storage configure",
    )
