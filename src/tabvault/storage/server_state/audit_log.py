"""
The audit log: who did what to this server, in ``<data>/server/audit/audit-YYYY-MM.jsonl``.

The lines are described in :mod:`~tabvault.storage.server_state.audit_line`.

Invariants:

1. An operation is begun only when its ``begin`` is durable; where that cannot be written, it is refused. So nothing is
   done unseen, also on a full disk.
2. An ``end`` is durable before the operation is answered, unless it cannot be written. What was done stays done, so the
   answer is that of the operation, and the ``end`` is written before the next line. Until then, and for ever if the
   process ends first, a ``begin`` without ``end`` says: begun, and nobody knows how it ended.
3. Whole lines are never changed. A line is added by one write at the end of the file and ``fsync``; one for which that
   fails is taken back.
4. Every line holds the digest of the one before. Who changes, removes or inserts a line must change all that follow,
   and whoever noted a later digest (:attr:`AuditCheck.head`) elsewhere sees it.
5. What follows the last whole line (a crash tore it, or left zeros) is set aside as ``audit-YYYY-MM.torn-<digits>``
   before the next line is written, and an ``event`` named ``audit_torn`` tells of it first. The chain goes on from the
   last whole line.

A file is named after the month of its first line, and never sorts before the last one, also when the clock goes back.
Nothing here removes a file; without the first ones the chain begins later, and :attr:`AuditCheck.first_sequence` says
so. One process writes: the one that owns the data folder. Others may read meanwhile, and check the chain.
"""

from __future__ import annotations

import datetime
import errno
import itertools
import logging
import os
import re
import secrets
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from tabvault.errors import StorageError, TabvaultError
from tabvault.storage.durable import fsync_directory, make_directory_durably, write_all_at
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.audit_chain import ChainCheck
from tabvault.storage.server_state.audit_line import (
    FIRST_PREVIOUS,
    AuditAction,
    AuditLine,
    line_bytes,
    line_digest,
    parse_line,
)
from tabvault.storage.server_state.audit_reading import last_whole_line, lines_backward
from tabvault.storage.server_state.job_records import utc_now
from tabvault.storage.server_state.state_file import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from tabvault.storage.server_state.audit_chain import AuditCheck, NotedLine

AUDIT_FOLDER: Final = "audit"
INTERNAL: Final = "internal"
"""The code of an operation that failed by a mistake of the program."""

_COPY_BYTE_COUNT: Final = 1 << 16
_SETTLING_S: Final = 0.5
"""Far longer than one write takes to be seen whole by another process."""
_NAME: Final = re.compile(r"audit-\d{4}-\d{2}\.jsonl")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of the log: the file that is written, its length, and the last whole line of all files."""

    name: str
    byte_count: int
    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Unsure:
    """A line that may be in the file, whole or in part, and is not promised to anybody."""

    name: str
    begin: int
    line: bytes


@dataclass(frozen=True, slots=True)
class _Late:
    """A line that is owed: made, and not yet written."""

    action: AuditAction
    members: dict[str, Any]


class AuditOperation:
    """An operation whose ``begin`` is durable. As a context manager it ends with the block, by the error of that."""

    def __init__(self, log: AuditLog, action: AuditAction, sequence: int) -> None:
        self._log = log
        self._action = action
        self._began_s = time.monotonic()
        self._has_ended = False
        self.sequence = sequence

    def end(self, *, code: str | None = None, job: str | None = None) -> None:
        """
        Write how it ended; a second call does nothing. Never raises (invariant 2).

        Args:
            code: of the error; None for success.
            job: id of the job that did it.
        """
        if self._has_ended:
            return
        self._has_ended = True
        duration_s = round(time.monotonic() - self._began_s, 6)
        members = {"phase": "end", "begin": self.sequence, "code": code, "job": job, "duration_s": duration_s}
        self._log._owe(_Late(self._action, members))  # noqa: SLF001 - the two are one thing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(code=None if exc is None else exc.code if isinstance(exc, TabvaultError) else INTERNAL)


class AuditLog:
    """
    The log of one data folder. Every method may be called from any thread; those that write, by who owns the folder.

    Nothing is read or written before it has to be: a log that cannot be used refuses operations, not the server.

    Args:
        data_folder: an opened data folder.
        clock: tells the time, in UTC.
    """

    def __init__(self, data_folder: Path, *, clock: Callable[[], datetime.datetime] = utc_now) -> None:
        self._folder = data_folder / FOLDER / AUDIT_FOLDER
        self._clock = clock
        self._lock = threading.RLock()
        # None: what is on the disk is not known, and is looked at before the next line.
        self._tail: _Tail | None = None
        self._unsure: _Unsure | None = None
        self._owed: list[_Late] = []

    def begin(self, action: AuditAction, *, job: str | None = None) -> AuditOperation:
        """
        Write that *action* is about to be done. When this returns it may be begun.

        Raises:
            StorageError: that cannot be written; the action must not be begun.
        """
        return AuditOperation(self, action, self._add(action, {"phase": "begin", "job": job}))

    def record(self, action: AuditAction, *, code: str | None = None, job: str | None = None) -> None:
        """
        Write that something happened which has no duration: a log-in that failed, a request that was refused.

        Args:
            action: what.
            code: of the error; None for success.
            job: id of the job that it is about.

        Raises:
            StorageError: that cannot be written.
        """
        self._add(action, {"phase": "event", "code": code, "job": job})

    def read(
        self,
        *,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[AuditLine]:
        """
        The lines, the latest first, as they are asked for. Lines that are damaged are left out: see
        :meth:`verify_chain`.

        Args:
            since: none before this time.
            until: none at or after this time.
            limit: so many at most.

        Raises:
            StorageError: the log cannot be read.
        """
        return itertools.islice(self._read(since, until), limit)

    def verify_chain(self, noted: NotedLine | None = None) -> AuditCheck:
        """
        Read everything and compare each line with the one before.

        What is added meanwhile is not looked at, or only in the last file.

        Args:
            noted: a line that has to be there as it was.

        Raises:
            StorageError: the log cannot be read.
        """
        check = ChainCheck(noted)
        with storage_errors(f"audit log {self._folder}"):
            names = self._names()
        for name in names:
            with self._opened(name) as descriptor:
                is_last = name == names[-1]  # nothing is ever added to one that is not
                byte_count = _settled_byte_count(descriptor) if is_last else os.fstat(descriptor).st_size
                check.file(name, descriptor, byte_count, is_last=is_last)
        return check.result()

    def _owe(self, late: _Late) -> None:
        with self._lock:
            self._owed.append(late)
            try:
                self._pay()
            except StorageError as error:
                _log.warning("the audit log lacks the end of %d operations now: %s", len(self._owed), error)

    def _add(self, action: AuditAction, members: dict[str, Any]) -> int:
        with self._lock:
            try:
                self._pay()
                return self._write(action, members)
            except StorageError as error:
                message = (
                    f"{action.operation} is refused, since it cannot be written into the audit log: {error.message}"
                )
                raise type(error)(message, hint=error.hint) from error

    def _pay(self) -> None:
        """Write what is owed, in its order. The lock is held."""
        with storage_errors(f"audit log {self._folder}"):
            if self._tail is None:
                self._look()
        while self._owed:
            self._write(self._owed[0].action, self._owed[0].members)
            del self._owed[0]

    def _write(self, action: AuditAction, members: dict[str, Any]) -> int:
        """Add a line and make it durable: its sequence. The lock is held."""
        with storage_errors(f"audit log {self._folder}"):
            tail = self._tail
            assert tail is not None, "_pay looked"
            now = self._clock()
            name = max(tail.name, f"audit-{now:%Y-%m}.jsonl")
            line = line_bytes(action, sequence=tail.sequence + 1, previous=tail.digest, time=now, **members)
            before_byte_count = tail.byte_count if name == tail.name else 0
            self._tail, self._unsure = None, _Unsure(name, before_byte_count, line)
            try:
                self._append(name, before_byte_count, line)
            except BaseException:
                with suppress(OSError, StorageError):  # then before the next line
                    self._take_back()
                raise
            self._unsure = None
            digest = line_digest(line[:-1])
            self._tail = _Tail(name, before_byte_count + len(line), tail.sequence + 1, digest)
            return tail.sequence + 1

    def _append(self, name: str, before_byte_count: int, line: bytes) -> None:
        with self._opened(name, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
            if before_byte_count == 0:
                fsync_directory(self._folder)
            if (found := os.fstat(descriptor).st_size) != before_byte_count:
                raise StorageError(
                    f"{name} has {found} bytes, not {before_byte_count}, by another program",
                    hint="find the program that writes there, and verify the log",
                )
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what the next write would say
            os.fsync(descriptor)

    def _take_back(self) -> None:
        """Remove what is there of a line whose writing failed. The lock is held."""
        if (unsure := self._unsure) is not None and unsure.name in self._names():
            with self._opened(unsure.name, os.O_RDWR) as descriptor:
                # Only if it is that line: somebody else may have written instead.
                if unsure.line.startswith(os.pread(descriptor, len(unsure.line) + 1, unsure.begin)):
                    os.ftruncate(descriptor, min(unsure.begin, os.fstat(descriptor).st_size))
                    os.fsync(descriptor)
        self._unsure = None

    def _look(self) -> None:
        """Find the end of the log, and set aside what is behind the last whole line."""
        self._take_back()
        make_directory_durably(self._folder)
        self._folder.parent.chmod(0o700)
        self._folder.chmod(0o700)
        last_name, last_byte_count = "", 0
        sequence, digest = 0, FIRST_PREVIOUS
        for name in reversed(self._names()):
            with self._opened(name, os.O_RDWR) as descriptor:
                end, line = last_whole_line(descriptor)
                if end < os.fstat(descriptor).st_size:
                    self._set_aside(name, descriptor, end)
                # A line that was written and never synced, since the process was killed between, is one that is there.
                os.fsync(descriptor)
            last_name, last_byte_count = (last_name, last_byte_count) if last_name else (name, end)
            if line is not None and (parsed := parse_line(line)) is not None:
                sequence, digest = parsed.sequence, line_digest(line)
                break
        self._tail = _Tail(last_name, last_byte_count, sequence, digest)

    def _set_aside(self, name: str, descriptor: int, begin: int) -> None:
        torn = self._folder / f"{name.removesuffix('.jsonl')}.torn-{secrets.token_hex(4)}"
        with ExitStack() as stack:
            target = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, target)
            try:
                offset = 0
                while block := os.pread(descriptor, _COPY_BYTE_COUNT, begin + offset):
                    write_all_at(target, block, offset)
                    offset += len(block)
                os.fsync(target)
                fsync_directory(self._folder)
            except BaseException:
                with suppress(OSError):
                    torn.unlink()
                raise
        self._owed.insert(0, _Late(AuditAction("audit_torn", object=torn.name), {"phase": "event"}))
        _log.warning("%d bytes behind the last whole line of audit log %s are now %s", offset, name, torn.name)
        os.ftruncate(descriptor, begin)

    def _read(self, since: datetime.datetime | None, until: datetime.datetime | None) -> Iterator[AuditLine]:
        with storage_errors(f"audit log {self._folder}"):
            names = self._names()
        for name in reversed(names):
            # No line of a file is of a later month than its name: those before are older still.
            if since is not None and name < f"audit-{since.astimezone(datetime.UTC):%Y-%m}.jsonl":
                return
            with self._opened(name) as descriptor:
                for _, data in lines_backward(descriptor):
                    line = None if data is None else parse_line(data)
                    if line is None or (until is not None and line.time >= until):
                        continue
                    if since is None or line.time >= since:
                        yield line

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._folder) if _NAME.fullmatch(name))  # noqa: PTH208 - see durable
        except FileNotFoundError:
            return []

    @contextmanager
    def _opened(self, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
        with storage_errors(f"audit log {self._folder / name}"):
            descriptor = os.open(self._folder / name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                yield descriptor
            finally:
                os.close(descriptor)


def _settled_byte_count(descriptor: int) -> int:
    """The length of a file, when its last line has an end, or when it stays without: it may be written just now."""
    end_s = time.monotonic() + _SETTLING_S
    while (byte_count := os.fstat(descriptor).st_size) and os.pread(descriptor, 1, byte_count - 1) != b"\n":
        if time.monotonic() > end_s:
            break
        time.sleep(0.01)
    return byte_count
