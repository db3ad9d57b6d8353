"""The command on a server: the same words, output, errors and exit statuses as on a data folder."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess

import pyarrow.parquet as pq
import pytest

from conftest import sample_path
from faces.program import TIMEOUT_S, call, environment, run
from faces.served_process import PASSWORD, serve, wait_for
from forked_programs import ForkedProgram
from tabvault.errors import (
    FormatError,
    QueryError,
    ServerError,
    ServerUnreachableError,
    TabvaultError,
    TooManyAttemptsError,
)
from tabvault.faces.cli.remote.problems import error_of_answer
from tabvault.faces.server.rest.problems import problem_response
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.testing.large_database import make_large

SAMPLE = "Hugoberry__rls-sample-report.pbix"
OTHER = "Hugoberry__DataModel.abf"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two equal data folders, one of which a server has, and a backup with a password."""
    home = tmp_path_factory.mktemp("remote")
    here = home / "here"
    (home / "backup.password").write_text("of the backup\n")
    (home / "backup.password").chmod(0o600)
    assert run("import", sample_path(SAMPLE), "Sales", data=here).status == 0
    assert run("backup", "Sales", "plain.abf", data=here).status == 0
    encrypted = run(
        "backup", "Sales", "encrypted.abf", "--encrypt", "--password-file", home / "backup.password", data=here
    )
    assert encrypted.status == 0
    shutil.copytree(here, home / "there")
    return home


@pytest.fixture(scope="module")
def served(home):
    with serve(home / "there") as server:
        yield server


def alike(text, home):
    """Without what differs from time to time, and between the two folders."""
    text = text.replace(str(home / "here"), "DATA").replace(str(home / "there"), "DATA")
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME", text)
    text = re.sub(r"(?m)(, )[\d.]+ s$", r"\1SECONDS", text)
    text = re.sub(r'("(?:seconds)": )[\d.e-]+', r"\1SECONDS", text)
    # Equal values in another order of their dictionary take another room in a Parquet file.
    text = re.sub(r"\t\d+(\tDATA/out/)|\d+(?=,\n\s+\"warnings\")", r"\tSIZE\1", text)
    return re.sub(r'("etag": )"[^"]+"', r"\1ETAG", text)


FLOW = [
    ["databases"],
    ["backup", "Sales", "again.abf", "--no-compress"],
    ["backup", "Sales", "again.abf"],
    ["backup", "Sales", "plain.abf", "--overwrite"],
    ["backup", "Nix"],
    ["backup", "Sales", "../up.abf"],
    ["restore", "plain.abf"],
    ["restore", "plain.abf", "New"],
    ["restore", "plain.abf", "New", "--overwrite", "--security", "skipMembership", "--read-write-mode", "readOnly"],
    ["restore", "plain.abf", "New", "--overwrite"],
    ["restore", "nix.abf"],
    ["restore", "encrypted.abf", "Secret"],
    ["restore", "encrypted.abf", "Secret", "--password-file", "{home}/backup.password"],
    ["restore", "plain.abf", "Secret", "--overwrite", "--password-file", "{home}/backup.password"],
    ["import", "{sample}", "Imported"],
    ["import", "{sample}", "Imported"],
    ["import", "storage:plain.abf"],
    ["query", "Sales", "SELECT * FROM Sales ORDER BY ALL"],
    ["query", "Sales", "SELECT count(*) FROM Nix"],
    ["query", "Sales", "SELECT [Name], [ID] FROM $SYSTEM.TMSCHEMA_TABLES ORDER BY [ID]"],
    ["query", "Nix", "SELECT 1"],
    ["query", "storage:plain.abf", "SELECT Region, count(*) FROM Regions GROUP BY ALL ORDER BY ALL"],
    ["query", "storage:encrypted.abf", "SELECT 1 AS one", "--password-file", "{home}/backup.password"],
    ["query", "{sample}", "SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES"],
    ["inspect", "storage:plain.abf"],
    ["inspect", "storage:encrypted.abf"],
    ["inspect", "storage:encrypted.abf", "--password-file", "{home}/backup.password"],
    ["inspect", "storage:nix.abf"],
    ["inspect", "{sample}"],
    ["verify", "Sales"],
    ["verify", "storage:plain.abf"],
    ["verify", "storage:encrypted.abf"],
    ["verify", "{sample}"],
    ["verify", "Nix"],
    ["export", "Sales", "--to", "{own}/out"],
    ["export", "Sales", "--to", "{own}/out", "--table", "regions", "--format", "csv"],
    ["export", "Sales", "--to", "{own}/out", "--table", "Nix"],
    ["storage", "list"],
    ["storage", "get", "plain.abf", "{home}/copy.abf", "--overwrite"],
    ["storage", "get", "nix.abf", "{home}/nix.abf"],
    ["storage", "put", "{home}/copy.abf", "folder/put ä.abf"],
    ["storage", "put", "{home}/copy.abf", "folder/put ä.abf"],
    ["storage", "put", "{home}/copy.abf", "folder/put ä.abf", "--overwrite"],
    ["storage", "remove", "folder/put ä.abf"],
    ["storage", "remove", "folder/put ä.abf"],
    ["storage", "show"],
    ["user", "add", "bob", "--password-file", "{home}/backup.password"],
    ["user", "password", "bob", "--password-file", "{home}/backup.password"],
    ["firewall", "add", "office", "192.0.2.1", "192.0.2.9"],
    ["firewall", "enable"],
    ["firewall", "show"],
    ["firewall", "disable"],
    ["firewall", "remove", "office"],
    ["user", "remove", "bob"],
    ["drop", "New", "--yes"],
    ["drop", "New", "--yes"],
    ["drop", "Sales"],
]


@pytest.mark.slow
@pytest.mark.parametrize("options", [pytest.param([], id="text"), pytest.param(["--json"], id="json")])
def test_every_command_says_on_a_server_what_it_says_on_a_data_folder(home, options, tmp_path, monkeypatch, capsys):
    """One after the other, for each finds what those before it left."""
    shutil.copytree(home / "here", tmp_path / "here")
    shutil.copytree(home / "here", tmp_path / "there")
    with serve(tmp_path / "there") as server:

        def said(*arguments, data):
            return call(*arguments, data=data, monkeypatch=monkeypatch, capsys=capsys)

        for command in FLOW:
            here, there = (
                [word.format(home=home, sample=sample_path(OTHER), own=own) for word in command] + options
                for own in (tmp_path / "here", tmp_path / "there")
            )
            here = said(*here, data=tmp_path / "here")
            there = said(*there, *server.login, data=tmp_path / "nowhere")
            assert there.status == here.status, (command, there.out, there.err)
            assert alike(there.out, tmp_path) == alike(here.out, tmp_path), command
            assert alike(there.err, tmp_path) == alike(here.err, tmp_path), command
    for file in (tmp_path / "here" / "out").glob("*.parquet"):
        here, there = pq.read_table(file), pq.read_table(tmp_path / "there" / "out" / file.name)
        assert there.schema.equals(here.schema, check_metadata=True), file.name
        assert there.to_pydict() == here.to_pydict(), file.name


def test_whoever_has_the_data_folder_needs_no_credential(served):
    """The same command works with and without the server; it is the server that did it, as its audit log says."""
    found = run("databases", data=served.data)
    assert (found.status, found.err) == (0, "")
    assert found.out == served.run("databases").out
    assert run("backup", "Sales", "by-the-owner.abf", data=served.data).status == 0
    lines = served.get("/api/audit").json()["lines"]
    assert any(line["who"].startswith("local:") and line["operation"] == "backup" for line in lines)


def test_the_token_of_the_owner_counts_for_nobody_else(served, home):
    key = home / "guessed"
    token = json.loads((served.data / "server" / "endpoint.json").read_bytes())["local_token"]
    key.write_text(f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}\n")
    key.chmod(0o600)
    refused = run("databases", "--server", served.url, "--api-key-file", key, data=home / "elsewhere")
    assert (refused.status, refused.err.splitlines()[0].split(":")[0]) == (1, "error[access_not_authenticated]")


# ---- credentials


def test_an_api_key_comes_from_a_file_or_from_the_environment(served, home):
    made = served.run("key", "add", "alice", "nightly", "--scope", "admin")
    secret = made.out.strip()
    file = home / "key"
    file.write_text(made.out)
    file.chmod(0o600)
    arguments = ("databases", "--server", served.url)
    elsewhere = home / "elsewhere"
    assert run(*arguments, "--api-key-file", file, data=elsewhere).status == 0
    assert run(*arguments, data=elsewhere, env={"TABVAULT_API_KEY": secret}).status == 0
    assert run("databases", data=elsewhere, env={"TABVAULT_API_KEY": secret, "TABVAULT_SERVER": served.url}).status == 0
    key_id = secret.split("_")[1]
    assert key_id in served.run("key", "list").out
    assert served.run("key", "revoke", key_id).status == 0
    revoked = run(*arguments, "--api-key-file", file, data=elsewhere)
    assert revoked.err.startswith("error[access_not_authenticated]: ")
    assert secret not in revoked.err


def test_without_a_credential_the_way_to_one_is_shown(served, home):
    refused = run("databases", "--server", served.url, data=home / "elsewhere")
    assert refused.status == 1
    assert refused.err.endswith("hint: log in: --user, or --api-key-file\n")


def test_a_wrong_password_is_refused_and_not_shown(served, home):
    (home / "wrong").write_text("not it at all\n")
    (home / "wrong").chmod(0o600)
    refused = run(
        "databases", "--server", served.url, "--user", "alice", "--login-password-file", home / "wrong", data=home / "x"
    )
    assert refused.status == 1
    assert refused.err.startswith("error[access_not_authenticated]: ")
    assert "not it at all" not in refused.err


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        pytest.param(
            ["--server", "http://alice:secret-word@127.0.0.1:1"], 1, "server", id="a credential in the address"
        ),
        pytest.param(["--server", "ftp://127.0.0.1"], 1, "server", id="no address of a server"),
        pytest.param(["--server", "http://[::1"], 1, "server", id="no address at all"),
        pytest.param(["--server", "http://127.0.0.1:1/?q=secret-word"], 1, "server", id="more than an address"),
        pytest.param(["--server", "http://127.0.0.1:1"], 1, "server_unreachable", id="nobody there"),
        pytest.param(
            ["--server", "http://127.0.0.1:1", "--ca-file", "nix"], 1, "server_unreachable", id="a CA without TLS"
        ),
        pytest.param(["--server", "https://127.0.0.1:1", "--ca-file", "nix"], 1, "server", id="no such CA file"),
        pytest.param(["--server", "http://127.0.0.1:1", "--data", "d"], 2, "usage", id="two places"),
        pytest.param(["--user", "alice"], 2, "usage", id="a user without a server"),
        pytest.param(
            ["--server", "http://127.0.0.1:1", "--login-password-file", "p"], 2, "usage", id="whose password?"
        ),
        pytest.param(
            ["--server", "http://[::1]:1", "--user", "a", "--api-key-file", "p"], 2, "usage", id="two credentials"
        ),
        pytest.param(
            ["--server", "http://127.0.0.1:1", "--user", "a"], 1, "access_not_authenticated", id="nobody to ask"
        ),
    ],
)
def test_what_cannot_be_a_server_is_refused_by_name(options, status, code, tmp_path):
    refused = run("databases", "--json", *options, data=tmp_path / "d")
    assert (refused.status, json.loads(refused.out)["error"]["code"]) == (status, code)
    assert "secret-word" not in refused.out + refused.err


def test_a_password_does_not_cross_a_network_in_the_clear(tmp_path):
    (tmp_path / "p").write_text("x\n")
    (tmp_path / "p").chmod(0o600)
    server = ["--server", "http://192.0.2.1:8282", "--user", "alice", "--login-password-file", tmp_path / "p"]
    refused = run("databases", "--json", *server, data=tmp_path / "d")
    assert json.loads(refused.out)["error"]["code"] == "server_not_secured"


# ---- Ctrl-C


def test_ctrl_c_cancels_the_job_on_the_server(home, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(home / "here", data)
    with DataFolder.open(data) as folder:
        make_large(folder, "Sales", "Large", byte_count=80 << 20)
    with serve(data) as server:
        process = ForkedProgram(
            *("tabvault", "backup", "Large", "cancelled.abf", *server.login),
            environment=environment(),
            stderr=subprocess.PIPE,
            has_session=True,
        )
        wait_for(lambda: server.get("/api/jobs").json()["jobs"], lambda jobs: any(job["progress"] for job in jobs))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, err.decode()) == (130, "cancelled; the job on the server is cancelled\n")
        (job,) = server.get("/api/jobs").json()["jobs"]
        assert job["state"] == "cancelled"
        assert "cancelled.abf" not in [file["name"] for file in server.get("/api/files").json()["files"]]


# ---- errors


def family(kind):
    yield kind
    for member in kind.__subclasses__():
        yield from family(member)


KINDS = [kind for kind in family(TabvaultError) if kind.__module__ == "tabvault.errors"]
KINDS.remove(TooManyAttemptsError)  # its answer has more to say than the error


@pytest.mark.parametrize("kind", KINDS, ids=[kind.code for kind in KINDS])
def test_an_error_of_a_server_is_the_error_that_it_was_there(kind):
    places = {"file": "a.idf", "offset": 496} if issubclass(kind, FormatError) else {}
    places |= {"line": 2, "column": 3} if issubclass(kind, QueryError) else {}
    there = kind("what is wrong", hint="the way out", **places)
    answer = problem_response(there, "/api/x")
    here = error_of_answer(answer.status_code, answer.body, url="http://server")
    assert type(here) is kind
    assert (here.message, str(here)) == (there.message, str(there))
    assert here.code == "access_not_authenticated" or here.hint == there.hint
    assert all(getattr(here, name) == value for name, value in places.items())


def test_a_code_of_a_newer_server_is_named_in_the_message():
    body = b'{"code": "moon_phase", "detail": "the moon is full", "hint": "wait", "status": 400}'
    error = error_of_answer(400, body, url="http://server")
    assert type(error) is ServerError
    assert (error.message, error.hint) == ("the moon is full (moon_phase)", "wait")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"code": 1}', b"\xff", b"[" * 100_000])
def test_an_answer_of_something_else_is_named_so(body):
    assert type(error_of_answer(502, body, url="http://server")) is ServerUnreachableError


def test_the_server_is_alive_after_all_this(served):
    assert served.get("/readyz").json()["ready"] is True
    assert served.process.poll() is None
    assert PASSWORD not in served.log.read_text()
