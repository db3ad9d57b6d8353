"""
Traces: what the server is doing, as rows that arrive while it does it.

A subscription is one answer that stays open: a rowset whose rows are events. It ends when the client unsubscribes,
deletes the trace, ends the session or goes away, and when the server stops. The session's own trace tells of that
session; a trace that was created tells a server administrator of all sessions, anybody else of his own.

Invariants:

1. An event is published from any thread without waiting for a subscriber.
2. A subscriber that does not read loses progress events first and then is ended; it never holds up a job, and its
   queue is bounded.
3. The events of a command that it gets are in order, and an end comes after its begin.

Sources: event classes, subclasses and columns are those of the public documentation of trace events; how a
subscription lies on the wire was seen from AMO 19.118.
"""

from __future__ import annotations

import asyncio
import datetime
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa

from tabvault.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

QUEUE_EVENT_COUNT_MAX: Final = 10_000
"""Events that wait for a slow subscriber."""

TRACE_COUNT_MAX: Final = 100

PROGRESS_REPORT_BEGIN: Final = 5
PROGRESS_REPORT_END: Final = 6
PROGRESS_REPORT_CURRENT: Final = 7
PROGRESS_REPORT_ERROR: Final = 8
COMMAND_BEGIN: Final = 15
COMMAND_END: Final = 16
ERROR: Final = 17

COLUMNS: Final = pa.schema(
    [
        pa.field("EventClass", pa.int32()),
        pa.field("EventSubclass", pa.int32()),
        pa.field("CurrentTime", pa.timestamp("us")),
        pa.field("StartTime", pa.timestamp("us")),
        pa.field("EndTime", pa.timestamp("us")),
        pa.field("Duration", pa.int64()),
        pa.field("ConnectionID", pa.int64()),
        pa.field("DatabaseName", pa.string()),
        pa.field("IntegerData", pa.int64()),
        pa.field("ObjectName", pa.string()),
        pa.field("ProgressTotal", pa.int64()),
        pa.field("SessionID", pa.string()),
        pa.field("SPID", pa.string()),
        pa.field("Success", pa.int32()),
        pa.field("Error", pa.string()),
        pa.field("NTUserName", pa.string()),
        pa.field("ApplicationName", pa.string()),
        pa.field("ServerName", pa.string()),
        pa.field("TextData", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One event; names and meaning of the columns are those of the documentation. Times are UTC."""

    event_class: int
    event_subclass: int
    text: str
    session_id: str
    user: str
    spid: int = 0
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    database: str | None = None
    object_name: str | None = None
    integer_data: int | None = None
    progress_total: int | None = None
    success: bool | None = None
    error: str | None = None
    application: str | None = None

    @property
    def is_droppable(self) -> bool:
        """Whether later events say the same better."""
        return self.event_class == PROGRESS_REPORT_CURRENT

    def row(self, server_name: str) -> dict[str, object]:
        """The cells of :data:`COLUMNS`."""
        now = datetime.datetime.now(datetime.UTC)
        duration = int((self.ended - self.started).total_seconds() * 1000) if self.started and self.ended else None
        return {
            "EventClass": self.event_class,
            "EventSubclass": self.event_subclass,
            "CurrentTime": now.replace(tzinfo=None),
            "StartTime": self.started.replace(tzinfo=None) if self.started else None,
            "EndTime": self.ended.replace(tzinfo=None) if self.ended else None,
            "Duration": duration,
            "DatabaseName": self.database,
            "IntegerData": self.integer_data,
            "ObjectName": self.object_name,
            "ProgressTotal": self.progress_total,
            "SessionID": self.session_id,
            "SPID": str(self.spid),
            "Success": None if self.success is None else int(self.success),
            "Error": self.error,
            "NTUserName": self.user,
            "ApplicationName": self.application,
            "ServerName": server_name,
            "TextData": self.text,
        }


SubscriptionKey: TypeAlias = "tuple[str, str]"
"""Who subscribed, and under which id: clients choose the ids."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace that a client created. *event_classes* empty: all."""

    id: str
    name: str
    owner: str
    created: datetime.datetime
    event_classes: frozenset[int]


class Subscription:
    """
    One open answer; :meth:`events` is read by the event loop, :meth:`offer` called by any thread.

    Args:
        loop: the event loop that reads.
        wants: whether an event is for this subscription.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wants: Callable[[TraceEvent], bool]) -> None:
        self._loop = loop
        self._wants = wants
        self._queue: asyncio.Queue[TraceEvent | None] = asyncio.Queue()
        self._waiting = 0
        self._ended = False
        self._lock = threading.Lock()

    def offer(self, event: TraceEvent) -> None:
        """Give it an event, if it is for it."""
        if not self._wants(event):
            return
        with self._lock:
            if self._ended or (event.is_droppable and self._waiting >= QUEUE_EVENT_COUNT_MAX // 2):
                return
            if self._waiting >= QUEUE_EVENT_COUNT_MAX:
                self._ended = True
                self._put(None)
                return
            self._waiting += 1
            self._put(event)

    def end(self) -> None:
        """No events come any more."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._put(None)

    def _put(self, event: TraceEvent | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, event)
        except RuntimeError:  # the loop is closed: nobody reads
            self._ended = True

    async def events(self) -> AsyncIterator[list[TraceEvent]]:
        """The events as they come, several at once where several wait."""
        while True:
            group = [await self._queue.get()]
            while not self._queue.empty():
                group.append(self._queue.get_nowait())
            wanted = [event for event in group if event is not None]
            with self._lock:
                self._waiting -= len(wanted)
            if wanted:
                yield wanted
            if len(wanted) < len(group):
                return


class Traces:
    """All traces and subscriptions of a server; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: dict[str, Trace] = {}
        self._subscriptions: dict[SubscriptionKey, tuple[Subscription, str | None, str]] = {}

    def __iter__(self) -> Iterator[Trace]:
        with self._lock:
            return iter(list(self._traces.values()))

    def create(self, trace: Trace) -> None:
        """
        Make a trace, or change the one of that id.

        Raises:
            RequestError: there are as many as may be.
        """
        with self._lock:
            if trace.id not in self._traces and len(self._traces) >= TRACE_COUNT_MAX:
                raise RequestError(f"there are {TRACE_COUNT_MAX} traces, as many as may be")
            self._traces[trace.id] = trace

    def find(self, trace_id: str) -> Trace:
        """
        The trace of that id.

        Raises:
            RequestError: there is none.
        """
        with self._lock:
            trace = self._traces.get(trace_id)
        if trace is None:
            raise RequestError(f"there is no trace {trace_id[:80]!r}")
        return trace

    def delete(self, trace_id: str) -> None:
        """
        Remove a trace and end its subscriptions.

        Raises:
            RequestError: there is none.
        """
        self.find(trace_id)
        with self._lock:
            self._traces.pop(trace_id, None)
            ended = [subscription for subscription, of, _ in self._subscriptions.values() if of == trace_id]
        for subscription in ended:
            subscription.end()

    def subscribe(
        self, key: SubscriptionKey, subscription: Subscription, *, trace_id: str | None, session_id: str
    ) -> None:
        """
        Begin to tell *subscription*.

        Raises:
            RequestError: there is one of that key.
        """
        with self._lock:
            if key in self._subscriptions:
                raise RequestError(f"there is a subscription {key[1][:80]!r} already")
            self._subscriptions[key] = (subscription, trace_id, session_id)

    def leave(self, key: SubscriptionKey) -> None:
        """The subscriber is gone."""
        with self._lock:
            self._subscriptions.pop(key, None)

    def unsubscribe(self, *, key: SubscriptionKey | None, trace_id: str | None, session_id: str) -> None:
        """End the subscription of that key, or those of the trace, or all of the session."""
        with self._lock:
            ended = [
                subscription
                for name, (subscription, of, session) in self._subscriptions.items()
                if (name == key if key else of == trace_id if trace_id else session == session_id)
            ]
        for subscription in ended:
            subscription.end()

    def end_session(self, session_id: str) -> None:
        """End the subscriptions of a session."""
        self.unsubscribe(key=None, trace_id=None, session_id=session_id)

    def end_all(self) -> None:
        """The server ends."""
        with self._lock:
            subscriptions = [subscription for subscription, _, _ in self._subscriptions.values()]
        for subscription in subscriptions:
            subscription.end()

    @property
    def is_watched(self) -> bool:
        """Whether anybody listens: an event that nobody sees need not be made."""
        return bool(self._subscriptions)

    def publish(self, event: TraceEvent) -> None:
        """Tell every subscriber whom the event is for."""
        with self._lock:
            subscriptions = [subscription for subscription, _, _ in self._subscriptions.values()]
        for subscription in subscriptions:
            subscription.offer(event)
