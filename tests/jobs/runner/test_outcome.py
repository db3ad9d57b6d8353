"""How a job ended is recorded as JSON, whatever its work gave or raised."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tabvault.errors import JobCancelledError, JobInterruptedError, ObjectExistsError
from tabvault.jobs.runner.outcome import RESULT_CHARACTER_COUNT_MAX, outcome_of_error, outcome_of_result
from tabvault.storage.server_state.job import JobFailure, JobState


@dataclass(frozen=True)
class File:
    path: Path
    made: datetime.datetime
    key: str = field(repr=False, default="secret")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (None, None),
        (3, 3),
        (
            [File(Path("a/b"), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))],
            [{"path": "a/b", "made": "2026-01-02T00:00:00+00:00"}],
        ),
        (({"b", "a"}, JobState.FAILED, "\ud800"), [["a", "b"], "failed", "\ud800"]),
        ({1: object(), (2,): 3}, {"1": "(object)"}),
    ],
)
def test_a_result_is_json(value, result):
    outcome = outcome_of_result(value)
    assert outcome.state is JobState.SUCCEEDED
    assert outcome.result == result
    json.dumps(outcome.result)


def test_a_result_that_cannot_be_written_does_not_undo_the_job():
    endless: list[object] = []
    endless.append(endless)
    for value in (endless, "x" * RESULT_CHARACTER_COUNT_MAX):
        outcome = outcome_of_result(value)
        assert outcome.state is JobState.SUCCEEDED
        assert list(outcome.result) == ["left_out"]


@pytest.mark.parametrize(
    ("error", "state", "failure"),
    [
        (JobCancelledError("no"), "cancelled", JobFailure("job_cancelled", "no", None)),
        (JobInterruptedError("end"), "interrupted", JobFailure("job_interrupted", "end", None)),
        (ObjectExistsError("there", hint="other"), "failed", JobFailure("storage_exists", "there", "other")),
        (
            ValueError("secret"),
            "failed",
            JobFailure("internal", "a mistake of the program: ValueError", "look into the server's log"),
        ),
        (KeyboardInterrupt(), "interrupted", JobFailure("job_interrupted", "the job was stopped", "start it again")),
    ],
)
def test_an_error_says_the_state(error, state, failure):
    outcome = outcome_of_error(error)
    assert (outcome.state, outcome.result, outcome.error) == (state, None, failure)
