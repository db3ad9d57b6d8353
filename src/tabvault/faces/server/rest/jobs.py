"""
Jobs: starting them, watching them, cancelling them.

Whatever takes long is a job. Who asks for one is answered at once, 202 and where to look; who asks for a second one of
the kind on the same database, 409 and which job is in the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tabvault.errors import JobConflictError, JobNotFoundError
from tabvault.faces.server.rest import job_answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.problems import problem_response
from tabvault.jobs.runner.exclusion import JobKind, exclude_each_other
from tabvault.storage.server_state.job import database_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import SecretStr
    from starlette.responses import Response

    from tabvault.faces.server.rest.models import (
        BackupRequest,
        FileRequest,
        JobsParameters,
        NamingRestoreRequest,
        NoOptions,
        NoParameters,
        RestoreRequest,
        TaskJobsParameters,
    )
    from tabvault.jobs.operations.task import Task
    from tabvault.storage.server_state.job import Job

JOBS_PATH = "/api/jobs"


def submitted(call: Call[Any, Any], task: Task) -> Answer | Response:
    """The answer to somebody who asks for *task*: the job, or the one that is in its way."""
    try:
        job = call.service.operations.submit(call.caller, task)
    except JobConflictError as error:
        return conflict(call, task, error)
    return Answer(_shown(job), {"Location": f"{JOBS_PATH}/{quote(job.id)}"})


def conflict(call: Call[Any, Any], task: Task, error: JobConflictError) -> Response:
    """The answer to somebody whose *task* another job is in the way of."""
    active = call.service.runner.active()
    other = next((job.id for job in active if exclude_each_other(task.kind, task.database, job)), None)
    return problem_response(error, call.request.url.path, job=other)


def password_text(password: SecretStr | None) -> str | None:
    """What a password says; an empty one is none."""
    return (password.get_secret_value() or None) if password is not None else None


# ---- starting


def back_up(call: Call[BackupRequest, NoParameters]) -> Answer | Response:
    """Back a database up into the backup storage, by a job. For its administrators."""
    body = call.body
    task = call.service.operations.backups.backup(
        call.caller,
        call.path["name"],
        body.file,
        overwrite=body.overwrite,
        compress=body.compress,
        password=password_text(body.password),
    )
    return submitted(call, task)


def restore_as(call: Call[RestoreRequest, NoParameters]) -> Answer | Response:
    """
    Restore a file of the backup storage under a name, by a job.

    Over a database for its administrators, as a new one for server administrators.
    """
    return _restore(call, call.path["name"])


def restore(call: Call[NamingRestoreRequest, NoParameters]) -> Answer | Response:
    """
    Restore a file of the backup storage under a name, its own by default, by a job.

    Over a database for its administrators, as a new one for server administrators.
    """
    return _restore(call, call.body.database)


def _restore(call: Call[Any, NoParameters], database: str | None) -> Answer | Response:
    body: RestoreRequest = call.body
    task = call.service.operations.backups.restore(
        call.caller,
        body.file,
        database,
        overwrite=body.overwrite,
        password=password_text(body.password),
        security=body.security,
        read_write_mode=body.read_write_mode,
        force=body.force,
        ignore_incompatibilities=body.ignore_incompatibilities,
    )
    return submitted(call, task)


def verify_database(call: Call[NoOptions, NoParameters]) -> Answer | Response:
    """Read and check everything of a database, by a job. For its administrators."""
    return submitted(call, call.service.operations.backups.verify(call.caller, call.path["name"]))


def verify_file(call: Call[FileRequest, NoParameters]) -> Answer | Response:
    """Read and check everything of a backup file, by a job. For server administrators."""
    body = call.body
    task = call.service.operations.backups.verify_file(call.caller, body.file, password_text(body.password))
    return submitted(call, task)


# ---- watching and cancelling


def jobs(call: Call[None, JobsParameters]) -> Answer:
    """List one's own jobs, and those of the databases that one administers: server administrators see all."""
    query = call.query
    found = call.jobs.list(
        call.caller,
        database=query.database,
        kind=query.kind,
        state=query.state,
        limit=query.limit,
        before=query.before,
    )
    return Answer(job_answers.Jobs(jobs=[_shown(job) for job in found]))


def job(call: Call[None, NoParameters]) -> Answer:
    """Show a job and how far it is."""
    return Answer(_shown(call.jobs.get(call.caller, call.path["id"])))


def cancel(call: Call[None, NoParameters]) -> Answer:
    """
    Cancel a job.

    The answer is the job as it is now: a running one ends at its next step, and may still succeed.
    """
    return Answer(_shown(call.jobs.cancel(call.caller, call.path["id"])))


def jobs_of(kind: JobKind) -> Callable[[Call[None, TaskJobsParameters]], Answer]:
    """Lists the jobs of *kind* on a database."""

    def listed(call: Call[None, TaskJobsParameters]) -> Answer:
        return Answer(job_answers.Jobs(jobs=[_shown(job) for job in jobs_of_database(call, kind)]))

    listed.__doc__ = f"List the {kind} jobs of a database, as far as one may see them."
    return listed


def job_of(kind: JobKind) -> Callable[[Call[None, NoParameters]], Answer]:
    """Shows a job of *kind* on a database."""

    def shown(call: Call[None, NoParameters]) -> Answer:
        return Answer(_shown(job_of_database(call, kind)))

    shown.__doc__ = f"Show a {kind} job of a database and how far it is."
    return shown


def cancel_of(kind: JobKind) -> Callable[[Call[None, NoParameters]], Answer]:
    """Cancels a job of *kind* on a database."""

    def cancelled(call: Call[None, NoParameters]) -> Answer:
        return Answer(_shown(call.jobs.cancel(call.caller, job_of_database(call, kind).id)))

    cancelled.__doc__ = f"""Cancel a {kind} job of a database.

    The answer is the job as it is now: a running one ends at its next step, and may still succeed.
    """
    return cancelled


def jobs_of_database(call: Call[None, TaskJobsParameters], kind: JobKind) -> Sequence[Job]:
    """The jobs of *kind* on the database of the path."""
    query = call.query
    return call.jobs.list(
        call.caller,
        database=call.path["name"],
        kind=kind,
        state=query.state,
        limit=query.limit,
        before=query.before,
    )


def job_of_database(call: Call[None, NoParameters], kind: JobKind) -> Job:
    """The job of the path, if it is of that kind and of that database; by the name that it was asked for under."""
    found = call.jobs.get(call.caller, call.path["id"])
    if found.kind != kind or found.database is None or database_key(found.database) != database_key(call.path["name"]):
        raise JobNotFoundError(f"there is no {kind} job {call.path['id']!r:.100} of that database")
    return found


def _shown(job: Job) -> job_answers.Job:
    return job_answers.Job.model_validate(job)
