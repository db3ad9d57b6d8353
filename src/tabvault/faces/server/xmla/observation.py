"""
A command as trace events: that it begins, how far it is, that it ends.

Subclasses are those of the public documentation, by what the command does.
"""

from __future__ import annotations

import datetime
import re
import time
from typing import TYPE_CHECKING, Final

from tabvault.errors import TabvaultError
from tabvault.faces.server.xmla import traces
from tabvault.faces.server.xmla.traces import TraceEvent
from tabvault.formats.xmla import commands as xmla

if TYPE_CHECKING:
    from tabvault.faces.server.service import Service
    from tabvault.faces.server.xmla.sessions import Session
    from tabvault.formats.xmla.commands import Command
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.task import Task
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.runner.context import JobContext

PROGRESS_INTERVAL_S: Final = 0.1

_COMMAND_SUBCLASSES: Final[dict[type, int]] = {
    xmla.CreateDatabase: 0,
    xmla.CreateTrace: 0,
    xmla.AlterDatabase: 1,
    xmla.AlterTrace: 1,
    xmla.Delete: 2,
    xmla.Backup: 8,
    xmla.Restore: 9,
    xmla.Batch: 12,
    xmla.BeginTransaction: 13,
    xmla.CommitTransaction: 14,
    xmla.RollbackTransaction: 15,
    xmla.Attach: 20,
    xmla.Detach: 21,
    xmla.SequencePoint: 34,
}
_CHANGE_SUBCLASSES: Final = {"create": 26, "alter": 27, "rename": 27, "delete": 28, "refresh": 29}
_JSON_COMMAND: Final = 38
_UNKNOWN_COMMAND: Final = 10000
_PROGRESS_SUBCLASSES: Final = {"backup": 37, "restore": 38, "detach": 41, "attach": 42, "alter": 57, "create": 57}
_PROCESS: Final = 1

_PASSWORD: Final = re.compile("password", re.IGNORECASE)


class CommandTrace:
    """The begin and the end of one command."""

    def __init__(self, service: Service, session: Session, caller: Caller, command: Command) -> None:
        self._service = service
        self._session = session
        self._caller = caller
        self._subclass = _subclass(command)
        self._text = _text(command)
        self._begun = datetime.datetime.now(datetime.UTC)

    def begin(self) -> None:
        """Tell that it begins."""
        if self._service.traces.is_watched:
            self._publish(traces.COMMAND_BEGIN)

    def end(self, error: Exception | None) -> None:
        """Tell that it ended, and how."""
        if not self._service.traces.is_watched:
            return
        if error is not None:
            self._publish(traces.ERROR, text=_words(error), success=False)
        self._publish(traces.COMMAND_END, ended=datetime.datetime.now(datetime.UTC), success=error is None)

    def _publish(
        self,
        event_class: int,
        *,
        text: str | None = None,
        ended: datetime.datetime | None = None,
        success: bool | None = None,
    ) -> None:
        self._service.traces.publish(
            TraceEvent(
                event_class=event_class,
                event_subclass=self._subclass,
                text=self._text if text is None else text,
                session_id=self._session.id,
                user=self._caller.principal.name,
                spid=self._session.spid,
                started=self._begun,
                ended=ended,
                database=self._session.catalog,
                success=success,
                application=self._session.application,
            )
        )


class TaskTrace:
    """
    The progress of one task, and the way to cancel it.

    It is the observer of :meth:`tabvault.jobs.operations.task.TaskDesk.run`.
    """

    def __init__(self, service: Service, session: Session, caller: Caller, task: Task) -> None:
        self._service = service
        self._session = session
        self._caller = caller
        self._task = task
        self._begun = datetime.datetime.now(datetime.UTC)
        self._told_s = 0.0
        self._step: str | None = None

    def began(self, job: JobContext) -> None:
        """Its turn has come."""
        running = self._session.own_command()
        if running is not None:
            running.job = job
            if running.is_cancelled.is_set():
                running.cancel()
        self._publish(traces.PROGRESS_REPORT_BEGIN, f"Started {self._task.kind} of {self._task.database}.")

    def progress(self, now: Progress) -> None:
        """How far it is; not more than ten times a second, but each step."""
        moment_s = time.monotonic()
        if now.step == self._step and moment_s - self._told_s < PROGRESS_INTERVAL_S:
            return
        self._step, self._told_s = now.step, moment_s
        whole = f" of {now.total}" if now.total is not None else ""
        text = f"{now.step[:1].upper()}{now.step[1:]}: {now.done}{whole} {now.unit}."
        self._publish(traces.PROGRESS_REPORT_CURRENT, text, done=now.done, total=now.total)

    def ended(self, error: Exception | None) -> None:
        """It is over."""
        if error is None:
            self._publish(traces.PROGRESS_REPORT_END, f"Finished {self._task.kind} of {self._task.database}.")
        else:
            self._publish(traces.PROGRESS_REPORT_ERROR, _words(error))

    def _publish(self, event_class: int, text: str, *, done: int | None = None, total: int | None = None) -> None:
        if not self._service.traces.is_watched:
            return
        self._service.traces.publish(
            TraceEvent(
                event_class=event_class,
                event_subclass=_PROGRESS_SUBCLASSES.get(self._task.kind, _PROCESS),
                text=text,
                session_id=self._session.id,
                user=self._caller.principal.name,
                spid=self._session.spid,
                started=self._begun,
                database=self._task.database,
                object_name=self._task.database,
                integer_data=done,
                progress_total=total,
                application=self._session.application,
            )
        )


def _subclass(command: Command) -> int:
    if isinstance(command, xmla.ObjectChanges):
        return _CHANGE_SUBCLASSES[command.verb]
    if isinstance(command, xmla.Statement) and command.text.lstrip().startswith("{"):
        return _JSON_COMMAND
    return _COMMAND_SUBCLASSES.get(type(command), _UNKNOWN_COMMAND)


def _text(command: Command) -> str:
    """What the command is, without what may be a secret: of a script, and of changed objects, only that they are."""
    if isinstance(command, xmla.Statement):
        if _subclass(command) == _JSON_COMMAND:
            return "JSON command"
        # DISCOVER_LOCATIONS takes the password of a backup file as a restriction.
        return "Statement with a password" if _PASSWORD.search(command.text) else command.text[:4096]
    if isinstance(command, xmla.Batch):
        return f"Batch of {len(command.commands)}: " + ", ".join(_text(one)[:80] for one in command.commands[:20])
    if isinstance(command, xmla.ObjectChanges):
        return f"{command.verb} {', '.join(collection.name for collection in command.collections)}"
    return repr(command)[:4096]


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, TabvaultError) else f"internal error ({type(error).__name__})"
