"""Names close to one that is not there, for the hint of an error."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME_COUNT_MAX: Final = 20


def close_names(name: str, names: Iterable[str]) -> str | None:
    """``there is 'Sales' and 'Sale'``, or None when nothing is close; case of letters does not matter."""
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    return f"there is {' and '.join(repr(by_lower[lower]) for lower in close)}" if close else None


def all_names(names: Iterable[str]) -> str:
    """``there are 'Sales', 'Stores' and 7 more``, for when no name is close."""
    shown = [repr(name) for name in names]
    more = f" and {len(shown) - _NAME_COUNT_MAX} more" if len(shown) > _NAME_COUNT_MAX else ""
    return f"there are {', '.join(shown[:_NAME_COUNT_MAX])}{more}" if shown else "there are none"
