"""
What makes two key values of a relationship equal.

======================================== =====================================================================
data types of the two columns            equal when
======================================== =====================================================================
the same                                 the stored values are; texts when the model's collation holds them so
both DATETIME, joined on the date part   their days are, whatever the time
INT64, DOUBLE, DECIMAL, DATETIME         the numbers are; a date counts as days since 30 December 1899
STRING and INT64, DOUBLE or DECIMAL      the text reads as that number, as ``50``, ``-2.5`` or ``1e3``
======================================== =====================================================================

Other pairs are refused by name. Whole numbers are compared as such, without a detour through doubles: two keys over
2^53 never become one. A text that is no number equals none.

Sources: relationships of genuine files between INT64 and STRING (in both directions), DOUBLE and STRING, INT64 and
DOUBLE, and on the date part, whose indexes say what the engine found. Guesses: DECIMAL with others, dates with numbers,
and texts that read as a number in another spelling than the engine would write (``050``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.errors import ProcessingError
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.dictionary import Entries

    EqualityKeys = Callable[[pa.StringArray | pa.LargeStringArray], pa.BinaryArray | pa.LargeBinaryArray]
    """For each text a key, the same if and only if the collation holds the texts equal."""

_NUMBERS = frozenset({DataType.INT64, DataType.DOUBLE, DataType.DECIMAL, DataType.DATETIME})

_READ_FROM_TEXT = frozenset({DataType.INT64, DataType.DOUBLE, DataType.DECIMAL})

_SAME_ONLY = frozenset({DataType.BOOLEAN, DataType.STRING})

_DECIMAL_FACTOR = 10_000
"""A DECIMAL is stored as a whole number of its ten thousandths."""

_NUMBER_PATTERN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"

_WHOLE_PATTERN = r"^[+-]?[0-9]{1,19}$"
_WHOLE_TEXT = pa.decimal128(19, 0)
"""As many digits as 64 bits can have."""

_INT64_MIN = pa.scalar(Decimal(-(1 << 63)), _WHOLE_TEXT)
_INT64_MAX = pa.scalar(Decimal((1 << 63) - 1), _WHOLE_TEXT)
_INT64_END = 2.0**63


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """
    A column of a relationship.

    Attributes:
        table: name of its table, for errors.
        name: its name, for errors.
        data_type: its data type.
        data_ids: of its rows in stored order, 2 for BLANK. On the many side any array with the same ids will do.
        entries: of its hash dictionary, entry i of data id i + 3; None for VALUE encoding.
        base_id: of VALUE encoding: the value of id n is ``(n + base_id) / magnitude``.
        magnitude: of VALUE encoding.
    """

    table: str
    name: str
    data_type: DataType
    data_ids: NDArray[np.uint32] = field(repr=False)
    entries: Entries | None = field(repr=False)
    base_id: int = 0
    magnitude: float = 1.0

    def values(self, ids: NDArray[np.uint32]) -> Entries:
        """What *ids*, of which none is BLANK, stand for, as the dictionary stores it."""
        if isinstance(self.entries, np.ndarray):
            return self.entries[ids.astype(np.int64) - FIRST_DATA_ID]
        if self.entries is not None:
            return self.entries.take(pa.array(ids.astype(np.int64) - FIRST_DATA_ID))
        numerators = ids.astype(np.int64) + self.base_id
        if self.data_type in {DataType.DOUBLE, DataType.DATETIME}:
            return numerators.astype(np.float64) / self.magnitude
        if self.magnitude < 1:
            return numerators * round(1 / self.magnitude)
        return numerators // round(self.magnitude)

    def __str__(self) -> str:
        """The name as formulas write it."""
        return f"'{self.table}'[{self.name}]"


def comparable(
    column: KeyColumn,
    ids: NDArray[np.uint32],
    other: DataType,
    *,
    equality_keys: EqualityKeys,
    is_on_date_part: bool,
) -> pa.Array:
    """
    The values of a key column in the form in which they are compared with those of another one.

    Args:
        column: the column.
        ids: data ids of it, none of them BLANK.
        other: the data type of the other column.
        equality_keys: of texts under the model's collation.
        is_on_date_part: ``Relationship.JoinOnDateBehavior`` is 2; without meaning unless both columns are dates.

    Returns:
        An array as long as *ids*, null where a value equals none of the other column.

    Raises:
        ProcessingError: values of these data types are not compared.
    """
    own = column.data_type
    stored = column.values(ids)
    if own == other == DataType.STRING:
        return equality_keys(stored).cast(pa.large_binary())
    if own == other and own in _NUMBERS | _SAME_ONLY:
        return _same(stored, is_date_part=is_on_date_part and own == DataType.DATETIME)
    is_text = DataType.STRING in {own, other}
    if not {own, other} <= (_READ_FROM_TEXT | {DataType.STRING} if is_text else _NUMBERS):
        raise ProcessingError(
            f"{column} is of data type {own.name}, and is related to a column of data type {other.name}",
            hint="give both columns of the relationship one data type",
        )
    if DataType.INT64 in {own, other}:
        return _as_whole(stored, own)
    return pa.array(_as_doubles(stored, own), from_pandas=True)  # what is not a number is null


def _same(stored: Entries, *, is_date_part: bool) -> pa.Array:
    if stored.dtype != np.float64:
        return pa.array(stored.astype(np.int64))
    days = np.trunc(stored) if is_date_part else stored
    return pa.array(days + 0.0, from_pandas=True)  # -0.0 becomes 0.0, what is not a number becomes null


def _as_doubles(stored: Entries, data_type: DataType) -> NDArray[np.float64]:
    """Not a number where a text is none."""
    doubles: NDArray[np.float64]
    if data_type == DataType.STRING:
        trimmed = pc.utf8_trim_whitespace(stored)
        numbers = _where(pc.match_substring_regex(trimmed, _NUMBER_PATTERN), trimmed).cast(pa.float64())
        doubles = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
    else:
        doubles = stored / (_DECIMAL_FACTOR if data_type == DataType.DECIMAL else 1)
    return doubles + 0.0  # -0.0 becomes 0.0


def _as_whole(stored: Entries, data_type: DataType) -> pa.Array:
    """As int64, null where a value is not whole or does not fit."""
    if data_type == DataType.INT64:
        return pa.array(stored.astype(np.int64))
    if data_type == DataType.DECIMAL:
        values, remainders = np.divmod(stored.astype(np.int64), _DECIMAL_FACTOR)
        return pa.array(values, mask=remainders != 0)
    doubles = _as_doubles(stored, data_type)
    fits = (np.trunc(doubles) == doubles) & (doubles >= -_INT64_END) & (doubles < _INT64_END)
    rounded = pa.array(np.where(fits, doubles, 0.0).astype(np.int64), mask=~fits)
    return rounded if data_type != DataType.STRING else pc.coalesce(_whole_texts(stored), rounded)


def _whole_texts(texts: pa.StringArray | pa.LargeStringArray) -> pa.Array:
    """The whole numbers among *texts*, read digit by digit."""
    trimmed = pc.utf8_trim_whitespace(texts)
    numbers = _where(pc.match_substring_regex(trimmed, _WHOLE_PATTERN), trimmed).cast(_WHOLE_TEXT)
    fits = pc.and_(pc.greater_equal(numbers, _INT64_MIN), pc.less_equal(numbers, _INT64_MAX))
    return _where(fits, numbers).cast(pa.int64())


def _where(condition: pa.BooleanArray, values: pa.Array) -> pa.Array:
    """The values for which *condition* holds, null for the others."""
    return pc.if_else(condition, values, pa.scalar(None, values.type))
