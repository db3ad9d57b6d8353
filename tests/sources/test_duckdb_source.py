"""DuckDB files: their types, and what a query in them cannot reach."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from tabvault.errors import JobCancelledError, SourceError, SourceTypeError
from tabvault.sources.conforming import conformed
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.opening import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.sources.source import Source

CURRENCY = pa.decimal128(19, 4)
DATE_TIME = pa.timestamp("us")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("duckdb") / "it's.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS a, 'n' || i AS b FROM range(100000) AS r (i)")
        connection.execute("CREATE VIEW outside AS SELECT * FROM read_csv('/etc/passwd', header = false)")
    return path


@pytest.fixture
def source(path: Path) -> Source:
    definition = SourceDefinition(kind=SourceKind.DUCKDB, path=str(path))
    return open_source(definition, None, allowed_folders=[path.parent])


def as_model(source: Source, expression: str, data_type: pa.DataType) -> Any:
    with source.read(f"SELECT {expression} AS v") as rows:
        [batch] = conformed(rows, pa.schema([("v", data_type)]))
    return batch.column(0)[0].as_py()


@pytest.mark.parametrize(
    ("expression", "data_type", "expected"),
    [
        ("200::UTINYINT", pa.int64(), 200),
        ("18446744073709551615::UBIGINT", pa.string(), "18446744073709551615"),
        ("170141183460469231731687303715884105727::HUGEINT", pa.string(), str((1 << 127) - 1)),
        ("12::HUGEINT", pa.int64(), 12),
        ("1.23456::DECIMAL(38, 10)", CURRENCY, Decimal("1.2346")),
        ("0.1::DECIMAL(38, 20)", pa.float64(), 0.1),
        ("1.5::FLOAT", pa.float64(), 1.5),
        ("'a'::ENUM ('b', 'a')", pa.string(), "a"),
        ("'0b57a6a4-0000-4000-8000-000000000001'::UUID", pa.string(), "0b57a6a4-0000-4000-8000-000000000001"),
        ("'101'::BIT", pa.string(), "101"),
        ("'\\x00\\xFF'::BLOB", pa.binary(), b"\x00\xff"),
        ("DATE '2024-02-29'", DATE_TIME, datetime.datetime(2024, 2, 29)),
        ("TIMESTAMPTZ '2024-01-01 00:30:00+02'", DATE_TIME, datetime.datetime(2023, 12, 31, 22, 30)),
        ("'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS", DATE_TIME, datetime.datetime(2024, 1, 1, 0, 0, 0, 123457)),
        ("'2024-01-01'::TIMESTAMP_S", DATE_TIME, datetime.datetime(2024, 1, 1)),
        ("TIME '06:00'", DATE_TIME, datetime.datetime(1899, 12, 30, 6)),
        ("NULL", pa.int64(), None),
        ("true", pa.string(), "true"),
    ],
)
def test_types_become_the_model_s(source: Source, expression: str, data_type: pa.DataType, expected: object) -> None:
    assert as_model(source, expression, data_type) == expected


@pytest.mark.parametrize(
    ("expression", "data_type"),
    [
        ("18446744073709551615::UBIGINT", pa.int64()),
        ("DATE 'infinity'", DATE_TIME),
        ("TIMESTAMP 'infinity'", DATE_TIME),
        ("TIMESTAMP '-infinity'", DATE_TIME),
        ("TIMESTAMPTZ 'infinity'", DATE_TIME),
        ("'nan'::DOUBLE", pa.float64()),
        ("'inf'::FLOAT", CURRENCY),
        ("[1]", pa.string()),
        ("{'a': 1}", pa.string()),
        ("INTERVAL 1 DAY", pa.string()),
        ("MAP {'a': 1}", pa.string()),
    ],
)
def test_what_no_column_holds_is_refused(source: Source, expression: str, data_type: pa.DataType) -> None:
    with pytest.raises(SourceTypeError, match="column 'v'"):
        as_model(source, expression, data_type)


def test_all_rows_come_in_batches(source: Source) -> None:
    with source.read("SELECT a, b FROM t", batch_row_count=1000) as rows:
        batches = list(rows)
    assert max(batch.num_rows for batch in batches) <= 1000
    assert sum(sum(batch.column("a").to_pylist()) for batch in batches) == 99_999 * 100_000 // 2


def test_several_readings_of_one_file_go_on_at_a_time(source: Source) -> None:
    with source.read("SELECT a FROM t") as first, source.read("SELECT count(*) AS n FROM t") as second:
        assert [batch.to_pylist() for batch in second] == [[{"n": 100_000}]]
        assert sum(batch.num_rows for batch in first) == 100_000


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM outside",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "ATTACH '/tmp/other.duckdb'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "INSERT INTO t VALUES (1, 'a')",
        "CREATE TABLE memory.main.x (a INTEGER)",
        "LOAD httpfs",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT getenv('HOME')",
        "SELECT 1; SELECT 2",
        "SELECT * FROM rows_of_python",
        "SELECT * FROM no_such_table",
        "SELEC 1",
        "",
    ],
)
def test_a_query_reaches_its_file_alone(source: Source, query: str) -> None:
    rows_of_python = pa.table({"a": [1]})  # noqa: F841 - DuckDB would find it by its name
    with pytest.raises(SourceError), source.read(query) as rows:
        list(rows)


def test_parameters_are_values(source: Source) -> None:
    with source.read("SELECT b FROM t WHERE a = ?", parameters=[7]) as rows:
        assert [batch.to_pylist() for batch in rows] == [[{"b": "n7"}]]


def test_a_cast_that_fails_is_a_type_s_error(source: Source) -> None:
    with (
        pytest.raises(SourceTypeError, match="could not convert string"),
        source.read("SELECT b::INTEGER FROM t") as rows,
    ):
        list(rows)


def test_a_long_query_is_cancelled(source: Source) -> None:
    rows = source.read("SELECT count(*) FROM t a, t b, t c WHERE a.a + b.a = c.a + 1 AND hash(a.b || b.b) % 7 = 0")
    timer = threading.Timer(0.3, rows.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(JobCancelledError), rows:
        list(rows)
    assert time.monotonic() - begun < 3
    timer.join()


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + bytes(100), b"x" * 5000, b"\0" * 8 + b"DUCK" + b"\xff" * 5000]
)
def test_a_file_of_another_kind_is_refused_and_nothing_is_fetched_for_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.duckdb").write_bytes(content)
    definition = SourceDefinition(kind=SourceKind.DUCKDB, path=str(tmp_path / "a.duckdb"))
    with pytest.raises(SourceError, match=r"a\.duckdb"):
        open_source(definition, None, allowed_folders=[tmp_path]).test()
