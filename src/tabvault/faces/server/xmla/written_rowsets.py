"""
Rowsets as they went over the wire, for clients who ask the same again.

A client that connects loads the whole model: some forty rowsets, which change only with the version of the database.
Writing one costs more than sending it. What was written of a table is kept as long as that table lives: tables that are
kept with an opened version are written once, all others are gone before anything could be kept of them.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

BYTE_COUNT_MAX: Final = 64 << 20
"""Of all rowsets that are kept; what comes beyond it is written anew each time."""


class WrittenRowsets:
    """The rowsets that one server keeps. Threads may share it."""

    def __init__(self) -> None:
        # A table that dies takes its own entry away, in whichever thread and moment that is: also while this lock is
        # held by the same thread.
        self._lock = threading.RLock()
        self._written: dict[int, tuple[weakref.ref[pa.Table], bytes]] = {}
        self._byte_count = 0

    def get(self, table: weakref.ref[pa.Table]) -> bytes | None:
        """What was written of *table*; None if nothing is kept."""
        living = table()
        if living is None:
            return None
        with self._lock:
            reference, content = self._written.get(id(living), (None, None))
        return content if reference is not None and reference() is living else None

    def keep(self, table: weakref.ref[pa.Table], content: bytes) -> None:
        """Keep what was written of *table*, if that still lives."""
        living = table()
        if living is None:
            return
        key = id(living)
        with self._lock:
            if key in self._written or self._byte_count + len(content) > BYTE_COUNT_MAX:
                return
            self._written[key] = (weakref.ref(living, lambda _: self._forget(key)), content)
            self._byte_count += len(content)

    def _forget(self, key: int) -> None:
        with self._lock:
            self._byte_count -= len(self._written.pop(key)[1])
