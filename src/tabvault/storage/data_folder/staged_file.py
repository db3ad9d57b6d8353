"""
The files of a version that is being written: created with exactly the bytes that were promised, copied, or shared.

Nothing here is durable when it returns; who commits the version makes its files so, together.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tabvault.errors import ChecksumError, FormatError, StorageError
from tabvault.formats import crc32
from tabvault.formats.byte_source import pieces as pieces_of
from tabvault.storage.data_folder.version import DAMAGE_HINT
from tabvault.storage.durable import FILE_MODE, WRITE_BEHIND_BYTE_COUNT, begin_writing, write_all_at
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tabvault.formats.byte_source import ByteSource
    from tabvault.storage.data_folder.manifest import ManifestFile

_NO_HARD_LINK: Final = frozenset([errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS])
"""The file system has no hard links, or this file has as many as it may: a copy does as well."""

_DROP_HINT: Final = "the disk of the data folder fails; drop the database, and restore it anew"


def writing(what: object) -> AbstractContextManager[None]:
    """Around calls to the file system: its errors as ours, about *what*."""
    return storage_errors(f"staged {what}", missing=StorageError)


def holds(old: ByteSource, piece: bytes | memoryview, *, offset: int) -> bool:
    """Whether *old* can be read at *offset*, and *piece* stands there."""
    try:
        return offset + len(piece) <= old.byte_count and old.read_at(offset, len(piece)) == piece
    except (FormatError, StorageError):
        return False


def read_again(old: ByteSource, name: str, *, byte_count: int, crc: int) -> Iterator[bytes | memoryview]:
    """The first *byte_count* bytes of *old*, which had *crc* when they were compared."""
    found = 0
    try:
        for piece in pieces_of(old, offset=0, byte_count=byte_count):
            found = crc32.crc32(piece, found)
            yield piece
    except (FormatError, StorageError) as error:
        raise StorageError(
            f"a file that is to be replaced was read once and not again: {error}", hint=_DROP_HINT
        ) from error
    if found != crc:
        raise ChecksumError(
            f"the first {byte_count} bytes of the file to be replaced have CRC {found:#010x}, and had {crc:#010x}",
            file=name,
            hint=_DROP_HINT,
        )


def write_new(path: Path, pieces: Iterable[bytes | memoryview], entry: ManifestFile) -> int:
    """Create the file with exactly ``entry.byte_count`` bytes, or leave none. Returns their CRC."""
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            return _write_checked(descriptor, pieces, entry)
        finally:
            with writing(path):
                os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _write_checked(descriptor: int, pieces: Iterable[bytes | memoryview], entry: ManifestFile) -> int:
    crc = offset = begun = 0
    for piece in pieces:
        if offset + len(piece) > entry.byte_count:
            raise FormatError(f"the file has more than the {entry.byte_count} bytes it should have", file=entry.name)
        with writing(f"file {entry.name!r}"):
            write_all_at(descriptor, piece, offset)
            offset += len(piece)
            if offset - begun >= WRITE_BEHIND_BYTE_COUNT:
                begin_writing(descriptor, begun, byte_count=offset - begun)
                begun = offset
        crc = crc32.crc32(piece, crc)
    if offset != entry.byte_count:
        raise FormatError(f"the file has {offset} bytes, not the {entry.byte_count} it should have", file=entry.name)
    return crc


def copy(source: ByteSource, path: Path, entry: ManifestFile) -> None:
    """
    Create the file with the bytes of a committed one.

    Raises:
        ChecksumError: they are not those that were committed.
    """
    crc = write_new(path, pieces_of(source), entry)
    if crc != entry.crc32:
        raise ChecksumError(
            f"the file has CRC {crc:#010x}, it was committed with {entry.crc32:#010x}",
            file=entry.name,
            hint=DAMAGE_HINT,
        )


def link(old: Path, new: Path, entry: ManifestFile) -> bool:
    """Give the file *old* the second name *new*. False when the file system cannot, and a copy has to do."""
    with writing(new):
        try:
            new.hardlink_to(old)
        except FileNotFoundError:
            raise FormatError("the file is missing in the data folder", file=entry.name, hint=DAMAGE_HINT) from None
        except OSError as error:
            if error.errno in _NO_HARD_LINK:
                return False
            raise
        byte_count = new.stat().st_size
    if byte_count != entry.byte_count:
        raise FormatError(
            f"the file has {byte_count} bytes, it was committed with {entry.byte_count}",
            file=entry.name,
            hint=DAMAGE_HINT,
        )
    return True
