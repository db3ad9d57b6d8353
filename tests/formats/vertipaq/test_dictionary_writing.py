"""Dictionaries as they are written: files of real servers, the rules for pages, and two readers."""

from __future__ import annotations

import io
import struct

import numpy as np
import pyarrow as pa
import pytest
from genuine_dictionaries import MONTH, UNIT
from hypothesis import given, settings
from hypothesis import strategies as st
from pbixray.column_data.dictionary import ColumnDataDictionary
from pbixray.vertipaq_decoder import VertiPaqDecoder

from tabvault.formats.vertipaq import dictionary, string_store_writer

EMPTY = MONTH[:28] + struct.pack("<qBqq", 0, 1, 0, 0) + struct.pack("<QI", 0, 8)

TYPES = st.sampled_from([pa.string(), pa.large_string()])


def built(strings: list[str] | pa.Array, *, hash_algorithm: int = 1) -> bytes:
    array = pa.array(strings, pa.string()) if isinstance(strings, list) else strings
    return b"".join(dictionary.build_strings(array, hash_algorithm=hash_algorithm))


def read(data: bytes) -> list[str]:
    return dictionary.parse(data, file="x.dictionary").to_pylist()


def pages(data: bytes) -> list[tuple[int, int, int, int]]:
    """Of each page: compressed, containsNulls, start index, string count; as pbixray's parser finds them."""
    parsed = ColumnDataDictionary.from_io(io.BytesIO(data))
    return [
        (page.page_compressed, page.page_contains_nulls, page.page_start_index, page.page_string_count)
        for page in parsed.data.dictionary_pages
    ]


def read_by_pbixray(data: bytes) -> list[object]:
    found = VertiPaqDecoder._read_dictionary(VertiPaqDecoder.__new__(VertiPaqDecoder), data, 3)
    return [found.values[data_id] for data_id in sorted(found.values)]


def test_numbers_of_a_real_server_are_written_as_they_were() -> None:
    assert dictionary.build_numbers(np.array([2, 1, 3])) == UNIT


def test_one_number_over_thirty_two_bits_makes_all_of_them_long() -> None:
    limits = np.iinfo(np.int32)
    head = "00000000 ffffffff 10000000 40000000 03000000 ffffffffffffffff 0200000000000000 08000000"
    for other, is_short in ((limits.max, True), (limits.min, True), (limits.max + 1, False), (limits.min - 1, False)):
        values = np.array([other, 7])
        assert dictionary.is_operating_on_32(values) == is_short
        if not is_short:
            assert dictionary.build_numbers(values) == bytes.fromhex(head) + struct.pack("<qq", other, 7)
        assert dictionary.parse(dictionary.build_numbers(values), file=None).tolist() == [other, 7]


def test_doubles_are_written_bit_by_bit() -> None:
    head = "01000000 ffffffff 10000000 40000000 03000000 ffffffffffffffff 0300000000000000 08000000"
    values = np.array([-0.0, float("nan"), 1e300])
    assert dictionary.build_numbers(values) == bytes.fromhex(head) + values.tobytes()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-9, 9), max_size=30)
    | st.lists(st.floats(allow_nan=False), min_size=1, max_size=30)
)
def test_any_numbers_come_back_from_both_readers(numbers: list[int] | list[float]) -> None:
    kind = np.float64 if numbers and isinstance(numbers[0], float) else np.int64
    data = dictionary.build_numbers(np.array(numbers, kind))
    assert dictionary.parse(data, file=None).tolist() == numbers
    assert read_by_pbixray(data) == numbers


def test_a_string_of_a_real_server_is_written_as_it_was() -> None:
    assert built(["January"]) == MONTH


def test_no_string_is_no_page() -> None:
    assert built([]) == EMPTY
    assert read(EMPTY) == []


@pytest.mark.parametrize("hash_algorithm", [0, 1, 2])
def test_the_hash_algorithm_is_written_as_given(hash_algorithm: int) -> None:
    data = built(["x"], hash_algorithm=hash_algorithm)
    assert struct.unpack_from("<i", data, 4) == (hash_algorithm,)
    assert read(data) == ["x"]


def test_a_page_over_8192_units_is_compressed() -> None:
    assert pages(built(["a" * 4095, "b" * 4095])) == [(0, 0, 0, 2)]
    assert pages(built(["a" * 4095, "b" * 4096])) == [(1, 0, 0, 2)]


def test_a_page_with_the_empty_string_stays_as_it_is() -> None:
    strings = ["a" * 9000, "", "b"]
    assert pages(built(strings)) == [(0, 1, 0, 3)]
    assert read(built(strings)) == strings == read_by_pbixray(built(strings))


def test_a_page_ends_before_the_string_that_would_fill_it_over() -> None:
    full = ["x" * 1023] * 512
    assert pages(built(full)) == [(1, 0, 0, 512)]
    assert pages(built([*full, ""])) == [(1, 0, 0, 512), (0, 1, 512, 1)]
    assert pages(built(["y", *full])) == [(1, 0, 0, 512), (0, 0, 512, 1)]


def test_a_string_longer_than_a_page_is_a_page_of_its_own() -> None:
    strings = ["a", "é" * 600_000, "b" * (1 << 19), "c", "日本" * 300_000]
    data = built(strings)
    assert pages(data) == [(0, 0, 0, 1), (1, 0, 1, 1), (1, 0, 2, 1), (0, 0, 3, 1), (1, 0, 4, 1)]
    assert read(data) == strings


def test_the_pages_of_binary_columns_are_longer() -> None:
    strings = ["/9j/4AAQ" * 6000] * 30
    assert pages(built(strings, hash_algorithm=2)) == [(1, 0, 0, 30)]
    assert len(pages(built(strings, hash_algorithm=0))) == 3


def test_a_page_whose_codes_might_overflow_their_count_is_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(string_store_writer, "_COMPRESSED_UNIT_COUNT_MAX", 10_000)
    assert pages(built(["a" * 9_999])) == [(1, 0, 0, 1)]
    assert pages(built(["a" * 10_000])) == [(0, 0, 0, 1)]


@pytest.mark.parametrize(
    ("text", "character_set", "high_byte"),
    [
        ("año ", 703121, 0),
        ("слово", 703121, 4),
        ("слово и", 703122, None),
        ("日本", 703122, None),
        ("😀", 703122, None),
    ],
)
def test_one_high_byte_makes_one_character_set(text: str, character_set: int, high_byte: int | None) -> None:
    strings = [text * 5000, text]
    data = built(strings)
    (page,) = ColumnDataDictionary.from_io(io.BytesIO(data)).data.dictionary_pages
    assert page.string_store.character_set_type_identifier == character_set
    if high_byte is not None:
        assert page.string_store.character_set_used == high_byte
    assert read(data) == strings == read_by_pbixray(data)


def test_a_slice_of_an_array_is_written_alone() -> None:
    array = pa.array(["never", "é😀", "", "日", "never"]).slice(1, 3)
    assert built(array) == built(["é😀", "", "日"])
    assert built(array.cast(pa.large_string())) == built(["é😀", "", "日"])
    assert built(array.slice(0, 0)) == EMPTY


def test_null_is_no_entry() -> None:
    with pytest.raises(ValueError, match="1 of the strings are null"):
        built(pa.array(["a", None]))
    with pytest.raises(ValueError, match="hash algorithm 3 is none of"):
        built(["a"], hash_algorithm=3)


CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\0aé日😀\ud7ff\uffff\U00010000\U0010ffff")
LONGER = st.builds(lambda text, times: text * times, st.text(CHARACTERS, max_size=12), st.sampled_from([1, 1, 40, 900]))


@settings(deadline=None, max_examples=150)
@given(st.lists(LONGER, max_size=30), TYPES, st.sampled_from([1, 100, 10_000, 1 << 19]))
def test_any_strings_come_back(strings: list[str], arrow_type: pa.DataType, page_unit_count_max: int) -> None:
    array = pa.array(strings, arrow_type)
    store = b"".join(string_store_writer.build(array, page_unit_count_max=page_unit_count_max))
    assert read(MONTH[:28] + store) == strings


@settings(deadline=None, max_examples=80)
@given(st.lists(LONGER.filter(lambda text: "\0" not in text), min_size=1, max_size=30))
def test_any_strings_come_back_from_pbixray(strings: list[str]) -> None:
    """But for NUL inside a string, by which it parts the strings of an uncompressed page."""
    assert read_by_pbixray(built(strings)) == strings


@pytest.mark.parametrize("text", ["customer name {:06d}", "Kunde {:06d} é", "顧客 {:06d} 😀"])
def test_many_strings_come_back(text: str) -> None:
    strings = pa.array([text.format(index) for index in range(100_000)])
    data = built(strings)
    assert dictionary.parse(data, file=None).equals(strings)
