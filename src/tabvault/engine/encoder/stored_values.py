"""
Arrow values as the dictionary of a column holds them: what :mod:`tabvault.engine.values` undoes.

=========== ======================= ============================================================================
data type   stored                  what cannot be held
=========== ======================= ============================================================================
STRING      text                    nothing
BINARY      base64 text             nothing
INT64       integer                 nothing
BOOLEAN     0, 1                    nothing
DECIMAL     integer, value * 10,000 over 2^63 / 10,000, some 922 billions: refused
DOUBLE      double                  nothing; -0.0 becomes 0.0, and every NaN the same one
DATETIME    OLE date                before the year 100 and after 9999, where OLE dates end: refused
=========== ======================= ============================================================================

Numbers that compare equal have to be one entry of a dictionary, so -0.0 cannot stay apart from 0.0. Infinities and NaN
are stored as the doubles they are: a guess, because no genuine file has one. The engine's own functions yield them.

A timestamp becomes the nearest OLE date (:mod:`tabvault.model.ole_date`) on its own day, so before the year 2079
decoding gives the very same timestamp back. Those that cannot be told apart are one entry.

Binary values stay as they are until the dictionary is written (:func:`texts_of`): they are compared as octets.

Source: genuine files (lines of the base64 text, decimals).
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from tabvault.engine.encoder.specification import STORED_TYPES
from tabvault.errors import SourceTypeError
from tabvault.model import ole_date
from tabvault.model.objects import DataType, DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from tabvault.engine.encoder.specification import ColumnSpecification

_LINE_LENGTH = 76
_LINE_END = " \n"
"""Of base64 text, after every line, the last one too."""

_LARGE: Final[Mapping[pa.DataType, pa.DataType]] = {
    pa.string(): pa.large_string(),
    pa.binary(): pa.large_binary(),
}
"""Texts of a segment may be over 2 GiB."""


def stored_arrow_type(data_type: int) -> pa.DataType:
    """What :func:`stored` gives: a large string, a large binary, int64 or float64."""
    arrow = STORED_TYPES[data_type].arrow
    if arrow in _LARGE:
        return _LARGE[arrow]
    return pa.float64() if STORED_TYPES[data_type].dictionary == DictionaryDataType.REAL else pa.int64()


def checked(values: pa.Array, column: ColumnSpecification) -> pa.Array:
    """
    Values of a column as they came in, all of one type; texts as large ones.

    Args:
        values: of the Arrow type of the column's data type, as a dictionary array of that, or as large texts.
        column: the column.

    Raises:
        SourceTypeError: the array is of another type.
    """
    expected = column.stored_type.arrow
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type != expected and values.type != _LARGE.get(expected):
        raise SourceTypeError(
            f"column {column.name!r} of data type {DataType(column.data_type).name} got values of type {values.type}, "
            f"not {expected}"
        )
    return values.cast(_LARGE[expected]) if expected in _LARGE else values


def stored(values: pa.Array, column: ColumnSpecification) -> pa.Array:
    """
    Values of a column as they are compared and numbered.

    Args:
        values: as :func:`checked` gives them, none of them null. Different ones may be stored as the same, so distinct
            ones are enough.
        column: the column.

    Returns:
        An array of as many values, of :func:`stored_arrow_type`.

    Raises:
        SourceTypeError: a value cannot be held.
    """
    if column.stored_type.arrow in _LARGE:
        return values
    assert values.null_count == 0, "there are no distinct nulls"
    return pa.array(_NUMBERS[column.data_type](values, column.name))


def texts_of(octets: pa.LargeBinaryArray) -> pa.LargeStringArray:
    """Binary values as the text of a string dictionary, in lines as mail has them."""
    return pa.array([_base64(value) for value in octets.to_pylist()], pa.large_string())


def _base64(value: bytes) -> str:
    text = binascii.b2a_base64(value, newline=False).decode("ascii")
    return "".join(text[start : start + _LINE_LENGTH] + _LINE_END for start in range(0, len(text), _LINE_LENGTH))


def _fixed(values: pa.Array, element: str) -> NDArray[Any]:
    """The elements of an array of fixed width."""
    buffer = values.buffers()[1]
    if buffer is None:
        return np.zeros(len(values), element)
    return np.frombuffer(buffer, element)[values.offset : values.offset + len(values)]


def _integers(values: pa.Array, _name: str) -> NDArray[Any]:
    return _fixed(values, "<i8")


def _booleans(values: pa.Array, _name: str) -> NDArray[Any]:
    return _fixed(values.cast(pa.int64()), "<i8")


def _decimals(values: pa.Array, name: str) -> NDArray[Any]:
    """The lower half of 128 bits, if the upper half but repeats its sign."""
    halves = _fixed(values, "<i8,<i8")
    low, high = halves["f0"], halves["f1"]
    is_beyond = high != low >> 63
    if np.any(is_beyond):
        first = values[int(is_beyond.argmax())]
        raise SourceTypeError(f"column {name!r} has the decimal {first}, which does not fit into 64 bits times 10,000")
    return np.ascontiguousarray(low)


def _doubles(values: pa.Array, _name: str) -> NDArray[Any]:
    numbers: NDArray[np.float64] = _fixed(values, "<f8") + 0.0  # -0.0 + 0.0 is 0.0
    is_nan = np.isnan(numbers)
    if np.any(is_nan):
        numbers[is_nan] = np.nan
    return numbers


def _ole_dates(values: pa.Array, name: str) -> NDArray[Any]:
    microseconds = _fixed(values, "<i8")
    is_beyond = (microseconds < ole_date.MICROSECONDS_MIN) | (microseconds >= ole_date.MICROSECONDS_END)
    if np.any(is_beyond):
        first = int(microseconds[int(is_beyond.argmax())])
        raise SourceTypeError(
            f"column {name!r} has a timestamp {first} microseconds from 1970; OLE dates go from the year 100 to 9999"
        )
    return ole_date.of_microseconds(microseconds)


_NUMBERS: Final[Mapping[int, Callable[[pa.Array, str], NDArray[Any]]]] = {
    DataType.INT64: _integers,
    DataType.BOOLEAN: _booleans,
    DataType.DECIMAL: _decimals,
    DataType.DOUBLE: _doubles,
    DataType.DATETIME: _ole_dates,
}
