"""
Value encoding: data ids that are the values themselves, ``value = (id + BaseId) / Magnitude``, without a dictionary.

Which columns the engine encodes so, read off the numeric columns of the genuine files:

(1) those whose distinct values are over a twentieth of the rows. With 19.2 rows to a value columns are value-encoded,
    with 20.4 none is;
(2) unless they are keys or in a relationship (of the columns that satisfy (1) and are on the many side, half);
(3) unless an id would not fit into 31 bits: ids to 1.06e9 were seen, and 2.67e9 was not taken;
(4) unless a fraction has no power of ten that makes it whole;
(5) booleans never.

Magnitude is the largest power of ten that divides all values (0.01: hundreds), for doubles the smallest that makes all
whole (100: cents). The smallest id is 3, LastId stays 2. docs/formats/encoding.md has the counts.

The engine decides on the first rows it reads, which is why some columns of genuine files do not follow their own
numbers. We decide when all rows are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64] | NDArray[np.float64]

_ROWS_PER_VALUE_MAX = 20

_DATA_ID_END = 1 << 31

_EXPONENT_MAX = 15
"""Digits behind the point that a double can have at all."""

_EXACT_MAX = float(1 << 53)
"""Whole numbers to here are doubles."""

_WHOLE_MAX = (1 << 62) - (1 << 32)
"""Integers beyond are not taken: sums with BaseId would leave 64 bits."""


@dataclass(frozen=True, slots=True)
class ValueEncoding:
    """``BaseId`` and ``Magnitude`` of a column; *magnitude* is a power of ten, or the inverse of one."""

    base_id: int
    magnitude: float

    def values(self, data_ids: NDArray[np.uint32], *, is_real: bool) -> Numbers:
        """What ids stand for, as the column is read."""
        numerators = data_ids.astype(np.int64) + self.base_id
        if is_real:
            return numerators / self.magnitude
        if self.magnitude < 1:
            return numerators * round(1 / self.magnitude)
        return numerators // round(self.magnitude)

    def data_ids(self, values: Numbers) -> NDArray[np.uint32] | None:
        """The ids of values; None if one has none."""
        numerators = self._numerators(values)
        if numerators is None or len(numerators) == 0:
            return numerators if numerators is None else numerators.astype(np.uint32)
        lowest, highest = int(numerators.min()) - self.base_id, int(numerators.max()) - self.base_id
        if lowest < FIRST_DATA_ID or highest >= _DATA_ID_END:
            return None
        data_ids = (numerators - self.base_id).astype(np.uint32)
        is_same = self.values(data_ids, is_real=values.dtype.kind == "f") == values
        return data_ids if bool(np.all(is_same)) else None

    def _numerators(self, values: Numbers) -> NDArray[np.int64] | None:
        """Values times Magnitude; where the product is not whole, some number near it."""
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                products = np.rint(values * self.magnitude)
            if np.count_nonzero(np.abs(products) <= _EXACT_MAX) < len(products):  # NaN is not
                return None
            return products.astype(np.int64)
        limit = _WHOLE_MAX // max(1, round(self.magnitude))
        if len(values) and (int(values.min()) < -limit or int(values.max()) > limit):
            return None
        if self.magnitude < 1:
            return values.astype(np.int64) // round(1 / self.magnitude)
        return values.astype(np.int64) * round(self.magnitude)


def choose(values: Numbers, *, row_count: int) -> ValueEncoding | None:
    """
    Decide about a column that is no key, in no relationship and not boolean.

    Args:
        values: the distinct values without BLANK, in any order.
        row_count: rows of the table.

    Returns:
        How the column is value-encoded; None if it is to have a dictionary.
    """
    if len(values) == 0 or row_count >= _ROWS_PER_VALUE_MAX * len(values):
        return None
    magnitude = _real_magnitude(values) if values.dtype.kind == "f" else _whole_magnitude(values)
    if magnitude is None:
        return None
    numerators = ValueEncoding(0, magnitude)._numerators(values)  # noqa: SLF001 - this class's own module
    if numerators is None:
        return None
    found = ValueEncoding(int(numerators.min()) - FIRST_DATA_ID, magnitude)
    return found if found.data_ids(values) is not None else None


def _whole_magnitude(values: Numbers) -> float:
    divisor = int(np.gcd.reduce(values.astype(np.int64)))
    exponent = 0
    while divisor and divisor % 10 == 0:
        divisor //= 10
        exponent += 1
    return float(f"1e-{exponent}")


def _real_magnitude(values: Numbers) -> float | None:
    """The smallest power of ten that makes doubles whole, so that dividing by it gives each of them back."""
    for exponent in range(_EXPONENT_MAX + 1):
        magnitude = 10.0**exponent
        products = values * magnitude
        if np.count_nonzero(np.abs(products) <= _EXACT_MAX) < len(products):
            return None
        if bool(np.all(np.rint(products) / magnitude == values)):
            return magnitude
    return None
