"""
Plain LZ77, the compression inside an Xpress8 chunk, in Python.

It stands in for the class ``Xpress8`` of the library *xpress8* on a machine for which that library has no build: the
same two methods with the same errors, some hundred times slower.

The stream is a sequence of tokens in groups of 32, each group behind a word of 32 flags::

    u32            flags of the next 32 tokens, most significant bit first
    flag 0: u8     a literal byte
    flag 1: u16    a match: offset - 1 in the upper 13 bits, length - 3 in the lower 3, where 7 says "longer":
            [u4]     length - 10; 15 says "longer". The low half of a byte, and for the next match that needs one the
                     high half of that same byte
            [u8]     length - 25; 255 says "longer"
            [u16]    length - 3; 0 says "longer"
            [u32]    length - 3

A match copies *length* bytes from *offset* bytes back, one by one: it may copy what it has just written. The stream
ends where a match would begin and no byte is left; unused flags of the last word are 1.

One difference is known: of a damaged stream the library does not notice tokens after the last byte, which are refused
here. Neither gives other bytes than the other.

Source: [MS-XCA] 2.3 (compression) and 2.4 (decompression).
"""

from __future__ import annotations

MATCH_LENGTH_MIN = 3
MATCH_OFFSET_MAX = 1 << 13

_FLAG_COUNT = 32
_SHORT_LENGTH_LONGER = 7
_HALF_BYTE_LONGER = 15
_BYTE_LONGER = 255


class PlainLz77:
    """The codec; it keeps nothing between calls."""

    def compress(self, data: bytes | memoryview) -> bytes:
        """
        *data* compressed, each match the nearest earlier place with the same three bytes.

        Raises:
            ValueError: the result would not be smaller than *data*.
        """
        writer = _TokenWriter()
        raw = bytes(data)
        nearest: dict[bytes, int] = {}
        position = 0
        while position < len(raw):
            candidate = nearest.get(raw[position : position + MATCH_LENGTH_MIN])
            if candidate is None or position - candidate > MATCH_OFFSET_MAX:
                length = 1
                writer.literal(raw[position])
            else:
                length = _common_length(raw, candidate, position)
                writer.match(position - candidate, length)
            for passed in range(position, min(position + length, len(raw) - MATCH_LENGTH_MIN + 1)):
                nearest[raw[passed : passed + MATCH_LENGTH_MIN]] = passed
            position += length
        stream = writer.end()
        if len(stream) >= len(raw):
            raise ValueError(f"{len(raw)} bytes do not compress")
        return stream

    def decompress(self, data: bytes | memoryview, uncompressed_size: int) -> bytes:
        """
        The *uncompressed_size* bytes that *data* stand for.

        Raises:
            ValueError: they stand for another number of bytes, or for none at all.
        """
        reader = _TokenReader(bytes(data))
        raw = bytearray()
        while True:
            if not reader.next_is_match():
                raw += reader.take(1)
                continue
            if reader.at_end():
                break
            offset, length = reader.match()
            if offset > len(raw):
                raise ValueError(f"a match reaches {offset} bytes back and there are {len(raw)}")
            if length > uncompressed_size - len(raw):
                raise ValueError(f"a match of {length} bytes runs past {uncompressed_size} bytes")
            source = raw[-offset:]
            raw += (source * (length // offset + 1))[:length]
        if len(raw) != uncompressed_size:
            raise ValueError(f"the stream holds {len(raw)} bytes and not {uncompressed_size}")
        return bytes(raw)


def _common_length(raw: bytes, candidate: int, position: int) -> int:
    length = MATCH_LENGTH_MIN
    while position + length < len(raw) and raw[candidate + length] == raw[position + length]:
        length += 1
    return length


class _TokenWriter:
    """Lays tokens behind their words of flags."""

    def __init__(self) -> None:
        self._stream = bytearray(4)
        self._flags = 0
        self._flag_count = 0
        self._flags_at = 0
        self._half_byte_at: int | None = None

    def literal(self, value: int) -> None:
        self._stream.append(value)
        self._flag(0)

    def match(self, offset: int, length: int) -> None:
        rest = length - MATCH_LENGTH_MIN
        short = min(rest, _SHORT_LENGTH_LONGER)
        self._stream += ((offset - 1) << 3 | short).to_bytes(2, "little")
        if short == _SHORT_LENGTH_LONGER:
            self._longer(rest)
        self._flag(1)

    def _longer(self, rest: int) -> None:
        half = min(rest - _SHORT_LENGTH_LONGER, _HALF_BYTE_LONGER)
        if self._half_byte_at is None:
            self._half_byte_at = len(self._stream)
            self._stream.append(half)
        else:
            self._stream[self._half_byte_at] |= half << 4
            self._half_byte_at = None
        if half == _HALF_BYTE_LONGER:
            over = rest - _SHORT_LENGTH_LONGER - _HALF_BYTE_LONGER
            if over < _BYTE_LONGER:
                self._stream.append(over)
            elif rest < 1 << 16:
                self._stream += bytes([_BYTE_LONGER]) + rest.to_bytes(2, "little")
            else:
                self._stream += bytes([_BYTE_LONGER, 0, 0]) + rest.to_bytes(4, "little")

    def _flag(self, flag: int) -> None:
        self._flags = self._flags << 1 | flag
        self._flag_count += 1
        if self._flag_count == _FLAG_COUNT:
            self._put_flags()
            self._flags_at = len(self._stream)
            self._stream += bytes(4)
            self._flags = self._flag_count = 0

    def _put_flags(self) -> None:
        self._stream[self._flags_at : self._flags_at + 4] = self._flags.to_bytes(4, "little")

    def end(self) -> bytes:
        unused = _FLAG_COUNT - self._flag_count
        self._flags = self._flags << unused | ((1 << unused) - 1)
        self._put_flags()
        return bytes(self._stream)


class _TokenReader:
    """Takes tokens from behind their words of flags."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self._position = 0
        self._flags = 0
        self._flag_count = 0
        self._half_byte: int | None = None

    def at_end(self) -> bool:
        return self._position == len(self._stream)

    def take(self, byte_count: int) -> bytes:
        stop = self._position + byte_count
        if stop > len(self._stream):
            raise ValueError(f"the stream ends at byte {len(self._stream)}, inside a token")
        taken = self._stream[self._position : stop]
        self._position = stop
        return taken

    def number(self, byte_count: int) -> int:
        return int.from_bytes(self.take(byte_count), "little")

    def next_is_match(self) -> bool:
        if self._flag_count == 0:
            self._flags = self.number(4)
            self._flag_count = _FLAG_COUNT
        self._flag_count -= 1
        return bool(self._flags >> self._flag_count & 1)

    def match(self) -> tuple[int, int]:
        """Offset and length, both in bytes."""
        token = self.number(2)
        rest = token & _SHORT_LENGTH_LONGER
        if rest == _SHORT_LENGTH_LONGER:
            rest = self._longer()
        return (token >> 3) + 1, rest + MATCH_LENGTH_MIN

    def _longer(self) -> int:
        if self._half_byte is None:
            byte = self.number(1)
            half, self._half_byte = byte & 15, byte >> 4
        else:
            half, self._half_byte = self._half_byte, None
        if half < _HALF_BYTE_LONGER:
            return _SHORT_LENGTH_LONGER + half
        over = self.number(1)
        if over < _BYTE_LONGER:
            return _SHORT_LENGTH_LONGER + _HALF_BYTE_LONGER + over
        rest = self.number(2) or self.number(4)
        if rest < _SHORT_LENGTH_LONGER + _HALF_BYTE_LONGER:
            raise ValueError(f"a long match has the length {rest + MATCH_LENGTH_MIN}, for which a shorter form exists")
        return rest
