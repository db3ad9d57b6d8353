"""
Values of M that an expression can hold as constants, and their kinds.

======================  ===========================================================
M                       here
======================  ===========================================================
null, logical, text     None, bool, str
number                  int if it is written as a whole number, float otherwise
date, time, datetime    ``datetime.date``, ``datetime.time``, ``datetime.datetime``
duration                ``datetime.timedelta``
list, record            tuple, dict (while an expression is read; never in a recipe)
======================  ===========================================================

M counts 100 ns, Python and the model's storage do not: a constant with a finer fraction than a microsecond is refused.
"""

from __future__ import annotations

import datetime
import math
from typing import Final, Literal, TypeAlias, assert_never

Value: TypeAlias = (
    "bool | str | int | float | datetime.date | datetime.time | datetime.datetime | datetime.timedelta | None"
)

Kind = Literal["null", "logical", "text", "number", "date", "time", "datetime", "datetimezone", "duration", "binary"]
"""Values of different kinds are never equal, and have no order."""

_DIGIT_COUNT_MAX: Final = 28
"""A whole number with more digits is not exact in M either."""


def kind_of(value: Value) -> Kind:
    """The kind of *value*."""
    match value:
        case None:
            return "null"
        case bool():
            return "logical"
        case str():
            return "text"
        case int() | float():
            return "number"
        case datetime.datetime():
            return "datetime"
        case datetime.date():
            return "date"
        case datetime.time():
            return "time"
        case datetime.timedelta():
            return "duration"
        case _:
            assert_never(value)


def number(spelled: str) -> int | float | None:
    """The number that a literal spells; None if it is none that can be held exactly or as a double."""
    if len(spelled) > 400:
        return None
    if spelled[:2] in ("0x", "0X"):
        whole = int(spelled, 16)
        return whole if whole < 10**_DIGIT_COUNT_MAX else None
    if spelled.isdigit() and len(spelled.lstrip("0")) <= _DIGIT_COUNT_MAX:
        return int(spelled)
    if spelled.startswith("#"):
        return None
    real = float(spelled)
    return real if math.isfinite(real) else None


def constructed(function: str, arguments: tuple[Value, ...]) -> Value:
    """
    What ``#date(…)`` and its like make of *arguments*; None if these make none.

    Args:
        function: ``#date``, ``#time``, ``#datetime`` or ``#duration``.
        arguments: numbers, the last of which may have a fraction where it counts seconds.
    """
    numbers = [one for one in arguments if isinstance(one, int | float) and not isinstance(one, bool)]
    wanted = {"#date": 3, "#time": 3, "#datetime": 6, "#duration": 4}[function]
    if len(numbers) != len(arguments) or len(numbers) != wanted:
        return None
    *wholes, last = numbers
    if not all(isinstance(one, int) for one in wholes) or (function == "#date" and not isinstance(last, int)):
        return None
    microseconds = round(last * 1_000_000) if abs(last) < 1e9 else None
    if microseconds is None or abs(microseconds - last * 1_000_000) > 1e-3:
        return None
    seconds, fraction = divmod(microseconds, 1_000_000)
    whole = [int(one) for one in wholes]
    try:
        match function:
            case "#date":
                return datetime.date(whole[0], whole[1], int(last))
            case "#time":
                return datetime.time(whole[0], whole[1], seconds, fraction)
            case "#datetime":
                return datetime.datetime(whole[0], whole[1], whole[2], whole[3], whole[4], seconds, fraction)  # noqa: DTZ001 - M's datetime has no zone
            case _:
                return datetime.timedelta(whole[0], seconds, fraction, hours=whole[1], minutes=whole[2])
    except (ValueError, OverflowError):
        return None
