"""``refresh`` and ``datasource``, as a new user meets them: in a data folder, and where a server owns it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from faces.program import Terminal, call, run
from faces.served_process import serve
from sourced_shop import ORDER_COUNT, definition, write_sources
from tabvault.faces.cli import refresh as command
from tabvault.jobs.processing import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faces.program import Outcome

pytest_plugins = ["sources.postgresql"]

PASSWORD = "the right password"


@pytest.fixture(params=["data folder", "served"])
def tabvault(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., Outcome]]:
    """The command on a new data folder, which a server takes, or not, once databases are created."""
    data = tmp_path / "data"
    with contextlib.ExitStack() as servers:

        def program(*arguments: str | Path, **options: str) -> Outcome:
            if request.param == "served" and arguments[0] != "create" and not started:
                started.append(servers.enter_context(serve(data)))
            return call(*arguments, data=data, monkeypatch=monkeypatch, capsys=capsys, **options)

        started: list[object] = []
        yield program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the two files, and the model of them."""
    made = tmp_path / "sources"
    made.mkdir()
    write_sources(made)
    (made / "shop.bim").write_text(json.dumps(definition(made, "Shop")))
    return made


def test_a_model_over_files_is_made_refreshed_and_read(tabvault, folder):
    assert tabvault("create", "Shop", folder / "shop.bim").status == 0
    refused = tabvault("refresh", "Shop")
    assert refused.status == 1
    assert refused.err.startswith("error[source_access]: table '")
    assert f"tabvault datasource allow-folder {folder}" in refused.err
    allowed = tabvault("datasource", "allow-folder", folder)
    assert allowed.out.splitlines() == ["folder", str(folder)]
    done = tabvault("refresh", "Shop", "--type", "full")
    header, *rows, summary = done.out.splitlines()
    assert header.split("\t") == ["table", "partition", "rows", "seconds"]
    assert [row.split("\t")[:3] for row in rows] == [
        ["Orders", "early", "600"],
        ["Orders", "late", "400"],
        ["Region", "Region", "2"],
    ]
    assert summary.startswith("refreshed Shop: 2 tables, 1,002 rows, ")
    assert tabvault("query", "Shop", "SELECT count(*) AS n FROM Orders").out.split() == ["n", str(ORDER_COUNT)]
    assert tabvault("refresh", "Shop").out == "refreshed Shop: everything was up to date\n"
    assert tabvault("verify", "Shop").status == 0
    assert tabvault("datasource", "disallow-folder", folder).out.splitlines() == ["folder"]
    again = tabvault("refresh", "Shop", "--type", "dataOnly", "--table", "Orders", "--partition", "late", "--json")
    assert json.loads(again.out)["error"]["code"] == "source_access"


def test_a_refresh_says_what_it_did_as_json(tabvault, folder):
    tabvault("create", "Shop", folder / "shop.bim")
    tabvault("datasource", "allow-folder", folder)
    (folder / "region.csv").write_text("Region,Manager\nNorth,Ann\nSouth,ann\n")
    done = json.loads(tabvault("refresh", "Shop", "--table", "Region", "--json").out)
    assert (done["database"], done["type"], done["tables"]) == ("Shop", "automatic", ["Region"])
    assert [(one["table"], one["partition"], one["row_count"]) for one in done["partitions"]] == [
        ("Region", "Region", 2)
    ]
    assert done["folded"] == [{"table": "Region", "column": "Manager", "spelling_count": 1}]
    warned = tabvault("refresh", "Shop", "--table", "Region", "--type", "full")
    assert "column 'Manager' of table 'Region': 1 spelling differed only" in warned.err
    cleared = tabvault("refresh", "Shop", "--type", "clearValues")
    assert cleared.out.startswith("refreshed Shop: values cleared, ")


def over_postgresql(server, name: str) -> dict:
    partition = {"type": "query", "query": "SELECT 1::bigint AS a", "dataSource": "Warehouse"}
    return {
        "name": name,
        "compatibilityLevel": 1550,
        "model": {
            "dataSources": [
                {
                    "name": "Warehouse",
                    "provider": "Npgsql",
                    "connectionString": f"Host=127.0.0.1;Port={server.port};Database=postgres",
                }
            ],
            "tables": [
                {
                    "name": "One",
                    "columns": [{"name": "A", "dataType": "int64", "sourceColumn": "a"}],
                    "partitions": [{"name": "One", "source": partition}],
                }
            ],
        },
    }


def test_a_credential_is_set_tested_used_kept_out_of_backups_and_dropped_with_the_database(
    tabvault, postgresql, tmp_path
):
    (tmp_path / "one.bim").write_text(json.dumps(over_postgresql(postgresql, "One")))
    tabvault("create", "One", tmp_path / "one.bim")

    def credential() -> str:
        (listed,) = json.loads(tabvault("datasource", "list", "One", "--json").out)["data_sources"]
        assert (listed["name"], listed["kind"], listed["tables"]) == ("Warehouse", "postgresql", ["One"])
        return listed["credential"]

    def set_password(password: str) -> Outcome:
        arguments = ("datasource", "set-credential", "One", "Warehouse", postgresql.user, "--password-file", "-")
        return tabvault(*arguments, stdin=f"{password}\n")

    assert credential() == "missing"
    refused = tabvault("refresh", "One")
    assert "error[source_credential]" in refused.err
    assert "tabvault datasource set-credential One 'Warehouse' USER" in refused.err
    assert set_password("a wrong one").out == "set the credential of Warehouse\n"
    assert "error[source_credential]" in tabvault("datasource", "test", "One", "Warehouse").err
    assert set_password(postgresql.password).status == 0
    assert tabvault("datasource", "test", "One", "warehouse").out == "warehouse can be read\n"
    assert tabvault("refresh", "One").out.splitlines()[-1].startswith("refreshed One: 1 table, 1 row, ")
    assert credential() == "set"

    assert tabvault("backup", "One", "one.abf", "--no-compress").status == 0
    bodies = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".bim")]
    assert len(bodies) > 10
    assert not any(postgresql.password.encode() in body for body in bodies)
    elsewhere = tabvault("restore", "one.abf", "Two")
    assert "warning: data source 'Warehouse' needs a credential before a refresh: " in elsewhere.err
    over = tabvault("restore", "one.abf", "One", "--overwrite")
    assert over.err == ""
    assert tabvault("refresh", "One", "--type", "full").status == 0

    assert tabvault("datasource", "remove-credential", "One", "Warehouse").status == 0
    assert credential() == "missing"
    assert tabvault("datasource", "remove-credential", "One", "Warehouse").status == 1
    set_password(postgresql.password)
    assert tabvault("drop", "One", "--yes").status == 0
    assert tabvault("restore", "one.abf", "One").status == 0
    assert credential() == "missing"


def test_a_credential_for_a_source_that_is_not_there_is_refused_before_the_password_is_asked(tmp_path, folder):
    data = tmp_path / "data"
    run("create", "Shop", folder / "shop.bim", data=data)
    refused = run("datasource", "set-credential", "Shop", "Nope", "me", data=data)
    assert refused.status == 1
    assert "no partition reads a data source 'Nope'" in refused.err
    assert "Warehouse" in refused.err


def test_the_password_of_a_source_is_asked_for_without_an_echo(tmp_path, folder):
    data = tmp_path / "data"
    run("create", "Shop", folder / "shop.bim", data=data)
    with Terminal("datasource", "set-credential", "Shop", "Warehouse", "me", data=data) as terminal:
        terminal.expect("Password of data source Warehouse: ")
        terminal.type(f"{PASSWORD}\n")
        assert terminal.end() == 0
        assert PASSWORD not in terminal.text
        assert "set the credential of Warehouse" in terminal.text


def test_a_partition_is_named_with_the_one_table_that_has_it(tmp_path):
    for arguments in ((), ("--table", "A", "--table", "B")):
        refused = run("refresh", "Shop", "--partition", "early", *arguments, data=tmp_path)
        assert refused.status == 2
        assert "--partition is given without the one table that has it" in refused.err


def test_a_folder_that_cannot_be_allowed_is_refused(tabvault, tmp_path):
    for folder, told in ((tmp_path / "nowhere", "is not a folder"), (tmp_path, "holds the data folder")):
        refused = tabvault("datasource", "allow-folder", folder)
        assert refused.status == 1
        assert told in refused.err
    assert "was not allowed" in tabvault("datasource", "disallow-folder", tmp_path).err


def test_the_words_of_the_command_are_those_of_the_job():
    words = command.RefreshType.__origin__.__args__
    assert set(words) == set(request.RefreshKind)
    assert (command.PARALLELISM_DEFAULT, command.PARALLELISM_MAX) == (
        request.PARALLELISM_DEFAULT,
        request.PARALLELISM_MAX,
    )
