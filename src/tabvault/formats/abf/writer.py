"""
Writing a container in the profile of an Analysis Services server.

Plain stream storage, CRC behind every stored file, Xpress8 iff compressed, directory in UTF-16 (which every engine
since 2012 reads), everything in the order of genuine backups. The writer does no I/O: it hands stored bytes to a
*sink* in their order and gives page 0 at the end, because only then offsets and sizes are known. Its user stores
that page in front.

Source: genuine backups; values of ``faultcode`` and ``EncryptionKey`` as in a backup of SQL Server 2016 Analysis
Services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.formats import crc32, xpress8
from tabvault.formats.abf import virtual_directory
from tabvault.formats.abf.header import PAGE_BYTE_COUNT, Header
from tabvault.formats.abf.header import emit as emit_header
from tabvault.formats.abf.virtual_directory import DirectoryEncoding, DirectoryEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EMPTY_PARTITIONS: Final = b"\xff\xfe" + "<Partitions/>".encode("utf-16-le")
"""``PARTITIONS`` of every model with sqlite metadata."""


def new_entry(path: str, *, byte_count: int, offset: int, now: int) -> DirectoryEntry:
    """
    The directory's entry of a stored file that is written now.

    Args:
        path: a reserved path or a storage key.
        byte_count: stored bytes, the CRC included where there is one.
        offset: where they begin in the container.
        now: FILETIME.
    """
    return DirectoryEntry(
        path=path,
        byte_count=byte_count,
        offset=offset,
        delete=False,
        created=now,
        accessed=now,
        last_write_time=now,
    )


class ContainerWriter:
    """
    Lays stored files one behind the other.

    Args:
        sink: takes the bytes behind page 0, in order. A memoryview given to it is valid only during the call.
        compress: Xpress8 for database files.
        object_id: a fresh UUID, upper case.
        now: FILETIME for the directory's time stamps.
    """

    def __init__(
        self, sink: Callable[[bytes | memoryview], object], *, compress: bool, object_id: str, now: int
    ) -> None:
        self._sink = sink
        self._compress = compress
        self._object_id = object_id
        self._now = now
        self._offset = PAGE_BYTE_COUNT
        self._entries: list[DirectoryEntry] = []

    def add_part(self, path: str, data: bytes) -> None:
        """A part of the container itself (a reserved path); never compressed."""
        assert path in virtual_directory.RESERVED
        self._store(path, [data])

    def add_file(self, storage_path: str, body: Iterable[bytes | memoryview]) -> None:
        """A database file under its storage key."""
        assert storage_path not in virtual_directory.RESERVED
        self._store(storage_path, xpress8.compress(body) if self._compress else body)

    def _store(self, path: str, stored: Iterable[bytes | memoryview]) -> None:
        start = self._offset
        crc = 0
        for piece in stored:
            crc = crc32.crc32(piece, crc)
            self._put(piece)
        self._put(crc32.stored(crc))
        self._entries.append(new_entry(path, byte_count=self._offset - start, offset=start, now=self._now))

    def _put(self, data: bytes | memoryview) -> None:
        self._sink(data)
        self._offset += len(data)

    def finish(self, log: bytes) -> bytes:
        """
        Store the log and the directory.

        Returns:
            Page 0, to be stored in front of what the sink took.
        """
        self.add_part(virtual_directory.LOG, log)
        self._put(bytes(-self._offset % PAGE_BYTE_COUNT))
        directory_offset = self._offset
        directory = virtual_directory.emit(self._entries, DirectoryEncoding.UTF_16)
        self._put(directory)
        self._put(bytes(-len(directory) % PAGE_BYTE_COUNT))
        return emit_header(
            Header(
                sync_version="140",
                fault=False,
                fault_code="43981",
                error_code=True,
                encryption_flag=False,
                encryption_key="6",
                apply_compression=self._compress,
                directory_offset=directory_offset,
                directory_byte_count=len(directory),
                file_count=len(self._entries),
                object_id=self._object_id,
                data_offset=PAGE_BYTE_COUNT,
            )
        )
