"""FILETIMEs and OLE dates against the examples of their specifications, and there and back again."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.model import filetime, ole_date

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (0, datetime.datetime(1601, 1, 1, tzinfo=UTC)),
        (116_444_736_000_000_000, datetime.datetime(1970, 1, 1, tzinfo=UTC)),
        (filetime.END - 10, datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_a_filetime_counts_from_1601(number: int, moment: datetime.datetime) -> None:
    assert filetime.moment(number) == moment
    assert filetime.of(moment) == number
    assert filetime.unix_microseconds(number) == (moment - datetime.datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime.timedelta(microseconds=1)
    )


def test_a_filetime_is_the_same_moment_in_every_zone() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    assert filetime.of(datetime.datetime(1970, 1, 1, 2, tzinfo=east)) == 116_444_736_000_000_000


def test_no_filetime_is_after_the_last_year() -> None:
    with pytest.raises(OverflowError):
        filetime.moment(filetime.END)


def test_the_clock_shows_a_filetime() -> None:
    before = datetime.datetime.now(UTC)
    now = filetime.now()
    after = datetime.datetime.now(UTC)
    microsecond = 10
    assert filetime.of(before) - microsecond <= now <= filetime.of(after) + microsecond


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (0.0, "1899-12-30T00:00:00"),
        (1.0, "1899-12-31T00:00:00"),
        (2.25, "1900-01-01T06:00:00"),
        (-1.0, "1899-12-29T00:00:00"),
        (-1.25, "1899-12-29T06:00:00"),
        (45293.5, "2024-01-02T12:00:00"),
        (float(ole_date.DAYS_MIN), "0100-01-01T00:00:00"),
    ],
)
def test_the_fraction_of_an_ole_date_counts_forward_from_midnight(number: float, moment: str) -> None:
    assert ole_date.moment(number).isoformat() == moment
    assert ole_date.of(datetime.datetime.fromisoformat(moment)) == number


@pytest.mark.parametrize(
    ("number", "error"), [(1e300, OverflowError), (float("inf"), OverflowError), (float("nan"), ValueError)]
)
def test_what_is_no_ole_date_is_no_moment(number: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        ole_date.moment(number)


@given(st.lists(st.integers(ole_date.MICROSECONDS_MIN, ole_date.MICROSECONDS_END - 1), min_size=1, max_size=5))
@settings(deadline=None)
def test_one_date_and_an_array_of_dates_are_the_same_dates(microseconds: list[int]) -> None:
    moments = [
        ole_date.ZERO + datetime.timedelta(microseconds=one - ole_date.ZERO_MICROSECONDS) for one in microseconds
    ]
    dates = ole_date.of_microseconds(np.array(microseconds))
    assert dates.tolist() == [ole_date.of(moment) for moment in moments]
    assert ole_date.microseconds(dates).tolist() == [
        (ole_date.moment(date) - ole_date.ZERO) // datetime.timedelta(microseconds=1) + ole_date.ZERO_MICROSECONDS
        for date in dates.tolist()
    ]
