"""Reading the plaintext at random: any range, few reads of the file beneath, several threads."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from age_by_the_book import PASSWORD, age_file, header
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import ChecksumError, TruncatedError
from tabvault.formats.age import DecryptedSource, Encryptor
from tabvault.formats.byte_source import MemorySource, pieces

CHUNK = 65536
PLAINTEXT = random.Random(1).randbytes(10 * CHUNK + 1000)
AGE_FILE = age_file(PLAINTEXT)
FIRST_CHUNK_OFFSET = len(header()) + 16


class RecordingSource(MemorySource):
    """Remembers every read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def read_at(self, offset: int, byte_count: int) -> memoryview:
        self.reads.append((offset, byte_count))
        return super().read_at(offset, byte_count)


def opened() -> tuple[DecryptedSource, RecordingSource]:
    """A decrypted source, and the source beneath it, whose reads are counted from now on."""
    inner = RecordingSource(AGE_FILE)
    source = DecryptedSource(inner, PASSWORD)
    inner.reads.clear()
    return source, inner


def encrypted(plaintext: bytes, *, deferred_byte_count: int, cuts: list[int]) -> bytes:
    encryptor = Encryptor(PASSWORD, deferred_byte_count=deferred_byte_count, work_factor=1)
    edges = [deferred_byte_count, *sorted(cuts), len(plaintext)]
    body = b"".join(encryptor.update(plaintext[start:end]) for start, end in pairwise(edges))
    tail, head = encryptor.finish(plaintext[:deferred_byte_count])
    if body or tail:
        assert len(head) == encryptor.head_byte_count
    return head + body + tail


EDGES = st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK])


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_what_is_encrypted_in_any_pieces_is_read_in_any_ranges(data: st.DataObject) -> None:
    byte_count = data.draw(EDGES | st.integers(0, 4 * CHUNK), label="plaintext bytes")
    plaintext = PLAINTEXT[:byte_count]
    deferred_byte_count = data.draw(st.integers(0, min(byte_count, CHUNK - 1)), label="deferred bytes")
    cuts = data.draw(st.lists(st.integers(deferred_byte_count, byte_count), max_size=8), label="cuts")
    source = DecryptedSource(
        MemorySource(encrypted(plaintext, deferred_byte_count=deferred_byte_count, cuts=cuts)), PASSWORD
    )
    assert source.byte_count == byte_count
    assert b"".join(pieces(source)) == plaintext
    for _ in range(data.draw(st.integers(1, 8), label="reads")):
        start = data.draw(st.integers(0, byte_count), label="start")
        end = data.draw(st.integers(start, byte_count), label="end")
        assert bytes(source.read_at(start, end - start)) == plaintext[start:end]


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200))
def test_many_small_updates_make_the_same_plaintext_as_one(byte_counts: list[int]) -> None:
    cuts, position = [], 4096
    for byte_count in byte_counts:
        position += byte_count
        cuts.append(position)
    plaintext = PLAINTEXT[:position]
    source = DecryptedSource(MemorySource(encrypted(plaintext, deferred_byte_count=4096, cuts=cuts)), PASSWORD)
    assert bytes(source.read_at(0, position)) == plaintext


def test_update_takes_every_kind_of_contiguous_bytes() -> None:
    encryptor = Encryptor(PASSWORD, deferred_byte_count=1, work_factor=1)
    words = memoryview(PLAINTEXT[1 : 1 + 4 * CHUNK]).cast("Q")
    body = encryptor.update(words) + encryptor.update(bytearray(b"end"))
    tail, head = encryptor.finish(memoryview(PLAINTEXT[:1]))
    source = DecryptedSource(MemorySource(head + body + tail), PASSWORD)
    assert bytes(source.read_at(0, source.byte_count)) == PLAINTEXT[: 1 + 4 * CHUNK] + b"end"


def test_a_run_is_one_read_of_the_file_beneath() -> None:
    source, inner = opened()
    assert bytes(source.read_at(100, 5 * CHUNK)) == PLAINTEXT[100 : 100 + 5 * CHUNK]
    assert inner.reads == [(FIRST_CHUNK_OFFSET, 6 * 65552)]


def test_only_the_chunks_of_a_range_are_read() -> None:
    source, inner = opened()
    assert bytes(source.read_at(3 * CHUNK - 1, 2)) == PLAINTEXT[3 * CHUNK - 1 : 3 * CHUNK + 1]
    assert inner.reads == [(FIRST_CHUNK_OFFSET + 2 * 65552, 2 * 65552)]


def test_small_reads_in_sequence_decrypt_each_chunk_once() -> None:
    source, inner = opened()
    joined = b"".join(source.read_at(start, 1000) for start in range(0, 10 * CHUNK, 1000))
    assert joined == PLAINTEXT[: len(joined)]
    assert min(inner.reads)[0] == FIRST_CHUNK_OFFSET
    assert sum(byte_count for _, byte_count in inner.reads) == len(AGE_FILE) - FIRST_CHUNK_OFFSET


def test_a_run_goes_on_in_the_chunk_where_the_last_one_ended() -> None:
    source, inner = opened()
    middle = 4 * CHUNK + 5
    assert bytes(source.read_at(5, middle - 5)) == PLAINTEXT[5:middle]
    assert bytes(source.read_at(middle, 3 * CHUNK)) == PLAINTEXT[middle : middle + 3 * CHUNK]
    assert inner.reads == [(FIRST_CHUNK_OFFSET, 5 * 65552), (FIRST_CHUNK_OFFSET + 5 * 65552, 3 * 65552)]


def test_nothing_is_read_for_an_empty_range() -> None:
    source, inner = opened()
    for offset in (0, 5, CHUNK, len(PLAINTEXT)):
        assert bytes(source.read_at(offset, 0)) == b""
    assert inner.reads == []


@pytest.mark.parametrize(
    ("offset", "byte_count"),
    [(0, len(PLAINTEXT) + 1), (len(PLAINTEXT), 1), (-1, 1), (0, -1), (len(PLAINTEXT) + 1, 0), (1 << 70, 1 << 70)],
)
def test_a_range_outside_of_the_plaintext_is_refused(offset: int, byte_count: int) -> None:
    source, _ = opened()
    with pytest.raises(TruncatedError):
        source.read_at(offset, byte_count)


def test_what_is_read_cannot_be_written_to() -> None:
    """A view of a remembered chunk that could be changed would change what others read."""
    source, _ = opened()
    for byte_count in (10, CHUNK + 10):
        view = source.read_at(0, byte_count)
        assert isinstance(view, memoryview)
        assert view.readonly


def test_several_threads_read_one_source() -> None:
    source, _ = opened()

    def read_ranges(seed: int) -> int:
        generator = random.Random(seed)
        for _ in range(150):
            start = generator.randrange(len(PLAINTEXT))
            end = min(len(PLAINTEXT), start + generator.choice([1, 1000, 3 * CHUNK]))
            assert bytes(source.read_at(start, end - start)) == PLAINTEXT[start:end]
        return seed

    with ThreadPoolExecutor(8) as executor:
        assert list(executor.map(read_ranges, range(8))) == list(range(8))
    assert len(source._recent) <= 8


def test_a_damaged_chunk_is_not_remembered() -> None:
    damaged = bytearray(AGE_FILE)
    damaged[FIRST_CHUNK_OFFSET + 2 * 65552] ^= 1
    source = DecryptedSource(MemorySource(damaged), PASSWORD)
    for _ in range(2):
        with pytest.raises(ChecksumError):
            source.read_at(2 * CHUNK, 10)
        with pytest.raises(ChecksumError):
            source.read_at(0, 3 * CHUNK)
    assert bytes(source.read_at(0, 2 * CHUNK)) == PLAINTEXT[: 2 * CHUNK]
