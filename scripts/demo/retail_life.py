"""
A database made here: a retail star schema of a million sales, loaded from real sources, backed up and restored.

The dimensions come from SQLite and the facts from Parquet. Where a PostgreSQL server can be reached by libpq's own
variables (``PGHOST``, ``PGPORT``, ``PGUSER``, ``PGPASSWORD``, ``PGDATABASE``), all of them come from there, from a
schema that is dropped again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from console import TABVAULT, Console, byte_count, compare, plain

from tabvault.testing.retail import Retail, retail, retail_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SALES = (
    'SELECT Country, count(*) AS sales, sum(Amount) AS amount FROM Sales JOIN Store USING ("Store key") '
    "GROUP BY ALL ORDER BY 3 DESC"
)
_SCHEMA = "tabvault_demo"
_IN_PARQUET = ("Customer", "Sales")


def demonstrate(folder: Path) -> int:
    """Every step in turn."""
    begun = time.monotonic()
    rows = retail()
    print(f"made {rows.value_count:,} values in 5 tables, {rows.tables['Sales'].num_rows:,} of their rows are sales")
    sources = folder / "sources"
    sources.mkdir()
    console = Console(folder, {str(sources): "sources", str(folder): "."})
    with contextlib.ExitStack() as stack:
        postgresql = stack.enter_context(_in_postgresql(rows))
        model = _over_postgresql(postgresql) if postgresql else _over_files(rows, sources)
        file = folder / "retail.bim"
        file.write_text(json.dumps({"name": "retail", "compatibilityLevel": 1550, "model": model}), encoding="utf-8")
        console.tabvault("create", "retail", file)
        _allow(console, folder, sources, postgresql)
        console.tabvault("refresh", "retail")
    before = console.exported("retail", folder / "before")
    if _differences(rows, before):
        return 1
    with _serving(console):
        console.tabvault("databases")
        console.tabvault("query", "retail", SALES)
        password = ("--password-file", console.password_file)
        console.tabvault("backup", "retail", "nightly/retail.abf", "--encrypt", *password)
        console.tabvault("verify", "storage:nightly/retail.abf", *password)
        console.tabvault("drop", "retail", "--yes")
        console.tabvault("restore", "nightly/retail.abf", *password)
        status = compare(before, console.exported("retail", folder / "after"))
    _show_sizes(console, rows, folder)
    print(f"{time.monotonic() - begun:.0f} s in all")
    return status


def _over_files(rows: Retail, sources: Path) -> dict[str, Any]:
    """The model over files, which are made: facts in Parquet, dimensions in SQLite."""
    for name in _IN_PARQUET:
        pq.write_table(rows.tables[name], sources / f"{name}.parquet")
    with contextlib.closing(sqlite3.connect(sources / "retail.db")) as database, database:
        for name, table in rows.tables.items():
            if name not in _IN_PARQUET:
                columns = ", ".join(f'"{column}"' for column in table.column_names)
                places = ", ".join("?" * table.num_columns)
                database.execute(f'CREATE TABLE "{name}" ({columns})')
                database.executemany(f'INSERT INTO "{name}" VALUES ({places})', _for_sqlite(table))

    def source(name: str) -> dict[str, Any]:
        if name in _IN_PARQUET:
            path = sources / f"{name}.parquet"
            return {"type": "m", "expression": f'let Source = Parquet.Document(File.Contents("{path}")) in Source'}
        return {"type": "query", "query": f'SELECT * FROM "{name}"', "dataSource": "Shop"}

    connection = {
        "name": "Shop",
        "provider": "System.Data.SQLite",
        "connectionString": f"Data Source={sources / 'retail.db'}",
    }
    return retail_model(source, dataSources=[connection])


def _for_sqlite(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """SQLite has no dates and no decimals: both are text there."""
    columns = [
        column.cast(pa.string()) if pa.types.is_timestamp(column.type) or pa.types.is_decimal(column.type) else column
        for column in table.columns
    ]
    return zip(*(column.to_pylist() for column in columns), strict=True)


@contextlib.contextmanager
def _in_postgresql(rows: Retail) -> Iterator[dict[str, str] | None]:
    """The rows in a PostgreSQL server, while it is used; None where none can be reached."""
    if "PGHOST" not in os.environ:
        yield None
        return
    import adbc_driver_postgresql.dbapi as postgresql  # noqa: PLC0415 - rarely wanted

    try:
        connection = postgresql.connect("postgresql://?connect_timeout=3")
    except postgresql.Error as error:
        print(f"PostgreSQL at {os.environ['PGHOST']} cannot be reached ({error}); files instead")
        yield None
        return
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f'DROP SCHEMA IF EXISTS "{_SCHEMA}" CASCADE')
        cursor.execute(f'CREATE SCHEMA "{_SCHEMA}"')
        for name, table in rows.tables.items():
            cursor.adbc_ingest(name, table, mode="create", db_schema_name=_SCHEMA)
        connection.commit()
        try:
            yield {name: os.environ.get(f"PG{name}", "") for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")}
        finally:
            cursor.execute(f'DROP SCHEMA "{_SCHEMA}" CASCADE')
            connection.commit()


def _over_postgresql(server: dict[str, str]) -> dict[str, Any]:
    database = server["DATABASE"] or server["USER"]
    connection = {
        "name": "Shop",
        "provider": "Npgsql",
        "connectionString": f"Host={server['HOST']};Port={server['PORT'] or 5432};Database={database}",
    }

    def source(name: str) -> dict[str, Any]:
        return {"type": "query", "query": f'SELECT * FROM "{_SCHEMA}"."{name}"', "dataSource": "Shop"}

    return retail_model(source, dataSources=[connection])


def _allow(console: Console, folder: Path, sources: Path, postgresql: dict[str, str] | None) -> None:
    """What an administrator allows once: a folder of files, or a credential."""
    if postgresql is None:
        console.tabvault("datasource", "allow-folder", sources)
        return
    password = folder / "source-password"
    password.touch(mode=0o600)
    password.write_text(postgresql["PASSWORD"] + "\n", encoding="utf-8")
    user = postgresql["USER"]
    console.tabvault("datasource", "set-credential", "retail", "Shop", user, "--password-file", password)


@contextlib.contextmanager
def _serving(console: Console) -> Iterator[None]:
    """A server on the data folder: the commands find it by themselves."""
    print("\n$ tabvault serve --port 0 &", flush=True)
    command = [TABVAULT, "serve", "--port", "0"]
    log = console.data.with_name("server.log").open("wb")
    server = subprocess.Popen(command, env=console.environment, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603 - ours
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if line.startswith("serving"):
                print(line, end="", flush=True)
                break
        yield
    finally:
        server.terminate()
        server.communicate()
        log.close()


def _differences(rows: Retail, exported: Path) -> int:
    """Tables whose loaded rows are not those of the sources; the order of rows is the engine's own affair."""
    different = 0
    for name, table in rows.tables.items():
        loaded = plain(pq.read_table(exported / f"{name}.parquet")).select(table.column_names).cast(table.schema)
        keys = [(column, "ascending") for column in table.column_names]
        if not loaded.sort_by(keys).equals(table.sort_by(keys)):
            print(f"DIFFERENT: {name}")
            different += 1
    if not different:
        print(f"\n{rows.value_count:,} values loaded: every one as in its source")
    return different


def _show_sizes(console: Console, rows: Retail, folder: Path) -> None:
    """Beside Parquet, the other format of columns."""
    for name, table in rows.tables.items():
        pq.write_table(table, folder / f"{name}.zstd.parquet", compression="zstd")
    parquet = byte_count(folder.glob("*.zstd.parquet"))
    backup = byte_count((console.data / "storage").rglob("retail.abf"))
    database = byte_count(path for path in (console.data / "databases").rglob("*"))
    print(
        f"\nParquet (zstd) {parquet / 2**20:.1f} MiB, database {database / 2**20:.1f} MiB, "
        f"backup {backup / 2**20:.1f} MiB: {backup / parquet:.2f} of Parquet"
    )
