"""
OLE dates: points in time without a zone as doubles, days since 30 December 1899 ([MS-OAUT] 2.2.25).

The sign is that of the day alone: the fraction always counts forward from midnight, so -1.25 is six o'clock on
29 December. They go from the year 100 to 9999. The fraction is exact to 0.3 microseconds until the year 2079, to 20 in
the year 9999, and so the nearest microsecond is what one stands for.

Dictionaries of dates hold them (read off genuine files), and so do ``Partition.RangeStart`` and ``RangeEnd``, whose
columns are REAL (a guess, because every genuine file has 0.0 there).
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZERO: Final = datetime.datetime(1899, 12, 30)  # noqa: DTZ001 - OLE dates have no zone

DAYS_MIN: Final = -657_434
"""1 January 100."""
DAYS_END: Final = 2_958_466
"""1 January 10000, which is none any more."""

DAY_MICROSECONDS: Final = 86_400_000_000

_UNIX_EPOCH_DAYS: Final = 25_569
"""1 January 1970."""

ZERO_MICROSECONDS: Final = -_UNIX_EPOCH_DAYS * DAY_MICROSECONDS
"""The zero in microseconds since 1970, as are the two ends below."""
MICROSECONDS_MIN: Final = (DAYS_MIN - _UNIX_EPOCH_DAYS) * DAY_MICROSECONDS
MICROSECONDS_END: Final = (DAYS_END - _UNIX_EPOCH_DAYS) * DAY_MICROSECONDS


def of(moment: datetime.datetime) -> float:
    """The wall clock of *moment*."""
    passed = moment.replace(tzinfo=None) - ZERO
    return float(of_microseconds(np.array([passed // datetime.timedelta(microseconds=1) + ZERO_MICROSECONDS]))[0])


def moment(ole_date: float) -> datetime.datetime:
    """
    What *ole_date* stands for, to the nearest microsecond.

    Raises:
        OverflowError: it is before the year 1 or after 9999.
        ValueError: it is not a number.
    """
    days, fraction = day_and_fraction(ole_date)
    return ZERO + datetime.timedelta(days=days, microseconds=round(fraction * DAY_MICROSECONDS))


def day_and_fraction(ole_date: float) -> tuple[int, float]:
    """
    The day, counted from the zero, and how much of it has passed.

    Raises:
        OverflowError: it is infinite.
        ValueError: it is not a number.
    """
    days = int(ole_date)
    return days, abs(ole_date - days)


def of_microseconds(microseconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """
    The nearest OLE date on the same day of each point in time.

    Args:
        microseconds: since 1970, from :data:`MICROSECONDS_MIN` to before :data:`MICROSECONDS_END`.
    """
    days, time = np.divmod(microseconds, DAY_MICROSECONDS)
    days += _UNIX_EPOCH_DAYS
    fractions = time / DAY_MICROSECONDS
    ole_dates: NDArray[np.float64] = np.where(days < 0, days - fractions, days + fractions)
    is_next_day = np.trunc(ole_dates) != days  # the double nearest to the last microseconds is the next midnight
    if np.any(is_next_day):
        ole_dates[is_next_day] = np.nextafter(ole_dates[is_next_day], 0.0)
    return ole_dates


def microseconds(ole_dates: NDArray[np.float64]) -> NDArray[np.int64]:
    """
    Microseconds since 1970 of each OLE date.

    Day and time are rounded apart: together they would not fit into a double.

    Args:
        ole_dates: at most some 106 million days from the zero, which is what 64 bits of microseconds reach.
    """
    days: NDArray[np.float64] = np.trunc(ole_dates)
    time: NDArray[np.float64] = np.rint(np.abs(ole_dates - days) * DAY_MICROSECONDS)
    return (days.astype(np.int64) - _UNIX_EPOCH_DAYS) * DAY_MICROSECONDS + time.astype(np.int64)
