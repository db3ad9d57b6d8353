"""
Calls on their way to a service, several at a time.

An upload sends the parts of an object side by side, but no more of them than its memory may hold, and wants what came
of them in the order of the object.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tabvault.storage.remote.wire import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FLIGHT_COUNT_MAX: Final = 4
"""Parts on their way at once."""

_HELD_COUNT_MAX: Final = IN_FLIGHT_COUNT_MAX + 1
"""With the one that waits for a thread; with the one being filled besides, that is what an upload holds in memory."""

_T = TypeVar("_T")


class InFlight(Generic[_T]):
    """
    A few threads, and the calls they make; for one thread that begins them.

    A thread that is done takes the next call, whichever of the others is slow.

    Attributes:
        stop: set when nobody waits for the results any more; ends what is on the wire, and pauses.
    """

    def __init__(self) -> None:
        self.stop = Stop()
        self._pool = ThreadPoolExecutor(IN_FLIGHT_COUNT_MAX, thread_name_prefix="upload")
        self._places = threading.Semaphore(_HELD_COUNT_MAX)
        self._results: dict[int, _T] = {}
        self._begun_count = 0
        self._failure: BaseException | None = None

    def begin(self, call: Callable[[], _T]) -> None:
        """
        Hand *call* to a thread, and wait first while too many are on their way.

        Whatever an earlier call raised is raised here.
        """
        self._take_place()
        self._pool.submit(self._make, call, self._begun_count)
        self._begun_count += 1

    def results(self) -> list[_T]:
        """What the calls gave, in the order in which they were begun; waits for all of them, and raises as they do."""
        for _ in range(_HELD_COUNT_MAX):
            self._take_place()
        self._places.release(_HELD_COUNT_MAX)
        return [self._results[index] for index in range(self._begun_count)]

    def end(self, *, wait: bool) -> None:
        """Begin nothing more; *wait* until what is on the wire has ended, or leave it to itself."""
        self.stop.set()
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def _take_place(self) -> None:
        """One of those that calls take while they are on their way; where one has failed, none is to be had."""
        self._places.acquire()
        if self._failure is not None:
            self._places.release()
            raise self._failure

    def _make(self, call: Callable[[], _T], index: int) -> None:
        try:
            self._results[index] = call()
        except BaseException as error:  # noqa: BLE001 - raised again for whoever began the call
            self._failure = self._failure or error
        finally:
            self._places.release()
