"""
From the data ids of a column to Arrow arrays.

HASH: id n is entry n - 3 of the dictionary file, and the column becomes a dictionary array with those very entries
    (booleans
aside). VALUE: id n is ``(n + BaseId) / Magnitude``, and the column becomes a plain array. Id 2 is BLANK in both, an
Arrow null.

Source: ``DictionaryStorage`` of genuine files; Magnitude was seen from 1e-6 (millions) to 1e8 (eight decimals).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tabvault.engine import values
from tabvault.errors import FormatError, ModelError
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID
from tabvault.model.objects import DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.dictionary import Entries, Numbers
    from tabvault.model.objects import Column, DictionaryStorage

    Converter = Callable[[NDArray[np.uint32], NDArray[np.bool_] | None], pa.Array]
    """From the data ids of a segment, and which of them are BLANK (None: no one is), to its values."""

HASH_BASE_ID = 2

_MAGNITUDE_MAX = 1e18
"""A Magnitude over that, or under its inverse, leaves no digit of a 64-bit integer."""

_VALUE_MAX = 1 << 62
"""Limit for BaseId and for multiplied values: sums of int64 do not wrap."""


def by_entries(column: Column, dictionary: DictionaryStorage, entries: Entries) -> Converter:
    """
    What turns the data ids of a HASH column into Arrow arrays of the column's type.

    Args:
        column: the column.
        dictionary: its dictionary.
        entries: the entries of the dictionary file.

    Returns:
        A function of data ids that are 2, or 3 to the last entry's, and of which are 2. It takes the array of ids over
        and changes it.

    Raises:
        ModelError: BaseId is not 2, or the dictionary cannot hold the column's data type.
        FormatError: an entry does not stand for a value of the data type.
    """
    if dictionary.base_id != HASH_BASE_ID:
        raise ModelError(f"column {column.name!r} has BaseId {dictionary.base_id}, not {HASH_BASE_ID}")
    target = values.value_type(column)
    if isinstance(entries, np.ndarray):
        converted = values.from_numbers(entries, target, is_null=None, file=dictionary.file)
    else:
        converted = values.from_text(entries, target, file=dictionary.file)
    if pa.types.is_boolean(target):
        truths = np.concatenate((np.zeros(FIRST_DATA_ID, np.int64), entries))
        return lambda data_ids, is_null: values.from_numbers(
            truths[data_ids], target, is_null=is_null, file=dictionary.file
        )
    return lambda data_ids, is_null: _indexed(data_ids, is_null, converted)


def _indexed(data_ids: NDArray[np.uint32], is_null: NDArray[np.bool_] | None, entries: pa.Array) -> pa.DictionaryArray:
    """A dictionary array whose indexes are the ids, but for where they begin; the array of ids becomes theirs."""
    indexes = data_ids.view(np.int32)
    indexes -= FIRST_DATA_ID
    if is_null is not None:
        indexes[is_null] = 0
    return pa.DictionaryArray.from_arrays(
        values.array(pa.int32(), indexes, len(indexes), is_null=is_null), entries, safe=False
    )


def by_arithmetic(column: Column, dictionary: DictionaryStorage) -> Converter:
    """
    What turns the data ids of a VALUE column into Arrow arrays of the column's type.

    Args:
        column: the column.
        dictionary: its dictionary, which has no file.

    Returns:
        A function of data ids, and of which are 2. It raises FormatError when what comes out does not stand for a value
        of the data type.

    Raises:
        ModelError: BaseId or Magnitude are none, or the dictionary cannot hold the column's data type.
    """
    target = values.value_type(column)
    magnitude, base_id = dictionary.magnitude, dictionary.base_id
    if not 1 / _MAGNITUDE_MAX <= magnitude <= _MAGNITUDE_MAX or abs(base_id) > _VALUE_MAX:
        raise ModelError(f"column {column.name!r} has Magnitude {magnitude} and BaseId {base_id}")
    divided = _DIVIDED.get(dictionary.data_type)
    if divided is None:
        raise ModelError(f"column {column.name!r} of type {target} cannot be computed from its data ids")

    def convert(data_ids: NDArray[np.uint32], is_null: NDArray[np.bool_] | None) -> pa.Array:
        numerators = data_ids.astype(np.int64)
        numerators += base_id
        if is_null is not None:
            numerators[is_null] = 0
        return values.from_numbers(divided(numerators, magnitude), target, is_null=is_null, file=None)

    return convert


def _whole(numerators: NDArray[np.int64], magnitude: float) -> NDArray[np.int64]:
    """Divide without leaving the integers. Magnitude is a power of ten or the inverse of one."""
    divisor = round(magnitude)
    if divisor == magnitude:
        quotients, remainders = np.divmod(numerators, divisor) if divisor > 1 else (numerators, 0)
        if np.any(remainders):
            raise FormatError(f"a data id stands for no whole number with Magnitude {magnitude}")
        return quotients
    factor = round(1 / magnitude)
    if not math.isclose(factor * magnitude, 1) or int(np.abs(numerators).max(initial=0)) > _VALUE_MAX // factor:
        raise FormatError(f"a data id stands for no 64-bit whole number with Magnitude {magnitude}")
    return numerators * factor


def _real(numerators: NDArray[np.int64], magnitude: float) -> NDArray[np.float64]:
    """Divide as the engine does: both numbers are doubles, and one rounding is made."""
    return numerators.astype(np.float64) / magnitude


_DIVIDED: dict[int, Callable[[NDArray[np.int64], float], Numbers]] = {
    DictionaryDataType.LONG: _whole,
    DictionaryDataType.REAL: _real,
}
