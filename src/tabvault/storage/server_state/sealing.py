"""
Secrets that a server has to be able to read again, such as the password of a data source: sealed with its own key.

The key is ``<data>/server/secret.key``: 32 random bytes, made when the first secret is sealed, for the owner alone. It
lies beside what it seals, so it does not help against one who reads the whole folder; it keeps secrets out of a copied
settings file, a support ticket, a backup of the settings. A sealed secret is AES-256-GCM with a fresh nonce of 12 bytes
in front, bound to what it is the secret of: moved to another place in the settings it opens no more.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tabvault.errors import FormatError, ObjectNotFoundError
from tabvault.storage.durable import make_directory_durably, write_file_durably
from tabvault.storage.file_source import FileSource
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.state_file import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE: Final = "secret.key"
SEALED_OVERHEAD_BYTE_COUNT: Final = 28
"""Nonce and tag: so many bytes a sealed secret is longer than the secret."""

_KEY_BYTE_COUNT: Final = 32
_NONCE_BYTE_COUNT: Final = 12


def seal(data_folder: Path, secret: str, *, about: str) -> bytes:
    """
    The secret, sealed.

    Args:
        data_folder: root of the data folder; its key is made if there is none.
        secret: to be sealed.
        about: what it is the secret of; opening needs the same text.

    Raises:
        FormatError: the key is damaged.
        StorageError: the key cannot be read or written.
    """
    key = _key(data_folder) or _new_key(data_folder)
    nonce = secrets.token_bytes(_NONCE_BYTE_COUNT)
    return nonce + AESGCM(key).encrypt(nonce, secret.encode("utf-8", "surrogatepass"), about.encode())


def unseal(data_folder: Path, sealed: bytes, *, about: str) -> str:
    """
    The secret in *sealed*.

    Raises:
        FormatError: the key is gone, another one, or damaged; or the secret is that of something else.
        StorageError: the key cannot be read.
    """
    refusal = FormatError(
        f"the secret of {about} cannot be opened with the key of this data folder",
        file=str(data_folder / FOLDER / KEY_FILE),
        hint="set it anew",
    )
    key = _key(data_folder)
    if key is None:
        raise refusal
    try:
        opened = AESGCM(key).decrypt(sealed[:_NONCE_BYTE_COUNT], sealed[_NONCE_BYTE_COUNT:], about.encode())
    except (InvalidTag, ValueError):
        raise refusal from None
    return opened.decode("utf-8", "surrogatepass")


def _key(data_folder: Path) -> bytes | None:
    path = data_folder / FOLDER / KEY_FILE
    try:
        with FileSource(path) as source:
            if source.byte_count != _KEY_BYTE_COUNT:
                raise FormatError(
                    f"the key has {source.byte_count} bytes, not {_KEY_BYTE_COUNT}",
                    file=str(path),
                    hint="put it back from a copy; without it every credential has to be set anew",
                )
            return source.read_at(0, _KEY_BYTE_COUNT)
    except ObjectNotFoundError:
        return None


def _new_key(data_folder: Path) -> bytes:
    folder = data_folder / FOLDER
    key = secrets.token_bytes(_KEY_BYTE_COUNT)
    with storage_errors(f"file {folder / KEY_FILE}"):
        make_directory_durably(folder)
        folder.chmod(0o700)  # before the key is in it
        write_file_durably(folder / KEY_FILE, key)
        (folder / KEY_FILE).chmod(0o600)
    return key
