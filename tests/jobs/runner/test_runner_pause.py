"""A runner that was paused begins nothing, and goes on when it is resumed; one that ended never does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import JobInterruptedError, ServerEndingError, ServerPausedError
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.jobs.runner.runner import JobRunner
from tabvault.storage.server_state.job_records import JobRecords

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ABOUT = {"requested_by": "alice", "origin": None, "interface": "rest", "options": {}}


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[JobRunner]:
    records = JobRecords.open(tmp_path)
    with JobRunner(records, working_count_max=1) as runner:
        yield runner
    records.close()


def run(runner: JobRunner) -> str:
    return runner.run(JobKind.VERIFY, None, **ABOUT, work=lambda _: "done")


def test_a_paused_runner_refuses_jobs_until_it_is_resumed(runner: JobRunner):
    assert runner.pause(0.0) == ()
    with pytest.raises(ServerPausedError, match=r"^the server is paused$"):
        run(runner)
    runner.resume()
    assert run(runner) == "done"


def test_who_waits_for_his_turn_hears_of_the_pause(runner: JobRunner):
    began, may_end, heard = threading.Event(), threading.Event(), []

    def work(_: object) -> None:
        began.set()
        assert may_end.wait(10)

    def wait() -> None:
        try:
            run(runner)
        except JobInterruptedError as error:
            heard.append(error.message)
            may_end.set()

    runner.submit(JobKind.VERIFY, None, **ABOUT, work=work)
    assert began.wait(10)
    waiting = threading.Thread(target=wait)
    waiting.start()
    while len(runner.active()) < 2:
        pass
    assert runner.pause(10.0) == ()
    waiting.join(10)
    assert heard == ["the server was paused before the job had ended"]


def test_a_runner_that_ends_is_not_resumed(runner: JobRunner):
    runner.pause(0.0)
    runner.drain(0.0)
    runner.resume()
    with pytest.raises(ServerEndingError, match="the server ends"):
        run(runner)
