"""The files of a backup's container as a file set, read in place (``open``, ``verify``, ``export`` of a file)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, LimitError, TruncatedError
from tabvault.formats.byte_source import check_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tabvault.formats.abf.container import Container, StoredFile
    from tabvault.formats.byte_source import ByteSource

FILE_BYTE_COUNT_MAX: Final = 4 << 30
"""A body is held whole for decoding. A column file of one partition comes near with a thousand million rows that do not
compress at all (4 bytes each); to restore such a file, or to back it up, needs no such room."""


class ContainerFiles:
    """A :class:`~tabvault.model.file_set.FileSet` over a :class:`~tabvault.formats.abf.container.Container`."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def names(self) -> Collection[str]:
        """All logical names, in the order of the backup log."""
        return self._container.files.keys()

    def byte_count(self, name: str) -> int:
        """Uncompressed length of the file."""
        return _stored_file(self._container, name).byte_count

    def read(self, name: str) -> bytes | memoryview:
        """The whole file; its CRC has been checked, where the backup has one."""
        if self.byte_count(name) > FILE_BYTE_COUNT_MAX:
            raise LimitError(f"file of {self.byte_count(name)} bytes is over {FILE_BYTE_COUNT_MAX}", file=name)
        return self._container.read(name)

    def open(self, name: str) -> ByteSource:
        """The file for reading in ranges, from front to back; its CRC is checked where its end is read."""
        return ContainedFile(self._container, name)


def _stored_file(container: Container, name: str) -> StoredFile:
    file = container.files.get(name)
    if file is None:
        raise FormatError("no such file in the backup", file=name)
    return file


class ContainedFile:
    """
    A file of a container as a byte source.

    It may be compressed, and then there is no way into its middle: it is read on from where the last range ended, and
    anew from its beginning for a range before that.

    Args:
        container: open as long as this is read.
        name: logical name of the file.

    Raises:
        FormatError: there is none of that name.
    """

    def __init__(self, container: Container, name: str) -> None:
        self.container = container
        self.name = name
        self.byte_count = _stored_file(container, name).byte_count
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._pieces: Iterator[bytes | memoryview] = self.container.body(self.name)
        self._piece = memoryview(b"")
        self._position = 0

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        """
        Exactly *byte_count* bytes from *offset*.

        Raises:
            TruncatedError: the range is not wholly inside the file.
            FormatError: the bytes are damaged.
        """
        check_range(offset, byte_count, self.byte_count)
        if byte_count == 0:
            return memoryview(b"")
        with self._lock:
            if offset < self._position:
                self._begin()
            while self._position < offset:
                self._next(offset - self._position)
            if byte_count <= len(self._piece):
                data = self._next(byte_count)
            else:
                whole = bytearray()
                while len(whole) < byte_count:
                    whole += self._next(byte_count - len(whole))
                data = memoryview(whole).toreadonly()
            if self._position == self.byte_count:  # what comes behind the last byte is the comparison of the CRC
                for _ in self._pieces:
                    pass
        return data

    def _next(self, byte_count_max: int) -> memoryview:
        """The next bytes of the piece at hand, or of the one behind it."""
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b"")).toreadonly()
            if not self._piece:
                raise TruncatedError(f"the file ends before {self.byte_count} bytes", file=self.name)
        taken, self._piece = self._piece[:byte_count_max], self._piece[byte_count_max:]
        self._position += len(taken)
        return taken
