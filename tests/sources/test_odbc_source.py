"""ODBC through the real psqlODBC: its types lie, and nothing that looks right may be wrong."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
import shutil
import subprocess
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from conftest import missing
from tabvault.errors import (
    JobCancelledError,
    SourceCredentialError,
    SourceError,
    SourceTypeError,
    SourceUnreachableError,
)
from tabvault.sources.conforming import conformed
from tabvault.sources.data_source import parse_definition
from tabvault.sources.opening import open_source

if TYPE_CHECKING:
    from sources.postgresql import PostgreSqlServer
    from tabvault.sources.source import Source

DRIVER = "PostgreSQL Unicode"
CURRENCY = pa.decimal128(19, 4)
DATE_TIME = pa.timestamp("us")


def source_of(postgresql: PostgreSqlServer, **changes: str) -> Source:
    pairs = {
        "Driver": f"{{{DRIVER}}}",
        "Server": "127.0.0.1",
        "Port": str(postgresql.port),
        "Database": "postgres",
        "UID": postgresql.user,
        "PWD": postgresql.password,
        **changes,
    }
    text = ";".join(f"{key}={value}" for key, value in pairs.items())
    definition, credential = parse_definition(connection_string=text)
    return open_source(definition, credential, allowed_folders=[])


@pytest.fixture
def source(postgresql: PostgreSqlServer) -> Source:
    listing = shutil.which("odbcinst")
    found = (
        ""
        if listing is None
        else subprocess.run([listing, "-q", "-d"], check=True, capture_output=True, text=True).stdout
    )
    if DRIVER not in found:
        missing("unixODBC and psqlODBC are not installed (Debian: unixodbc odbc-postgresql)")
    return source_of(postgresql)


def as_model(source: Source, expression: str, data_type: pa.DataType) -> Any:
    with source.read(f"SELECT {expression} AS v") as rows:
        [batch] = conformed(rows, pa.schema([("v", data_type)]))
    return batch.column(0)[0].as_py()


@pytest.mark.parametrize(
    "expression", ["0.1::float8", "1e300::float8", "123456789.123456789::float8", "(1::float8 / 3)"]
)
def test_a_double_keeps_all_its_digits(postgresql: PostgreSqlServer, source: Source, expression: str) -> None:
    """The driver says that float8 has 17 digits, which was read as single precision: 0.1 came as 0.10000000149."""
    with postgresql.connect() as connection:
        [[truth]] = connection.execute(f"SELECT {expression}".encode())
    assert as_model(source, expression, pa.float64()) == truth


@pytest.mark.parametrize(
    ("expression", "data_type", "expected"),
    [
        ("1.5::float4", pa.float64(), 1.5),
        ("3000000000::oid", pa.int64(), 3_000_000_000),
        ("'-9223372036854775808'::int8", pa.int64(), -(1 << 63)),
        ("1.123456789012::numeric", CURRENCY, Decimal("1.1235")),
        ("12.34::numeric(10, 2)", CURRENCY, Decimal("12.34")),
        ("12345678901234567890123456789.5::numeric", pa.string(), "12345678901234567890123456789.5"),
        ("true", pa.bool_(), True),
        ("'é€😀'::text", pa.string(), "é€😀"),
        ("'\\x00ff'::bytea", pa.binary(), b"\x00\xff"),
        ("date '2024-02-29'", DATE_TIME, datetime.datetime(2024, 2, 29)),
        ("timestamp '3024-01-02 03:04:05.123456'", DATE_TIME, datetime.datetime(3024, 1, 2, 3, 4, 5, 123456)),
        ("timestamptz '2024-01-01 00:30:00+02'", DATE_TIME, datetime.datetime(2023, 12, 31, 22, 30)),
        ("NULL::text", pa.string(), None),
        ("repeat('é', 4000)", pa.string(), "é" * 4000),
    ],
)
def test_types_are_read_right(source: Source, expression: str, data_type: pa.DataType, expected: object) -> None:
    assert as_model(source, expression, data_type) == expected


@pytest.mark.parametrize(
    ("expression", "data_type"),
    [
        ("'NaN'::numeric", CURRENCY),  # came as 0
        ("'infinity'::date", DATE_TIME),  # came as today
        ("'NaN'::float8", pa.float64()),
        ("1e25::numeric", CURRENCY),
    ],
)
def test_what_the_driver_would_turn_into_another_value_is_refused(
    source: Source, expression: str, data_type: pa.DataType
) -> None:
    with pytest.raises(SourceTypeError, match="column 'v', row 1"):
        as_model(source, expression, data_type)


def test_a_text_longer_than_the_driver_said_is_refused_and_not_cut(source: Source) -> None:
    with pytest.raises(SourceError, match="longer than its driver said"):
        as_model(source, "repeat('x', 100000)", pa.string())


def test_parameters_are_values(source: Source) -> None:
    with source.read("SELECT ?::int + 1 AS a, ? AS b", parameters=[41, None]) as rows:
        assert [batch.to_pylist() for batch in rows] == [[{"a": 42, "b": None}]]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"PWD": "hunter2-xyz"}, SourceCredentialError, "refuses the credential"),
        ({"Port": "1"}, SourceUnreachableError, "cannot be reached"),
        ({"Driver": "No Such Driver"}, SourceError, "cannot be opened"),
        ({"Database": "nowhere"}, SourceError, 'database "nowhere" does not exist'),
    ],
)
def test_a_connection_that_fails_is_told_by_its_kind_without_the_password(
    postgresql: PostgreSqlServer, source: Source, changes: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        source_of(postgresql, **changes).test()
    assert "hunter2" not in str(caught.value)
    assert postgresql.password not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM no_such_table",
        "CREATE TABLE odbc_made (a int)",
        "SELECT 1; SELECT 2",
        "WITH made AS (INSERT INTO pg_class SELECT * FROM pg_class RETURNING 1) SELECT * FROM made",
        "/* SELECT */ DELETE FROM pg_class",
        "SELECT 1 / 0",
        "SELECT 100 / (5000 - i) FROM generate_series(1, 20000) AS i",
        "",
    ],
)
def test_a_query_that_fails_or_does_more_than_read_is_refused(source: Source, query: str) -> None:
    with pytest.raises(SourceError), source.read(query) as rows:
        list(rows)


def test_rows_come_in_batches_while_the_server_makes_them(postgresql: PostgreSqlServer, source: Source) -> None:
    query = "SELECT i, i::float8 / 4 AS q, repeat('x', 50) AS s FROM generate_series(1, 50000) AS i"
    with source.read(query, batch_row_count=5000) as rows:
        batches = list(conformed(rows, pa.schema([("i", pa.int64()), ("q", pa.float64())])))
    table = pa.Table.from_batches(batches)
    assert max(batch.num_rows for batch in batches) <= 5000
    assert table.column("i").to_pylist() == list(range(1, 50_001))
    assert table.column("q").to_pylist() == [number / 4 for number in range(1, 50_001)]


def test_whoever_waits_for_rows_is_let_go_at_once(source: Source) -> None:
    rows = source.read("SELECT pg_sleep(8)::text")
    timer = threading.Timer(0.5, rows.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(JobCancelledError), rows:
        pass
    assert time.monotonic() - begun < 5  # the driver cannot be told to stop, and is waited for two seconds
    timer.join()


def test_a_server_that_dies_amid_a_read_is_unreachable(postgresql: PostgreSqlServer, source: Source) -> None:
    with source.read("SELECT generate_series(1, 100000000) AS n, 'mark-odbc'") as rows:
        batches = iter(rows)
        next(batches)
        others = "FROM pg_stat_activity WHERE query LIKE '%mark-odbc%' AND pid <> pg_backend_pid()"
        postgresql.execute(f"SELECT pg_terminate_backend(pid) {others}")
        with pytest.raises(SourceUnreachableError):
            list(batches)
