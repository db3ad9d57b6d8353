"""
Reading an object over a network so that a second try fetches only what the first one did not.

What was read is kept in blocks until the object was used to its end::

    <data>/downloads/<digest of place and name>/<digest of etag, length, time>/<number of the block, 8 digits>

    offset       bytes   field
    0            n       the block
    n            32      SHA-256 of the second digest, the number, and the block

Invariants:

1. What is read are bytes of the object that was opened, and of no other: a block is kept under the tag that the object
   had when it was read, and used for an object of that tag only. Blocks of what was there before are removed.
2. A block that is kept is checked, length and digest, each time it is read from the disk. One that a crash tore, or
   that the disk damaged, is fetched again. So nothing here needs ``fsync``.
3. Reading never fails by what concerns keeping: a disk that is full or refuses ends the keeping, not the reading. No
   more is kept than was allowed (:meth:`ResumedDownload.allow`), so that what is made of the object has its room.
4. Several may read one object at once: they write the same bytes under the same names, and (2) covers the rest.
5. Whatever nobody used for a week is removed when the data folder is opened, and before each download.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from tabvault.formats.byte_source import check_range
from tabvault.storage.durable import write_all_at
from tabvault.storage.remote.read_ahead import BLOCK_BYTE_COUNT, ReadAhead

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tabvault.storage.contract import StoredObject

LIFETIME_S: Final = 7 * 86_400

_DIGEST_BYTE_COUNT: Final = 32
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class ResumedDownload:
    """
    A :class:`~tabvault.formats.byte_source.ByteSource` over an object of a store that is reached over a network.

    Blocks are fetched ahead by threads while reading goes on in order. It does not close the object.

    Args:
        stored: the object.
        place: the store's ``remote_place``.
        folder: where downloads lie; made if it is missing.
        block_byte_count: length of the blocks.
    """

    def __init__(
        self, stored: StoredObject, place: str, folder: Path, *, block_byte_count: int = BLOCK_BYTE_COUNT
    ) -> None:
        info = stored.info
        self._stored = stored
        self._block_byte_count = block_byte_count
        self._tag = _digest(info.etag, str(info.byte_count), info.last_modified.isoformat())
        self._lock = threading.Lock()
        self._allowed_byte_count = 0
        self._folder: Path | None = None
        block_count = -(-info.byte_count // block_byte_count)
        if block_count > 1:
            self._folder = _prepared(folder, _digest(place, info.name), self._tag)
        self._ahead = ReadAhead(self._block, block_count)

    @property
    def byte_count(self) -> int:
        """Length of the object, in bytes."""
        return self._stored.byte_count

    def allow(self, byte_count: int) -> None:
        """So many bytes more may be kept; before the first call nothing is."""
        with self._lock:
            self._allowed_byte_count = byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """A range; see the contract of a stored object."""
        check_range(offset, byte_count, self.byte_count)
        return self._ahead.read_at(offset, byte_count, block_byte_count=self._block_byte_count)

    def discard(self) -> bool:
        """Remove what is kept, and keep nothing more; whether anything was."""
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is None:
            return False
        was_kept = any(folder.glob("*"))
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # unless another object of that name is being read
        return was_kept

    def close(self) -> None:
        """Fetch nothing more; what is kept stays for the next try. Twice is allowed."""
        self._ahead.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _block(self, index: int) -> bytes:
        offset = index * self._block_byte_count
        byte_count = min(self._block_byte_count, self.byte_count - offset)
        data = self._kept(index, byte_count)
        if data is None:
            data = bytes(self._stored.read_at(offset, byte_count))
            self._keep(index, data)
        return data

    def _kept(self, index: int, byte_count: int) -> bytes | None:
        folder = self._folder
        if folder is None:
            return None
        try:
            with (folder / _file_name(index)).open("rb", buffering=0) as file:
                data = file.read(byte_count)
                digest = file.read(_DIGEST_BYTE_COUNT + 1)
        except OSError:
            return None
        return data if len(data) == byte_count and digest == self._block_digest(index, data) else None

    def _keep(self, index: int, data: bytes) -> None:
        folder = self._folder
        with self._lock:
            if folder is None or len(data) > self._allowed_byte_count:
                return
            self._allowed_byte_count -= len(data)
        path = folder / _file_name(index)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
            try:
                write_all_at(descriptor, data, 0)
                write_all_at(descriptor, self._block_digest(index, data), len(data))
            finally:
                os.close(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            self.allow(0)

    def _block_digest(self, index: int, data: bytes) -> bytes:
        digest = hashlib.sha256(f"{self._tag} {index:08d} ".encode())
        digest.update(data)
        return digest.digest()


def remove_expired_downloads(folder: Path) -> None:
    """Remove what nobody read for a week; what cannot be removed now stays for another time."""
    before = time.time() - LIFETIME_S
    with contextlib.suppress(OSError):
        for name in list(folder.iterdir()):
            with contextlib.suppress(OSError):
                for download in list(name.iterdir()):
                    if download.lstat().st_mtime < before:
                        shutil.rmtree(download, ignore_errors=True)
                name.rmdir()


def _prepared(folder: Path, name: str, tag: str) -> Path | None:
    """The folder for the blocks of one object, and those of what had its name before removed; None if it cannot be."""
    remove_expired_downloads(folder)
    download = folder / name / tag
    try:
        download.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        os.utime(download)
        for other in list(download.parent.iterdir()):
            if other != download:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return None
    return download


def _file_name(index: int) -> str:
    return f"{index:08d}"


def _digest(*texts: str) -> str:
    """32 hexadecimal digits of several texts; no two lists of texts have the same, whatever is in them."""
    return hashlib.sha256("".join(f"{len(text)}:{text}" for text in texts).encode()).hexdigest()[:32]
