"""
A reading position that raises at the end of its bytes.

In Python a slice past the end is silently short and ``int.from_bytes(b"")`` is 0: that is how a truncated file
becomes a plausible answer. Every fixed structure of the formats is read through this one cursor instead.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from tabvault.errors import FormatError, TruncatedError

_U8, _U16, _U32, _I32, _U64 = map(Struct, ("<B", "<H", "<I", "<i", "<Q"))


class Cursor:
    """
    Reads little-endian values from *data*, in order.

    Args:
        data: the bytes; not copied.
        file: logical name for error messages.
        offset: where to begin.
    """

    __slots__ = ("_byte_count", "_data", "file", "offset")

    def __init__(self, data: bytes | memoryview, *, file: str | None = None, offset: int = 0) -> None:
        self._data = memoryview(data)
        self._byte_count = len(self._data)
        self.file = file
        self.offset = offset

    @property
    def remaining(self) -> int:
        """Bytes from here to the end."""
        return self._byte_count - self.offset

    def take(self, byte_count: int, what: str) -> memoryview:
        """
        The next *byte_count* bytes (a view, not a copy).

        Args:
            byte_count: how many.
            what: the specification's word for them, for the error.

        Raises:
            TruncatedError: fewer remain.
        """
        start = self._pass_by(byte_count, what)
        return self._data[start : self.offset]

    def unpack(self, fields: Struct, what: str) -> tuple[Any, ...]:
        """
        The values of *fields*, without a copy of their bytes.

        Args:
            fields: what stands here.
            what: the specification's word for it, for the error.

        Raises:
            TruncatedError: fewer bytes remain.
        """
        return fields.unpack_from(self._data, self._pass_by(fields.size, what))

    def _pass_by(self, byte_count: int, what: str) -> int:
        """Step over *byte_count* bytes; returns where they begin."""
        start = self.offset
        end = start + byte_count
        if not start <= end <= self._byte_count:
            raise TruncatedError(
                f"{what} needs {byte_count} bytes and {self.remaining} remain", file=self.file, offset=start
            )
        self.offset = end
        return start

    def _integer(self, form: Struct, what: str) -> int:
        (value,) = self.unpack(form, what)
        return int(value)

    def u8(self, what: str) -> int:
        """Unsigned byte."""
        return self._integer(_U8, what)

    def u16(self, what: str) -> int:
        """Unsigned 16-bit integer."""
        return self._integer(_U16, what)

    def u32(self, what: str) -> int:
        """Unsigned 32-bit integer."""
        return self._integer(_U32, what)

    def i32(self, what: str) -> int:
        """Signed 32-bit integer."""
        return self._integer(_I32, what)

    def u64(self, what: str) -> int:
        """Unsigned 64-bit integer."""
        return self._integer(_U64, what)

    def expect(self, mark: bytes, what: str) -> None:
        """
        Step over *mark*.

        Raises:
            TruncatedError: fewer bytes remain.
            FormatError: other bytes stand here.
        """
        start = self.offset
        found = self.take(len(mark), what).tobytes()
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
        if self.offset == self._byte_count:
            return
        rest = bytes(self._data[self.offset :])
        padding_byte_count = len(rest) - len(rest.lstrip(b"\0"))
        if padding_byte_count < len(rest):
            raise FormatError(
                f"{len(rest)} bytes follow the end of {what}, and not all are zeros",
                file=self.file,
                offset=self.offset + padding_byte_count,
            )
