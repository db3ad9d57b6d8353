"""
Fixed runs of fields between tags.

A model has hundreds of columns, and each of them several small files of dozens of fields: they are read a record at
a time. In a struct's format, ``x`` steps over a byte of a tag, which is compared here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabvault.errors import FormatError

if TYPE_CHECKING:
    from struct import Struct

    from tabvault.formats.cursor import Cursor


def take(cursor: Cursor, fields: Struct, what: str, *, begin: bytes = b"", end: bytes = b"") -> tuple[Any, ...]:
    """
    The fields of a record.

    Args:
        cursor: at the record; it ends behind it.
        fields: the layout of the whole record, tags included.
        what: the specification's word for the record, for errors.
        begin: the record's first bytes.
        end: its last bytes.

    Raises:
        TruncatedError: the file ends in the record.
        FormatError: it begins or ends with other bytes.
    """
    offset = cursor.offset
    octets = bytes(cursor.take(fields.size, what))
    if not octets.startswith(begin):
        found = octets[: len(begin)].hex(" ")
        raise FormatError(f"{what} begins with {found}, not {begin.hex(' ')}", file=cursor.file, offset=offset)
    if not octets.endswith(end):
        offset = cursor.offset - len(end)
        found = octets[-len(end) :].hex(" ")
        raise FormatError(f"{what} ends with {found}, not {end.hex(' ')}", file=cursor.file, offset=offset)
    return fields.unpack(octets)
