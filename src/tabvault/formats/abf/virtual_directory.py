"""
The virtual directory: where each stored file lies.

One ``BackupFile`` element per file: ``Path`` (a reserved word or an opaque storage key), ``Size`` (stored bytes,
the CRC included), ``m_cbOffsetHeader`` (where the stored bytes begin), ``Delete``, and three FILETIMEs (100 ns
since 1601). UTF-16LE until mid 2018, UTF-8 since, without byte order mark in both. Source: [MS-XLDM] 2.1.3 for
the elements; encodings, time unit and order read off genuine files.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError
from tabvault.formats import safe_xml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lxml.etree import _Element

ADDITIONAL_LOG: Final = "ADDITIONAL_LOG"
PARTITIONS: Final = "PARTITIONS"
LOG: Final = "LOG"
RESERVED: Final = frozenset({ADDITIONAL_LOG, PARTITIONS, LOG})
"""Paths that name a part of the container itself; every other path is the storage key of a database file."""

_FILE: Final = "virtual directory"
_ELEMENTS: Final = ("Path", "Size", "m_cbOffsetHeader", "Delete", "CreatedTimestamp", "Access", "LastWriteTime")


class DirectoryEncoding(enum.Enum):
    """How the directory's text is stored."""

    UTF_16 = "utf-16-le"
    UTF_8 = "utf-8"


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One stored file. *byte_count* includes the CRC where the header's ``ErrorCode`` is true; times are FILETIMEs."""

    path: str
    byte_count: int
    offset: int
    delete: bool
    created: int
    accessed: int
    last_write_time: int


def parse(data: bytes | memoryview) -> tuple[DirectoryEncoding, tuple[DirectoryEntry, ...]]:
    """
    Read the directory.

    Raises:
        FormatError: other elements than the seven, values not of their kind, or a path twice.
    """
    raw = bytes(data)
    encoding = DirectoryEncoding.UTF_16 if raw[1:2] == b"\0" else DirectoryEncoding.UTF_8
    root = safe_xml.parse(safe_xml.text_of(raw, file=_FILE), file=_FILE)
    if root.tag != "VirtualDirectory":
        raise FormatError(f"root element is {root.tag}, not VirtualDirectory", file=_FILE)
    entries = tuple(_entry(child) for _, child in safe_xml.children(root, file=_FILE))
    if len({entry.path for entry in entries}) != len(entries):
        raise FormatError("a path stands twice", file=_FILE)
    return encoding, entries


def _entry(element: _Element) -> DirectoryEntry:
    names = tuple(name for name, _ in safe_xml.children(element, file=_FILE))
    if element.tag != "BackupFile" or names != _ELEMENTS:
        raise FormatError(f"entry elements are {element.tag}: {', '.join(names)[:200]}", file=_FILE)
    path, byte_count, offset, delete, created, accessed, written = (
        safe_xml.leaf_text(child, file=_FILE) for child in element
    )
    return DirectoryEntry(
        path=path,
        byte_count=safe_xml.integer(byte_count, what="Size", file=_FILE),
        offset=safe_xml.integer(offset, what="m_cbOffsetHeader", file=_FILE),
        delete=safe_xml.boolean(delete, what="Delete", file=_FILE),
        created=safe_xml.integer(created, what="CreatedTimestamp", file=_FILE),
        accessed=safe_xml.integer(accessed, what="Access", file=_FILE),
        last_write_time=safe_xml.integer(written, what="LastWriteTime", file=_FILE),
    )


def emit(entries: Iterable[DirectoryEntry], encoding: DirectoryEncoding) -> bytes:
    """The directory's bytes, as engines write them: no white space, no byte order mark."""
    parts = ["<VirtualDirectory>"]
    for entry in entries:
        values: tuple[str | int, ...] = (
            entry.path,
            entry.byte_count,
            entry.offset,
            "true" if entry.delete else "false",
            entry.created,
            entry.accessed,
            entry.last_write_time,
        )
        fields = "".join(safe_xml.leaf(name, value) for name, value in zip(_ELEMENTS, values, strict=True))
        parts.append(f"<BackupFile>{fields}</BackupFile>")
    parts.append("</VirtualDirectory>")
    return "".join(parts).encode(encoding.value)
