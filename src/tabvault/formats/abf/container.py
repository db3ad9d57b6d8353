"""
Reading a backup's container: page 0, virtual directory and log, and the bodies of its files.

::

    page 0 | [ADDITIONAL_LOG] | PARTITIONS | file | file | ... | LOG | zeros | virtual directory | zeros
    0        4096                                                      m_cbOffsetHeader (multiple of 4096)

Stored files lie back to back. Where the header's ``ErrorCode`` is true each is followed by 4 bytes of CRC, counted
in the directory's size. Where ``ApplyCompression`` is true the database files (not the parts of the container) are
Xpress8 chunks.

What :meth:`Container.open` has checked when it returns, so that no reader needs to check it again:

1. Page 0, directory and log parse; their sizes and counts agree with each other.
2. Every stored file lies between page 0 and the directory, which begins at most a page behind the last of them, and
   no two overlap: a small backup cannot stand for endless bytes.
3. Log and directory name the same files, each once; every logical name is given once.

Source: [MS-XLDM] 2.1; order and agreement read off genuine files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import ChecksumError, FormatError, LimitError
from tabvault.formats import crc32, xpress8
from tabvault.formats.abf import backup_log, header, virtual_directory
from tabvault.formats.byte_source import PIECE_BYTE_COUNT, SpanSource, check_range, pieces
from tabvault.formats.safe_xml import XML_BYTE_COUNT_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.formats.abf.backup_log import BackupLog
    from tabvault.formats.abf.header import Header
    from tabvault.formats.abf.virtual_directory import DirectoryEncoding, DirectoryEntry
    from tabvault.formats.byte_source import ByteSource

_RATIO_MAX: Final = 1024
"""Raw bytes per stored byte: an Xpress8 chunk of 4096 bytes takes 4 bytes of header and some of data, so no honest body
exceeds it, and a file that claims more is refused before anything is allocated for it."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A database file in the container. *byte_count* is the uncompressed length, without CRC."""

    name: str
    group_class: int
    storage_path: str
    byte_count: int
    last_write_time: int
    entry: DirectoryEntry


class Container:
    """
    An opened backup container.

    Attributes:
        header: page 0.
        encoding: of the virtual directory.
        entries: the virtual directory, in its order.
        log: the backup log.
        files: the database files by logical name, in the order of the log.
    """

    def __init__(
        self,
        source: ByteSource,
        header: Header,
        encoding: DirectoryEncoding,
        entries: tuple[DirectoryEntry, ...],
        log: BackupLog,
        files: Mapping[str, StoredFile],
    ) -> None:
        self._source = source
        self.header = header
        self.encoding = encoding
        self.entries = entries
        self.log = log
        self.files = files
        self._parts = {entry.path: entry for entry in entries if entry.path in virtual_directory.RESERVED}

    @classmethod
    def open(cls, source: ByteSource) -> Container:
        """
        Read page 0, the directory and the log.

        Raises:
            FormatError: one of the module's conditions does not hold.
            ServerEncryptedError: a Microsoft server protected the backup with a password.
        """
        page_byte_count = min(header.PAGE_BYTE_COUNT, source.byte_count)
        head = header.parse(source.read_at(0, page_byte_count))
        if head.directory_byte_count > XML_BYTE_COUNT_MAX:
            raise LimitError(f"virtual directory of {head.directory_byte_count} bytes is over {XML_BYTE_COUNT_MAX}")
        check_range(head.directory_offset, head.directory_byte_count, source.byte_count)
        encoding, entries = virtual_directory.parse(source.read_at(head.directory_offset, head.directory_byte_count))
        _check_layout(head, entries)
        if not entries or entries[-1].path != virtual_directory.LOG:
            raise FormatError("the last entry is not LOG", file="virtual directory")
        if entries[-1].byte_count > XML_BYTE_COUNT_MAX:
            raise LimitError(f"log of {entries[-1].byte_count} bytes is over {XML_BYTE_COUNT_MAX}", file="backup log")
        log = backup_log.parse(b"".join(_stored(source, head, entries[-1], file="backup log")))
        return cls(source, head, encoding, entries, log, _files(head, entries, log))

    def part(self, path: str) -> bytes | None:
        """
        A part of the container itself (``ADDITIONAL_LOG``, ``PARTITIONS``), or None where it has none.

        Raises:
            ChecksumError: its CRC does not match.
            LimitError: it is over the limit for XML.
        """
        entry = self._parts.get(path)
        if entry is None:
            return None
        if entry.byte_count > XML_BYTE_COUNT_MAX:
            raise LimitError(f"part of {entry.byte_count} bytes is over {XML_BYTE_COUNT_MAX}", file=path)
        return b"".join(_stored(self._source, self.header, entry, file=path))

    def body(self, name: str) -> Iterator[bytes | memoryview]:
        """
        The uncompressed bytes of one database file, in order, in pieces of about a MiB.

        The CRC is known to match only when the iterator is exhausted: publish nothing before that.

        Raises:
            FormatError: no such file, or its bytes are not the compressed form of what the log promises.
            ChecksumError: its CRC does not match.
        """
        file = self.files.get(name)
        if file is None:
            raise FormatError("no such file in the backup", file=name)
        if not self.header.apply_compression:
            yield from _stored(self._source, self.header, file.entry, file=name)
            return
        stored = _ChecksummedSource(self._source, self.header, file.entry, file=name)
        yield from xpress8.decompress(stored, file=name, raw_byte_count=file.byte_count)
        stored.finish()

    def read(self, name: str) -> bytes | memoryview:
        """
        One database file whole, its CRC checked: one read where it is stored as it is, which most column files are.

        Raises:
            FormatError: as :meth:`body`.
            ChecksumError: its CRC does not match.
        """
        file = self.files.get(name)
        if file is None:
            raise FormatError("no such file in the backup", file=name)
        if self.header.apply_compression:
            return self._read_compressed(file)
        stored = self._source.read_at(file.entry.offset, file.entry.byte_count)
        if not self.header.error_code:
            return stored
        body = memoryview(stored)[: file.byte_count]
        _check_crc(bytes(stored[file.byte_count :]), crc32.crc32(body), file=name)
        return body

    def _read_compressed(self, file: StoredFile) -> memoryview:
        """The body in the one buffer it needs: pieces and their sum at the same time would be twice as much."""
        body = memoryview(bytearray(file.byte_count))
        done = 0
        for piece in self.body(file.name):
            body[done : done + len(piece)] = piece
            done += len(piece)
        return body.toreadonly()

    def reemit(self) -> Iterator[bytes | memoryview]:
        """
        The container again from its parsed parts: page 0 and directory written anew, stored bytes as they are.

        Byte-identical to what was read, for every backup an engine wrote. What no entry covers becomes zeros.
        """
        yield header.emit(self.header)
        end = self.header.data_offset
        for start, byte_count in _runs(self.entries):
            yield from _zeros(start - end)
            yield from pieces(self._source, offset=start, byte_count=byte_count)
            end = start + byte_count
        yield from _zeros(self.header.directory_offset - end)
        directory = virtual_directory.emit(self.entries, self.encoding)
        yield directory
        yield bytes(-len(directory) % header.PAGE_BYTE_COUNT)


def _check_layout(head: Header, entries: tuple[DirectoryEntry, ...]) -> None:
    where = "virtual directory"
    if len(entries) != head.file_count:
        raise FormatError(f"directory has {len(entries)} entries, the header says {head.file_count}", file=where)
    crc_byte_count = crc32.CRC_BYTE_COUNT if head.error_code else 0
    end = head.data_offset
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < end or entry.byte_count < crc_byte_count:
            raise FormatError(f"entry {entry.path} at {entry.offset} overlaps what ends at {end}", file=where)
        end = entry.offset + entry.byte_count
    if end > head.directory_offset:
        raise FormatError(f"stored files end at {end}, behind the directory at {head.directory_offset}", file=where)
    if head.directory_offset - end > header.PAGE_BYTE_COUNT:
        raise FormatError(
            f"stored files end at {end}, more than a page before the directory at {head.directory_offset}", file=where
        )


def _runs(entries: tuple[DirectoryEntry, ...]) -> Iterator[tuple[int, int]]:
    """Offset and length of what the entries cover without a gap, in the order of the offsets."""
    start = end = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset != end:
            if end > start:
                yield start, end - start
            start = entry.offset
        end = entry.offset + entry.byte_count
    yield start, end - start


def _zeros(byte_count: int) -> Iterator[bytes]:
    """So many zeros, in bounded pieces: a sparse file can have terabytes of them."""
    for start in range(0, byte_count, PIECE_BYTE_COUNT):
        yield bytes(min(PIECE_BYTE_COUNT, byte_count - start))


def _files(head: Header, entries: tuple[DirectoryEntry, ...], log: BackupLog) -> dict[str, StoredFile]:
    by_path = {entry.path: entry for entry in entries if entry.path not in virtual_directory.RESERVED}
    crc_byte_count = crc32.CRC_BYTE_COUNT if head.error_code else 0
    files: dict[str, StoredFile] = {}
    for group in log.groups:
        for logged in group.files:
            name = log.logical_name(logged)
            entry = by_path.pop(logged.storage_path, None)
            if entry is None:
                raise FormatError(
                    f"storage path {logged.storage_path} of {name} is not in the directory", file="backup log"
                )
            if name in files or not name:
                raise FormatError(f"logical name {name!r} stands twice or is empty", file="backup log")
            stored_byte_count = entry.byte_count - crc_byte_count
            if head.apply_compression:
                if logged.byte_count > stored_byte_count * _RATIO_MAX:
                    raise LimitError(f"{logged.byte_count} bytes cannot be stored in {stored_byte_count}", file=name)
            elif logged.byte_count != stored_byte_count:
                raise FormatError(f"log says {logged.byte_count} bytes, {stored_byte_count} are stored", file=name)
            files[name] = StoredFile(
                name=name,
                group_class=group.class_,
                storage_path=logged.storage_path,
                byte_count=logged.byte_count,
                last_write_time=logged.last_write_time,
                entry=entry,
            )
    if by_path:
        raise FormatError(
            f"{len(by_path)} stored files are not in the log, {next(iter(by_path))} first", file="backup log"
        )
    return files


def _stored(source: ByteSource, head: Header, entry: DirectoryEntry, *, file: str) -> Iterator[bytes | memoryview]:
    """The stored bytes of *entry* without their CRC, which is checked when the last of them has been taken."""
    stored = _ChecksummedSource(source, head, entry, file=file)
    yield from pieces(stored)
    stored.finish()


class _ChecksummedSource:
    """Stored bytes of one entry, read strictly in order, with the CRC computed on the way."""

    def __init__(self, source: ByteSource, head: Header, entry: DirectoryEntry, *, file: str) -> None:
        self._has_crc = head.error_code
        self.byte_count = entry.byte_count - (crc32.CRC_BYTE_COUNT if self._has_crc else 0)
        self._span = SpanSource(source, offset=entry.offset, byte_count=entry.byte_count)
        self._file = file
        self._crc = 0
        self._done = 0

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        assert offset == self._done, "stored bytes are read in order, so that the CRC covers each once"
        check_range(offset, byte_count, self.byte_count)
        data = self._span.read_at(offset, byte_count)
        if self._has_crc:
            self._crc = crc32.crc32(data, self._crc)
        self._done += byte_count
        return data

    def finish(self) -> None:
        """Compare the CRC."""
        assert self._done == self.byte_count, "the CRC is compared when every stored byte has been read"
        if not self._has_crc:
            return
        _check_crc(bytes(self._span.read_at(self.byte_count, crc32.CRC_BYTE_COUNT)), self._crc, file=self._file)


def _check_crc(found: bytes, crc: int, *, file: str) -> None:
    if found != crc32.stored(crc):
        raise ChecksumError(f"CRC is {found.hex(' ')}, the bytes give {crc32.stored(crc).hex(' ')}", file=file)
