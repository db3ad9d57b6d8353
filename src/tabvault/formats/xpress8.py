"""
Xpress8: the compression of single files inside a container with ``<ApplyCompression>true</ApplyCompression>``.

A stored file is a sequence of chunks that know nothing of each other::

    offset | size | field
    0      | u16  | raw_len: bytes after decompression, 1..4096
    2      | u16  | comp_len: bytes of the payload, 1..raw_len
    4      | ...  | payload: plain LZ77 ([MS-XCA] 2.3); the raw bytes themselves where comp_len equals raw_len

Genuine writers cut at 4096 raw bytes, so only the last chunk is shorter. There is neither a count nor an end mark: the
backup log's ``Size`` says how many raw bytes there are. PARTITIONS, LOG, ADDITIONAL_LOG and the virtual directory are
never compressed.

Source: read off genuine files (2,916 chunks of 1,395 files; written anew by :func:`compress`, 1,385 of the files come
out with the very same bytes and the others differ in the choice of single matches).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, TruncatedError
from tabvault.formats.byte_source import PIECE_BYTE_COUNT, pieces

try:
    from xpress8 import Xpress8
except ImportError:  # no build of the library for this machine
    from tabvault.formats.lz77_plain import PlainLz77 as Xpress8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tabvault.formats.byte_source import ByteSource

CHUNK_BYTE_COUNT = 4096
"""Raw bytes of every chunk but the last, and the most that a chunk may hold."""

COMPRESSOR: Final = Xpress8.__module__.partition(".")[0]
"""The package that compresses: another one, or another version of it, makes other bytes of the same file."""

_CHUNK_HEADER = struct.Struct("<HH")


def compress(raw: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """
    The stored body of a file, in batches of about a mebibyte.

    The library's own level 9 is used, because it is the one whose output equals that of genuine writers.

    Args:
        raw: the bytes of the file in order, in pieces of any length.
    """
    codec = Xpress8()
    batch = bytearray()
    for chunk in _cut(raw):
        try:
            payload = codec.compress(chunk)
        except ValueError:  # the codec's way to say that the result would not be smaller
            payload = chunk
        batch += _CHUNK_HEADER.pack(len(chunk), len(payload))
        batch += payload
        if len(batch) >= PIECE_BYTE_COUNT:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)


def decompress(source: ByteSource, *, file: str | None = None, raw_byte_count: int) -> Iterator[bytes]:
    """
    The raw bytes of a file, in batches of about a mebibyte.

    *source* is read once, in order, without a gap: it may compute a checksum on the way.

    Args:
        source: the stored body, without the checksum that may follow it.
        file: logical name for error messages.
        raw_byte_count: what the backup log promises, in bytes.

    Raises:
        TruncatedError: the body ends inside a chunk, or holds less than *raw_byte_count*.
        FormatError: a chunk contradicts itself, does not decompress, or leads beyond *raw_byte_count*. The offset is
            that of the chunk in *source*.
    """
    codec = Xpress8()
    batch = bytearray()
    remaining = raw_byte_count
    for offset, raw_len, payload in _stored_chunks(source, file):
        if raw_len > remaining:
            raise FormatError(
                f"the chunks hold more than the {raw_byte_count} bytes of the backup log", file=file, offset=offset
            )
        remaining -= raw_len
        if len(payload) == raw_len:
            batch += payload
        else:
            try:
                batch += codec.decompress(payload, raw_len)
            except ValueError as error:
                raise FormatError(
                    f"a chunk of {len(payload)} bytes does not decompress to {raw_len}", file=file, offset=offset
                ) from error
        if len(batch) >= PIECE_BYTE_COUNT:
            yield bytes(batch)
            batch.clear()
    if remaining:
        raise TruncatedError(
            f"the chunks hold {raw_byte_count - remaining} bytes and not the {raw_byte_count} of the backup log",
            file=file,
            offset=source.byte_count,
        )
    if batch:
        yield bytes(batch)


def _cut(raw: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes, cut every :data:`CHUNK_BYTE_COUNT`."""
    rest = b""
    for piece in raw:
        view = memoryview(piece)
        if rest:
            missing = CHUNK_BYTE_COUNT - len(rest)
            rest += view[:missing]
            view = view[missing:]
            if len(rest) < CHUNK_BYTE_COUNT:
                continue
            yield rest
        whole_byte_count = len(view) - len(view) % CHUNK_BYTE_COUNT
        for start in range(0, whole_byte_count, CHUNK_BYTE_COUNT):
            yield view[start : start + CHUNK_BYTE_COUNT]
        rest = bytes(view[whole_byte_count:])
    if rest:
        yield rest


def _stored_chunks(source: ByteSource, file: str | None) -> Iterator[tuple[int, int, memoryview]]:
    """Offset, raw length and payload of each chunk, headers checked."""
    offset = 0
    rest = b""
    for piece in pieces(source):
        window = memoryview(rest + piece if rest else piece)
        position = 0
        while (start := position + _CHUNK_HEADER.size) <= len(window):
            raw_len, comp_len = _CHUNK_HEADER.unpack_from(window, position)
            if not 1 <= comp_len <= raw_len <= CHUNK_BYTE_COUNT:
                raise FormatError(
                    f"raw_len {raw_len} and comp_len {comp_len} are not 1 <= comp_len <= raw_len <= {CHUNK_BYTE_COUNT}",
                    file=file,
                    offset=offset + position,
                )
            stop = start + comp_len
            if stop > len(window):
                break
            yield offset + position, raw_len, window[start:stop]
            position = stop
        rest = bytes(window[position:])
        offset += position
    if rest:
        raise TruncatedError(f"a chunk is cut off after {len(rest)} bytes", file=file, offset=offset)
