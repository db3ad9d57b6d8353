"""
Times as the metadata hold them.

``ModifiedTime`` and its like are FILETIMEs: 100 ns since 1601, UTC. ``Partition.RangeStart`` and ``RangeEnd``, whose
columns are REAL, are days since 30 December 1899 without a zone (OLE dates: a guess, because every genuine file has 0.0
there, and the engine keeps its dates so wherever it has a REAL).
"""

from __future__ import annotations

import datetime
from typing import Final

NEVER: Final = 31_240_512_000_000_000
"""``RefreshedTime`` of what was never refreshed, in every genuine file."""

_FILETIME_ZERO: Final = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_OLE_ZERO: Final = datetime.datetime(1899, 12, 30, tzinfo=datetime.UTC)


def filetime(time: datetime.datetime) -> int:
    """*time*, which has a zone, in 100 ns since 1601."""
    return (time - _FILETIME_ZERO) // datetime.timedelta(microseconds=1) * 10


def ole_date(time: datetime.datetime) -> float:
    """The wall clock of *time* in days since 30 December 1899."""
    return (time.replace(tzinfo=datetime.UTC) - _OLE_ZERO) / datetime.timedelta(days=1)
