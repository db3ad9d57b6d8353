"""What the command line says beyond the error itself: where a file is, which option does it."""

from __future__ import annotations

import json

import pytest
from program import call

from conftest import sample_path

SAMPLE = "Hugoberry__DataModel.abf"


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


@pytest.fixture
def hint(here):
    """The hint of a command that must fail, the same as text and as JSON."""

    def fail(*arguments):
        text, as_json = here(*arguments), here(*arguments, "--json")
        assert (text.status, as_json.status) == (1, 1)
        hint = json.loads(as_json.out)["error"]["hint"]
        assert text.err.splitlines()[1:] == ([] if hint is None else [f"hint: {hint}"])
        return hint

    return fail


READING = [
    ["import", "{}", "New"],
    ["inspect", "{}"],
    ["verify", "{}"],
    ["query", "{}", "SELECT 1"],
    ["export", "{}", "--to", "out"],
]


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_path_that_is_only_in_the_container_is_asked_about(here, hint, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here("storage", "put", sample_path(SAMPLE), "sales/monday.abf")
    named = [word.format("sales/monday.abf") for word in command]
    assert hint(*named) == "did you mean storage:sales/monday.abf?"
    assert here(*(word.format("storage:sales/monday.abf") for word in command)).status == 0


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_path_that_is_nowhere_is_not_looked_for_in_the_container(hint, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "did you mean" not in (hint(*(word.format("sales/monday.abf") for word in command)) or "")
    assert list(tmp_path.iterdir()) == [], "and looking for it makes nothing"


@pytest.mark.parametrize(
    "command",
    [
        ["restore", "gone.abf"],
        ["storage", "get", "gone.abf", "."],
        ["storage", "remove", "storage:gone.abf"],
        *([word.format("storage:gone.abf") for word in command] for command in READING),
    ],
    ids=" ".join,
)
def test_a_name_that_is_not_in_the_container_has_the_list_for_a_hint(here, hint, command):
    here("storage", "put", sample_path(SAMPLE), "there.abf")
    assert hint(*command) == "tabvault storage list shows what is there"


def test_storage_commands_take_the_prefix_that_the_others_need(here, tmp_path):
    put = json.loads(here("storage", "put", sample_path(SAMPLE), "storage:a/b.abf", "--json").out)
    assert put["name"] == "a/b.abf"
    assert here("storage", "get", "storage:a/b.abf", tmp_path / "local.abf").status == 0
    assert (tmp_path / "local.abf").read_bytes() == sample_path(SAMPLE).read_bytes()
    removed = json.loads(here("storage", "remove", "storage:a/b.abf", "--json").out)
    assert removed == {"name": "a/b.abf", "removed": True}
    assert json.loads(here("storage", "list", "--json").out) == {"objects": []}


def test_a_way_out_names_the_option_that_takes_it(here, hint, tmp_path):
    password_file = tmp_path / "password"
    password_file.write_text("tr0ub4dor\n")
    password_file.chmod(0o600)
    here("import", sample_path(SAMPLE), "Sales")
    here("backup", "Sales", "s.abf", "--encrypt", "--password-file", password_file)
    assert hint("import", sample_path(SAMPLE), "Sales") == "add --overwrite, or choose another name"
    assert hint("backup", "Sales", "s.abf") == "add --overwrite, or choose another name"
    assert hint("storage", "put", sample_path(SAMPLE), "s.abf") == "add --overwrite, or choose another name"
    assert hint("storage", "get", "s.abf", password_file) == "add --overwrite, or choose another name"
    assert hint("inspect", "storage:s.abf") == "name a file with the password: --password-file"
    here("storage", "configure", "--disable")
    assert hint("storage", "list") == "backups are disabled: tabvault storage settings enable"


def test_a_locked_data_folder_can_be_left_for_another(here, hint, tmp_path):
    from tabvault.storage.data_folder.lock import OwnerLock

    here("import", sample_path(SAMPLE), "Sales")
    lock = OwnerLock.acquire(tmp_path / "data" / "owner.lock")
    try:
        assert hint("databases") == "wait for that process, or name another folder with --data"
    finally:
        lock.release()
