"""
Execute: commands in order, and what each gives.

A Batch with ``Transaction="true"`` changes the objects of one database, all or nothing; what cannot be undone together
with them (a backup, a restore, a drop) is refused there, unless it is the only command.
"""

from __future__ import annotations

import datetime
from contextlib import ExitStack, nullcontext
from itertools import groupby
from typing import TYPE_CHECKING

from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.faces.server.xmla import commands, subscriptions, tasks
from tabvault.faces.server.xmla.discover import discover, discover_all
from tabvault.faces.server.xmla.observation import CommandTrace
from tabvault.faces.server.xmla.refresh import refresh_objects
from tabvault.faces.server.xmla.results import Result
from tabvault.faces.server.xmla.sessions import RunningCommand, Transaction
from tabvault.faces.server.xmla.statements import execute_statement
from tabvault.formats.xmla import commands as xmla
from tabvault.model.changes.row_changes import row_changes
from tabvault.model.tmsl.commands import is_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.faces.server.service import Service
    from tabvault.faces.server.waiting_client import WaitingClient
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.request import Execute
    from tabvault.jobs.operations.caller import Caller

_UNDOABLE = (xmla.ObjectChanges, xmla.SequencePoint, xmla.Discover, xmla.Statement)


def execute(
    service: Service, session: Session, caller: Caller, operation: Execute, client: WaitingClient
) -> list[Result]:
    """
    Do what *operation* says.

    Args:
        service: of the server.
        session: in which it is asked.
        caller: who asks.
        operation: what.
        client: waits for the rows; when it is gone, what computes them is stopped.

    Returns:
        A result per command of a Batch, or the one of the command.

    Raises:
        TabvaultError: it cannot be done; of a batch without transaction the commands before it are done.
    """
    command = operation.command
    if isinstance(command, xmla.Statement) and not command.text.strip():
        return [Result()]  # begins or ends a session
    if isinstance(command, xmla.Cancel | xmla.Unsubscribe):
        # These come while another command runs in the session, and are not what it is doing.
        return [_simple(service, session, caller, command, operation.properties)]
    running = RunningCommand(type(command).__name__, datetime.datetime.now(datetime.UTC), client)
    session.running.append(running)
    if not _changes(command):
        client.on_gone(running.stop_questions)
    session.command_count += 1
    session.last_command, session.last_command_started = running.text, running.begun
    trace = CommandTrace(service, session, caller, command)
    trace.begin()
    try:
        service.pausing.check()  # now that a pause that begins later sees the command, and cancels it
        if isinstance(command, xmla.Batch):
            results = _batch(service, session, caller, command, operation.properties)
        else:
            results = [_simple(service, session, caller, command, operation.properties)]
    except Exception as error:
        _end(session, running, trace, error)
        raise
    # Rows are made while they are sent: the command goes on, and can be cancelled, until the last of them.
    open_rows = [result.rows for result in results if result.rows is not None]
    if open_rows:
        open_rows[-1].resources.callback(_end, session, running, trace, None)
    else:
        _end(session, running, trace, None)
    return results


def _changes(command: xmla.Command) -> bool:
    """Whether it changes something: then all of it goes on, questions of the same Batch too, whoever waits for it."""
    parts: tuple[xmla.BatchedCommand, ...] = command.commands if isinstance(command, xmla.Batch) else (command,)
    return not all(
        isinstance(part, xmla.Discover) or (isinstance(part, xmla.Statement) and not is_command(part.text))
        for part in parts
    )


def _end(session: Session, running: RunningCommand, trace: CommandTrace, error: Exception | None) -> None:
    session.last_command_ended = datetime.datetime.now(datetime.UTC)
    session.running.remove(running)
    trace.end(error)


def _batch(
    service: Service, session: Session, caller: Caller, batch: xmla.Batch, properties: Mapping[str, str]
) -> list[Result]:
    if batch.transaction and len(batch.commands) > 1:
        for command in batch.commands:
            if not isinstance(command, _UNDOABLE):
                raise CommandNotSupportedError(
                    f"the {type(command).__name__} command is not supported in a transaction with others",
                    hint="send it by itself",
                )
    discovers = [command for command in batch.commands if isinstance(command, xmla.Discover)]
    if len(discovers) == len(batch.commands):
        return [Result(rows) for rows in discover_all(service, session, caller, discovers, properties)]
    if not any(isinstance(command, xmla.ObjectChanges) for command in batch.commands):
        return _kept(_simple(service, session, caller, command, properties) for command in batch.commands)
    groups = [list(group) for _, group in groupby(batch.commands, _done_with)]
    # Changes of one group are all or none by themselves.
    changing_count = sum(isinstance(group[0], xmla.ObjectChanges) for group in groups)
    with tasks.together(service, session, caller) if batch.transaction and changing_count > 1 else nullcontext():
        return _kept(result for group in groups for result in _grouped(service, session, caller, group, properties))


def _kept(results: Iterator[Result]) -> list[Result]:
    """All of *results*; where one fails, what the rows before it hold open is let go of, for nobody reads them."""
    found = []
    with ExitStack() as opened:
        for result in results:
            found.append(result)
            if result.rows is not None:
                opened.callback(result.rows.resources.close)
        opened.pop_all()
    return found


def _grouped(
    service: Service,
    session: Session,
    caller: Caller,
    group: Sequence[xmla.BatchedCommand],
    properties: Mapping[str, str],
) -> list[Result]:
    if len(group) > 1:
        return _changed_together(service, session, caller, group)
    return [_simple(service, session, caller, group[0], properties)]


def _done_with(command: xmla.BatchedCommand) -> object:
    """The same for commands that are done together; its own for any other."""
    if isinstance(command, xmla.ObjectChanges):
        return command.verb == "refresh", command.database_id.casefold()
    return id(command)


def _changed_together(
    service: Service, session: Session, caller: Caller, group: Sequence[xmla.BatchedCommand]
) -> list[Result]:
    """Changes that follow each other are one sequence: what one refers to may be created by a later one."""
    together = [command for command in group if isinstance(command, xmla.ObjectChanges)]
    if together[0].verb == "refresh":
        warnings = refresh_objects(service, session, caller, together)
        return [commands.with_warnings(None, warnings), *(Result() for _ in together[1:])]
    changes = [change for command in together for change in row_changes(command)]
    tasks.change_model(service, session, caller, together[0].database_id, changes)
    return [Result() for _ in group]


def _simple(
    service: Service,
    session: Session,
    caller: Caller,
    command: xmla.BatchedCommand,
    properties: Mapping[str, str],
) -> Result:
    """One command that is no Batch."""
    match command:
        case xmla.Statement():
            return execute_statement(service, session, caller, command.text, properties)
        case xmla.Discover():
            return Result(discover(service, session, caller, command))
        case xmla.Backup():
            return commands.backup(service, session, caller, command)
        case xmla.Restore():
            return commands.restore(service, session, caller, command)
        case xmla.Delete() if command.trace_id is not None:
            subscriptions.delete_trace(service, caller, command)
        case xmla.Delete():
            return commands.drop(service, session, caller, command)
        case xmla.AlterDatabase():
            return commands.alter_database(service, session, caller, command)
        case xmla.CreateDatabase():
            return commands.create_database(service, session, caller, command)
        case xmla.AlterTrace() | xmla.CreateTrace():
            subscriptions.define_trace(service, caller, command)
        case xmla.Unsubscribe():
            subscriptions.unsubscribe(service, session, command)
        case xmla.ObjectChanges():
            return commands.change_objects(service, session, caller, command)
        case xmla.SequencePoint():
            pass  # what follows from the changes is worked out when they are made
        case xmla.BeginTransaction():
            if session.transaction is not None:
                raise RequestError("a transaction is open in the session")
            session.transaction = Transaction()
        case xmla.CommitTransaction():
            _require_transaction(session)
            tasks.commit(service, session, caller)
        case xmla.RollbackTransaction():
            _require_transaction(session)
            session.roll_back()
        case xmla.Cancel():
            commands.cancel(service, session, caller, command)
        case xmla.Attach():
            return commands.attach(service, session, caller, command)
        case xmla.Detach():
            return commands.detach(service, session, caller, command)
        case xmla.Subscribe():
            raise CommandNotSupportedError("Subscribe is not supported in a Batch", hint="send it by itself")
    return Result()


def _require_transaction(session: Session) -> None:
    if session.transaction is None:
        raise RequestError("no transaction is open in the session", hint="BeginTransaction begins one")
