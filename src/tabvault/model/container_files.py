"""The files of a backup's container as a file set, read in place (``open``, ``verify``, ``export`` of a file)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, LimitError
from tabvault.formats.byte_source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Collection

    from tabvault.formats.abf.container import Container
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
        file = self._container.files.get(name)
        if file is None:
            raise FormatError("no such file in the backup", file=name)
        return file.byte_count

    def read(self, name: str) -> bytes | memoryview:
        """The whole file; its CRC has been checked, where the backup has one."""
        if self.byte_count(name) > FILE_BYTE_COUNT_MAX:
            raise LimitError(f"file of {self.byte_count(name)} bytes is over {FILE_BYTE_COUNT_MAX}", file=name)
        return self._container.read(name)

    def open(self, name: str) -> ByteSource:
        """The file for reading in ranges (held in memory: it may be compressed)."""
        return MemorySource(self.read(name))
