"""Where passwords come from, and that they go nowhere else."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from program import Terminal, call, run

from conftest import sample_path
from tabvault.errors import PasswordError, PasswordRequiredError
from tabvault.faces.cli.passwords import new_password, read_password, with_password
from tabvault.storage.server_state.accounts import load_accounts

SAMPLE = "Hugoberry__DataModel.abf"
PASSWORD = 's\N{LATIN SMALL LETTER E WITH ACUTE}same, \\ opén "now"'


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


@pytest.fixture
def terminal(tmp_path):
    return lambda *arguments: Terminal(*arguments, data=tmp_path / "data")


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def with_secret(tmp_path_factory):
    """A data folder with the database Sales and its backup ``secret.abf``, encrypted with PASSWORD; to be copied."""
    folder = tmp_path_factory.mktemp("secret")
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o600)
    assert run("import", sample_path(SAMPLE), "Sales", data=folder / "data").status == 0
    backup = ("backup", "Sales", "secret.abf", "--encrypt", "--password-file", password_file)
    assert run(*backup, data=folder / "data").status == 0
    return folder / "data"


def test_a_guess_at_the_password_of_a_backup_costs_what_the_reference_says(with_secret):
    head = (with_secret / "storage" / "backups" / "secret.abf").read_bytes()[:200].splitlines()
    assert head[0] == b"age-encryption.org/v1"
    assert head[1].startswith(b"-> scrypt ")
    assert head[1].endswith(b" 17")


def test_a_guess_at_the_password_of_a_user_costs_as_much(tmp_path, password_file):
    added = run("user", "add", "alice", "--password-file", password_file, data=tmp_path / "data")
    assert added.status == 0
    [user] = load_accounts(tmp_path / "data").users
    assert (user.password.n, user.password.r, user.password.p) == (1 << 15, 8, 3)


@pytest.fixture
def encrypted(with_secret, tmp_path):
    """``storage:secret.abf``, encrypted with PASSWORD, of the database Sales."""
    shutil.copytree(with_secret, tmp_path / "data")
    return "storage:secret.abf"


@pytest.mark.parametrize(
    "content",
    ["pass word", "pass word\n", "pass word\r\n", "pass word\nsecond line\n", "\ufeffpass word\r\n"],
)
def test_the_password_is_the_first_line_without_its_end(tmp_path, content):
    path = tmp_path / "p"
    path.write_bytes(content.encode())
    path.chmod(0o600)
    assert read_password(str(path)) == "pass word"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the first line is empty"),
        (b"\nsecret", "the first line is empty"),
        (b"\r\n", "the first line is empty"),
        (b"secret\xff", "not UTF-8"),
        ("secret\n".encode("utf-16"), "not UTF-8"),
        ("secret\n".encode("utf-16-le"), "not UTF-8"),
        (b"secret" * 1000, "longer than 4096 bytes"),
    ],
)
def test_a_password_file_that_cannot_be_meant_is_refused_without_quoting_it(tmp_path, content, reason):
    path = tmp_path / "p"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(PasswordError, match=reason) as refused:
        read_password(str(path))
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert not isinstance(refused.value.__context__, UnicodeDecodeError), "it would carry the bytes"


def test_a_password_file_that_others_can_read_is_warned_about(tmp_path, capsys):
    path = tmp_path / "p"
    path.write_text("secret\n")
    path.chmod(0o644)
    assert read_password(str(path)) == "secret"
    assert capsys.readouterr().err == (
        f"warning: password file {path} can be read by every user of this machine; chmod 600 closes it\n"
    )
    path.chmod(0o640)
    read_password(str(path))
    assert capsys.readouterr().err == ""


def test_a_password_comes_through_a_pipe_too(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)
    try:
        os.write(descriptor, b"secret\n")
        assert read_password(str(pipe)) == "secret"
    finally:
        os.close(descriptor)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"secret\nmore")))
    assert read_password("-") == "secret"


def test_without_a_terminal_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"secret\n")))
    with pytest.raises(PasswordRequiredError):
        new_password(None)

    def needs_one(password: str | None) -> str:
        if password is None:
            raise PasswordRequiredError("needed")
        return password

    with pytest.raises(PasswordRequiredError, match="needed"):
        with_password(None, "f.abf", needs_one)


def test_encrypting_asks_twice_until_both_agree_and_shows_nothing_typed(here, terminal, encrypted):
    with terminal("backup", "Sales", "typed.abf", "--encrypt") as screen:
        screen.expect("New password: ")
        screen.type("\n")
        screen.expect("An empty password encrypts nothing.\nNew password: ")
        screen.type("one\n")
        screen.expect("Repeat it: ")
        screen.type("another\n")
        screen.expect("They differ.\nNew password: ")
        screen.type(f"{PASSWORD}\n")
        screen.expect("They differ.\nNew password: \nRepeat it: ")
        screen.type(f"{PASSWORD}\n")
        assert screen.end() == 0
        assert PASSWORD not in screen.text
        assert "another" not in screen.text
    with terminal("inspect", "storage:typed.abf") as screen:
        screen.expect("Password of storage:typed.abf: ")
        screen.type(f"{PASSWORD}\n")
        assert screen.end() == 0
        assert PASSWORD not in screen.text
        assert "encrypted                yes" in screen.text


@pytest.mark.parametrize(
    "command",
    [
        ["verify", "storage:secret.abf"],
        ["inspect", "storage:secret.abf"],
        ["import", "storage:secret.abf"],
        ["restore", "secret.abf", "Other"],
        ["query", "storage:secret.abf", "SELECT 1"],
        ["export", "storage:secret.abf", "--to", "out"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_reads_names_a_missing_and_a_wrong_password(
    here, encrypted, tmp_path, monkeypatch, password_file, command
):
    monkeypatch.chdir(tmp_path)
    missing = here(*command, "--json")
    assert (missing.status, json.loads(missing.out)["error"]["code"]) == (1, "password_required")
    wrong = tmp_path / "wrong"
    wrong.write_text("hunter2-is-wrong\n")
    wrong.chmod(0o600)
    refused = here(*command, "--password-file", wrong)
    assert (refused.status, refused.err.partition(":")[0]) == (1, "error[password_wrong]")
    assert "hunter2" not in refused.err
    assert here(*command, "--password-file", password_file).status == 0


def test_a_password_for_a_plain_file_is_refused(here, password_file):
    outcome = here("inspect", sample_path(SAMPLE), "--password-file", password_file)
    assert (outcome.status, outcome.err.partition(":")[0]) == (1, "error[password_superfluous]")


def test_a_password_comes_from_standard_input(tmp_path, encrypted):
    outcome = run("inspect", encrypted, "--password-file", "-", data=tmp_path / "data", stdin=f"{PASSWORD}\nmore\n")
    assert (outcome.status, outcome.err) == (0, "")


def test_what_is_wrong_without_a_password_is_said_before_one_is_asked_for(here):
    assert here("backup", "missing", "--encrypt").err.startswith("error[database_not_found]")


def test_the_password_is_in_no_argument_list_or_environment_and_in_no_file(tmp_path, encrypted, terminal):
    with terminal("verify", encrypted) as screen:
        screen.expect("Password of ")
        screen.type(f"{PASSWORD}\n")
        process = Path(f"/proc/{screen.process.pid}")
        for name in ("cmdline", "environ"):
            assert PASSWORD.encode() not in (process / name).read_bytes()
        assert screen.end() == 0
        assert PASSWORD not in screen.text
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes()
