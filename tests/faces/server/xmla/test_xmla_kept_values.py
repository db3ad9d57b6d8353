"""A TMSL refresh that keeps calculated values, which no other way over XMLA can ask for."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from faces.server.services import LocalServer, local_server
from faces.server.xmla import xmla_wire as wire
from tabvault.jobs.creation import create_database
from tabvault.model.tmsl.parse import object_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalServer]:
    """A database that was never processed, with a calculated column."""
    files = tmp_path / "files"
    files.mkdir()
    with contextlib.closing(sqlite3.connect(files / "shop.db")) as database, database:
        database.execute("CREATE TABLE orders (Amount)")
        database.executemany("INSERT INTO orders VALUES (?)", [(3,), (4,), (5,)])
    source = {"name": "Shop", "provider": "SQLite", "connectionString": f"Data Source={files / 'shop.db'}"}
    query = {"type": "query", "query": "SELECT * FROM orders", "dataSource": "Shop"}
    columns = [
        {"name": "Amount", "dataType": "int64", "sourceColumn": "Amount"},
        {"name": "Double", "type": "calculated", "dataType": "int64", "expression": "2 * [Amount]"},
    ]
    table = {"name": "Orders", "columns": columns, "partitions": [{"name": "Orders", "source": query}]}
    with local_server(tmp_path) as server:
        server.service.vault.sources.allow_folder(files)
        tree = object_tree("Model", {"dataSources": [source], "tables": [table]}, place="model")
        create_database(server.service.folder, "shop", compatibility_level=1550, model=tree)
        yield server


def executed(server: LocalServer, text: str) -> wire.Answer:
    request = wire.statement(text, catalog="shop")
    answer = server.client().post("/xmla", content=request, headers={"Content-Type": "text/xml"})
    return wire.Answer(answer.status_code, answer.headers, answer.content)


def refresh(**more: object) -> str:
    return json.dumps({"refresh": {"type": "full", "objects": [{"database": "shop"}], **more}})


def test_a_script_that_says_so_keeps_calculated_values_and_names_them(local: LocalServer) -> None:
    for text in (refresh(), refresh(keepCalculated=False)):
        refused = executed(local, text).fault or ""
        assert "would have to be computed anew" in refused
        assert "keepCalculated in a TMSL refresh" in refused
    kept = executed(local, json.dumps({"sequence": {"operations": [json.loads(refresh(keepCalculated=True))]}}))
    assert kept.fault is None
    assert b"<Warning " in kept.body
    assert b"Orders&apos;[Double]" in kept.body or b"'Orders'[Double]" in kept.body
    [last, *_] = local.client().get("/api/databases/shop/refreshes").json()
    assert (last["status"], last["options"]["keep_calculated"]) == ("succeeded", True)
    counted = local.client().post("/api/databases/shop/query", json={"sql": "SELECT sum(Amount) FROM Orders"})
    assert counted.json()["rows"] == [[12]]
