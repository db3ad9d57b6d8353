"""
Dictionary: the values behind the data ids of a column. Entry i belongs to data id i + 3.

==== =============== ==================================================================
type field           long of 4 bytes | long of 8 bytes, real | string
==== =============== ==================================================================
i32  type            0 | 0, 1 | 2
i32  hashAlgorithm   -1 | -1 | 0 SQL collation, 1 fast case-insensitive, 2 fast case-sensitive
u32  hashEntrySize   8 | 16 | 8
u32  hashBinSize     64
u32  localEntryCount 6 | 3 | 6
i64  cBins           -1: the hash table itself is not stored
==== =============== ==================================================================

Numbers follow as ``u64 count, u32 size`` and so many values; strings as a
:mod:`~tabvault.formats.vertipaq.string_store`.

Source: [MS-XLDM] 2.3.2.1; the hash fields' values were read off genuine files.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tabvault.errors import FormatError
from tabvault.formats.cursor import Cursor
from tabvault.formats.vertipaq import string_store, string_store_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[np.int32] | NDArray[np.int64] | NDArray[np.float64]
    Entries: TypeAlias = Numbers | pa.StringArray | pa.LargeStringArray

_HEAD = Struct("<iiIIIq")
_NUMBERS_HEAD = Struct("<QI")

_LONG, _REAL, _STRING = 0, 1, 2

_HASH_BIN_BYTE_COUNT = 64

_NO_HASH_ALGORITHM = -1
_FAST_CASE_SENSITIVE = 2

_NO_BINS = -1

_HASH_ALGORITHMS = {_LONG: {_NO_HASH_ALGORITHM}, _REAL: {_NO_HASH_ALGORITHM}, _STRING: {0, 1, 2}}

_NUMBERS = {(_LONG, 4): "<i4", (_LONG, 8): "<i8", (_REAL, 8): "<f8"}

_HASH_ENTRIES = {4: (8, 6), 8: (16, 3)}
"""hashEntrySize and localEntryCount, by the size of the value that is hashed (for a string, that of its data id)."""


def _pass_over(_count: int) -> None:
    """For a reader who has nobody to tell."""


def parse(
    data: bytes | memoryview, *, file: str | None, on_lone_surrogates: Callable[[int], None] = _pass_over
) -> Entries:
    """
    Read a whole ``.dictionary`` file.

    Args:
        data: the file; arrays of numbers are views of it.
        file: its logical name, for errors.
        on_lone_surrogates: told how many characters of the strings are U+FFFD for a surrogate that is no half of a
            pair, if any are. No UTF-8 text can hold one; a source that cuts its text at a length makes them.

    Returns:
        The entries: longs of 4 or 8 bytes and reals as NumPy arrays of shape ``(count,)``, strings as an Arrow array
        (a large one if their UTF-8 text is over 2 GiB). Entries may repeat.

    Raises:
        TruncatedError: the file ends too early.
        FormatError: the header is not one of the table above, or what follows breaks a relation of the format.
    """
    cursor = Cursor(data, file=file)
    dictionary_type, hash_algorithm, *entry, bin_count = cursor.unpack(_HEAD, "head of the dictionary")
    if dictionary_type not in _HASH_ALGORITHMS:
        raise FormatError(f"dictionary type {dictionary_type} is not known", file=file, offset=0)
    if hash_algorithm not in _HASH_ALGORITHMS[dictionary_type]:
        raise FormatError(
            f"hashAlgorithm is {hash_algorithm} in a dictionary of type {dictionary_type}", file=file, offset=4
        )
    if bin_count != _NO_BINS:
        raise FormatError(f"cBins is {bin_count}, not {_NO_BINS}", file=file, offset=20)
    if dictionary_type == _STRING:
        _check_hash_entry(tuple(entry), value_byte_count=4, file=file)
        return string_store.parse(cursor, on_lone_surrogates)
    return _numbers(cursor, dictionary_type, tuple(entry))


def build_numbers(values: NDArray[np.int64] | NDArray[np.float64]) -> bytes:
    """
    Write the ``.dictionary`` file of a column of numbers.

    Args:
        values: longs or reals in the order of their data ids. Longs are written with 4 bytes each where
            :func:`is_operating_on_32`.
    """
    size = 4 if is_operating_on_32(values) else 8
    dictionary_type = _REAL if values.dtype.kind == "f" else _LONG
    return (
        _head(dictionary_type, _NO_HASH_ALGORITHM, value_byte_count=size)
        + _NUMBERS_HEAD.pack(len(values), size)
        + values.astype(_NUMBERS[dictionary_type, size]).tobytes()
    )


def is_operating_on_32(values: NDArray[np.int64] | NDArray[np.float64]) -> bool:
    """Whether the engine keeps these in 4 bytes each: longs where all fit (read off genuine files), reals never."""
    limits = np.iinfo(np.int32)
    return values.dtype.kind == "i" and bool(
        values.min(initial=0) >= limits.min and values.max(initial=0) <= limits.max
    )


def build_strings(strings: pa.StringArray | pa.LargeStringArray, *, hash_algorithm: int) -> Iterator[bytes]:
    """
    Write the ``.dictionary`` file of a column of text, or of a binary column in its base64 text.

    Args:
        strings: in the order of their data ids, without a null.
        hash_algorithm: 0 SQL collation, 1 fast case-insensitive, 2 fast case-sensitive, as for binary columns.

    Returns:
        The bytes in order, in pieces of about a page.

    Raises:
        ValueError: the algorithm is none of these, or a null is among *strings*.
    """
    if hash_algorithm not in _HASH_ALGORITHMS[_STRING]:
        raise ValueError(f"hash algorithm {hash_algorithm} is none of {sorted(_HASH_ALGORITHMS[_STRING])}")
    is_binary = hash_algorithm == _FAST_CASE_SENSITIVE
    yield _head(_STRING, hash_algorithm, value_byte_count=4)
    yield from string_store_writer.build(
        strings,
        page_unit_count_max=string_store_writer.BINARY_PAGE_UNIT_COUNT_MAX
        if is_binary
        else string_store_writer.PAGE_UNIT_COUNT_MAX,
    )


def _head(dictionary_type: int, hash_algorithm: int, *, value_byte_count: int) -> bytes:
    entry_byte_count, local_entry_count = _HASH_ENTRIES[value_byte_count]
    return _HEAD.pack(
        dictionary_type, hash_algorithm, entry_byte_count, _HASH_BIN_BYTE_COUNT, local_entry_count, _NO_BINS
    )


def _numbers(cursor: Cursor, dictionary_type: int, hash_entry: tuple[int, ...]) -> Numbers:
    count = cursor.u64("count")
    element_size = cursor.u32("element size")
    number = _NUMBERS.get((dictionary_type, element_size))
    if number is None:
        raise FormatError(
            f"element size is {element_size} in a dictionary of type {dictionary_type}",
            file=cursor.file,
            offset=cursor.offset - 4,
        )
    _check_hash_entry(hash_entry, value_byte_count=element_size, file=cursor.file)
    values = np.frombuffer(cursor.take(count * element_size, "values"), number)
    cursor.expect_padding("the values")
    return values


def _check_hash_entry(found: tuple[int, ...], *, value_byte_count: int, file: str | None) -> None:
    entry_byte_count, local_entry_count = _HASH_ENTRIES[value_byte_count]
    expected = (entry_byte_count, _HASH_BIN_BYTE_COUNT, local_entry_count)
    if found != expected:
        raise FormatError(
            f"hashEntrySize, hashBinSize and localEntryCount are {found}, not {expected}", file=file, offset=8
        )
