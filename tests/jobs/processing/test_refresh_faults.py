"""Whatever fails and whenever: the old rows are served, nothing is left behind, and the error says where it was."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refresh_models import query_partition
from refreshes import all_types, differences, parquet_partition, shop, table_of
from test_refresh_sources import bind, npgsql

from killed_processes import KilledProcesses
from storage.data_folder.failing_files import fail_file_calls
from tabvault.errors import DatabaseError, JobCancelledError, SourceUnreachableError, StorageError, TabvaultError
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.testing.faults import CallCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from refreshes import Shop

    from sources.postgresql import PostgreSqlServer
    from tabvault.jobs.progress import Progress


OLD, NEW = all_types(40), all_types(60, first=40)
ENDLESS = 'SELECT generate_series(1, 1000000000) AS "Key"'
KEYS = pa.table({"Key": pa.array([1, 2], pa.int64())})


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Shop]:
    """A database that was refreshed once, and whose file has other rows since."""
    with shop(tmp_path) as one:
        one.create(table_of("Facts", OLD, parquet_partition("p", one.files / "p", OLD)))
        one.refresh()
        pq.write_table(NEW, one.files / "p")
        yield one


def assert_old(shop: Shop) -> None:
    assert differences(shop.rows("Facts"), OLD) == 0
    assert shop.staging() == []


class At:
    """Does something when a step has come so far, once; and remembers when."""

    def __init__(self, step: str, action: Callable[[], None], *, done: int = 0) -> None:
        self._step, self._action, self._done = step, action, done
        self.when: float | None = None

    def __call__(self, now: Progress) -> None:
        if self.when is None and now.step == self._step and now.done >= self._done:
            self.when = time.monotonic()
            self._action()


def cancel() -> None:
    raise JobCancelledError("cancelled by the test")


@pytest.fixture
def endless(tmp_path: Path, postgresql: PostgreSqlServer) -> Iterator[Shop]:
    """Two partitions, one of which never ends, over rows that are there."""
    with shop(tmp_path) as one:
        partitions = [query_partition("short", 'SELECT 1 AS "Key" UNION SELECT 2'), query_partition("endless", ENDLESS)]
        one.create(table_of("Facts", KEYS, *partitions), dataSources=[npgsql(postgresql)])
        bind(one, "Warehouse", postgresql.user, postgresql.password)
        one.refresh("full", ("Facts", "short"))
        yield one


def test_a_source_that_dies_in_the_middle_leaves_the_old_rows(endless: Shop, postgresql: PostgreSqlServer) -> None:
    def kill() -> None:
        postgresql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE '%generate_series(1, 1000000000)%' AND pid <> pg_backend_pid()"
        )

    watch = At("reading rows", kill, done=10_000)
    with pytest.raises(SourceUnreachableError, match="table 'Facts', partition 'endless': ") as caught:
        endless.refresh(progress=watch)
    assert watch.when is not None
    assert postgresql.password not in str(caught.value)
    assert endless.rows("Facts").column("Key").to_pylist() == [1, 2]
    assert endless.staging() == []
    assert endless.vault.verify("shop").ok


def test_cancelling_while_rows_are_read_ends_within_two_seconds(endless: Shop, postgresql: PostgreSqlServer) -> None:
    watch = At("reading rows", cancel, done=10_000)
    with pytest.raises(JobCancelledError, match="cancelled by the test"):
        endless.refresh(progress=watch)
    assert watch.when is not None
    assert time.monotonic() - watch.when < 2
    assert endless.rows("Facts").column("Key").to_pylist() == [1, 2]
    assert endless.staging() == []
    with postgresql.connect() as connection:
        for _ in range(100):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                "AND query LIKE '%generate_series(1, 1000000000)%' AND pid <> pg_backend_pid()"
            ).fetchone()
            if row == (0,):
                break
            time.sleep(0.05)
        assert row == (0,), "the database still works for somebody who left"


@pytest.mark.parametrize("step", ["encoding tables", "building hierarchies"])
def test_cancelling_while_tables_are_made_ends_within_two_seconds(made: Shop, step: str) -> None:
    random = np.random.default_rng(1)
    many = pa.table(
        {name: pa.array(random.integers(0, 1 << 40, 600_000)) for name in ("A", "B")}
        | {"Text": pa.array(random.integers(0, 200_000, 600_000)).cast(pa.string())}
    )
    made.add("Table", table_of("Many", many, parquet_partition("p", made.files / "many", many)))
    version = made.version()
    watch = At(step, cancel)
    with pytest.raises(JobCancelledError, match="cancelled by the test"):
        made.refresh(progress=watch)
    assert watch.when is not None
    assert time.monotonic() - watch.when < 2
    assert_old(made)
    assert made.version() == version


def test_cancelling_at_any_moment_leaves_the_old_rows(made: Shop) -> None:
    moments = 0
    for moment in range(1, 1000):
        seen = [0]

        def tell(_now: Progress, seen: list[int] = seen, moment: int = moment) -> None:
            seen[0] += 1
            if seen[0] == moment:
                cancel()

        try:
            made.refresh(progress=tell)
        except JobCancelledError:
            moments += 1
            assert_old(made)
            continue
        break
    assert moments >= 8
    assert differences(made.rows("Facts"), NEW) == 0


class _FullDisk:
    """A temporary file on a disk whose room ends at the n-th write of all such files."""

    def __init__(self, file: BinaryIO, counter: CallCounter) -> None:
        self._file, self._counter = file, counter

    def write(self, content: bytes) -> int:
        return self._counter.run("write", lambda: self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_leaves_the_old_rows_whichever_write_fails(
    made: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch_file = DataFolder.scratch_file
    failures = 0
    for fail_at in range(1, 10_000):
        counter = CallCounter(fail_at=fail_at, error=full())
        with monkeypatch.context() as patch:
            patch.setattr(
                DataFolder, "scratch_file", lambda folder, counter=counter: _FullDisk(scratch_file(folder), counter)
            )
            try:
                made.refresh()
            except StorageError as error:
                assert error.code == "storage_disk_full"  # noqa: PT017 - the last time nothing is raised
                failures += 1
        if not counter.has_failed:
            break
        assert_old(made)
    assert failures > 5
    assert differences(made.rows("Facts"), NEW) == 0
    assert made.vault.verify("shop").ok


@pytest.mark.slow
def test_a_commit_that_fails_leaves_old_or_new_rows_whichever_file_call_fails(
    made: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, fail_at, step = 0, 1, 11
    while True:
        counter = CallCounter(fail_at=fail_at, error=full())
        with monkeypatch.context() as patch:
            fail_file_calls(patch, counter)
            try:
                made.refresh()
            except TabvaultError:
                failures += 1
        if not counter.has_failed:
            break
        is_new = made.rows("Facts").num_rows == NEW.num_rows
        if is_new:  # the commit was done, and what failed was only the cleaning up behind it
            assert differences(made.rows("Facts"), NEW) == 0
        else:
            assert differences(made.rows("Facts"), OLD) == 0
        if is_new:
            pq.write_table(OLD, made.files / "p")
            made.refresh()
            pq.write_table(NEW, made.files / "p")
        fail_at += step
    assert failures > 10
    assert differences(made.rows("Facts"), NEW) == 0
    assert made.vault.verify("shop").ok


LOOP = """
    from pathlib import Path
    from tabvault.jobs.processing.refresh import refresh_database
    from tabvault.jobs.processing.request import RefreshKind, RefreshRequest
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.storage.data_folder.folder import DataFolder

    def work(ready):
        data = Path(sys.argv[1])
        with DataFolder.open(data) as folder:
            request = RefreshRequest(RefreshKind.FULL)
            ready()
            while True:
                refresh_database(folder, "shop", request, lambda info: SourceAccess(data, info.id))
    """


@pytest.mark.slow
def test_ten_kills_leave_whole_databases_and_nothing_in_staging(tmp_path: Path) -> None:
    with shop(tmp_path) as made:
        made.create(table_of("Facts", OLD, parquet_partition("p", made.files / "p", OLD)))
        made.refresh()
    generator = random.Random(4)
    interrupted = 0
    staging = tmp_path / "data/staging"
    with KilledProcesses(LOOP, tmp_path / "data") as processes:
        for number in range(10):
            processes.start()
            time.sleep(generator.uniform(0, 0.15))
            end = time.monotonic() + 10
            while number % 2 and not list(staging.iterdir()) and time.monotonic() < end:
                pass  # every other time in the middle of a commit
            processes.kill()
            interrupted += bool(list(staging.iterdir()))
            with shop(tmp_path) as made:
                assert_old(made)
                assert made.vault.verify("shop").ok
    assert interrupted >= 3, "the kills came at moments when nothing was under way"


def test_a_query_that_runs_while_a_refresh_commits_keeps_its_rows(made: Shop) -> None:
    with made.vault.open("shop") as opened:
        facts = next(one for one in opened.tables if one.name == "Facts")
        first = facts.to_arrow(["Key"])
        made.refresh()
        assert differences(made.rows("Facts"), NEW) == 0
        assert facts.to_arrow(["Key"]).equals(first)
        assert sorted(facts.to_arrow(["Key"]).column("Key").to_pylist()) == OLD.column("Key").to_pylist()
        assert facts.to_arrow(["Text"]).num_rows == OLD.num_rows, "a column that was not read before the commit"


def test_readers_always_see_one_version_whole(made: Shop) -> None:
    keys = [set(rows.column("Key").to_pylist()) for rows in (OLD, NEW)]
    seen: list[set[int]] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            seen.append(set(made.rows("Facts").column("Key").to_pylist()))

    reader = threading.Thread(target=read)
    reader.start()
    for rows in (NEW, OLD, NEW):
        pq.write_table(rows, made.files / "p")
        made.refresh()
    is_over.set()
    reader.join()
    assert len(seen) > 3
    assert all(one in keys for one in seen)


@pytest.mark.parametrize("step", ["reading rows", "encoding tables", "building hierarchies"])
def test_a_change_that_is_committed_meanwhile_is_not_lost(made: Shop, step: str) -> None:
    measure = {"name": "Rows", "expression": "COUNTROWS ( Facts )"}
    watch = At(step, lambda: made.add("Measure", measure, "Facts"))
    with pytest.raises(DatabaseError, match="changed"):
        made.refresh(progress=watch)
    assert watch.when is not None
    assert_old(made)
    assert [name for (name,) in made.cells("Measure", "Name")] == ["Rows"]
    made.refresh()
    assert differences(made.rows("Facts"), NEW) == 0
    made.check()
