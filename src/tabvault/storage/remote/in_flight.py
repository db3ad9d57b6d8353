"""
Calls on their way to a service, several at a time.

An upload sends the parts of an object side by side, but no more of them than its memory may hold, and wants what came
of them in the order of the object.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tabvault.storage.remote.wire import Stop

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

IN_FLIGHT_COUNT_MAX: Final = 4
"""Parts on their way at once; with the one being filled, that is what an upload holds in memory."""

_T = TypeVar("_T")


class InFlight(Generic[_T]):
    """
    A few threads, and the calls they make; for one thread that begins them.

    Attributes:
        stop: set when nobody waits for the results any more; ends what is on the wire, and pauses.
    """

    def __init__(self) -> None:
        self.stop = Stop()
        self._pool = ThreadPoolExecutor(IN_FLIGHT_COUNT_MAX, thread_name_prefix="upload")
        self._waiting: deque[Future[_T]] = deque()
        self._results: list[_T] = []

    def begin(self, call: Callable[[], _T]) -> None:
        """
        Hand *call* to a thread, and wait first while too many are on their way.

        Whatever an earlier call raised is raised here.
        """
        while len(self._waiting) >= IN_FLIGHT_COUNT_MAX:
            self._results.append(self._waiting.popleft().result())
        self._waiting.append(self._pool.submit(call))

    def results(self) -> list[_T]:
        """What the calls gave, in the order in which they were begun; waits for all of them, and raises as they do."""
        while self._waiting:
            self._results.append(self._waiting.popleft().result())
        return self._results

    def end(self, *, wait: bool) -> None:
        """Begin nothing more; *wait* until what is on the wire has ended, or leave it to itself."""
        self.stop.set()
        self._pool.shutdown(wait=wait, cancel_futures=True)
        self._waiting.clear()
