"""Rows that are taken, cancelled, left: never fewer than there are without a word."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from tabvault.errors import JobCancelledError
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.opening import open_source
from waiting import eventually

if TYPE_CHECKING:
    from tabvault.sources.source import Source

ROW_COUNT = 300_000
QUERY = "SELECT a FROM t"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("rows") / "a.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT i AS a FROM range({ROW_COUNT}) AS r (i)")
    definition = SourceDefinition(kind=SourceKind.DUCKDB, path=str(path))
    return open_source(definition, None, allowed_folders=[path.parent])


def threads_of_sources() -> int:
    return sum(thread.name.startswith("tabvault-source") for thread in threading.enumerate())


def test_cancelled_at_any_moment_whoever_takes_rows_has_all_of_them_or_an_error(source: Source) -> None:
    ends = set()
    for step in range(30):
        rows = source.read(QUERY, batch_row_count=2048)
        timer = threading.Timer(step / 1000, rows.cancel)
        timer.start()
        try:
            with rows:
                count = sum(batch.num_rows for batch in rows)
        except JobCancelledError:
            ends.add("cancelled")
        else:
            ends.add("whole")
            assert count == ROW_COUNT
        timer.join()
    assert "cancelled" in ends


def test_cancelled_before_it_begins_it_does_not_begin(source: Source) -> None:
    rows = source.read(QUERY)
    rows.cancel()
    with pytest.raises(JobCancelledError), rows:
        pass


def test_nothing_is_left_running_however_rows_are_left(source: Source) -> None:
    with source.read(QUERY) as rows:
        assert sum(batch.num_rows for batch in rows) == ROW_COUNT
        assert list(rows) == []
    with source.read(QUERY, batch_row_count=1024) as rows:
        next(iter(rows))
    with pytest.raises(ZeroDivisionError), source.read(QUERY, batch_row_count=1024) as rows:
        next(iter(rows)).num_rows / 0
    source.read(QUERY)
    eventually(lambda: threads_of_sources() == 0, within_s=5)


def test_few_batches_are_read_ahead_of_whoever_takes_them(source: Source) -> None:
    with source.read(QUERY, batch_row_count=2048) as rows:
        next(iter(rows))
        time.sleep(0.3)
        assert rows._results.qsize() <= 2
        assert threads_of_sources() == 1
        assert pa.total_allocated_bytes() < 50_000_000
