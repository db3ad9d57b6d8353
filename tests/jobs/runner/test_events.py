"""Who watches jobs learns everything that matters, in order, and holds up nobody."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvault.jobs.progress import Progress
from tabvault.jobs.runner import events as events_module
from tabvault.jobs.runner.events import JobEvent, JobEventKind, JobEvents
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.jobs.runner.runner import JobRunner
from tabvault.storage.server_state.job import Job, JobProgress, JobState
from tabvault.storage.server_state.job_records import JobRecords, utc_now

JOB = Job(
    number=1,
    id="a",
    kind="backup",
    database=None,
    state=JobState.RUNNING,
    requested_by="anna",
    origin=None,
    interface="cli",
    options={},
    progress=None,
    result=None,
    error=None,
    created=utc_now(),
    started=None,
    finished=None,
)


def event(kind: str, job_id: str = "a", done: int = 0) -> JobEvent:
    return JobEvent(JobEventKind(kind), replace(JOB, id=job_id, progress=JobProgress("", 1, done, None, "bytes")))


class Listener:
    """A subscriber that waits at its first event until it is let on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.began = threading.Event()
        self.seen: list[JobEvent] = []

    def __call__(self, event: JobEvent) -> None:
        self.seen.append(event)
        self.began.set()
        assert self.go_on.wait(10)


def test_the_events_of_a_job_come_in_their_order_with_the_job_as_it_was(tmp_path):
    seen: list[JobEvent] = []

    def work(context) -> int:
        for step in ("reading", "writing"):
            for done in range(3):
                context.progress(Progress(step, done, 2))
        return 5

    with JobRecords.open(tmp_path) as records, JobRunner(records) as runner:
        runner.subscribe(seen.append)
        runner.run(JobKind.BACKUP, "Sales", requested_by="a", origin=None, interface="xmla", options={}, work=work)
    kinds = [one.kind for one in seen]
    without_progress = [kind for kind in kinds if kind is not JobEventKind.PROGRESS]
    assert without_progress == ["created", "began", "step", "step", "ended"]
    assert [one.job.progress.step for one in seen if one.kind is JobEventKind.STEP] == ["reading", "writing"]
    assert [seen[0].job.state, seen[1].job.state, seen[-1].job.state] == ["queued", "running", "succeeded"]
    assert seen[-1].job.result == 5
    done = [(one.job.progress.step_number, one.job.progress.done) for one in seen[2:]]
    assert done == sorted(done)
    assert done[-1] == (2, 2)


def test_a_subscriber_that_waits_holds_up_nobody_and_loses_only_progress():
    events, slow, quick = JobEvents(), Listener(), []
    events.subscribe(slow)
    events.subscribe(quick.append)
    events.publish(event("created"))
    assert slow.began.wait(10)
    for done in range(5000):
        events.publish(event("progress", done=done))
    events.publish(event("step"))
    for done in range(5000):
        events.publish(event("progress", "b", done=done))
        events.publish(event("progress", "c", done=done))
    events.publish(event("ended"))
    slow.go_on.set()
    events.close(timeout_s=10)
    seen = [(one.kind, one.job.id, one.job.progress.done) for one in slow.seen]
    assert seen == [
        ("created", "a", 0),
        ("progress", "a", 4999),
        ("step", "a", 0),
        ("progress", "b", 4999),
        ("progress", "c", 4999),
        ("ended", "a", 0),
    ]
    assert quick[-1].kind is JobEventKind.ENDED


@given(st.lists(st.tuples(st.sampled_from(JobEventKind), st.sampled_from("ab")), max_size=40))
def test_what_comes_is_a_part_of_what_was_told_with_everything_but_some_progress(told):
    events, seen = JobEvents(), []
    events.subscribe(seen.append)
    published = [event(kind, job_id, number) for number, (kind, job_id) in enumerate(told)]
    for one in published:
        events.publish(one)
    events.close(timeout_s=10)
    for job_id in "ab":
        told_of_job = [one for one in published if one.job.id == job_id]
        seen_of_job = [one for one in seen if one.job.id == job_id]
        left = iter(told_of_job)
        assert all(one in left for one in seen_of_job), "in order, nothing twice"
        assert [one for one in told_of_job if one.kind is not JobEventKind.PROGRESS] == [
            one for one in seen_of_job if one.kind is not JobEventKind.PROGRESS
        ]
        if told_of_job:
            assert seen_of_job[-1] == told_of_job[-1], "the latest progress is not lost"


def test_a_subscriber_that_has_stopped_for_good_is_let_go(monkeypatch, caplog):
    monkeypatch.setattr(events_module, "WAITING_COUNT_MAX", 50)
    events, stuck = JobEvents(), Listener()
    events.subscribe(stuck)
    events.publish(event("created"))
    assert stuck.began.wait(10)
    for _ in range(52):
        events.publish(event("ended"))
    stuck.go_on.set()
    events.close(timeout_s=10)
    assert len(stuck.seen) == 1
    assert caplog.text.count("is let go") == 1


def test_a_subscriber_that_fails_hears_of_the_next_event(caplog):
    events, seen = JobEvents(), []

    def fail(one: JobEvent) -> None:
        seen.append(one.kind)
        raise RuntimeError("mine")

    events.subscribe(fail)
    events.publish(event("created"))
    events.publish(event("ended"))
    events.close(timeout_s=10)
    assert seen == ["created", "ended"]
    assert "failed at created of job a" in caplog.text


def test_who_unsubscribes_hears_no_more_also_from_within():
    events, seen = JobEvents(), []

    def once(one: JobEvent) -> None:
        seen.append(one)
        unsubscribe()

    unsubscribe = events.subscribe(once)
    events.publish(event("created"))
    events.publish(event("ended"))
    deadline = threading.Event()
    while not seen:
        deadline.wait(0.002)
    events.publish(event("ended"))
    events.close(timeout_s=10)
    assert len(seen) <= 2
    assert seen[0].kind is JobEventKind.CREATED
    unsubscribe()


@pytest.mark.parametrize("count", [0, -1])
def test_a_runner_without_turns_is_a_mistake(tmp_path, count):
    with JobRecords.open(tmp_path) as records, pytest.raises(ValueError, match="no job could ever work"):
        JobRunner(records, working_count_max=count)
