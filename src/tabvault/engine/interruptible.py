"""
A call into DuckDB that Ctrl-C can end.

Python sees a signal only between its own steps, and a query is one long step of DuckDB's. So the call runs in a
thread of its own while the caller waits in small steps; whatever wakes the caller tells DuckDB to stop, which it does
between the steps of its plan.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_Result = TypeVar("_Result")

_STEP_S: Final = 0.1
_PATIENCE_S: Final = 5.0
"""How long a call that was told to stop is waited for: planning cannot be stopped, and the process is ending anyway."""


def interruptible(connection: duckdb.DuckDBPyConnection, call: Callable[[], _Result]) -> _Result:
    """
    What *call* returns or raises; an exception that comes to this thread meanwhile stops it.

    Args:
        connection: the one that *call* uses.
        call: a call into DuckDB.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="tabvault-query")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_STEP_S)
    except BaseException:
        connection.interrupt()
        thread.join(_PATIENCE_S)
        raise
    if errors:
        raise errors[0]
    return results[0]
