"""SQL text of an enemy: nothing but the tables is read, nothing is written, and time is bounded."""

# ruff: noqa: E501  # a query and its answer stand in one line

from __future__ import annotations

import contextlib
import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_tables import ask, sales

from tabvault.engine import statement as checked
from tabvault.errors import QueryError, QueryNotSupportedError, TabvaultError

SECRET = "a secret in a variable of this module"
secret_table = pa.table({"secret": [SECRET]})  # a variable of a fitting kind, which DuckDB would find by its name

HOSTILE = [
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_csv_auto('{file}')",
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM read_duckdb('{file}')",
    "SELECT * FROM parquet_metadata('{file}')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '{file}'",
    'SELECT * FROM "{file}"',
    "FROM '{file}'",
    "SELECT (SELECT content FROM read_text('{file}'))",
    "SELECT * FROM Sales WHERE EXISTS (FROM '{file}')",
    "SELECT * FROM Sales, LATERAL (SELECT * FROM read_text('{file}'))",
    "WITH a AS (SELECT * FROM read_text('{file}')) SELECT * FROM a",
    "WITH \"{file}\" AS (SELECT 1) SELECT * FROM (SELECT 2) x, (WITH y AS (SELECT 1) SELECT * FROM read_blob('{file}')) z",
    'SELECT * FROM (WITH "{file}" AS (SELECT 1) SELECT * FROM "{file}") a, "{file}" b',
    'WITH a AS (FROM "{file}"), "{file}" AS (SELECT 1) SELECT * FROM a',
    'WITH "{file}" AS (FROM "{file}") SELECT * FROM "{file}"',
    "WITH a AS (WITH sqlite_master AS (SELECT 1) SELECT 1) SELECT * FROM a, sqlite_master",
    "DESCRIBE '{file}'",
    "DESCRIBE SELECT * FROM read_csv('{file}')",
    "SUMMARIZE '{file}'",
    "SUMMARIZE SELECT * FROM '{file}'",
    "EXPLAIN SELECT * FROM read_csv('{file}')",
    "EXPLAIN ANALYZE SELECT * FROM read_csv('{file}')",
    "EXPLAIN COPY (SELECT 1) TO '{out}'",
    "PIVOT '{file}' ON a IN (1) USING count(*)",
    "UNPIVOT '{file}' ON a",
    "ATTACH '{out}'",
    "ATTACH '{out}' AS x (TYPE sqlite)",
    "DETACH memory",
    "USE memory",
    "COPY Sales TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "COPY Sales FROM '{file}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM 'https://example.org'",
    "LOAD httpfs",
    "LOAD '{file}'",
    "PRAGMA database_list",
    "PRAGMA enable_profiling='json'",
    "SET memory_limit='100GB'",
    "SET enable_external_access=true",
    "SET lock_configuration=false",
    "RESET memory_limit",
    "SET VARIABLE a = 1",
    "CALL pragma_version()",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN TRANSACTION",
    "CREATE TABLE x AS SELECT 1",
    "CREATE OR REPLACE VIEW Sales AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "INSERT INTO Sales SELECT * FROM Sales",
    "UPDATE Sales SET Units = 1",
    "DELETE FROM Sales",
    "DROP VIEW Sales",
    "ALTER VIEW Sales RENAME TO x",
    "MERGE INTO Sales USING Sales s ON true WHEN MATCHED THEN DELETE",
    "WITH x AS (INSERT INTO Sales SELECT * FROM Sales RETURNING *) SELECT * FROM x",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "SELECT 1; COPY (SELECT 1) TO '{out}'",
    "SELECT 1; SELECT 2",
    "SELECT $1",
    "SELECT ?",
    "SELECT getenv('HOME')",
    "SELECT getvariable('a')",
    "SELECT current_setting('home_directory')",
    "SELECT 'memory_limit'.current_setting()",
    "SELECT pg_catalog.pg_sleep(10)",
    "SELECT sleep_ms(10000)",
    "SELECT write_log('x')",
    "SELECT json_serialize_plan('SELECT 1')",
    "SELECT __internal_compress_string_hugeint('x')",
    "SELECT * FROM secret_table",
    "SELECT * FROM SECRET",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('Sales')",
    "SELECT * FROM query_table(['{file}'])",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM python_arrow_scan(1)",
    "SELECT * FROM seq_scan('Sales')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_extensions()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM which_secret('{file}', 's3')",
    "SELECT * FROM pragma_user_agent()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM system.main.range(3)",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM main.Sales",
    "SELECT * FROM memory.main.Sales",
    "SHOW DATABASES",
    "SHOW secret_table",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_refused_and_nothing_is_read_or_written(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, out = tmp_path / "file.csv", tmp_path / "out"
    file.write_text("a\nthe content of a file\n")
    table = sales()
    with pytest.raises(TabvaultError) as caught:
        ask(text.format(file=file, out=out), {"Sales": table})
    assert isinstance(caught.value, QueryError)
    assert "the content of a file" not in f"{caught.value} {caught.value.hint}"
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert table.reads == []
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


@pytest.mark.parametrize("text", [text for text in HOSTILE if "{" in text or "WITH" in text])
def test_hostile_text_is_refused_also_by_an_engine_that_would_obey(text, tmp_path, monkeypatch):
    """The first wall: the check of the text alone."""
    monkeypatch.setattr("tabvault.engine.sql._LOCKED", ("errors_as_json = true",))
    file, out = tmp_path / "file.csv", tmp_path / "out"
    file.write_text("a\nthe content of a file\n")
    with pytest.raises(QueryError):
        ask(text.format(file=file, out=out))
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("WITH x AS (INSERT INTO Sales SELECT * FROM Sales RETURNING *) SELECT * FROM x", "INSERT inside a query"),
        ("WITH x AS (DELETE FROM Sales RETURNING *) SELECT * FROM x", "DELETE inside a query"),
        ("SELECT * FROM main.Sales", "qualified table name main.Sales"),
        ("SELECT Units FROM Sales WHERE Units IN (SELECT content FROM READ_TEXT('x'))", "table function read_text"),
        ("SELECT GetVariable('a')", "function getvariable"),
        ("PIVOT Sales ON Region USING count(*)", "PIVOT without IN"),
        ("EXPLAIN COPY Sales TO 'x'", "EXPLAIN COPY"),
    ],
)
def test_what_is_refused_is_named(text, refused):
    with pytest.raises(QueryNotSupportedError) as caught:
        ask(text)
    assert caught.value.message == f"{refused} is not answered here"


def test_the_engine_refuses_files_also_when_the_text_was_not_checked(tmp_path, monkeypatch):
    """The second wall: the settings of the connection alone."""
    monkeypatch.setattr("tabvault.engine.sql.check", lambda text, _connection: checked.Statement(text))
    file = tmp_path / "file.csv"
    file.write_text("a\n1\n")
    for text in (
        f"SELECT * FROM read_csv('{file}')",
        f"SELECT * FROM '{file}'",
        f"COPY (SELECT 1) TO '{tmp_path / 'out'}'",
        f"ATTACH '{tmp_path / 'out'}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access=true",
        "SET lock_configuration=false",
        "SET memory_limit='100GB'",
        "SET temp_directory='/tmp'",
        "SELECT * FROM secret_table",
        "SELECT * FROM glob('/*')",
    ):
        with pytest.raises(QueryError):
            ask(text)
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


DEEP = {
    "parentheses": "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 2_000 + "range(1)" + ")" * 2_000,
    "with clauses": "WITH a AS (" * 2_000 + "SELECT 1" + ") SELECT 1" * 2_000,
    "not": "SELECT " + "NOT " * 10_000 + "true",
    "sums": "SELECT " + "+".join(["1"] * 20_000),
    "lists": "SELECT " + "[" * 20_000 + "1" + "]" * 20_000,
    "casts": "SELECT 1" + "::INT" * 10_000,
    "name parts": "SELECT a" + ".b" * 20_000,
    "joins": "SELECT 1 FROM " + " CROSS JOIN ".join(["range(1)"] * 2_000),
    "unions": " UNION ALL ".join(["SELECT 1 FROM range(1)"] * 1_500),
    "describes": "DESCRIBE " * 5_000 + "SELECT 1",
    "explains": "EXPLAIN " * 5_000 + "SELECT 1",
}


@pytest.mark.parametrize("name", DEEP)
def test_text_of_extreme_depth_or_width_is_refused_in_bounded_time(name):
    started = time.monotonic()
    with pytest.raises(QueryError):
        ask(DEEP[name], timeout_s=5)
    assert time.monotonic() - started < 10


@given(st.text(max_size=60) | st.lists(st.sampled_from(["SELECT", "FROM", "Sales", "(", ")", "*", ",", "'", '"', "1", ";", "WITH", "AS", "DESCRIBE", "EXPLAIN", "--", "/*", "$$", "Region", "=", "\n"]), max_size=15).map(" ".join))  # fmt: skip
@settings(deadline=None, max_examples=40)
def test_any_text_is_answered_or_refused(text):
    with contextlib.suppress(QueryError):
        ask(text, timeout_s=2)
