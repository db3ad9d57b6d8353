"""Partitions over real sources: PostgreSQL, SQLite, DuckDB and ODBC by query, files and expressions by M."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pytest
from refresh_models import m_partition, query_partition, table
from refreshes import all_types, differences, parquet_partition, shop, table_of

from tabvault.errors import (
    ExpressionNotSupportedError,
    RequestError,
    SourceAccessError,
    SourceCredentialError,
    SourceError,
    SourceTypeError,
)
from tabvault.jobs.processing.source_listing import find_source, list_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refreshes import Shop

    from sources.postgresql import PostgreSqlServer


ROWS = all_types(500)
POSTGRESQL_TYPES = (
    '"Key" bigint, "Text" text, "Empty" text, "Whole" bigint, "Real" double precision, "Money" numeric(19,4), '
    '"Moment" timestamp, "Flag" boolean, "Octets" bytea, "Never" text'
)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path) as one:
        yield one


def npgsql(server: PostgreSqlServer, *, password: str | None = None) -> dict[str, Any]:
    text = f"Host=127.0.0.1;Port={server.port};Database=postgres;Username={server.user}"
    more = f";Password={password}" if password else ""
    return {"name": "Warehouse", "connectionString": text + more, "provider": "Npgsql"}


def fill(server: PostgreSqlServer, name: str, rows: pa.Table) -> None:
    """A table of PostgreSQL with these rows, written by psycopg."""
    server.execute(f'DROP TABLE IF EXISTS "{name}"', f'CREATE TABLE "{name}" ({POSTGRESQL_TYPES})')
    with (
        server.connect() as connection,
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{name}" FROM STDIN') as copy,
    ):
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            copy.write_row(row)


def bind(shop: Shop, name: str, user: str | None, password: str) -> None:
    with shop.vault.open("shop") as opened:
        model = opened.model
    access = shop.access(shop.vault.folder.find("shop"))
    source = find_source(model, name, access)
    assert source.definition is not None
    access.bind(source.name, source.definition, user=user, password=password)


def test_every_type_comes_from_postgresql_in_four_partitions_at_a_time(
    made: Shop, postgresql: PostgreSqlServer
) -> None:
    fill(postgresql, "facts", ROWS)
    partitions = [
        query_partition(f"p{part}", f'SELECT * FROM facts WHERE "Key" % 4 = {part} ORDER BY "Key"') for part in range(4)
    ]
    made.create(table_of("Facts", ROWS, *partitions), dataSources=[npgsql(postgresql)])
    bind(made, "warehouse", postgresql.user, postgresql.password)
    result = made.refresh("full", parallelism=4)
    assert [one.row_count for one in result.partitions] == [125] * 4
    assert differences(made.rows("Facts"), ROWS) == 0
    made.check()
    postgresql.execute("""DELETE FROM facts WHERE "Key" > 100""", """UPDATE facts SET "Text" = 'ny' WHERE "Key" = 5""")
    made.refresh("full", ("Facts", "p1"), ("Facts", "p2"))
    assert made.rows("Facts").num_rows == 250 + 25 + 25
    made.check()


@pytest.mark.parametrize("row_count", [0, 1])
def test_no_row_and_one_row_are_read_too(made: Shop, postgresql: PostgreSqlServer, row_count: int) -> None:
    fill(postgresql, "few", ROWS.slice(3, row_count))
    made.create(table_of("Few", ROWS, query_partition("p", "SELECT * FROM few")), dataSources=[npgsql(postgresql)])
    bind(made, "Warehouse", postgresql.user, postgresql.password)
    for kind in ("full", "defragment", "calculate", "automatic", "add"):
        made.refresh(kind)
        assert differences(made.rows("Few"), pa.concat_tables([ROWS.slice(3, row_count)] * (1 + (kind == "add")))) == 0
        made.check()
    assert made.cells("Partition", "State") == [(1,)]


def test_sqlite_and_duckdb_files_are_asked_in_their_own_sql(made: Shop) -> None:
    simple = pa.table({"Key": pa.array([1, 2, 3], pa.int64()), "Name": ["é", None, ""], "Real": [0.5, None, -2.0]})
    with closing(sqlite3.connect(made.files / "a.sqlite")) as connection:
        connection.execute("CREATE TABLE t (Key INTEGER, Name TEXT, Real REAL)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [tuple(row.values()) for row in simple.to_pylist()])
        connection.commit()
    with duckdb.connect(str(made.files / "b.duckdb")) as connection:
        connection.register("given", ROWS)
        connection.execute("CREATE TABLE t AS FROM given")
    made.create(
        table_of("Lite", simple, query_partition("p", "SELECT * FROM t WHERE Key < 9", "A")),
        table_of("Duck", ROWS, query_partition("p", "FROM t", "B")),
        dataSources=[
            {"name": "A", "connectionString": f"Data Source={made.files}/a.sqlite", "provider": "SQLite"},
            {"name": "B", "connectionString": f"Data Source={made.files}/b.duckdb", "provider": "DuckDB"},
        ],
    )
    made.refresh()
    assert differences(made.rows("Lite"), simple) == 0
    assert differences(made.rows("Duck"), ROWS) == 0
    made.check()


def test_csv_parquet_and_rows_in_the_expression_are_read_by_m(made: Shop) -> None:
    simple = pa.table({"Key": pa.array([1, 2], pa.int64()), "Name": ["São Tomé", 'O\'Brien, "x"']})
    pyarrow.csv.write_csv(simple, made.files / "a.csv")
    csv = (
        f'let S = Csv.Document(File.Contents("{made.files}/a.csv"), '
        '[Delimiter=",", Encoding=65001, QuoteStyle=QuoteStyle.Csv]), '
        'H = Table.PromoteHeaders(S), T = Table.TransformColumnTypes(H, {{"Key", Int64.Type}}) in T'
    )
    literal = '#table(type table [Key = Int64.Type, Name = text], {{1, "São Tomé"}, {2, "O\'Brien, ""x"""}})'
    made.create(
        table_of("Csv", simple, m_partition("p", csv)),
        table_of("Parquet", ROWS, parquet_partition("p", made.files / "b.parquet", ROWS)),
        table_of("Literal", simple, m_partition("p", literal)),
    )
    made.refresh()
    for name in ("Csv", "Literal"):
        assert differences(made.rows(name), simple) == 0
    assert differences(made.rows("Parquet"), ROWS) == 0
    made.check()


STRUCTURED = "PostgreSQL/127.0.0.1;postgres"


def structured(server: PostgreSqlServer, **credential: Any) -> dict[str, Any]:
    details = {"protocol": "postgresql", "address": {"server": f"127.0.0.1:{server.port}", "database": "postgres"}}
    return {
        "type": "structured",
        "name": STRUCTURED,
        "connectionDetails": details,
        "credential": {"AuthenticationKind": "UsernamePassword", **credential},
    }


def test_m_names_a_structured_data_source_and_its_credential_is_that_of_the_name(
    made: Shop, postgresql: PostgreSqlServer
) -> None:
    fill(postgresql, "facts", ROWS)
    expression = f'let S = #"{STRUCTURED}", T = S{{[Schema="public",Item="facts"]}}[Data] in T'
    made.create(
        table_of("Facts", ROWS, m_partition("p", expression)),
        dataSources=[structured(postgresql, Username=postgresql.user)],
    )
    with made.vault.open("shop") as opened:
        [listing] = list_sources(opened.model, made.access(made.vault.folder.find("shop")))
    assert (listing.name, listing.kind, listing.tables, listing.credential) == (
        STRUCTURED,
        "postgresql",
        ("Facts",),
        "missing",
    )
    with pytest.raises(SourceCredentialError, match="table 'Facts', partition 'p': data source"):
        made.refresh()
    bind(made, STRUCTURED, None, postgresql.password)
    made.refresh()
    assert differences(made.rows("Facts"), ROWS) == 0
    made.check()


def test_m_names_a_file_that_is_a_structured_data_source(made: Shop) -> None:
    path = made.files / 'odd "name" #(x).parquet'
    parquet_partition("p", path, ROWS)
    source = {
        "type": "structured",
        "name": "File/odd",
        "connectionDetails": {"protocol": "file", "address": {"path": str(path)}},
    }
    partition = m_partition("p", 'let S = #"File/odd", T = Parquet.Document(S) in T')
    made.create(table_of("Facts", ROWS, partition), dataSources=[source])
    with made.vault.open("shop") as opened:
        [listing] = list_sources(opened.model, made.access(made.vault.folder.find("shop")))
    assert (listing.name, listing.credential) == ("File/odd", "not needed")
    made.refresh()
    assert differences(made.rows("Facts"), ROWS) == 0


def test_a_credential_is_not_given_to_another_address(made: Shop, postgresql: PostgreSqlServer, tmp_path: Path) -> None:
    fill(postgresql, "facts", ROWS)
    part = query_partition("p", "SELECT * FROM facts")
    made.create(table_of("Facts", ROWS, part), dataSources=[npgsql(postgresql)])
    with pytest.raises(SourceCredentialError, match="has no credential"):
        made.refresh()
    bind(made, "Warehouse", postgresql.user, postgresql.password)
    made.refresh()
    made.vault.backup("shop", "shop.abf")
    # Somebody makes a database of the same name whose data source of the same name points elsewhere.
    listener = Listener()
    with shop(tmp_path / "elsewhere") as other:
        elsewhere = {
            **npgsql(postgresql),
            "connectionString": f"Host=127.0.0.1;Port={listener.port};Database=postgres;Username=x",
        }
        other.create(table_of("Facts", ROWS, part), dataSources=[elsewhere])
        other.vault.backup("shop", "evil.abf")
        evil = other.vault.data / "storage/backups/evil.abf"
        made.vault.import_file(str(evil), "shop", overwrite=True)
    with pytest.raises(SourceCredentialError, match=r"was set for .* and the model now says"):
        made.refresh()
    assert listener.close() == 0, "somebody was called"
    made.vault.restore("shop.abf", "shop", overwrite=True)
    made.refresh()


class Listener:
    """A port where nobody answers, and calls are counted."""

    def __init__(self) -> None:
        import socket

        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = self._socket.getsockname()[1]

    def close(self) -> int:
        with self._socket:
            try:
                self._socket.accept()[0].close()
            except TimeoutError:
                return 0
            return 1


def test_a_password_is_nowhere_after_refreshes_that_failed(
    made: Shop, postgresql: PostgreSqlServer, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cr3t-Pa55-of-the-test"
    part = query_partition("p", "SELECT * FROM facts")
    made.create(table_of("Facts", ROWS, part), dataSources=[npgsql(postgresql)])
    bind(made, "Warehouse", postgresql.user, secret)
    with pytest.raises(SourceError) as caught:
        made.refresh()
    shown = [str(caught.value), repr(caught.value), str(caught.value.hint), caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if secret in text]
    holders = [path for path in made.vault.data.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holders == []


def test_the_password_of_a_connection_string_is_used_and_never_shown(made: Shop, postgresql: PostgreSqlServer) -> None:
    fill(postgresql, "facts", ROWS)
    part = query_partition("p", "SELECT * FROM facts")
    made.create(table_of("Facts", ROWS, part), dataSources=[npgsql(postgresql, password=postgresql.password)])
    with made.vault.open("shop") as opened:
        [listing] = list_sources(opened.model, made.access(made.vault.folder.find("shop")))
    assert listing.credential == "set"  # taken out of the model when it came
    assert postgresql.password not in repr(listing)
    made.refresh()
    assert differences(made.rows("Facts"), ROWS) == 0
    postgresql.execute("DROP TABLE facts")
    with pytest.raises(SourceError, match="table 'Facts', partition 'p': ") as caught:
        made.refresh()
    assert postgresql.password not in str(caught.value)


@pytest.mark.parametrize(
    "words", ["Integrated Security=SSPI", "Trusted_Connection=yes", "Impersonation Level=Impersonate"]
)
def test_words_that_would_change_who_asks_are_refused(made: Shop, postgresql: PostgreSqlServer, words: str) -> None:
    source = npgsql(postgresql)
    source["connectionString"] += f";{words}"
    made.create(table_of("Facts", ROWS, query_partition("p")), dataSources=[source])
    with pytest.raises(SourceError, match="table 'Facts', partition 'p': "):
        made.refresh()


def test_a_file_outside_of_the_allowed_folders_is_not_read(made: Shop, tmp_path: Path) -> None:
    made.create(table_of("Facts", ROWS, parquet_partition("p", tmp_path / "b.parquet", ROWS)))
    with pytest.raises(SourceAccessError, match="table 'Facts', partition 'p': "):
        made.refresh()


def test_a_value_that_does_not_fit_is_told_with_table_partition_column_and_row(made: Shop) -> None:
    good = pa.table({"Key": pa.array(["1", "2"]), "Name": ["a", "b"]})
    bad = pa.table({"Key": pa.array(["3", "four"]), "Name": ["a", "b"]})
    wanted = pa.table({"Key": pa.array([], pa.int64()), "Name": pa.array([], pa.string())})
    made.create(
        table_of(
            "T",
            wanted,
            parquet_partition("good", made.files / "g", good),
            parquet_partition("bad", made.files / "b", bad),
        )
    )
    with pytest.raises(
        SourceTypeError, match=r"table 'T', partition 'bad': column 'Key', row 2: .* does not fit"
    ) as caught:
        made.refresh()
    assert "four" not in str(caught.value)
    assert made.rows("T").num_rows == 0
    assert made.staging() == []


def test_a_column_that_the_source_does_not_give_is_named(made: Shop) -> None:
    given = pa.table({"Key": pa.array([1], pa.int64())})
    wanted = given.append_column("Gone", pa.array(["x"]))
    made.create(table_of("T", wanted, parquet_partition("p", made.files / "p", given)))
    with pytest.raises(SourceTypeError, match="table 'T', partition 'p': the source gives no column 'Gone'"):
        made.refresh()


def test_a_step_that_is_not_recognised_is_named_and_the_rows_stay(made: Shop) -> None:
    made.create(table_of("Facts", ROWS, parquet_partition("p", made.files / "p", ROWS)))
    made.refresh()
    made.read_from("Facts", "p", 'let S = Web.Contents("http://x") in S')
    before = made.rows("Facts")
    with pytest.raises(ExpressionNotSupportedError, match="table 'Facts', partition 'p': cannot refresh here: step"):
        made.refresh("full", "Facts")
    assert made.rows("Facts").equals(before)


def test_sources_that_nobody_reads_have_no_name(made: Shop) -> None:
    made.create(table("T", partitions=[m_partition("p", "nonsense")]))
    with made.vault.open("shop") as opened:
        model = opened.model
    access = made.access(made.vault.folder.find("shop"))
    [listing] = list_sources(model, access)
    assert listing.name == "T/p"
    assert "cannot refresh here" in str(listing.problem)
    with pytest.raises(RequestError, match="no partition reads a data source 'T/p'"):
        find_source(model, "T/p", access)


def test_partitions_are_read_side_by_side(made: Shop, postgresql: PostgreSqlServer) -> None:
    partitions = [query_partition(f"p{n}", f'SELECT {n} AS "Key" FROM (SELECT pg_sleep(0.4)) AS s') for n in range(4)]
    keys = pa.table({"Key": pa.array(range(4), pa.int64())})
    made.create(table_of("T", keys, *partitions), dataSources=[npgsql(postgresql)])
    bind(made, "Warehouse", postgresql.user, postgresql.password)
    most = [0]
    is_over = threading.Event()

    def watch() -> None:
        with postgresql.connect() as connection:
            while not is_over.is_set():
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(0.4)%' "
                    "AND pid <> pg_backend_pid()"
                ).fetchone()
                most[0] = max(most[0], row[0] if row else 0)
                time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    made.refresh("full", parallelism=4)
    is_over.set()
    watcher.join()
    assert most[0] == 4
    assert differences(made.rows("T"), keys) == 0
