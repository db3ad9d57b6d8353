"""
Finding the data model inside a ``.pbix`` or ``.xlsx`` package (a ZIP archive).

``.pbix``: member ``DataModel``, usually stored, sometimes deflated. ``.xlsx`` with Power Pivot:
``xl/model/item.data``. Neither the XPress9 envelope nor the container inside need carry a checksum, so for most
Power BI files the CRC-32 of the archive member is the only one there is: it is always checked. Source: genuine
files of Power BI Desktop 2016 to 2026 and Excel.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Final, cast

from tabvault.errors import ChecksumError, FormatError, LimitError, NoModelError, UnsupportedFeatureError
from tabvault.formats.byte_source import PIECE_BYTE_COUNT, SpanSource, pieces
from tabvault.formats.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from tabvault.formats.byte_source import ByteSource

MAGIC: Final = b"PK\x03\x04"
MODEL_MEMBERS: Final = ("DataModel", "xl/model/item.data")
_MEMBER_COUNT_MAX: Final = 100_000
_LOCAL_HEADER_BYTE_COUNT: Final = 30
_RATIO_MAX: Final = 1100
"""Deflate cannot expand one byte to more than 1032; a member that claims more lies about its size."""


class _SeekError(OSError):
    """A place before the start. zipfile catches it where the archive may be too short, but not everywhere."""


_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OverflowError, _SeekError)


class ModelMember:
    """
    The data model inside a package.

    Args:
        source: the whole package.

    Attributes:
        name: the member's name in the archive.
        byte_count: its uncompressed length.

    Raises:
        NoModelError: the package holds no model.
        FormatError: the archive is damaged.
        UnsupportedFeatureError: the member is encrypted or compressed by another method than deflate.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        try:
            self._archive = zipfile.ZipFile(cast("IO[bytes]", _SeekableView(source)))
        except _DAMAGE as error:
            raise FormatError(f"the package is not a readable ZIP archive: {error}") from None
        members = {info.filename: info for info in self._archive.infolist()}
        if len(members) > _MEMBER_COUNT_MAX:
            raise LimitError(f"the package has {len(members)} members, over the limit of {_MEMBER_COUNT_MAX}")
        found = [members[name] for name in MODEL_MEMBERS if name in members]
        if not found:
            raise NoModelError(
                "the package holds no data model",
                hint="a report with a live connection has its model elsewhere; take the backup there",
            )
        self._info = found[0]
        self.name = self._info.filename
        self.byte_count = self._info.file_size
        if self._info.flag_bits & 1:
            raise UnsupportedFeatureError("the data model is encrypted inside its package", file=self.name)
        if self._info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnsupportedFeatureError(
                f"compression method {self._info.compress_type} of the package", file=self.name
            )
        if self.byte_count > self._info.compress_size * _RATIO_MAX:
            raise LimitError(f"{self.byte_count} bytes cannot come from {self._info.compress_size}", file=self.name)

    def stored_span(self) -> SpanSource | None:
        """
        The member's bytes inside the package itself, CRC checked, where it is stored without compression.

        Returns:
            None where the member is deflated: take :meth:`pieces`.

        Raises:
            ChecksumError: the CRC-32 of the archive does not match.
            FormatError: the local header is damaged.
        """
        span = self.unchecked_span()
        if span is None:
            return None
        crc = 0
        for piece in pieces(span):
            crc = zlib.crc32(piece, crc)
        if crc != self._info.CRC:
            raise ChecksumError(
                f"CRC-32 of the package is {self._info.CRC:#010x}, the bytes give {crc:#010x}", file=self.name
            )
        return span

    def unchecked_span(self) -> SpanSource | None:
        """
        The same without its CRC, for one who only looks at its beginning.

        Raises:
            FormatError: the local header is damaged.
        """
        if self._info.compress_type != zipfile.ZIP_STORED or self._info.compress_size != self._info.file_size:
            return None
        offset = self._info.header_offset
        cursor = Cursor(self._source.read_at(offset, _LOCAL_HEADER_BYTE_COUNT), file=self.name)
        cursor.expect(MAGIC, "local file header")
        cursor.take(22, "local file header")
        name_byte_count = cursor.u16("file name length")
        extra_byte_count = cursor.u16("extra field length")
        start = offset + _LOCAL_HEADER_BYTE_COUNT + name_byte_count + extra_byte_count
        return SpanSource(self._source, offset=start, byte_count=self.byte_count)

    def pieces(self) -> Iterator[bytes]:
        """
        The member's bytes in order; its CRC is checked with the last piece.

        Raises:
            FormatError: the member is damaged.
        """
        done = 0
        try:
            with self._archive.open(self._info) as member:
                while piece := member.read(PIECE_BYTE_COUNT):
                    done += len(piece)
                    yield piece
        except _DAMAGE as error:
            raise FormatError(f"the package member is damaged: {error}", file=self.name) from None
        if done != self.byte_count:
            raise FormatError(f"the package member has {done} bytes, not {self.byte_count}", file=self.name)


class _SeekableView:
    """As much of a file object over a source as :mod:`zipfile` asks for."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, self._source.byte_count)[whence]
        if base + offset < 0:
            raise _SeekError("seek before the start")
        self._position = base + offset
        return self._position

    def read(self, byte_count: int = -1) -> bytes:
        available = max(self._source.byte_count - self._position, 0)
        wanted = available if byte_count < 0 else min(byte_count, available)
        data = bytes(self._source.read_at(self._position, wanted)) if wanted else b""
        self._position += wanted
        return data

    def close(self) -> None:
        """Nothing: the source belongs to the caller."""
