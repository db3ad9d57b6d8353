from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from genuine import OLDEST, SMALL, ask, change, copied, genuine_metadata
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from tabvault.errors import FormatError, ModelError
from tabvault.model.metadata import ESSENTIAL_TABLES, SYNONYMS, Metadata


def plain_tables(path) -> dict[str, list[dict[str, object]]]:
    """Every table as SQLite reads it without us."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_every_cell_of_every_genuine_table_is_what_sqlite_reads(name, tmp_path):
    path = copied(name, tmp_path)
    expected = plain_tables(path)
    with Metadata.open(path) as metadata, Metadata.from_bytes(genuine_metadata(name)) as same:
        assert set(metadata.table_names()) == set(expected)
        for table, rows in expected.items():
            newer = [{SYNONYMS.get((table, column), column): cell for column, cell in row.items()} for row in rows]
            assert list(metadata.rows(table)) == newer
            assert list(same.rows(table)) == newer


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_pages_of_genuine_metadata_are_whole(name):
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        metadata.check_pages()


def test_schema_version_and_properties(tmp_path):
    path = copied(SMALL, tmp_path)
    with Metadata.open(path) as metadata:
        assert metadata.schema_version == 116
        assert metadata.properties() == dict(ask(path, "SELECT NAME, VALUE FROM DBPROPERTIES"))


def test_old_column_names_are_read_under_the_new_ones():
    with Metadata.from_bytes(genuine_metadata(OLDEST)) as metadata:
        for (table, old), new in SYNONYMS.items():
            assert new in metadata.column_names(table)
            assert old not in metadata.column_names(table)
        assert {row["Mode"] for row in metadata.rows("Partition", ["Mode"])} == {0, 2}


def test_a_column_that_already_has_the_new_name_is_not_doubled(tmp_path):
    path = change(copied(SMALL, tmp_path), 'ALTER TABLE "Partition" ADD COLUMN "BindingType" INTEGER DEFAULT 7')
    with Metadata.open(path) as metadata:
        assert {row["BindingType"] for row in metadata.rows("Partition")} == {7}
        assert {row["Type"] for row in metadata.rows("Partition")} == {3, 4}


def test_unknown_tables_and_columns_are_there_like_all_others(tmp_path):
    path = change(
        copied(SMALL, tmp_path),
        'CREATE TABLE "Future ""Thing""" ("ID" INTEGER PRIMARY KEY, "a ""b"" [c]" TEXT)',
        'INSERT INTO "Future ""Thing""" VALUES (1, \'x\')',
        'ALTER TABLE "Model" ADD COLUMN "NewFlag" INTEGER DEFAULT 5',
    )
    with Metadata.open(path) as metadata:
        assert list(metadata.rows('Future "Thing"')) == [{"ID": 1, 'a "b" [c]': "x"}]
        assert [row["NewFlag"] for row in metadata.rows("Model")] == [5]


def test_what_a_schema_version_does_not_have_is_empty():
    with Metadata.from_bytes(genuine_metadata(OLDEST)) as metadata:
        assert list(metadata.rows("Expression")) == []
        assert metadata.column_names("Expression") == ()
        assert list(metadata.rows("Model", ["ID", "DataAccessOptions"])) == [{"ID": 1, "DataAccessOptions": None}]


@pytest.mark.parametrize("table", ESSENTIAL_TABLES)
def test_metadata_without_an_essential_table_are_refused_by_its_name(table, tmp_path):
    path = change(copied(SMALL, tmp_path), f'DROP TABLE "{table}"')
    with pytest.raises(ModelError, match=f"no table {table}"):
        Metadata.open(path)


def test_a_path_may_hold_every_character_that_means_something_in_a_uri(tmp_path):
    folder = tmp_path / "100%41 #1 ?mode=memory&cache=shared ä"
    folder.mkdir()
    with Metadata.open(copied(SMALL, folder)) as metadata:
        assert metadata.schema_version == 116


def test_a_missing_file_is_a_named_error(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        Metadata.open(tmp_path / "metadata.sqlitedb")


def test_the_schema_version_has_to_be_a_number(tmp_path):
    path = change(copied(SMALL, tmp_path), "UPDATE DBPROPERTIES SET VALUE = 'new' WHERE NAME = 'SCHEMAVERSION'")
    with Metadata.open(path) as metadata, pytest.raises(ModelError, match="SCHEMAVERSION is 'new'"):
        _ = metadata.schema_version


def test_reading_leaves_the_file_and_its_folder_as_they_are(tmp_path):
    path = copied(SMALL, tmp_path)
    with Metadata.open(path) as metadata:
        for table in metadata.table_names():
            list(metadata.rows(table))
        metadata.check_pages()
    assert path.read_bytes() == genuine_metadata(SMALL)
    assert list(tmp_path.iterdir()) == [path]


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).map(
    "n".__add__
)
CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)


@settings(max_examples=60, deadline=None)
@given(
    table=NAMES,
    columns=st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower),
    row=st.lists(CELLS, min_size=4, max_size=4),
)
def test_any_name_and_any_cell_comes_back_as_it_is(table, columns, row):
    def quote(name):
        return '"' + name.replace('"', '""') + '"'

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(genuine_metadata(SMALL))
        connection.execute(f"CREATE TABLE {quote(table)} ({', '.join(map(quote, columns))})")
        connection.execute(f"INSERT INTO {quote(table)} VALUES ({', '.join('?' * len(columns))})", row[: len(columns)])
        connection.commit()
        data = connection.serialize()
    with Metadata.from_bytes(data) as metadata:
        assert metadata.column_names(table) == tuple(columns)
        assert list(metadata.rows(table)) == [dict(zip(columns, row, strict=False))]
