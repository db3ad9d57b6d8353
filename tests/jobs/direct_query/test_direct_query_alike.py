"""Random queries: what a source answers whole is what DuckDB makes of the same rows here."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_models import column, database_file, live_database, query_partition, table, warehouse

from tabvault.engine.sql import parse_query
from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.live_source import LiveSource
from tabvault.jobs.direct_query.push_down import pushed_query
from tabvault.jobs.direct_query.source_questions import SourceQuestions
from tabvault.storage.server_state.source_folders import allow_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live_models import LiveDatabase

    from sources.postgresql import PostgreSqlServer


TEXTS = ("a", "A", "á", "a\u0301", "", " a", "a ", "Straße", "Strasse", "O'Brien", "𝄞", None)
START = datetime.datetime(1999, 12, 31, 23, 59, 59, 999_999)
COUNT = 300
COLUMNS = {
    "W": ("int64", "bigint"),
    "V": ("int64", "smallint"),
    "M": ("decimal", "decimal(18,4)"),
    "R": ("double", "double precision"),
    "T": ("string", "varchar"),
    "U": ("string", "varchar"),
    "D": ("dateTime", "timestamp"),
    "B": ("boolean", "boolean"),
}


def rows() -> list[tuple[Any, ...]]:
    """Nulls, ties, extremes, negative zero, equal and nearly equal texts."""
    made = []
    for n in range(COUNT):
        whole = None if n % 11 == 0 else (2**62 + n if n % 10 == 3 else n % 9 - 4)
        made.append(
            (
                whole,
                n % 7 - 3 if n % 5 else None,
                None if n % 8 == 0 else Decimal(n % 12 - 6) / 8 + Decimal(n % 3 == 0) * 10**13,
                None if n % 6 == 0 else (0.1 * (n % 9) - 0.3 if n % 4 else 1e300),
                TEXTS[n % 12],
                TEXTS[n % 5],
                None if n % 9 == 0 else START + datetime.timedelta(microseconds=(n % 20) ** 9),
                (None, True, False)[n % 3],
            )
        )
    return made


def columns() -> list[dict[str, Any]]:
    return [column(name, data_type) for name, (data_type, _native) in COLUMNS.items()]


DECLARED = ", ".join(f'"{name}" {native}' for name, (_data_type, native) in COLUMNS.items())


@pytest.fixture(scope="module")
def in_postgresql(postgresql: PostgreSqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDatabase]:
    postgresql.execute(f"CREATE TABLE dq_alike ({DECLARED})")
    with (
        postgresql.connect() as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY dq_alike FROM STDIN") as copy,
    ):
        for row in rows():
            copy.write_row(row)
    with live_database(tmp_path_factory.mktemp("alike")) as database:
        database.create([table("X", columns(), query_partition("SELECT * FROM dq_alike"))], warehouse(postgresql))
        database.bind(postgresql.user, postgresql.password)
        yield database
    postgresql.execute("DROP TABLE dq_alike")


@pytest.fixture(scope="module")
def in_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDatabase]:
    folder = tmp_path_factory.mktemp("duck")
    with duckdb.connect(str(folder / "x.duckdb")) as connection:
        connection.execute(f"CREATE TABLE x ({DECLARED})")
        connection.executemany(f"INSERT INTO x VALUES ({', '.join('?' * len(COLUMNS))})", rows())
    with live_database(tmp_path_factory.mktemp("alike")) as database:
        _ = database.vault.own_folder
        allow_folder(database.vault.data, folder)
        database.create([table("X", columns(), query_partition("FROM x"))], database_file(folder / "x.duckdb"))
        yield database


def truth() -> duckdb.DuckDBPyConnection:
    types = {"int64": pa.int64(), "decimal": pa.decimal128(19, 4), "double": pa.float64(), "string": pa.string(),
             "dateTime": pa.timestamp("us"), "boolean": pa.bool_()}  # fmt: skip
    schema = pa.schema([(name, types[data_type]) for name, (data_type, _native) in COLUMNS.items()])
    connection = duckdb.connect()
    data = pa.table([pa.array(one, type_) for one, type_ in zip(zip(*rows(), strict=True), schema.types, strict=True)],
                    schema=schema)  # fmt: skip
    connection.register("X", data)
    return connection


TRUTH = truth()
CONSTANTS = {
    "W": ("0", "-3", "4611686018427387907", "9223372036854775807"),
    "V": ("2", "-1", "99999999999"),
    "M": ("0.5", "-0.125", "1", "10000000000000.25", "0.1250", ".25"),
    "R": ("0.1", "-0.3", "1", "0.30", "123456789.12345"),
    "T": ("'a'", "'A'", "'á'", "''", "'a '", "'Straße'", "'O''Brien'", "'𝄞'"),
    "U": ("'a'", "'x'"),
    "D": ("'1999-12-31 23:59:59.999999'", "DATE '2000-01-01'", "TIMESTAMP '2000-01-01 00:00:02'", "'2000-01-02'"),
    "B": ("TRUE", "FALSE"),
}
PAIRS = (("W", "V"), ("T", "U"))


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    if depth and draw(st.booleans()):
        left, right = draw(conditions(depth - 1)), draw(conditions(depth - 1))
        return draw(st.sampled_from([f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})"]))
    name = draw(st.sampled_from(sorted(COLUMNS)))
    one, other = (draw(st.sampled_from(CONSTANTS[name])) for _ in range(2))
    is_text = name in "TU"
    operator = draw(st.sampled_from(["=", "<>"] if is_text else ["=", "<>", "<", "<=", ">", ">="]))
    left, right = draw(st.sampled_from(PAIRS))
    forms = [
        f"{name} {operator} {one}",
        f"{one} {operator} {name}",
        f"{name} {draw(st.sampled_from(['IN', 'NOT IN']))} ({one}, {other})",
        f"{name} IS {draw(st.sampled_from(['', 'NOT ']))}NULL",
        f"{left} {draw(st.sampled_from(['=', '<>']))} {right}",
        "B",
    ]
    if not is_text:
        forms.append(f"{name} {draw(st.sampled_from(['', 'NOT ']))}BETWEEN {one} AND {other}")
    return draw(st.sampled_from(forms))


AGGREGATES = [
    "count(*)", *(f"count({name})" for name in COLUMNS), *(f"count(DISTINCT {name})" for name in COLUMNS),
    *(f"{function}({name})" for function in ("min", "max") for name in "WVMRD"),
    *(f"{function}({name})" for function in ("sum", "avg") for name in "WVM"),
]  # fmt: skip


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, bool]:
    """A query of the subset, and whether its order is total."""
    where = f" WHERE {draw(conditions())}" if draw(st.booleans()) else ""
    groups = draw(st.lists(st.sampled_from(sorted(COLUMNS)), max_size=2, unique=True))
    aggregates = draw(st.lists(st.sampled_from(AGGREGATES), min_size=0 if groups else 1, max_size=4))
    items = [*groups, *aggregates]
    text = f"SELECT {', '.join(items)} FROM X{where}"
    if groups:
        text += f" GROUP BY {', '.join(groups)}"
        keys = [f"{number + 1}{draw(st.sampled_from(['', ' DESC']))}{draw(st.sampled_from(['', ' NULLS FIRST', ' NULLS LAST']))}" for number in range(len(groups))]  # fmt: skip  # noqa: E501
        text += f" ORDER BY {', '.join(keys)}"
        if draw(st.booleans()):
            text += f" LIMIT {draw(st.integers(0, 9))} OFFSET {draw(st.integers(0, 4))}"
    return text, bool(groups)


def is_near(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> bool:
    """
    Whether they are averages that differ in the last place.

    DuckDB gives either, by its plan: ``avg(x)`` beside ``count(x)`` is divided in double, alone in long double.
    """
    pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
    return all(
        our == their or (None not in (our, their) and abs(our - their) <= math.ulp(their)) for our, their in pairs
    )


def assert_alike(database: LiveDatabase, text: str) -> None:
    """*text* is pushed down, and its answer DuckDB's own, value for value and in order."""
    with database.vault.open(database.name) as opened, SourceQuestions() as questions:
        [one] = opened.model.tables
        source = LiveSource(opened.model, one, database.access, questions)
        tree = parse_query(text, ["X"]).tree
        assert tree is not None
        pushed_query(tree, {folded("X"): source}, row_count_max=1000)  # it raises what is not alike
    ours, theirs = database.sql(text), TRUTH.sql(text).to_arrow_table()
    assert ours.schema.equals(theirs.schema)
    for name, our, their in zip(ours.column_names, ours.columns, theirs.columns, strict=True):
        assert our.equals(their) or (name.startswith("avg(") and is_near(our, their)), (name, ours, theirs)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queries())
def test_a_duckdb_file_answers_as_it_is_answered_here(in_duckdb: LiveDatabase, query: tuple[str, bool]) -> None:
    assert_alike(in_duckdb, query[0])


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queries())
def test_postgresql_answers_as_it_is_answered_here(in_postgresql: LiveDatabase, query: tuple[str, bool]) -> None:
    assert_alike(in_postgresql, query[0])


def test_every_aggregate_and_constant_is_alike_in_postgresql(in_postgresql: LiveDatabase) -> None:
    assert_alike(in_postgresql, f"SELECT {', '.join(AGGREGATES)} FROM X")
    assert_alike(in_postgresql, f"SELECT V, {', '.join(AGGREGATES)} FROM X GROUP BY V ORDER BY V DESC")
    counted = [f"SELECT count(*) FROM X WHERE {name} = {one}" for name, some in CONSTANTS.items() for one in some]
    for text in counted[::4]:
        assert_alike(in_postgresql, text)
