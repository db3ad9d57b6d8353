"""Models in which some tables are live and others were loaded, tables that are both, and what a dead source leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from live_models import column, live_database, m_partition, query_partition, table, warehouse

from tabvault.errors import ModelError, QueryError, SourceUnreachableError
from tabvault.jobs.processing.refresh import refresh_database
from tabvault.jobs.processing.request import RefreshKind, RefreshRequest
from tabvault.jobs.processing.source_access import SourceAccess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from live_models import LiveDatabase

    from sources.postgresql import PostgreSqlServer

TOWNS = '#table({"Key", "Town"}, {{0, "Kiel"}, {1, "Łódź"}, {2, "São João"}, {7, "Bern"}})'
OLD = "SELECT 'old' AS age, x FROM generate_series(1, 30) AS x"
NEW = "SELECT 'new' AS age, x FROM generate_series(31, 40) AS x"
HYBRID_COLUMNS = [column("Age", "string", "age"), column("X", "int64", "x")]


@pytest.fixture(scope="module")
def mixed(postgresql: PostgreSqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDatabase]:
    postgresql.execute(
        "CREATE TABLE dq_mixed (town int, amount numeric)",
        "INSERT INTO dq_mixed SELECT n % 4, n FROM generate_series(1, 100) n",
    )
    with live_database(tmp_path_factory.mktemp("mixed")) as database:
        database.create(
            [
                table("Town", [column("Key", "int64"), column("Town", "string")], m_partition(TOWNS, mode="import")),
                table(
                    "Sale",
                    [column("Town", "int64", "town"), column("Amount", "decimal", "amount")],
                    query_partition("SELECT * FROM dq_mixed"),
                ),
                table("Hybrid", HYBRID_COLUMNS, query_partition(OLD, mode="import"), query_partition(NEW)),
                table("Gone", [column("X", "int64", "x")], query_partition("SELECT 1 AS x", source="Dead")),
            ],
            warehouse(postgresql),
            warehouse(postgresql, "Dead", Port="1"),
        )
        database.bind(postgresql.user, postgresql.password)
        refresh(database)
        yield database
    postgresql.execute("DROP TABLE dq_mixed")


def refresh(database: LiveDatabase) -> None:
    refresh_database(
        database.vault.own_folder,
        database.name,
        RefreshRequest(RefreshKind.FULL),
        lambda info: SourceAccess(database.vault.data, info.id),
    )


def test_loaded_and_live_tables_are_joined_in_one_query(mixed: LiveDatabase) -> None:
    text = (
        "SELECT t.Town, sum(s.Amount) AS total FROM Town t LEFT JOIN Sale s ON s.Town = t.Key "
        "WHERE t.Key <> 1 GROUP BY t.Town ORDER BY t.Town"
    )
    rows = [(row["Town"], row["total"]) for row in mixed.sql(text).to_pylist()]
    assert rows == [("Bern", None), ("Kiel", sum(range(4, 101, 4))), ("São João", sum(range(2, 101, 4)))]
    assert mixed.sql("SELECT Key FROM Town UNION SELECT Town FROM Sale ORDER BY 1")["Key"].to_pylist() == [
        0,
        1,
        2,
        3,
        7,
    ]
    assert mixed.sql("SELECT count(*) AS n FROM Sale WHERE Town NOT IN (SELECT Key FROM Town)")["n"].to_pylist() == [25]


def test_dax_gives_each_kind_of_table_and_its_first_rows(mixed: LiveDatabase) -> None:
    assert mixed.dax("EVALUATE Town").num_rows == 4
    assert mixed.dax("EVALUATE Sale").num_rows == 100
    hybrid = mixed.dax("EVALUATE Hybrid")
    assert hybrid.column_names == ["Hybrid[Age]", "Hybrid[X]"]
    assert sorted(hybrid["Hybrid[X]"].to_pylist()) == list(range(1, 41))
    for name, row_count in (("Town", 4), ("Sale", 100), ("Hybrid", 40)):
        for wanted in (0, 35):
            assert mixed.dax(f"EVALUATE TOPN({wanted}, {name})").num_rows == min(wanted, row_count)


def test_a_hybrid_table_is_its_loaded_rows_and_those_of_its_source(
    mixed: LiveDatabase, postgresql: PostgreSqlServer
) -> None:
    grouped = "SELECT Age, count(*) AS n, min(X) AS a, max(X) AS z FROM Hybrid GROUP BY Age ORDER BY Age"
    assert [tuple(row.values()) for row in mixed.sql(grouped).to_pylist()] == [("new", 10, 31, 40), ("old", 30, 1, 30)]
    for condition, count in (("X > 28", 12), ("X < 5", 4), ("Age = 'old'", 30), ("Age = 'new' AND X > 39", 1)):
        text = f"SELECT count(*) AS n FROM Hybrid WHERE {condition}"
        assert mixed.sql(text)["n"].to_pylist() == [count], condition
    assert mixed.sql("SELECT sum(X) AS s FROM Hybrid b JOIN Town t ON b.X = t.Key")["s"].to_pylist() == [10]
    # The limit is of what a source sends, not of what is here.
    assert mixed.sql("SELECT X + 0 AS x FROM Hybrid", source_row_count_max=10).num_rows == 40
    with pytest.raises(QueryError, match=r"table 'Hybrid' in DirectQuery mode: .* more than 9 rows"):
        mixed.sql("SELECT X + 0 AS x FROM Hybrid", source_row_count_max=9)


def test_the_loaded_rows_of_a_hybrid_table_alone_are_refreshed(mixed: LiveDatabase) -> None:
    before = mixed.sql("SELECT * FROM Hybrid ORDER BY X")
    refresh(mixed)
    assert mixed.sql("SELECT * FROM Hybrid ORDER BY X").equals(before)
    with mixed.vault.open(mixed.name) as opened:
        [hybrid] = [one for one in opened.tables if one.name == "Hybrid"]
        assert hybrid.row_count == 30
    assert mixed.vault.verify(mixed.name).ok


def test_a_dead_source_is_named_and_the_other_tables_answer(mixed: LiveDatabase) -> None:
    place = r"table 'Gone' in DirectQuery mode: PostgreSQL .*cannot be reached"
    for text in ("SELECT * FROM Gone", "SELECT * FROM Town t JOIN Gone g ON t.Key = g.X", "SELECT X + 1 FROM Gone"):
        with pytest.raises(SourceUnreachableError, match=place):
            mixed.sql(text)
    with pytest.raises(SourceUnreachableError, match=place):
        mixed.dax("EVALUATE Gone")
    assert mixed.sql("SELECT count(*) AS n FROM Town")["n"].to_pylist() == [4]
    assert mixed.dax("EVALUATE Sale").num_rows == 100
    assert sorted(mixed.sql("SHOW TABLES")["name"].to_pylist()) == ["Gone", "Hybrid", "Sale", "Town"]


def test_a_read_only_database_is_asked_as_any_other(mixed: LiveDatabase, postgresql: PostgreSqlServer) -> None:
    mixed.vault.backup(mixed.name, "mixed.abf", overwrite=True)
    mixed.vault.restore("mixed.abf", "fixed", read_write_mode="readOnly")
    text = "SELECT Age, sum(X) AS s FROM Hybrid GROUP BY Age ORDER BY Age"
    expected = mixed.sql(text)
    name, mixed.name = mixed.name, "fixed"
    try:
        mixed.bind(postgresql.user, postgresql.password)
        assert mixed.sql(text).equals(expected)
        assert mixed.dax("EVALUATE Sale").num_rows == 100
    finally:
        mixed.name = name


def test_two_live_partitions_are_refused_by_the_name_of_their_table(
    mixed: LiveDatabase, postgresql: PostgreSqlServer
) -> None:
    twice = [query_partition(OLD), {**query_partition(NEW), "name": "second"}]
    with live_database(mixed.vault.data.parent / "twice") as database:
        database.create([table("Twice", HYBRID_COLUMNS, *twice)], warehouse(postgresql))
        with pytest.raises(ModelError, match="table 'Twice' has 2 partitions in DirectQuery mode"):
            database.sql("SELECT * FROM Twice")
