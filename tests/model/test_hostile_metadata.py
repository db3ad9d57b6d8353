"""Metadata that somebody made to hurt: each ends in a named error, soon, whatever SQLite itself would do with them."""

from __future__ import annotations

import random
import time

import pytest
from genuine import SMALL, ask, change, copied, genuine_files, genuine_metadata

from tabvault.errors import FormatError, LimitError, TabvaultError, TruncatedError
from tabvault.model import sqlite_file
from tabvault.model.consistency import check_consistency
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata


def read_all(data: bytes) -> int:
    """Everything the product reads of metadata; the number of cells."""
    cells = 0
    with Metadata.from_bytes(data) as metadata:
        for table in metadata.table_names():
            cells += sum(len(row) for row in metadata.rows(table))
        check_consistency(metadata, load_model(metadata), genuine_files(SMALL))
        metadata.check_pages()
    return cells


@pytest.fixture
def data() -> bytes:
    return genuine_metadata(SMALL)


def test_every_cut_at_a_page_and_around_it_is_refused(data):
    for byte_count in (0, 1, 16, 99, 100, 101, 4095, 4096, 4097, len(data) // 2 // 4096 * 4096, len(data) - 4096):
        with pytest.raises(TruncatedError):
            Metadata.from_bytes(data[:byte_count])


def test_bytes_after_the_last_page_are_refused(data):
    with pytest.raises(FormatError, match="page count"):
        Metadata.from_bytes(data + bytes(4096))


def test_a_file_that_is_not_sqlite_is_refused():
    with pytest.raises(FormatError, match="magic is"):
        Metadata.from_bytes(b"<Load xmlns=" + bytes(8180))


@pytest.mark.parametrize("offset", [18, 19])
def test_a_file_that_wants_a_write_ahead_log_is_refused(data, offset):
    with pytest.raises(FormatError, match=f"rollback journal.*byte {offset:#x}"):
        Metadata.from_bytes(data[:offset] + b"\2" + data[offset + 1 :])


def test_a_file_over_the_limit_is_refused_before_it_is_read():
    header = genuine_metadata(SMALL)[:100]
    with pytest.raises(LimitError):
        sqlite_file.check_header(header, byte_count=sqlite_file.BYTE_COUNT_MAX + 1)


def test_flipped_bits_give_values_or_a_named_error_in_bounded_time(data):
    rng = random.Random(20)
    outcomes = set()
    started = time.monotonic()
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 3, 30))):
            damaged[rng.randrange(100, len(damaged))] ^= 1 << rng.randrange(8)
        try:
            read_all(bytes(damaged))
            outcomes.add("read")
        except TabvaultError as error:
            outcomes.add(type(error).__name__)
    assert {"read", "FormatError"} <= outcomes
    assert time.monotonic() - started < 30


def test_pages_of_random_bytes_give_a_named_error(data):
    rng = random.Random(4)
    for page in range(1, len(data) // 4096, 5):
        damaged = bytearray(data)
        damaged[page * 4096 : (page + 1) * 4096] = rng.randbytes(4096)
        with pytest.raises(TabvaultError):
            read_all(bytes(damaged))


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("Thing", 'CREATE VIEW "Thing" AS SELECT 1'),
        (
            "Bomb",
            'CREATE VIEW "Bomb" AS WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r',
        ),
        ("Spy", 'CREATE TRIGGER "Spy" AFTER DELETE ON "Role" BEGIN INSERT INTO "Role" VALUES (1,1,1,1,1,1); END'),
        ("Index", 'CREATE VIRTUAL TABLE "Index" USING fts5(x)'),
        ("Calc", 'CREATE TABLE "Calc" ("ID" INTEGER PRIMARY KEY, "x" AS (abs(-9223372036854775807 - 1)))'),
        ("Calc", 'CREATE TABLE "Calc" ("ID" INTEGER PRIMARY KEY, "x" TEXT AS (hex(zeroblob(100000000))) STORED)'),
    ],
)
def test_a_schema_with_more_than_ordinary_tables_is_refused_by_name(name, sql, tmp_path):
    path = change(copied(SMALL, tmp_path), sql)
    with pytest.raises(FormatError, match=name):
        Metadata.open(path)


def test_a_view_in_place_of_an_essential_table_is_refused(tmp_path):
    path = change(
        copied(SMALL, tmp_path),
        'ALTER TABLE "Role" RENAME TO "Hidden"',
        'CREATE VIEW "Role" AS SELECT * FROM "Hidden"',
    )
    with pytest.raises(FormatError, match="'view' 'Role'"):
        Metadata.open(path)


@pytest.mark.parametrize("disguise", ["type = 'table', rootpage = 2", "type = 'index', rootpage = 2", "type = 'table'"])
def test_a_view_disguised_in_the_schema_is_refused(disguise, tmp_path):
    path = change(
        copied(SMALL, tmp_path),
        'CREATE VIEW "Thing" AS SELECT 1',
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET {disguise} WHERE name = 'Thing'",
    )
    with pytest.raises(FormatError):
        Metadata.open(path)


def test_a_schema_of_very_many_tables_is_stopped(tmp_path):
    path = copied(SMALL, tmp_path)
    row = "SELECT 'table', 't' || n, 't' || n, 2, 'CREATE TABLE t' || n || '(x)'"
    numbers = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 300000)"
    change(path, "PRAGMA writable_schema = ON", f"INSERT INTO sqlite_master {numbers} {row} FROM r")
    with pytest.raises(LimitError):
        Metadata.open(path)


def test_a_table_of_very_many_columns_is_refused(tmp_path):
    columns = ", ".join(f"c{number}" for number in range(600))
    path = change(copied(SMALL, tmp_path), f'CREATE TABLE "Wide" ({columns})')
    with pytest.raises(FormatError, match="columns"):
        Metadata.open(path)


def test_a_schema_statement_without_end_is_refused(tmp_path):
    path = change(copied(SMALL, tmp_path), f"CREATE TABLE \"Long\" (x DEFAULT '{'x' * 100_000}')")
    with pytest.raises(FormatError):
        Metadata.open(path)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = change(copied(SMALL, tmp_path), 'UPDATE "Table" SET "Name" = CAST(x\'41ff42\' AS TEXT) WHERE "ID" = 12')
    with Metadata.open(path) as metadata, pytest.raises(FormatError, match="text is not UTF-8"):
        list(metadata.rows("Table"))


def test_a_column_name_that_is_not_utf8_is_refused(tmp_path):
    path = change(copied(SMALL, tmp_path), 'ALTER TABLE "Role" ADD COLUMN "Abcdefgh" INTEGER')
    data = path.read_bytes()
    assert data.count(b"Abcdefgh") == 1
    with pytest.raises(FormatError, match="UTF-8"):
        Metadata.from_bytes(data.replace(b"Abcdefgh", b"Ab\xff\xfeefgh"))


def test_a_huge_text_is_read_once_and_not_more(tmp_path):
    path = change(copied(SMALL, tmp_path), f"""UPDATE "Model" SET "Description" = '{"x" * 5_000_000}'""")
    with Metadata.open(path) as metadata:
        assert load_model(metadata).description == "x" * 5_000_000


def test_pages_that_are_used_over_and_over_end_in_an_error(tmp_path):
    """An overflow chain that hundreds of rows share: a small file that would fill the memory."""
    path = change(
        copied(SMALL, tmp_path),
        'CREATE TABLE "Many" ("ID" INTEGER PRIMARY KEY, "Text" TEXT)',
        f"""INSERT INTO "Many" VALUES (1, '{"y" * 300_000}')""",
    )
    data = path.read_bytes()
    ((root,),) = ask(path, "SELECT rootpage FROM sqlite_master WHERE name = 'Many'")
    page = bytearray(data[(root - 1) * 4096 : root * 4096])
    cell = int.from_bytes(page[8:10], "big")
    assert page[0] == 13, "a leaf of a table"
    count = 600  # SQLite allows a page (4096 - 8) / 6 cells
    page[3:5] = count.to_bytes(2, "big")
    page[8 : 8 + 2 * count] = cell.to_bytes(2, "big") * count
    damaged = data[: (root - 1) * 4096] + bytes(page) + data[root * 4096 :]
    with Metadata.from_bytes(damaged) as metadata, pytest.raises(LimitError, match="exceed the"):
        list(metadata.rows("Many"))
    with Metadata.from_bytes(damaged) as metadata, pytest.raises(FormatError):
        metadata.check_pages()


def interior_page(child: int) -> bytes:
    """A page of a table's b-tree with 600 children that are all one page (sqlite.org/fileformat2.html, 1.6)."""
    count, cell = 600, child.to_bytes(4, "big") + b"\1"
    start = 4096 - len(cell)
    header = b"\5" + bytes(2) + count.to_bytes(2, "big") + start.to_bytes(2, "big") + b"\0" + child.to_bytes(4, "big")
    return (header + start.to_bytes(2, "big") * count).ljust(start, b"\0") + cell


def test_a_tree_that_visits_its_pages_over_and_over_is_stopped(tmp_path):
    """Four interior pages over one leaf of one row make 600^4 rows in a file of some kilobytes."""
    path = change(
        copied(SMALL, tmp_path),
        'CREATE TABLE "Deep" ("ID" INTEGER PRIMARY KEY, "x" INTEGER)',
        'INSERT INTO "Deep" VALUES (1, 1)',
    )
    data = path.read_bytes()
    ((root,),) = ask(path, "SELECT rootpage FROM sqlite_master WHERE name = 'Deep'")
    pages = [data[offset : offset + 4096] for offset in range(0, len(data), 4096)]
    leaf = pages[root - 1]
    first = len(pages) + 1
    pages[root - 1] = interior_page(first)
    pages += [interior_page(first + 1), interior_page(first + 2), interior_page(first + 3), leaf]
    header = bytearray(b"".join(pages))
    header[28:32] = len(pages).to_bytes(4, "big")
    started = time.monotonic()
    with Metadata.from_bytes(bytes(header)) as metadata:
        with pytest.raises(LimitError):
            list(metadata.rows("Deep"))
        with pytest.raises(FormatError):
            metadata.check_pages()
    assert time.monotonic() - started < 10


def test_only_reading_is_allowed(data):
    file = sqlite_file.SqliteFile.from_bytes(data)
    try:
        with pytest.raises(FormatError, match="not authorized"):
            file.execute('DELETE FROM "Role"')
        with pytest.raises(FormatError, match="not authorized"):
            file.execute("ATTACH 'x.db' AS x")
        with pytest.raises(FormatError, match=r"not authorized|prohibited"):
            file.select("load_extension('x')", "Role")
    finally:
        file.close()
