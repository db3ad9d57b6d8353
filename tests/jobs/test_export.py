"""Exported files hold every user table, every column but the row number, and every value."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vaults import vault_with, with_metadata

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import JobCancelledError, ModelError, QueryError, StorageError
from tabvault.jobs.export import file_names
from tabvault.jobs.query import query
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from tabvault.jobs.progress import Progress

AI = "microsoft__Artificial_Intelligence_Sample.pbix"


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


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
                assert plain(exported[column]).equals(plain(expected[column])), column
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
        with pytest.raises(QueryError, match="no table 'nothing'") as caught:
            vault.export("shop", tmp_path / "out", table="nothing")
        assert name in (caught.value.hint or "")
        with pytest.raises(ValueError, match="format_ is 'xml', not one of parquet, csv"):
            vault.export("shop", tmp_path / "none", format_="xml")
    assert not (tmp_path / "none").exists()


def changed(folder: Path, *statements: str) -> str:
    """A backup of the small model with other metadata."""
    with vault_with(folder) as vault:
        vault.backup("shop", compress=False)

    path = folder / "changed.abf"
    path.write_bytes(with_metadata((folder / "data/storage/backups/shop.abf").read_bytes(), *statements))
    return str(path)


FIRST_COLUMN = 'SELECT min(ID) FROM "Column" WHERE Type = 1 AND SystemFlags = 0'


def test_a_column_that_was_never_calculated_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = changed(tmp_path, f'UPDATE "Column" SET ColumnStorageID = 0 WHERE ID = ({FIRST_COLUMN})')
    with Vault(tmp_path / "data") as vault:
        written = vault.export(path, tmp_path / "out")
        with vault.open(path) as database:
            assert [file.table for file in written] == [table.name for table in database.tables]
            (table,) = (t for t in database.tables if any(c.storage is None for c in t.definition.columns))
            (column,) = (c.name for c in table.definition.columns if c.storage is None)
            other = next(name for name in table.columns if name != column)
            text = f'SELECT "{other}" FROM "{table.name}"'
            with query(database, text, catalogs=()) as answer:
                assert sum(batch.num_rows for batch in answer.batches) == table.row_count > 0
    (file,) = (file for file in written if file.warnings)
    assert (file.table, file.warnings) == (table.name, (f"column {column!r} left out: it was never calculated",))
    assert column not in pq.read_schema(file.path).names


def test_a_table_that_cannot_be_decoded_keeps_no_other_from_export_or_query(tmp_path: Path) -> None:
    first_table = f'(SELECT TableID FROM "Column" WHERE ID = ({FIRST_COLUMN}))'
    path = changed(tmp_path, f"UPDATE \"Column\" SET ExplicitName = 'Twice' WHERE Type = 1 AND TableID = {first_table}")
    with Vault(tmp_path / "data") as vault, vault.open(path) as database:
        bad = next(table.name for table in database.tables if "Twice" in table.columns)
        good = next(table.name for table in database.tables if table.name != bad)
        with pytest.raises(
            ModelError, match=f"not exported: '{bad}'; the first because .*more than one column 'Twice'"
        ):
            vault.export(path, tmp_path / "out")
        assert pq.read_table(tmp_path / "out" / f"{good}.parquet").num_rows == database.table(good).row_count
        with query(database, f'SELECT * FROM "{good}"', catalogs=()) as answer:
            assert sum(batch.num_rows for batch in answer.batches) == database.table(good).row_count
        with query(database, "SHOW TABLES", catalogs=()) as answer:
            assert [row for batch in answer.batches for row in batch["name"].to_pylist()] == [good]
        with pytest.raises(ModelError, match="column 'Twice'"), query(database, f'FROM "{bad}"', catalogs=()):
            pass


def test_a_column_of_an_unknown_data_type_is_an_error_where_it_is_used_and_nowhere_else(tmp_path: Path) -> None:
    path = changed(tmp_path, f'UPDATE "Column" SET ExplicitDataType = 77 WHERE ID = ({FIRST_COLUMN})')
    with Vault(tmp_path / "data") as vault, vault.open(path) as database:
        table = next(t for t in database.tables if any(c.data_type == 77 for c in t.definition.columns))
        bad = next(c.name for c in table.definition.columns if c.data_type == 77)
        good = next(name for name in table.columns if name != bad)
        for text in (f'SELECT "{good}" FROM "{table.name}"', f'SELECT count(*) FROM "{table.name}"'):
            with query(database, text, catalogs=()) as answer:
                assert sum(batch.num_rows for batch in answer.batches) in (table.row_count, 1)
        for text in (f'SELECT "{bad}" FROM "{table.name}"', f'FROM "{table.name}"'):
            with (
                pytest.raises(ModelError, match=f"column '{bad}' has the unknown data type 77"),
                query(database, text, catalogs=()) as answer,
            ):
                list(answer.batches)
        (file,) = (f for f in vault.export(path, tmp_path / "out") if f.table == table.name)
        assert file.warnings == (f"column {bad!r} left out: column {bad!r} has the unknown data type 77",)
        assert pq.read_schema(file.path).names == [name for name in table.columns if name != bad]


def test_an_export_that_is_cancelled_says_which_files_are_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with vault_with(tmp_path, AI) as vault:
        with vault.open("shop") as database:
            names = [table.name for table in database.tables]
        for whole_count in (0, 1, 3):
            shutil.rmtree(out, ignore_errors=True)

            def cancel(progress: Progress, limit: int = whole_count) -> None:
                # The rows of the next table are written, and its file has not its name yet.
                if progress.done and len([path for path in out.iterdir() if not path.name.startswith(".")]) == limit:
                    raise JobCancelledError("enough")

            with pytest.raises(JobCancelledError) as caught:
                vault.export("shop", out, progress=cancel)
            there = sorted(path.name for path in out.iterdir())
            assert len(there) == whole_count
            assert all(pq.read_metadata(out / name).num_rows >= 0 for name in there)
            expected = (
                f"{whole_count} of {len(names)} tables are written, whole" if whole_count else "no table is written"
            )
            assert caught.value.message.startswith(f"enough - {expected}")
            assert all(name in caught.value.message for name in there)
            assert caught.value.message.endswith("and nothing of any other")


def test_an_interrupted_export_says_so_in_a_note(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with vault_with(tmp_path) as vault, pytest.raises(KeyboardInterrupt) as caught:
        vault.export("shop", tmp_path / "out", progress=interrupt)
    assert caught.value.__notes__ == ["no table is written, and nothing of any other"]
    assert list((tmp_path / "out").iterdir()) == []


def test_the_place_that_cannot_be_written_is_named_in_full(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with vault_with(tmp_path) as vault:
        with pytest.raises(StorageError, match=f"folder {tmp_path / 'file' / 'out'}: "):
            vault.export("shop", tmp_path / "file" / "out")
        with vault.open("shop") as database:
            blocked = tmp_path / "out" / f"{database.tables[0].name}.parquet"
        (blocked / "in the way").mkdir(parents=True)
        with pytest.raises(StorageError, match=f"file {blocked}: .* - no table is written"):
            vault.export("shop", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [blocked.name]


def test_tables_that_one_name_does_not_tell_apart_are_an_error_where_it_is_used(tmp_path: Path) -> None:
    path = changed(tmp_path, "UPDATE \"Table\" SET Name = 'Twice' WHERE SystemFlags = 0")
    with Vault(tmp_path / "data") as vault, vault.open(path) as database:
        with pytest.raises(ModelError, match="more than one table 'Twice'"), query(database, "FROM Twice", catalogs=()):
            pass
        with pytest.raises(ModelError, match=r"not exported: 'Twice'; .*more than one table"):
            vault.export(path, tmp_path / "out")


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
