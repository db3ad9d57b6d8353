"""
Jobs take turns.

Somebody asks for a job and either waits for it (:meth:`JobRunner.run`, in his own thread) or does not
(:meth:`JobRunner.submit`, in a thread of ours). Both kinds stand in one queue; at most N work at a time.

Invariants:

1. A job that works is recorded: *queued* before anybody learns its id, *running* before its work begins. Where that
   cannot be written nothing is begun.
2. The end of a job is decided once, by one thread: the one that took it out of the queue, or the one that was given its
   turn. It never changes.
3. No job is *running* without a live thread of this process. A turn that was given is given back exactly once.
4. At most N jobs work, and they begin in the order in which they were asked for (:mod:`tabvault.jobs.runner.turns`).
5. Of the jobs that exclude each other at most one is queued or running.
6. What a job did is not undone by its record. When the end cannot be written, it is what :meth:`JobRunner.get` and the
   events say all the same (:mod:`tabvault.jobs.runner.known_jobs`).
7. Nobody who watches holds up a job (:mod:`tabvault.jobs.runner.events`).

What an interrupted job left is collected where it lies: opening the data folder empties ``staging`` and ``trash``,
opening a container removes the temporary files of uploads whose process is gone.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self, TypeVar

from tabvault.errors import JobConflictError, ServerEndingError, TabvaultError
from tabvault.jobs.runner.context import JobContext
from tabvault.jobs.runner.events import JobEvent, JobEventKind, JobEvents
from tabvault.jobs.runner.exclusion import exclude_each_other
from tabvault.jobs.runner.known_jobs import KnownJobs
from tabvault.jobs.runner.outcome import (
    INTERNAL,
    cancelled,
    interrupted,
    outcome_of_error,
    outcome_of_result,
    paused,
    paused_server,
)
from tabvault.jobs.runner.turns import Task, Turns
from tabvault.storage.remote.wire import stopped_by
from tabvault.storage.server_state.job import Job, JobState
from tabvault.storage.server_state.job_records import utc_now

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tabvault.errors import JobInterruptedError
    from tabvault.jobs.runner.exclusion import JobKind
    from tabvault.storage.server_state.job import JobProgress
    from tabvault.storage.server_state.job_records import JobRecords

PROGRESS_SAVE_INTERVAL_S: Final = 1.0
"""How often the progress of a job is recorded; subscribers hear of every piece."""

STOP_TIMEOUT_S: Final = 10.0
"""How long a job may take from being asked to stop to its end: the longest piece of work between two tellings."""

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class JobRunner:
    """
    Runs the jobs of one data folder, until :meth:`close`; a context manager. Any thread may call any method.

    Args:
        records: where they are recorded; the caller closes them after the runner.
        working_count_max: how many work at a time.
        clock: tells the time, in UTC.
    """

    def __init__(
        self,
        records: JobRecords,
        *,
        working_count_max: int = 2,
        clock: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        if working_count_max < 1:
            raise ValueError("no job could ever work")
        self._records = records
        self._known = KnownJobs(records)
        self._clock = clock
        self._events = JobEvents()
        self._turns = Turns(working_count_max, self._work)
        # Held while it is decided whether a job may be, until the next one's decision can see it.
        self._asking = threading.Lock()
        self._is_ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what works, as :meth:`drain` does, deliver the last events and let go of the threads."""
        self.drain(0.0)
        self._turns.release_threads()
        self._events.close(timeout_s=1.0)

    def submit(
        self,
        kind: JobKind,
        database: str | None,
        *,
        requested_by: str,
        origin: str | None,
        interface: str,
        options: Mapping[str, object],
        work: Callable[[JobContext], object],
        on_end: Callable[[Job], object] | None = None,
    ) -> Job:
        """
        Ask for a job and do not wait for it.

        Args:
            kind: decides what it excludes.
            database: name of the database, the same for all who mean the same one; None where there is none.
            requested_by: who asks.
            origin: from which address.
            interface: through what: ``xmla``, ``rest``, ``cli``, ``schedule``.
            options: of the command; what may be a secret is left out of the record.
            work: does it, in a thread of the runner; what it returns is recorded as JSON.
            on_end: called once with the ended job, whatever its end, by the thread that ended it and before subscribers
                are told. Not called if this method raises.

        Returns:
            The job, queued.

        Raises:
            JobConflictError: one that excludes this one is queued or running.
            ServerEndingError: the server ends and begins no new jobs.
            ServerPausedError: the server is paused.
            StorageError: the job cannot be recorded.
        """
        return self._asked(
            kind, database, requested_by, origin, interface, options, work, on_end, is_waited_for=False
        ).job

    def run(
        self,
        kind: JobKind,
        database: str | None,
        *,
        requested_by: str,
        origin: str | None,
        interface: str,
        options: Mapping[str, object],
        work: Callable[[JobContext], _Result],
        on_end: Callable[[Job], object] | None = None,
    ) -> _Result:
        """
        Ask for a job, wait for its turn, and do it in this thread.

        Arguments and errors as for :meth:`submit`; *on_end* has returned when this does.

        Returns:
            What *work* returned.

        Raises:
            BaseException: what *work* raised. JobCancelledError, JobInterruptedError: also while it waited.
        """
        task = self._asked(kind, database, requested_by, origin, interface, options, work, on_end, is_waited_for=True)
        try:
            task.decided.wait()
        except BaseException as error:  # Ctrl-C
            if self._turns.take(task) or task.has_turn:
                self._end(task, error)
            raise
        if task.has_turn:
            self._work(task)
        if task.error is not None:
            raise task.error
        result: _Result = task.value
        return result

    def active(self) -> tuple[Job, ...]:
        """The jobs that are queued or running, in the order in which they were asked for."""
        return self._known.active()

    def get(self, job_id: str) -> Job:
        """See :meth:`tabvault.jobs.runner.known_jobs.KnownJobs.get`."""
        return self._known.get(job_id)

    def list(
        self,
        *,
        database: str | None = None,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[Job, ...]:
        """See :meth:`tabvault.jobs.runner.known_jobs.KnownJobs.list`."""
        return self._known.list(database=database, kind=kind, state=state, limit=limit, before=before)

    def cancel(self, job_id: str) -> Job:
        """
        Ask for the end of a job: a queued one ends here, a running one at its next progress, or at once while it waits
        for storage over a network. What publishes there is waited for (:mod:`tabvault.storage.remote.patience`).

        Returns:
            The job as it is now: one that had ended as it was; a running one may still succeed, past its last progress.

        Raises:
            JobNotFoundError: there is none.
            StorageError: the records cannot be read.
        """
        task = self._known.task(job_id)
        if task is None:
            return self.get(job_id)
        if self._turns.take(task):
            self._end(task, cancelled())
        else:
            task.context.stop(cancelled())
        return task.job

    def drain(self, timeout_s: float, *, stop_timeout_s: float = STOP_TIMEOUT_S) -> tuple[Job, ...]:
        """
        Begin no new jobs, and end those that are there: queued ones are interrupted at once, running ones may finish.

        Args:
            timeout_s: how long they may take; then they are asked to stop, and are interrupted.
            stop_timeout_s: how long that may take.

        Returns:
            The jobs that work even so. Nothing of theirs is half done if the process ends now: what they did not
            commit is collected, and the next process calls them interrupted.
        """
        with self._asking:
            self._is_ending = True
        return self._shut(timeout_s, stop_timeout_s, interrupted)

    def pause(self, timeout_s: float, *, stop_timeout_s: float = STOP_TIMEOUT_S) -> tuple[Job, ...]:
        """Begin no new jobs until :meth:`resume`, and end those that are there, as :meth:`drain` does."""
        return self._shut(timeout_s, stop_timeout_s, paused)

    def resume(self) -> None:
        """Begin new jobs again, after :meth:`pause`; never after :meth:`drain`."""
        with self._asking:
            if not self._is_ending:
                self._turns.open()

    def _shut(
        self, timeout_s: float, stop_timeout_s: float, interruption: Callable[[], JobInterruptedError]
    ) -> tuple[Job, ...]:
        for task in self._turns.shut():
            self._end(task, interruption())
        if not self._known.wait_for_no_task(timeout_s):
            for task in self._known.tasks():
                task.context.stop(interruption())
            self._known.wait_for_no_task(stop_timeout_s)
        self._known.save_unsaved()
        return self.active()

    def subscribe(self, callback: Callable[[JobEvent], object]) -> Callable[[], None]:
        """See :meth:`tabvault.jobs.runner.events.JobEvents.subscribe`."""
        return self._events.subscribe(callback)

    def _asked(
        self,
        kind: JobKind,
        database: str | None,
        requested_by: str,
        origin: str | None,
        interface: str,
        options: Mapping[str, object],
        work: Callable[[JobContext], object],
        on_end: Callable[[Job], object] | None,
        *,
        is_waited_for: bool,
    ) -> Task:
        """A new job that stands in the queue, or has its turn already."""
        with self._asking:
            self._check_may_be(kind, database)
            job = self._records.add(
                kind, database, requested_by=requested_by, origin=origin, interface=interface, options=options
            )
            context = JobContext(job.id, lambda progress, begins: self._tell(task, progress, begins=begins))
            task = Task(job, work, on_end, is_waited_for, context)
            self._known.add(task)
        self._known.save_unsaved()
        self._events.publish(JobEvent(JobEventKind.CREATED, job))
        if not self._turns.enter(task):
            self._end(task, interrupted() if self._is_ending else paused())
        return task

    def _check_may_be(self, kind: JobKind, database: str | None) -> None:
        if not self._turns.is_open:
            if not self._is_ending:
                raise paused_server()
            raise ServerEndingError("the server ends and begins no new jobs", hint="ask again when it is back")
        for job in self.active():
            if exclude_each_other(kind, database, job):
                raise JobConflictError(
                    f"{job.kind} job {job.id} of database {job.database!r} is {job.state}",
                    hint="wait for its end, or cancel it",
                )

    def _work(self, task: Task) -> None:
        """Everything between a task's turn and its end. Raises nothing."""
        try:
            task.context.check_cancelled()
            job = replace(task.job, state=JobState.RUNNING, started=self._clock())
            self._records.save(job)
            task.job = job
            task.saved_s = time.monotonic()
            self._events.publish(JobEvent(JobEventKind.BEGAN, job))
            with stopped_by(task.context.stopped):
                task.value = task.work(task.context)
        except BaseException as error:  # noqa: BLE001 - the edge of a thread; run() raises it again
            self._end(task, task.context.cause_of(error))
        else:
            self._end(task, None)

    def _tell(self, task: Task, progress: JobProgress, *, begins: bool) -> None:
        task.job = job = replace(task.job, progress=progress)
        if (now_s := time.monotonic()) - task.saved_s >= PROGRESS_SAVE_INTERVAL_S:
            task.saved_s = now_s
            try:
                self._records.save_progress(job)
            except TabvaultError as error:  # no reason to end a backup
                _log.warning("the progress of job %s cannot be recorded: %s", job.id, error)
        self._events.publish(JobEvent(JobEventKind.STEP if begins else JobEventKind.PROGRESS, job))

    def _end(self, task: Task, error: BaseException | None) -> None:
        """End a task, by the thread that owns it."""
        task.error = error
        outcome = outcome_of_result(task.value) if error is None else outcome_of_error(error)
        if outcome.error is not None and outcome.error.code == INTERNAL:
            _log.error("job %s failed by a mistake of the program", task.job.id, exc_info=error)
        job = replace(task.job, state=outcome.state, result=outcome.result, error=outcome.error, finished=self._clock())
        try:
            self._known.save_end(job)
            task.job = job
            if task.on_end is not None:
                task.on_end(job)
        except Exception:  # noqa: BLE001 - an edge, see above; the job has ended all the same
            _log.exception("what was to follow the end of job %s failed", job.id)
        finally:
            task.job = job
            self._events.publish(JobEvent(JobEventKind.ENDED, job))
            self._known.forget(task)
            task.decided.set()
            if task.has_turn:
                self._turns.give_back()
