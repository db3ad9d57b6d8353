"""
The XPress9 envelope around a whole container.

Power BI Desktop wraps its containers (member ``DataModel`` of a .pbix, ``cache.abf`` of a project) as a whole; servers
do not. An envelope opens with 102 bytes of UTF-16LE text, without byte order mark:

* *single session*: frames up to the end of the file, or up to a frame header of zeros;
* *thread groups*: five u64 - main chunks per thread, prefix chunks per thread, prefix thread count, main thread count,
  raw bytes of a chunk - then prefix thread count x prefix chunks per thread frames, then main thread count x main
  chunks per thread frames. The frames of one thread are a session of their own.

A frame, and the block that begins in it::

    offset | size | field
    0      | u32  | raw byte count
    4      | u32  | compressed byte count, that of everything below
    8      | u32  | magic 0x4E86D72A
    12     | u32  | raw byte count, again
    16     | u32  | encoded bits, the 256 of this block header included
    20     | u32  | flags: 0-12 bits of the Huffman tables, 13-15 log2 of the window - 16, 16-17 half the move-to-front
           |      | entries (3 is reserved), 18 and 19 the two minimum match lengths, 20-31 zero
    24     | u32  | zero
    28     | u32  | session signature, the same in each block of a session
    32     | u32  | block index, from 0 in each session
    36     | u32  | CRC-32C of the 28 bytes from the magic on
    40     | ...  | Huffman tables and codes. They have no checksum

A block refers back to the blocks before it, so the frames of a session are decoded in order.

Source: single session read off genuine files (27 frames of 14 files: window 2**22, 2,097,152 raw bytes but in the last
frame, nothing after it). Thread groups as the readers pbixray and pbix-mcp agree on them; no genuine one was at hand,
which is why the raw bytes of a chunk are not compared with the frames. The block header is that of the codec's
published sources (Microsoft Extensible-Storage-Engine, ``_xpress9``).
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastcrc import crc32 as fastcrc_crc32
from xpress9 import Xpress9

from tabvault.errors import ChecksumError, FormatError, LimitError, TruncatedError
from tabvault.formats.abf import header
from tabvault.formats.byte_source import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.formats.byte_source import ByteSource

SIGNATURE_BYTE_COUNT = 102
"""How much of a file :func:`envelope_of` wants to see."""

CHUNK_BYTE_COUNT_MAX = 16 << 20
"""The most raw, and the most compressed, bytes of a frame that we allocate: eight times what genuine frames hold."""

MAGIC = 0x4E86D72A
TABLE_BITS_MASK = 0x1FFF
"""The part of a block's flags that is its own: how long its Huffman tables are. The rest is the session's."""

_WINDOW_LOG2_MAX = 22
"""The library's decoder holds a window of this size, and runs astray on a block that asks for more without noticing."""

FRAME_HEADER = struct.Struct("<II")
BLOCK_HEADER = struct.Struct("<8I")
_GROUPS_HEADER = struct.Struct("<5Q")


class Envelope(enum.Enum):
    """What stands around a container; the value is what the file then begins with."""

    NONE = header.SIGNATURE
    SINGLE_SESSION = "This backup was created using XPress9 compression.\0".encode("utf-16-le")
    THREAD_GROUPS = "This backup was created using multithreaded XPrs9.\0".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class _Frame:
    offset: int
    raw_byte_count: int
    compressed_byte_count: int
    block_index: int

    @property
    def payload_offset(self) -> int:
        return self.offset + FRAME_HEADER.size

    @property
    def stop(self) -> int:
        return self.payload_offset + self.compressed_byte_count


def envelope_of(head: bytes | memoryview) -> Envelope | None:
    """
    Tell the envelope by the first :data:`SIGNATURE_BYTE_COUNT` bytes of a file.

    Returns:
        None when they do not begin a backup.
    """
    beginning = bytes(head[:SIGNATURE_BYTE_COUNT])
    return next((envelope for envelope in Envelope if beginning.startswith(envelope.value)), None)


class BlockDecoder(Protocol):
    """A decoder that remembers the blocks of one session; the library's ``Xpress9`` is one."""

    def decompress(self, block: bytes, raw_byte_count: int, /) -> bytes:
        """
        The *raw_byte_count* bytes of the next block.

        Raises:
            ValueError: the block does not decode to so many.
        """
        ...


def unwrap(source: ByteSource, *, new_decoder: Callable[[], BlockDecoder] = Xpress9) -> Iterator[bytes]:
    """
    The bytes of the container inside *source*, in order, a frame at a time.

    One decoder, 7 MB, and one frame are in memory. An envelope of a single session does not say how long it is: when it
    was cut between two frames, only the container inside can tell.

    Args:
        source: a whole file, with or without an envelope.
        new_decoder: called for each session. The library's own decoder never comes back from a block in which a match
            reaches back too far, and nothing short of decoding tells such a block; who cannot trust *source* passes a
            decoder that works in a process of its own and is ended after a time.

    Raises:
        TruncatedError: *source* ends where a frame should go on.
        LimitError: a frame or a thread group is larger than can be, or than we allocate.
        ChecksumError: a block header does not match its checksum.
        FormatError: *source* is no backup, or a header or a block is damaged.
    """
    if _envelope_of_source(source) is Envelope.NONE:
        for piece in pieces(source):
            yield bytes(piece)
        return
    for frame in _frames(source):
        if frame.block_index == 0:
            session = _Session(new_decoder())
        yield session.decode(frame, bytes(source.read_at(frame.payload_offset, frame.compressed_byte_count)))


def raw_byte_count(source: ByteSource) -> int:
    """
    How many bytes :func:`unwrap` will yield. Only the frame headers are read.

    Raises:
        FormatError: as :func:`unwrap`, for what can be seen without the blocks.
    """
    if _envelope_of_source(source) is Envelope.NONE:
        return source.byte_count
    return sum(frame.raw_byte_count for frame in _frames(source))


def _envelope_of_source(source: ByteSource) -> Envelope:
    envelope = envelope_of(source.read_at(0, min(SIGNATURE_BYTE_COUNT, source.byte_count)))
    if envelope is None:
        raise FormatError("the signature is not that of a backup", offset=0)
    return envelope


def _frames(source: ByteSource) -> Iterator[_Frame]:
    """Every frame of an envelope in order, checked against the limits and the length of *source*."""
    if _envelope_of_source(source) is Envelope.THREAD_GROUPS:
        yield from _thread_group_frames(source)
    else:
        yield from _single_session_frames(source)


def _single_session_frames(source: ByteSource) -> Iterator[_Frame]:
    offset = SIGNATURE_BYTE_COUNT
    block_index = 0
    while offset < source.byte_count:
        if not any(_read(source, offset, FRAME_HEADER.size, "a frame header")):
            break
        frame = _frame_at(source, offset, block_index)
        yield frame
        offset = frame.stop
        block_index += 1
    if block_index == 0:
        raise TruncatedError("the envelope holds no frame", offset=offset)
    _demand_zeros(source, offset)


def _thread_group_frames(source: ByteSource) -> Iterator[_Frame]:
    offset = SIGNATURE_BYTE_COUNT
    main_chunks, prefix_chunks, prefix_threads, main_threads, _ = _GROUPS_HEADER.unpack(
        _read(source, offset, _GROUPS_HEADER.size, "the thread groups")
    )
    offset += _GROUPS_HEADER.size
    frame_count = prefix_threads * prefix_chunks + main_threads * main_chunks
    room = (source.byte_count - offset) // (FRAME_HEADER.size + BLOCK_HEADER.size + 1)
    if frame_count > room:
        raise LimitError(
            f"the thread groups have {frame_count} frames and there is room for {room}", offset=SIGNATURE_BYTE_COUNT
        )
    if frame_count == 0:
        raise TruncatedError("the envelope holds no frame", offset=offset)
    for threads, chunks in ((prefix_threads, prefix_chunks), (main_threads, main_chunks)):
        for index in range(threads * chunks):
            frame = _frame_at(source, offset, index % chunks)
            yield frame
            offset = frame.stop
    _demand_zeros(source, offset)


def _frame_at(source: ByteSource, offset: int, block_index: int) -> _Frame:
    raw, compressed = FRAME_HEADER.unpack(_read(source, offset, FRAME_HEADER.size, "a frame header"))
    frame = _Frame(offset, raw_byte_count=raw, compressed_byte_count=compressed, block_index=block_index)
    if frame.raw_byte_count == 0:
        raise FormatError("the raw byte count of a frame is 0", offset=offset)
    for what, byte_count in (("raw", frame.raw_byte_count), ("compressed", frame.compressed_byte_count)):
        if byte_count > CHUNK_BYTE_COUNT_MAX:
            raise LimitError(
                f"the {what} byte count of a frame is {byte_count}, over {CHUNK_BYTE_COUNT_MAX}", offset=offset
            )
    if frame.compressed_byte_count <= BLOCK_HEADER.size:
        raise FormatError(
            f"the compressed byte count of a frame is {frame.compressed_byte_count}, and its block header alone "
            f"takes {BLOCK_HEADER.size}",
            offset=offset,
        )
    if frame.stop > source.byte_count:
        raise TruncatedError(
            f"a frame needs {frame.compressed_byte_count} bytes and {source.byte_count - frame.payload_offset} remain",
            offset=frame.payload_offset,
        )
    return frame


def _read(source: ByteSource, offset: int, byte_count: int, what: str) -> bytes:
    remaining = source.byte_count - offset
    if remaining < byte_count:
        raise TruncatedError(f"{what} needs {byte_count} bytes and {remaining} remain", offset=offset)
    return bytes(source.read_at(offset, byte_count))


def _demand_zeros(source: ByteSource, offset: int) -> None:
    for piece in pieces(source, offset=offset):
        if any(piece):
            raise FormatError("other bytes than zeros follow the last frame", offset=offset)
        offset += len(piece)


class _Session:
    """A run of blocks that refer to each other, and the decoder that remembers them."""

    def __init__(self, decoder: BlockDecoder) -> None:
        self._decoder = decoder
        self._identity: tuple[int, int] | None = None

    def decode(self, frame: _Frame, block: bytes) -> bytes:
        """The raw bytes of the next block. After an error the session is of no more use."""
        self._check_header(frame, block)
        try:
            return self._decoder.decompress(block, frame.raw_byte_count)
        except ValueError as error:
            raise FormatError(
                f"block {frame.block_index} does not decompress to {frame.raw_byte_count} bytes",
                offset=frame.payload_offset,
            ) from error

    def _check_header(self, frame: _Frame, block: bytes) -> None:
        magic, raw_byte_count, bit_count, flags, zero, signature, block_index, crc = BLOCK_HEADER.unpack_from(block)
        place = frame.payload_offset
        if magic != MAGIC:
            raise FormatError(f"the magic of a block is {magic:#010x}, not {MAGIC:#010x}", offset=place)
        computed = fastcrc_crc32.iscsi(block[: BLOCK_HEADER.size - 4])
        if crc != computed:
            raise ChecksumError(f"the CRC-32C of a block header is {computed:#010x}, not {crc:#010x}", offset=place)
        identity = (signature, flags & ~TABLE_BITS_MASK)
        if self._identity is None:
            self._identity = identity
        for what, found, expected in (
            ("raw byte count of a block", raw_byte_count, frame.raw_byte_count),
            ("byte count of the encoded bits", (bit_count + 7) // 8, frame.compressed_byte_count),
            ("reserved word of a block", zero, 0),
            ("reserved part of the flags", flags >> 20, 0),
            ("signature and flags of the session", identity, self._identity),
            ("block index", block_index, frame.block_index),
        ):
            if found != expected:
                raise FormatError(f"the {what} is {found}, not {expected}", offset=place)
        window_log2 = (flags >> 13 & 7) + 16
        if window_log2 > _WINDOW_LOG2_MAX:
            raise LimitError(f"the window of a block is 2**{window_log2}, over 2**{_WINDOW_LOG2_MAX}", offset=place)
        if flags >> 16 & 3 == 3:
            raise FormatError("the number of move-to-front entries is the reserved one", offset=place)
