"""What answers about jobs hold."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import RootModel

from tabvault.faces.server.rest.content import Content, Moment
from tabvault.jobs.runner.exclusion import JobKind  # noqa: TC001 - pydantic looks at annotations
from tabvault.storage.server_state.job import JobState  # noqa: TC001 - likewise


class Progress(Content):
    """How far a job is."""

    step: str
    step_number: int
    done: int
    total: int | None
    unit: str


class Failure(Content):
    """Why a job did not succeed."""

    code: str
    message: str
    hint: str | None


class Job(Content):
    """A job. `result` is what it made, once it has succeeded; `options` never holds a password."""

    id: str
    kind: JobKind
    database: str | None
    state: JobState
    requested_by: str
    origin: str | None
    interface: str
    options: dict[str, Any]
    progress: Progress | None
    result: Any
    error: Failure | None
    created: Moment
    started: Moment | None
    finished: Moment | None
    duration_s: float | None


class Jobs(Content):
    """Jobs, the latest first."""

    jobs: list[Job]


RefreshStatus = Literal["notStarted", "inProgress", "succeeded", "failed", "cancelled"]


class RefreshObject(Content):
    """A table or a partition of a refresh."""

    table: str
    partition: str | None
    status: RefreshStatus


class RefreshMessage(Content):
    """What there is to say of a refresh."""

    message: str
    type: Literal["Error", "Warning"]
    code: str | None


class Refresh(Job):
    """
    A refresh: a job, and the same in the words of the asynchronous refresh of Azure Analysis Services.

    `objects` are those that were asked for, and once it has succeeded the partitions that were read.
    """

    refreshId: str  # noqa: N815 - the word of that service
    startTime: Moment  # noqa: N815 - the word of that service
    endTime: Moment | None  # noqa: N815 - the word of that service
    type: str
    currentRefreshType: str  # noqa: N815 - the word of that service
    status: RefreshStatus
    objects: list[RefreshObject]
    messages: list[RefreshMessage]


class Refreshes(RootModel[list[Refresh]]):
    """Refreshes, the latest first."""
