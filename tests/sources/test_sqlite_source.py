"""SQLite, whose columns promise nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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


def source_of(path: Path) -> Source:
    definition = SourceDefinition(kind=SourceKind.SQLITE, path=str(path))
    return open_source(definition, None, allowed_folders=[path.parent])


def made(path: Path, *statements: str) -> Source:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return source_of(path)


def read_all(source: Source, query: str, *parameters: Any) -> pa.Table:
    with source.read(query, parameters=parameters) as rows:
        return pa.Table.from_batches(list(rows), schema=rows.schema)


def values(tmp_path: Path, *literals: str) -> tuple[pa.DataType, list[Any]]:
    rows = ", ".join(f"({literal})" for literal in literals)
    table = read_all(made(tmp_path / "a.db", "CREATE TABLE t (v)", f"INSERT INTO t VALUES {rows}"), "SELECT v FROM t")
    return table.schema.field("v").type, table.column("v").to_pylist()


@pytest.mark.parametrize(
    ("literals", "data_type", "expected"),
    [
        (["1", "NULL", "-9223372036854775808"], pa.int64(), [1, None, -(1 << 63)]),
        (["1.5", "NULL"], pa.float64(), [1.5, None]),
        (["1", "1.5", "NULL"], pa.float64(), [1.0, 1.5, None]),
        (["'a'", "NULL", "''"], pa.string(), ["a", None, ""]),
        (["'a'", "1", "0.1 + 0.2", "NULL"], pa.string(), ["a", "1", "0.30000000000000004", None]),
        (["x'00ff'", "NULL"], pa.binary(), [b"\x00\xff", None]),
        (["NULL", "NULL"], pa.string(), [None, None]),
        (["9007199254740993", "0.5"], pa.string(), ["9007199254740993", "0.5"]),
    ],
)
def test_a_column_is_read_in_the_form_that_holds_all_its_values(
    tmp_path: Path, literals: list[str], data_type: pa.DataType, expected: list[Any]
) -> None:
    assert values(tmp_path, *literals) == (data_type, expected)


@pytest.mark.parametrize(
    "literals", [["x'00'", "1"], ["x'00'", "'a'", "NULL"], ["x'00'", "1.5"], ["NULL", "1", "x'00'"]]
)
def test_blobs_beside_other_values_are_refused(tmp_path: Path, literals: list[str]) -> None:
    with pytest.raises(SourceTypeError, match=r"column 'v' of file .* holds blobs and values of other kinds"):
        values(tmp_path, *literals)


def test_what_the_first_rows_show_decides_nothing(tmp_path: Path) -> None:
    source = made(
        tmp_path / "a.db",
        "CREATE TABLE t (price DECIMAL(10, 2), note TEXT)",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
        " INSERT INTO t SELECT i, NULL FROM n",
        "INSERT INTO t VALUES (1.25, 'late')",
    )
    table = read_all(source, "SELECT price, note FROM t ORDER BY rowid")
    assert table.schema.types == [pa.float64(), pa.string()]
    assert table.column("price")[-1].as_py() == 1.25
    assert table.column("note")[-1].as_py() == "late"
    assert table.num_rows == 200_001


def test_text_in_an_integer_column_is_refused_by_column_and_row(tmp_path: Path) -> None:
    source = made(
        tmp_path / "a.db", "CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1), ('2'), ('n/a'), (4), ('-')"
    )
    with (
        source.read("SELECT n FROM t") as rows,
        pytest.raises(SourceTypeError, match=r"column 'n', row 3: text that is no number .* as 1 more up to row 5"),
    ):
        list(conformed(rows, pa.schema([("n", pa.int64())])))


def test_numbers_as_text_are_exact_as_decimals(tmp_path: Path) -> None:
    source = made(
        tmp_path / "a.db", "CREATE TABLE t (n)", "INSERT INTO t VALUES (900000000000001), (9007199254740993), (0.25)"
    )
    with source.read("SELECT n FROM t WHERE n < 1000000000000000 OR n IS NULL") as rows:
        [batch] = conformed(rows, pa.schema([("n", CURRENCY)]))
    assert batch.column(0).to_pylist() == [Decimal(900000000000001), Decimal("0.25")]
    with (
        source.read("SELECT n FROM t") as rows,
        pytest.raises(SourceTypeError, match="row 2: a number beyond the range"),
    ):
        list(conformed(rows, pa.schema([("n", CURRENCY)])))


def test_dates_are_the_text_that_they_are(tmp_path: Path) -> None:
    source = made(
        tmp_path / "a.db", "CREATE TABLE t (d DATETIME)", "INSERT INTO t VALUES ('2024-01-31 10:20:30.5'), (2460341.5)"
    )
    with source.read("SELECT d FROM t WHERE typeof(d) = 'text'") as rows:
        [batch] = conformed(rows, pa.schema([("d", pa.timestamp("us"))]))
    assert str(batch.column(0)[0]) == "2024-01-31 10:20:30.500000"
    with (
        source.read("SELECT d FROM t WHERE typeof(d) = 'real'") as rows,
        pytest.raises(SourceTypeError, match="source type real does not convert to the data type dateTime"),
    ):
        conformed(rows, pa.schema([("d", pa.timestamp("us"))]))


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    source = made(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
    with pytest.raises(SourceTypeError, match="column 'a' of the source has text that is not UTF-8"):
        read_all(source, "SELECT a FROM t")


def test_names_and_parameters_and_odd_queries_are_no_hindrance(tmp_path: Path) -> None:
    source = made(tmp_path / "a.db", 'CREATE TABLE t ("a b" INTEGER)', "INSERT INTO t VALUES (1), (2)")
    query = 'WITH w AS (SELECT "a b" AS "x ""y""", "a b" AS "x ""y""" FROM t WHERE "a b" > ?) SELECT * FROM w -- end'
    table = read_all(source, query, 1)
    assert table.schema.names == ['x "y"', 'x "y":1']
    assert [column.to_pylist() for column in table.columns] == [[2], [2]]
    assert [column.name for column in source.columns("SELECT 1, 'a' AS b;")] == ["1", "b"]
    assert read_all(source, "VALUES (1, 'a')").num_rows == 1
    assert read_all(source, "SELECT * FROM t WHERE 0").to_pylist() == []


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO t VALUES (2)",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA journal_mode",
        "SELECT 1) ; DELETE FROM t; SELECT (1",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM no_such_table",
        "SELEC 1",
        "",
        "SELECT 1; SELECT 2",
        "SELECT abs(-9223372036854775808)",
    ],
)
def test_only_a_query_that_reads_is_let_through(tmp_path: Path, query: str) -> None:
    source = made(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with pytest.raises(SourceError):
        read_all(source, query)
    assert read_all(source, "SELECT a FROM t").to_pylist() == [{"a": 1}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db"]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database" * 100)
    with pytest.raises(SourceError, match="file is not a database"):
        source_of(tmp_path / "a.db").test()


def test_a_query_that_runs_for_ever_is_cancelled(tmp_path: Path) -> None:
    source = made(tmp_path / "a.db", "CREATE TABLE t (a)")
    rows = source.read("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
    timer = threading.Timer(0.3, rows.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(JobCancelledError), rows:
        pass
    assert time.monotonic() - begun < 3
    timer.join()


def test_a_file_that_is_written_to_meanwhile_is_read_as_it_was_or_refused(tmp_path: Path) -> None:
    source = made(tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with source.read("SELECT a FROM t") as rows:
        made(tmp_path / "a.db", "INSERT INTO t VALUES ('x')")
        try:
            found = [value for batch in rows for value in batch.column(0).to_pylist()]
        except SourceError:
            return
    assert found == [1]
