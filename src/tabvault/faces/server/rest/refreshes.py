"""
Refreshes, in the shape of the asynchronous refresh of Azure Analysis Services.

``POST …/refreshes`` takes what that service takes (``Type``, ``CommitMode``, ``MaxParallelism``, ``RetryCount``,
``Objects``) or the same in our own spelling, and answers 202 with the job and where it is. A refresh is a job as any
other; its answer has the members of that service besides: ``refreshId``, ``startTime``, ``status``, ``objects``, ….

Source: "Asynchronous refresh with the REST API" of the public documentation of Azure Analysis Services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from tabvault.errors import CommandNotSupportedError, JobConflictError
from tabvault.faces.server.rest import job_answers
from tabvault.faces.server.rest.action import Answer, Call
from tabvault.faces.server.rest.jobs import conflict, job_of_database, jobs_of_database
from tabvault.jobs.operations.refreshes import target_parts
from tabvault.jobs.processing.request import RefreshRequest, RefreshTarget
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.storage.server_state.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.responses import Response

    from tabvault.faces.server.rest.models import NoParameters, RefreshBody, TaskJobsParameters
    from tabvault.storage.server_state.job import Job

_STATUSES: Final[dict[JobState, job_answers.RefreshStatus]] = {
    JobState.QUEUED: "notStarted",
    JobState.RUNNING: "inProgress",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.INTERRUPTED: "failed",
}


def refresh(call: Call[RefreshBody, NoParameters]) -> Answer | Response:
    """
    Refresh a database, by a job. For those who may process it.

    All that is asked for is done in one commit, or nothing of it. One refresh or alteration of a database goes on at a
    time.
    """
    body = call.body
    if body.commit_mode == "partialBatch":
        raise CommandNotSupportedError(
            "commit mode partialBatch is not supported: a refresh is done as a whole, or not",
            path="commit_mode",
            hint="leave it out, or refresh one object at a time",
        )
    targets = tuple(RefreshTarget(one.table, one.partition) for one in body.objects or ())
    request = RefreshRequest(body.type, targets, keep_calculated=body.keep_calculated, parallelism=body.max_parallelism)
    operations = call.service.operations
    task = operations.refreshes.refresh(call.caller, call.path["name"], [request], retry_count=body.retry_count)
    try:
        job = operations.submit(call.caller, task)
    except JobConflictError as error:
        return conflict(call, task, error)
    location = f"/api/databases/{quote(call.path['name'], safe='')}/refreshes/{quote(job.id)}"
    return Answer(_shown(job), {"Location": location})


def refreshes(call: Call[None, TaskJobsParameters]) -> Answer:
    """List the refreshes of a database, as far as one may see them, the latest first."""
    return Answer(job_answers.Refreshes([_shown(job) for job in jobs_of_database(call, JobKind.REFRESH)]))


def refresh_of(call: Call[None, NoParameters]) -> Answer:
    """Show a refresh of a database and how far it is."""
    return Answer(_shown(job_of_database(call, JobKind.REFRESH)))


def cancel(call: Call[None, NoParameters]) -> Answer:
    """
    Cancel a refresh of a database.

    The answer is the refresh as it is now: a running one ends at its next step, and may still succeed.
    """
    return Answer(_shown(call.jobs.cancel(call.caller, job_of_database(call, JobKind.REFRESH).id)))


def _shown(job: Job) -> job_answers.Refresh:
    status = _STATUSES[job.state]
    type_ = str(job.options.get("type") or "")
    return job_answers.Refresh(
        **job_answers.Job.model_validate(job).model_dump(),
        refreshId=job.id,
        startTime=job.started or job.created,
        endTime=job.finished,
        type=type_,
        currentRefreshType=type_,
        status=status,
        objects=[
            job_answers.RefreshObject(table=table, partition=part, status=status) for table, part in _objects(job)
        ],
        messages=list(_messages(job)),
    )


def _objects(job: Job) -> Iterator[tuple[str, str | None]]:
    """What was read, where that is known already; else what was asked for."""
    result: Any = job.result
    partitions = result.get("partitions") if isinstance(result, dict) else None
    if partitions:
        for one in partitions:
            yield one["table"], one["partition"]
        return
    asked = job.options.get("objects")
    for text in asked if isinstance(asked, list) else ():
        yield target_parts(str(text))


def _messages(job: Job) -> Iterator[job_answers.RefreshMessage]:
    if job.error is not None:
        yield _message(job.error.message, "Error", job.error.code)
    warnings = job.result.get("warnings") if isinstance(job.result, dict) else None
    for warning in warnings or ():
        yield _message(str(warning), "Warning", None)


def _message(text: str, type_: Literal["Error", "Warning"], code: str | None) -> job_answers.RefreshMessage:
    return job_answers.RefreshMessage(message=text, type=type_, code=code)
