"""
The files of a column of a partition that has no rows.

Read off a DirectQuery model of schema version 56, in which the ``.idf`` files of all 33 columns are the same to the
byte, and so are their ``.idfmeta`` files: one hybrid segment of one bit-packed stretch without entries, ids "from 2 to
2". The row number is stored so as well, with a hash dictionary without entries, as long as no row was loaded. Engines
since schema version 82 add where the segment lies (``SDOs``).
"""

from __future__ import annotations

from struct import pack
from typing import Final

_ENTRY_WORDS: Final = 16
"""64-bit words of the run-length part, all zero."""

IDF: Final = pack("<Q", _ENTRY_WORDS) + bytes(8 * _ENTRY_WORDS) + pack("<QQ", 1, 0)
"""The ``.idf`` file: word count and words of the run-length part, then of the bit-packed part."""

DATA_OFFSETS_SINCE: Final = 82
"""Schema version of the oldest genuine file at hand whose segments have them."""

_SEGMENT: Final = (
    b"<1:CP\0"
    + pack("<Q", 1)
    + (b"<1:CS\0" + pack("<QQII", 0, 0, 0xABA5A, 0xABA37))  # no records; hybrid over NoSplit<1>
    + pack("<QQQBi", 1, 2 * _ENTRY_WORDS, 2, 0, 2)  # bookmark bits, allocated, used, resizing, Min
    + (b"<1:SS\0" + pack("<QIIIqQBQQ", 0, 2, 2, 2, -1, 0, 0, 0, 1) + b"SS:1>\0")
    + (b"\1<1:CS\0" + bytes(16) + b"\0CS:1>\0CS:1>\0")
    + b"CP:1>\0"
)
_DATA_OFFSETS: Final = (
    b"<1:SDOs\0"
    + (b"<1:CSDOs\0" + pack("<qq", 0, _ENTRY_WORDS))
    + (b"<1:CSDOs\0" + pack("<qq", 8 + 8 * _ENTRY_WORDS, 1) + b"CSDOs:1>\0")
    + b"CSDOs:1>\0SDOs:1>\0"
)


def idfmeta(schema_version: int) -> bytes:
    """The ``.idfmeta`` file, as engines of that schema version write it."""
    return _SEGMENT + _DATA_OFFSETS if schema_version >= DATA_OFFSETS_SINCE else _SEGMENT
