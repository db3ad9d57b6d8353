"""The files of a backup's container as a file set, read in place (``open``, ``verify``, ``export`` of a file)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, LimitError
from tabvault.formats.byte_source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Collection

    from tabvault.formats.abf.container import Container
    from tabvault.formats.byte_source import ByteSource

FILE_BYTE_COUNT_MAX: Final = 8 << 30
"""A body is read whole for decoding; no column file of an engine (16 million rows of 4 bytes a segment) comes near."""


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
