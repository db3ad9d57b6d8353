"""
Which kinds of jobs there are, and which of them exclude each other on one database.

=============================================  ====================================================================
kinds                                          excluded on the same database
=============================================  ====================================================================
restore, import, refresh, alter, create,       each other: each makes a new version of what it found, and the one
drop, attach, detach                           that comes second would undo the first
backup                                         another backup: the second would write the same file, or double load
export                                         another export, likewise
verify                                         another verify, likewise
=============================================  ====================================================================

A job that reads goes beside one that changes: a reader pins the version that it began with, and readers and writers of
the data folder never wait for each other. A job without a database (the verification of a file) excludes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tabvault.storage.server_state.job import database_key

if TYPE_CHECKING:
    from tabvault.storage.server_state.job import Job


class JobKind(StrEnum):
    """What a job does."""

    BACKUP = "backup"
    RESTORE = "restore"
    IMPORT = "import"
    EXPORT = "export"
    VERIFY = "verify"
    REFRESH = "refresh"
    ALTER = "alter"
    CREATE = "create"
    DROP = "drop"
    ATTACH = "attach"
    DETACH = "detach"


READING: Final = frozenset([JobKind.BACKUP, JobKind.EXPORT, JobKind.VERIFY])
"""The kinds that leave the database as it is; all others change it."""


def exclude_each_other(kind: JobKind, database: str | None, other: Job) -> bool:
    """Whether a job of *kind* on *database* must not be asked for while *other* waits or runs."""
    if database is None or other.database is None or database_key(database) != database_key(other.database):
        return False
    return kind == other.kind or (kind not in READING and other.kind not in READING)
