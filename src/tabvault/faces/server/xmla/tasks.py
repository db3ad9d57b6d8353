"""
Doing what was asked: a task with its progress as trace events, and changes in the transaction of a session.

A session without a transaction commits each change by itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.faces.server.xmla.observation import TaskTrace
from tabvault.faces.server.xmla.sessions import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.jobs.alteration import Alteration
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.task import Task
    from tabvault.model.changes.change import Change


def run_task(service: Service, session: Session, caller: Caller, task: Task) -> Any:
    """Do a task with its progress as trace events."""
    trace = TaskTrace(service, session, caller, task)
    try:
        done = service.operations.run(caller, task, observer=trace)
    except Exception as error:
        trace.ended(error)
        raise
    trace.ended(None)
    return done


def change_model(service: Service, session: Session, caller: Caller, database: str, changes: Sequence[Change]) -> None:
    """Make changes to the model of a database; see :func:`alteration`."""
    with alteration(service, session, caller, database) as open_alteration:
        open_alteration.change(changes)


@contextmanager
def alteration(
    service: Service,
    session: Session,
    caller: Caller,
    database: str,
    begin: Callable[[Caller, str], Alteration] | None = None,
) -> Iterator[Alteration]:
    """
    The alteration of the session's transaction; without a transaction one of its own, committed at the end.

    Args:
        service: of the server.
        session: whose transaction it is part of.
        caller: who asks.
        database: name or id.
        begin: begins one; :meth:`Alterations.begin` by default.

    Raises:
        CommandNotSupportedError: a second database in one transaction.
    """
    begin = begin or service.operations.alterations.begin
    transaction = session.transaction
    if transaction is None:
        with begin(caller, database) as own:
            yield own
            _commit_changes(service, session, caller, own)
        return
    with transaction.lock:
        if transaction.is_over:
            raise RequestError("the transaction is over")
        if transaction.alteration is None:
            transaction.alteration = begin(caller, database)
        info = transaction.alteration.info
        if database.casefold() not in (info.id.casefold(), info.name.casefold()):
            raise CommandNotSupportedError("a transaction that changes two databases is not supported")
        yield transaction.alteration


def _commit_changes(service: Service, session: Session, caller: Caller, alteration: Alteration) -> None:
    if alteration.is_changed:
        run_task(service, session, caller, service.operations.alterations.commit(caller, alteration))


@contextmanager
def together(service: Service, session: Session, caller: Caller) -> Iterator[None]:
    """
    The changes in the block are made all or none.

    In a session without a transaction they have one of their own, committed at the end of the block.
    """
    if session.transaction is not None:
        yield
        return
    session.transaction = Transaction()
    try:
        yield
        commit(service, session, caller)
    finally:
        session.roll_back()


def commit(service: Service, session: Session, caller: Caller) -> None:
    """Commit the transaction of the session. Whatever is raised, it is over."""
    transaction, session.transaction = session.transaction, None
    if transaction is None:
        return
    with transaction.lock:
        transaction.is_over = True
        if transaction.alteration is None:
            return
        with transaction.alteration as alteration:
            _commit_changes(service, session, caller, alteration)
