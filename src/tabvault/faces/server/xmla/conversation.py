"""
From a parsed request to the pieces of its answer: the session first, then what is asked in it.

A client that begins no session gets one for the length of the request. One command at a time runs in a session; what
else comes for it meanwhile is answered beside it, for a Cancel has to get through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.faces.server.xmla.discover import discover
from tabvault.faces.server.xmla.execute import execute
from tabvault.faces.server.xmla.results import OpenAnswer, discover_answer, execute_answer
from tabvault.faces.server.xmla.subscriptions import subscribe
from tabvault.formats.xmla.commands import Batch, CommitTransaction, Discover, Subscribe

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.waiting_client import WaitingClient
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.request import Execute, Request
    from tabvault.jobs.operations.caller import Caller


def answer(
    service: Service, caller: Caller, request: Request, loop: asyncio.AbstractEventLoop, client: WaitingClient
) -> Iterator[bytes] | OpenAnswer:
    """
    Do what *request* asks.

    Args:
        service: the server.
        caller: who asks.
        request: what.
        loop: the event loop that will send the events of a subscription.
        client: waits for the answer.

    Raises:
        TabvaultError: it cannot be done; becomes a fault.
    """
    header = request.session
    if header.begin:
        session = service.sessions.begin(caller)
    elif header.id is not None:
        session = service.sessions.resume(header.id, caller)
    else:
        session = service.sessions.passing(caller)
    kept = header.begin or header.id is not None
    operation = request.operation
    session_id = session.id if kept else None
    try:
        _take_over(service, session, caller, operation.properties)
        if isinstance(operation, Discover):
            return discover_answer(session_id, discover(service, session, caller, operation))
        if isinstance(operation.command, Subscribe):
            return subscribe(service, session, operation.command, loop)
        results = execute(service, session, caller, operation, client)
        return execute_answer(session_id, results, is_batch=_has_several_results(operation))
    except BaseException:
        if header.begin:  # a fault does not tell its id: nobody could go on with it, or end it
            service.sessions.end(session.id, caller, client=client)
        raise
    finally:
        if header.end and header.id is not None:
            service.traces.end_session(session.id)
            service.sessions.end(header.id, caller, client=client)


def _has_several_results(operation: Execute) -> bool:
    """
    Whether the results are wrapped as those of a Batch are.

    The tabular object model wants that of a commit as well, where it asks what was affected; of an empty result it then
    reads the model anew. Seen from TOM 19.118, which refuses an empty root alone.
    """
    asks = operation.properties.get("ReturnAffectedObjects", "0") not in {"0", ""}
    return isinstance(operation.command, Batch) or (asks and isinstance(operation.command, CommitTransaction))


def _take_over(service: Service, session: Session, caller: Caller, properties: Mapping[str, str]) -> None:
    """
    Properties that a request sets for its session.

    Raises:
        DatabaseNotFoundError, NotAuthorizedError: the catalogue is not there for the caller.
    """
    catalog = properties.get("Catalog")
    if catalog and catalog != session.catalog:
        info, _ = service.operations.find(caller, catalog)
        session.catalog = info.name
    application = properties.get("SspropInitAppName")
    if application:
        session.application = application[:256]
