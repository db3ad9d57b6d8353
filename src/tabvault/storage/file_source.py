"""
A local file as a byte source.

Reads go through ``pread``: no file position is shared, so several threads may read at once. The length is taken
when the file is opened. A file that grows meanwhile is read as it was; one that shrinks is noticed at the read that
misses bytes.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Self

from tabvault.errors import StorageError, TruncatedError
from tabvault.formats.byte_source import check_range
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class DescriptorSource:
    """
    A :class:`~tabvault.formats.byte_source.ByteSource` over an open descriptor of a regular file, which it owns.

    Args:
        descriptor: open for reading; closed by :meth:`close`.
        byte_count: length of the file.
        what: what errors call it.
    """

    def __init__(self, descriptor: int, *, byte_count: int, what: str) -> None:
        self._descriptor = descriptor
        self._byte_count = byte_count
        self._what = what

    @property
    def byte_count(self) -> int:
        """Length of the file when it was opened, in bytes."""
        return self._byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes:
        """
        Exactly *byte_count* bytes from *offset*.

        Raises:
            TruncatedError: the range is not wholly inside the file, or the file has shrunk.
            StorageError: it cannot be read.
        """
        check_range(offset, byte_count, self._byte_count)
        if self._descriptor < 0:
            raise ValueError(f"{self._what} is closed")
        with storage_errors(self._what):
            data = os.pread(self._descriptor, byte_count, offset)
            # Rare: Linux gives at most 2 GiB at a time, and network file systems may give less.
            while len(data) < byte_count:
                more = os.pread(self._descriptor, byte_count - len(data), offset + len(data))
                if not more:
                    raise TruncatedError(
                        f"the file had {self._byte_count} bytes and now ends after {offset + len(data)}",
                        file=self._what,
                        offset=offset + len(data),
                    )
                data += more
        return data

    def close(self) -> None:
        """Close the descriptor. Closing twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class FileSource(DescriptorSource):
    """
    A regular file at a path of the local file system.

    Args:
        path: where it is; symbolic links are followed, the user chose them.

    Raises:
        ObjectNotFoundError: there is no such file.
        StorageError: it is a folder, a pipe or a device, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        what = f"file {path}"
        with storage_errors(what):
            # Without O_NONBLOCK the opening of a pipe would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                byte_count = regular_file_status(descriptor, what).st_size
            except BaseException:
                os.close(descriptor)
                raise
        super().__init__(descriptor, byte_count=byte_count, what=what)


def regular_file_status(descriptor: int, what: str) -> os.stat_result:
    """
    ``fstat`` of an open regular file.

    Raises:
        StorageError: it is something else.
        OSError: the file system refuses.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{what} is not a regular file")
    return status
