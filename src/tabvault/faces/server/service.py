"""
One running server: what all its requests share, from the start to the drain.

Order of the start: the data folder (whose lock keeps a second server out), the records of jobs (what was running when
the last process ended is interrupted), the audit log, accounts, and only then the socket. The drain goes back the same
way: no new requests, no new jobs; running ones finish or are interrupted; then the folder is let go.
"""

from __future__ import annotations

import datetime
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from tabvault.engine.rowsets import ENGINE_VERSION
from tabvault.errors import RequestError
from tabvault.faces.server.pausing import Pausing
from tabvault.faces.server.storage_watch import StorageWatch
from tabvault.faces.server.xmla.sessions import Sessions
from tabvault.faces.server.xmla.traces import Traces
from tabvault.faces.server.xmla.written_rowsets import WrittenRowsets
from tabvault.jobs.access.accounts import utc_now
from tabvault.jobs.access.server_access import ServerAccess
from tabvault.jobs.operations.administration import Administration
from tabvault.jobs.operations.files import Files
from tabvault.jobs.operations.management import Management
from tabvault.jobs.operations.operations import Operations
from tabvault.jobs.operations.transfers import Transfers
from tabvault.jobs.runner.runner import JobRunner
from tabvault.jobs.vault import Vault
from tabvault.storage.server_state.audit_log import AuditLog
from tabvault.storage.server_state.job_records import JobRecords
from tabvault.storage.server_state.upload_spool import UploadSpool

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

WORKING_JOB_COUNT_MAX: Final = 2

QUESTION_S_MAX: Final = 5.0
"""How long questions over XMLA may take that still run when the last job has ended."""

NAME_LENGTH_MAX: Final = 128


class Service:
    """
    Everything that requests share; a context manager.

    Args:
        data: the data folder; the platform's by default. It is made if there is none.
        name: what clients are told that the server is called; the name of the machine by default.
        working_job_count_max: jobs that work at a time.

    Raises:
        RequestError: the name is none that clients could show.
        DataFolderLockedError: another process owns the data folder.
        FormatError: the accounts or the rules of the firewall are damaged.
        StorageError: the folder cannot be written.
    """

    def __init__(
        self, data: Path | None, *, name: str | None = None, working_job_count_max: int = WORKING_JOB_COUNT_MAX
    ) -> None:
        self.name = socket.gethostname() if name is None else _checked_name(name)
        self.engine_version = ENGINE_VERSION
        self.started = datetime.datetime.now(datetime.UTC)
        self.port: int | None = None
        self.is_draining = False
        self._stack = ExitStack()
        with ExitStack() as stack:
            self.vault = stack.enter_context(Vault(data))
            self.folder = self.vault.own_folder
            records = JobRecords.open(self.vault.data)
            stack.callback(records.close)
            self.runner = stack.enter_context(JobRunner(records, working_count_max=working_job_count_max))
            self.audit = AuditLog(self.vault.data)
            self.access = ServerAccess(self.vault.data)
            self.operations = Operations(self.vault, self.folder, self.runner, self.audit)
            stack.callback(self.operations.close)
            self.files = Files(self.vault, self.audit)
            spool = UploadSpool(self.vault.data, now=utc_now)
            self.transfers = Transfers(self.vault, self.audit, self.files, spool)
            self.storage_watch = StorageWatch(self.vault.storage, tidy=self.transfers.remove_expired)
            stack.callback(self.storage_watch.close)
            self.written_rowsets = WrittenRowsets()
            self.sessions = Sessions()
            self.traces = Traces()
            self.pausing = Pausing(self.runner, self.sessions, self.traces)
            administration = Administration(self.vault, self.access, self.audit)
            self.management = Management(self.vault.data, administration, self.access, self.audit, self.pausing)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def drain(self, timeout_s: float) -> None:
        """No new jobs; those that run may finish within *timeout_s*; then they, and questions, are interrupted."""
        self.is_draining = True
        self.traces.end_all()
        self.runner.drain(timeout_s)
        self.sessions.wait_idle(QUESTION_S_MAX)
        self.sessions.end_all()

    def close(self) -> None:
        """Let go of everything. Twice is allowed."""
        self.is_draining = True
        self.traces.end_all()
        self.sessions.end_all()
        self._stack.close()

    def server_properties(self) -> dict[str, str]:
        """The server properties that clients look at."""
        return {
            "DataDir": "/data",
            "BackupDir": "/",
            "LogDir": "/log",
            "AllowedBrowsingFolders": "/",
            "Language": "1033",
            "CollationName": "Latin1_General_CI_AS",
        }


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable() or name != name.strip():
        raise RequestError(
            f"{name!r:.150} cannot be the name of a server",
            hint=f"give 1 to {NAME_LENGTH_MAX} printable characters, the first and the last no blanks",
        )
    return name
