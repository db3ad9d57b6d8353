"""
One process owns a data folder: the lock file ``owner.lock``.

The lock is ``flock`` on the open file, so the kernel gives it back when the process ends, however it ends: what a dead
process left in the file never blocks anybody. The content only tells a second process whom it met:

==========  ==========================================================================
key         value
==========  ==========================================================================
pid         process id
host        host name: the folder may lie on a shared file system
since       when the lock was taken, ISO 8601, UTC
command     file name of the program; no arguments, they may hold secrets
==========  ==========================================================================

The file is never removed or replaced: two processes would hold locks on two files of one name.

Who may not write in the folder reads it under a shared lock: as long as it is held nobody owns the folder, so nothing
that is being read is removed, and as many as like may read. On a medium that is mounted read-only nobody can own it
through this mount, and a folder without a lock file is read without a lock.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tabvault.errors import DataFolderLockedError, StoreUnavailableError
from tabvault.storage.durable import FILE_MODE, write_all_at
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from typing import Self

OWNER_BYTE_COUNT_MAX: Final = 4096
"""More than a pid, two names and a date need; the file is not ours while another process holds it."""


class OwnerLock:
    """The lock, held until :meth:`release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """
        Take the lock without waiting.

        Args:
            path: the lock file, created if missing.

        Raises:
            DataFolderLockedError: another process, or another opening in this one, holds it.
            StorageError: the file system refuses, or has no locks.
        """
        with storage_errors(f"lock file {path}"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                if not _lock(descriptor, fcntl.LOCK_EX):
                    # Only readers hold what can be shared; what the file says is then of an owner who is gone.
                    is_read = _lock(descriptor, fcntl.LOCK_SH)
                    holder = "a process that only reads it" if is_read else _owner(descriptor)
                    raise _in_use(path, holder)  # noqa: TRY301  # closed below, as on every way out
                os.ftruncate(descriptor, 0)
                write_all_at(descriptor, _own_description(), 0)
            except BaseException:
                os.close(descriptor)
                raise
        return cls(descriptor)

    @classmethod
    def share(cls, path: Path) -> Self:
        """
        Keep owners out while the folder is read, without waiting and without writing anything.

        Args:
            path: the lock file.

        Raises:
            DataFolderLockedError: another process owns the folder.
            StoreUnavailableError: there is no lock file, and the folder may be written by others.
            StorageError: the file system refuses, or has no locks.
        """
        with storage_errors(f"lock file {path}"):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
                    return cls(-1)
                raise StoreUnavailableError(
                    f"data folder {path.parent} cannot be locked: it has no {path.name}, and none can be made",
                    hint="ask for the right to write in that folder, or read a copy of it",
                ) from None
            try:
                if not _lock(descriptor, fcntl.LOCK_SH):
                    raise _in_use(path, _owner(descriptor))  # noqa: TRY301  # as above
            except BaseException:
                os.close(descriptor)
                raise
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back. Twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Take the lock without waiting; False when somebody else's is in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _in_use(path: Path, holder: str) -> DataFolderLockedError:
    return DataFolderLockedError(
        f"data folder {path.parent} is in use by {holder}",
        hint="wait until that process has ended, or choose another data folder",
    )


def _own_description() -> bytes:
    description = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": Path(sys.argv[0]).name,
    }
    return json.dumps(description).encode("ascii") + b"\n"


def _owner(descriptor: int) -> str:
    """Who holds the lock, as far as the file tells: it is read while its owner may be writing it."""
    try:
        owner = json.loads(os.pread(descriptor, OWNER_BYTE_COUNT_MAX, 0))
        return "{command!a} (process {pid!a} on {host!a}, since {since!a})".format_map(owner).replace("'", "")
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another process"
