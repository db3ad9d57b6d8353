from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from fastcrc import crc32 as fastcrc_crc32
from hypothesis import given, settings
from hypothesis import strategies as st
from pbixray.loader import DataModelLoader
from xpress9 import Xpress9

from tabvault.errors import ChecksumError, FormatError, LimitError, TabvaultError, TruncatedError
from tabvault.formats import xpress9
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.xpress9 import Envelope
from tabvault.testing.xpress9_streams import single_session, thread_groups

if TYPE_CHECKING:
    from pathlib import Path

ROWS = b"".join(b"row %d of the table; " % (number * 7919 % 1000) for number in range(1000))
FIRST_FRAME = 102


def unwrapped(data: bytes) -> bytes:
    return b"".join(xpress9.unwrap(MemorySource(data)))


def wrapped_bytes(path: Path) -> bytes:
    """What a genuine file holds: the member of a package, or the file itself."""
    if path.suffix != ".pbix":
        return path.read_bytes()
    with zipfile.ZipFile(path) as package:
        return package.read("DataModel")


def with_block_header(stream: bytes, *, at: int = FIRST_FRAME, **words: int) -> bytes:
    """*stream* with words of the block header at frame *at* replaced, its checksum made to match."""
    names = ("magic", "raw_byte_count", "bit_count", "flags", "zero", "signature", "block_index")
    block = at + 8
    header = dict(zip(names, struct.unpack_from("<7I", stream, block), strict=True)) | words
    packed = struct.pack("<7I", *header.values())
    return stream[:block] + packed + struct.pack("<I", fastcrc_crc32.iscsi(packed)) + stream[block + 32 :]


def flags(stream: bytes) -> int:
    return struct.unpack_from("<I", stream, FIRST_FRAME + 8 + 12)[0]


class TestEnvelope:
    def test_the_three_signatures_are_told_apart(self):
        single = "This backup was created using XPress9 compression.".encode("utf-16-le") + b"\0\0"
        groups = "This backup was created using multithreaded XPrs9.".encode("utf-16-le") + b"\0\0"
        plain = b"\xff\xfe" + "STREAM_STORAGE_SIGNATURE_)!@#$%^&*(<BackupLog>".encode("utf-16-le")
        assert xpress9.envelope_of(single) is Envelope.SINGLE_SESSION
        assert xpress9.envelope_of(groups) is Envelope.THREAD_GROUPS
        assert xpress9.envelope_of(memoryview(plain)) is Envelope.NONE

    @pytest.mark.parametrize("envelope", Envelope)
    def test_a_signature_cut_short_is_no_backup(self, envelope):
        assert xpress9.envelope_of(envelope.value) is envelope
        assert xpress9.envelope_of(envelope.value[:-1]) is None

    def test_the_signatures_of_envelopes_are_102_bytes(self):
        assert {len(Envelope.SINGLE_SESSION.value), len(Envelope.THREAD_GROUPS.value)} == {xpress9.SIGNATURE_BYTE_COUNT}

    @pytest.mark.parametrize("data", [b"", b"PK\x03\x04" + bytes(200)])
    def test_what_is_no_backup_is_refused(self, data):
        with pytest.raises(FormatError, match="not that of a backup"):
            unwrapped(data)


class TestGolden:
    def test_genuine_files_unwrap_to_what_another_reader_finds(self, sample):
        data = wrapped_bytes(sample)
        truth = bytes(DataModelLoader(str(sample)).data_model.decompressed_data)
        assert unwrapped(data) == truth
        assert xpress9.raw_byte_count(MemorySource(data)) == len(truth)

    def test_a_genuine_block_header_is_read_as_documented(self, sample):
        """Every word of every genuine block header, and that nothing follows the last frame."""
        data = wrapped_bytes(sample)
        if xpress9.envelope_of(data) is Envelope.NONE:
            return
        offset, block_index = FIRST_FRAME, 0
        while offset < len(data):
            raw, compressed, magic, orig, bits, flag_word, zero, _, index, crc = struct.unpack_from(
                "<10I", data, offset
            )
            assert (magic, orig, zero, index) == (0x4E86D72A, raw, 0, block_index)
            assert (bits + 7) // 8 == compressed
            assert flag_word >> 13 == 22 - 16 | 2 << 3 | 1 << 5  # window, move-to-front entries, match of 4
            assert crc == fastcrc_crc32.iscsi(data[offset + 8 : offset + 36])
            offset += 8 + compressed
            block_index += 1
        assert offset == len(data)


class TestRoundTrip:
    @given(st.integers(1, 4), st.integers(1_000, 9_000))
    @settings(deadline=None, max_examples=40)
    def test_a_single_session_comes_back(self, chunk_count, chunk_byte_count):
        data = (ROWS * 2)[: chunk_count * chunk_byte_count]
        stream = single_session(data, chunk_byte_count=chunk_byte_count)
        assert unwrapped(stream) == data
        assert xpress9.raw_byte_count(MemorySource(stream)) == len(data)

    @pytest.mark.parametrize("thread_count", [1, 2, 3, 5, 7])
    def test_thread_groups_come_back_and_each_is_a_session(self, thread_count):
        stream = thread_groups(ROWS, thread_count=thread_count, chunk_byte_count=3000)
        decoders = []

        def new_decoder() -> Xpress9:
            decoders.append(Xpress9())
            return decoders[-1]

        assert b"".join(xpress9.unwrap(MemorySource(stream), new_decoder=new_decoder)) == ROWS
        assert len(decoders) == thread_count
        assert xpress9.raw_byte_count(MemorySource(stream)) == len(ROWS)

    def test_the_counts_of_thread_groups_stand_in_their_odd_order(self):
        """Seven chunks for three threads: one prefix thread takes three, two main threads take two."""
        stream = thread_groups(ROWS[:21_000], thread_count=3, chunk_byte_count=3000)
        assert struct.unpack_from("<5Q", stream, 102) == (2, 3, 1, 2, 3000)

    def test_blocks_refer_back_across_frames(self):
        """The second frame repeats the first: a session that forgot it could not be so small."""
        noise = random.Random(9).randbytes(20_000).hex().encode()
        stream = single_session(noise * 2, chunk_byte_count=len(noise))
        assert len(stream) < len(single_session(noise)) * 1.3
        assert unwrapped(stream) == noise * 2

    def test_a_container_without_envelope_passes_through(self):
        data = Envelope.NONE.value + bytes(3_000_000)
        assert unwrapped(data) == data
        assert xpress9.raw_byte_count(MemorySource(data)) == len(data)

    def test_memory_stays_bounded(self):
        raw_byte_count = 64 << 20
        stream = single_session(ROWS * (raw_byte_count // len(ROWS)))
        tracemalloc.start()
        try:
            total = sum(len(piece) for piece in xpress9.unwrap(MemorySource(stream)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert total > raw_byte_count - len(ROWS)
        assert peak < 8 << 20


class TestEnd:
    STREAM = single_session(ROWS, chunk_byte_count=8000)

    def test_a_frame_header_of_zeros_ends_the_stream(self):
        assert unwrapped(self.STREAM + bytes(8)) == ROWS
        assert unwrapped(self.STREAM + bytes(5000)) == ROWS

    def test_zeros_may_follow_the_last_group(self):
        assert unwrapped(thread_groups(ROWS, thread_count=2, chunk_byte_count=8000) + bytes(13)) == ROWS

    @pytest.mark.parametrize("tail", [bytes(8) + b"\1", bytes(2_000_000) + b"\1"])
    def test_other_bytes_behind_the_end_are_refused(self, tail):
        with pytest.raises(FormatError, match="follow the last frame"):
            unwrapped(self.STREAM + tail)

    def test_other_bytes_behind_the_last_group_are_refused(self):
        with pytest.raises(FormatError, match="follow the last frame"):
            unwrapped(thread_groups(ROWS, thread_count=2, chunk_byte_count=8000) + b"\1")

    @pytest.mark.parametrize("tail", [b"", bytes(8)])
    def test_an_envelope_without_frames_is_refused(self, tail):
        with pytest.raises(TruncatedError, match="holds no frame"):
            unwrapped(Envelope.SINGLE_SESSION.value + tail)


class TestDamage:
    STREAM = single_session(ROWS, chunk_byte_count=8000)
    GROUPS = thread_groups(ROWS, thread_count=2, chunk_byte_count=8000)

    @pytest.mark.parametrize("stream", [STREAM, GROUPS])
    def test_no_prefix_gives_other_bytes(self, stream):
        """Only a cut between two frames of a single session goes unnoticed here: the envelope has no end mark."""
        unnoticed = 0
        for length in range(len(stream)):
            try:
                found = unwrapped(stream[:length])
            except TabvaultError:
                continue
            assert stream is self.STREAM
            assert ROWS.startswith(found)
            unnoticed += 1
        assert unnoticed == (len(ROWS) // 8000 if stream is self.STREAM else 0)

    def test_every_flipped_bit_of_a_header_is_refused(self):
        for bit in range(8 * 40):
            damaged = bytearray(self.STREAM)
            damaged[FIRST_FRAME + bit // 8] ^= 1 << bit % 8
            with pytest.raises(FormatError):
                unwrapped(bytes(damaged))

    def test_a_block_header_with_a_wrong_checksum_is_refused(self):
        damaged = bytearray(self.STREAM)
        damaged[FIRST_FRAME + 8 + 20] ^= 1
        with pytest.raises(ChecksumError, match="CRC-32C of a block header"):
            unwrapped(bytes(damaged))

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"magic": 1}, "magic of a block is 0x00000001"),
            ({"raw_byte_count": 7999}, "raw byte count of a block is 7999, not 8000"),
            ({"bit_count": 256}, "byte count of the encoded bits is 32, not"),
            ({"zero": 1}, "reserved word of a block is 1"),
            ({"block_index": 1}, "block index is 1, not 0"),
            ({"flags": flags(STREAM) | 1 << 20}, "reserved part of the flags is 1"),
            ({"flags": flags(STREAM) | 3 << 16}, "move-to-front"),
            ({"flags": flags(STREAM) ^ 1}, "does not decompress to 8000 bytes"),
        ],
    )
    def test_a_block_header_that_lies_with_a_right_checksum_is_refused(self, words, message):
        with pytest.raises(FormatError, match=message):
            unwrapped(with_block_header(self.STREAM, **words))

    def test_a_window_over_that_of_the_decoder_is_refused(self):
        """The library takes such a block, shifts its window by a negative amount and does not come back."""
        with pytest.raises(LimitError, match=r"2\*\*23, over 2\*\*22"):
            unwrapped(with_block_header(self.STREAM, flags=flags(self.STREAM) | 7 << 13))

    @pytest.mark.parametrize("words", [{"signature": 5}, {"flags": flags(STREAM) ^ 1 << 14}])
    def test_a_block_of_another_session_is_refused(self, words):
        second = FIRST_FRAME + 8 + struct.unpack_from("<I", self.STREAM, FIRST_FRAME + 4)[0]
        with pytest.raises(FormatError, match="signature and flags of the session"):
            unwrapped(with_block_header(self.STREAM, at=second, **words))

    @pytest.mark.parametrize("frame", [(0, 100), (8000, 0), (8000, 32)])
    def test_an_empty_frame_is_refused(self, frame):
        with pytest.raises(FormatError, match="byte count of a frame is"):
            unwrapped(Envelope.SINGLE_SESSION.value + struct.pack("<II", *frame) + bytes(100))

    @pytest.mark.parametrize("frame", [(2**32 - 1, 100), (100, 2**32 - 1), ((16 << 20) + 1, 100)])
    def test_a_frame_over_the_limit_is_refused_before_anything_is_read(self, frame):
        stream = Envelope.SINGLE_SESSION.value + struct.pack("<II", *frame) + bytes(100)
        with pytest.raises(LimitError, match="byte count of a frame"):
            unwrapped(stream)
        with pytest.raises(LimitError, match="byte count of a frame"):
            xpress9.raw_byte_count(MemorySource(stream))

    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize("count", [2**60, 2**64 - 1, 1000])
    def test_hostile_counts_of_thread_groups_are_refused(self, place, count):
        counts = [1, 1, 1, 1, 8000]
        counts[place] = count
        stream = Envelope.THREAD_GROUPS.value + struct.pack("<5Q", *counts) + bytes(1000)
        with pytest.raises(LimitError, match="and there is room for 24"):
            unwrapped(stream)

    @pytest.mark.parametrize("counts", [(0, 0, 2**60, 2**60), (2**60, 2**60, 0, 0), (0, 2**60, 0, 2**60)])
    def test_thread_groups_without_frames_are_refused_at_once(self, counts):
        stream = Envelope.THREAD_GROUPS.value + struct.pack("<5Q", *counts, 8000) + bytes(1000)
        with pytest.raises(TruncatedError, match="holds no frame"):
            unwrapped(stream)

    def test_more_groups_than_there_are_frames_are_refused(self):
        counts = struct.unpack_from("<5Q", self.GROUPS, 102)
        damaged = self.GROUPS[:102] + struct.pack("<5Q", *counts[:3], counts[3] + 1, counts[4]) + self.GROUPS[142:]
        with pytest.raises(TruncatedError):
            unwrapped(damaged)

    def test_groups_shared_out_otherwise_are_refused(self):
        """Two groups of two read as one of four: the third block says that it is the first."""
        stream = thread_groups(ROWS[:16_000], thread_count=2, chunk_byte_count=4000)
        assert struct.unpack_from("<5Q", stream, 102) == (2, 3, 0, 2, 4000)
        damaged = stream[:102] + struct.pack("<5Q", 4, 0, 0, 1, 4000) + stream[142:]
        with pytest.raises(FormatError, match=r"signature and flags|block index is 0, not 2"):
            unwrapped(damaged)
