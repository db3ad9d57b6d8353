"""
What is random in a backup, or of the clock, derived from the secret of its try.

========================  =============================================================================================
what                      from
========================  =============================================================================================
upload key                HMAC-SHA-256 of the secret and a label; the store names blocks by a digest of it
object id, storage keys   the same with other labels, and a counter
time                      when the first try began
age keys                  :mod:`tabvault.formats.age.keys`: the file key of the secret *and* the password
========================  =============================================================================================

HMAC-SHA-256 with a random key is a pseudo-random function: who sees some of its values, and all of these can be seen in
a backup, learns nothing of the secret or of the others. The password goes into none of them, and is not kept.

Why nothing is encrypted twice under one key with another plaintext:

1. The file key of an encrypted backup depends on the secret of its try and on the password alone.
2. Under one secret the plaintext is cut into pieces of :data:`PIECE_BYTE_COUNT` bytes, and the last one; page 0 is a
   piece of its own, marked as such. Each is pinned (:meth:`UploadTry.pin`) before it is encrypted. So two tries under
   one secret encrypt the same pieces, as far as both come.
3. A chunk of the payload is encrypted only when the piece that ends it, or one behind it, was pinned; its nonce is its
   number and whether it is the final one. Chunks of one number and one flag therefore hold the same plaintext in all
   tries, but for the chunk in which the two plaintexts first differ: and that one lies in a piece that was refused.

What makes both tries write the same, and so spares the second one from beginning anew, is the identity: manifest of the
version (which names every file with length and checksum), options, version of this program, and what compresses.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from importlib import metadata
from typing import TYPE_CHECKING, Final

import tabvault
from tabvault.formats import age, xpress8
from tabvault.storage.upload_tries import UploadTry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tabvault.storage.contract import ObjectInfo, Upload
    from tabvault.storage.data_folder.version import VersionReader

PIECE_BYTE_COUNT: Final = 4 << 20
"""Each is noted with one ``fsync``: large enough for that to cost nothing beside the encryption and the network."""

_PAGE_MARK: Final = b"page 0:"


def begin_try(folder: Path, name: str, version: VersionReader, *, compress: bool, encrypted: bool) -> UploadTry:
    """
    Take up, or begin, the try to write *version* as the object *name*.

    Args:
        folder: where tries lie.
        name: of the object.
        version: pinned by its reader.
        compress: an option of the backup.
        encrypted: another one.
    """
    facts = [
        tabvault.__version__,
        xpress8.COMPRESSOR,
        metadata.version(xpress8.COMPRESSOR),
        version.info.key,
        version.info.manifest_digest,
        name,
        compress,
        encrypted,
    ]
    return UploadTry.begin(folder, name, hashlib.sha256(json.dumps(facts).encode()).digest())


def upload_key(secret: bytes) -> str:
    """The upload key of the try with *secret*."""
    return derived(secret, "upload key").hex()


def object_id(secret: bytes) -> str:
    """The object id of the container: a random UUID, upper case."""
    return str(uuid.UUID(bytes=derived(secret, "object id")[:16], version=4)).upper()


def storage_key_bytes(secret: bytes) -> Callable[[int], bytes]:
    """A source of random bytes for storage keys: the same ones for the same secret."""
    count = 0

    def random_bytes(byte_count: int) -> bytes:
        nonlocal count
        count += 1
        return derived(secret, f"storage key {count}")[:byte_count]

    return random_bytes


def encryptor(secret: bytes, password: str, *, deferred_byte_count: int) -> age.Encryptor:
    """
    The encryption of the try with *secret*.

    Raises:
        PasswordError: the password is not Unicode text.
        LimitError: this machine has not the memory for it.
    """
    return age.Encryptor(password, deferred_byte_count=deferred_byte_count, seed=derived(secret, "age"))


def derived(secret: bytes, label: str) -> bytes:
    """32 bytes for one purpose."""
    return hmac.digest(secret, f"tabvault backup {label}".encode(), "sha256")


class EncryptedUpload:
    """
    An upload whose plaintext is pinned, then encrypted.

    Args:
        upload: of the encrypted file.
        encryptor: of this try.
        pinned: the try.
    """

    def __init__(self, upload: Upload, encryptor: age.Encryptor, pinned: UploadTry) -> None:
        self._upload = upload
        self._encryptor = encryptor
        self._try = pinned
        self._piece = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """
        Append plaintext.

        Raises:
            ChecksumError: it is not what an earlier try wrote there.
            StorageError: the store failed.
        """
        if not self._try.is_kept and not self._piece:
            self._upload.write(self._encryptor.update(data))
            return
        rest = memoryview(data).cast("B")
        while len(rest):
            part = rest[: PIECE_BYTE_COUNT - len(self._piece)]
            self._piece += part
            rest = rest[len(part) :]
            if len(self._piece) == PIECE_BYTE_COUNT:
                self._send_piece()

    def finish(self, page: bytes) -> ObjectInfo:
        """
        Fill in page 0 and publish; errors as :meth:`write`, and those of :meth:`Upload.finish`.

        Args:
            page: page 0 of the plaintext.
        """
        if self._piece:
            self._send_piece()
        self._try.pin(_PAGE_MARK + page)
        finished = self._encryptor.finish(page)
        self._upload.write(finished.tail)
        return self._upload.finish(finished.head)

    def _send_piece(self) -> None:
        piece, self._piece = self._piece, bytearray()
        self._try.pin(piece)
        self._upload.write(self._encryptor.update(piece))
