"""
A job at one moment, and the row in which it is recorded.

============  =======  =============================================================================
column        type     content
============  =======  =============================================================================
number        INTEGER  order of creation; the primary key
id            TEXT     32 random hexadecimal digits
kind          TEXT     ``backup``, ``restore``, … (:mod:`tabvault.jobs.runner.exclusion`)
database      TEXT     name of the database as it was asked for, or null
database_key  TEXT     the same, case-folded: names differ by more than case
state         TEXT     a :class:`JobState`
requested_by  TEXT     who asked
origin        TEXT     address of the client, or null
interface     TEXT     ``xmla``, ``rest``, ``cli``, ``schedule``
options       TEXT     JSON object, through :mod:`~tabvault.storage.server_state.recorded_options`
progress      TEXT     JSON object with the members of :class:`JobProgress`, or null
result        TEXT     JSON, or null
error         TEXT     JSON object with the members of :class:`JobFailure`, or null
created       TEXT     ISO 8601, UTC, microseconds: such texts order as the times do
started       TEXT     the same, or null
finished      TEXT     the same, or null
============  =======  =============================================================================
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import JobInterruptedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class JobState(StrEnum):
    """Where a job is in its life. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state has ended."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class JobProgress:
    """
    How far a job is.

    Attributes:
        step: what is being done, in words for a person.
        step_number: 1 for the first step.
        done: units finished in this step.
        total: units in the whole step, or None where it is not known.
        unit: ``bytes`` or ``columns``.
    """

    step: str
    step_number: int
    done: int
    total: int | None
    unit: str


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job did not succeed: a code of :mod:`tabvault.errors`, the text, and the way out."""

    code: str
    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job at one moment; the table of this module says what the fields mean. Times are in UTC.

    ``result`` is a JSON value; ``options`` holds no secrets.
    """

    number: int
    id: str
    kind: str
    database: str | None
    state: JobState
    requested_by: str
    origin: str | None
    interface: str
    options: Mapping[str, object]
    progress: JobProgress | None
    result: Any
    error: JobFailure | None
    created: datetime.datetime
    started: datetime.datetime | None
    finished: datetime.datetime | None

    @property
    def duration_s(self) -> float | None:
        """Seconds from begin to end; None for a job that has not begun or not ended."""
        if self.started is None or self.finished is None:
            return None
        return max(0.0, (self.finished - self.started).total_seconds())


INTERRUPTED: Final = JobFailure(JobInterruptedError.code, "the server ended before the job did", "start it again")
"""Why a job is ``interrupted``."""

COLUMNS: Final = (
    "number",
    "id",
    "kind",
    "database",
    "state",
    "requested_by",
    "origin",
    "interface",
    "options",
    "progress",
    "result",
    "error",
    "created",
    "started",
    "finished",
)
"""The columns that :func:`job_of` takes, in its order."""


def row_of(job: Job) -> dict[str, object]:
    """The row of *job*, by column."""
    return {
        "number": job.number,
        "id": job.id,
        "kind": job.kind,
        "database": job.database,
        "database_key": None if job.database is None else database_key(job.database),
        "state": job.state.value,
        "requested_by": job.requested_by,
        "origin": job.origin,
        "interface": job.interface,
        "options": _json(dict(job.options)),
        "progress": None if job.progress is None else _json(asdict(job.progress)),
        "result": None if job.result is None else _json(job.result),
        "error": None if job.error is None else _json(asdict(job.error)),
        "created": time_text(job.created),
        "started": None if job.started is None else time_text(job.started),
        "finished": None if job.finished is None else time_text(job.finished),
    }


def job_of(row: Sequence[Any]) -> Job:
    """
    The job of a row of :data:`COLUMNS`.

    Raises:
        ValueError, TypeError, RecursionError: the row is not one that :func:`row_of` makes.
    """
    values = dict(zip(COLUMNS, row, strict=True))
    for column in ("id", "kind", "requested_by", "interface"):
        _check(column, values[column], str)
    for column in ("database", "origin"):
        _check(column, values[column], str | None)
    _check("number", values["number"], int)
    options = json.loads(values["options"])
    _check("options", options, dict)
    created = _time(values["created"])
    if created is None:
        raise ValueError("a job without a time of creation")
    return Job(
        number=values["number"],
        id=values["id"],
        kind=values["kind"],
        database=values["database"],
        state=JobState(values["state"]),
        requested_by=values["requested_by"],
        origin=values["origin"],
        interface=values["interface"],
        options=options,
        progress=_progress(values["progress"]),
        result=None if values["result"] is None else json.loads(values["result"]),
        error=_failure(values["error"]),
        created=created,
        started=_time(values["started"]),
        finished=_time(values["finished"]),
    )


def database_key(database: str) -> str:
    """What is equal for two spellings of one database's name."""
    return database.casefold()


def time_text(time: datetime.datetime) -> str:
    """*time* as a text of fixed length that orders as times do."""
    return time.astimezone(datetime.UTC).isoformat(timespec="microseconds")


def _json(value: object) -> str:
    # ASCII: SQLite has no room for lone surrogates, which file names may bring along.
    return json.dumps(value, separators=(",", ":"))


def _progress(text: str | None) -> JobProgress | None:
    if text is None:
        return None
    progress = JobProgress(**json.loads(text))
    _check("progress", progress.step, str)
    _check("progress", progress.unit, str)
    _check("progress", progress.step_number, int)
    _check("progress", progress.done, int)
    _check("progress", progress.total, int | None)
    return progress


def _failure(text: str | None) -> JobFailure | None:
    if text is None:
        return None
    failure = JobFailure(**json.loads(text))
    _check("error", failure.code, str)
    _check("error", failure.message, str)
    _check("error", failure.hint, str | None)
    return failure


def _time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    time = datetime.datetime.fromisoformat(text)
    if time.utcoffset() != datetime.timedelta():
        raise ValueError(f"{text!r:.80} is not in UTC")
    return time


def _check(column: str, value: object, kind: Any) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{column} is {value!r:.80}")
