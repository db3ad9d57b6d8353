"""Jobs take turns, exclude each other, are stopped, and are shown as what they are."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tabvault.errors import (
    DiskFullError,
    JobCancelledError,
    JobConflictError,
    JobInterruptedError,
    JobNotFoundError,
    ServerEndingError,
    StoreUnavailableError,
    TabvaultError,
)
from tabvault.jobs.progress import Progress, ProgressMeter
from tabvault.jobs.runner import runner as runner_module
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.jobs.runner.runner import JobRunner
from tabvault.storage.server_state.job import Job, JobFailure, JobState
from tabvault.storage.server_state.job_records import JobRecords
from tabvault.testing.faults import CallCounter
from waiting import eventually

if TYPE_CHECKING:
    from tabvault.jobs.runner.context import JobContext

WAIT_S = 10


class Gate:
    """Work that says when it began, and goes on when it may."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, context: JobContext) -> str:
        self.began.set()
        deadline_s = time.monotonic() + WAIT_S
        while not self.may_end.wait(0.002):
            context.progress(Progress("waiting", 0, None))
            assert time.monotonic() < deadline_s
        return "done"


class Desk:
    """A runner, and what it told of ended jobs."""

    def __init__(self, runner: JobRunner) -> None:
        self.runner = runner
        self.ended: dict[str, Job] = {}
        self._changed = threading.Condition()

    def submit(self, work, kind=JobKind.BACKUP, database: str | None = None, **options) -> Job:
        return self.runner.submit(
            kind,
            database,
            requested_by="anna",
            origin="10.0.0.1",
            interface="rest",
            options=options,
            work=work,
            on_end=self._on_end,
        )

    def run(self, work, kind=JobKind.BACKUP, database: str | None = None, **options) -> object:
        return self.runner.run(
            kind,
            database,
            requested_by="anna",
            origin=None,
            interface="xmla",
            options=options,
            work=work,
            on_end=self._on_end,
        )

    def end_of(self, job: Job) -> Job:
        with self._changed:
            assert self._changed.wait_for(lambda: job.id in self.ended, WAIT_S)
            return self.ended[job.id]

    def _on_end(self, job: Job) -> None:
        with self._changed:
            assert job.id not in self.ended, "an end is told once"
            self.ended[job.id] = job
            self._changed.notify_all()


@pytest.fixture
def records(tmp_path):
    with JobRecords.open(tmp_path) as records:
        yield records


@pytest.fixture
def desk(records):
    with JobRunner(records) as runner:
        yield Desk(runner)


@dataclass(frozen=True)
class Answer:
    file: str
    byte_count: int


def test_a_submitted_job_is_queued_then_succeeds_with_its_result(desk, records):
    job = desk.submit(lambda _: Answer("a.abf", 3), database="Sales", file="a.abf", password="hunter2")
    assert job.state is JobState.QUEUED
    end = desk.end_of(job)
    assert end.state is JobState.SUCCEEDED
    assert end.result == {"file": "a.abf", "byte_count": 3}
    assert end.options == {"file": "a.abf", "password": "(not recorded)"}
    assert (end.requested_by, end.origin, end.interface, end.kind) == ("anna", "10.0.0.1", "rest", "backup")
    assert end.created <= end.started <= end.finished
    assert records.get(job.id) == desk.runner.get(job.id) == end


def test_a_run_job_is_done_in_the_thread_that_asks_and_recorded_all_the_same(desk, records):
    assert desk.run(lambda _: threading.current_thread()) is threading.current_thread()
    (job,) = records.list()
    assert (job.state, job.interface) == (JobState.SUCCEEDED, "xmla")


@pytest.mark.parametrize("ask", ["run", "submit"])
def test_the_error_of_the_work_is_that_of_the_job(desk, ask):
    def fail(_: JobContext) -> None:
        raise DiskFullError("no room for https://u:p@h/x?sig=secret", hint="make some")

    if ask == "run":
        with pytest.raises(DiskFullError, match="no room"):
            desk.run(fail)
    else:
        desk.end_of(desk.submit(fail))
    (job,) = desk.runner.list()
    assert job.state is JobState.FAILED
    assert job.error == JobFailure("storage_disk_full", "no room for https://h/x?…", "make some")
    assert desk.run(lambda _: 1) == 1


def test_a_mistake_of_ours_fails_the_job_and_its_text_is_not_recorded(desk, caplog):
    def fail(_: JobContext) -> None:
        raise KeyError("secret")

    job = desk.end_of(desk.submit(fail))
    assert job.state is JobState.FAILED
    assert job.error == JobFailure("internal", "a mistake of the program: KeyError", "look into the server's log")
    assert "Traceback" in caplog.text


def test_two_work_at_a_time_and_the_others_in_the_order_of_asking(desk):
    gates = [Gate() for _ in range(5)]
    order: list[int] = []

    def work(number: int):
        def begin(context: JobContext) -> None:
            order.append(number)
            gates[number](context)

        return begin

    jobs = [desk.submit(work(number)) for number in range(3)]
    waiter = threading.Thread(target=desk.run, args=(work(3),))
    eventually(lambda: len(order) == 2, within_s=WAIT_S)
    waiter.start()
    eventually(lambda: len(desk.runner.active()) == 4, within_s=WAIT_S)
    jobs.append(desk.submit(work(4)))
    assert sorted(order) == [0, 1]
    states = [job.state for job in desk.runner.active()]
    assert states == [JobState.RUNNING] * 2 + [JobState.QUEUED] * 3
    for number in range(5):
        # One at a time: two that begin together would write themselves down in either order.
        eventually(lambda: len(order) == min(number + 2, 5), within_s=WAIT_S)  # noqa: B023 - called here and now
        assert gates[number].began.wait(WAIT_S)
        gates[number].may_end.set()
    waiter.join(WAIT_S)
    for job in jobs:
        assert desk.end_of(job).state is JobState.SUCCEEDED
    assert order[2:] == [2, 3, 4]


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ("backup", "backup", True),
        ("backup", "restore", False),
        ("restore", "backup", False),
        ("restore", "restore", True),
        ("restore", "alter", True),
        ("alter", "drop", True),
        ("import", "refresh", True),
        ("verify", "export", False),
        ("verify", "verify", True),
    ],
)
def test_jobs_of_one_database_exclude_each_other_by_kind(desk, first, second, conflict):
    gate = Gate()
    job = desk.submit(gate, JobKind(first), "Sales")
    if conflict:
        with pytest.raises(JobConflictError, match=job.id) as raised:
            desk.submit(gate, JobKind(second), "SALES")
        assert f"{first} job" in str(raised.value)
        assert len(desk.runner.list()) == 1
    else:
        desk.submit(gate, JobKind(second), "SALES")
    desk.submit(gate, JobKind(second), "Other")
    desk.submit(gate, JobKind(second), None)
    desk.submit(gate, JobKind(second), None)
    gate.may_end.set()
    desk.end_of(job)
    assert desk.run(lambda _: 1, JobKind(first), "sales") == 1


def test_of_many_that_ask_at_once_one_gets_the_database(desk):
    gate = Gate()
    outcomes: list[str] = []

    def ask() -> None:
        try:
            desk.submit(gate, JobKind.RESTORE, "Sales")
            outcomes.append("mine")
        except JobConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.may_end.set()
    assert sorted(outcomes) == ["mine"] + ["refused"] * 7


def test_a_running_job_is_cancelled_at_its_next_progress(desk):
    gate = Gate()
    job = desk.submit(gate)
    assert gate.began.wait(WAIT_S)
    desk.runner.cancel(job.id)
    end = desk.end_of(job)
    assert (end.state, end.error.code) == (JobState.CANCELLED, "job_cancelled")
    assert desk.runner.cancel(job.id).state is JobState.CANCELLED


def test_a_running_job_that_tells_nothing_any_more_succeeds_in_spite_of_a_cancel(desk):
    began, may_end = threading.Event(), threading.Event()

    def work(_: JobContext) -> bool:
        began.set()
        return may_end.wait(WAIT_S)

    job = desk.submit(work)
    assert began.wait(WAIT_S)
    assert desk.runner.cancel(job.id).state is JobState.RUNNING
    may_end.set()
    assert desk.end_of(job).state is JobState.SUCCEEDED


def test_a_queued_job_is_cancelled_at_once_and_never_works(desk):
    gate = Gate()
    running = [desk.submit(gate) for _ in range(2)]
    worked = threading.Event()
    queued = desk.submit(lambda _: worked.set())
    outcomes: list[BaseException] = []

    def wait() -> None:
        try:
            desk.run(lambda _: worked.set(), JobKind.VERIFY)
        except JobCancelledError as error:
            outcomes.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: len(desk.runner.active()) == 4, within_s=WAIT_S)
    assert desk.runner.cancel(queued.id).state is JobState.CANCELLED
    (waiting,) = desk.runner.list(kind=JobKind.VERIFY)
    assert desk.runner.cancel(waiting.id).state is JobState.CANCELLED
    waiter.join(WAIT_S)
    assert len(outcomes) == 1
    gate.may_end.set()
    for job in running:
        desk.end_of(job)
    assert desk.run(lambda _: 7) == 7
    assert not worked.is_set()
    assert desk.runner.get(queued.id).started is None


def test_an_unknown_job_is_not_found(desk):
    for ask in (desk.runner.get, desk.runner.cancel, lambda job_id: desk.runner.list(before=job_id)):
        with pytest.raises(JobNotFoundError):
            ask("0" * 32)


def test_progress_is_that_of_the_step_and_is_recorded_once_a_second(desk, records, monkeypatch):
    saves: list[Job] = []
    original = records.save_progress
    monkeypatch.setattr(records, "save_progress", lambda job: (saves.append(job), original(job)))
    seen = []

    def work(context: JobContext) -> None:
        meter = ProgressMeter(context.progress)
        meter.step("reading", 10)
        meter.advance(4)
        seen.append(desk.runner.get(context.job_id).progress)
        monkeypatch.setattr(runner_module, "PROGRESS_SAVE_INTERVAL_S", 0.0)
        meter.step("writing", None, unit="columns")
        monkeypatch.setattr(runner_module, "PROGRESS_SAVE_INTERVAL_S", 1000.0)
        meter.advance(2)
        seen.append(desk.runner.get(context.job_id).progress)

    desk.run(work)
    assert [(p.step, p.step_number, p.done, p.total, p.unit) for p in seen] == [
        ("reading", 1, 4, 10, "bytes"),
        ("writing", 2, 2, None, "columns"),
    ]
    assert [job.progress.step for job in saves] == ["writing"]
    assert records.list()[0].progress == seen[-1]


def test_progress_that_cannot_be_recorded_does_not_end_the_job(desk, records, monkeypatch):
    monkeypatch.setattr(runner_module, "PROGRESS_SAVE_INTERVAL_S", 0.0)

    def refuse(_: Job) -> None:
        raise DiskFullError("full")

    monkeypatch.setattr(records, "save_progress", refuse)
    assert desk.run(lambda context: context.progress(Progress("reading", 1, 2))) is None


def test_jobs_are_listed_as_they_are_now_latest_first(desk):
    gate = Gate()
    done = desk.end_of(desk.submit(lambda _: 1, database="Sales"))
    first, second = desk.submit(gate, JobKind.RESTORE, "Sales"), desk.submit(gate, JobKind.RESTORE, "Other")
    queued = desk.submit(gate, JobKind.BACKUP, "sales")
    eventually(lambda: [job.state for job in desk.runner.active()].count(JobState.RUNNING) == 2, within_s=WAIT_S)

    def ids(**filters) -> list[str]:
        return [job.id for job in desk.runner.list(**filters)]

    assert ids() == [queued.id, second.id, first.id, done.id]
    assert ids(database="SALES") == [queued.id, first.id, done.id]
    assert ids(state=JobState.RUNNING) == [second.id, first.id]
    assert ids(kind=JobKind.BACKUP, limit=1) == [queued.id]
    assert ids(before=second.id, limit=1) == [first.id]
    assert ids(before=first.id) == [done.id]
    assert ids(limit=0) == []
    gate.may_end.set()


def test_drain_lets_running_jobs_end_interrupts_queued_ones_and_refuses_new_ones(desk):
    gate = Gate()
    running = [desk.submit(gate) for _ in range(2)]
    queued = desk.submit(gate)
    threading.Timer(0.1, gate.may_end.set).start()
    assert desk.runner.drain(WAIT_S) == ()
    assert [desk.runner.get(job.id).state for job in running] == [JobState.SUCCEEDED] * 2
    interrupted = desk.runner.get(queued.id)
    assert interrupted.state is JobState.INTERRUPTED
    assert interrupted.error == JobFailure("job_interrupted", "the server ended before the job did", "start it again")
    for ask in (desk.submit, desk.run):
        with pytest.raises(ServerEndingError, match="no new jobs"):
            ask(gate)


def test_drain_interrupts_what_does_not_end_in_time(desk):
    gate = Gate()
    job = desk.submit(gate)
    waited: list[BaseException] = []

    def wait() -> None:
        try:
            desk.run(Gate())
        except JobInterruptedError as error:
            waited.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually(lambda: len(desk.runner.active()) == 2, within_s=WAIT_S)
    assert desk.runner.drain(0.01) == ()
    waiter.join(WAIT_S)
    assert len(waited) == 1
    assert desk.runner.get(job.id).state is JobState.INTERRUPTED


def test_drain_names_a_job_that_does_not_stop_and_leaves_it_to_the_next_opening(tmp_path):
    may_end = threading.Event()
    with JobRecords.open(tmp_path) as records:
        runner = JobRunner(records)
        desk = Desk(runner)
        job = desk.submit(lambda _: may_end.wait(WAIT_S))
        eventually(lambda: runner.get(job.id).state is JobState.RUNNING, within_s=WAIT_S)
        (stuck,) = runner.drain(0.0, stop_timeout_s=0.01)
        assert stuck.id == job.id
    with JobRecords.open(tmp_path) as records:
        assert records.get(job.id).state is JobState.INTERRUPTED
    may_end.set()
    assert desk.end_of(job).state is JobState.SUCCEEDED  # what it did is done; the records are closed and stay
    with JobRecords.open(tmp_path) as records:
        assert records.get(job.id).state is JobState.INTERRUPTED
    runner.close()


def test_ctrl_c_while_a_job_works_here_interrupts_it_and_gives_its_turn_back(desk):
    def stop(_: JobContext) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            desk.run(stop)
    assert {job.state for job in desk.runner.list()} == {JobState.INTERRUPTED}
    assert desk.run(lambda _: 1) == 1


def test_a_listener_to_the_end_that_fails_changes_nothing(desk, caplog):
    def fail(_: Job) -> None:
        raise RuntimeError("mine")

    for _ in range(3):
        job = desk.runner.submit(
            JobKind.VERIFY,
            None,
            requested_by="a",
            origin=None,
            interface="cli",
            options={},
            work=lambda _: 1,
            on_end=fail,
        )
    eventually(lambda: not desk.runner._known.tasks(), within_s=WAIT_S)
    assert desk.runner.get(job.id).state is JobState.SUCCEEDED
    eventually(lambda: "mine" in caplog.text, within_s=WAIT_S)


def make_faulty(records: JobRecords, counter: CallCounter, is_off: threading.Event) -> None:
    """Let the n-th statement that writes fail."""
    run = records._database._run

    def faulty_run(text: str, values=()):
        if is_off.is_set() or text.startswith("SELECT"):
            return run(text, values)
        return counter.run(text[:6], lambda: run(text, values))

    records._database._run = faulty_run


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_write_fails_no_job_works_unrecorded_and_no_turn_is_lost(tmp_path, monkeypatch, when, lasting):
    monkeypatch.setattr(runner_module, "PROGRESS_SAVE_INTERVAL_S", 0.0)
    for fail_at in range(1, 100):
        folder = tmp_path / str(fail_at)
        counter, is_off = CallCounter(fail_at=fail_at, when=when, lasting=lasting), threading.Event()
        worked: list[str] = []
        with JobRecords.open(folder) as records, JobRunner(records, working_count_max=1) as runner:
            make_faulty(records, counter, is_off)
            desk = Desk(runner)

            def work(context: JobContext, records=records, worked=worked) -> str:
                assert records.get(context.job_id).state is JobState.RUNNING
                context.progress(Progress("reading", 1, 1))
                worked.append(context.job_id)
                return context.job_id

            for ask in (desk.run, desk.submit, desk.run):
                with contextlib.suppress(StoreUnavailableError):
                    ask(work, JobKind.BACKUP, "Sales")
                eventually(lambda runner=runner: not runner._known.tasks(), within_s=WAIT_S)
            for job in desk.ended.values():
                assert job.state is (JobState.SUCCEEDED if job.id in worked else JobState.FAILED)
                assert runner.get(job.id) == job
            assert {job.id: job for job in runner.list()} == desk.ended
            assert set(worked) <= set(desk.ended)
            is_off.set()
            last = desk.run(work, JobKind.BACKUP, "Sales")
            assert desk.ended[last].state is JobState.SUCCEEDED
            assert {job.id: job for job in records.list()} == desk.ended, "what could not be written is written later"
        with JobRecords.open(folder) as records:
            assert records.interrupted == ()
        if not counter.has_failed:
            break
    assert fail_at > 15


def test_the_records_may_be_lost_while_a_job_runs(tmp_path):
    with JobRecords.open(tmp_path) as records, JobRunner(records) as runner:
        desk, gate = Desk(runner), Gate()
        job = desk.submit(gate)
        assert gate.began.wait(WAIT_S)
        records._database._connection.execute("DROP TABLE jobs")
        gate.may_end.set()
        assert desk.end_of(job).state is JobState.SUCCEEDED
        assert records.get(job.id).state is JobState.SUCCEEDED
        assert len(records.warnings) == 1


def test_a_full_disk_refuses_the_job_before_it_begins(tmp_path):
    with JobRecords.open(tmp_path) as records, JobRunner(records) as runner:
        desk = Desk(runner)
        records._database._connection.execute("PRAGMA max_page_count = 2")
        worked = []
        with pytest.raises(DiskFullError):
            [desk.run(worked.append, file="x" * 1000) for _ in range(100)]
        assert len(worked) == len([job for job in desk.ended.values() if job.state is JobState.SUCCEEDED])


def test_many_threads_ask_cancel_and_look_at_once(tmp_path):
    with JobRecords.open(tmp_path) as records, JobRunner(records, working_count_max=3) as runner:
        desk = Desk(runner)
        working: list[int] = []
        most: list[int] = []

        def work(context: JobContext) -> None:
            working.append(1)
            most.append(len(working))
            try:
                for done in range(3):
                    context.progress(Progress("reading", done, 3))
            finally:
                working.pop()

        def client(number: int) -> None:
            for _ in range(6):
                with contextlib.suppress(TabvaultError):
                    if number % 2:
                        desk.run(work, JobKind.RESTORE, f"db{number % 3}")
                    else:
                        runner.cancel(desk.submit(work).id)
                assert len(runner.list(limit=3)) <= 3

        threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        eventually(lambda: not runner._known.tasks(), within_s=WAIT_S)
        assert max(most) <= 3
        jobs = runner.list(limit=1000)
        assert {job.id: job for job in jobs} == desk.ended
        assert {job.state for job in jobs} <= {JobState.SUCCEEDED, JobState.CANCELLED}
