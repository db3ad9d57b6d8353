"""
Recipe to queries: the SQL of each dialect, and its answers on real SQLite and DuckDB tables beside those of M, worked
out by hand.
"""

# ruff: noqa: DTZ001 - datetimes of M have no zone
from __future__ import annotations

import datetime
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import ExpressionNotSupportedError
from tabvault.model.power_query.recipe import LiteralTable
from tabvault.model.power_query.recogniser import recognise
from tabvault.sources.folding import Dialect, FoldedQuery, fold, schema_query
from tabvault.sources.folding_literals import literal_rows
from tabvault.sources.source import SourceColumn
from tabvault.sources.source_type import model_type

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = 'PostgreSQL.Database("h", "d"){[Schema="main", Item="T t"]}[Data]'
FILE = 'Parquet.Document(File.Contents("f"))'
SCHEMA = pa.schema([
    ("n", pa.int64()), ("s", pa.string()), ("d", pa.timestamp("us")), ("x", pa.float64()), ("b", pa.bool_()),
])  # fmt: skip
DAY = datetime.datetime(2024, 1, 1)
ROWS: list[tuple[object, ...]] = [
    (1, "a", DAY, 0.5, True),
    (2, "A", DAY + datetime.timedelta(days=1), float("nan"), False),
    (None, "b", None, None, None),
    (3, None, DAY, -1.5, True),
    (4, "", DAY + datetime.timedelta(days=2), 2.0, False),
]


REORDERED = 'Table.ReorderColumns(Table.SelectColumns(T, {"n", "s", "b"}), {"b", "n"})'
SWAPPED = (
    'Table.SelectRows(Table.RenameColumns(Table.SelectColumns(T, {"n", "b"}), {{"n", "b"}, {"b", "n"}}),'
    " each [n] and [b] > 1)"
)


def columns_of(schema: pa.Schema) -> list[SourceColumn]:
    return [SourceColumn(field.name, field.type, str(field.type), model_type(field)) for field in schema]


def folded(
    steps: str,
    *,
    source: str = FILE,
    schema: pa.Schema = SCHEMA,
    dialect: Dialect = Dialect.DUCKDB,
    **parameters: object,
) -> FoldedQuery:
    """The queries for *steps*, M in which T is the source."""
    recipe = recognise(f"let T = {source}, S = {steps} in S", queries={}, parameters=parameters, culture="en-US")  # type: ignore[arg-type]
    return fold(recipe, columns_of(schema), dialect)


def table(rows: Sequence[tuple[object, ...]] = ROWS, schema: pa.Schema = SCHEMA) -> pa.Table:
    return pa.table(
        [pa.array(list(one), field.type) for one, field in zip(zip(*rows, strict=True), schema, strict=True)],
        schema=schema,
    )


def locally(query: FoldedQuery, source: pa.Table) -> list[tuple[object, ...]]:
    """What DuckDB answers, or the rows as they are."""
    with closing(duckdb.connect()) as connection:
        connection.register("source", source)
        return connection.execute(query.local or "SELECT * FROM source").fetchall()


def numbers(steps: str) -> list[object]:
    """Column n of what *steps* leave of ROWS."""
    return [row[0] for row in locally(folded(steps), table())]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("[n] = 1", [1]),
        ("[n] <> 1", [2, None, 3, 4]),
        ("[n] = null", [None]),
        ("[n] <> null", [1, 2, 3, 4]),
        ("not ([n] = 1)", [2, None, 3, 4]),
        ("[n] > 1", [2, 3, 4]),
        ("not ([n] > 1)", [1]),
        ("[n] > 1.5 and [n] <= 3.5", [2, 3]),
        ("[n] = 1.5", []),
        ("[n] <> 1.5", [1, 2, None, 3, 4]),
        ('[n] <> ""', [1, 2, None, 3, 4]),
        ('[n] = "1"', []),
        ('[s] = "a"', [1]),
        ('[s] <> "a"', [2, None, 3, 4]),
        ('[s] < "a"', [2, 4]),
        ('not ([s] < "a")', [1, None]),
        ('Text.StartsWith([s], "A")', [2]),
        ('not Text.Contains([s], "a")', [2, None, 4]),
        ('Text.EndsWith([s], "") ', [1, 2, None, 4]),
        ('List.Contains({"a", null}, [s])', [1, 3]),
        ("not List.Contains({1, 2.0, 99999999999999999999}, [n])", [None, 3, 4]),
        ("[x] > 0", [1, 4]),
        ("not ([x] > 0)", [2, 3]),
        ("[x] <> 0.5", [2, None, 3, 4]),
        ("[b]", [1, 3]),
        ("not [b]", [2, 4]),
        ("[b] = false or [n] = null", [2, None, 4]),
        ("[d] >= #datetime(2024, 1, 2, 0, 0, 0)", [2, 4]),
        ("[n] = [n]", [1, 2, None, 3, 4]),
        ("[n] > 1 or null", [2, 3, 4]),
        ("true", [1, 2, None, 3, 4]),
    ],
)
def test_a_condition_keeps_the_rows_that_m_keeps(condition: str, kept: list[object]) -> None:
    assert numbers(f"Table.SelectRows(T, each {condition})") == kept


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ('[n] > "1"', "kind whole compared with a text"),
        ("[d] > #date(2024, 1, 1)", "kind datetime compared with a date"),
        ('[s] < "\U0001f600"', "at or above U+D800"),
        ("[s] < [s]", "compared with one of kind text"),
        ("[b] < true", "an order of values of kind logical"),
        ("[s]", "as a condition"),
        ("[y] = 1", "there is no column y"),
        ("[N] = 1", "there is no column N"),
    ],
)
def test_a_condition_that_m_answers_with_an_error_or_otherwise_is_refused(condition: str, what: str) -> None:
    with pytest.raises(ExpressionNotSupportedError) as caught:
        folded(f"Table.SelectRows(T, each {condition})")
    assert what in caught.value.message
    assert 'step "S"' in caught.value.message


@pytest.mark.parametrize(
    ("steps", "rows"),
    [
        ('Table.SelectColumns(Table.FirstN(T, 2), {"s", "n"})', [("a", 1), ("A", 2)]),
        ('Table.RemoveColumns(Table.Skip(T, 4), {"d", "x", "b"})', [(4, "")]),
        (
            SWAPPED,
            [(3, True)],
        ),
        (REORDERED, [(row[4], row[1], row[0]) for row in ROWS]),
        ('Table.FirstN(Table.Skip(Table.SelectColumns(T, "n"), 1), 2)', [(2,), (None,)]),
        ('Table.FirstN(Table.Sort(Table.SelectColumns(T, "n"), {"n", Order.Descending}), 2)', [(4,), (3,)]),
        ('Table.FirstN(Table.Sort(Table.SelectColumns(T, "n"), "n"), 2)', [(None,), (1,)]),
        ('Table.Skip(Table.Sort(Table.SelectColumns(T, "n"), {{"n", 0}}), 3)', [(3,), (4,)]),
        (
            'Table.ReplaceValue(Table.SelectColumns(T, {"n", "s"}), null, 0, Replacer.ReplaceValue, {"n"})',
            [(1, "a"), (2, "A"), (0, "b"), (3, None), (4, "")],
        ),
        (
            'Table.SelectColumns(Table.ReplaceValue(T, "a", "xx", Replacer.ReplaceText, {"s"}), "s")',
            [("xx",), ("A",), ("b",), (None,), ("",)],
        ),
        (
            'Table.SelectColumns(Table.AddColumn(T, "c", each [s] & "-" & [s]), "c")',
            [("a-a",), ("A-A",), ("b-b",), (None,), ("-",)],
        ),
        (
            'Table.SelectColumns(Table.AddColumn(T, "c", each [n] * 2 + 0.5), "c")',
            [(2.5,), (4.5,), (None,), (6.5,), (8.5,)],
        ),
        (
            'Table.SelectColumns(Table.AddColumn(T, "c", each if [n] = null then "none" else [s]), "c")',
            [("a",), ("A",), ("none",), (None,), ("",)],
        ),
        ('Table.Distinct(Table.SelectColumns(T, "b"), {"b"})', [(False,), (True,), (None,)]),
        ('Table.SelectColumns(Table.Distinct(T, {"b"}), "n")', [(1,), (2,), (None,)]),
        ('Table.SelectColumns(Table.Distinct(T), "b")', [(True,), (False,), (None,), (True,), (False,)]),
    ],
)  # fmt: skip
def test_steps_on_a_file_give_the_rows_that_m_gives(steps: str, rows: list[tuple[object, ...]]) -> None:
    found = locally(folded(steps), table())
    assert sorted(found, key=repr) == sorted(rows, key=repr) if "Distinct" in steps else found == rows


def test_texts_are_trimmed_cased_and_cleaned_or_the_query_ends() -> None:
    schema = pa.schema([("s", pa.string())])
    rows = table([("\u3000 Äb\t",), (None,), ("ß",)], schema)
    trim = folded('Table.TransformColumns(T, {{"s", Text.Trim}})', schema=schema)
    assert locally(trim, rows) == [("Äb",), (None,), ("ß",)]
    lower = folded('Table.TransformColumns(T, {{"s", each Text.Lower(_), type text}})', schema=schema)
    assert locally(lower, table([("ÄB",), (None,)], schema)) == [("äb",), (None,)]
    with pytest.raises(duckdb.Error, match="tabvault cannot convert column s: ß"):
        locally(lower, table([("ß",)], schema))
    clean = folded('Table.TransformColumns(T, {"s", Text.Clean})', schema=schema)
    assert locally(clean, table([("a\r\n\x00b",), (None,)], schema)) == [("ab",), (None,)]


def test_conditions_go_to_each_database_in_its_dialect() -> None:
    steps = "Table.SelectRows(T, each [d] >= RangeStart and [d] < RangeEnd and [n] <> null)"
    queries = {
        dialect: folded(steps, source=TABLE, dialect=dialect, RangeStart=DAY, RangeEnd=DAY.replace(year=2025))
        for dialect in Dialect
    }
    columns, from_ = '"n", "s", "d", "x", "b"', 'FROM "main"."T t" WHERE'
    start, end = "2024-01-01 00:00:00", "2025-01-01 00:00:00"
    standard = (
        f"SELECT {columns} {from_} \"d\" >= CAST('{start}' AS TIMESTAMP) AND \"d\" < CAST('{end}' AS TIMESTAMP)"
        ' AND NOT "n" IS NULL'
    )
    assert queries[Dialect.POSTGRESQL].query == standard
    assert queries[Dialect.DUCKDB].query == standard
    assert queries[Dialect.SQLITE].query == f'SELECT {columns} {from_} NOT "n" IS NULL'
    assert queries[Dialect.SQL_SERVER].query == (
        f"SELECT [n], [s], [d], [x], [b] FROM [main].[T t] WHERE [d] >= CAST('{start}' AS DATETIME2)"
        f" AND [d] < CAST('{end}' AS DATETIME2) AND NOT [n] IS NULL"
    )
    assert queries[Dialect.GENERIC].query == (
        f'SELECT {columns} {from_} "d" >= {{ts \'{start}\'}} AND "d" < {{ts \'{end}\'}} AND NOT "n" IS NULL'
    )
    assert {dialect: bool(query.local) for dialect, query in queries.items()} == {
        dialect: dialect is Dialect.SQLITE for dialect in Dialect
    }


def test_a_text_is_only_sieved_by_the_database_and_tested_again_here() -> None:
    steps = 'Table.SelectRows(T, each [s] = "a")'
    query = folded(steps, source=TABLE, dialect=Dialect.SQLITE)
    assert query.query.endswith('WHERE NOT "s" IS NULL AND "s" = \'a\'')
    assert query.local
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE "T t" (n INTEGER, s TEXT COLLATE NOCASE, d TEXT, x REAL, b INTEGER)')
        connection.executemany('INSERT INTO "T t" (n, s) VALUES (?, ?)', [(row[0], row[1]) for row in ROWS])
        passed = connection.execute(query.query).fetchall()
    assert [row[1] for row in passed] == ["a", "A"]
    assert [row[1] for row in locally(query, table([(*row[:2], None, None, None) for row in passed]))] == ["a"]
    for value in ("é", "a\\b"):
        again = folded(f'Table.SelectRows(T, each [s] = "{value}")', source=TABLE, dialect=Dialect.SQL_SERVER)
        assert "WHERE" not in again.query
        assert "WHERE" in again.local


CONDITIONS = st.recursive(
    st.sampled_from(
        [
            "[n] = 2",
            "[n] <> 2",
            "[n] > 1",
            "[n] <= 3",
            "[n] = null",
            "[n] <> null",
            "List.Contains({1, 3, null}, [n])",
            '[s] = "a"',
            '[s] <> "A"',
            "[s] = null",
            'List.Contains({"a", "b"}, [s])',
            'Text.Contains([s], "a")',
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
        inner.map(lambda one: f"(not ({one}))"),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=25)
@given(condition=CONDITIONS)
def test_a_database_and_duckdb_together_keep_what_duckdb_keeps_alone(condition: str) -> None:
    steps = f"Table.SelectRows(T, each {condition})"
    query = folded(steps, source=TABLE, dialect=Dialect.SQLITE)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute('CREATE TABLE "T t" (n INTEGER, s TEXT COLLATE NOCASE, d TEXT, x REAL, b INTEGER)')
        connection.executemany('INSERT INTO "T t" (n, s) VALUES (?, ?)', [(row[0], row[1]) for row in ROWS])
        passed = [(*row[:2], None, None, None) for row in connection.execute(query.query)]
    schema_rows = table(passed) if passed else SCHEMA.empty_table()
    assert [row[0] for row in locally(query, schema_rows)] == numbers(steps)


def test_choosing_and_naming_columns_and_a_limit_go_to_the_database() -> None:
    steps = 'Table.FirstN(Table.RenameColumns(Table.SelectColumns(T, {"s", "n"}), {{"n", "key"}}), 7)'
    query = folded(steps, source=TABLE, dialect=Dialect.SQL_SERVER)
    assert query == FoldedQuery("SELECT TOP 7 [s], [n] AS [key] FROM [main].[T t]", "", {"s": "s", "key": "key"})


def test_types_that_change_nothing_stay_with_the_database() -> None:
    types = '{{"n", Int64.Type}, {"s", type text}, {"x", type number}}'
    steps = f'Table.SelectColumns(Table.TransformColumnTypes(T, {types}), "n")'
    query = folded(steps, source=TABLE, dialect=Dialect.POSTGRESQL)
    assert (query.query, query.local) == ('SELECT "n" FROM "main"."T t"', "")


def test_a_column_that_passes_through_is_told() -> None:
    steps = 'Table.AddColumn(Table.RenameColumns(Table.Distinct(T), {{"s", "text"}}), "c", each [n] + 1)'
    query = folded(steps)
    assert query.unchanged == {"n": "n", "text": "s", "d": "d", "x": "x", "b": "b"}


@pytest.mark.parametrize(
    ("native", "dialect", "is_wrapped"),
    [
        ("SELECT n, s FROM t -- all", Dialect.POSTGRESQL, True),
        ("WITH c AS (SELECT 1) SELECT * FROM c;", Dialect.POSTGRESQL, True),
        ("WITH c AS (SELECT 1 AS n) SELECT * FROM c", Dialect.SQL_SERVER, False),
        ("SELECT n FROM t ORDER BY n", Dialect.SQL_SERVER, False),
        ("SELECT n FROM t", Dialect.SQL_SERVER, True),
        ("SELECT n FROM t", Dialect.GENERIC, False),
        ("EXEC p", Dialect.SQL_SERVER, False),
        ("SELECT 1; SELECT 2", Dialect.POSTGRESQL, False),
        ("SELECT (((", Dialect.POSTGRESQL, False),
    ],
)
def test_a_native_query_is_asked_as_it_is_or_between_parentheses(
    native: str, dialect: Dialect, is_wrapped: bool
) -> None:
    source = f'Value.NativeQuery(PostgreSQL.Database("h", "d"), "{native}")'
    query = folded("Table.SelectRows(T, each [n] > 1)", source=source, dialect=dialect)
    if is_wrapped:
        assert f"FROM (\n{native.rstrip(';')}\n) AS t WHERE " in query.query
        assert not query.local
    else:
        assert query.query == native
        assert "WHERE" in query.local


def test_the_wrapped_native_query_runs() -> None:
    source = 'Value.NativeQuery(PostgreSQL.Database("h", "d"), "select n, s from t where s <> \' from t\' -- x")'
    query = folded('Table.SelectColumns(Table.SelectRows(T, each [n] > 1), "s")', source=source, dialect=Dialect.DUCKDB)
    with closing(duckdb.connect()) as connection:
        connection.execute("CREATE TABLE t AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, s)")
        assert connection.execute(query.query).fetchall() == [("b",)]


def test_what_a_database_cannot_be_asked_in_order_is_refused() -> None:
    for steps in ("Table.Skip(T, 1)", 'Table.Distinct(T, {"n"})', 'Table.FirstN(Table.Sort(T, "s"), 1)'):
        with pytest.raises(ExpressionNotSupportedError, match='step "S"'):
            folded(steps, source=TABLE)
    with pytest.raises(ExpressionNotSupportedError, match="directly behind"):
        folded('Table.FirstN(Table.SelectColumns(Table.Sort(T, "n"), "s"), 1)', source=TABLE)


def test_columns_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(ExpressionNotSupportedError, match="case of letters"):
        folded("T", schema=pa.schema([("a", pa.int64()), ("A", pa.int64())]))
    with pytest.raises(ExpressionNotSupportedError, match="case of letters"):
        folded('Table.RenameColumns(T, {{"n", "S"}})')


def test_names_and_texts_are_quoted_whatever_they_hold() -> None:
    name = 'x"; DROP TABLE t; --'
    quoted = name.replace('"', '""')
    schema = pa.schema([(name, pa.string())])
    steps = f'Table.SelectRows(T, each [#"{quoted}"] = "\'; DROP TABLE t; --")'
    rows = table([("'; DROP TABLE t; --",), ("x",)], schema)
    assert locally(folded(steps, schema=schema), rows) == [("'; DROP TABLE t; --",)]


def test_a_chain_of_alternatives_runs() -> None:
    condition = " or ".join(f"[n] = {number}" for number in range(3, 1003))
    assert numbers(f"Table.SelectRows(T, each {condition})") == [3, 4]


def test_columns_made_of_columns_do_not_grow_without_bound() -> None:
    steps = "T"
    for number in range(12):
        before = "s" if number == 0 else f"c{number - 1}"
        steps = f'Table.AddColumn({steps}, "c{number}", each [{before}] & [{before}])'
    query = folded(steps)
    assert len(query.local) < 20_000
    assert locally(query, table())[0][-1] == "a" * 4096


def test_the_query_for_the_columns_names_the_table() -> None:
    recipe = recognise(TABLE, queries={}, parameters={}, culture=None)
    assert schema_query(recipe, Dialect.SQL_SERVER) == "SELECT * FROM [main].[T t]"
    assert schema_query(recognise(FILE, queries={}, parameters={}, culture=None), Dialect.DUCKDB) == ""


def test_typed_in_rows_become_arrow_columns_of_one_kind() -> None:
    rows = literal_rows(LiteralTable(("a", "b", "c"), ((1, "x", None), (None, "y", None), (2.5, None, None))))
    assert rows.to_pydict() == {"a": [1.0, None, 2.5], "b": ["x", "y", None], "c": [None, None, None]}
    assert literal_rows(LiteralTable(("a",), ())).schema == pa.schema([("a", pa.null())])
    with pytest.raises(ExpressionNotSupportedError, match="several kinds"):
        literal_rows(LiteralTable(("a",), ((1,), ("x",))))
