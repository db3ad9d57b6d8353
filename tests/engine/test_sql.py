"""SQL over lazy tables: right answers, lazily, within bounds."""

# ruff: noqa: E501  # a query and its answer stand in one line

from __future__ import annotations

import functools
import itertools
import operator
import subprocess
import sys
import threading
import time

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_tables import D, Recorded, ask, sales

from conftest import sample_path
from tabvault.engine import scan
from tabvault.engine import statement as checked
from tabvault.engine.column_cache import CachedTable, ColumnCache
from tabvault.engine.lazy_dataset import filter_columns
from tabvault.engine.sql import query_sql
from tabvault.errors import ChecksumError, JobCancelledError, ModelError, QueryError, QueryNotSupportedError
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

# ---------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("SELECT count(*) FROM Sales", [(5,)]),
        (
            "SELECT Region, count(*) AS n FROM Sales GROUP BY Region ORDER BY n DESC, Region",
            [("North", 2), ("East", 1), ("South", 1), (None, 1)],
        ),
        ("SELECT sum(Price) FROM Sales", [(D("922337203685479.0806"),)]),
        ("FROM Sales SELECT Units WHERE Region = 'North' ORDER BY Units", [(0,), (3,)]),
        ("WITH a AS (SELECT Units + 1 AS b FROM Sales) SELECT max(b) FROM a", [(6,)]),
        ("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM A) SELECT x, y FROM a, b", [(1, 2)]),
        ("WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM R WHERE x < 3) SELECT sum(x) FROM r", [(6,)]),
        ("WITH a AS (SELECT 1) SELECT * FROM a UNION ALL SELECT * FROM a", [(1,), (1,)]),
        ("VALUES (1, 'a')", [(1, "a")]),
        ("SELECT * FROM range(2)", [(0,), (1,)]),
        ("SELECT unnest([1, 2])", [(1,), (2,)]),
        ("SELECT a.Units FROM Sales a JOIN Sales b ON a.Units = b.Units WHERE b.Region = 'East'", [(-7,)]),
        (
            "SELECT * FROM (PIVOT Sales ON Region IN ('East') USING count(*) GROUP BY \"Open\") ORDER BY 1",
            [(False, 1), (True, 0), (None, 0)],
        ),
        ("SHOW TABLES", [("Sales",)]),
        ("SELECT column_name FROM (DESCRIBE Sales) LIMIT 2", [("Region",), ("Units",)]),
        ("SELECT column_name, max FROM (SUMMARIZE SELECT Units FROM Sales)", [("Units", "5")]),
    ],
)
def test_a_query_that_only_reads_is_answered(text, answer):
    assert ask(text) == answer


def test_explain_shows_a_plan():
    ((kind, plan),) = ask("explain SELECT Units FROM Sales WHERE Price > 1")
    assert kind == "physical_plan"
    assert "Units" in plan


CONDITIONS = [
    "Region = 'North'", "Region <> 'North'", "Region >= 'North'", "Region IS NULL", "Region IS NOT NULL",
    "Region IN ('North', 'East')", "Region NOT IN ('North', 'East')", "Region LIKE 'N%'", "Region = 'north'", "NOT (Region = 'North')",
    "Units > 0", "Units <= 0", "Units = 5", "Units IN (5, -7)", "Units IS NULL", "Units BETWEEN 0 AND 3", "Units <> 3",
    "Price > 1.5", "Price >= 1.5", "Price = 0", "Price < 0", "Price IN (1.5, 0)", "Price = 922337203685477.5807", "Price IS NULL",
    "Day = '2020-01-01'", "Day > '2020-01-01'", "Day < '1900-01-01'", "Day IS NULL", "Day >= DATE '2020-01-01'",
    "Factor > 0", "Factor = 0", "Factor <> 0", "Factor = 'nan'::DOUBLE", "Factor < 'inf'::DOUBLE", "Factor IN (0, 0.5)", "Factor NOT IN (0.5)",
    "Open", "NOT Open", "Open IS NULL", "Open = false",
    "Raw = 'a'::BLOB", "Raw = ''::BLOB", "Raw > 'a'::BLOB",
    "Sum = 1.5", "Sum > 1.5", "Sum IN (2)", "Sum IS NULL",
    "\"When\" = '2020-01-01'", "\"When\" > '2020-06-01'", '"When" IS NULL', "\"When\" IN ('2021-01-01'::TIMESTAMP)",
    "Region = 'North' OR Units < 0", "Region = 'North' AND Price > 2 AND Day IS NOT NULL", "(Units > 0) = Open", "Units % 2 = 1",
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_holds_for_the_same_rows_as_in_a_table_of_the_engine_itself(condition):
    data = sales().table
    numbered = data.append_column("n", pa.array(range(len(data))))
    text = f"SELECT n FROM Sales WHERE {condition} ORDER BY n"
    with duckdb.connect() as engine:
        engine.register("given", numbered)
        engine.execute(
            "CREATE TABLE Sales AS FROM given"
        )  # plain columns: no dictionary and nothing to hand a condition to
        expected = engine.execute(text).fetchall()
    assert ask(text, {"Sales": Recorded(numbered)}) == expected


_CELLS = st.sampled_from([None, "", "a", "A", "b", "ä", "aa"])


@given(
    words=st.lists(_CELLS, min_size=1, max_size=20),
    numbers=st.lists(st.none() | st.integers(-3, 3), min_size=20, max_size=20),
    word=_CELLS.filter(lambda cell: cell is not None),
    number=st.integers(-4, 4),
    operators=st.tuples(st.sampled_from(["=", "<>", "<", ">="]), st.sampled_from(["=", "<>", "<", ">="])),
    joint=st.sampled_from(["AND", "OR", "AND NOT"]),
)
@settings(deadline=None, max_examples=40)
def test_random_conditions_on_dictionary_columns_select_what_python_selects(
    words, numbers, word, number, operators, joint
):
    table = pa.table(
        {
            "w": pa.array(words, pa.string()).dictionary_encode(),
            "n": pa.array(numbers[: len(words)], pa.int64()).dictionary_encode(),
            "i": range(len(words)),
        }
    )
    text = f"SELECT i FROM t WHERE w {operators[0]} '{word}' {joint} n {operators[1]} {number} ORDER BY i"

    def holds(cell, operator, other):
        if cell is None:
            return None
        if isinstance(cell, str):  # text is ordered by its UTF-8 bytes
            cell, other = cell.encode(), other.encode()
        return {"=": cell == other, "<>": cell != other, "<": cell < other, ">=": cell >= other}[operator]

    def selects(row):
        left, right = holds(words[row], operators[0], word), holds(numbers[row], operators[1], number)
        if joint == "OR":
            return left is True or right is True
        return left is True and right is (joint == "AND")

    assert ask(text, {"t": Recorded(table)}) == [(row,) for row in range(len(words)) if selects(row)]


def test_values_come_back_as_they_were():
    table = sales()
    with query_sql("SELECT * FROM Sales", {"Sales": table}) as result:
        answer = result.read_all()
    assert answer.schema.field("Price").type == pa.decimal128(19, 4)
    for name in ("Region", "Units", "Price", "Day", "Open", "Raw", "Sum", "When"):
        assert answer[name].to_pylist() == table.table[name].to_pylist(), name


def test_a_column_of_many_chunks_is_read_whole():
    chunks = pa.table({"a": pa.chunked_array([[1, 2], [], [3], [4, 5, 6]]), "b": pa.chunked_array([["x"] * 6])})
    assert ask("SELECT sum(a), count(b) FROM t", {"t": Recorded(chunks)}) == [(21, 6)]
    assert ask("SELECT a FROM t WHERE a > 2 AND b = 'x'", {"t": Recorded(chunks)}) == [(3,), (4,), (5,), (6,)]


def test_a_table_without_rows_has_an_answer():
    empty = Recorded(pa.table({"a": pa.chunked_array([], pa.int64())}))
    assert ask("SELECT count(*), max(a) FROM t WHERE a > 1", {"t": empty}) == [(0, None)]


def test_rows_stream_and_are_not_held():
    with query_sql("SELECT range AS i, repeat('x', 100) AS s FROM range(100_000_000)", {}) as result:
        batches = list(itertools.islice(result, 5))
    assert [len(batch) for batch in batches] == [len(batches[0])] * 5
    assert batches[0].nbytes < 16 << 20


def test_a_closed_result_gives_nothing_more():
    result = query_sql("SELECT * FROM range(1000000)", {})
    next(iter(result))
    result.close()
    result.close()
    assert list(result) == []


# ---------------------------------------------------------------------------------------------------- laziness


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("SELECT Units FROM Sales", {"Units"}),
        ("SELECT sum(Price) FROM Sales WHERE Region = 'North'", {"Price", "Region"}),
        ("SELECT Price FROM Sales WHERE Units % 2 = 1 AND Day > '2020-01-01'", {"Price", "Units", "Day"}),
        ("SELECT count(Open) FROM Sales", {"Open"}),
        ("SELECT Region FROM (SELECT * FROM Sales) ORDER BY Units", {"Region", "Units"}),
        ("SELECT 1 FROM range(2) WHERE EXISTS (SELECT 1 FROM Sales WHERE Raw = 'a'::BLOB)", {"Raw"}),
    ],
)
def test_only_the_columns_that_a_query_touches_are_read(text, touched):
    table = sales()
    ask(text, {"Sales": table})
    read = {column for columns in table.reads for column in columns}
    assert touched <= read
    assert read <= touched | {"Region"}, "but the first column, which DuckDB takes where it needs rows and no value"
    if "Region" not in text and "EXISTS" not in text:
        assert read == touched


def test_counting_rows_reads_one_column():
    table = sales()
    assert ask("SELECT count(*) FROM Sales", {"Sales": table}) == [(5,)]
    assert [len(columns) for columns in table.reads] == [1]


@pytest.mark.parametrize(
    "text", ["DESCRIBE Sales", "SHOW TABLES", "EXPLAIN SELECT * FROM Sales", "SELECT * FROM Other"]
)
def test_what_needs_no_values_of_a_table_reads_none(text):
    table = sales()
    ask(text, {"Sales": table, "Other": Recorded(pa.table({"a": [1]}))})
    assert table.reads == []


def test_the_columns_of_a_condition_are_found_among_alike_names():
    schema = pa.schema([("a", pa.int64()), ("aa", pa.int64()), ("a.b", pa.int64()), ("b", pa.int64())])
    condition = (pc.field("aa") > 1) & (pc.field("a.b") < 2)
    assert filter_columns(condition, schema, known=["b"]) == ["aa", "a.b"]
    assert filter_columns(condition, schema, known=["aa", "a.b"]) == []
    assert filter_columns(None, schema, known=[]) == []


@given(named=st.sets(st.integers(0, 30), min_size=1), known=st.sets(st.integers(0, 30)))
@settings(deadline=None, max_examples=50)
def test_the_columns_of_a_condition_are_found_among_many(named, known):
    schema = pa.schema([(str(index), pa.int64()) for index in range(31)])
    condition = functools.reduce(operator.and_, [pc.field(str(index)) > 1 for index in sorted(named)])
    found = filter_columns(condition, schema, known=[str(index) for index in sorted(known)])
    assert found == [str(index) for index in sorted(named - known)]


# ---------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    [
        "Sales",
        "select",
        "Sales Äöü 売上",
        'with "quotes"',
        "it's",
        "a.b",
        "main",
        "duckdb_tables",
        "/etc/passwd",
        "$x",
        "a;b",
        "%s",
    ],
)
def test_a_table_of_any_name_is_queried_by_its_quoted_name(name):
    tables = {name: Recorded(pa.table({'c "1"': [7]}))}
    quoted = '"' + name.replace('"', '""') + '"'
    assert ask(f'SELECT "c ""1""" FROM {quoted}', tables) == [(7,)]


def test_names_are_found_without_regard_to_the_case_of_letters():
    assert ask("select units from SALES where REGION = 'East'") == [(-7,)]


def test_two_tables_whose_names_differ_by_case_are_queried_by_their_exact_names_and_not_together():
    tables = {"Sales": Recorded(pa.table({"a": [1]})), "SALES": Recorded(pa.table({"a": [2]}))}
    assert ask("SELECT a FROM Sales", tables) == [(1,)]
    assert ask("SELECT a FROM SALES", tables) == [(2,)]
    with pytest.raises(QueryError, match="'Sales' and 'SALES'"):
        ask("SELECT a FROM sales", tables)
    with pytest.raises(QueryNotSupportedError, match="differ by case alone"):
        ask("SELECT * FROM Sales, SALES", tables)


def test_two_columns_whose_names_differ_by_case_are_both_there():
    table = Recorded(pa.table({"Amount": [1, 2], "AMOUNT": [10, 20]}))
    assert ask("SELECT * FROM t", {"t": table}) == [(1, 10), (2, 20)]
    assert ask("SELECT Amount, AMOUNT_1 FROM t WHERE AMOUNT_1 > 10", {"t": table}) == [(2, 20)]


def test_two_columns_of_one_name_are_damage():
    table = Recorded(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(ModelError, match="more than one column 'a'"):
        ask("SELECT * FROM t", {"t": table})


def test_a_name_of_a_with_clause_hides_a_table():
    assert ask("WITH Sales AS (SELECT 9 AS x) SELECT x FROM Sales") == [(9,)]


# ---------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("SELECT nope FROM Sales", 'referenced column "nope" not found', (1, 8)),
        ("SELECT 'ää' ||\n  nope\nFROM Sales", 'referenced column "nope" not found', (2, 3)),
        ("SELECT a b c", 'syntax error at or near "c"', (1, 12)),
        ("SELECT *\nFROM Sale", "there is no table 'Sale'", (2, 6)),
        ("EXPLAIN SELECT *\nFROM Sale", "there is no table 'Sale'", (2, 6)),
        ("SELECT CAST(Region AS INT) FROM Sales", "could not convert string 'North' to INT32", (1, 8)),
        ("SELECT CAST(range || CASE WHEN range = 300000 THEN 'x' ELSE '' END AS INT) FROM range(300001)", "could not convert string '300000x'", (1, 8)),
        ("SELECT foo(1)", "Function with name foo does not exist", (1, 8)),
        ("", "text has 0 statements, not one", (None, None)),
        ("SELECT 1; SELECT 2", "text has 2 statements, not one", (None, None)),
        ("SELECT 1 \0", "NUL", (1, 10)),
        ("SELECT '\ud800'", "surrogate", (None, None)),
        (f"SELECT '{'x' * checked.TEXT_BYTE_COUNT_MAX}'", "over the limit of 65536", (None, None)),
    ],
)  # fmt: skip
def test_an_error_says_what_and_where(text, message, place):
    with pytest.raises(QueryError) as caught:
        ask(text)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == place
    assert not caught.value.message.endswith((".", "!"))


def test_a_hint_names_the_table_that_was_meant():
    with pytest.raises(QueryError) as caught:
        ask("SELECT * FROM Slaes")
    assert caught.value.hint == "there is 'Sales'"


class Damaged:
    schema = pa.schema([("a", pa.int64())])

    def read(self, _columns):
        raise ChecksumError("CRC is 1, not 2", file="t.a.idf", offset=9)


def test_damage_found_while_a_column_is_read_is_raised_as_it_is():
    with pytest.raises(ChecksumError) as caught:
        ask("SELECT sum(a) FROM t", {"t": Damaged()})
    assert str(caught.value) == "CRC is 1, not 2 - at t.a.idf byte 0x9"


# ---------------------------------------------------------------------------------------------------- bounds


class Stopping:
    """A table whose reader goes away when it is read."""

    schema = pa.schema([("a", pa.int64())])

    def __init__(self):
        self.stopped = threading.Event()

    def read(self, _columns):
        self.stopped.set()
        return pa.table({"a": [1]}, schema=self.schema)


def test_a_query_that_computes_is_stopped_by_who_sets_an_event():
    table = Stopping()
    text = "SELECT count(*) FROM t, range(100000000000) a, range(1000) b"
    with pytest.raises(JobCancelledError), query_sql(text, {"t": table}, timeout_s=60, stopped=table.stopped) as result:
        result.read_all()
    with pytest.raises(JobCancelledError):
        query_sql("SELECT 1", {}, stopped=table.stopped)


def test_a_query_is_stopped_between_its_batches():
    stopped = threading.Event()
    with query_sql("SELECT * FROM range(1000000)", {}, stopped=stopped) as result:
        batches = iter(result)
        next(batches)
        stopped.set()
        with pytest.raises(JobCancelledError):
            next(batches)


def test_a_query_is_stopped_after_its_time():
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.2 s"):
        ask("SELECT count(*) FROM generate_series(1, 1_000_000_000_000)", timeout_s=0.2)
    assert time.monotonic() - started < 10


def test_a_query_is_stopped_between_batches_too():
    with (
        query_sql("SELECT range FROM range(1_000_000_000_000)", {}, timeout_s=0.3) as result,
        pytest.raises(QueryError, match="longer than"),
    ):
        assert sum(len(batch) for batch in result) < 0, "the rows have no end"


def test_a_query_over_its_memory_is_stopped():
    with pytest.raises(QueryError, match="needs more than 50000000 bytes of memory"):
        ask("SELECT count(DISTINCT range) FROM range(100_000_000)", memory_byte_count_max=50_000_000)


# ---------------------------------------------------------------------------------------------------- genuine files


@pytest.mark.parametrize("sample_name", ["Hugoberry__DataModel.abf", "microsoft__Corporate_Spend.pbix"])
def test_genuine_tables_come_out_of_sql_as_they_are_decoded(sample_name):
    with open_backup(MemorySource(sample_path(sample_name).read_bytes())) as backup:
        files = ContainerFiles(backup.container)
        with Metadata.from_bytes(bytes(files.read(METADATA_FILE))) as metadata:
            model = load_model(metadata)
        tables, decoded = {}, {}
        cache = ColumnCache(byte_count_max=1 << 28)
        for table in model.tables:
            columns = {column.name: column for column in table.columns}
            read = functools.partial(
                lambda table, columns, name: scan.read_column(files, table, columns[name]), table, columns
            )
            tables[table.name] = CachedTable(
                functools.partial(scan.table_schema, table), read, cache=cache, key=table.id
            )
            decoded[table.name] = scan.read_table(files, table)
        assert ask("SHOW TABLES", tables) == [(name,) for name in sorted(tables)]
        for name, table in decoded.items():
            quoted = '"' + name.replace('"', '""') + '"'
            assert ask(f"SELECT count(*) FROM {quoted}", tables) == [(len(table),)]
            with query_sql(f"SELECT * FROM {quoted}", tables) as result:
                answer = result.read_all()
            assert answer.schema.names == table.schema.names
            for column in table.schema.names:
                kind = table.schema.field(column).type
                plain = table[column].cast(kind.value_type) if pa.types.is_dictionary(kind) else table[column]
                assert answer[column].equals(plain), (name, column)


def test_ctrl_c_ends_a_running_query_at_once() -> None:
    """In a process of its own: the signal has to come while DuckDB is at work."""
    code = (
        "import signal, threading, os, tabvault.engine.sql as s\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "with s.query_sql('SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 5', {}) as result:\n"
        "    result.read_all()\n"
    )
    begun = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "KeyboardInterrupt" in ran.stderr
    assert time.monotonic() - begun < 15
