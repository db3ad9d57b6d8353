"""
Sources that are silent: nobody waits for them longer than he wants to, and nobody else waits at all.

A source is silent for as long as a lock of the tests' own is held, which is until the test is over.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from live_models import column, live_database, m_partition, query_partition, table, warehouse

from tabvault.engine.sql import query_sql
from tabvault.errors import JobCancelledError, QueryError
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from live_models import LiveDatabase

    from sources.postgresql import PostgreSqlServer

LOCK = 7_041_776
ROW_COUNT = 700_000
"""More than the driver puts into its first batch."""

SILENT_LATER = f"SELECT x FROM generate_series(1, {ROW_COUNT}) x WHERE x < {ROW_COUNT} OR dq_waits() = 1"
PATIENCE_S = 20.0
"""A bound for what would else never end."""


@pytest.fixture(scope="module")
def waiting(postgresql: PostgreSqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDatabase]:
    postgresql.execute(
        "CREATE FUNCTION dq_waits() RETURNS int LANGUAGE plpgsql AS "
        f"'BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN 1; END'",
        "CREATE TABLE dq_locked AS SELECT 1 AS x",
    )
    m = (
        f'let Source = PostgreSQL.Database("127.0.0.1:{postgresql.port}", "postgres"), '
        'T = Source{[Schema="public",Item="dq_locked"]}[Data] in T'
    )
    x = [column("x", "int64")]
    with live_database(tmp_path_factory.mktemp("waiting")) as database:
        database.create(
            [
                table("Silent", x, query_partition("SELECT dq_waits() AS x")),
                table("Later", x, query_partition(SILENT_LATER)),
                table("Locked", x, query_partition("SELECT * FROM dq_locked")),
                table("M", x, m_partition(m)),
            ],
            warehouse(postgresql),
        )
        database.bind(postgresql.user, postgresql.password)
        yield database
    postgresql.execute("SET lock_timeout = '30s'; DROP TABLE dq_locked; DROP FUNCTION dq_waits")


@pytest.fixture
def silence(waiting: LiveDatabase, postgresql: PostgreSqlServer) -> Iterator[LiveDatabase]:
    """The database while its sources say nothing."""
    with postgresql.connect() as connection, connection.transaction():
        connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})".encode())
        connection.execute("LOCK TABLE dq_locked IN ACCESS EXCLUSIVE MODE")
        yield waiting
        assert_nobody_waits(postgresql)


def assert_nobody_waits(server: PostgreSqlServer) -> None:
    """The server was told to stop: no session of ours waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tabvault' AND wait_event_type = 'Lock'"
    with server.connect() as connection:
        eventually(lambda: connection.execute(query).fetchall() == [(0,)])


def ended(call: Callable[[], Any]) -> list[BaseException]:
    """What *call* raised, in a list; it ends although the source does not."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return raised


@pytest.mark.parametrize("name", ["Silent", "Locked", "M"])
def test_the_time_of_a_query_is_that_of_its_questions_for_columns_too(silence: LiveDatabase, name: str) -> None:
    asking = (
        lambda: silence.sql(f"SELECT sum(x) AS s FROM {name}", timeout_s=0.3),
        lambda: silence.sql(f"SELECT x + 1 AS x FROM {name} WHERE x > 0", timeout_s=0.3),
        lambda: silence.dax(f"EVALUATE {name}", timeout_s=0.3),
    )
    for ask in asking[:: 1 if name == "Locked" else 2]:
        [error] = ended(ask)
        assert isinstance(error, QueryError)
        assert "took longer than 0.3 s" in error.message


def source_waits(connection: Any) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
    eventually(lambda: connection.execute(query).fetchall() == [(1,)])


def test_whoever_wants_no_more_rows_does_not_wait_for_the_next_ones(
    silence: LiveDatabase, postgresql: PostgreSqlServer
) -> None:
    def ask() -> None:
        with silence.asked("SELECT x FROM Later") as answer, postgresql.connect() as connection:
            assert next(answer.batches).num_rows
            source_waits(connection)

    assert ended(ask) == []


def test_a_question_that_waits_for_its_next_rows_can_be_cancelled(
    silence: LiveDatabase, postgresql: PostgreSqlServer
) -> None:
    """DuckDB may hold the first rows until it has more: so it is unknown how many came when it is cancelled."""
    with silence.asked("SELECT x + 1 AS x FROM Later WHERE x % 2 = 0") as answer, postgresql.connect() as connection:

        def cancel() -> None:
            source_waits(connection)
            answer.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        [error] = ended(lambda: list(answer.batches))
        canceller.join()
        assert isinstance(error, JobCancelledError)


def test_a_cancelled_question_ends_before_its_first_row(silence: LiveDatabase, postgresql: PostgreSqlServer) -> None:
    from tabvault.jobs.evaluation import evaluate

    with silence.vault.open(silence.name) as opened, postgresql.connect() as connection:
        answer = evaluate(opened, "EVALUATE Silent", sources=silence.access)

        def cancel() -> None:
            source_waits(connection)
            answer.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        [error] = ended(lambda: next(answer.batches))
        canceller.join()
        assert isinstance(error, JobCancelledError)
        answer = evaluate(opened, "EVALUATE Silent", sources=silence.access)
        answer.cancel()
        assert isinstance(ended(lambda: next(answer.batches))[0], JobCancelledError)


class Rows:
    """A table whose rows are there once *is_there* is set."""

    schema = pa.schema([("x", pa.int64())])

    def __init__(self, is_there: threading.Event) -> None:
        self._is_there = is_there

    def read(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            self._is_there.wait(PATIENCE_S)
            yield pa.record_batch([pa.array([1, 2, None])], schema=self.schema).select(list(columns))

        return pa.RecordBatchReader.from_batches(self.schema, batches())


def test_many_queries_that_wait_leave_room_for_those_that_need_not() -> None:
    """Arrow reads files in eight threads, unless told otherwise: none of them may wait for a source."""
    is_there, is_here = threading.Event(), threading.Event()
    is_here.set()
    answers: list[Any] = []

    def ask(rows: Rows) -> None:
        with query_sql("SELECT sum(x) AS s FROM t WHERE x > 1", {"t": rows}) as result:
            answers.append(result.read_all().to_pydict())

    class Loaded(Rows):
        def read(self, columns: Sequence[str]) -> pa.Table:
            return super().read(columns).read_all()

    threads = [threading.Thread(target=ask, args=(Rows(is_there),)) for _ in range(pa.io_thread_count() + 1)]
    with contextlib.ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(is_there.set)
        assert ended(lambda: ask(Loaded(is_here))) == []
        assert answers == [{"s": [2]}]
    assert answers == [{"s": [2]}] * (len(threads) + 1)
