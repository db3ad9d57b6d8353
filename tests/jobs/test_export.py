"""Exported files hold every user table, every column but the row number, and every value."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from vaults import vault_with

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import ModelError
from tabvault.jobs.export import file_names
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

AI = "microsoft__Artificial_Intelligence_Sample.pbix"


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_parquet_files_hold_what_the_tables_hold(tmp_path: Path, name: str) -> None:
    with Vault(tmp_path / "data") as vault, vault.open(str(sample_path(name))) as database:
        written = vault.export(str(sample_path(name)), tmp_path / "out")
        assert [file.table for file in written] == [table.name for table in database.tables]
        for file, table in zip(written, database.tables, strict=True):
            exported = pq.read_table(file.path)
            expected = table.to_arrow()
            assert exported.schema.metadata[b"tabvault.table"].decode() == table.name
            assert exported.column_names == [c.name for c in table.definition.columns if not c.is_row_number]
            assert exported.num_rows == table.row_count == file.row_count
            for column in exported.column_names:
                assert exported[column].to_pylist() == expected[column].to_pylist()
    assert not list((tmp_path / "out").glob(".*"))


def test_hidden_tables_are_exported_too(tmp_path: Path) -> None:
    with Vault(tmp_path / "data") as vault:
        written = vault.export(str(sample_path(AI)), tmp_path / "out")
        with vault.open(str(sample_path(AI))) as database:
            hidden = [table.name for table in database.tables if table.definition.is_hidden]
    assert hidden
    assert set(hidden) <= {file.table for file in written}


def test_csv_tells_blank_from_an_empty_string_and_keeps_every_value(tmp_path: Path) -> None:
    with vault_with(tmp_path, "Hugoberry__Adventure_Works_Internet_Sales.pbix") as vault:
        written = vault.export("shop", tmp_path / "out", format_="csv")
        compared = 0
        with vault.open("shop") as database:
            for file, table in zip(written, database.tables, strict=True):
                if table.row_count > 3000:
                    continue
                expected = table.to_arrow()
                with file.path.open(newline="", encoding="utf-8") as stream:
                    rows = list(csv.DictReader(stream))
                assert len(rows) == table.row_count
                for column in expected.column_names:
                    if "string" in str(expected[column].type):
                        assert [row[column] for row in rows] == [value or "" for value in expected[column].to_pylist()]
                        compared += len(rows)
    assert compared > 10_000


def test_one_table_is_exported_by_its_name(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        with vault.open("shop") as database:
            name = database.tables[0].name
        assert [file.table for file in vault.export("shop", tmp_path / "out", table=name.upper())] == [name]
        with pytest.raises(ModelError, match="no table 'nothing'") as caught:
            vault.export("shop", tmp_path / "out", table="nothing")
        assert name in (caught.value.hint or "")


def test_file_names_are_safe_and_different_on_every_file_system() -> None:
    tables = ["Sales", "SALES", "a/b", "a\\b", "..", "", "CON", "x" * 500, "x" * 501, "Größe (1)", "a\nb", "😀" * 200]
    names = file_names(tables, ending="parquet")
    assert list(names) == tables
    assert len({name.casefold() for name in names.values()}) == len(tables)
    for name in names.values():
        assert not set('/\\:*?"<>|\n\0') & set(name)
        assert len(name.encode()) < 256
        assert name.removesuffix(".parquet").strip(". ")
        assert name.casefold() != "con.parquet"
    assert names["Größe (1)"] == "Größe (1).parquet"
