"""``tabvault datasource row-limit`` and ``tabvault databases --detached``, on a data folder and on a server."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import pytest

from faces.program import call
from faces.server.services import ADMINISTRATOR, MEMBER, local_server
from tabvault.errors import FormatError
from tabvault.faces.cli.datasource import ROW_COUNT_LIMIT
from tabvault.jobs.attachment import attach_database, detach_database
from tabvault.jobs.creation import create_database
from tabvault.jobs.vault import Vault
from tabvault.model.tmsl.parse import object_tree
from tabvault.storage.server_state import source_limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faces.program import Outcome

SHOWN = "a data source may give up to {} rows for one question of a query\n"


@pytest.fixture
def tabvault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    return partial(call, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


def make_shop(data: Path, files: Path, name: str = "shop") -> None:
    """A database whose one table, of three rows, is live."""
    files.mkdir()
    with contextlib.closing(sqlite3.connect(files / "shop.db")) as database, database:
        database.execute("CREATE TABLE orders (Amount)")
        database.executemany("INSERT INTO orders VALUES (?)", [(3,), (4,), (5,)])
    source = {"name": "Shop", "provider": "SQLite", "connectionString": f"Data Source={files / 'shop.db'}"}
    query = {"type": "query", "query": "SELECT * FROM orders", "dataSource": "Shop"}
    columns = [{"name": "Amount", "dataType": "int64", "sourceColumn": "Amount"}]
    partition = {"name": "Orders", "mode": "directQuery", "source": query}
    table = {"name": "Orders", "columns": columns, "partitions": [partition]}
    tree = object_tree("Model", {"dataSources": [source], "tables": [table]}, place="model")
    with Vault(data) as vault:
        create_database(vault.own_folder, name, compatibility_level=1550, model=tree)
        vault.sources.allow_folder(files)


def test_the_row_limit_of_a_data_folder_holds_from_the_next_query_on(
    tmp_path: Path, tabvault: Callable[..., Outcome]
) -> None:
    make_shop(tmp_path / "data", tmp_path / "files")
    assert tabvault("datasource", "row-limit").out == SHOWN.format("1,000,000")
    rows = ("query", "shop", "SELECT Amount + 0 FROM Orders")
    assert tabvault(*rows).status == 0
    assert tabvault("datasource", "row-limit", "2").out == SHOWN.format("2")
    refused = tabvault(*rows)
    assert refused.status == 1
    assert "its source gives more than 2 rows for this query" in refused.err
    assert "tabvault datasource row-limit N" in refused.err
    as_json = tabvault("datasource", "row-limit", "3", "--json").out
    assert json.loads(as_json) == {"direct_query_row_count_max": 3}
    assert tabvault(*rows).status == 0
    assert tabvault("datasource", "row-limit").out == SHOWN.format("3")


def test_who_only_asks_for_a_setting_makes_no_data_folder(tmp_path: Path, tabvault: Callable[..., Outcome]) -> None:
    for setting in ("row-limit", "folders"):
        asked = tabvault("datasource", setting)
        assert (asked.status, asked.out) == (1, "")
        assert "data folder" in asked.err
        assert not (tmp_path / "data").exists()
    assert tabvault("datasource", "row-limit", "5").out == SHOWN.format("5")
    assert tabvault("datasource", "row-limit").out == SHOWN.format("5")


def test_a_row_limit_that_is_damaged_stops_the_questions_to_sources_alone_until_it_is_set(
    tmp_path: Path, tabvault: Callable[..., Outcome]
) -> None:
    make_shop(tmp_path / "data", tmp_path / "files")
    (tmp_path / "data" / "server" / source_limits.LIMITS_FILE).write_text("{")
    assert tabvault("query", "shop", "SELECT 1 AS a").status == 0
    for question in ("SELECT Amount + 0 FROM Orders", "SELECT Amount FROM Orders"):
        refused = tabvault("query", "shop", question)
        assert refused.status == 1
        assert "the limits of data sources are damaged" in refused.err
        assert "tabvault datasource row-limit N" in refused.err
        assert str(tmp_path) not in refused.err
    asked = tabvault("datasource", "row-limit")
    assert asked.status == 1
    assert "tabvault datasource row-limit N" in asked.err
    assert tabvault("datasource", "row-limit", "7").status == 0
    assert tabvault("query", "shop", "SELECT Amount FROM Orders").status == 0


def test_a_row_limit_out_of_bounds_is_refused_and_none_is_read(
    tmp_path: Path, tabvault: Callable[..., Outcome]
) -> None:
    assert ROW_COUNT_LIMIT == source_limits.ROW_COUNT_LIMIT
    for number in (0, ROW_COUNT_LIMIT + 1):
        assert tabvault("datasource", "row-limit", str(number)).status == 2
        source_limits.write_state(tmp_path, source_limits.LIMITS_FILE, {"direct_query_row_count_max": number})
        with pytest.raises(FormatError, match=f"{number}, not a whole number from 1 to"):
            source_limits.load_row_count_max(tmp_path)


def test_a_server_has_its_row_limit_set_by_its_administrators_alone(
    tmp_path: Path, tabvault: Callable[..., Outcome]
) -> None:
    make_shop(tmp_path / "data", tmp_path / "files")
    password_file = tmp_path / "password"
    password_file.write_text(ADMINISTRATOR[1])
    password_file.chmod(0o600)
    with local_server(tmp_path) as server:
        login = ("--server", server.url, "--user", ADMINISTRATOR[0], "--login-password-file", str(password_file))
        assert tabvault("datasource", "row-limit", "2", *login).out == SHOWN.format("2")
        assert tabvault("datasource", "row-limit", *login).out == SHOWN.format("2")
        question = {"dax": "EVALUATE Orders"}
        problem = server.client().post("/api/databases/shop/query", json=question).json()
        assert problem["detail"].endswith("its source gives more than 2 rows for this query")
        assert "tabvault datasource row-limit N" in problem["hint"]
        for answer in (
            server.client(MEMBER).get("/api/source-limits"),
            server.client(MEMBER).put("/api/source-limits", json={"direct_query_row_count_max": 5}),
            server.client(MEMBER).get("/api/detached-databases"),
        ):
            assert answer.status_code == 403
        assert server.client().put("/api/source-limits", json={"direct_query_row_count_max": 0}).status_code == 400
        assert server.client().get("/api/source-limits").json() == {"direct_query_row_count_max": 2}
        lines = server.client().get("/api/audit").json()["lines"]
        [options] = {json.dumps(one["options"]) for one in lines if one["operation"] == "set_source_limits"}
        assert json.loads(options) == {"direct_query_row_count_max": 2}

        folder = server.service.folder
        assert json.loads(tabvault("databases", "--detached", "--json", *login).out) == {"databases": []}
        result = detach_database(folder, folder.find("shop"))
        [listed] = json.loads(tabvault("databases", "--detached", "--json", *login).out)["databases"]
        assert (listed["folder"], listed["name"], listed["state"]) == (result.folder, "shop", "ready")
        attach_database(folder, listed["folder"])
        assert json.loads(tabvault("databases", "--detached", "--json", *login).out) == {"databases": []}


def test_databases_out_of_service_are_listed_by_their_folders_damaged_ones_too(
    tmp_path: Path, tabvault: Callable[..., Outcome]
) -> None:
    make_shop(tmp_path / "data", tmp_path / "files", "a/b")
    with Vault(tmp_path / "data") as vault:
        detach_database(vault.own_folder, vault.own_folder.find("a/b"))
    (tmp_path / "data" / "detached" / "broken").mkdir()
    listed = tabvault("databases", "--detached")
    assert listed.status == 0
    lines = listed.out.splitlines()
    assert lines[0].split() == ["folder", "name", "level", "size", "state"]
    assert [line.split()[0] for line in lines if "%2F" in line or "broken" in line] == ["a%2Fb", "broken"]
    assert "broken: " in listed.err
    known, broken = json.loads(tabvault("databases", "--detached", "--json").out)["databases"]
    assert (known["folder"], known["name"], known["compatibility_level"]) == ("a%2Fb", "a/b", 1550)
    assert known["byte_count"] > 0
    assert known["committed"] is not None
    assert (broken["folder"], broken["name"], broken["state"]) == ("broken", None, "damaged")
    assert tabvault("databases").out.splitlines()[1:] == []
