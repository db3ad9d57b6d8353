"""
Tries of uploads: what a second try needs in order to send the same bytes as the one that was interrupted.

Whatever is random in an object, or of the clock, is derived by its writer from the secret of its try. The secret lies
in a file until the object is published, for the owner alone, one file for each object name::

    <data>/uploads/<first 32 digits of the SHA-256 of the name>.try

    offset   bytes   field
    0        8       magic
    8        32      identity: a digest of all that determines the object but the secret
    40       32      secret: random
    72       8       when the try began: nanoseconds since 1970, little-endian
    80       8       device of the file, little-endian
    88       8       inode of the file, little-endian
    96       32      SHA-256 of the 96 bytes before
    128      32 each SHA-256 of what was pinned, in its order

Invariants:

1. A secret is used for one identity only, and in one file. A try of another identity, one older than a week, a file
   that is damaged, or a copy of a file (the data folder was moved or rolled back: what the original pins, the copy does
   not see) is replaced by a new try with a new secret. Only a copy of the whole disk is not noticed; what the writer
   sends there is the same as long as the identity holds all that determines it.
2. When :meth:`UploadTry.pin` has returned, the digest of these bytes is durable as the one at this place under this
   secret, or the secret is durably forgotten. It raises for other bytes than those noted there, and forgets the secret.
   So who encrypts only what was pinned never encrypts two texts under one key and nonce, whatever became of the
   database's files between two tries: checksums are compared at the end of a file, when its front was sent long ago.
3. Two tries at once never share a secret: a file is locked by who uses it, and who finds it locked has a secret that
   is not kept. So has who may not write there, or has no room: a backup does not fail by what only a second try needs.
4. What is forgotten stays so after a crash: its name is removed durably before anything goes on without it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import ChecksumError
from tabvault.storage.durable import FOLDER_MODE, fsync_directory, write_all_at
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

LIFETIME_S: Final = 7 * 86_400
"""As long as the service keeps blocks of which nothing was published."""

SECRET_BYTE_COUNT: Final = 32

_MAGIC: Final = b"tvtry\0\0\2"
_DIGEST_BYTE_COUNT: Final = 32
_SIGNED_BYTE_COUNT: Final = 96
_HEAD_BYTE_COUNT: Final = _SIGNED_BYTE_COUNT + _DIGEST_BYTE_COUNT
_SUFFIX: Final = ".try"
_OWNER_ONLY: Final = 0o600


class UploadTry:
    """
    One try; a context manager that lets go of its file. Get it from :meth:`begin` or :meth:`unkept`.

    Attributes:
        secret: 32 bytes.
        began_ns: when its first try began, in nanoseconds since 1970.
        superseded_secret: of the try of another identity that this one replaced, or None.
    """

    def __init__(
        self,
        secret: bytes,
        began_ns: int,
        *,
        path: Path | None = None,
        descriptor: int = -1,
        superseded_secret: bytes | None = None,
    ) -> None:
        self.secret = secret
        self.began_ns = began_ns
        self.superseded_secret = superseded_secret
        self._path = path
        self._descriptor = descriptor
        self._pin_count = 0

    @classmethod
    def unkept(cls) -> Self:
        """A try that nobody can take up again."""
        return cls(secrets.token_bytes(SECRET_BYTE_COUNT), time.time_ns())

    @classmethod
    def begin(cls, folder: Path, name: str, identity: bytes) -> Self:
        """
        Take up the try of the object *name*, if one of the same *identity* was interrupted, or begin one.

        Args:
            folder: where tries lie; made if it is missing.
            name: of the object.
            identity: 32 bytes.
        """
        path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}{_SUFFIX}"
        try:
            folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            remove_expired_tries(folder)
            return cls._begin(path, identity)
        except OSError:
            return cls.unkept()

    @classmethod
    def _begin(cls, path: Path, identity: bytes) -> Self:
        superseded = None
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if not _lock(descriptor):
                    os.close(descriptor)
                    return cls.unkept()
                if os.fstat(descriptor).st_nlink == 0:
                    # Forgotten between the opening and the lock: whoever did goes on with its secret.
                    os.close(descriptor)
                    return cls._begin(path, identity)
                head = _read_head(descriptor)
                if head is not None and head[0] == identity:
                    return cls(head[1], head[2], path=path, descriptor=descriptor)
                superseded = head[1] if head is not None else None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
        secret, began_ns = secrets.token_bytes(SECRET_BYTE_COUNT), time.time_ns()
        descriptor = _write_new(path, identity + secret + began_ns.to_bytes(8, "little"))
        return cls(secret, began_ns, path=path, descriptor=descriptor, superseded_secret=superseded)

    @property
    def is_kept(self) -> bool:
        """Whether another try could take this one up."""
        return self._descriptor >= 0

    def pin(self, data: bytes | bytearray | memoryview) -> None:
        """
        Say what comes next in the object, before anything made of it with a key from the secret leaves this process.

        Args:
            data: the next piece; two tries cut the object into the same pieces.

        Raises:
            ChecksumError: an earlier try had other bytes there. The next one begins anew.
            StorageError: it can neither be noted nor forgotten.
        """
        if not self.is_kept:
            return
        digest = hashlib.sha256(data).digest()
        offset = _HEAD_BYTE_COUNT + self._pin_count * _DIGEST_BYTE_COUNT
        self._pin_count += 1
        try:
            noted = os.pread(self._descriptor, _DIGEST_BYTE_COUNT, offset)
            if noted == digest:
                return
            if len(noted) < _DIGEST_BYTE_COUNT:  # none, or what a full disk left of one
                write_all_at(self._descriptor, digest, offset)
                os.fsync(self._descriptor)
                return
        except OSError:
            # From here on nobody must take up this secret, and then nothing needs to be noted.
            self.forget()
            return
        self.forget()
        raise ChecksumError(
            f"piece {self._pin_count} of the backup is not what it was in the try that was interrupted",
            hint="begin again, from nothing; if it happens again, verify the database",
        )

    def forget(self) -> None:
        """
        Make sure that nobody takes this try up again: the object is published, or there is something wrong with it.

        Raises:
            StorageError: the file cannot be removed.
        """
        if self._path is None or not self.is_kept:
            return
        with storage_errors(f"record of an upload {self._path}"):
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                    self._path.unlink()
            fsync_directory(self._path.parent)
        self.close()

    def close(self) -> None:
        """Let go of the file; it stays for the next try. Twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def remove_expired_tries(folder: Path) -> None:
    """Remove what no try can use any more; what cannot be removed now stays for another time."""
    before = time.time() - LIFETIME_S
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < before:
                    path.unlink()


def _read_head(descriptor: int) -> tuple[bytes, bytes, int] | None:
    """Identity, secret and beginning of a try that can be taken up; None for what is damaged, too old or a copy."""
    head = os.pread(descriptor, _HEAD_BYTE_COUNT, 0)
    if len(head) != _HEAD_BYTE_COUNT or not head.startswith(_MAGIC):
        return None
    if hashlib.sha256(head[:_SIGNED_BYTE_COUNT]).digest() != head[_SIGNED_BYTE_COUNT:]:
        return None
    if head[80:96] != _place(descriptor):
        return None
    began_ns = int.from_bytes(head[72:80], "little")
    if not 0 <= time.time_ns() - began_ns < LIFETIME_S * 1_000_000_000:
        return None
    return head[8:40], head[40:72], began_ns


def _write_new(path: Path, fields: bytes) -> int:
    """Put a new file under the name, durably, locked from before it has it."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    try:
        _lock(descriptor)
        signed = _MAGIC + fields + _place(descriptor)
        write_all_at(descriptor, signed + hashlib.sha256(signed).digest(), 0)
        os.fsync(descriptor)
        temporary.rename(path)
        fsync_directory(path.parent)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return descriptor


def _place(descriptor: int) -> bytes:
    """What tells a file from its copy."""
    status = os.fstat(descriptor)
    return b"".join((number % (1 << 64)).to_bytes(8, "little") for number in (status.st_dev, status.st_ino))


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
