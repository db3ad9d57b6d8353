"""
The file of the job records: a SQLite database with the table ``jobs``, and what is done when it cannot be used.

A row is what :mod:`~tabvault.storage.server_state.job` describes. ``application_id`` is 0x54566A62 ("TVjb"),
``user_version`` the version of the schema.

Invariants:

1. One owner: SQLite's exclusive lock on the file.
2. A final state, once written, is never replaced by another.
3. A file that is damaged, or of a newer version, is set aside under a name of its own, the records begin anew, and
   :attr:`JobDatabase.warnings` says so. What was asked for is then done with the new file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tabvault.errors import DataFolderLockedError, DiskFullError, StoreUnavailableError
from tabvault.storage.durable import fsync_directory
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.job import COLUMNS, Job, job_of, row_of

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

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


class _DamagedError(Exception):
    """The file is not what this module writes. Never leaves the module."""


class JobDatabase:
    """
    One connection to the file, made when it is needed. One thread at a time may call.

    Every method raises DataFolderLockedError where another has the file open, DiskFullError where the disk is full, and
    StoreUnavailableError where the file system refuses.

    Args:
        path: of the file; its folder is there.
        clock: tells the time, in UTC.

    Attributes:
        highest_number: of the jobs that were in the file when it was opened.
        warnings: what had to be set aside, in words for an administrator.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime.datetime]) -> None:
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._is_open = True
        self.highest_number = 0
        self.warnings: list[str] = []

    def close(self) -> None:
        """Let go of the file. What is asked afterwards is refused."""
        self._is_open = False
        self.disconnect()

    def disconnect(self) -> None:
        """Let go of the file; the next question opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def jobs(self, where: str, values: Sequence[object]) -> tuple[Job, ...]:
        """The jobs that *where* selects, and in its order."""

        def read() -> tuple[Job, ...]:
            rows, _ = self._run(f"{_SELECT} {where}", values)
            return tuple(map(_parsed, rows))

        return self._repaired(read)

    def write(self, job: Job) -> bool:
        """Write the whole job; False where it is there with an end, which stays."""
        return bool(self.run(_WRITE, row_of(job)))

    def run(self, text: str, values: Mapping[str, object] | Sequence[object] = ()) -> int:
        """Run one statement, which is a transaction of its own: how many rows it changed."""
        _, changed_count = self._repaired(lambda: self._run(text, values))
        return changed_count

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
                self.highest_number = max(self.highest_number, _prepare(connection))
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
                raise
            self._connection = connection
        return self._connection

    def _set_aside(self, reason: str) -> None:
        """
        Give the damaged file another name, and its side files first: without them it is damaged the more, and is found
        again; they without it would be taken for those of the next file.
        """
        self.disconnect()
        stem = self._path.with_name(f"{self._path.stem}.damaged-{self._clock():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}")
        target = stem.with_name(stem.name + self._path.suffix)
        with storage_errors(f"job records {self._path}"):
            for side in _SIDE_FILES:
                with contextlib.suppress(FileNotFoundError):
                    self._path.with_name(self._path.name + side).rename(target.with_name(target.name + side))
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
