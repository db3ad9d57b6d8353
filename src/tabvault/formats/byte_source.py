"""
Random access to a run of bytes, wherever it lies.

A format reader asks a :class:`ByteSource` for ranges and never learns whether a local file, a blob, a decrypted view
or memory stands behind it. A source that cannot give what it promised raises; it never gives less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tabvault.errors import TruncatedError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTE_COUNT = 1 << 20
"""How much is held in memory at a time when a range is streamed: large enough to drown per-call costs."""


class ByteSource(Protocol):
    """Immutable bytes, readable at any offset, from several threads at once."""

    @property
    def byte_count(self) -> int:
        """Length of the whole, in bytes."""
        ...

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """
        Exactly *byte_count* bytes from *offset*.

        Raises:
            TruncatedError: the range is not wholly inside the source.
        """
        ...


class MemorySource:
    """A :class:`ByteSource` over bytes in memory (no copy is made). *byte_count* is their length."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).toreadonly()
        self.byte_count = len(self._view)

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        """A view of the range; it stays valid as long as the data do."""
        check_range(offset, byte_count, self.byte_count)
        return self._view[offset : offset + byte_count]


class SpanSource:
    """The range ``[offset, offset + byte_count)`` of another source, as a source of its own."""

    def __init__(self, source: ByteSource, *, offset: int, byte_count: int) -> None:
        check_range(offset, byte_count, source.byte_count)
        self._source = source
        self._offset = offset
        self._byte_count = byte_count

    @property
    def byte_count(self) -> int:
        """Length of the range, in bytes."""
        return self._byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes | memoryview:
        """Bytes of the inner source, counted from the start of the range."""
        check_range(offset, byte_count, self._byte_count)
        return self._source.read_at(self._offset + offset, byte_count)


class ReadAheadSource:
    """Another source for who reads small ranges in order: it is asked for pieces, in order and for no byte twice."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.byte_count = source.byte_count
        self._window: tuple[int, memoryview] = (0, memoryview(b""))

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        """A view of the range, or of what was read around it."""
        check_range(offset, byte_count, self.byte_count)
        start, window = self._window
        if offset < start or offset + byte_count > start + len(window):
            known = window[offset - start :] if start <= offset else window[:0]
            missing_byte_count = max(byte_count, PIECE_BYTE_COUNT) - len(known)
            end = offset + len(known)
            read = self._source.read_at(end, min(missing_byte_count, self.byte_count - end))
            start, window = offset, memoryview(b"".join((known, read)) if known else read)
            self._window = (start, window)
        return window[offset - start : offset - start + byte_count]


def check_range(offset: int, byte_count: int, available: int) -> None:
    """
    Raise unless ``[offset, offset + byte_count)`` lies inside *available* bytes.

    A Python slice past the end is silently short; this check is what turns that into an error.

    Raises:
        TruncatedError: it does not.
    """
    if offset < 0 or byte_count < 0 or offset + byte_count > available:
        raise TruncatedError(
            f"bytes {offset}..{offset + byte_count} were asked for, and there are {available}", offset=offset
        )


def pieces(
    source: ByteSource, *, offset: int = 0, byte_count: int | None = None, piece_byte_count: int = PIECE_BYTE_COUNT
) -> Iterator[bytes | memoryview]:
    """
    The range of *source* in order, in pieces of at most *piece_byte_count* bytes.

    Raises:
        TruncatedError: the range is not wholly inside the source.
    """
    remaining = source.byte_count - offset if byte_count is None else byte_count
    check_range(offset, remaining, source.byte_count)
    while remaining:
        read_byte_count = min(piece_byte_count, remaining)
        yield source.read_at(offset, read_byte_count)
        offset += read_byte_count
        remaining -= read_byte_count
