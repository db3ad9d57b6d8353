"""The envelope that is written: every chunk comes back, those too that the library's encoder refuses."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest
from fastcrc import crc32
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pbix_mcp.formats.datamodel_roundtrip import decompress_datamodel
from xpress9 import Xpress9

from tabvault.errors import JobError
from tabvault.formats import xpress9, xpress9_writer
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.xpress9 import Envelope
from tabvault.formats.xpress9_writer import CHUNK_BYTE_COUNT, Session

ROWS = b"".join(b"%07d;Caf\xc3\xa9;%d\n" % (n, n % 7) for n in range(4000))
NOISE = random.Random(4).randbytes(1 << 15)
SESSION_FLAGS = 2 << 16 | 1 << 18
"""Four move-to-front entries, matches of four bytes and two, a window of 2**16: those of the library's encoder."""


def envelope(data: bytes) -> bytes:
    return b"".join(xpress9_writer.wrap([data]))


def unwrapped(stream: bytes) -> bytes:
    return b"".join(xpress9.unwrap(MemorySource(stream)))


def frames(stream: bytes) -> list[tuple[int, bytes]]:
    """Raw byte count and block of each frame."""
    found, offset = [], len(Envelope.SINGLE_SESSION.value)
    while offset < len(stream):
        raw, compressed = struct.unpack_from("<II", stream, offset)
        found.append((raw, stream[offset + 8 : offset + 8 + compressed]))
        offset += 8 + compressed
    return found


def test_a_literal_block_is_the_bits_that_the_codec_names() -> None:
    head = "0" + "10000" + "0" + 3 * "00000"  # no match before; four distances, the first of two bits
    lengths = "1000" + 27 * "0" + "1000" + "1000" + "1000" + "1000" + "0"  # 0 to 27: none; 28: 1; 29: none; 30: 1; ...
    tables = "100" + lengths + 256 * "1" + 28 * "0" + "000"
    codes = "".join(f"{byte:08b}" for byte in b"a\x80")
    bits = head + tables + codes
    body = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    table_bit_count = len(head + tables)
    expected = struct.pack(
        "<7I", 0x4E86D72A, 2, 256 + len(bits), SESSION_FLAGS | table_bit_count, 0, crc32.iscsi(b"a\x80"), 0
    )
    expected += struct.pack("<I", crc32.iscsi(expected)) + body
    assert envelope(b"a\x80") == Envelope.SINGLE_SESSION.value + struct.pack("<II", 2, len(expected)) + expected
    assert Xpress9().decompress(expected, 2) == b"a\x80"


@settings(deadline=None, max_examples=40)
@given(
    chunks=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=300),
            st.tuples(st.integers(0, len(ROWS) - 1), st.integers(1, 20_000)).map(lambda p: ROWS[p[0] :][: p[1]]),
            st.tuples(st.integers(0, 9000), st.integers(1, 20_000)).map(lambda p: NOISE[p[0] :][: p[1]]),
        ),
        min_size=1,
        max_size=8,
    )
)
@example(chunks=[NOISE])
@example(chunks=[NOISE, ROWS, NOISE, NOISE[::-1], ROWS])
@example(chunks=[ROWS, NOISE, ROWS[40_000:], b"x"])
def test_a_session_decodes_whichever_of_its_chunks_shrink(chunks: list[bytes]) -> None:
    session, decoder = Session(Xpress9()), Xpress9()
    for chunk in chunks:
        frame = session.frame(chunk)
        assert decoder.decompress(frame[8:], len(chunk)) == chunk


def test_what_is_packed_before_a_literal_block_is_still_referred_to_behind_it() -> None:
    noise, more = NOISE[:20_000], NOISE[::-1][:3000]
    session = Session(Xpress9())
    first, second, third = (session.frame(chunk) for chunk in (noise, more, noise))
    assert len(first) == 8 + 77 + len(noise)
    assert len(second) == 8 + 77 + len(more)
    assert len(third) < len(noise) / 10


def test_an_envelope_has_chunks_of_2_mib_in_one_session() -> None:
    data = ROWS * 50 + random.Random(9).randbytes(2 * CHUNK_BYTE_COUNT) + ROWS * 9
    stream = envelope(data)
    blocks = frames(stream)
    last = len(data) % CHUNK_BYTE_COUNT
    assert [raw for raw, _ in blocks] == [CHUNK_BYTE_COUNT] * (len(data) // CHUNK_BYTE_COUNT) + [last]
    words = [struct.unpack_from("<8I", block) for _, block in blocks]
    assert [word[6] for word in words] == list(range(len(blocks)))
    assert all(one[5] == other[5] for one, other in pairwise(words))
    assert any(len(block) > raw for raw, block in blocks)
    assert unwrapped(stream) == data
    assert decompress_datamodel(stream) == data


def test_the_same_bytes_give_the_same_envelope_however_they_come() -> None:
    data = ROWS * 30
    pieces = [memoryview(data)[at : at + 100_003] for at in range(0, len(data), 100_003)]
    assert b"".join(xpress9_writer.wrap(pieces)) == envelope(data)


def test_a_frame_is_given_out_before_the_next_chunk_is_asked_for() -> None:
    asked = []

    def pieces():
        for number in range(4):
            asked.append(number)
            yield bytes(CHUNK_BYTE_COUNT)

    stream = xpress9_writer.wrap(pieces())
    next(stream)
    for number in range(4):
        next(stream)
        assert asked == list(range(number + 1))
    assert list(stream) == []


class TestAnEncoderThatErrs:
    """Whatever the library does wrong, no stream comes of it."""

    def test_a_block_that_decodes_to_something_else_is_refused(self) -> None:
        class Other:
            def decompress(self, block: bytes, raw_byte_count: int, /) -> bytes:
                return Xpress9().decompress(block, raw_byte_count)[::-1]

        with pytest.raises(JobError, match="a block that does not decode: block 0"):
            list(xpress9_writer.wrap([ROWS], new_decoder=Other))

    def test_a_block_that_does_not_decode_is_refused(self) -> None:
        session = Session(Xpress9())
        session.frame(ROWS)
        session._decoder = Xpress9()  # has not seen the first block
        with pytest.raises(JobError, match="a block that does not decode: block 1"):
            session.frame(ROWS)
