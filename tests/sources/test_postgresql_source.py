"""Reading from a real PostgreSQL, with psycopg as the other reader."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
import resource
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tabvault.errors import (
    JobCancelledError,
    SourceCredentialError,
    SourceError,
    SourceTypeError,
    SourceUnreachableError,
)
from tabvault.model.objects import DataType
from tabvault.sources.conforming import conformed
from tabvault.sources.data_source import parse_definition
from tabvault.sources.definition import Credential, SourceDefinition, SourceKind
from tabvault.sources.opening import open_source
from tabvault.sources.source import LocalQuery, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sources.postgresql import PostgreSqlServer

CURRENCY = pa.decimal128(19, 4)
DATE_TIME = pa.timestamp("us")


def definition(postgresql: PostgreSqlServer, **changes: Any) -> SourceDefinition:
    facts = {"server": "127.0.0.1", "port": postgresql.port, "database": "postgres", "user": postgresql.user}
    return SourceDefinition(kind=SourceKind.POSTGRESQL, **{**facts, **changes})


def source_of(postgresql: PostgreSqlServer, **changes: Any) -> Source:
    return open_source(definition(postgresql, **changes), Credential(None, postgresql.password), allowed_folders=[])


@pytest.fixture
def source(postgresql: PostgreSqlServer) -> Source:
    return source_of(postgresql)


@pytest.fixture
def names_in_table(postgresql: PostgreSqlServer) -> Iterator[str]:
    postgresql.execute("CREATE TABLE guarded (name text)", "INSERT INTO guarded VALUES ('a')")
    yield "guarded"
    postgresql.execute("DROP TABLE guarded")


def read_all(source: Source, query: str, *parameters: Any) -> pa.Table:
    with source.read(query, parameters=parameters) as rows:
        return pa.Table.from_batches(list(rows), schema=rows.schema)


def as_model(source: Source, expression: str, data_type: pa.DataType) -> Any:
    with source.read(f"SELECT {expression} AS v") as rows:
        [batch] = conformed(rows, pa.schema([("v", data_type)]))
    return batch.column(0)[0].as_py()


# -------------------------------------------------------------------------------------------------------- types

FITTING = [
    ("smallint '-32768'", pa.int64()),
    ("2147483647::int4", pa.int64()),
    ("'-9223372036854775808'::int8", pa.int64()),
    ("3000000000::oid", pa.int64()),
    ("0.1::float8", pa.float64()),
    ("1e300::float8", pa.float64()),
    ("1.5::float4", pa.float64()),
    ("12.3400::numeric", CURRENCY),
    ("'-922337203685477.5808'::numeric", CURRENCY),
    ("12::numeric(10, 2)", pa.int64()),
    ("0.5::numeric", pa.float64()),
    ("'-1234.56'::money::numeric", CURRENCY),
    ("true", pa.bool_()),
    ("'é€😀'::text", pa.string()),
    ("''::text", pa.string()),
    ("'ab'::varchar(3)", pa.string()),
    ("'ab'::char(4)", pa.string()),
    ("'ab'::name", pa.string()),
    ("'c'::\"char\"", pa.string()),
    ("'\\x00ff'::bytea", pa.binary()),
    ("NULL::int", pa.int64()),
    ("NULL::numeric", CURRENCY),
]


@pytest.mark.parametrize(("expression", "data_type"), FITTING)
def test_a_value_is_what_psycopg_reads(
    postgresql: PostgreSqlServer, source: Source, expression: str, data_type: pa.DataType
) -> None:
    with postgresql.connect() as connection:
        [[truth]] = connection.execute(f"SELECT {expression}".encode())
    assert as_model(source, expression, data_type) == truth


@pytest.mark.parametrize(
    "expression", ["gen_random_uuid()", "'{\"b\": [1, 2]}'::jsonb", "'{\"a\":1 }'::json", "'10.0.0.1/8'::inet",
                   "'101'::bit(3)", "'1'::varbit", "'<a>é</a>'::xml", "'08:00:2b:01:02:03'::macaddr"],
)  # fmt: skip
def test_a_type_of_postgresql_s_own_is_read_as_its_text(source: Source, expression: str) -> None:
    rows = read_all(source, f"SELECT v, v::text AS truth FROM (SELECT {expression} AS v) AS one").to_pylist()
    assert rows[0]["v"] == rows[0]["truth"]


def test_money_keeps_its_cents(source: Source) -> None:
    assert as_model(source, "'1234.56'::money", CURRENCY) == Decimal("1234.56")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("date '2024-02-29'", datetime.datetime(2024, 2, 29)),
        ("date '0100-01-01'", datetime.datetime(100, 1, 1)),
        ("timestamp '9999-12-31 23:59:59.999999'", datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("timestamptz '2024-01-01 00:30:00+02'", datetime.datetime(2023, 12, 31, 22, 30)),
        ("time '06:00:00.5'", datetime.datetime(1899, 12, 30, 6, 0, 0, 500000)),
    ],
)
def test_dates_and_times_become_date_times(source: Source, expression: str, value: datetime.datetime) -> None:
    assert as_model(source, expression, DATE_TIME) == value


@pytest.mark.parametrize(
    ("expression", "data_type", "kind"),
    [
        ("timestamp 'infinity'", DATE_TIME, "outside of the years"),
        ("timestamp '-infinity'", DATE_TIME, "outside of the years"),
        ("timestamptz 'infinity'", DATE_TIME, "outside of the years"),
        ("timestamp '294276-12-31'", DATE_TIME, "outside of the years"),
        ("date 'infinity'", DATE_TIME, "outside of the years"),
        ("date '0099-12-31'", DATE_TIME, "outside of the years"),
        ("date '0044-03-15 BC'", DATE_TIME, "outside of the years"),
        ("time '24:00:00'", DATE_TIME, "beyond the end of the day"),
        ("'NaN'::numeric", CURRENCY, "not finite"),
        ("'Infinity'::numeric", pa.float64(), "not finite"),
        ("'NaN'::float8", pa.float64(), "not finite"),
        ("922337203685477.5808", CURRENCY, "beyond the range"),
        ("1e80::numeric", CURRENCY, "beyond the range"),
        ("9223372036854775808", pa.int64(), "beyond 64 bits"),
        ("1.5", pa.int64(), "fraction"),
        ("1.5::float8", pa.int64(), "fraction"),
        ("9007199254740993::int8", pa.float64(), "no double"),
        ("'12 apples'::text", pa.int64(), "text that is no number"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_kind_and_row(
    source: Source, expression: str, data_type: pa.DataType, kind: str
) -> None:
    with pytest.raises(SourceTypeError, match=f"column 'v', row 1: .*{kind}.* does not fit"):
        as_model(source, expression, data_type)


@pytest.mark.parametrize(
    ("expression", "data_type"),
    [("ARRAY[1, 2]", pa.string()), ("interval '1 day'", pa.string()), ("point(1, 2)", pa.binary()),
     ("int4range(1, 2)", pa.string()), ("ARRAY['a']", pa.string()), ("true", pa.int64()), ("'x'::text", pa.binary()),
     ("'\\x01'::bytea", pa.string()), ("1::int", DATE_TIME), ("timetz '03:00:00+02'", DATE_TIME)],
)  # fmt: skip
def test_a_type_that_no_column_takes_is_refused_by_name(
    source: Source, expression: str, data_type: pa.DataType
) -> None:
    with pytest.raises(SourceTypeError, match=r"column 'v' of the source type .* does not convert"):
        as_model(source, expression, data_type)


def test_a_column_nobody_wants_may_be_of_any_type(source: Source) -> None:
    with source.read("SELECT 1 AS a, point(1, 2) AS b, ARRAY[1] AS c") as rows:
        [batch] = conformed(rows, pa.schema([("a", pa.int64())]))
    assert batch.to_pylist() == [{"a": 1}]


def test_more_than_four_places_are_rounded_half_to_even_and_counted(source: Source) -> None:
    query = "SELECT v FROM (VALUES (0.00005), (0.00015), (0.00025001), (1::numeric / 3), (2.5)) AS t (v)"
    with source.read(query) as rows:
        table = conformed(rows, pa.schema([("v", CURRENCY)]))
        [batch] = table
    assert batch.column(0).to_pylist() == [
        Decimal("0.0000"),
        Decimal("0.0002"),
        Decimal("0.0003"),
        Decimal("0.3333"),
        Decimal("2.5000"),
    ]
    assert table.rounded_counts == {"v": 4}


def test_enumerations_and_domains_are_what_they_are_made_of(postgresql: PostgreSqlServer, source: Source) -> None:
    postgresql.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')", "CREATE DOMAIN few AS int CHECK (VALUE < 9)")
    try:
        assert read_all(source, "SELECT 'glad'::mood AS m, 5::few AS f").to_pylist() == [{"m": "glad", "f": 5}]
    finally:
        postgresql.execute("DROP TYPE mood", "DROP DOMAIN few")


def test_columns_are_described_without_their_rows(source: Source) -> None:
    begun = time.monotonic()
    columns = source.columns('SELECT 1::int8 AS "A b", 1.5::numeric, now(), pg_sleep(30)::text')
    assert time.monotonic() - begun < 5
    assert [(column.name, column.native_type, column.data_type) for column in columns] == [
        ("A b", "int8", DataType.INT64),
        ("numeric", "numeric", DataType.DECIMAL),
        ("now", "timestamptz", DataType.DATETIME),
        ("pg_sleep", "text", DataType.STRING),
    ]


@pytest.mark.parametrize("end", ["", ";", " -- all of them", " ;\n", "\n/* end */"])
def test_a_query_may_end_as_people_end_queries(source: Source, end: str) -> None:
    assert read_all(source, "SELECT 1::money AS a" + end).to_pylist() == [{"a": "1.00"}]


def test_two_columns_of_one_name_are_both_read_and_neither_is_guessed(source: Source) -> None:
    assert [column.to_pylist() for column in read_all(source, "SELECT 1 AS a, 2::money AS a").columns] == [
        [1],
        ["2.00"],
    ]
    with source.read("SELECT 1 AS a, 2 AS a") as rows, pytest.raises(SourceTypeError, match="2 columns 'a'"):
        conformed(rows, pa.schema([("a", pa.int64())]))


def test_parameters_are_values_and_never_sql(source: Source) -> None:
    query = "SELECT $1::int + 1 AS a, $2::text AS b"
    assert read_all(source, query, 41, "'; DROP TABLE x; --").to_pylist() == [{"a": 42, "b": "'; DROP TABLE x; --"}]


def test_rows_can_be_worked_on_here_and_keep_what_is_known_of_them(source: Source) -> None:
    local = LocalQuery("SELECT n AS total, s FROM source WHERE s <> 'b'", {"total": "n"})
    query = "SELECT * FROM (VALUES (1.25::numeric, 'a'), (2, 'b'), (NULL, 'c')) AS t (n, s)"
    with source.read(query, local=local) as rows:
        [batch] = conformed(rows, pa.schema([("total", CURRENCY), ("s", pa.string())]))
    assert batch.to_pylist() == [{"total": Decimal("1.25"), "s": "a"}, {"total": None, "s": "c"}]


def test_an_error_of_the_server_comes_through_a_query_over_its_rows(source: Source) -> None:
    local = LocalQuery("SELECT count(*) AS n FROM source")
    with pytest.raises(SourceError, match="division by zero"), source.read("SELECT 1 / 0", local=local) as rows:
        list(rows)


# ------------------------------------------------------------------------------------------------------ refusals


def test_a_wrong_password_is_a_credential_s_error_and_is_not_told(postgresql: PostgreSqlServer) -> None:
    source = open_source(definition(postgresql), Credential("reader", "hunter2-xyz"), allowed_folders=[])
    with pytest.raises(SourceCredentialError, match="user 'reader'") as caught:
        source.test()
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_user_that_is_not_there_is_a_credential_s_error(postgresql: PostgreSqlServer) -> None:
    source = open_source(definition(postgresql), Credential("nobody-here", "x"), allowed_folders=[])
    with pytest.raises(SourceCredentialError):
        source.test()


def test_without_a_credential_nothing_is_connected(postgresql: PostgreSqlServer) -> None:
    with pytest.raises(SourceCredentialError, match="none are bound"):
        open_source(definition(postgresql), None, allowed_folders=[])


def test_a_database_that_is_not_there_is_named(postgresql: PostgreSqlServer) -> None:
    with pytest.raises(SourceError, match='database "nowhere" does not exist'):
        source_of(postgresql, database="nowhere").test()


def test_a_server_that_is_not_there_is_unreachable(postgresql: PostgreSqlServer) -> None:
    with pytest.raises(SourceUnreachableError, match=r"127\.0\.0\.1:1"):
        source_of(postgresql, port=1).test()


def test_a_server_that_wants_no_tls_is_refused_where_tls_is_wanted(postgresql: PostgreSqlServer) -> None:
    with pytest.raises(SourceError, match="SSL"):
        source_of(postgresql, tls_mode="require").test()


def test_a_server_behind_a_unix_socket_has_to_ask_for_the_password(postgresql: PostgreSqlServer) -> None:
    assert read_all(source_of(postgresql, server=str(postgresql.socket_folder)), "SELECT 1 AS a").num_rows == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM no_such_table", 'relation "no_such_table" does not exist'),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "multiple commands"),
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT 100 / (5 - i) FROM generate_series(1, 9) AS i", "division by zero"),
        ("", "no columns|empty"),
    ],
)
def test_what_the_server_has_against_a_query_is_told(source: Source, query: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_all(source, query)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO guarded VALUES ('b')",
        "WITH gone AS (DELETE FROM guarded RETURNING name) SELECT name FROM gone",
        "SELECT set_config('transaction_read_only', 'off', false), (SELECT count(*) FROM guarded)",
        "DROP TABLE guarded",
        "SET default_transaction_read_only = off",
    ],
)
def test_a_query_changes_nothing(postgresql: PostgreSqlServer, source: Source, names_in_table: str, query: str) -> None:
    with pytest.raises(SourceError):
        read_all(source, query)
    with postgresql.connect() as connection:
        assert connection.execute("SELECT name FROM guarded").fetchall() == [("a",)]


def test_nothing_shown_holds_the_password(postgresql: PostgreSqlServer) -> None:
    text = f"Host=127.0.0.1;Port={postgresql.port};Database=postgres;Username=reader;Password={postgresql.password}"
    parsed, credential = parse_definition(connection_string=text)
    source = open_source(parsed, credential, allowed_folders=[])
    source.test()
    assert postgresql.password not in f"{parsed!r} {parsed} {credential!r}"
    with pytest.raises(SourceError) as caught:
        read_all(source, f"SELECT '{postgresql.password}'::int")
    assert postgresql.password not in str(caught.value)


# ----------------------------------------------------------------------------------------- ends, and how long they take


def running(postgresql: PostgreSqlServer, mark: str) -> int:
    with postgresql.connect() as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()"
        )
        [[count]] = connection.execute(query, [f"%{mark}%"])
    return int(count)


def wait_for(postgresql: PostgreSqlServer, mark: str, count: int, *, within_s: float) -> float:
    begun = time.monotonic()
    while running(postgresql, mark) != count:
        assert time.monotonic() - begun < within_s, f"{running(postgresql, mark)} statements run"
        time.sleep(0.02)
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "query", ["SELECT pg_sleep(60), 'mark1'", "SELECT count(*), 'mark1' FROM generate_series(1, 1000000000) AS i"]
)
def test_a_running_statement_is_cancelled_within_a_second(
    postgresql: PostgreSqlServer, source: Source, query: str
) -> None:
    rows = source.read(query)
    ended: list[object] = []

    def take() -> None:
        try:
            with rows:
                ended.append(list(rows))
        except JobCancelledError as error:
            ended.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    wait_for(postgresql, "mark1", 1, within_s=10)
    begun = time.monotonic()
    rows.cancel()
    thread.join(timeout=10)
    assert isinstance(ended[0], JobCancelledError)
    wait_for(postgresql, "mark1", 0, within_s=1)
    assert time.monotonic() - begun < 2  # of which the machine takes most when it is busy


def test_a_reading_that_is_left_early_ends_on_the_server(postgresql: PostgreSqlServer, source: Source) -> None:
    with source.read("SELECT generate_series(1, 100000000), 'mark2'") as rows:
        assert next(iter(rows)).num_rows > 0
    wait_for(postgresql, "mark2", 0, within_s=2)


def test_text_that_is_not_utf_8_is_refused_by_the_server(postgresql: PostgreSqlServer) -> None:
    postgresql.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        with pytest.raises(SourceError, match='invalid byte sequence for encoding "UTF8"'):
            read_all(source_of(postgresql, database="bytes"), r"SELECT convert_from('\xff', 'SQL_ASCII')")
    finally:
        postgresql.execute("DROP DATABASE bytes WITH (FORCE)")


def test_a_step_that_fails_here_ends_the_statement_there(postgresql: PostgreSqlServer, source: Source) -> None:
    query = "SELECT 'x' AS a, 'mark4', generate_series(1, 100000000)"
    local = LocalQuery("SELECT CAST(a AS INTEGER) AS a FROM source")
    with pytest.raises(SourceTypeError, match="could not convert"), source.read(query, local=local) as rows:
        list(rows)
    wait_for(postgresql, "mark4", 0, within_s=2)


def test_cancelling_twice_or_after_the_end_is_nothing(source: Source) -> None:
    with source.read("SELECT 1") as rows:
        assert sum(batch.num_rows for batch in rows) == 1
    rows.cancel()
    rows.cancel()


@pytest.mark.parametrize("how", ["the server's process is killed", "its session is ended"])
def test_a_server_that_dies_amid_a_read_is_unreachable_within_seconds(postgresql: PostgreSqlServer, how: str) -> None:
    source = source_of(postgresql)
    with source.read("SELECT generate_series(1, 100000000), repeat('x', 100), 'mark3'") as rows:
        batches = iter(rows)
        next(batches)
        begun = time.monotonic()
        if how.startswith("its session"):
            others = "FROM pg_stat_activity WHERE query LIKE '%mark3%' AND pid <> pg_backend_pid()"
            postgresql.execute(f"SELECT pg_terminate_backend(pid) {others}")
        else:
            postgresql.kill()
        try:
            with pytest.raises(SourceUnreachableError, match="went away while its rows were read"):
                list(batches)
        finally:
            if how.startswith("the server"):
                postgresql.start()
    assert time.monotonic() - begun < 5
    assert read_all(source, "SELECT 1 AS a").to_pylist() == [{"a": 1}]


# ---------------------------------------------------------------------------------------------------------- volume


def test_300_000_rows_stream_in_flat_memory(source: Source) -> None:
    query = (
        "SELECT i AS a, (i * 1.25)::numeric(12, 2) AS b, repeat('x', 200) || i AS c FROM generate_series(1, {}) AS i"
    )
    schema = pa.schema([("a", pa.int64()), ("b", CURRENCY), ("c", pa.string())])

    def largest(row_count: int) -> int:
        total = most = 0
        with source.read(query.format(row_count), batch_row_count=10_000) as rows:
            for batch in conformed(rows, schema):
                assert batch.num_rows <= 10_000
                total += batch.num_rows
                most = max(most, pa.total_allocated_bytes())
        assert total == row_count
        return most

    before = pa.total_allocated_bytes()
    small = largest(50_000)
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    large = largest(300_000)
    peak_growth_byte_count = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before) * 1024
    assert large - before < 2 * (small - before)
    assert peak_growth_byte_count < 30_000_000  # the rows have 65 MB
    assert pa.total_allocated_bytes() <= before + 1_000_000
