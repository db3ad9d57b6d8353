"""Waiting for what another thread or process is about to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def eventually(holds: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait until *holds* is true, and fail when it is not in time."""
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.01)
