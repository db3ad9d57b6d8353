"""
How a job ended: what its work gave or raised, in the words of a record.

=============================================  ============  =========================================================
the work                                       state         error
=============================================  ============  =========================================================
returned                                       succeeded
raised :class:`JobCancelledError`              cancelled     the exception's
raised :class:`JobInterruptedError`            interrupted   the exception's
raised another :class:`TabvaultError`          failed        the exception's
raised another :class:`Exception`              failed        ``internal``: a mistake of ours; only its class,
                                                             for nobody vouches for what its text holds
raised what is no :class:`Exception` (Ctrl-C)  interrupted   ``job_interrupted``
=============================================  ============  =========================================================
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Final

from tabvault.errors import JobCancelledError, JobInterruptedError, ServerPausedError, TabvaultError
from tabvault.storage.server_state.job import JobFailure, JobState
from tabvault.storage.server_state.recorded_options import recorded_text

RESULT_CHARACTER_COUNT_MAX: Final = 1 << 20
"""The verification of a file with thousands of parts stays below; a job's record must fit into an answer."""

INTERNAL: Final = "internal"
"""The code of what is not an error of ours, but a mistake."""

_INTERRUPTED_HINT: Final = "start it again"
_PAUSED_HINT: Final = "a server administrator resumes the server, over its management interface"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a job."""

    state: JobState
    result: object
    error: JobFailure | None


def outcome_of_result(value: object) -> Outcome:
    """The end of a job whose work returned *value*: dataclasses, mappings, sequences and plain values become JSON."""
    # The work is done, and its effect is there: nothing about its result makes it a failure.
    try:
        text = json.dumps(value, default=_plain, skipkeys=True)
    except (TypeError, ValueError, RecursionError):
        text = ""
    if not 0 < len(text) <= RESULT_CHARACTER_COUNT_MAX:
        return Outcome(JobState.SUCCEEDED, {"left_out": f"a {type(value).__name__} of {len(text)} characters"}, None)
    return Outcome(JobState.SUCCEEDED, json.loads(text), None)


def outcome_of_error(error: BaseException) -> Outcome:
    """The end of a job whose work raised *error*."""
    match error:
        case JobCancelledError():
            state = JobState.CANCELLED
        case JobInterruptedError():
            state = JobState.INTERRUPTED
        case Exception():
            state = JobState.FAILED
        case _:
            failure = JobFailure(JobInterruptedError.code, "the job was stopped", _INTERRUPTED_HINT)
            return Outcome(JobState.INTERRUPTED, None, failure)
    if isinstance(error, TabvaultError):
        return Outcome(state, None, JobFailure(error.code, recorded_text(str(error)), error.hint))
    failure = JobFailure(INTERNAL, f"a mistake of the program: {type(error).__name__}", "look into the server's log")
    return Outcome(state, None, failure)


def cancelled() -> JobCancelledError:
    """Raised in a job that somebody cancelled."""
    return JobCancelledError("the job was cancelled")


def interrupted() -> JobInterruptedError:
    """Raised in a job whose server ends."""
    return JobInterruptedError("the server ended before the job did", hint=_INTERRUPTED_HINT)


def paused() -> JobInterruptedError:
    """Raised in a job whose server is paused."""
    return JobInterruptedError(
        "the server was paused before the job had ended", hint="start it again when it is resumed"
    )


def paused_server() -> ServerPausedError:
    """Raised for what a paused server does not do."""
    return ServerPausedError("the server is paused", hint=_PAUSED_HINT)


def _plain(value: object) -> object:
    """JSON for what the json module does not know."""
    if is_dataclass(value) and not isinstance(value, type):
        # A field that a dataclass keeps out of its repr is one that must not be seen.
        return {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value, key=str)
    return f"({type(value).__name__})"
