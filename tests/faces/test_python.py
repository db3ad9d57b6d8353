"""``import tabvault``: files and databases as Arrow tables that others take as they are."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tabvault
from conftest import sample_path
from tabvault.errors import DatabaseError, DatabaseNotFoundError, QueryError
from tabvault.storage.data_folder.folder import DataFolder

if TYPE_CHECKING:
    from pathlib import Path

CONTOSO = "sql-bi__Contoso.pbix"


def test_a_file_is_opened_by_its_path_and_its_tables_are_arrow(tmp_path: Path) -> None:
    with tabvault.open(sample_path(CONTOSO), data=tmp_path) as contoso:
        names = [table.name for table in contoso.tables]
        assert "Sales" in names
        sales = contoso.table("Sales")
        whole = sales.to_arrow()
        assert isinstance(whole, pa.Table)
        assert (whole.num_rows, tuple(whole.column_names)) == (sales.row_count, sales.columns)
        some = sales.to_arrow(columns=[sales.columns[2], sales.columns[0]])
        assert some.column_names == [sales.columns[2], sales.columns[0]]
        assert some.equals(whole.select(some.column_names))
        with pytest.raises(QueryError, match="no column 'OrderKey'") as caught:
            sales.to_arrow(columns=["OrderKey"])
        assert caught.value.hint is not None
        assert caught.value.hint.startswith("there is 'Order")
        with pytest.raises(TypeError, match="columns is the text 'StoreKey', not a sequence of names"):
            sales.to_arrow(columns="StoreKey")
        with pytest.raises(QueryError, match="no table 'Slaes'") as caught:
            contoso.table("Slaes")
        assert caught.value.hint == "there is 'Sales'"
    assert not list(tmp_path.iterdir())


def test_polars_duckdb_and_pandas_take_a_table_as_it_is(tmp_path: Path) -> None:
    with tabvault.open(sample_path(CONTOSO), data=tmp_path) as contoso:
        store = contoso.table("Store")
        frame = pl.DataFrame(store)
        assert frame.height == store.row_count
        assert duckdb.sql("SELECT count(*) FROM taken", connection=_connection(store)).fetchall() == [
            (store.row_count,)
        ]
        panda = pd.DataFrame.from_arrow(store)
        assert list(panda.columns) == list(store.columns)
        assert frame["Country"].to_list() == panda["Country"].tolist() == store.to_arrow()["Country"].to_pylist()


def _connection(store: object) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("taken", pa.table(store))
    return connection


def test_a_database_is_opened_by_name_beside_another(tmp_path: Path) -> None:
    with tabvault.Vault(tmp_path) as vault:
        vault.import_file(str(sample_path(CONTOSO)), "one")
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "two")
    with tabvault.open("one", data=tmp_path) as one, tabvault.open("two", data=tmp_path) as two:
        assert one.name == "one"
        assert two.name == "two"
        assert one.model.relationships
        assert [table.name for table in two] == [table.name for table in two.tables]
    with pytest.raises(DatabaseNotFoundError):
        tabvault.open("three", data=tmp_path)


def test_a_database_stays_readable_while_it_is_restored_over(tmp_path: Path) -> None:
    with tabvault.Vault(tmp_path) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
        vault.backup("shop")
        with tabvault.open("shop", data=tmp_path) as shop:
            before = [table.to_arrow() for table in shop.tables]
            vault.restore("shop.abf", overwrite=True)
            vault.drop("shop")
            assert [table.to_arrow() for table in shop.tables] == before


@pytest.mark.parametrize("name", [CONTOSO, "Hugoberry__DataModel.abf"])
def test_tables_keep_their_file_open_and_say_so_when_it_was_closed(tmp_path: Path, name: str) -> None:
    tables = tabvault.open(sample_path(name), data=tmp_path).tables
    gc.collect()
    assert sum(table.to_arrow().num_rows for table in tables) == sum(table.row_count for table in tables) > 0
    with tabvault.open(sample_path(name), data=tmp_path) as database:
        table = database.tables[0]
    with pytest.raises(DatabaseError, match="was closed"):
        table.to_arrow()


def test_what_nobody_uses_any_more_is_closed(tmp_path: Path) -> None:
    with tabvault.Vault(tmp_path) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
    tables = tabvault.open("shop", data=tmp_path).tables
    del tables
    gc.collect()
    DataFolder.open(tmp_path).close()


def test_progress_is_told_and_adds_up(tmp_path: Path) -> None:
    seen: list[tabvault.Progress] = []
    with tabvault.Vault(tmp_path) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop", progress=seen.append)
        assert {progress.step for progress in seen} == {"unwrapping", "restoring", "checking"}
        seen.clear()
        result = vault.backup("shop", progress=seen.append)
    assert (seen[0].done, seen[0].total) == (0, result.raw_byte_count)
    assert seen[-1].done == seen[-1].total == result.raw_byte_count
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


def test_the_data_folder_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tabvault.Vault(tmp_path) as vault:
        vault.import_file(str(sample_path("Hugoberry__abc.pbix")), "shop")
    monkeypatch.setenv("TABVAULT_DATA", str(tmp_path))
    with tabvault.open("shop") as shop:
        assert shop.tables


def test_importing_tabvault_loads_neither_arrow_nor_duckdb() -> None:
    code = "import sys, tabvault; print([m for m in ('pyarrow', 'duckdb', 'numpy', 'sqlglot') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tabvault.nothing  # noqa: B018 - the access is what is tested
