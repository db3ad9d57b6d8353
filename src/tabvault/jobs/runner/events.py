"""
Telling those who watch what happens to jobs.

Each subscriber has a thread of its own that calls it, and a queue between:

1. A job never waits for a subscriber, whatever that one does.
2. A subscriber gets the events of one job in their order: created, began, then steps and progress, ended.
3. It gets every event but progress. Of progress that waits in its queue only the latest of a job is kept, so the queue
   is as long as there are other events that wait.
4. A subscriber that lies :data:`WAITING_COUNT_MAX` events behind is let go, with a warning in the log: one that has
   stopped for good must not fill the memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.storage.server_state.job import Job

WAITING_COUNT_MAX: Final = 10_000
"""Some megabytes; thousands of jobs, while one takes seconds."""

_log = logging.getLogger(__name__)


class JobEventKind(StrEnum):
    """What happened to a job. A step begins, progress is made within one."""

    CREATED = "created"
    BEGAN = "began"
    STEP = "step"
    PROGRESS = "progress"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What happened, and the job after it."""

    kind: JobEventKind
    job: Job


class JobEvents:
    """The subscribers of one runner. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[_Subscription, ...] = ()

    def subscribe(self, callback: Callable[[JobEvent], object]) -> Callable[[], None]:
        """
        Call *callback* with every event from now on, in a thread of its own.

        An exception from it is logged, and the next event is delivered all the same.

        Returns:
            A function that ends this; events that wait are not delivered any more.
        """
        subscription = _Subscription(callback)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)
            subscription.end(deliver=False)

        return unsubscribe

    def publish(self, event: JobEvent) -> None:
        """Hand *event* to all subscribers."""
        for subscription in self._subscriptions:
            subscription.put(event)

    def close(self, *, timeout_s: float) -> None:
        """Deliver what waits, for at most *timeout_s* for all together, and end every subscription."""
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, ()
        for subscription in subscriptions:
            subscription.end(deliver=True)
        deadline_s = time.monotonic() + timeout_s
        for subscription in subscriptions:
            subscription.join(max(0.0, deadline_s - time.monotonic()))


@dataclass(slots=True)
class _Waiting:
    event: JobEvent


class _Subscription:
    """One subscriber: its queue and its thread."""

    def __init__(self, callback: Callable[[JobEvent], object]) -> None:
        self._callback = callback
        self._changed = threading.Condition()
        self._is_open = True
        self._queue: deque[_Waiting] = deque()
        # The progress of a job that waits and may still be replaced: no other event of that job came after it.
        self._latest: dict[str, _Waiting] = {}
        self._thread = threading.Thread(target=self._deliver, name="job events", daemon=True)
        self._thread.start()

    def put(self, event: JobEvent) -> None:
        with self._changed:
            if not self._is_open:
                return
            waiting = _Waiting(event)
            if event.kind is JobEventKind.PROGRESS:
                latest = self._latest.setdefault(event.job.id, waiting)
                if latest is not waiting:
                    latest.event = event
                    return
            else:
                self._latest.pop(event.job.id, None)
            if len(self._queue) >= WAITING_COUNT_MAX:
                _log.warning("a subscriber to jobs is %d events behind and is let go", WAITING_COUNT_MAX)
                self._end(deliver=False)
                return
            self._queue.append(waiting)
            self._changed.notify()

    def end(self, *, deliver: bool) -> None:
        with self._changed:
            self._end(deliver=deliver)

    def join(self, timeout_s: float) -> None:
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _end(self, *, deliver: bool) -> None:
        self._is_open = False
        if not deliver:
            self._queue.clear()
        self._latest.clear()
        self._changed.notify()

    def _deliver(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or not self._is_open)
                if not self._queue:
                    return
                event = self._taken()
            try:
                self._callback(event)
            except Exception:  # noqa: BLE001 - the edge of a thread; the other events are not to be lost
                _log.exception("a subscriber to jobs failed at %s of job %s", event.kind, event.job.id)

    def _taken(self) -> JobEvent:
        waiting = self._queue.popleft()
        if self._latest.get(waiting.event.job.id) is waiting:
            del self._latest[waiting.event.job.id]
        return waiting.event
