"""
Strings as bytes that compare as the strings do, a level at a time.

========== ============================================================================================================
level      key of a string
========== ============================================================================================================
primary    the letters, digits and symbols
tail       nothing, unless hyphens or apostrophes stand at the end: 00 if there are others too, else 01, how many, which
diacritic  the accents of each letter
case       the small or capital form of each letter
punctuation for each hyphen or apostrophe, how many letters stand before it (4 bytes), and which it is (1 byte)
ordinal    the UTF-16 code units, in effect: UTF-8 with the lead bytes of U+E000..U+FFFF after those of four bytes
========== ============================================================================================================

A string is decided by the first level on which it differs from another. Sources: [MS-UCODEREF] 3.1.5.2.4 for the levels
and for the position of punctuation ("word sort"); the tail as pbix-mcp observed it of Power BI Desktop (its issue 157);
samples have neither proof nor contradiction of the tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tabvault.engine.collation.weights import Weights

_OFFSETS_BY_TYPE = {pa.string(): np.int32, pa.large_string(): np.int64}

_PUNCTUATION_BYTE_COUNT = 5

_LAST_LEAD_BYTES_OF_THREE = (0xEE, 0xEF)
"""UTF-8 of U+E000..U+FFFF begins with one of them. Code points above have surrogates, which come before U+E000."""

_FREE_LEAD_BYTES = (0xF5, 0xF6)
"""Greater than any lead byte of UTF-8, and unused by it."""


class Utf8(NamedTuple):
    """Strings as Arrow keeps them: *offsets*, one more than strings, into *data*; the first is 0."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]


class Characters(NamedTuple):
    """The code points of strings: *offsets*, one more than strings, into *code_points*."""

    code_points: NDArray[np.uint32]
    offsets: NDArray[np.int64]


def utf8_of(strings: pa.StringArray | pa.LargeStringArray) -> Utf8:
    """The bytes of strings without a null, not copied."""
    _, offsets_buffer, data_buffer = strings.buffers()
    if len(strings) == 0:
        return Utf8(np.empty(0, np.uint8), np.zeros(1, np.int64))
    all_offsets = np.frombuffer(offsets_buffer, _OFFSETS_BY_TYPE[strings.type])
    offsets = all_offsets[strings.offset : strings.offset + len(strings) + 1].astype(np.int64)
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return Utf8(data[offsets[0] : offsets[-1]], offsets - offsets[0])


def is_ascii(text: Utf8) -> bool:
    """Whether no byte is above 7F."""
    return len(text.data) == 0 or int(text.data.max()) < 0x80


def characters_of(text: Utf8) -> Characters:
    """Decode UTF-8."""
    if is_ascii(text):
        return Characters(text.data.astype(np.uint32), text.offsets)
    code_points = np.frombuffer(text.data.tobytes().decode().encode("utf-32-le"), "<u4")
    starts = np.zeros(len(text.data) + 1, np.int64)
    np.cumsum((text.data & 0xC0) != 0x80, out=starts[1:])
    return Characters(code_points, starts[text.offsets])


def keys_of_ascii(text: Utf8, entries: NDArray[np.uint8]) -> pa.LargeBinaryArray:
    """
    The keys of ASCII strings on a level whose entries are one byte, or 0 for none.

    Args:
        text: the strings.
        entries: of the 128 code points.
    """
    data = entries[text.data]
    is_there = data != 0
    if is_there.all():
        return _binary(data, text.offsets)
    ends = np.zeros(len(data) + 1, np.int64)
    np.cumsum(is_there, out=ends[1:])
    return _binary(data[is_there], ends[text.offsets])


def keys_of(characters: Characters, entries: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """
    The keys of strings on a level.

    Args:
        characters: the strings.
        entries: of all code points.
    """
    found = entries.take(pa.array(characters.code_points))
    _, offsets_buffer, data_buffer = found.buffers()
    ends = np.frombuffer(offsets_buffer, np.int64)[: len(found) + 1]
    data = np.empty(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return _binary(data, ends[characters.offsets])


def punctuation_keys(characters: Characters, weights: Weights) -> pa.LargeBinaryArray:
    """The keys of strings on the level of punctuation."""
    marks = _Punctuation.of(characters, weights)
    return _binary(marks.records.reshape(-1), _PUNCTUATION_BYTE_COUNT * marks.first_of_string)


def tail_keys(characters: Characters, weights: Weights) -> pa.LargeBinaryArray:
    """The keys of strings on the level of what stands behind their last letter."""
    marks = _Punctuation.of(characters, weights)
    counts = np.diff(marks.first_of_string)
    trailing = np.zeros(len(marks.first_of_string), np.int64)
    np.cumsum(np.bincount(marks.string[marks.is_trailing], minlength=len(counts)), out=trailing[1:])
    trailing_counts = np.diff(trailing)
    is_mixed = (trailing_counts > 0) & (trailing_counts < counts)
    is_pure = (trailing_counts > 0) & (trailing_counts == counts)
    byte_counts = np.where(is_pure, _PUNCTUATION_BYTE_COUNT + counts, is_mixed.astype(np.int64))
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(byte_counts, out=offsets[1:])
    data = np.zeros(offsets[-1], np.uint8)
    starts = offsets[:-1][is_pure]
    data[starts] = 1
    data[starts[:, None] + np.arange(1, 5)] = _big_endian(counts[is_pure])
    is_written = is_pure[marks.string]
    index_in_string = np.arange(len(marks.string)) - marks.first_of_string[marks.string]
    places = offsets[marks.string] + _PUNCTUATION_BYTE_COUNT + index_in_string
    data[places[is_written]] = marks.records[is_written, -1]
    return _binary(data, offsets)


def ordinal_keys(text: Utf8, *, is_case_sensitive: bool) -> pa.LargeBinaryArray:
    """The keys of strings on the level of code units, small and capital letters of ASCII the same if so wanted."""
    order = _stored_bytes(is_case_sensitive=is_case_sensitive)
    for lead_byte, free_byte in zip(_LAST_LEAD_BYTES_OF_THREE, _FREE_LEAD_BYTES, strict=True):
        order[lead_byte] = free_byte
    return _binary(order[text.data], text.offsets)


def stored_keys(text: Utf8, *, is_case_sensitive: bool) -> pa.LargeBinaryArray:
    """The strings in UTF-8, the capital letters of ASCII made small if so wanted."""
    return _binary(_stored_bytes(is_case_sensitive=is_case_sensitive)[text.data], text.offsets)


def _stored_bytes(*, is_case_sensitive: bool) -> NDArray[np.uint8]:
    order = np.arange(0x100, dtype=np.uint8)
    if not is_case_sensitive:
        order[ord("A") : ord("Z") + 1] += ord("a") - ord("A")
    return order


class _Punctuation(NamedTuple):
    """
    The hyphens and apostrophes of strings.

    *string*: in which each is; *records*: its 5 bytes on the level of punctuation; *is_trailing*: no letter follows,
    and one stands before; *first_of_string*: one more than strings, into the others.
    """

    string: NDArray[np.int64]
    records: NDArray[np.uint8]
    is_trailing: NDArray[np.bool_]
    first_of_string: NDArray[np.int64]

    @classmethod
    def of(cls, characters: Characters, weights: Weights) -> _Punctuation:
        numbers = weights.punctuation[characters.code_points]
        places = np.flatnonzero(numbers)
        string = np.searchsorted(characters.offsets, places, "right") - 1
        letters = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(weights.letter_count[characters.code_points], out=letters[1:])
        before = letters[places] - letters[characters.offsets[string]]
        whole = (letters[characters.offsets[1:]] - letters[characters.offsets[:-1]])[string]
        records = np.concatenate([_big_endian(before), numbers[places][:, None]], axis=1)
        return cls(string, records, (before == whole) & (whole > 0), np.searchsorted(places, characters.offsets))


def _big_endian(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    return numbers.astype(">u4").view(np.uint8).reshape(-1, 4)


def _binary(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
