"""Tables in DirectQuery mode on a real PostgreSQL: its answers, what it was asked, and what travelled."""

# a model's dateTime has no zone

from __future__ import annotations

import datetime
import re
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest
from live_models import column, live_database, m_partition, query_partition, table, warehouse

from tabvault.errors import (
    JobCancelledError,
    QueryError,
    QueryNotSupportedError,
    SourceCredentialError,
    SourceError,
    SourceTypeError,
    SourceUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from live_models import LiveDatabase

    from sources.postgresql import PostgreSqlServer


ROW_COUNT = 3000
NAMES = ("Łódź", "łódź", "São-João", "", "O'Brien", "a\u0301", "á", " x", "x ", None)
SALE_COLUMNS = [
    column("Id", "int64", "id"),
    column("Customer", "int64", "customer"),
    column("Amount", "decimal", "amount"),
    column("Price", "double", "price"),
    column("Name", "string", "name"),
    column("Day", "dateTime", "day"),
    column("Moment", "dateTime", "moment"),
    column("Flag", "boolean", "flag"),
    column("Code", "string", "code"),
]
CUSTOMER_COLUMNS = [column("Key", "int64", "id"), column("City", "string", "city")]
PUSHED = re.compile(r"COPY \((SELECT .*? AS r0.*?\n\t.*?)\n\t\) TO STDOUT", re.DOTALL)
"""A question that was left to the server whole, in its log."""


@pytest.fixture(scope="module")
def server(postgresql: PostgreSqlServer) -> Iterator[PostgreSqlServer]:
    postgresql.execute(
        'CREATE TABLE dq_sale (id int8, customer int4, amount numeric, price float8, name text COLLATE "de-x-icu", '
        "day date, moment timestamptz, flag bool, code char(4))",
        "CREATE TABLE dq_customer (id int4, city varchar(40))",
        "INSERT INTO dq_customer SELECT n, 'city ' || n % 5 FROM generate_series(0, 19) n",
        "ALTER ROLE reader SET log_statement = 'all'",
    )
    with (
        postgresql.connect() as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY dq_sale FROM STDIN") as copy,
    ):
        for n in range(ROW_COUNT):
            amount = None if n % 13 == 0 else Decimal(n * 12345 + 5) / 10 ** (n % 7)
            name = NAMES[n % 10]
            day = None if n % 17 == 0 else datetime.date(2024, 1, 1) + datetime.timedelta(days=n % 400)
            moment = datetime.datetime(2024, 1, 1, 23, 30, tzinfo=datetime.UTC) + datetime.timedelta(minutes=n)
            copy.write_row((n, n % 25, amount, n / 7 - 100, name, day, moment, n % 3 == 0, "ab"))
    yield postgresql
    postgresql.execute("ALTER ROLE reader RESET log_statement", "DROP TABLE dq_sale, dq_customer")


@pytest.fixture(scope="module")
def live(server: PostgreSqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDatabase]:
    with live_database(tmp_path_factory.mktemp("live")) as database:
        database.create(
            [
                table("Sale", SALE_COLUMNS, query_partition("SELECT * FROM dq_sale -- every row")),
                table("Customer", CUSTOMER_COLUMNS, query_partition("SELECT * FROM dq_customer;")),
            ],
            warehouse(server),
        )
        database.bind(server.user, server.password)
        yield database


@pytest.fixture(scope="module")
def truth(live: LiveDatabase) -> duckdb.DuckDBPyConnection:
    """The same rows in a DuckDB, conformed to the model."""
    connection = duckdb.connect()
    for name in ("Sale", "Customer"):
        rows = live.sql(f"SELECT * FROM {name} WHERE random() >= 0")  # random() is done here
        connection.register(name, rows)
    return connection


def logged(server: PostgreSqlServer, since: int) -> list[str]:
    """Questions in the server's log that it was left whole, from the byte *since* on."""
    return PUSHED.findall((server.socket_folder / "log").read_bytes()[since:].decode())


def log_size(server: PostgreSqlServer) -> int:
    return (server.socket_folder / "log").stat().st_size


def assert_same(ours: pa.Table, theirs: pa.Table, *, is_ordered: bool) -> None:
    assert ours.schema.equals(theirs.schema)
    if is_ordered:
        assert ours.to_pylist() == theirs.to_pylist()
    else:
        assert sorted(map(repr, zip(*ours.to_pydict().values(), strict=True))) == sorted(
            map(repr, zip(*theirs.to_pydict().values(), strict=True))
        )


WHOLE = {
    "SELECT count(*) FROM Sale": 1,
    "SELECT sum(Id), sum(Amount), avg(Amount), avg(Id), min(Amount), max(Price), min(Day), max(Moment) FROM Sale": 1,
    "SELECT Name, count(*) AS n, count(DISTINCT Day) FROM Sale GROUP BY Name ORDER BY n DESC, 1 NULLS FIRST": 10,
    "SELECT Name, sum(Amount) FROM Sale WHERE Name IN ('Łódź', 'á', '') GROUP BY 1": 3,
    "SELECT count(Amount) FROM Sale WHERE Name = 'łódź' AND NOT (Price < 0.5 OR Flag)": 1,
    "SELECT Customer, Flag, min(Day) FROM Sale WHERE Day >= DATE '2024-02-01' AND Moment < '2024-01-03 12:00:00' "
    "GROUP BY Customer, Flag ORDER BY Customer DESC, Flag": 50,
    "SELECT Id, Amount FROM Sale WHERE Amount IS NOT NULL ORDER BY Amount DESC, Id LIMIT 7 OFFSET 3": 7,
    "SELECT Day, Id FROM Sale ORDER BY Day NULLS FIRST, Id LIMIT 400": 400,
    "SELECT c.City, sum(s.Amount) AS total FROM Sale s LEFT JOIN Customer c ON s.Customer = c.Key "
    "GROUP BY c.City ORDER BY total DESC NULLS LAST": 6,
    "SELECT c.*, s.Id FROM Customer c JOIN Sale s ON c.Key = s.Customer AND s.Id BETWEEN 3 AND 40": 33,
    "SELECT avg(Id) FROM Sale WHERE Id < 0": 1,
}  # fmt: skip
"""Queries that the server answers whole, and how many rows it sends."""


@pytest.mark.parametrize("text", WHOLE)
def test_the_server_answers_a_whole_query_and_only_the_answer_travels(
    live: LiveDatabase, truth: duckdb.DuckDBPyConnection, server: PostgreSqlServer, text: str
) -> None:
    expected = truth.sql(text).to_arrow_table()
    begin = log_size(server)
    answer = live.sql(text)
    assert_same(answer, expected, is_ordered="ORDER BY" in text)
    [question] = logged(server, begin)
    with server.connect() as connection:
        assert len(connection.execute(question.replace("\n\t", "\n").encode()).fetchall()) == WHOLE[text]
    assert ("sum(" in text.lower()) == ("SUM(" in question) or "avg(" in text


HERE = (
    "SELECT Id / 2, Id // 2 FROM Sale WHERE Id < 9 ORDER BY 1",
    "SELECT upper(Name), sum(Price) > 0 FROM Sale WHERE Id < 500 AND length(Name) > 1 GROUP BY ALL",
    "SELECT min(Name), max(Name) FROM Sale",
    "SELECT count(*) FROM Sale WHERE Name > 'a'",
    "SELECT count(*) FROM Sale WHERE Code = 'ab'",
    "SELECT count(*) FROM Sale WHERE Name LIKE '%dź'",
    "SELECT Name, row_number() OVER (ORDER BY Id) FROM Sale WHERE Id IN (4, 5)",
    "SELECT DISTINCT City FROM Customer",
    "WITH s AS (SELECT * FROM Sale) SELECT count(*) FROM s a JOIN s b ON a.Id = b.Id + 1",
    (
        "SELECT count(*) FROM Customer c LEFT JOIN Sale s ON c.Key = s.Id "
        "WHERE (s.Name IS NULL OR s.Name < 'b') AND c.Key > 3"
    ),
    "SELECT Key FROM Customer EXCEPT SELECT Customer FROM Sale WHERE Flag",
    "SELECT count(*) FROM Sale WHERE Amount = 1.23456 OR Id = 1.5 OR Name = 'back\\slash'",
    "SUMMARIZE Customer",
)


@pytest.mark.parametrize("text", HERE)
def test_what_a_server_may_decide_otherwise_is_done_here(
    live: LiveDatabase, truth: duckdb.DuckDBPyConnection, server: PostgreSqlServer, text: str
) -> None:
    begin = log_size(server)
    assert_same(live.sql(text), truth.sql(text).to_arrow_table(), is_ordered="ORDER BY 1" in text)
    assert logged(server, begin) == []


def test_columns_and_safe_conditions_go_to_the_server_even_if_the_rest_is_done_here(
    live: LiveDatabase, server: PostgreSqlServer
) -> None:
    begin = log_size(server)
    rows = live.sql("SELECT upper(Name) FROM Sale WHERE Id < 20 AND length(Name) > 3 AND Flag")
    assert rows.num_rows == 2
    log = (server.socket_folder / "log").read_bytes()[begin:].decode()
    assert 'COPY (SELECT "name" FROM (' in log or 'COPY (SELECT "name", ' in log
    assert '"amount"' not in log
    assert 'WHERE ("id") < 20 AND "flag"' in log


def test_evaluate_gives_the_rows_with_the_names_of_dax(live: LiveDatabase, truth: duckdb.DuckDBPyConnection) -> None:
    expected = truth.sql("FROM Customer").to_arrow_table()
    rows = live.dax("EVALUATE 'Customer'")
    assert rows.column_names == ["Customer[Key]", "Customer[City]"]
    assert_same(rows.rename_columns(expected.column_names), expected, is_ordered=False)
    assert live.dax("EVALUATE TOPN(7, 'Sale')").num_rows == 7
    assert live.dax("EVALUATE TOPN(0, 'Sale')").num_rows == 0


def test_the_rows_are_those_that_the_source_has_now(live: LiveDatabase, server: PostgreSqlServer) -> None:
    count = "SELECT count(*) AS n FROM Customer WHERE City = 'new'"
    assert live.sql(count).to_pylist() == [{"n": 0}]
    server.execute("INSERT INTO dq_customer VALUES (99, 'new')")
    try:
        assert live.sql(count).to_pylist() == [{"n": 1}]
        assert live.dax("EVALUATE Customer").num_rows == 21
    finally:
        server.execute("DELETE FROM dq_customer WHERE id = 99")


def test_a_value_of_a_query_stays_a_value(live: LiveDatabase) -> None:
    for value in ("x'; DROP TABLE dq_sale; --", "'", "''", "q_0 /*", "\\'; SELECT 1; --", "$1", "%s", ":x", '"', "é\n"):
        quoted = value.replace("'", "''")
        assert live.sql(f"SELECT count(*) AS n FROM Sale WHERE Name = '{quoted}'").to_pylist() == [{"n": 0}]
    assert live.sql("SELECT count(*) AS n FROM Sale WHERE Name = 'O''Brien'").to_pylist() == [{"n": ROW_COUNT // 10}]


def test_more_rows_than_the_limit_are_refused_and_the_server_sends_one_more_at_most(
    live: LiveDatabase, server: PostgreSqlServer
) -> None:
    begin = log_size(server)
    for text in ("SELECT * FROM Sale", "SELECT upper(Name) FROM Sale", "SELECT Name, Id FROM Sale ORDER BY Name"):
        with pytest.raises(QueryError, match=r"table 'Sale' in DirectQuery mode: .* more than 100 rows") as error:
            live.sql(text, source_row_count_max=100)
        assert "aggregate" in (error.value.hint or "")
    assert (server.socket_folder / "log").read_bytes()[begin:].decode().count("LIMIT 101\n") == 3
    assert live.sql("SELECT sum(Id) FROM Sale", source_row_count_max=100).num_rows == 1
    with pytest.raises(QueryError, match="more than 10 rows"):
        live.dax("EVALUATE Customer", source_row_count_max=10)
    assert live.dax("EVALUATE TOPN(10, Customer)", source_row_count_max=10).num_rows == 10


def made(folder: Path, server: PostgreSqlServer, name: str, columns: list[dict[str, str]], text: str) -> LiveDatabase:
    database = live_database(folder, name).__enter__()
    database.create([table("T", columns, query_partition(text))], warehouse(server))
    database.bind(server.user, server.password)
    return database


@pytest.mark.parametrize(
    ("text", "data_type", "aggregate"),
    [
        ("SELECT 'NaN'::float8 AS x UNION ALL SELECT 1", "double", "min"),
        ("SELECT 'infinity'::timestamp AS x", "dateTime", "max"),
        ("SELECT 1e16::numeric AS x", "decimal", "sum"),
        ("SELECT 1.5::numeric AS x", "int64", "sum"),
    ],
)
def test_a_value_without_room_in_its_column_is_refused_by_the_server_too(
    tmp_path: Path, server: PostgreSqlServer, text: str, data_type: str, aggregate: str
) -> None:
    database = made(tmp_path, server, "odd", [column("x", data_type)], text)
    with pytest.raises(SourceError) as error:
        database.sql(f"SELECT {aggregate}(x) FROM T")
    assert "may not fit" in (error.value.hint or "")
    with pytest.raises(SourceTypeError, match="does not fit"):
        database.sql("SELECT x FROM T WHERE random() >= 0")


def test_a_query_that_takes_too_long_is_stopped_on_the_server(tmp_path: Path, server: PostgreSqlServer) -> None:
    database = made(tmp_path, server, "slow", [column("x", "string")], "SELECT pg_sleep(20)::text AS x")
    for ask in (
        lambda: database.sql("SELECT count(x) FROM T", timeout_s=0.5),
        lambda: database.sql("SELECT upper(x) FROM T", timeout_s=0.5),
        lambda: database.dax("EVALUATE T", timeout_s=0.5),
    ):
        begun = time.monotonic()
        with pytest.raises(QueryError, match=r"query took longer than 0\.5 s"):
            ask()
        assert time.monotonic() - begun < 5
    assert_nothing_runs(server)


def test_a_cancelled_query_says_so_and_ends_on_the_server(tmp_path: Path, server: PostgreSqlServer) -> None:
    database = made(tmp_path, server, "long", [column("x", "int64")], "SELECT generate_series(1, 900000000) AS x")
    with database.asked("SELECT x FROM T") as answer:
        next(answer.batches)
        answer.cancel()
        with pytest.raises(JobCancelledError):
            list(answer.batches)
    with database.asked("SELECT x + 1 FROM T WHERE x > 0") as answer:
        next(answer.batches)  # whoever wants no more rows just leaves
    assert_nothing_runs(server)


def assert_nothing_runs(server: PostgreSqlServer) -> None:
    end = time.monotonic() + 5
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tabvault' AND state = 'active'"
    while True:
        with server.connect() as connection:
            [(count,)] = connection.execute(query).fetchall()
        if count == 0:
            return
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_the_source_has_against_it_is_said_without_a_secret(tmp_path: Path, server: PostgreSqlServer) -> None:
    database = made(tmp_path, server, "gone", [column("x", "int64")], "SELECT x FROM not_there")
    with pytest.raises(SourceError, match=r"table 'T' in DirectQuery mode: PostgreSQL .* \"not_there\" does not exist"):
        database.sql("SELECT sum(x) FROM T")
    database.bind(server.user, "wrong-password")
    with pytest.raises(SourceCredentialError, match="table 'T'") as error:
        database.dax("EVALUATE T")
    assert "wrong-password" not in str(error.value)
    with live_database(tmp_path / "other") as other:
        other.create(
            [table("T", [column("x", "int64")], query_partition("SELECT 1 AS x"))], warehouse(server, Port="1")
        )
        other.bind("a", "b")
        with pytest.raises(SourceUnreachableError, match="table 'T'"):
            other.sql("FROM T")


def test_a_wrong_column_is_told_as_of_a_loaded_table(live: LiveDatabase) -> None:
    with pytest.raises(QueryError, match='referenced column "Nmae" not found') as error:
        live.sql("SELECT Nmae FROM Sale")
    assert (error.value.line, error.value.column) == (1, 8)


def test_tables_are_listed_and_described_without_asking_a_source(tmp_path: Path, server: PostgreSqlServer) -> None:
    with live_database(tmp_path) as database:
        database.create([table("T", SALE_COLUMNS, query_partition("SELECT nonsense"))], warehouse(server))
        assert database.sql("SHOW TABLES").to_pylist()[0]["name"] == "T"
        described = database.sql("DESCRIBE T").to_pylist()
        assert [one["column_name"] for one in described] == [one["name"] for one in SALE_COLUMNS]


def test_m_that_folds_is_asked_live_and_pushed(tmp_path: Path, server: PostgreSqlServer) -> None:
    expression = (
        f'let Source = PostgreSQL.Database("127.0.0.1:{server.port}", "postgres"), '
        'Sale = Source{[Schema="public",Item="dq_sale"]}[Data], '
        "Some = Table.SelectRows(Sale, each [id] >= 2990), "
        'Named = Table.RenameColumns(Some, {{"id", "number"}}) in Named'
    )
    with live_database(tmp_path) as database:
        database.create([table("T", [column("Number", "int64", "number")], m_partition(expression))])
        database.bind(server.user, server.password)
        begin = log_size(server)
        assert database.sql("SELECT sum(Number) AS s, count(*) AS n FROM T").to_pylist() == [
            {"s": Decimal(29945), "n": 10}
        ]
        assert len(logged(server, begin)) == 1
        assert database.dax("EVALUATE T").num_rows == 10


def test_a_column_of_dax_cannot_be_had(tmp_path: Path, server: PostgreSqlServer) -> None:
    computed = {"type": "calculated", "name": "Twice", "dataType": "int64", "expression": "[Key] * 2"}
    with live_database(tmp_path) as database:
        database.create(
            [table("T", [*CUSTOMER_COLUMNS, computed], query_partition("SELECT * FROM dq_customer"))], warehouse(server)
        )
        database.bind(server.user, server.password)
        assert database.sql("SELECT count(*) AS n FROM T").to_pylist() == [{"n": 20}]
        with pytest.raises(QueryNotSupportedError, match="column 'Twice' of table 'T' is computed by DAX"):
            database.sql("SELECT Twice FROM T")
