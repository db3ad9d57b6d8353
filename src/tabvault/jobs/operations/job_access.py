"""
Jobs as callers may see and cancel them.

==========================================  ==========================================================
whose job                                   who sees it                        who cancels it
==========================================  ==========================================================
one's own                                   he                                 he
of a database that one administers          he                                 he, with an API key of scope ``admin``
any                                         server administrators              server administrators
==========================================  ==========================================================

A job is one's own when it was asked for under the same name, an API key's name included. To anybody else there is no
such job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import JobNotFoundError
from tabvault.jobs.operations.task import audit_action
from tabvault.storage.server_state.job import database_key

if TYPE_CHECKING:
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.operations import Operations
    from tabvault.jobs.runner.exclusion import JobKind
    from tabvault.jobs.runner.runner import JobRunner
    from tabvault.storage.server_state.audit_log import AuditLog
    from tabvault.storage.server_state.job import Job, JobState

_PAGE_COUNT: Final = 200
"""Jobs that are looked at together."""


class JobAccess:
    """
    The jobs of a server. Threads may share it.

    Args:
        operations: say who administers which database.
        runner: of the jobs.
        audit: the audit log.
    """

    def __init__(self, operations: Operations, runner: JobRunner, audit: AuditLog) -> None:
        self._operations = operations
        self._runner = runner
        self._audit = audit

    def list(
        self,
        caller: Caller,
        *,
        database: str | None = None,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int,
        before: str | None = None,
    ) -> list[Job]:
        """
        The jobs that *caller* may see, the latest first; see :meth:`JobRunner.list`.

        Raises:
            JobNotFoundError: there is no job *before*, or not for him.
        """
        if before is not None:
            self.get(caller, before)
        administered = self._administered(caller)
        found: list[Job] = []
        while len(found) < limit:
            page = self._runner.list(database=database, kind=kind, state=state, limit=_PAGE_COUNT, before=before)
            found += [job for job in page if _is_visible(caller, administered, job)]
            if len(page) < _PAGE_COUNT:
                break
            before = page[-1].id
        return found[:limit]

    def get(self, caller: Caller, job_id: str) -> Job:
        """
        A job.

        Raises:
            JobNotFoundError: there is none of that id, or not for *caller*.
        """
        job = self._runner.get(job_id)
        if not _is_visible(caller, self._administered(caller), job):
            # Word for word what is said of a job that is not there.
            raise JobNotFoundError(f"there is no job {job_id!r:.80}", hint="jobs are kept for 30 days")
        return job

    def cancel(self, caller: Caller, job_id: str) -> Job:
        """
        Ask for the end of a job; see :meth:`JobRunner.cancel`.

        Raises:
            JobNotFoundError: there is none of that id, or not for *caller*.
            NotAuthorizedError: he may see it and not cancel it.
        """
        job = self.get(caller, job_id)
        principal = caller.principal
        if not principal.is_server_administrator and job.requested_by != principal.label:
            _, permissions = self._operations.find(caller, job.database or "")
            permissions.require_administrator("cancel jobs of")
        if job.state.is_final:
            return job
        with self._audit.begin(audit_action(caller, "cancel", job.database, {"type": job.kind}), job=job.id):
            return self._runner.cancel(job_id)

    def _administered(self, caller: Caller) -> frozenset[str]:
        """Keys of the databases that he administers; not asked where everything is his to see."""
        if caller.principal.is_server_administrator:
            return frozenset()
        visible = self._operations.visible(caller)
        return frozenset(database_key(info.name) for info, permissions in visible if permissions.is_administrator)


def _is_visible(caller: Caller, administered: frozenset[str], job: Job) -> bool:
    principal = caller.principal
    if principal.is_server_administrator or job.requested_by == principal.label:
        return True
    return job.database is not None and database_key(job.database) in administered
