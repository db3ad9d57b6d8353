"""A backup of tables in DirectQuery mode has their metadata only; elsewhere their source asks for a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from live_models import column, live_database, query_partition, table, warehouse

from tabvault.errors import SourceCredentialError

if TYPE_CHECKING:
    from pathlib import Path

    from sources.postgresql import PostgreSqlServer


QUERY = "SELECT name, count(*) AS n, sum(x) AS s FROM T GROUP BY name ORDER BY n, 1"


def test_restored_elsewhere_it_asks_for_the_credential_and_answers_the_same(
    tmp_path: Path, postgresql: PostgreSqlServer
) -> None:
    secret = "row-that-is-in-no-backup"
    text = f"SELECT x, '{secret[:10]}' || '{secret[10:]}' || x % 2 AS name FROM generate_series(1, 2000) AS x"
    columns = [column("x", "int64"), column("name", "string")]
    with live_database(tmp_path / "here") as here:
        here.create([table("T", columns, query_partition(text))], warehouse(postgresql))
        here.bind(postgresql.user, postgresql.password)
        before = here.sql(QUERY)
        assert [row["n"] for row in before.to_pylist()] == [1000, 1000]
        here.vault.backup("live", "live.abf", overwrite=True)
        backup = here.vault.data / "storage/backups/live.abf"
        content = backup.read_bytes()
    for encoding in ("utf-8", "utf-16-le"):
        assert secret.encode(encoding) not in content
        assert postgresql.password.encode(encoding) not in content
    with live_database(tmp_path / "there") as there:
        there.vault.import_file(str(backup), "live")
        with pytest.raises(SourceCredentialError, match="data source 'Warehouse'") as error:
            there.sql(QUERY)
        assert "set-credential live 'Warehouse'" in (error.value.hint or "")
        there.bind(postgresql.user, postgresql.password)
        assert there.sql(QUERY).equals(before)
        assert there.dax("EVALUATE T").num_rows == 2000


def test_two_sources_are_joined_here(tmp_path: Path, postgresql: PostgreSqlServer) -> None:
    left = query_partition("SELECT x FROM generate_series(1, 50) AS x", source="A")
    right = query_partition("SELECT x * 2 AS y FROM generate_series(1, 50) AS x", source="B")
    with live_database(tmp_path) as database:
        database.create(
            [table("L", [column("x", "int64")], left), table("R", [column("y", "int64")], right)],
            warehouse(postgresql, "A"),
            warehouse(postgresql, "B"),
        )
        database.bind(postgresql.user, postgresql.password)
        rows = database.sql("SELECT count(*) AS n, sum(x) AS s FROM L JOIN R ON x = y WHERE x > 10")
    expected = duckdb.sql("SELECT count(*) AS n, sum(x) AS s FROM range(12, 51, 2) t(x)").to_arrow_table()
    assert rows.equals(expected)
