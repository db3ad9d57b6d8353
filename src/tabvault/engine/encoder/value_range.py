"""
The lowest and highest value of a column as text, and the length of its longest text: what newer schemas keep.

``AttributeHierarchyStorage`` of schema versions from 95 on has ``MinValue`` and ``MaxValue``, the first and last member
of the attribute hierarchy that is not BLANK (so of a column that is sorted by another one they are in that one's
order), and ``StringValueMaxLength`` in UTF-16 units, 0 where values are no texts. Clients ask for them with
``COLUMNSTATISTICS()``.

================ ======================================================================
value            text
================ ======================================================================
text             itself
whole number     ``-2305``
double, decimal  ``0.83514281``, ``1E+20``: at most 15 digits, those of a decimal all
boolean          ``TRUE``, ``FALSE``
date             ``1/15/2025``, with a time of day ``1/15/2025 3:04:05 PM``
================ ======================================================================

Sources: the 244 columns of genuine files that have them, all under the culture en-US or without dates. Guesses: dates
under other cultures, times of day, exponents, decimals; that binary columns have none.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.formats.vertipaq.idfmeta import NULL_DATA_ID
from tabvault.model import ole_date
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.dictionary import Entries

_SECONDS_PER_DAY = 86_400

_DECIMAL_PLACES = 4

_SURROGATE_PAIRS = "[\U00010000-\U0010ffff]"
"""Characters of two UTF-16 units."""


class ValueRange(NamedTuple):
    """*lowest* and *highest* are None where there is no value. *string_max_length* is in UTF-16 units."""

    lowest: str | None
    highest: str | None
    string_max_length: int


def value_range(
    members: NDArray[np.uint32], data_type: DataType, values_of: Callable[[NDArray[np.uint32]], Entries]
) -> ValueRange:
    """
    The range of a column's values.

    Args:
        members: of the attribute hierarchy, in order.
        data_type: of the column.
        values_of: what data ids, none of them BLANK, stand for, as the dictionary stores it.
    """
    ids = members[members != NULL_DATA_ID]
    if not len(ids) or data_type == DataType.BINARY:
        return ValueRange(None, None, 0)
    ends = values_of(ids[[0, -1]])
    if not isinstance(ends, np.ndarray):
        lowest, highest = ends.to_pylist()
        return ValueRange(lowest, highest, _longest(values_of(ids)))
    return ValueRange(_text(ends[0].item(), data_type), _text(ends[1].item(), data_type), 0)


def _longest(texts: pa.StringArray | pa.LargeStringArray) -> int:
    units = pc.add(pc.utf8_length(texts), pc.count_substring_regex(texts, _SURROGATE_PAIRS))
    longest: int = pc.max(units).as_py()
    return longest


def _text(stored: float, data_type: DataType) -> str:
    if data_type == DataType.BOOLEAN:
        return "TRUE" if stored else "FALSE"
    if data_type == DataType.DECIMAL:
        return f"{Decimal(int(stored)).scaleb(-_DECIMAL_PLACES):f}".rstrip("0").rstrip(".")
    if data_type == DataType.DATETIME and ole_date.DAYS_MIN <= stored < ole_date.DAYS_END:
        return _date(stored)
    return str(stored) if isinstance(stored, int) else f"{stored:.15g}".upper()


def _date(stored: float) -> str:
    days, fraction = ole_date.day_and_fraction(stored)
    seconds = round(fraction * _SECONDS_PER_DAY)
    if days == ole_date.DAYS_END - 1:
        seconds = min(seconds, _SECONDS_PER_DAY - 1)  # behind the last day there is none to round to
    moment = ole_date.ZERO + timedelta(days=days, seconds=seconds)
    date = f"{moment.month}/{moment.day}/{moment.year}"
    if not seconds % _SECONDS_PER_DAY:
        return date
    return f"{date} {moment.hour % 12 or 12}:{moment:%M:%S} {'AM' if moment.hour < 12 else 'PM'}"
