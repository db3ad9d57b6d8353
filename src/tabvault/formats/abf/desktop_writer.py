"""
Writing a container in the profile of Power BI Desktop.

Stored files have no checksum and are not compressed: what stands around the container compresses it as a whole. So
every length is known before the first byte, and the container is written from its beginning to its end, as what
compresses it wants it::

    profile         | directory | faultcode | EncryptionKey | ErrorCode | ApplyCompression
    server, 2016    | UTF-16    | 43981     | 6             | true      | as asked for
    Desktop, 2022 on | UTF-8    | 0         | 0             | false     | false

Source: 14 genuine files of Power BI Desktop from 2018 to 2026 in an XPress9 envelope, those since 2022 for the two
ignored values. (One of them, of 2025, has checksums; one, of April 2018, has its directory in UTF-16.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.formats.abf import virtual_directory
from tabvault.formats.abf.header import PAGE_BYTE_COUNT, Header
from tabvault.formats.abf.header import emit as emit_header
from tabvault.formats.abf.virtual_directory import DirectoryEncoding
from tabvault.formats.abf.writer import new_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tabvault.formats.abf.virtual_directory import DirectoryEntry


LOG_FIELDS: Final = {
    "BackupRestoreSyncVersion": "11.53",
    "ServerRoot": "",
    "SvrEncryptPwdFlag": "true",
    "ServerEnableBinaryXML": "false",
    "ServerEnableCompression": "false",
    "CompressionFlag": "false",
    "EncryptionFlag": "false",
    "ObjectName": "",
    "ObjectId": "",
    "Write": "ReadWrite",
    "OlapInfo": "false",
    "IsTabular": "true",
}
"""What the log of each of those files says, in this order; which database it is fills in the rest."""


@dataclass(frozen=True, slots=True)
class StoredBody:
    """What is to be stored under *path*, a reserved path or a storage key; *pieces* are asked for when they are due."""

    path: str
    byte_count: int
    pieces: Iterable[bytes | memoryview]


def desktop_container(stored: Sequence[StoredBody], *, object_id: str, now: int) -> Iterator[bytes | memoryview]:
    """
    The container, in pieces.

    Args:
        stored: every part and file in its order: ``ADDITIONAL_LOG`` if there is one, ``PARTITIONS``, the files in the
            order of the log, ``LOG``. A body has exactly the bytes that it announces.
        object_id: a fresh UUID, upper case.
        now: FILETIME for the directory's time stamps.
    """
    entries = _entries(stored, now=now)
    assert entries[-1].path == virtual_directory.LOG
    directory = virtual_directory.emit(entries, DirectoryEncoding.UTF_8)
    stored_end = entries[-1].offset + entries[-1].byte_count
    directory_offset = stored_end + -stored_end % PAGE_BYTE_COUNT
    yield _page(directory_offset, len(directory), len(entries), object_id)
    for body in stored:
        byte_count = 0
        for piece in body.pieces:
            byte_count += len(piece)
            yield piece
        assert byte_count == body.byte_count, f"{body.path} has {byte_count} bytes, {body.byte_count} announced"
    yield bytes(directory_offset - stored_end)
    yield directory
    yield bytes(-len(directory) % PAGE_BYTE_COUNT)


def _entries(stored: Sequence[StoredBody], *, now: int) -> list[DirectoryEntry]:
    entries: list[DirectoryEntry] = []
    offset = PAGE_BYTE_COUNT
    for body in stored:
        entries.append(new_entry(body.path, byte_count=body.byte_count, offset=offset, now=now))
        offset += body.byte_count
    return entries


def _page(directory_offset: int, directory_byte_count: int, file_count: int, object_id: str) -> bytes:
    return emit_header(
        Header(
            sync_version="140",
            fault=False,
            fault_code="0",
            error_code=False,
            encryption_flag=False,
            encryption_key="0",
            apply_compression=False,
            directory_offset=directory_offset,
            directory_byte_count=directory_byte_count,
            file_count=file_count,
            object_id=object_id,
            data_offset=PAGE_BYTE_COUNT,
        )
    )
