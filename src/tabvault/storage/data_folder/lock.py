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

from tabvault.errors import DataFolderLockedError
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
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise DataFolderLockedError(
                        f"data folder {path.parent} is in use by {_owner(descriptor)}",
                        hint="ask that server, stop that process, or choose another folder with --data",
                    ) from None
                os.ftruncate(descriptor, 0)
                write_all_at(descriptor, _own_description(), 0)
            except BaseException:
                os.close(descriptor)
                raise
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back. Twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


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
