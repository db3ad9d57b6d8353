"""
The part of a verification that is about a backup's container: page 0, directory, log, and the bytes of its files.

Where these do not agree there is no container to read files from. Each of them is then looked at alone, and of what the
directory lists the CRCs are compared, so that somebody who has to rescue values knows which parts are sound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import ChecksumError, FormatError, LimitError
from tabvault.formats import crc32
from tabvault.formats.abf import backup_log, header, virtual_directory
from tabvault.formats.byte_source import check_range, pieces
from tabvault.formats.safe_xml import XML_BYTE_COUNT_MAX
from tabvault.jobs.verification import DAMAGE, Condition, fails, holds

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from tabvault.formats.abf.container import Container
    from tabvault.formats.abf.header import Header
    from tabvault.formats.abf.virtual_directory import DirectoryEntry
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import ProgressMeter

_SUBJECT = "header, directory and log"


def container_conditions(container: Container, source: ByteSource, meter: ProgressMeter) -> Iterator[Condition]:
    """Of a container that opened: that, and whether every byte of it is one that an engine writes."""
    yield holds(
        _SUBJECT,
        f"{len(container.entries)} stored files, {len(container.files)} of the database "
        f"{container.log.object_name!r}; they agree",
    )
    try:
        meter.step("reading", source.byte_count)
        same = _equal(container.reemit(), meter.counted(pieces(source)))
    except DAMAGE as error:
        yield fails("every byte", error)
        return
    if same:
        yield holds("every byte", f"{source.byte_count} bytes read; written anew the container is identical")
    else:
        yield Condition(
            "WARNING", "every byte", "written anew the container differs: no Analysis Services engine lays it out so"
        )


def _equal(one: Iterable[bytes | memoryview], other: Iterable[bytes | memoryview]) -> bool:
    """Whether two runs of pieces hold the same bytes. Both are read to their ends."""
    left, equal, iterator = memoryview(b""), True, iter(one)
    for piece in other:
        right = memoryview(piece)
        while right:
            if not left:
                left = memoryview(next(iterator, b""))
                if not left:
                    return False
            common = min(len(left), len(right))
            equal = equal and left[:common] == right[:common]
            left, right = left[common:], right[common:]
    return equal and not len(left) and not any(iterator)


def body_conditions(container: Container, meter: ProgressMeter) -> Generator[Condition, None, set[str]]:
    """Yields conditions and returns the names of the files that cannot be read."""
    broken: set[str] = set()
    meter.step("checking files", sum(file.byte_count for file in container.files.values()))
    for name in container.files:
        try:
            for _ in meter.counted(container.body(name)):
                pass
        except DAMAGE as error:
            broken.add(name)
            yield fails(name, error)
    if not broken:
        checked = "every CRC matches" if container.header.error_code else "lengths match"
        yield holds("file bodies", f"{len(container.files)} files read, {checked}")
    if not container.header.error_code:
        yield Condition(
            "WARNING", "file bodies", "the backup was written without CRCs; a backup made by tabvault will have them"
        )
    return broken


def salvage_conditions(source: ByteSource, error: FormatError, meter: ProgressMeter) -> Iterator[Condition]:
    """
    Of a container that did not open: its parts one by one, as far as one leads to the next.

    Args:
        source: the container's bytes.
        error: why it did not open.
        meter: told about reading.
    """
    yield _every_byte(source, meter)
    try:
        head = header.parse(source.read_at(0, min(header.PAGE_BYTE_COUNT, source.byte_count)))
    except FormatError as damage:
        yield fails("header", damage)
        return
    yield holds("header", "page 0 is well-formed")
    try:
        entries = _directory(source, head)
    except FormatError as damage:
        yield fails("virtual directory", damage)
        return
    yield holds("virtual directory", f"{len(entries)} entries")
    log = _log(source, head, entries)
    yield log
    yield from _stored_files(source, head, entries, meter)
    if log.severity == "OK":
        yield fails(_SUBJECT, error)


def _every_byte(source: ByteSource, meter: ProgressMeter) -> Condition:
    """Reading is all that can be done, but it proves the tags of an encrypted file."""
    meter.step("reading", source.byte_count)
    try:
        for _ in meter.counted(pieces(source)):
            pass
    except FormatError as error:
        return fails("every byte", error)
    return holds("every byte", f"{source.byte_count} bytes read")


def _directory(source: ByteSource, head: Header) -> tuple[DirectoryEntry, ...]:
    if head.directory_byte_count > XML_BYTE_COUNT_MAX:
        raise LimitError(f"virtual directory of {head.directory_byte_count} bytes is over {XML_BYTE_COUNT_MAX}")
    check_range(head.directory_offset, head.directory_byte_count, source.byte_count)
    _, entries = virtual_directory.parse(source.read_at(head.directory_offset, head.directory_byte_count))
    if sum(entry.byte_count for entry in entries) > source.byte_count:
        raise LimitError("its entries have more bytes than the backup", file="virtual directory")
    return entries


def _log(source: ByteSource, head: Header, entries: tuple[DirectoryEntry, ...]) -> Condition:
    subject = "backup log"
    entry = next((entry for entry in entries if entry.path == virtual_directory.LOG), None)
    if entry is None:
        return Condition("FAILED", subject, "the virtual directory has no LOG")
    crc_byte_count = crc32.CRC_BYTE_COUNT if head.error_code else 0
    try:
        _check_crc(source, head, entry)
        if not crc_byte_count <= entry.byte_count <= XML_BYTE_COUNT_MAX:
            raise LimitError(f"log of {entry.byte_count} bytes is not within {crc_byte_count} to {XML_BYTE_COUNT_MAX}")
        log = backup_log.parse(source.read_at(entry.offset, entry.byte_count - crc_byte_count))
    except FormatError as error:
        return fails(subject, error)
    return holds(subject, f"of database {log.object_name!r}, {sum(len(group.files) for group in log.groups)} files")


def _stored_files(
    source: ByteSource, head: Header, entries: tuple[DirectoryEntry, ...], meter: ProgressMeter
) -> Iterator[Condition]:
    """The CRC of each entry but the log: without the log nothing else is known of them."""
    others = [entry for entry in entries if entry.path != virtual_directory.LOG]
    if not head.error_code:
        yield Condition("WARNING", "stored files", f"{len(others)} stored without CRCs: they cannot be checked")
        return
    meter.step("checking files", sum(entry.byte_count for entry in others))
    broken = 0
    for entry in others:
        try:
            _check_crc(source, head, entry)
        except FormatError as error:
            broken += 1
            yield fails(f"stored file {entry.path}", error)
        meter.advance(entry.byte_count)
    if not broken:
        yield holds("stored files", f"{len(others)} files read, every CRC matches")


def _check_crc(source: ByteSource, head: Header, entry: DirectoryEntry) -> None:
    check_range(entry.offset, entry.byte_count, source.byte_count)
    if not head.error_code:
        return
    byte_count = entry.byte_count - crc32.CRC_BYTE_COUNT
    if byte_count < 0:
        raise FormatError(f"entry has {entry.byte_count} bytes, not even a CRC", file=entry.path)
    crc = 0
    for piece in pieces(source, offset=entry.offset, byte_count=byte_count):
        crc = crc32.crc32(piece, crc)
    found = bytes(source.read_at(entry.offset + byte_count, crc32.CRC_BYTE_COUNT))
    if found != crc32.stored(crc):
        raise ChecksumError(f"CRC is {found.hex(' ')}, the bytes give {crc32.stored(crc).hex(' ')}", file=entry.path)
