"""
Fixed runs of fields between tags.

A model has hundreds of columns, and each of them several small files of dozens of fields: they are unpacked a record at
a time, tags included, and the tags compared here.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from tabvault.errors import FormatError

if TYPE_CHECKING:
    from tabvault.formats.cursor import Cursor


class Record:
    """
    The layout of a record.

    Args:
        what: the specification's word for it, for errors.
        fields: what stands between the tags, little-endian, as :mod:`struct` writes it.
        begin: the record's first bytes.
        end: its last bytes.
    """

    def __init__(self, what: str, fields: str, *, begin: bytes = b"", end: bytes = b"") -> None:
        self._what = what
        self._fields = Struct(f"<{len(begin)}s{fields}{len(end)}s")
        self._begin = begin
        self._end = end

    def take(self, cursor: Cursor) -> tuple[Any, ...]:
        """
        The fields of the record at *cursor*, which ends behind it.

        Raises:
            TruncatedError: the file ends in the record.
            FormatError: it begins or ends with other bytes.
        """
        offset = cursor.offset
        values = cursor.unpack(self._fields, self._what)
        if values[0] != self._begin:
            raise self._error(f"begins with {values[0].hex(' ')}, not {self._begin.hex(' ')}", cursor, offset)
        if values[-1] != self._end:
            offset = cursor.offset - len(self._end)
            raise self._error(f"ends with {values[-1].hex(' ')}, not {self._end.hex(' ')}", cursor, offset)
        return values[1:-1]

    def bytes_of(self, *fields: Any) -> bytes:
        """The record of these fields, between its tags."""
        return self._fields.pack(self._begin, *fields, self._end)

    def _error(self, finding: str, cursor: Cursor, offset: int) -> FormatError:
        return FormatError(f"{self._what} {finding}", file=cursor.file, offset=offset)
