"""``tabvault audit …`` and ``POST /api/audit/check``: the log of a real server, from its files and over the network."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from faces.program import TIMEOUT_S, call
from faces.served_process import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faces.program import Outcome
    from faces.served_process import Served

MEMBER = ("bob", "known and nothing else")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of which a few things were asked, one of them in vain."""
    with serve(tmp_path_factory.mktemp("audit") / "data") as running:
        made = running.post("/api/users", {"name": MEMBER[0], "password": MEMBER[1]})
        assert made.status_code == 201
        assert running.post("/api/source-folders", {"folder": "no absolute path"}).status_code == 400
        yield running


@pytest.fixture
def tabvault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    return partial(call, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


def files_of(data: Path) -> list[Path]:
    return sorted((data / "server" / "audit").iterdir())


@pytest.fixture
def copied(server: Served, tmp_path: Path) -> Path:
    """The first file of a log that nobody writes any more."""
    shutil.copytree(server.data / "server" / "audit", tmp_path / "data" / "server" / "audit")
    path, *_ = files_of(tmp_path / "data")
    return path


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def test_the_log_of_a_server_that_runs_is_whole_from_its_files_and_over_the_network(
    server: Served, tabvault: Callable[..., Outcome]
) -> None:
    lines = [line for path in files_of(server.data) for line in path.read_bytes().splitlines()]
    note = f"{len(lines)}:{hashlib.sha256(lines[-1]).hexdigest()}"
    for where in (["--data", str(server.data)], server.login):
        done = tabvault("audit", "verify", *where)
        assert (done.status, done.err) == (0, "")
        shown = dict(line.split("\t") for line in done.out.splitlines())
        assert (shown["lines"], shown["whole"], shown["note"]) == (str(len(lines)), "yes", note)
        assert shown["first"] == json.loads(lines[0])["time"].replace("+00:00", "Z")
        assert shown["last"] == json.loads(lines[-1])["time"].replace("+00:00", "Z")
        again = tabvault("audit", "verify", "--noted", note, "--json", *where)
        assert (again.status, json.loads(again.out)["note"]) == (0, note)
        amiss = tabvault("audit", "verify", "--noted", f"1:{'0' * 64}", *where)
        assert amiss.status == 1
        assert "error[server_audit_chain]: the chain of the audit log is broken: audit-" in amiss.err
        assert f"has digest {hashlib.sha256(lines[0]).hexdigest()}, and {'0' * 64} was noted" in amiss.err


def test_lines_are_listed_the_latest_last_here_and_over_a_server_alike(
    server: Served, tabvault: Callable[..., Outcome]
) -> None:
    here, there = ["--data", str(server.data)], server.login
    written = [json.loads(line) for path in files_of(server.data) for line in path.read_bytes().splitlines()]
    listed = json.loads(tabvault("audit", "list", "--json", *here).out)["lines"]
    assert [line | {"time": line["time"].replace("Z", "+00:00")} for line in listed] == written
    assert json.loads(tabvault("audit", "list", "--json", *there).out)["lines"] == listed
    assert "create_user" in {line["operation"] for line in listed}
    since, until = (listed[at]["time"] for at in (1, -1))
    filters = {
        ("--last", "2"): listed[-2:],
        ("--since", since): listed[1:],
        ("--until", until): listed[:-1],
        ("--since", since, "--until", until, "--last", "1"): listed[-2:-1],
        ("--since", "2999-01-01"): [],
    }
    for options, expected in filters.items():
        for where in (here, there):
            done = tabvault("audit", "list", "--json", *options, *where)
            assert json.loads(done.out)["lines"] == expected
    table = [row.split("\t") for row in tabvault("audit", "list", "--last", "1", *here).out.splitlines()]
    last = listed[-1]
    assert table[0][:4] == ["sequence", "time", "phase", "who"]
    assert dict(zip(*table, strict=True)) == {
        name: "-" if last[name] is None else str(last[name])
        for name in [
            "sequence",
            "time",
            "phase",
            "who",
            "address",
            "interface",
            "operation",
            "object",
            "result",
            "code",
            "job",
        ]
    }


def test_the_audit_log_of_a_server_is_for_its_administrators(server: Served) -> None:
    for method, path, body in (("GET", "/api/audit", None), ("POST", "/api/audit/check", {})):
        url = f"{server.url}{path}"
        ask = partial(httpx.request, method, url, json=body, timeout=TIMEOUT_S, verify=url.startswith("https:"))
        answer = ask(auth=MEMBER)
        assert (answer.status_code, answer.json()["code"]) == (403, "access_not_authorized")
        assert ask().status_code == 401
    checked = server.post("/api/audit/check", {"noted": None}).json()
    assert (checked["ok"], checked["faults"], checked["first_sequence"]) == (True, [], 1)
    assert checked["line_count"] >= 2
    for noted in ({"sequence": 0, "digest": "0" * 64}, {"sequence": 1, "digest": "0" * 63}, {"sequence": 1}):
        assert server.post("/api/audit/check", {"noted": noted}).status_code == 400


def test_a_break_is_an_error_that_names_the_line_and_what_it_means(
    copied: Path, tabvault: Callable[..., Outcome]
) -> None:
    rewrite(copied, lambda lines: [lines[0].replace(b'"create_user"', b'"remove_user"'), *lines[1:-2], lines[-1]])
    done = tabvault("audit", "verify")
    assert done.status == 1
    assert "whole\tno\nnote\t-\n" in done.out
    error, note, hint = done.err.splitlines()
    assert error.startswith(
        f"error[server_audit_chain]: the chain of the audit log is broken: {copied.name} line 2 holds digest "
    )
    assert error.endswith("(this line or the one before is not the one that was written)")
    assert note.startswith(f"and {copied.name} line ")
    assert note.endswith("(lines that stood before this one were removed, or moved behind it)")
    assert hint.startswith("hint: keep the folder server/audit")
    as_json = tabvault("audit", "verify", "--json")
    document = json.loads(as_json.out)
    assert (as_json.status, as_json.err, document["ok"], document["note"]) == (1, "", False, None)
    assert document["error"]["code"] == "server_audit_chain"
    first, _ = document["faults"]
    assert (first["file"], first["line"]) == (copied.name, 2)
    assert document["fault_count"] == 2


def test_a_log_that_begins_late_is_whole_and_says_so(copied: Path, tabvault: Callable[..., Outcome]) -> None:
    rewrite(copied, lambda lines: lines[1:])
    done = tabvault("audit", "verify")
    assert (done.status, done.err) == (0, "warning: the log begins with sequence 2: older files are not here\n")


def test_a_running_server_tells_of_a_break_in_its_own_log(server: Served, tabvault: Callable[..., Outcome]) -> None:
    path, *_ = files_of(server.data)
    whole = path.read_bytes()
    with path.open("r+b") as file:  # in place: the server has to find it as long as it left it
        file.write(whole.replace(b'"rest"', b'"xmla"', 1))
    try:
        done = tabvault("audit", "verify", *server.login)
        [fault] = server.post("/api/audit/check", {}).json()["faults"]
    finally:
        path.write_bytes(whole)
    assert (fault["file"], fault["line"]) == (path.name, 2)
    assert done.status == 1
    assert fault["message"] in done.err


def test_an_empty_log_is_told_from_a_folder_that_has_none(tmp_path: Path, tabvault: Callable[..., Outcome]) -> None:
    missing = tabvault("audit", "verify")
    assert missing.status == 1
    assert missing.err.startswith("error[database_not_found]: there is no data folder at ")
    (tmp_path / "data" / "server").mkdir(parents=True)
    empty = tabvault("audit", "verify")
    assert (empty.status, empty.out) == (0, "files\t0\nlines\t0\nfirst\t-\nlast\t-\nwhole\tyes\nnote\t-\n")
    assert json.loads(tabvault("audit", "list", "--json").out) == {"lines": []}


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--last", "0"),
        ("list", "--last", "10001"),
        ("list", "--since", "yesterday"),
        ("verify", "--noted", "1"),
        ("verify", "--noted", f"0:{'0' * 64}"),
        ("verify", "--noted", f"1:{'g' * 64}"),
    ],
)
def test_wrong_options_are_wrong_usage(arguments: tuple[str, ...], tabvault: Callable[..., Outcome]) -> None:
    done = tabvault("audit", *arguments)
    assert done.status == 2
    assert "error[usage]" in done.err
