"""Dictionaries, against files of real servers in hexadecimal and string stores written out by hand."""

from __future__ import annotations

import struct
import time

import numpy as np
import pyarrow as pa
import pytest
from damage import every_prefix_is_refused, flipped_bits_are_found_or_read
from genuine_dictionaries import MONTH, UNIT

from genuine_columns import database
from tabvault.errors import FormatError, LimitError
from tabvault.formats.vertipaq import dictionary, transcode

STRING_HEAD = MONTH[:28]


def entries(data: bytes) -> list[object]:
    found = dictionary.parse(data, file="x.dictionary")
    return found.tolist() if isinstance(found, np.ndarray) else found.to_pylist()


def uncompressed(*units: str | bytes, spare: int = 0) -> tuple[int, bytes, list[int]]:
    """An uncompressed store of strings, given as text or as UTF-16: how many, the store, the handles."""
    store, handles = b"", []
    for string in units:
        handles.append(len(store) // 2)
        store += (string.encode("utf-16-le") if isinstance(string, str) else string) + b"\0\0"
    head = struct.pack("<QQQ", spare, len(store) // 2, len(store) + 2 * spare)
    return 0, head + store + b"\xee\xee" * spare, handles


def compressed(
    *handles: int, bits: int, codes: str, lengths: bytes, high_byte: int | None = 0
) -> tuple[int, bytes, list[int]]:
    """A compressed store of codes given in hexadecimal."""
    stream = bytes.fromhex(codes)
    store = struct.pack("<IIQ", bits, 703122 if high_byte is None else 703121, len(stream))
    store += b"" if high_byte is None else bytes([high_byte])
    store += struct.pack("<I", 4) + lengths + struct.pack("<Q", len(stream)) + stream
    return 1, store, list(handles)


def string_dictionary(
    *stores: tuple[int, bytes, list[int]], longest: int, contains_nulls: tuple[int, ...] = (0, 0, 0)
) -> bytes:
    """The file around the stores of its pages, field by field."""
    total = sum(len(handles) for _, _, handles in stores)
    data = STRING_HEAD + struct.pack("<qBqq", total, 1, longest, len(stores))
    all_handles, start = b"", 0
    for page_id, (is_compressed, store, handles) in enumerate(stores):
        head = struct.pack("<QBQQB", is_compressed, contains_nulls[page_id], start, len(handles), is_compressed)
        data += head + bytes.fromhex("ddccbbaa") + store + bytes.fromhex("cdabcdab")
        all_handles += b"".join(struct.pack("<II", handle, page_id) for handle in handles)
        start += len(handles)
    return data + struct.pack("<QI", total, 8) + all_handles


A_BC = bytes(32) + bytes([0x10, 0x22]) + bytes(94)
"""Code lengths: A 1 bit, B and C 2 bits."""


def test_numbers_of_a_real_server_are_in_the_order_of_their_ids() -> None:
    assert len(UNIT) == 52
    found = dictionary.parse(UNIT, file=None)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int32
    assert found.tolist() == [2, 1, 3]


def test_long_numbers_and_doubles_have_entries_of_sixteen_bytes() -> None:
    head = "ffffffff 10000000 40000000 03000000 ffffffffffffffff 0200000000000000 08000000"
    longs = bytes.fromhex("00000000" + head) + struct.pack("<qq", -(1 << 62), 123456789012)
    doubles = bytes.fromhex("01000000" + head) + struct.pack("<dd", -0.5, 1e300)
    assert entries(longs) == [-(1 << 62), 123456789012]
    assert entries(doubles) == [-0.5, 1e300]


def test_a_string_of_a_real_server_decodes() -> None:
    assert len(MONTH) == 147
    found = dictionary.parse(MONTH, file=None)
    assert found.type == pa.string()
    assert found.to_pylist() == ["January"]
    assert string_dictionary(uncompressed("January"), longest=7) == MONTH


def test_strings_of_every_width_keep_their_characters() -> None:
    texts = ["a", "é", "日本語", "😀", "a😀é日", "\0", "nul\0inside", "\uffff", "z"]
    data = string_dictionary(uncompressed(*texts), longest=10)
    assert entries(data) == texts
    dictionary.parse(data, file=None).validate(full=True)


def test_strings_may_repeat() -> None:
    assert entries(string_dictionary(uncompressed("x", "y", "x"), longest=1)) == ["x", "y", "x"]


def test_only_the_used_part_of_an_allocation_is_strings() -> None:
    two_pages = string_dictionary(uncompressed("one", spare=500), uncompressed("three"), longest=5)
    assert entries(two_pages) == ["one", "three"]


def test_a_page_with_the_empty_string_says_so() -> None:
    store = uncompressed("", "x")
    assert entries(string_dictionary(store, longest=1, contains_nulls=(1,))) == ["", "x"]
    with pytest.raises(FormatError, match="containsNulls is 0 on a page of 2 strings, 1 empty"):
        entries(string_dictionary(store, longest=1, contains_nulls=(0,)))
    with pytest.raises(FormatError, match="containsNulls is 1 on a page of 1 strings, 0 empty"):
        entries(string_dictionary(uncompressed("x"), longest=1, contains_nulls=(1,)))


def test_no_page_is_no_string() -> None:
    assert entries(string_dictionary(longest=0)) == []


def test_low_bytes_get_the_high_byte_of_their_page() -> None:
    latin = compressed(0, 3, 5, bits=9, codes="8059 0000", lengths=A_BC)
    cyrillic = compressed(0, 3, 5, bits=9, codes="8059 0000", lengths=A_BC, high_byte=4)
    assert entries(string_dictionary(latin, cyrillic, uncompressed("é"), longest=3)) == [
        "AB",
        "C",
        "AAC",
        "\u0441\u0442",
        "\u0443",
        "\u0441\u0441\u0443",
        "é",
    ]


def test_low_bytes_over_ascii_take_two_bytes_each() -> None:
    lengths = bytes(32) + b"\x10" + bytes(83) + b"\x10" + bytes(11)  # 41 is 0, E9 is 1
    data = compressed(0, 1, 2, bits=4, codes="00a0 0000", lengths=lengths)
    assert entries(string_dictionary(data, longest=2)) == ["é", "A", "éA"]


def test_a_page_of_many_character_sets_codes_both_bytes() -> None:
    lengths = bytearray(A_BC)
    lengths[0] = 0x01  # 00 takes the short code, 41 and 42 the long ones
    lengths[32], lengths[33] = 0x20, 0x02
    # A\0 B\0 and A\0 are 10 0 11 0 and 10 0
    data = compressed(0, 6, bits=9, codes="009a 0000", lengths=bytes(lengths), high_byte=None)
    assert entries(string_dictionary(data, longest=2)) == ["AB", "A"]
    half = compressed(0, 3, 8, bits=9, codes="009a 0000", lengths=bytes(lengths), high_byte=None)
    with pytest.raises(FormatError, match="a string ends inside a UTF-16 unit"):
        entries(string_dictionary(half, longest=2))


@pytest.mark.parametrize(
    ("units", "expected", "count"),
    [
        ((b"a\0", b"\x3d\xd8", b"b\0"), ["a", "\ufffd", "b"], 1),
        ((b"a\0", b"b\0", b"\0\xde"), ["a", "b", "\ufffd"], 1),
        ((b"\x3d\xd8", b"\0\xde"), ["\ufffd", "\ufffd"], 2),
        ((b"\x3d\xd8\x3d\xd8\0\xde",), ["\ufffd😀"], 1),
        ((b"\x3d\xd8\0\xde", b"x\0", b"\x3d\xd8\0\xde\0\xde"), ["😀", "x", "😀\ufffd"], 1),
        ((b"\x3d\xd8\0\xde", b"\xfd\xff"), ["😀", "\ufffd"], None),
    ],
)
def test_a_lone_surrogate_becomes_a_replacement_character_and_is_counted(
    units: tuple[bytes, ...], expected: list[str], count: int | None
) -> None:
    """Two halves of a pair in neighbouring strings are no pair, even where nothing stands between them."""
    longest = max(len(unit) // 2 for unit in units)
    told: list[int] = []
    data = string_dictionary(uncompressed(*units), longest=longest)
    assert dictionary.parse(data, file=None, on_lone_surrogates=told.append).to_pylist() == expected
    assert told == ([] if count is None else [count])


def test_halves_of_a_pair_on_both_sides_of_a_string_end_are_no_pair_without_a_terminator_between() -> None:
    lengths = bytearray(128)  # symbols 3D, D8, 00, DE with two bits each: 00 00, 01 3D, 10 D8, 11 DE
    lengths[0], lengths[0x1E], lengths[0x6C], lengths[0x6F] = 0x02, 0x20, 0x02, 0x02
    pair = compressed(0, bits=8, codes="0063 0000", lengths=bytes(lengths), high_byte=None)
    assert entries(string_dictionary(pair, longest=2)) == ["😀"]
    split = compressed(0, 4, bits=8, codes="0063 0000", lengths=bytes(lengths), high_byte=None)
    assert entries(string_dictionary(split, longest=1)) == ["\ufffd", "\ufffd"]


def test_text_that_thirty_two_bits_cannot_reach_becomes_a_large_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcode, "STRING_BYTE_COUNT_MAX", 6)
    data = string_dictionary(uncompressed("abc", "é"), uncompressed("xy"), longest=3)
    found = dictionary.parse(data, file=None)
    assert found.type == pa.large_string()
    assert found.to_pylist() == ["abc", "é", "xy"]
    monkeypatch.setattr(transcode, "STRING_BYTE_COUNT_MAX", 7)
    assert dictionary.parse(data, file=None).type == pa.string()


GOOD = string_dictionary(
    uncompressed("one", "three", spare=2),
    compressed(0, 3, 5, bits=9, codes="8059 0000", lengths=A_BC),
    longest=5,
)


def changed(data: bytes, offset: int, form: str, value: int) -> bytes:
    patched = bytearray(data)
    struct.pack_into(form, patched, offset, value)
    return bytes(patched)


@pytest.mark.parametrize(
    ("offset", "form", "value", "message"),
    [
        (0, "<i", 3, "dictionary type 3 is not known"),
        (4, "<i", -1, "hashAlgorithm is -1 in a dictionary of type 2"),
        (8, "<I", 16, r"hashEntrySize, hashBinSize and localEntryCount are \(16, 64, 6\), not \(8, 64, 6\)"),
        (20, "<q", 16, "cBins is 16, not -1"),
        (28, "<q", 4, "5 handles of 8 bytes follow, not 4 of 8"),
        (36, "<B", 0, "fStoreCompressed is 0, not 1"),
        (37, "<q", 4, "longestString is 4, and the longest string has 5 units"),
        (45, "<q", 1 << 40, "pageCount is 1099511627776, too many"),
        (53, "<Q", 1, "page mask is 1, compressed flag 0, containsNulls 0"),
        (61, "<B", 2, "containsNulls 2"),
        (62, "<Q", 1, "page 0 is for strings 1 to 3, after 0 of 5"),
        (70, "<Q", 3, "handle of a string on page 0 is for another"),
        (79, "<I", 0, "head of the page ends with 00 00 00 00, not dd cc bb aa"),
        (83, "<Q", 3, r"allocation is 24 bytes, not 2 \* \(10 used \+ 3 remaining units\)"),
        (91, "<Q", 9, r"allocation is 24 bytes, not 2 \* \(9 used \+ 2 remaining units\)"),
        (113, "<H", 0x21, "a string of the page does not end with NUL"),
        (len(GOOD) - 52, "<Q", 4, "4 handles of 8 bytes follow, not 5 of 8"),
        (len(GOOD) - 44, "<I", 4, "5 handles of 4 bytes follow, not 5 of 8"),
        (len(GOOD) - 40, "<I", 1, "handles do not ascend from 0 within 10 used units"),
        (len(GOOD) - 36, "<I", 1, "handle of a string on page 0 is for another"),
        (len(GOOD) - 32, "<I", 3, "a string of the page does not end with NUL"),
        (len(GOOD) - 16, "<I", 2, "does not end with a code|bit offsets do not ascend"),
    ],
)
def test_a_relation_that_does_not_hold_is_refused(offset: int, form: str, value: int, message: str) -> None:
    assert entries(GOOD) == ["one", "three", "AB", "C", "AAC"]
    with pytest.raises(FormatError, match=message) as refusal:
        entries(changed(GOOD, offset, form, value))
    assert refusal.value.file == "x.dictionary"


def test_a_compressed_store_of_another_length_or_kind_is_refused() -> None:
    start = GOOD.index(struct.pack("<IIQ", 9, 703121, 4))
    for offset, form, value, message in (
        (start, "<I", 17, "length of the codes is 4 for 17 bits, not 6"),
        (start + 4, "<I", 703123, "character set type 703123 is not known"),
        (start + 8, "<Q", 6, "length of the codes is 6 for 9 bits, not 4"),
        (start + 149, "<Q", 6, "length of the codes again is 06"),
    ):
        with pytest.raises(FormatError, match=message):
            entries(changed(GOOD, offset, form, value))


def test_an_element_of_another_size_is_refused() -> None:
    with pytest.raises(FormatError, match="element size is 2 in a dictionary of type 0"):
        entries(changed(UNIT, 36, "<I", 2))
    with pytest.raises(FormatError, match=r"are \(8, 64, 6\), not \(16, 64, 3\)"):
        entries(changed(UNIT, 36, "<I", 8))


@pytest.mark.parametrize("data", [UNIT, MONTH, GOOD], ids=["numbers", "string", "pages"])
def test_every_prefix_is_refused_and_only_zeros_may_follow(data: bytes) -> None:
    every_prefix_is_refused(entries, data)
    assert len(entries(data + bytes(9))) == len(entries(data))
    with pytest.raises(FormatError, match=r"10 bytes follow the end of .* not all are zeros"):
        entries(data + bytes(9) + b"\1")


@pytest.mark.parametrize("data", [UNIT, MONTH, GOOD], ids=["numbers", "string", "pages"])
def test_flipped_bits_are_found_or_read(data: bytes) -> None:
    assert flipped_bits_are_found_or_read(entries, data, count=1500) > 500


def test_no_count_of_a_file_makes_us_allocate_by_it() -> None:
    started = time.monotonic()
    for value in ((1 << 63) - 1, 1 << 40):
        for data, offset in ((UNIT, 28), (MONTH, 28), (MONTH, 45), (MONTH, 70), (MONTH, 91), (MONTH, 99)):
            with pytest.raises(FormatError):
                entries(changed(data, offset, "<q", value))
    with pytest.raises(LimitError):
        entries(changed(MONTH, 45, "<q", 1 << 40))
    assert time.monotonic() - started < 1


def test_damage_to_a_genuine_compressed_dictionary_is_found_or_read() -> None:
    bodies = database("Hugoberry__Adventure_Works_Internet_Sales.pbix").files.bodies
    is_compressed = 78  # the flag of the first page, after the heads of dictionary and store
    data = min(
        (
            body
            for name, body in bodies.items()
            if name.endswith(".dictionary") and body[0] == 2 and len(body) > is_compressed and body[is_compressed]
        ),
        key=len,
    )
    assert len(entries(data)) > 10
    every_prefix_is_refused(entries, data, step=len(data) // 60)
    assert flipped_bits_are_found_or_read(entries, data, count=300) > 30
