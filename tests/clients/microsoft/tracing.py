"""Verbs of traces: what the server tells while it works. One trace at a time."""

from __future__ import annotations

import threading
from typing import Any

import Microsoft.AnalysisServices as Amo
import Microsoft.AnalysisServices.Tabular as Tom
from connections import server
from System.Reflection import BindingFlags

_events: list[list] = []
_changed = threading.Condition()
_trace: Any = None
_stopped: list[str] = []
_answered = threading.Event()
_QUESTION = "SELECT [CATALOG_NAME] FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE [CATALOG_NAME] = 'does anybody hear this?'"


def _heard(_sender: Any, event: Any) -> None:
    with _changed:
        if event.TextData == _QUESTION:
            _answered.set()
            return
        _events.append([str(event.EventClass), str(event.EventSubclass), event.TextData, event.DatabaseName])
        _changed.notify_all()


def _ended(_sender: Any, event: Any) -> None:
    with _changed:
        _stopped.append(str(event.StopCause))
        _changed.notify_all()


_HEARD = Tom.TraceEventHandler(_heard)
_ENDED = Tom.TraceStoppedEventHandler(_ended)


def start_session_trace(*, user: str = "alice") -> None:
    _start(server(user).SessionTrace, user)


def start_trace(event_classes: list[str], columns: list[str], *, user: str = "alice") -> None:
    """A trace of one's own, of the given events."""
    trace = server(user).Traces.Add()
    # By its name alone, what a trace inherits would be found: the handlers of a component.
    flags = BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly
    events = trace.GetType().GetProperty("Events", flags).GetValue(trace)
    for name in event_classes:
        event = Tom.TraceEvent(getattr(Amo.TraceEventClass, name))
        for column in columns:
            event.Columns.Add(getattr(Amo.TraceColumn, column))
        events.Add(event)
    trace.Update()
    _start(trace, user)


def _start(trace: Any, user: str) -> None:
    """Start it, and wait until it hears: the library subscribes in a thread of its own, and does not wait for it."""
    global _trace  # noqa: PLW0603 - one at a time
    with _changed:
        _events.clear()
        _stopped.clear()
    trace.OnEvent += _HEARD
    trace.Stopped += _ENDED
    _answered.clear()
    trace.Start()
    _trace = trace
    for _ in range(100):
        server(user).Execute(f"<Statement xmlns='urn:schemas-microsoft-com:xml-analysis'>{_QUESTION}</Statement>")
        if _answered.wait(0.1):
            return
    raise TimeoutError("the trace hears nothing")


def events_until(event_class: str, subclass: str, *, timeout_s: float = 30.0) -> list[list]:
    """All events so far, as soon as one of that class and subclass is among them."""
    with _changed:
        _changed.wait_for(lambda: any(one[:2] == [event_class, subclass] for one in _events), timeout_s)
        return list(_events)


def stop_trace() -> list[str]:
    """Why it stopped, as its event says."""
    _trace.Stop()
    with _changed:
        _changed.wait_for(lambda: _stopped, 30)
    _trace.OnEvent -= _HEARD
    _trace.Stopped -= _ENDED
    return list(_stopped)


def drop_trace() -> None:
    """Of a trace of one's own."""
    _trace.Drop()
