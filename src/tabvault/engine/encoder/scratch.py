"""Bytes put aside in a temporary file while a table is encoded, and read again in pieces."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.formats.byte_source import check_range

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


class ScratchFile:
    """
    A file that is appended to, and read where it was written. May be shared by threads.

    Args:
        file: an empty file, open for reading and writing, which this owns.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._byte_count = 0
        self._lock = threading.Lock()

    def append(self, content: bytes | memoryview) -> int:
        """Write behind the end. Returns the offset."""
        with self._lock:
            offset = self._byte_count
            self._file.seek(offset)
            self._file.write(content)
            self._byte_count += len(content)
            return offset

    def append_all(self, pieces: Iterator[bytes]) -> ScratchBody:
        """Write pieces one behind the other, with nothing of other threads between them."""
        with self._lock:
            offset = self._byte_count
            self._file.seek(offset)
            for piece in pieces:
                self._file.write(piece)
                self._byte_count += len(piece)
            return ScratchBody(self, offset, self._byte_count - offset)

    def read(self, offset: int, byte_count: int) -> bytes:
        """Bytes that were written."""
        with self._lock:
            self._file.seek(offset)
            content = self._file.read(byte_count)
        assert len(content) == byte_count, "what was written is there"
        return content

    def close(self) -> None:
        """Give the file back; no range of it can be read any more."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class ScratchBody:
    """
    A :class:`~tabvault.formats.byte_source.ByteSource` over a range of a scratch file.

    It can be read until the file is closed.
    """

    file: ScratchFile
    offset: int
    byte_count: int

    def read_at(self, offset: int, byte_count: int) -> bytes:
        """A range of it."""
        check_range(offset, byte_count, self.byte_count)
        return self.file.read(self.offset + offset, byte_count)
