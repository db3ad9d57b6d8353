"""
FILETIMEs: points in time as whole numbers, 100 ns since 1 January 1601, UTC ([MS-DTYP] 2.3.3).

``ModifiedTime`` and its like in the metadata are such numbers, and so are the times of files in a backup's virtual
directory and log. A Python time holds microseconds: the last digit is dropped when a FILETIME becomes one.
"""

from __future__ import annotations

import datetime
import time
from typing import Final

NEVER: Final = 31_240_512_000_000_000
"""31 December 1699: ``RefreshedTime`` of what was never refreshed, in every genuine file."""

END: Final = 2_650_467_744_000_000_000
"""1 January 10000, which is no time any more."""

_UNIX_EPOCH: Final = 116_444_736_000_000_000
"""1 January 1970."""

_ZERO: Final = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)


def now() -> int:
    """What the clock shows."""
    return time.time_ns() // 100 + _UNIX_EPOCH


def of(moment: datetime.datetime) -> int:
    """*moment*, which has a zone."""
    return (moment - _ZERO) // datetime.timedelta(microseconds=1) * 10


def moment(filetime: int) -> datetime.datetime:
    """
    The time that *filetime* stands for, in UTC.

    Raises:
        OverflowError: it is after the year 9999.
    """
    return _ZERO + datetime.timedelta(microseconds=filetime // 10)


def unix_microseconds(filetime: int) -> int:
    """Microseconds since 1970."""
    return (filetime - _UNIX_EPOCH) // 10
