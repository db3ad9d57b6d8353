"""
What is known of the jobs of a data folder: those that wait or work, and those that the records have.

Invariants:

1. A job that is here and in the records is what it is here: the records may lag behind.
2. An end that cannot be written is known here all the same, and is written as soon as the records can be; if the
   process ends before, the next one finds the job unfinished and calls it interrupted.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tabvault.errors import TabvaultError
from tabvault.storage.server_state.job import Job, JobState, database_key

if TYPE_CHECKING:
    from tabvault.jobs.runner.exclusion import JobKind
    from tabvault.jobs.runner.turns import Task
    from tabvault.storage.server_state.job_records import JobRecords

_log = logging.getLogger(__name__)


class KnownJobs:
    """
    Any thread may call any method.

    Args:
        records: where jobs are recorded.
    """

    def __init__(self, records: JobRecords) -> None:
        self._records = records
        # Guards what follows; never held during a call to the records.
        self._changed = threading.Condition()
        self._tasks: dict[str, Task] = {}
        self._unsaved: dict[str, Job] = {}

    def add(self, task: Task) -> None:
        """Know of a job that waits or works, until :meth:`forget`."""
        with self._changed:
            self._tasks[task.job.id] = task

    def forget(self, task: Task) -> None:
        """Leave a job that has ended to the records."""
        with self._changed:
            del self._tasks[task.job.id]
            self._changed.notify_all()

    def task(self, job_id: str) -> Task | None:
        """What waits or works as the job of that id."""
        with self._changed:
            return self._tasks.get(job_id)

    def tasks(self) -> tuple[Task, ...]:
        """What waits or works, in the order in which it was asked for."""
        with self._changed:
            return tuple(self._tasks.values())

    def wait_for_no_task(self, timeout_s: float) -> bool:
        """Wait until nothing waits or works; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._tasks, timeout_s)

    def active(self) -> tuple[Job, ...]:
        """The jobs that are queued or running, in the order in which they were asked for."""
        return tuple(job for task in self.tasks() if not (job := task.job).state.is_final)

    def get(self, job_id: str) -> Job:
        """
        The job of that id, as it is now.

        Raises:
            JobNotFoundError: there is none, or it has gone out of the history.
            StorageError: the records cannot be read.
        """
        with self._changed:
            held = self._held()
        return held[job_id] if job_id in held else self._records.get(job_id)

    def list(
        self,
        *,
        database: str | None = None,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> tuple[Job, ...]:
        """
        Jobs as they are now, the latest first.

        Args:
            database: only of this database; case does not matter.
            kind: only of this kind.
            state: only in this state.
            limit: so many at most.
            before: only those asked for before the job of this id.

        Raises:
            JobNotFoundError: there is no job *before*.
            StorageError: the records cannot be read.
        """
        number = None if before is None else self.get(before).number
        # In this order: a job that ends meanwhile is in one of the two at least.
        with self._changed:
            held = self._held()
        recorded = self._records.list(database=database, kind=kind, state=state, limit=limit + len(held), before=number)
        jobs = [job for job in recorded if job.id not in held]
        jobs += [
            job
            for job in held.values()
            if (database is None or (job.database is not None and database_key(job.database) == database_key(database)))
            and (kind is None or job.kind == kind)
            and (state is None or job.state is state)
            and (number is None or job.number < number)
        ]
        return tuple(sorted(jobs, key=lambda job: -job.number)[: max(limit, 0)])

    def save_end(self, job: Job) -> None:
        """Record the end of a job, now or later."""
        try:
            self._records.save(job)
        except TabvaultError as error:
            _log.warning("the end of job %s cannot be recorded now: %s", job.id, error)
            with self._changed:
                self._unsaved[job.id] = job

    def save_unsaved(self) -> None:
        """Record the ends that could not be recorded."""
        with self._changed:
            unsaved = tuple(self._unsaved.values())
        for job in unsaved:
            try:
                self._records.save(job)
            except TabvaultError:
                return
            with self._changed:
                self._unsaved.pop(job.id, None)

    def _held(self) -> dict[str, Job]:
        """What is known better here than in the records, by id. The lock is held."""
        return {**self._unsaved, **{task.job.id: task.job for task in self._tasks.values()}}
