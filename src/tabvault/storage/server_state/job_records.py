"""
Job records: which jobs there are and were, in ``<data>/server/jobs.sqlite``.

What a record holds, :mod:`~tabvault.storage.server_state.job` describes; the file is that of
:mod:`~tabvault.storage.server_state.job_database`.

Invariants:

1. What :meth:`JobRecords.add` and :meth:`JobRecords.save` wrote is durable when they return. What
   :meth:`JobRecords.save_progress` wrote may be lost when the machine loses power.
2. A final state, once written, is never replaced by another.
3. One owner. Whoever opens the records therefore knows that nobody else works at the jobs in them, and those without
   a final state become ``interrupted``.
4. The records are of use, and no more than that: when their file cannot be used, they begin anew. No server ends
   because of it.
5. Every write carries the whole job. So a job that runs while its file has to be set aside is in the new one with its
   next write, and a write that failed after its effect may be made again.
"""

from __future__ import annotations

import datetime
import secrets
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import JobNotFoundError
from tabvault.storage.durable import make_directory_durably
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.job import (
    INTERRUPTED,
    Job,
    JobState,
    database_key,
    row_of,
    time_text,
)
from tabvault.storage.server_state.job_database import JobDatabase
from tabvault.storage.server_state.recorded_options import recorded_options, recorded_text
from tabvault.storage.server_state.state_file import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

FILE: Final = "jobs.sqlite"

HISTORY: Final = datetime.timedelta(days=30)
"""How long a job is remembered after its end."""

LIST_COUNT_MAX: Final = 1000
"""The most jobs that one answer holds."""


def utc_now() -> datetime.datetime:
    """The time now, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class JobRecords:
    """
    The records of one data folder, until :meth:`close`; a context manager. Every method may be called from any thread.

    Make one with :meth:`open`.

    Attributes:
        interrupted: the jobs that a process before this one did not end.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime.datetime]) -> None:
        self._database = JobDatabase(folder / FILE, clock)
        self._clock = clock
        self._lock = threading.RLock()
        self._last_number = 0
        # Jobs whose recording failed, and may have happened all the same: nobody knows of them.
        self._unwanted: set[str] = set()
        self.interrupted: tuple[Job, ...] = ()

    @classmethod
    def open(cls, data_folder: Path, *, clock: Callable[[], datetime.datetime] = utc_now) -> Self:
        """
        Open the records of *data_folder*; the unfinished jobs in it become interrupted.

        Args:
            data_folder: a data folder that this process owns.
            clock: tells the time, in UTC.

        Raises:
            DataFolderLockedError: they are open already, here or in another process.
            DiskFullError: the disk is full.
            StorageError: the file system refuses.
        """
        records = cls(data_folder / FOLDER, clock)
        with storage_errors(f"folder {data_folder / FOLDER}"):
            make_directory_durably(data_folder / FOLDER)
            (data_folder / FOLDER).chmod(0o700)
        try:
            records._interrupt_unfinished()
        except BaseException:
            records.close()
            raise
        return records

    def close(self) -> None:
        """Let go of the file. What is asked afterwards is refused."""
        with self._lock:
            self._database.close()

    @property
    def warnings(self) -> list[str]:
        """What had to be set aside, in words for an administrator."""
        return self._database.warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add(
        self,
        kind: str,
        database: str | None,
        *,
        requested_by: str,
        origin: str | None,
        interface: str,
        options: Mapping[str, object],
    ) -> Job:
        """
        Record a new job as queued, durably, and forget those that ended before :data:`HISTORY`.

        Args:
            kind: see the table in :mod:`~tabvault.storage.server_state.job`, as for the others.
            options: any; what must not be recorded is left out here.

        Raises:
            StorageError: it could not be recorded. If it was and the answer got lost, it is not shown, and removed.
        """
        with self._lock:
            now = self._clock()
            self._forget(now - HISTORY)
            # Taken whether or not the write succeeds: one whose answer got lost has used it.
            self._last_number = max(self._last_number, self._database.highest_number) + 1
            job = Job(
                number=self._last_number,
                id=secrets.token_hex(16),
                kind=kind,
                database=None if database is None else recorded_text(database),
                state=JobState.QUEUED,
                requested_by=recorded_text(requested_by),
                origin=None if origin is None else recorded_text(origin),
                interface=interface,
                options=recorded_options(options),
                progress=None,
                result=None,
                error=None,
                created=now,
                started=None,
                finished=None,
            )
            try:
                self._write(job)
            except BaseException:
                self._unwanted.add(job.id)
                raise
        return job

    def save(self, job: Job) -> None:
        """
        Record *job* as it is now, durably.

        Raises:
            StorageError: it could not be recorded, or the answer got lost; the same call may be made again.
            ValueError: it is recorded with another end.
        """
        with self._lock:
            self._write(job)

    def save_progress(self, job: Job) -> None:
        """Record *job* as it is now without waiting for the disk; raises as :meth:`save`."""
        with self._lock:
            self._database.run("PRAGMA synchronous = NORMAL")
            try:
                self._write(job)
            finally:
                # A connection that does not take this back must not be the one that promises durability.
                try:
                    self._database.run("PRAGMA synchronous = FULL")
                except BaseException:
                    self._database.disconnect()
                    raise

    def get(self, job_id: str) -> Job:
        """
        The job of that id.

        Raises:
            JobNotFoundError: there is none, or it has gone out of the history.
            StorageError: the records cannot be read.
        """
        jobs = self._jobs("WHERE id = ?", [recorded_text(job_id)])
        if not jobs:
            raise JobNotFoundError(f"there is no job {job_id!r:.80}", hint=f"jobs are kept for {HISTORY.days} days")
        return jobs[0]

    def list(
        self,
        *,
        database: str | None = None,
        kind: str | None = None,
        state: JobState | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> tuple[Job, ...]:
        """
        Jobs, the latest first.

        Args:
            database: only of this database; case does not matter.
            kind: only of this kind.
            state: only in this state.
            limit: so many at most; never more than :data:`LIST_COUNT_MAX`.
            before: only jobs with a lower number.

        Raises:
            StorageError: the records cannot be read.
        """
        wanted = {
            "database_key = ?": None if database is None else database_key(recorded_text(database)),
            "kind = ?": kind,
            "state = ?": state,
            "number < ?": before,
        }
        conditions = {text: value for text, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        count = min(max(limit, 0), LIST_COUNT_MAX)
        return self._jobs(f"{where}ORDER BY number DESC LIMIT ?", [*conditions.values(), count])

    def _forget(self, ended_before: datetime.datetime) -> None:
        unwanted = sorted(self._unwanted)
        condition = f"finished < ? OR id IN ({', '.join('?' for _ in unwanted)})"
        values = [time_text(ended_before), *unwanted]
        self._database.run(f"DELETE FROM jobs WHERE {condition}", values)
        self._unwanted.clear()

    def _write(self, job: Job) -> None:
        if not self._database.write(job) and row_of(recorded := self.get(job.id)) != row_of(job):
            raise ValueError(f"job {job.id} is {recorded.state} and cannot become {job.state}")

    def _jobs(self, where: str, values: Sequence[object]) -> tuple[Job, ...]:
        with self._lock:
            return tuple(job for job in self._database.jobs(where, values) if job.id not in self._unwanted)

    def _interrupt_unfinished(self) -> None:
        """When it fails half way, the next opening does the rest."""
        with self._lock:
            unfinished = [job for state in (JobState.QUEUED, JobState.RUNNING) for job in self._unlimited(state)]
            now = self._clock()
            for job in unfinished:
                self._write(replace(job, state=JobState.INTERRUPTED, error=INTERRUPTED, finished=now))
            self.interrupted = tuple(unfinished)

    def _unlimited(self, state: JobState) -> tuple[Job, ...]:
        return self._jobs("WHERE state = ? ORDER BY number", [state])
