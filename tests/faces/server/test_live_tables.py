"""Tables in DirectQuery mode, asked over REST and XMLA: their source answers, for those who may read."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from faces.server.services import STRANGER, LocalServer, local_server
from faces.server.xmla import xmla_wire as wire
from tabvault.jobs.creation import create_database
from tabvault.model.tmsl.parse import object_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = {"name": "Region", "dataType": "string", "sourceColumn": "Region"}
AMOUNT = {"name": "Amount", "dataType": "int64", "sourceColumn": "Amount"}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalServer]:
    files = tmp_path / "files"
    files.mkdir()
    with contextlib.closing(sqlite3.connect(files / "shop.db")) as database, database:
        database.execute("CREATE TABLE orders (Region, Amount)")
        database.executemany("INSERT INTO orders VALUES (?, ?)", [("North", 3), ("South", 4), ("North", 5)])
    source = {"name": "Shop", "provider": "SQLite", "connectionString": f"Data Source={files / 'shop.db'}"}
    partition = {
        "name": "Orders",
        "mode": "directQuery",
        "source": {"type": "query", "query": "SELECT * FROM orders", "dataSource": "Shop"},
    }
    table = {"name": "Orders", "columns": [REGION, AMOUNT], "partitions": [partition]}
    model = {"dataSources": [source], "tables": [table]}
    with local_server(tmp_path) as server:
        server.service.vault.sources.allow_folder(files)
        tree = object_tree("Model", model, place="model")
        create_database(server.service.folder, "live", compatibility_level=1500, model=tree)
        yield server


def test_sql_over_rest_is_answered_by_the_source(local: LocalServer) -> None:
    question = {"sql": "SELECT Region, sum(Amount) AS Amount FROM Orders GROUP BY Region ORDER BY Region"}
    answer = local.client().post("/api/databases/live/query", json=question)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == [["North", 8], ["South", 4]]


def test_dax_over_rest_and_xmla_is_answered_by_the_source(local: LocalServer) -> None:
    answer = local.client().post("/api/databases/live/query", json={"dax": "EVALUATE 'Orders'"})
    assert sorted(answer.json()["rows"]) == [["North", 3], ["North", 5], ["South", 4]]
    answer = local.client().post(
        "/xmla", content=wire.statement("EVALUATE 'Orders'", catalog="live"), headers={"Content-Type": "text/xml"}
    )
    assert answer.text.count("<row>") == 3
    assert "South" in answer.text


def test_who_may_not_read_hears_nothing_of_the_source(local: LocalServer) -> None:
    answer = local.client(STRANGER).post("/api/databases/live/query", json={"sql": "SELECT * FROM Orders"})
    assert answer.status_code == 403
    assert "shop.db" not in answer.text


def test_what_the_source_has_against_it_is_said(local: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "files" / "shop.db").unlink()
    answer = local.client().post("/api/databases/live/query", json={"sql": "SELECT * FROM Orders"})
    assert answer.status_code == 502
    assert answer.json()["code"] == "source"
