"""
A call into DuckDB that Ctrl-C can end, and so can another thread.

Python sees a signal only between its own steps, and a query is one long step of DuckDB's. So the call runs in a
thread of its own while the caller waits in small steps; whatever wakes the caller tells DuckDB to stop, which it does
between the steps of its plan.

Another thread sets an event, and the caller sees it: whoever wants the call to end never touches the connection, which
by then may be closed. DuckDB forgets that it was to stop when it begins its next step; so it is told until it does.
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


def interruptible(
    connection: duckdb.DuckDBPyConnection,
    call: Callable[[], _Result],
    *,
    stopped: threading.Event | None = None,
    on_stop: Callable[[], None] | None = None,
) -> _Result:
    """
    What *call* returns or raises; an exception that comes to this thread meanwhile stops it.

    Args:
        connection: the one that *call* uses.
        call: a call into DuckDB.
        stopped: set by whoever wants DuckDB to stop; what *call* raises then is its interruption, if it came in time.
        on_stop: stops what DuckDB itself waits for, if it takes its rows from elsewhere.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []
    # Not Thread.join: interrupted by a signal, that of Python 3.11 takes the thread for ended while it still runs.
    is_over = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            errors.append(error)
        finally:
            is_over.set()

    threading.Thread(target=run, daemon=True, name="tabvault-query").start()
    try:
        while not is_over.wait(_STEP_S):
            if stopped is not None and stopped.is_set():
                connection.interrupt()
    except BaseException:
        connection.interrupt()
        if on_stop is not None:
            on_stop()
        is_over.wait(_PATIENCE_S)
        raise
    if errors:
        raise errors[0]
    return results[0]
