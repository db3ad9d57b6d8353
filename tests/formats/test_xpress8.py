from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xpress8 import Xpress8

from conftest import sample_path
from tabvault.errors import FormatError, TabvaultError, TruncatedError
from tabvault.formats import xpress8
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.lz77_plain import PlainLz77

COMPRESSED_SAMPLES = {
    "Hugoberry__DataModel.abf": None,
    "Hugoberry__old-Customer-Profitability-Sample-PBIX.pbix": "DataModel",
    "Hugoberry__old-schema17-DataTable.pbix": "DataModel",
    "Hugoberry__Supplier_Quality_Analysis_Sample-no-PV.xlsx": "xl/model/item.data",
    "Hugoberry__null_data_id.xlsx": "xl/model/item.data",
    "microsoft__IT_Spend_Analysis_Sample-no-PV.xlsx": "xl/model/item.data",
}

# The plain LZ77 examples of [MS-XCA], raw and compressed.
ALPHABET = (b"abcdefghijklmnopqrstuvwxyz", bytes.fromhex("3f000000") + b"abcdefghijklmnopqrstuvwxyz")
ABC_100 = (b"abc" * 100, bytes.fromhex("ffffff1f 61 62 63 1700 0f ff 2601"))


class Stored(NamedTuple):
    body: bytes
    raw_byte_count: int


def text(data: bytes) -> str:
    return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-8")


def stored_files(name: str) -> dict[str, Stored]:
    """Bodies of a genuine container by logged path, its XML read by patterns and not by the product."""
    member = COMPRESSED_SAMPLES.get(name)
    path = sample_path(name)
    if member is None:
        container = path.read_bytes()
    else:
        with zipfile.ZipFile(path) as package:
            container = package.read(member)
    header = container[72:4096].decode("utf-16-le")
    (at,), (byte_count,) = re.findall(r"OffsetHeader>(\d+)<", header), re.findall(r"DataSize>(\d+)<", header)
    directory = text(container[int(at) : int(at) + int(byte_count)])
    crc_byte_count = 4 if "<ErrorCode>true<" in header else 0
    places = {
        key: container[int(start) : int(start) + int(size) - crc_byte_count]
        for key, size, start in re.findall(r"<Path>(.*?)</Path><Size>(\d+)</Size><m_cbOffsetHeader>(\d+)<", directory)
    }
    log = places["LOG"].decode("utf-16")
    return {
        re.sub(r".*[\\/]", "", logged): Stored(places[key], int(size))
        for logged, key, size in re.findall(
            r"<Path>([^<]*)</Path><StoragePath>([^<]*)</StoragePath>.*?<Size>(\d+)</Size>", log
        )
    }


def decompressed(stored: Stored) -> bytes:
    return b"".join(xpress8.decompress(MemorySource(stored.body), raw_byte_count=stored.raw_byte_count))


def compressed(*pieces: bytes | memoryview) -> bytes:
    return b"".join(xpress8.compress(pieces))


def chunks(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        raw_len, comp_len = struct.unpack_from("<HH", body)
        found.append((raw_len, body[4 : 4 + comp_len]))
        body = body[4 + comp_len :]
    return found


@pytest.fixture(scope="module")
def genuine_chunks() -> list[tuple[int, bytes]]:
    """Raw length and payload of every chunk of a genuine container that is not stored verbatim."""
    files = stored_files("Hugoberry__old-schema17-DataTable.pbix").values()
    return [chunk for stored in files for chunk in chunks(stored.body) if len(chunk[1]) < chunk[0]]


class TestByHand:
    @pytest.mark.parametrize(("raw", "payload"), [ABC_100])
    def test_an_example_of_the_specification_is_read(self, raw, payload):
        body = struct.pack("<HH", len(raw), len(payload)) + payload
        assert decompressed(Stored(body, len(raw))) == raw

    def test_a_payload_as_long_as_the_raw_bytes_is_the_raw_bytes(self):
        assert decompressed(Stored(b"\x03\x00\x03\x00xyz", 3)) == b"xyz"

    def test_what_does_not_get_smaller_is_stored_verbatim(self):
        assert compressed(ALPHABET[0]) == b"\x1a\x00\x1a\x00" + ALPHABET[0]

    def test_no_bytes_have_an_empty_body(self):
        assert compressed() == compressed(b"", b"") == b""
        assert decompressed(Stored(b"", 0)) == b""

    def test_chunks_are_cut_every_4096_raw_bytes(self):
        body = compressed(b"a" * 10_000)
        assert [raw_len for raw_len, _ in chunks(body)] == [4096, 4096, 1808]


class TestGolden:
    def test_a_compressed_backup_holds_the_files_of_its_uncompressed_twin(self):
        """The same model, saved by the engine once with and once without compression."""
        twin = stored_files("Hugoberry__DataModel_uncompressed.abf")
        files = stored_files("Hugoberry__DataModel.abf")
        shared = files.keys() & twin.keys()
        differing = {name for name in shared if decompressed(files[name]) != twin[name].body}
        assert len(shared) > 300
        # Made anew with every save: the key, and the times within the metadata.
        assert {re.sub(r"^\d+\.", "", name) for name in differing} == {"CryptKey.bin", "metadata.sqlitedb"}

    def test_nearly_every_file_is_compressed_to_the_very_bytes_of_the_engine(self):
        bodies = [stored for name in COMPRESSED_SAMPLES for stored in stored_files(name).values()]
        differing = []
        for stored in bodies:
            raw = decompressed(stored)
            anew = compressed(raw)
            assert decompressed(Stored(anew, len(raw))) == raw
            if anew != stored.body:
                differing.append((len(anew), len(stored.body)))
        assert len(bodies) > 1000
        assert len(differing) < len(bodies) / 100
        assert all(abs(ours - theirs) <= theirs / 100 for ours, theirs in differing)

    @pytest.mark.parametrize("name", COMPRESSED_SAMPLES)
    def test_genuine_chunks_are_full_but_the_last(self, name):
        for stored in stored_files(name).values():
            lengths = [raw_len for raw_len, _ in chunks(stored.body)]
            assert set(lengths[:-1]) <= {xpress8.CHUNK_BYTE_COUNT}
            assert sum(lengths) == stored.raw_byte_count


class TestRoundTrip:
    @given(st.lists(st.binary(max_size=40) | st.sampled_from([b"ab" * 2047, bytes(4096), b"x" * 9000]), max_size=12))
    @settings(deadline=None)
    def test_pieces_of_any_length_come_back(self, pieces):
        raw = b"".join(pieces)
        body = compressed(*pieces)
        assert body == compressed(memoryview(raw))
        assert decompressed(Stored(body, len(raw))) == raw

    def test_the_source_is_read_once_and_in_order(self):
        """A checksum can be computed on the way: no byte is asked for twice, and none is left out."""
        raw = random.Random(1).randbytes(3_000_000)
        source = OrderedSource(compressed(raw))
        assert b"".join(xpress8.decompress(source, raw_byte_count=len(raw))) == raw
        assert source.position == source.byte_count

    def test_memory_stays_bounded_however_well_a_file_compresses(self):
        raw_byte_count = 48 << 20
        body = compressed(*[bytes(1 << 20)] * (raw_byte_count >> 20))
        tracemalloc.start()
        try:
            batches = [len(batch) for batch in xpress8.decompress(MemorySource(body), raw_byte_count=raw_byte_count)]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sum(batches) == raw_byte_count
        assert peak < 8 << 20


class OrderedSource:
    """Bytes that may be read in one way only: from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def byte_count(self) -> int:
        return len(self._data)

    def read_at(self, offset: int, byte_count: int) -> bytes:
        assert offset == self.position
        self.position += byte_count
        return self._data[offset : self.position]


class TestDamage:
    RAW = b"".join(b"row %d of the table; " % (number * 7919 % 1000) for number in range(500))

    def test_every_prefix_is_refused(self):
        body = compressed(self.RAW)
        for length in range(len(body)):
            with pytest.raises(TruncatedError):
                decompressed(Stored(body[:length], len(self.RAW)))

    def test_a_cut_chunk_is_named_by_its_file_and_offset(self):
        body = compressed(self.RAW)
        last = len(body) - len(chunks(body)[-1][1]) - 4
        with pytest.raises(TruncatedError, match="a chunk is cut off after") as caught:
            list(xpress8.decompress(MemorySource(body[:-1]), file="x.idf", raw_byte_count=len(self.RAW)))
        assert (caught.value.file, caught.value.offset) == ("x.idf", last)

    @pytest.mark.parametrize("header", [(0, 0), (5, 0), (0, 5), (5, 6), (4097, 4), (65535, 65535)])
    def test_lengths_that_contradict_each_other_are_refused(self, header):
        with pytest.raises(FormatError, match="1 <= comp_len <= raw_len <= 4096"):
            decompressed(Stored(struct.pack("<HH", *header) + bytes(70_000), header[0]))

    def test_more_raw_bytes_than_the_log_promises_are_refused(self):
        body = compressed(self.RAW)
        with pytest.raises(FormatError, match="more than the 10000 bytes"):
            decompressed(Stored(body, 10_000))

    def test_fewer_raw_bytes_than_the_log_promises_are_refused(self):
        with pytest.raises(TruncatedError, match="and not the"):
            decompressed(Stored(compressed(self.RAW), len(self.RAW) + 1))

    def test_a_whole_chunk_too_many_is_refused(self):
        body = compressed(self.RAW)
        with pytest.raises(FormatError, match="more than the"):
            decompressed(Stored(body + compressed(b"more"), len(self.RAW)))

    def test_a_payload_that_does_not_decompress_is_named_by_its_offset(self):
        body = b"\x04\x00\x04\x00good" + b"\x10\x00\x08\x00" + b"\xff" * 8
        with pytest.raises(FormatError, match="does not decompress to 16") as caught:
            decompressed(Stored(body, 20))
        assert caught.value.offset == 8

    def test_flipped_bits_give_an_error_or_as_many_bytes_as_promised(self):
        body = compressed(self.RAW)
        rng = random.Random(8)
        refused = 0
        for _ in range(2000):
            damaged = bytearray(body)
            damaged[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
            try:
                assert len(decompressed(Stored(bytes(damaged), len(self.RAW)))) == len(self.RAW)
            except TabvaultError:
                refused += 1
        assert 0 < refused < 2000


class TestFallback:
    """The codec in Python does what the library does."""

    @pytest.mark.parametrize(("raw", "payload"), [ALPHABET, ABC_100])
    def test_the_examples_of_the_specification_are_read(self, raw, payload):
        assert PlainLz77().decompress(payload, len(raw)) == raw

    def test_the_example_of_the_specification_is_written(self):
        assert PlainLz77().compress(ABC_100[0]) == ABC_100[1]

    def test_genuine_chunks_read_alike(self, genuine_chunks):
        assert len(genuine_chunks) > 100
        for raw_len, payload in genuine_chunks:
            assert PlainLz77().decompress(payload, raw_len) == Xpress8().decompress(payload, raw_len)

    def test_the_library_reads_what_it_writes(self, genuine_chunks):
        for raw_len, payload in genuine_chunks[:100]:
            raw = Xpress8().decompress(payload, raw_len)
            ours = PlainLz77().compress(raw)
            assert Xpress8().decompress(ours, raw_len) == raw
            assert len(ours) < raw_len

    @given(st.integers(1, 3), st.binary(min_size=1, max_size=60), st.integers(1, 1000))
    @settings(deadline=None)
    def test_long_matches_come_back(self, lead, unit, count):
        raw = unit[:lead] + unit * count
        try:
            ours = PlainLz77().compress(raw)
        except ValueError:
            assert len(raw) < 100
            return
        assert PlainLz77().decompress(ours, len(raw)) == raw

    def test_a_match_of_more_than_65535_bytes_comes_back(self):
        ours = PlainLz77().compress(b"a" * 200_000)
        assert PlainLz77().decompress(ours, 200_000) == b"a" * 200_000
        assert ours[-7:] == bytes.fromhex("ff0000") + (200_000 - 1 - 3).to_bytes(4, "little")

    def test_a_long_form_for_a_short_length_is_refused(self):
        payload = bytes.fromhex("ffffff7f 61 0700 0f ff 1500")
        with pytest.raises(ValueError, match="shorter form"):
            PlainLz77().decompress(payload, 25)

    def test_damaged_chunks_never_read_differently(self, genuine_chunks):
        """Where both give bytes they are the same; the library alone overlooks tokens behind the last byte."""
        rng = random.Random(6)
        native, ours = Xpress8(), PlainLz77()
        both, neither, native_only = 0, 0, 0
        for _ in range(1500):
            raw_len, payload = rng.choice(genuine_chunks)
            damaged = bytearray(payload)
            damaged[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
            expected = outcome(native, bytes(damaged), raw_len)
            found = outcome(ours, bytes(damaged), raw_len)
            assert found in {expected, None}
            both += found is not None
            neither += expected is None
            native_only += found is None and expected is not None
        assert both > 300
        assert neither > 300
        assert native_only < 30

    def test_it_stands_in_when_the_library_cannot_be_imported(self):
        program = (
            "import sys; sys.modules['xpress8'] = None\n"
            "from tabvault.formats import xpress8\n"
            "from tabvault.formats.byte_source import MemorySource\n"
            "raw = b'one two three ' * 1000\n"
            "body = b''.join(xpress8.compress([raw]))\n"
            "assert len(body) < 300\n"
            "assert b''.join(xpress8.decompress(MemorySource(body), raw_byte_count=len(raw))) == raw\n"
            "print(xpress8.Xpress8.__name__)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        assert done.stdout == "PlainLz77\n"


def outcome(codec: Xpress8 | PlainLz77, payload: bytes, raw_len: int) -> bytes | None:
    try:
        return codec.decompress(payload, raw_len)
    except ValueError:
        return None
