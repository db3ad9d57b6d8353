"""A published object of a container that is a folder: a regular file, and what its inode tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tabvault.formats.byte_source import pieces
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.file_source import DescriptorSource

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LocalObject(DescriptorSource):
    """
    A :class:`~tabvault.storage.contract.StoredObject` over an open file, which outlives its name.

    Args:
        descriptor: open for reading; owned from now on.
        info: the object as ``fstat`` of *descriptor* describes it.
    """

    def __init__(self, descriptor: int, info: ObjectInfo) -> None:
        super().__init__(descriptor, byte_count=info.byte_count, what=info.name)
        self._info = info

    @property
    def info(self) -> ObjectInfo:
        """The object as it was when it was opened."""
        return self._info

    def whole(self) -> Iterator[bytes | memoryview]:
        """All of it; see the contract."""
        return pieces(self)


def local_object_info(name: str, status: os.stat_result) -> ObjectInfo:
    """
    What *status* says of the object *name*.

    The tag is made of inode, time and length. A replacement is a new inode beside the old one, so it differs from
    what it replaces even within one tick of the file system's clock.
    """
    return ObjectInfo(
        name=name,
        byte_count=status.st_size,
        last_modified=local_time(status.st_mtime_ns),
        etag=f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}",
    )


def local_time(nanoseconds: int) -> datetime:
    """
    A time of the file system, counted from 1970, in UTC.

    It may keep years that ``datetime`` does not have; those become its first or last moment.
    """
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if nanoseconds > 0 else datetime.min.replace(tzinfo=UTC)
