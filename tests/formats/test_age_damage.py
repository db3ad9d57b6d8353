"""Files that were cut, changed, reordered or made up: refused before a byte of them is used."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from age_by_the_book import FILE_KEY, NONCE, PASSWORD, age_file, header, sealed_chunk, sealed_chunks
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import ChecksumError, FormatError, PasswordError, TruncatedError
from tabvault.formats.age import MAGIC, DecryptedSource
from tabvault.formats.byte_source import MemorySource

CHUNK = 65536
START = len(header()) + len(NONCE)
SMALL = age_file(b"a small file")
PLAINTEXT = random.Random(2).randbytes(3 * CHUNK + 100)
CHUNKS = sealed_chunks(PLAINTEXT)


def opened(data: bytes) -> DecryptedSource:
    return DecryptedSource(MemorySource(data), PASSWORD)


def read_whole(data: bytes) -> bytes:
    source = opened(data)
    return bytes(source.read_at(0, source.byte_count))


def of_chunks(chunks: list[bytes]) -> bytes:
    return header() + NONCE + b"".join(chunks)


def test_the_files_that_the_others_damage_are_good() -> None:
    assert read_whole(SMALL) == b"a small file"
    assert read_whole(of_chunks(CHUNKS)) == PLAINTEXT
    assert len(FILE_KEY) == 16


def test_every_prefix_of_a_small_file_is_refused_at_opening() -> None:
    for byte_count in range(len(SMALL)):
        with pytest.raises((TruncatedError, ChecksumError)):
            opened(SMALL[:byte_count])


def test_a_larger_file_cut_anywhere_is_refused_at_opening() -> None:
    whole = of_chunks(CHUNKS)
    ends = [START + index * 65552 + more for index in range(1, 4) for more in (-65535, -17, -16, -1, 0, 1, 15, 16, 17)]
    for end in [*ends, len(whole) - 1, *random.Random(3).sample(range(len(whole)), 30)]:
        with pytest.raises(FormatError):
            opened(whole[:end])


def test_every_single_flipped_bit_is_refused_at_opening() -> None:
    for bit in range(len(SMALL) * 8):
        damaged = bytearray(SMALL)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((FormatError, PasswordError)) as caught:
            opened(bytes(damaged))
        if bit // 8 >= len(header()):
            assert isinstance(caught.value, ChecksumError)
            assert caught.value.offset == START


def test_a_flipped_bit_in_a_chunk_is_refused_where_it_lies_and_nowhere_else() -> None:
    whole = of_chunks(CHUNKS)
    for index in range(3):
        for place in (0, 12345, CHUNK - 1, CHUNK, CHUNK + 15):
            damaged = bytearray(whole)
            damaged[START + index * 65552 + place] ^= 0x10
            source = opened(bytes(damaged))
            for other in range(3):
                if other == index:
                    with pytest.raises(ChecksumError, match=f"tag of chunk {index} of 4 does not match") as caught:
                        source.read_at(other * CHUNK + 7, 1)
                    assert caught.value.offset == START + index * 65552
                else:
                    assert bytes(source.read_at(other * CHUNK + 7, 1)) == PLAINTEXT[other * CHUNK + 7 :][:1]


@pytest.mark.parametrize(
    ("name", "chunks"),
    [
        ("first two swapped", [CHUNKS[1], CHUNKS[0], *CHUNKS[2:]]),
        ("first removed", CHUNKS[1:]),
        ("middle one removed", [CHUNKS[0], *CHUNKS[2:]]),
        ("final one removed", CHUNKS[:3]),
        ("first doubled", [CHUNKS[0], *CHUNKS]),
        ("middle one doubled", [*CHUNKS[:2], *CHUNKS[1:]]),
        ("last full one doubled", [*CHUNKS[:3], *CHUNKS[2:]]),
        ("final one doubled", [*CHUNKS, CHUNKS[3]]),
        ("final one first", [CHUNKS[3], *CHUNKS[:3]]),
        ("final flag on a middle one", [sealed_chunk(PLAINTEXT[:CHUNK], index=0, final=True), *CHUNKS[1:]]),
        ("no final flag", [*CHUNKS[:3], sealed_chunk(PLAINTEXT[3 * CHUNK :], index=3, final=False)]),
        ("an empty final chunk", [*CHUNKS[:3], sealed_chunk(b"", index=3, final=True)]),
        ("short chunk in the middle", [CHUNKS[0], sealed_chunk(b"short", index=1, final=False), *CHUNKS[2:]]),
        ("no chunk", []),
    ],
)
def test_chunks_in_another_order_or_number_are_refused(name: str, chunks: list[bytes]) -> None:
    with pytest.raises(FormatError):
        read_whole(of_chunks(chunks))


def test_an_empty_final_chunk_is_refused_though_its_tag_is_right() -> None:
    with pytest.raises(FormatError, match="final chunk is empty, and it is not the only chunk"):
        opened(of_chunks([CHUNKS[0], sealed_chunk(b"", index=1, final=True)]))


@pytest.mark.parametrize("byte_count", [1, 15])
def test_a_final_chunk_shorter_than_its_tag_is_refused_before_any_key_is_tried(byte_count: int) -> None:
    with pytest.raises(TruncatedError, match=f"final chunk has {byte_count} bytes, and its tag") as caught:
        DecryptedSource(MemorySource(of_chunks([CHUNKS[0], bytes(byte_count)])), "not the password")
    assert caught.value.offset == START + 65552


@pytest.mark.parametrize("byte_count", [1, 15, 16, 17, 100, 65552, 65553, 200_000])
@pytest.mark.parametrize("plaintext", [b"", b"a small file", PLAINTEXT[:CHUNK], PLAINTEXT], ids=len)
def test_appended_bytes_are_refused_at_opening(plaintext: bytes, byte_count: int) -> None:
    whole = age_file(plaintext)
    with pytest.raises(FormatError):
        opened(whole + bytes(byte_count))
    with pytest.raises(FormatError):
        opened(whole + whole[-byte_count:])


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400) | st.lists(st.sampled_from(SMALL.split(b"\n")), max_size=8).map(b"\n".join))
def test_any_bytes_are_a_file_or_a_named_error(data: bytes) -> None:
    for candidate in (data, MAGIC + data):
        with suppress(FormatError, PasswordError):
            assert read_whole(candidate) == b"a small file"


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_few_changed_bytes_are_refused(data: st.DataObject) -> None:
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        start = data.draw(st.integers(0, len(damaged)), label="start")
        end = data.draw(st.integers(start, min(start + 4, len(damaged))), label="end")
        damaged[start:end] = data.draw(st.binary(max_size=4), label="bytes")
    if damaged == SMALL:
        return
    with pytest.raises((FormatError, PasswordError)):
        read_whole(bytes(damaged))
