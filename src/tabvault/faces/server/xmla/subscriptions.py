"""Subscribe, and the traces that clients create: commands about events."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING

from tabvault.errors import RequestError
from tabvault.faces.server.xmla.results import OpenAnswer
from tabvault.faces.server.xmla.traces import Subscription, Trace

if TYPE_CHECKING:
    import asyncio

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.faces.server.xmla.traces import TraceEvent
    from tabvault.formats.xmla.commands import AlterTrace, CreateTrace, Delete, Subscribe, Unsubscribe
    from tabvault.jobs.operations.caller import Caller


def subscribe(service: Service, session: Session, command: Subscribe, loop: asyncio.AbstractEventLoop) -> OpenAnswer:
    """
    Begin to send events.

    Raises:
        RequestError: there is no such trace for him.
    """
    key = (session.caller.principal.label, command.subscription_id or str(uuid.uuid4()))
    if command.trace_id is None:
        classes: frozenset[int] = frozenset()
        session_id: str | None = session.id
    else:
        trace = _own_trace(service, session.caller, command.trace_id)
        classes = trace.event_classes
        session_id = None
    user = None if session.caller.principal.is_server_administrator else session.caller.principal.name

    def wants(event: TraceEvent) -> bool:
        return (
            (session_id is None or event.session_id == session_id)
            and (user is None or event.user == user)
            and (not classes or event.event_class in classes)
        )

    subscription = Subscription(loop, wants)
    service.traces.subscribe(key, subscription, trace_id=command.trace_id, session_id=session.id)
    return OpenAnswer(key, session.id, subscription)


def unsubscribe(service: Service, session: Session, command: Unsubscribe) -> None:
    """End a subscription; one that has ended already is none to complain about."""
    if command.trace_id is not None:
        _own_trace(service, session.caller, command.trace_id)
    key = None if command.subscription_id is None else (session.caller.principal.label, command.subscription_id)
    service.traces.unsubscribe(key=key, trace_id=command.trace_id, session_id=session.id)


def define_trace(service: Service, caller: Caller, command: AlterTrace | CreateTrace) -> None:
    """
    Create a trace, or change one.

    Raises:
        RequestError: it has no id, or there are as many as may be, or it is another user's.
    """
    trace_id = getattr(command, "trace_id", None) or command.id or command.name
    if not trace_id:
        raise RequestError("a trace needs an ID")
    known = next((trace for trace in service.traces if trace.id == trace_id), None)
    if known is not None:
        _own_trace(service, caller, trace_id)
    classes = frozenset(event.event_id for event in command.events) or (known.event_classes if known else frozenset())
    created = known.created if known else datetime.datetime.now(datetime.UTC)
    name = command.name or (known.name if known else trace_id)
    service.traces.create(Trace(trace_id, name, caller.principal.name, created, classes))


def delete_trace(service: Service, caller: Caller, command: Delete) -> None:
    """
    Remove a trace.

    Raises:
        RequestError: there is none of that id for him.
    """
    trace = _own_trace(service, caller, command.trace_id or "")
    service.traces.delete(trace.id)


def _own_trace(service: Service, caller: Caller, trace_id: str) -> Trace:
    trace = service.traces.find(trace_id)
    if trace.owner != caller.principal.name and not caller.principal.is_server_administrator:
        raise RequestError(f"there is no trace {trace_id[:80]!r}")
    return trace
