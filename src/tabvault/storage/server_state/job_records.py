"""
Job records: which jobs there are and were, in ``<data>/server/jobs.sqlite``.

A SQLite database with the table ``jobs``, whose rows :mod:`~tabvault.storage.server_state.job` describes.
``application_id`` is 0x54566A62 ("TVjb"), ``user_version`` the version of the schema.

Invariants:

1. What :meth:`JobRecords.add` and :meth:`JobRecords.save` wrote is durable when they return. What
   :meth:`JobRecords.save_progress` wrote may be lost when the machine loses power.
2. A final state, once written, is never replaced by another.
3. One owner: SQLite's exclusive lock on the file. Whoever opens it therefore knows that nobody else works at the jobs
   in it, and those without a final state become ``interrupted``.
4. The records are of use, and no more than that: a file that is damaged, or of a newer version, is set aside under a
   name of its own, the records begin anew, and :attr:`JobRecords.warnings` says so. No server ends because of it.
5. Every write carries the whole job. So a job that runs while its file has to be set aside is in the new one with its
   next write, and a write that failed after its effect may be made again.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import secrets
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from tabvault.errors import DataFolderLockedError, DiskFullError, JobNotFoundError, StoreUnavailableError
from tabvault.storage.durable import fsync_directory, make_directory_durably
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.job import (
    COLUMNS,
    INTERRUPTED,
    Job,
    JobState,
    database_key,
    job_of,
    row_of,
    time_text,
)
from tabvault.storage.server_state.recorded_options import recorded_options, recorded_text
from tabvault.storage.server_state.state_file import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

FILE: Final = "jobs.sqlite"

HISTORY: Final = datetime.timedelta(days=30)
"""How long a job is remembered after its end."""

LIST_COUNT_MAX: Final = 1000
"""The most jobs that one answer holds."""

_APPLICATION_ID: Final = 0x54566A62
_MIGRATIONS: Final = (
    # The n-th makes version n of version n - 1.
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        database TEXT,
        database_key TEXT,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted')),
        requested_by TEXT NOT NULL,
        origin TEXT,
        interface TEXT NOT NULL,
        options TEXT NOT NULL,
        progress TEXT,
        result TEXT,
        error TEXT,
        created TEXT NOT NULL,
        started TEXT,
        finished TEXT
    )
    """,
)
_ALL: Final = (*COLUMNS, "database_key")
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM jobs"
_WRITE: Final = (
    f"INSERT INTO jobs ({', '.join(_ALL)}) VALUES ({', '.join(f':{column}' for column in _ALL)})"
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, progress = excluded.progress, result = excluded.result,"
    " error = excluded.error, started = excluded.started, finished = excluded.finished"
    " WHERE state IN ('queued', 'running')"
)
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")
_BUSY_TIMEOUT_S: Final = 1.0

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


def utc_now() -> datetime.datetime:
    """The time now, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class _DamagedError(Exception):
    """The file is not what this module writes. Never leaves the module."""


class JobRecords:
    """
    The records of one data folder, until :meth:`close`; a context manager. Every method may be called from any thread.

    Make one with :meth:`open`.

    Attributes:
        interrupted: the jobs that a process before this one did not end.
        warnings: what had to be set aside, in words for an administrator.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime.datetime]) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._is_open = True
        self._next_number = 1
        # Jobs whose recording failed, and may have happened all the same: nobody knows of them.
        self._unwanted: set[str] = set()
        self.interrupted: tuple[Job, ...] = ()
        self.warnings: list[str] = []

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
            self._is_open = False
            self._disconnect()

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
            job = Job(
                number=self._next_number,
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
            # Taken whether or not the write succeeds: one whose answer got lost has used it.
            self._next_number += 1
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
            self._repaired(lambda: self._run("PRAGMA synchronous = NORMAL"))
            try:
                self._write(job)
            finally:
                # A connection that does not take this back must not be the one that promises durability.
                try:
                    self._repaired(lambda: self._run("PRAGMA synchronous = FULL"))
                except BaseException:
                    self._disconnect()
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
        self._repaired(lambda: self._run(f"DELETE FROM jobs WHERE {condition}", values))
        self._unwanted.clear()

    def _write(self, job: Job) -> None:
        row = row_of(job)
        _, changed_count = self._repaired(lambda: self._run(_WRITE, row))
        if not changed_count and row_of(recorded := self.get(job.id)) != row:
            raise ValueError(f"job {job.id} is {recorded.state} and cannot become {job.state}")

    def _jobs(self, where: str, values: Sequence[object]) -> tuple[Job, ...]:
        def read() -> tuple[Job, ...]:
            rows, _ = self._run(f"{_SELECT} {where}", values)
            return tuple(job for job in map(_parsed, rows) if job.id not in self._unwanted)

        with self._lock:
            return self._repaired(read)

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

    def _repaired(self, action: Callable[[], _Answer]) -> _Answer:
        """What *action* answers, on a new file if it finds this one damaged."""
        try:
            return action()
        except _DamagedError as error:
            self._set_aside(str(error))
        try:
            return action()
        except _DamagedError as error:
            raise StoreUnavailableError(f"job records {self._path}: {error}") from error

    def _run(self, text: str, values: Mapping[str, object] | Sequence[object] = ()) -> tuple[Sequence[Any], int]:
        """Run one statement, which is a transaction of its own: all rows of its answer, and how many it changed."""
        with self._sqlite_errors(), contextlib.closing(self._connected().execute(text, values)) as cursor:
            return cursor.fetchall(), cursor.rowcount

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._is_open:
                raise StoreUnavailableError("the job records are closed")
            with storage_errors(f"job records {self._path}"):
                # SQLite gives its side files the mode of this one.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._next_number = max(self._next_number, _prepare(connection) + 1)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _set_aside(self, reason: str) -> None:
        """
        Give the damaged file another name, and its side files first: without them it is damaged the more, and is found
        again; they without it would be taken for those of the next file.
        """
        self._disconnect()
        stem = self._path.with_name(f"{self._path.stem}.damaged-{self._clock():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}")
        target = stem.with_name(stem.name + self._path.suffix)
        with storage_errors(f"job records {self._path}"):
            for side in _SIDE_FILES:
                with contextlib.suppress(FileNotFoundError):
                    self._path.with_name(FILE + side).rename(target.with_name(target.name + side))
            with contextlib.suppress(FileNotFoundError):
                self._path.rename(target)
            fsync_directory(self._path.parent)
        warning = (
            f"the job records {self._path} could not be used ({reason}) and are now {target.name}; they begin anew"
        )
        _log.warning("%s", warning)
        self.warnings.append(warning)

    @contextlib.contextmanager
    def _sqlite_errors(self) -> Iterator[None]:
        """What SQLite's errors mean here."""
        try:
            yield
        except sqlite3.Error as error:
            what = f"job records {self._path}: {error}"
            match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
                # SQLITE_ERROR: the tables are not those that our statements name; without a code: a text is not UTF-8.
                case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR:
                    raise _DamagedError(str(error)) from error
                case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                    raise DataFolderLockedError(what, hint="another process has them open: ask that one") from error
                case sqlite3.SQLITE_FULL:
                    raise DiskFullError(what, hint="make room on the file system of the data folder") from error
                case _:
                    raise StoreUnavailableError(what) from error


def _prepare(connection: sqlite3.Connection) -> int:
    """
    Take the lock, make or check the tables, and read every row once. Answers the highest number.

    Raises:
        _DamagedError: it is not ours, newer, or damaged.
        sqlite3.Error: SQLite says so.
    """
    for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {setting}").fetchall()
    connection.execute("BEGIN EXCLUSIVE")  # a connection that fails is closed, which takes everything back
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    ((application_id,),) = connection.execute("PRAGMA application_id").fetchall()
    is_new = not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    if not is_new and application_id != _APPLICATION_ID:
        raise _DamagedError(f"its application id is {application_id:#x}, not {_APPLICATION_ID:#x}")
    if not 0 <= version <= len(_MIGRATIONS):
        raise _DamagedError(f"its version is {version}, this program knows {len(_MIGRATIONS)}")
    if version < len(_MIGRATIONS):
        for migration in _MIGRATIONS[version:]:
            connection.execute(migration)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute("COMMIT")
    if (found := connection.execute("PRAGMA quick_check(1)").fetchall()) != [("ok",)]:
        raise _DamagedError(f"{found[0][0]!s:.200}")
    # Row by row: the whole history need not fit into memory.
    return max((_parsed(row).number for row in connection.execute(_SELECT)), default=0)


def _parsed(row: tuple[Any, ...]) -> Job:
    try:
        return job_of(row)
    except (ValueError, TypeError, RecursionError) as error:
        raise _DamagedError(f"a row is damaged: {error}") from error
