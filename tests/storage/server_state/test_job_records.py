"""What is recorded of jobs survives, whatever fails; what cannot be used is set aside and never in the way."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvault.errors import (
    DataFolderLockedError,
    DiskFullError,
    JobNotFoundError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.storage.server_state import job_database
from tabvault.storage.server_state.job import COLUMNS, Job, JobFailure, JobProgress, JobState, job_of, row_of, time_text
from tabvault.storage.server_state.job_records import HISTORY, JobRecords, utc_now
from tabvault.testing.faults import CallCounter

NOON = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)


class Clock:
    def __init__(self, now: datetime.datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def add(records: JobRecords, kind: str = "backup", database: str | None = "Sales", **options: object) -> Job:
    return records.add(
        kind, database, requested_by="anna", origin="10.0.0.1", interface="rest", options={"file": "a.abf", **options}
    )


def ended(job: Job, state: JobState = JobState.SUCCEEDED, when: datetime.datetime = NOON) -> Job:
    return replace(job, state=state, started=when, finished=when)


def set_sql(folder, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "server/jobs.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_job_is_what_was_recorded_of_it_after_the_file_was_opened_again(tmp_path, clock):
    with JobRecords.open(tmp_path, clock=clock) as records:
        job = add(records, overwrite=True)
        whole = replace(
            job,
            state=JobState.FAILED,
            progress=JobProgress("reading", 2, 10, None, "bytes"),
            result={"bytes": 3, "names": ["ä", "\ud800"]},
            error=JobFailure("storage", "it is gone", None),
            started=NOON + datetime.timedelta(seconds=1),
            finished=NOON + datetime.timedelta(seconds=3.5),
        )
        records.save(whole)
    with JobRecords.open(tmp_path) as records:
        assert records.get(job.id) == whole
        assert whole.options == {"file": "a.abf", "overwrite": True}
        assert whole.duration_s == 2.5
        assert records.warnings == []
        assert records.interrupted == ()


def test_a_row_is_what_the_format_says(tmp_path, clock):
    with JobRecords.open(tmp_path, clock=clock) as records:
        job = add(records, password="hunter2")
    with contextlib.closing(sqlite3.connect(tmp_path / "server/jobs.sqlite")) as connection:
        (row,) = connection.execute("SELECT * FROM jobs").fetchall()
        assert connection.execute("PRAGMA application_id").fetchone() == (0x54566A62,)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    options = '{"file":"a.abf","password":"(not recorded)"}'
    assert row == (
        *(1, job.id, "backup", "Sales", "sales", "queued", "anna", "10.0.0.1", "rest", options),
        *(None, None, None, "2026-11-22T12:00:00.000000+00:00", None, None),
    )


def test_the_file_is_for_its_owner_alone(tmp_path):
    with JobRecords.open(tmp_path) as records:
        add(records)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "server").iterdir()}
        assert modes["jobs.sqlite"] == modes["jobs.sqlite-wal"] == 0o600
        assert stat.S_IMODE((tmp_path / "server").stat().st_mode) == 0o700


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "server/jobs.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        JobRecords.open(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_unfinished_jobs_are_interrupted_when_the_file_is_opened_again(tmp_path, clock):
    with JobRecords.open(tmp_path, clock=clock) as records:
        queued, running, done = add(records), add(records), add(records)
        records.save(replace(running, state=JobState.RUNNING, started=NOON))
        records.save(ended(done))
    with JobRecords.open(tmp_path, clock=clock) as records:
        assert [job.id for job in records.interrupted] == [queued.id, running.id]
        for job_id in (queued.id, running.id):
            job = records.get(job_id)
            assert job.state is JobState.INTERRUPTED
            assert job.error == JobFailure("job_interrupted", "the server ended before the job did", "start it again")
            assert job.finished == NOON
        assert records.get(done.id) == ended(done)


def test_a_final_state_is_not_replaced_and_may_be_written_twice(tmp_path):
    with JobRecords.open(tmp_path) as records:
        job = add(records)
        records.save(ended(job))
        records.save(ended(job))
        with pytest.raises(ValueError, match="is succeeded and cannot become failed"):
            records.save(ended(job, JobState.FAILED))
        with pytest.raises(ValueError, match="cannot become running"):
            records.save(replace(job, state=JobState.RUNNING))
        assert records.get(job.id) == ended(job)


def test_jobs_are_listed_latest_first_by_database_kind_state_and_place(tmp_path):
    with JobRecords.open(tmp_path) as records:
        jobs = [add(records, kind, name) for kind in ("backup", "restore") for name in ("Straße", "Sales", None)]
        records.save(ended(jobs[1]))
        assert [job.number for job in records.list()] == [6, 5, 4, 3, 2, 1]
        assert [job.number for job in records.list(database="STRASSE")] == [4, 1]
        assert [job.number for job in records.list(kind="backup", limit=2)] == [3, 2]
        assert [job.number for job in records.list(state=JobState.SUCCEEDED)] == [2]
        assert [job.number for job in records.list(before=4, database="sales")] == [2]
        assert records.list(limit=-1) == ()


def test_only_progress_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    with JobRecords.open(tmp_path) as records:
        statements: list[str] = []
        run = records._database._run

        def seen_run(text, values=()):
            ((level,),) = records._database._connection.execute("PRAGMA synchronous")
            statements.append(f"{text[:6]} at {level}")
            return run(text, values)

        monkeypatch.setattr(records._database, "_run", seen_run)
        job = add(records)
        records.save_progress(job)
        records.save(ended(job))
    normal, full = 1, 2
    assert [text for text in statements if text.startswith("INSERT")] == [
        f"INSERT at {full}",
        f"INSERT at {normal}",
        f"INSERT at {full}",
    ]


def test_a_job_that_ended_30_days_ago_is_forgotten_and_a_running_one_is_not(tmp_path, clock):
    with JobRecords.open(tmp_path, clock=clock) as records:
        old, running = add(records), add(records)
        records.save(ended(old))
        clock.now = NOON + HISTORY
        add(records)
        assert records.get(old.id) == ended(old)
        clock.now += datetime.timedelta(microseconds=1)
        assert add(records).number == 4
        with pytest.raises(JobNotFoundError, match="there is no job"):
            records.get(old.id)
        assert records.get(running.id) == running


@pytest.mark.parametrize("job_id", ["", "x" * 100_000, "\ud800", "'; DROP TABLE jobs"])
def test_an_id_that_none_can_have_is_not_found(tmp_path, job_id):
    with JobRecords.open(tmp_path) as records, pytest.raises(JobNotFoundError):
        records.get(job_id)


def test_a_second_opening_is_refused_and_interrupts_nothing(tmp_path):
    with JobRecords.open(tmp_path) as records:
        job = add(records)
        with pytest.raises(DataFolderLockedError, match="locked"):
            JobRecords.open(tmp_path)
        assert records.get(job.id) == job
        assert records.warnings == []


def test_what_is_asked_after_the_end_is_refused(tmp_path):
    records = JobRecords.open(tmp_path)
    job = add(records)
    records.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        records.save(job)


DAMAGES = {
    "is not a database": lambda path: path.write_bytes(b"rubbish" * 1000),
    "is cut": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "has a damaged page": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 12288),
    "is of a newer version": lambda path: set_sql(path.parents[1], "PRAGMA user_version = 2"),
    "is of a negative version": lambda path: set_sql(path.parents[1], "PRAGMA user_version = -1"),
    "is another program's": lambda path: set_sql(path.parents[1], "PRAGMA application_id = 7"),
    "has no table": lambda path: set_sql(path.parents[1], "DROP TABLE jobs"),
    "lacks a column": lambda path: set_sql(path.parents[1], "ALTER TABLE jobs DROP COLUMN origin"),
    "has no JSON": lambda path: set_sql(path.parents[1], "UPDATE jobs SET options = 'x'"),
    "has deep JSON": lambda path: set_sql(path.parents[1], f"UPDATE jobs SET options = '{'[' * 100_000}'"),
    "has other JSON": lambda path: set_sql(path.parents[1], "UPDATE jobs SET error = '{\"code\": 1}'"),
    "has no text": lambda path: set_sql(path.parents[1], "UPDATE jobs SET kind = x'00'"),
    "has no Unicode": lambda path: set_sql(path.parents[1], "UPDATE jobs SET kind = CAST(x'ff' AS TEXT)"),
    "has no time": lambda path: set_sql(path.parents[1], "UPDATE jobs SET created = 'noon'"),
    "has a time of no zone": lambda path: set_sql(path.parents[1], "UPDATE jobs SET created = '2026-01-01'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_used_is_set_aside_with_a_warning(tmp_path, damage):
    with JobRecords.open(tmp_path) as records:
        old = add(records)
    path = tmp_path / "server/jobs.sqlite"
    DAMAGES[damage](path)
    content = path.read_bytes()
    with JobRecords.open(tmp_path) as records:
        (warning,) = records.warnings
        (aside,) = path.parent.glob("jobs.damaged-*.sqlite")
        assert aside.name in warning
        assert str(path) in warning
        assert aside.read_bytes() == content
        with pytest.raises(JobNotFoundError):
            records.get(old.id)
        job = add(records)
    with JobRecords.open(tmp_path) as records:
        assert records.warnings == []
        assert records.get(job.id).state is JobState.INTERRUPTED


def test_a_file_that_is_damaged_while_it_is_used_is_set_aside_and_a_running_job_stays(tmp_path):
    with JobRecords.open(tmp_path) as records:
        lost, kept = add(records), add(records)
        records._database._connection.execute("DROP TABLE jobs")
        records.save(ended(kept))
        assert records.get(kept.id) == ended(kept)
        assert len(records.warnings) == 1
        assert add(records).number == 3
        with pytest.raises(JobNotFoundError):
            records.get(lost.id)


class FaultySqlite:
    """The module sqlite3, every call into the database counted; the fault is one that the disk gives."""

    def __init__(self, counter: CallCounter) -> None:
        class Connection(sqlite3.Connection):
            def execute(self, *arguments):
                call = super().execute
                return counter.run("execute", lambda: call(*arguments), lambda lost: lost.close())

        self.connect = lambda *args, **kwargs: counter.run(
            "connect", lambda: sqlite3.connect(*args, factory=Connection, **kwargs), lambda lost: lost.close()
        )

    def __getattr__(self, name):
        return getattr(sqlite3, name)


def disk_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the fault of the test")
    error.sqlite_errorcode = code
    return error


def history(folder, tried: list[Job], promised: list[Job]) -> None:
    """Something of everything; what was tried to be written, and for what of it an answer came."""
    with JobRecords.open(folder) as records:
        for state in (JobState.SUCCEEDED, JobState.CANCELLED):
            job = add(records)
            promised.append(job)
            running = replace(job, state=JobState.RUNNING, started=NOON)
            for save, now in (
                (records.save, running),
                (records.save_progress, running),
                (records.save, ended(job, state)),
            ):
                tried.append(now)
                save(now)
                promised.append(now)
            records.list()
            records.get(job.id)


def last_states(jobs: list[Job]) -> dict[str, JobState]:
    return {job.id: job.state for job in jobs}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR])
def test_whichever_sqlite_call_fails_what_was_promised_is_there(tmp_path, monkeypatch, when, code):
    failures = 0
    for fail_at in range(1, 1000):
        folder = tmp_path / str(fail_at)
        counter = CallCounter(fail_at=fail_at, when=when, error=disk_error(code))
        named = DiskFullError if code == sqlite3.SQLITE_FULL else StoreUnavailableError
        tried: list[Job] = []
        promised: list[Job] = []
        with monkeypatch.context() as patch:
            patch.setattr(job_database, "sqlite3", FaultySqlite(counter))
            try:
                history(folder, tried, promised)
            except named:
                failures += 1
        with JobRecords.open(folder) as records:
            assert records.warnings == []
            for job_id, state in last_states(promised).items():
                found = records.get(job_id).state
                if state.is_final:
                    assert found is state
                else:
                    assert found in {JobState.INTERRUPTED, last_states(tried).get(job_id)}
                    assert found.is_final
            job = add(records)
            records.save(ended(job))
            assert records.get(job.id) == ended(job)
        if not counter.has_failed:
            break
    assert failures == fail_at - 1 >= 25
    assert len(promised) == 8


@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_sqlite_call_finds_the_file_damaged_the_work_goes_on_with_a_new_one(tmp_path, monkeypatch, when):
    for fail_at in range(1, 1000):
        folder = tmp_path / str(fail_at)
        counter = CallCounter(fail_at=fail_at, when=when, error=disk_error(sqlite3.SQLITE_CORRUPT))
        tried: list[Job] = []
        with monkeypatch.context() as patch:
            patch.setattr(job_database, "sqlite3", FaultySqlite(counter))
            # A job that has ended is no longer written; it is gone with the old file.
            with contextlib.suppress(JobNotFoundError):
                history(folder, tried, [])
        asides = list((folder / "server").glob("jobs.damaged-*.sqlite"))
        if not counter.has_failed:
            break
        assert len(asides) == 1
        with JobRecords.open(folder) as records:
            assert records.warnings == []
            for job in records.list():
                assert job.state is last_states(tried)[job.id]
    assert fail_at > 25


def test_a_full_disk_is_called_by_its_name(tmp_path):
    with JobRecords.open(tmp_path) as records:
        add(records)
        records._database._connection.execute("PRAGMA max_page_count = 3")
        with pytest.raises(DiskFullError, match="full"):
            [add(records) for _ in range(200)]
        records._database._connection.execute("PRAGMA max_page_count = 100000")
        add(records)


def test_threads_write_their_own_jobs_side_by_side(tmp_path):
    with JobRecords.open(tmp_path) as records:

        def work() -> None:
            for _ in range(5):
                job = add(records)
                records.save_progress(replace(job, state=JobState.RUNNING))
                records.save(ended(job))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [job.number for job in records.list()] == list(range(20, 0, -1))
        assert {job.state for job in records.list()} == {JobState.SUCCEEDED}


KILLED = """
    import itertools, sys
    from dataclasses import replace
    from pathlib import Path
    from tabvault.storage.server_state.job import JobState
    from tabvault.storage.server_state.job_records import JobRecords, utc_now

    records = JobRecords.open(Path(sys.argv[1]))
    for i in itertools.count():
        job = records.add("backup", str(i), requested_by="a", origin=None, interface="cli", options={})
        print("queued", job.id, flush=True)
        records.save_progress(replace(job, state=JobState.RUNNING, started=utc_now()))
        records.save(replace(job, state=JobState.SUCCEEDED, started=utc_now(), finished=utc_now()))
        print("succeeded", job.id, flush=True)
"""


def test_what_was_promised_before_a_kill_is_there_afterwards(tmp_path):
    for kill_after in range(1, 6):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            lines = [process.stdout.readline().split() for _ in range(kill_after * 3)]
            process.kill()
            lines += [line.split() for line in process.stdout if line.endswith("\n")]
        promised = {job_id: state for state, job_id in lines}
        with JobRecords.open(tmp_path) as records:
            for job_id, state in promised.items():
                found = records.get(job_id).state
                assert found in ({"succeeded"} if state == "succeeded" else {"succeeded", "interrupted"})
            assert not {job.state for job in records.list()} & {JobState.QUEUED, JobState.RUNNING}
            assert records.warnings == []


TEXTS = st.text(max_size=20)
TIMES = st.datetimes(timezones=st.just(datetime.UTC))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=3))
JOBS = st.builds(
    Job,
    number=st.integers(0, 2**63 - 1),
    id=TEXTS,
    kind=TEXTS,
    database=st.none() | TEXTS,
    state=st.sampled_from(JobState),
    requested_by=TEXTS,
    origin=st.none() | TEXTS,
    interface=TEXTS,
    options=st.dictionaries(TEXTS, VALUES, max_size=3),
    progress=st.none()
    | st.builds(
        JobProgress, TEXTS, st.integers(), st.integers(), st.none() | st.integers(), st.sampled_from(["bytes"])
    ),
    result=VALUES,
    error=st.none() | st.builds(JobFailure, TEXTS, TEXTS, st.none() | TEXTS),
    created=TIMES,
    started=st.none() | TIMES,
    finished=st.none() | TIMES,
)


@given(JOBS)
def test_a_job_is_the_job_of_its_row(job):
    row = row_of(job)
    assert job_of([row[column] for column in COLUMNS]) == job


@given(TIMES, TIMES)
def test_times_order_as_their_texts_do(first, second):
    assert (time_text(first) < time_text(second)) is (first < second)


def test_the_clock_tells_utc():
    assert utc_now().utcoffset() == datetime.timedelta()
