"""What ADOMD.NET reads: rows of tables with their .NET types, rowsets, and errors with their place."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from clients.client import ClientError
from conftest import sample_path
from model.genuine import genuine_metadata
from tabvault.jobs.opening import open_backup
from tabvault.jobs.reading import OpenDatabase
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["clients.fixtures"]

SMALL = "Hugoberry__abc.pbix"
OLDEST = "Hugoberry__old-schema17-DataTable.pbix"
CONTOSO = "sql-bi__Contoso.pbix"
READ = (SMALL, OLDEST, "Hugoberry__DataModel_uncompressed.abf", "Hugoberry__rls-sample-report.pbix", CONTOSO)
ROW_COUNT_MAX = 400
"""Rows of a table that are compared: the client takes a millisecond for a few of them."""

DOTNET = {2: "String", 6: "Int64", 8: "Double", 9: "DateTime", 10: "Decimal", 11: "Boolean"}
"""Types of columns, as the metadata number them, in .NET."""


def as_client(value: object) -> object:
    """A value of Arrow as the program of the clients writes it."""
    match value:
        case None:
            return None
        case bool() | int() | str():
            return [type(value).__name__, value]
        case float():
            return ["float", value.hex()]
        case datetime.datetime():
            return ["datetime", f"{value:%Y-%m-%dT%H:%M:%S.%f}0" if value.year >= 1000 else f"{value.isoformat()}"]
        case Decimal():
            return ["Decimal", value]
    raise AssertionError(type(value))


def decimals(rows: list[list]) -> list[list]:
    """Decimals compare by value: .NET keeps the zeros at their end, Arrow all four places."""
    return [
        [["Decimal", Decimal(cell[1])] if cell is not None and cell[0] == "Decimal" else cell for cell in row]
        for row in rows
    ]


def types_of(sample: str, table: str) -> dict[str, str]:
    """The .NET types of the columns of a table, from SQLite itself."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(genuine_metadata(sample))
        kind = "Type" if sample != OLDEST else "BindingType"
        rows = connection.execute(
            "SELECT coalesce(ExplicitName, InferredName), "
            "iif(ExplicitDataType = 1, InferredDataType, ExplicitDataType) "
            f"FROM [Column] WHERE {kind} <> 3 AND TableID = (SELECT ID FROM [Table] WHERE Name = ?)",
            [table],
        ).fetchall()
    return {f"{table}[{name}]": DOTNET[number] for name, number in rows}


@contextlib.contextmanager
def decoded(sample: str) -> Iterator[OpenDatabase]:
    """The sample's file itself, without any server."""
    with (
        FileSource(sample_path(sample)) as source,
        open_backup(source) as backup,
        OpenDatabase.of_container(backup.container) as database,
    ):
        yield database


@pytest.mark.parametrize("sample", READ)
def test_evaluate_gives_every_value_in_the_type_of_its_column(client, genuine, sample):
    compared = 0
    with decoded(sample) as database:
        for table in database.tables:
            if all(column.is_row_number for column in table.definition.columns):
                continue  # a table for measures: its rows have nothing in them
            quoted = table.name.replace("'", "''")
            answer = client.query(f"EVALUATE TOPN({ROW_COUNT_MAX}, '{quoted}')", genuine(sample))
            data = table.to_arrow().slice(0, ROW_COUNT_MAX)
            assert answer["names"] == [f"{table.name}[{name}]" for name in data.column_names]
            assert dict(zip(answer["names"], answer["types"], strict=True)) == types_of(sample, table.name)
            expected = [list(map(as_client, row.values())) for row in data.to_pylist()]
            assert decimals(answer["rows"]) == expected
            compared += data.num_rows * data.num_columns
    assert compared > 10


def test_the_compared_tables_hold_nulls_and_every_type():
    """So that the comparison above is one of all of them."""
    found, nulls = set(), 0
    for sample in READ:
        with decoded(sample) as database:
            for table in database.tables:
                found |= set(types_of(sample, table.name).values())
                data = table.to_arrow().slice(0, ROW_COUNT_MAX)
                nulls += sum(column.null_count for column in data.columns)
    assert found == {"String", "Int64", "Double", "DateTime", "Decimal", "Boolean"}
    assert nulls > 100


def test_evaluate_reads_to_the_last_row(client, genuine):
    with decoded(CONTOSO) as database:
        largest = max(database.tables, key=lambda table: table.row_count)
        name, row_count = largest.name, largest.row_count
    assert row_count > 10_000
    assert client.count_rows(f"EVALUATE '{name}'", genuine(CONTOSO)) == row_count


@pytest.mark.parametrize(("count", "rows"), [(0, 0), (1, 1), (4, 4), (99, 6)])
def test_topn_gives_so_many_rows(client, genuine, count, rows):
    answer = client.query(f"evaluate topn ( {count} , ABC )", genuine(SMALL))
    assert answer["names"] == ["ABC[Col1]", "ABC[Col2]"]
    assert (
        answer["rows"]
        == [[["int", a], ["int", b]] for a, b in [(1, 5), (2, 6), (3, 7), (4, 8), (5, 9), (11, 10)]][:rows]
    )


def test_a_text_with_every_kind_of_character_comes_as_it_is(client, served, copy):
    """A name is as free as a value: markup, quotes, brackets, and letters of other scripts."""
    name = """<T> & "q" ]x[ 'a' é 漢 😀 \t_x0041_"""
    database = copy(SMALL)
    client.add_table(database, "Plain", ["a"])
    client.rename_column(database, "Plain", "a", name)
    assert (name,) in served.ask(database, "SELECT ExplicitName FROM [Column]")
    answer = client.query("EVALUATE Plain", database)
    assert answer == {"names": [f"Plain[{name}]"], "types": ["Int64"], "rows": []}
    rows = client.query("SELECT [ExplicitName] FROM $SYSTEM.TMSCHEMA_COLUMNS", database)["rows"]
    assert [["str", name]] in rows


def test_a_rowset_query_has_the_types_of_its_columns(client, served, genuine):
    database = genuine(SMALL)
    answer = client.query(
        "SELECT [ID], [Name], [IsHidden], [ModifiedTime], [Description] FROM $SYSTEM.TMSCHEMA_TABLES ORDER BY [ID]",
        database,
    )
    assert answer["types"] == ["UInt64", "String", "Boolean", "DateTime", "String"]
    truth = served.ask(database, "SELECT ID, Name, IsHidden FROM [Table] WHERE SystemFlags & 1 = 0 ORDER BY ID")
    assert [[row[0][1], row[1][1], row[2][1]] for row in answer["rows"]] == [[i, n, bool(h)] for i, n, h in truth]
    assert {row[3][0] for row in answer["rows"]} == {"datetime"}
    assert {row[4] for row in answer["rows"]} == {None}
    one = client.query("SELECT * FROM $SYSTEM.DBSCHEMA_CATALOGS WHERE [CATALOG_NAME] = 'Sales'", database)
    values = dict(zip(one["names"], one["rows"][0], strict=True))
    assert len(one["rows"]) == 1
    assert values["DATABASE_ID"] == ["str", "Sales-ID"]
    assert values["COMPATIBILITY_LEVEL"] == ["int", 1400]


def test_get_schema_data_set_gives_rowsets_with_restrictions(client, genuine):
    database = genuine(CONTOSO)
    catalogs = client.rowset("DBSCHEMA_CATALOGS", database)
    name = catalogs["names"].index("CATALOG_NAME")
    assert {"Sales", database} <= {row[name][1] for row in catalogs["rows"]}
    only = client.rowset("DBSCHEMA_CATALOGS", database, {"CATALOG_NAME": "Sales"})
    assert [row[name][1] for row in only["rows"]] == ["Sales"]
    measures = client.rowset("MDSCHEMA_MEASURES", database, {"CATALOG_NAME": database})
    names = {row[measures["names"].index("MEASURE_NAME")][1] for row in measures["rows"]}
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(genuine_metadata(CONTOSO))
        stored = {name for (name,) in connection.execute("SELECT Name FROM Measure")}
    assert stored
    assert stored <= names
    assert stored <= set(client.cubes(database)["Model"])


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("EVALUATE\n  'Nope'", [2, 3], "Query (2, 3) Cannot find table 'Nope'"),
        ("EVALUATE 'ABC", [1, 10], ""),
        ("EVALUATE", [1, 9], "a table is expected, the end found"),
        ("EVALUATE\nSUMMARIZE('ABC', [Col1])", [2, 10], "not supported yet: function SUMMARIZE"),
        ("SELECT [x FROM $SYSTEM.DBSCHEMA_CATALOGS", None, ""),
        ("SELECT * FROM $SYSTEM.NOTHING", None, "NOTHING"),
        ("SELECT Col1 FROM ABC", [1, 1], "a statement that begins with 'SELECT' is not answered"),
        ("SELECT {[Measures].[x]} ON COLUMNS FROM [Model]", [1, 1], "SQL is on the command line and REST"),
        ("DROP TABLE ABC", [1, 1], "a statement that begins with 'DROP' is not answered"),
    ],
)
def test_an_error_in_a_query_says_where_and_what(client, genuine, text, place, told):
    with pytest.raises(ClientError) as caught:
        client.query(text, genuine(SMALL))
    assert caught.value.type == "AdomdErrorResponseException"
    assert told in caught.value.message
    assert "internal error" not in caught.value.message
    if place is not None:
        assert caught.value.locations == [place]


def test_a_command_and_a_change_of_database_work_beside_queries(client, served, genuine):
    database = genuine(SMALL)
    namespace = "http://schemas.microsoft.com/analysisservices/2003/engine"
    command = (
        f'<Backup xmlns="{namespace}"><Object><DatabaseID>Sales-ID</DatabaseID></Object><File>adomd.abf</File></Backup>'
    )
    client.run_command(command, database)
    assert (served.backups / "adomd.abf").read_bytes()[:2] == b"\xff\xfe"
    assert client.change_database(database, "Sales") == "Sales"
    assert client.query("EVALUATE 'ABC'", database)["names"] == ["ABC[Col1]", "ABC[Col2]"]
