"""What an administrator does in a week, on a genuine backup: every command once with success, as text and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from program import COMMAND, call, environment

from conftest import sample_path

SAMPLE = "Hugoberry__DataModel.abf"
PASSWORD = "correct horse \N{ELECTRIC LIGHT BULB} battery"
ROW_COUNT = 9026
"""Of the sample, by the row counts its own metadata store."""


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


@pytest.fixture
def done(here):
    """A command that must succeed; its standard output."""

    def succeed(*arguments: str | Path) -> str:
        outcome = here(*arguments)
        assert outcome.status == 0, outcome
        return outcome.out

    return succeed


@pytest.fixture
def document(done):
    """The same with ``--json``, parsed."""
    return lambda *arguments: json.loads(done(*arguments, "--json"))


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nnot the password\n")
    path.chmod(0o600)
    return path


def test_a_week_of_an_administrator(done, document, tmp_path, password_file):
    assert done("import", sample_path(SAMPLE), "Sales").startswith("imported Sales from ")
    assert done("databases").startswith("name\tid\tlevel\tmode\tsize\trows\tstate\tlast backup\nSales\t")
    name, id_, level, mode, size, rows, state, last_backup = _row(done("databases"))
    assert (name, id_, level, mode, rows, state) == ("Sales", "Sales", "1400", "import", str(ROW_COUNT), "ready")
    assert 500_000 < int(size) < 700_000, "exact bytes where no terminal is"
    assert last_backup == "-"

    assert re.match(r"backed up Sales to Sales\.abf: .* compressed, not encrypted", done("backup", "Sales")), (
        "the default name is the database's"
    )
    encrypted = document("backup", "Sales", "week/monday.abf", "--encrypt", "--password-file", password_file)
    assert (encrypted["file"], encrypted["encrypted"], encrypted["compressed"]) == ("week/monday.abf", True, True)
    assert _row(done("databases"))[7].endswith("Z")

    names = [entry["name"] for entry in document("storage", "list")["objects"]]
    assert names == ["Sales.abf", "week/monday.abf"]

    stored = ("storage:week/monday.abf", "--password-file", password_file)
    *conditions, summary = done("verify", *stored).splitlines()
    assert all(line.startswith("OK       ") for line in conditions)
    assert summary.startswith(f"storage:week/monday.abf is good: {len(conditions)} conditions")
    inspected = document("inspect", *stored)
    assert (inspected["database"], inspected["encrypted"], inspected["row_count"]) == ("Sales", True, ROW_COUNT)

    assert done("drop", "Sales", "--yes") == "dropped Sales\n"
    assert document("databases") == {"databases": []}
    restored = document("restore", "week/monday.abf", "Sales again", "--password-file", password_file)
    assert (restored["database"], restored["replaced"]) == ("Sales again", False)

    answer = document("query", "Sales again", 'SELECT count(*) AS n, min("Vendor") AS v, NULL AS b FROM "Vendor"')
    assert [column["name"] for column in answer["columns"]] == ["n", "v", "b"]
    assert answer["rows"][0][0] == 328
    assert answer["rows"][0][2] is None
    assert answer["row_count"] == 1

    files = document("export", "Sales again", "--to", tmp_path / "out", "--table", "Vendor")["files"]
    assert pq.read_table(files[0]["path"]).num_rows == 328


def test_a_dmv_is_asked_like_a_table(done):
    lines = done("query", sample_path(SAMPLE), "SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES").splitlines()
    assert lines[0] == "Name"
    assert "Vendor" in lines[1:]


def test_files_go_into_the_storage_and_out_again_unchanged(done, document, here, tmp_path):
    source = sample_path(SAMPLE)
    assert document("storage", "put", source, "a/b.abf")["byte_count"] == source.stat().st_size
    taken = here("storage", "put", source, "a/b.abf")
    assert (taken.status, taken.err.partition(":")[0]) == (1, "error[storage_exists]")
    done("storage", "put", source, "a/b.abf", "--overwrite")

    local = tmp_path / "b.abf"
    done("storage", "get", "a/b.abf", tmp_path)
    assert local.read_bytes() == source.read_bytes()
    local.write_bytes(b"mine")
    refused = here("storage", "get", "a/b.abf", local)
    assert (refused.status, refused.err.partition(":")[0]) == (1, "error[storage_exists]")
    assert local.read_bytes() == b"mine"
    done("storage", "get", "a/b.abf", local, "--overwrite")
    assert local.read_bytes() == source.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.abf", "data"], "no temporary file stays"

    assert document("storage", "remove", "a/b.abf") == {"name": "a/b.abf", "removed": True}
    assert document("storage", "list") == {"objects": []}


def test_the_storage_is_configured_piece_by_piece(document, here, tmp_path):
    fresh = document("storage", "show")
    assert (fresh["enabled"], fresh["container"]) == (True, "backups")
    account = tmp_path / "account"
    account.mkdir()
    assert document("storage", "configure", "--account", account, "--container", "nightly") == {
        "enabled": True,
        "account": str(account),
        "container": "nightly",
    }
    assert document("storage", "configure", "--disable")["container"] == "nightly"
    refused = here("storage", "list")
    assert (refused.status, refused.err.splitlines()[0]) == (
        1,
        "error[storage_not_configured]: backup storage is not configured",
    )
    assert "hint: " in refused.err
    assert document("storage", "configure", "--enable")["enabled"] is True


def test_damaged_settings_are_replaced_only_by_whole_ones(document, here, tmp_path):
    document("storage", "show")
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "settings.json").write_text("{")
    assert here("storage", "configure", "--enable").status == 1
    configured = document("storage", "configure", "--account", tmp_path / "account", "--container", "nightly")
    assert configured == {"enabled": True, "account": str(tmp_path / "account"), "container": "nightly"}


def test_a_read_only_restore_is_named_in_the_listing_and_refuses_to_be_overwritten(done, here):
    done("storage", "put", sample_path(SAMPLE), "s.abf")
    done("restore", "s.abf", "S", "--read-write-mode", "readOnly")
    assert _row(done("databases"))[6] == "ready, readOnly"
    assert here("restore", "s.abf", "S", "--overwrite").err.startswith("error[database_read_only]: ")


def test_the_module_and_the_script_tell_the_version_of_the_package():
    script = Path(sys.executable).with_name("tabvault")
    for command in (COMMAND, (str(script),)):
        told = subprocess.check_output([*command, "--version"], env=environment(), text=True, timeout=60)
        assert told == f"tabvault {metadata.version('tabvault')}\n"


def _row(table: str) -> list[str]:
    (line,) = table.splitlines()[1:]
    return line.split("\t")


@pytest.mark.parametrize("place", ["before", "between", "behind"])
def test_the_options_of_every_command_may_stand_before_it_too(here, tmp_path, place):
    def show(*options):
        words = ["storage", "show"]
        at = ["before", "between", "behind"].index(place)
        return json.loads(here(*words[:at], *options, *words[at:]).out)["enabled"]

    elsewhere = ("--data", tmp_path / "elsewhere")
    assert here("storage", "configure", "--disable").status == 0
    assert show("--json") is False, "TABVAULT_DATA"
    assert show("--json", *elsewhere) is True
    outcome = here(*elsewhere, "storage", "--json", "show", "--data", tmp_path / "data")
    assert json.loads(outcome.out)["enabled"] is False, "the one behind the command counts"


@pytest.mark.parametrize("command", ["inspect", "verify", "export"])
def test_a_data_folder_may_be_named_where_only_a_local_file_is_read(here, tmp_path, command):
    to = ["--to", tmp_path / "out"] if command == "export" else []
    assert here("--data", tmp_path / "none", command, sample_path(SAMPLE), *to).status == 0
    assert here(command, sample_path(SAMPLE), *to, "--data", tmp_path / "none").status == 0
    assert not (tmp_path / "none").exists()


def test_of_a_package_the_model_is_called_good_and_nothing_else(done):
    *conditions, summary = done("verify", sample_path("Hugoberry__abc.pbix")).splitlines()
    assert "member DataModel of a package" in conditions[0]
    assert re.match(r"the model in .*Hugoberry__abc\.pbix is good: ", summary)


def test_a_database_of_the_data_folder_is_verified_by_its_name(done, document, here, tmp_path):
    done("import", sample_path(SAMPLE), "Sales")
    *_, summary = done("verify", "Sales").splitlines()
    assert summary.startswith("Sales is good: ")
    (vendor,) = (tmp_path / "data" / "databases").rglob("*metadata.sqlitedb*")
    damaged = bytearray(vendor.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    vendor.chmod(0o600)
    vendor.write_bytes(damaged)
    outcome = here("verify", "Sales")
    assert outcome.status == 1
    assert "Sales is DAMAGED: " in outcome.out
