"""
Writing the XPress9 envelope of a single session around a container.

The layout is that of :mod:`tabvault.formats.xpress9`. The encoder is the library's. It searches matches through 64 KiB
where the engine's does through 4 MiB, so what it makes is larger than what the engine makes; and it gives nothing out
for a chunk that does not become smaller. Such a chunk becomes a *literal block* of our own making, whose length is
that of the chunk and 77 bytes::

    offset | size | field
    0      | 32   | block header, as every block has it
    32     | 21+p | bits: last symbol was no match (1), then four distances of the move-to-front table: five bits the
           |      | log2 of each, so many bits the rest of it. They are not used; the first takes the p bits that make
           |      | the codes begin at a byte
    ...    | 338  | bits: Huffman tables, see :func:`_literal_tables`
    77     | n    | each byte of the chunk as its code: its own eight bits, the highest first

A literal block leaves the encoder's session whole: the next block says the state of the move-to-front table in its
own head, and the encoder has the chunk in its window as a decoder then has.

The session signature, which the library draws at random, is replaced by the CRC-32C of the first chunk: the same
container gives the same envelope.

Source: genuine files for the chunks (2,097,152 raw bytes, less in the last). The bits of a block are those of the
codec's published sources (Microsoft Extensible-Storage-Engine, ``_xpress9``). No genuine file with a chunk that does
not shrink was at hand; that every decoder takes a literal block follows from those sources alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastcrc import crc32 as fastcrc_crc32
from xpress9 import Xpress9

from tabvault.errors import JobError
from tabvault.formats.xpress9 import BLOCK_HEADER, FRAME_HEADER, MAGIC, TABLE_BITS_MASK, Envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tabvault.formats.xpress9 import BlockDecoder

CHUNK_BYTE_COUNT: Final = 2_097_152
"""Raw bytes of every chunk but the last, as in genuine files."""

_CRC: Final = fastcrc_crc32.iscsi
_BITS_OF_BYTE_REVERSED: Final = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_CRC_BYTE_COUNT: Final = 4


def wrap(pieces: Iterable[bytes | memoryview], *, new_decoder: Callable[[], BlockDecoder] = Xpress9) -> Iterator[bytes]:
    """
    The envelope around a container, a frame at a time.

    One encoder, one decoder and two chunks are in memory. Every frame is decoded again before it is given out: an
    envelope has no checksum by which anybody could find later what an encoder did wrong.

    Args:
        pieces: the bytes of the container in order, in pieces of any length, and at least one byte.
        new_decoder: see :func:`tabvault.formats.xpress9.unwrap`.

    Raises:
        JobError: the library made a block that does not decode to what went in.
    """
    yield Envelope.SINGLE_SESSION.value
    session = Session(new_decoder())
    for chunk in _chunks(pieces):
        yield session.frame(chunk)
    assert session.block_count, "an envelope holds at least one frame"


def _chunks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK_BYTE_COUNT:
            yield bytes(memoryview(waiting)[:CHUNK_BYTE_COUNT])
            del waiting[:CHUNK_BYTE_COUNT]
    if waiting:
        yield bytes(waiting)


class Session:
    """
    An encoder whose blocks refer back to each other, and a decoder that follows it.

    Attributes:
        block_count: how many blocks there are by now.
    """

    def __init__(self, decoder: BlockDecoder) -> None:
        self._encoder = Xpress9()
        self._decoder = decoder
        self._signature = 0
        self.block_count = 0

    def frame(self, chunk: bytes) -> bytes:
        """
        The frame of the next chunk.

        Raises:
            JobError: the library made a block that does not decode to *chunk*. The session is of no more use.
        """
        if not self.block_count:
            self._signature = _CRC(chunk)
        try:
            # A block of random bytes is larger than they are, and the library looks at its length when it is done.
            block = self._encoder.compress(chunk, 2 * len(chunk) + (1 << 16))
        except ValueError:
            block = _literal_block(chunk)
        block = self._signed(block)
        self._check(block, chunk)
        self.block_count += 1
        return FRAME_HEADER.pack(len(chunk), len(block)) + block

    def _signed(self, block: bytes) -> bytes:
        magic, raw_byte_count, bit_count, flags, zero, *_ = BLOCK_HEADER.unpack_from(block)
        head = BLOCK_HEADER.pack(magic, raw_byte_count, bit_count, flags, zero, self._signature, self.block_count, 0)
        head = head[:-_CRC_BYTE_COUNT]
        return b"".join((head, _CRC(head).to_bytes(_CRC_BYTE_COUNT, "little"), memoryview(block)[BLOCK_HEADER.size :]))

    def _check(self, block: bytes, chunk: bytes) -> None:
        try:
            decoded = self._decoder.decompress(block, len(chunk))
        except ValueError:
            decoded = b""
        if decoded != chunk:
            raise JobError(f"the library xpress9 made a block that does not decode: block {self.block_count}")


def _literal_block(chunk: bytes) -> bytes:
    """A block of the library's sessions in which every byte stands for itself; signature, index and CRC are zero."""
    bits = _Bits()
    tables = _literal_tables()
    bits.put(0, bit_count=1)
    padding_bit_count = -(1 + 4 * 5 + tables.bit_count) % 8
    bits.put(padding_bit_count, bit_count=5)
    bits.put(0, bit_count=padding_bit_count + 3 * 5)
    bits.put(tables.value, bit_count=tables.bit_count)
    body = bits.value.to_bytes(bits.bit_count // 8, "little") + chunk.translate(_BITS_OF_BYTE_REVERSED)
    bit_count = 8 * (BLOCK_HEADER.size + len(body))
    return BLOCK_HEADER.pack(MAGIC, len(chunk), bit_count, _session_flags() | bits.bit_count, 0, 0, 0, 0) + body


def _session_flags() -> int:
    """Flags of the library's sessions: nobody but a block of its own says which."""
    (_, _, _, flags, *_) = BLOCK_HEADER.unpack_from(Xpress9().compress(bytes(1 << 12), 1 << 12))
    return int(flags) & ~TABLE_BITS_MASK


class _Bits:
    """Bits one behind the other, the lowest of each number first."""

    def __init__(self) -> None:
        self.value = 0
        self.bit_count = 0

    def put(self, value: int, *, bit_count: int) -> None:
        self.value |= value << self.bit_count
        self.bit_count += bit_count


_LENGTH_SYMBOL_COUNT: Final = 33
"""Symbols that describe a table of code lengths: the lengths 0 to 27, then the five that follow."""
_FILL: Final = 28
"""No codes for the rest of a row of 16 symbols."""
_PREVIOUS: Final = 30
"""The code length of the symbol before; 8 before the first."""
_POINTER_ROW_COUNT: Final = 28
"""Rows behind the 256 bytes: 24 logarithms of distances and 4 entries of the move-to-front table."""


def _literal_tables() -> _Bits:
    """
    Huffman tables that give each byte value a code of eight bits, and matches none.

    A table begins with three bits: 1 for code lengths, 0 for codes of about equal length. The code lengths are
    themselves in a Huffman code, whose own lengths come first: a bit 0 for "as before" (4 before the first), or a bit 1
    and three bits of the length, less one where it is greater than the one before. Of its symbols two have codes, of
    one bit each, the lower symbol 0. The second table, of long match lengths, is of the equal kind and never used.
    """
    bits = _Bits()
    bits.put(1, bit_count=3)
    before = 4
    for symbol in range(_LENGTH_SYMBOL_COUNT):
        length = int(symbol in (_FILL, _PREVIOUS))
        if length == before:
            bits.put(0, bit_count=1)
        else:
            bits.put(1, bit_count=1)
            bits.put(length - (length > before), bit_count=3)
        before = length
    bits.put((1 << 256) - 1, bit_count=256)  # each byte value: _PREVIOUS
    bits.put(0, bit_count=_POINTER_ROW_COUNT)  # each row behind them: _FILL
    bits.put(0, bit_count=3)
    return bits
