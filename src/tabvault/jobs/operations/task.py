"""
A task: an operation that its caller may do, and the desk where it is done.

Every task stands in the audit log twice, before it begins and when it has ended, and is a job between the two.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from tabvault.errors import TabvaultError
from tabvault.jobs.runner.context import JobContext
from tabvault.storage.server_state.audit_line import AuditAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.runner.exclusion import JobKind
    from tabvault.jobs.runner.runner import JobRunner
    from tabvault.storage.server_state.audit_log import AuditLog
    from tabvault.storage.server_state.job import Job


@dataclass(frozen=True, slots=True)
class Task:
    """
    An operation that its caller may do.

    Attributes:
        kind: of its job.
        database: name of the database; None where there is none.
        options: for the records; no secrets.
        work: does it.
    """

    kind: JobKind
    database: str | None
    options: Mapping[str, object]
    work: Callable[[JobContext], object]


class Observer(Protocol):
    """Who watches a task."""

    def began(self, job: JobContext) -> None:
        """Its turn has come; :meth:`JobContext.stop` cancels it."""
        ...

    def progress(self, now: Progress) -> None:
        """How far it is."""
        ...


class _ObservedContext(JobContext):
    """The context of a job, whose progress an observer hears of as well."""

    def __init__(self, job: JobContext, observer: Observer) -> None:
        super().__init__(job.job_id, lambda _progress, _begins: None)
        self._job = job
        self._observer = observer

    def progress(self, now: Progress) -> None:
        self._job.progress(now)
        self._observer.progress(now)

    def check_cancelled(self) -> None:
        self._job.check_cancelled()

    def stop(self, error: BaseException) -> None:
        self._job.stop(error)


class _JobArguments(TypedDict):
    """What :meth:`JobRunner.run` and :meth:`JobRunner.submit` are told alike."""

    kind: JobKind
    database: str | None
    requested_by: str
    origin: str | None
    interface: str
    options: Mapping[str, object]
    on_end: Callable[[Job], None]


class TaskDesk:
    """
    Does tasks. Threads may share it.

    Args:
        runner: of the jobs.
        audit: of administrative operations.
        on_end: called after every task, whatever its end.
    """

    def __init__(self, runner: JobRunner, audit: AuditLog, *, on_end: Callable[[], object]) -> None:
        self._runner = runner
        self._audit = audit
        self._on_end = on_end

    def run(self, caller: Caller, task: Task, *, observer: Observer | None = None) -> Any:
        """
        Do *task* and wait for its end.

        Args:
            caller: who asks.
            task: what.
            observer: told how far it is, by the thread that works.

        Returns:
            What the work returned.

        Raises:
            TabvaultError: what the work raised; JobConflictError: a job excludes it.
        """

        def work(job: JobContext) -> object:
            if observer is None:
                return task.work(job)
            observer.began(job)
            return task.work(_ObservedContext(job, observer))

        with self._begun(caller, task) as job:
            return self._runner.run(**job, work=work)

    def submit(self, caller: Caller, task: Task) -> Job:
        """
        Begin *task* and do not wait.

        Raises:
            JobConflictError: a job excludes it.
            JobInterruptedError: the server ends.
        """
        with self._begun(caller, task) as job:
            return self._runner.submit(**job, work=task.work)

    @contextmanager
    def _begun(self, caller: Caller, task: Task) -> Iterator[_JobArguments]:
        """
        What the runner is told of the task, but the work.

        The line in the audit log says that it begins; the line of its end comes with the end of its job.
        """
        action = audit_action(caller, task.kind, task.database or str(task.options.get("file") or ""), task.options)
        operation = self._audit.begin(action)

        def ended(job: Job) -> None:
            operation.end(code=job.error.code if job.error is not None else None, job=job.id)
            self._on_end()

        try:
            yield {
                "kind": task.kind,
                "database": task.database,
                "requested_by": caller.principal.label,
                "origin": caller.address,
                "interface": caller.interface,
                "options": task.options,
                "on_end": ended,
            }
        except TabvaultError as error:
            operation.end(code=error.code)  # the job never was; where it was, its end has been written already
            raise


def audit_action(
    caller: Caller, operation: str, about: str | None = None, options: Mapping[str, object] | None = None
) -> AuditAction:
    """What *caller* is about to do, for the audit log."""
    principal = caller.principal
    return AuditAction(
        operation=operation,
        who=principal.label,
        authentication=principal.authentication,
        address=caller.address,
        interface=caller.interface,
        object=about or None,
        options=options,
    )
