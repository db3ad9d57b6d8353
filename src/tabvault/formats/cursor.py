"""
A reading position that raises at the end of its bytes.

In Python a slice past the end is silently short and ``int.from_bytes(b"")`` is 0: that is how a truncated file
becomes a plausible answer. Every fixed structure of the formats is read through this one cursor instead.
"""

from __future__ import annotations

import struct

from tabvault.errors import FormatError, TruncatedError


class Cursor:
    """
    Reads little-endian values from *data*, in order.

    Args:
        data: the bytes; not copied.
        file: logical name for error messages.
        offset: where to begin.
    """

    __slots__ = ("_data", "file", "offset")

    def __init__(self, data: bytes | memoryview, *, file: str | None = None, offset: int = 0) -> None:
        self._data = memoryview(data)
        self.file = file
        self.offset = offset

    @property
    def remaining(self) -> int:
        """Bytes from here to the end."""
        return len(self._data) - self.offset

    def take(self, byte_count: int, what: str) -> memoryview:
        """
        The next *byte_count* bytes (a view, not a copy).

        Args:
            byte_count: how many.
            what: the specification's word for them, for the error.

        Raises:
            TruncatedError: fewer remain.
        """
        if byte_count < 0 or byte_count > self.remaining:
            raise TruncatedError(
                f"{what} needs {byte_count} bytes and {self.remaining} remain", file=self.file, offset=self.offset
            )
        view = self._data[self.offset : self.offset + byte_count]
        self.offset += byte_count
        return view

    def _unpack(self, form: str, byte_count: int, what: str) -> int:
        (value,) = struct.unpack(form, self.take(byte_count, what))
        return int(value)

    def u8(self, what: str) -> int:
        """Unsigned byte."""
        return self._unpack("<B", 1, what)

    def u16(self, what: str) -> int:
        """Unsigned 16-bit integer."""
        return self._unpack("<H", 2, what)

    def u32(self, what: str) -> int:
        """Unsigned 32-bit integer."""
        return self._unpack("<I", 4, what)

    def i32(self, what: str) -> int:
        """Signed 32-bit integer."""
        return self._unpack("<i", 4, what)

    def u64(self, what: str) -> int:
        """Unsigned 64-bit integer."""
        return self._unpack("<Q", 8, what)

    def i64(self, what: str) -> int:
        """Signed 64-bit integer."""
        return self._unpack("<q", 8, what)

    def expect(self, mark: bytes, what: str) -> None:
        """
        Step over *mark*.

        Raises:
            TruncatedError: fewer bytes remain.
            FormatError: other bytes stand here.
        """
        start = self.offset
        found = bytes(self.take(len(mark), what))
        if found != mark:
            raise FormatError(f"{what} is {found.hex(' ')}, not {mark.hex(' ')}", file=self.file, offset=start)

    def expect_end(self, what: str) -> None:
        """
        Demand that nothing follows.

        Raises:
            FormatError: bytes remain.
        """
        if self.remaining:
            raise FormatError(f"{self.remaining} bytes follow the end of {what}", file=self.file, offset=self.offset)

    def expect_padding(self, what: str) -> None:
        """
        Demand that nothing but zeros follows.

        Raises:
            FormatError: something else does.
        """
        rest = bytes(self._data[self.offset :])
        padding_byte_count = len(rest) - len(rest.lstrip(b"\0"))
        if padding_byte_count < len(rest):
            raise FormatError(
                f"{len(rest)} bytes follow the end of {what}, and not all are zeros",
                file=self.file,
                offset=self.offset + padding_byte_count,
            )
