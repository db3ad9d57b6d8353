"""``tabvault serve``: its start, its manners towards clients, and every way in which it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
import uvicorn

from certificates import make_certificate
from conftest import sample_path
from faces.program import COMMAND, TIMEOUT_S, call, environment, run
from faces.served_process import PASSWORD, serve, wait_for
from tabvault.faces.cli import serve as serve_command
from tabvault.faces.server import connection
from tabvault.faces.server.serving import DRAIN_TIMEOUT_S
from tabvault.storage.data_folder.folder import DataFolder
from tabvault.testing.large_database import make_large

SAMPLE = "Hugoberry__rls-sample-report.pbix"
LARGE_BYTE_COUNT = 80 << 20
"""A backup of it takes most of a second: long enough to be met at work."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve") / "data"
    assert run("import", sample_path(SAMPLE), "Sales", data=folder).status == 0
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large") / "data"
    assert run("import", sample_path(SAMPLE), "Sales", data=folder).status == 0
    with DataFolder.open(folder) as opened:
        make_large(opened, "Sales", "Large", byte_count=LARGE_BYTE_COUNT)
    return folder


@pytest.fixture(scope="module")
def served(data):
    with serve(data, "--name", "Ledger 01") as server:
        yield server


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """``serve`` where it does not come to serving, in this process."""
    return lambda *options: call("serve", *options, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


# ---- the start


def test_the_first_start_shows_where_it_is_and_a_new_administrator_and_the_second_does_not(tmp_path):
    def started():
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "data")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        lines = [process.stdout.readline().decode() for _ in range(6 if not (tmp_path / "data").exists() else 5)]
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
        return "".join(lines) + rest.decode()

    first, second = started(), started()
    url = re.search(r"http://127\.0\.0\.1:\d+", first)[0]
    password = re.search(r"administrator +admin, password (\S{24}) ", first)[1]
    assert f"Data Source={url}/xmla;User ID=admin;Password={password}\n" in first
    assert str(tmp_path / "data") in first
    assert "container backups" in first
    assert "User ID=admin;Password=…\n" in second
    assert "password " not in second
    assert not any(password in file.read_text(errors="replace") for file in (tmp_path / "data" / "server").iterdir())


def test_it_answers_once_it_has_said_so(served):
    assert served.ready["administrator"] == "alice"
    assert served.ready["password"] is None
    assert served.get("/readyz").json() == {"ready": True, "state": "running", "databases": 1}
    assert [one["name"] for one in served.get("/api/databases").json()["databases"]] == ["Sales"]
    assert served.get("/healthz").headers.get_list("server") == ["Tabvault"]


def test_every_interface_tells_the_name_it_was_given(served):
    assert served.ready["name"] == "Ledger 01"
    assert served.get("/api/server").json()["name"] == "Ledger 01"
    question = "SELECT [Value] FROM $SYSTEM.DISCOVER_PROPERTIES WHERE [PropertyName] = 'ServerName'"
    answer = served.post("/api/databases/Sales/query", {"dmv": question})
    assert answer.json()["rows"] == [["Ledger 01"]]
    servers = served.get("/subscriptions/s/providers/Microsoft.AnalysisServices/servers?api-version=2017-08-01")
    assert [one["name"] for one in servers.json()["value"]] == ["ledger01"]


@pytest.mark.parametrize("name", ["", " Ledger", "Led\nger", "x" * 129])
def test_a_name_that_nobody_could_show_is_refused(name, refused, tmp_path):
    outcome = refused("--name", name, "--port", "0")
    assert outcome.status == 1
    assert outcome.err.startswith(f"error[request]: {name!r:.150} cannot be the name of a server\n")
    assert not (tmp_path / "data").exists()


def test_where_it_is_stands_in_a_file_for_the_owner_alone(served):
    path = served.data / "server" / "endpoint.json"
    endpoint = json.loads(path.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o600
    assert (endpoint["url"], endpoint["pid"]) == (served.url, served.process.pid)


def test_a_second_server_on_the_folder_is_refused(served):
    second = run("serve", "--port", "0", "--json", data=served.data)
    assert second.status == 1
    assert json.loads(second.out)["error"]["code"] == "data_folder_locked"
    assert served.get("/readyz").status_code == 200


def test_a_port_that_is_taken_is_a_named_error(served, refused, tmp_path):
    port = served.url.rpartition(":")[2]
    outcome = refused("--port", port)
    assert outcome.status == 1
    assert outcome.err.startswith(f"error[server]: cannot listen at 127.0.0.1 port {port}: address already in use\n")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - to be refused
def test_off_loopback_it_does_not_start_in_the_clear(host, refused, tmp_path):
    outcome = refused("--host", host, "--port", "0")
    assert outcome.status == 1
    assert outcome.err.startswith("error[server_not_secured]: ")
    assert "--behind-proxy" in outcome.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("given", [["--tls-cert", "c"], ["--tls-key", "k"], ["--admin-user", "u"]])
def test_options_that_belong_together_are_asked_for_together(given, refused):
    assert refused(*given).status == 2


def test_a_certificate_that_cannot_be_used_is_a_named_error(refused, tmp_path):
    (tmp_path / "c").write_text("nonsense")
    outcome = refused("--tls-cert", tmp_path / "c", "--tls-key", tmp_path / "c")
    assert outcome.status == 1
    assert outcome.err.startswith(f"error[server]: certificate {tmp_path / 'c'} with key ")


def test_the_drain_timeout_of_the_help_is_the_one_of_the_server():
    assert serve_command._DRAIN_TIMEOUT_S == DRAIN_TIMEOUT_S


# ---- TLS and proxies


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_with_tls_it_serves_every_address_and_only_who_knows_the_certificate_talks_to_it(tmp_path, certificate):
    tls = ("--tls-cert", certificate.certificate, "--tls-key", certificate.key)
    with serve(tmp_path / "data", "--host", "0.0.0.0", *tls) as server:  # noqa: S104 - with TLS
        port = server.url.rpartition(":")[2]
        login = ["--user", "alice", "--login-password-file", server.password_file]
        url = f"https://localhost:{port}"
        elsewhere = tmp_path / "elsewhere"
        stranger = run("databases", "--server", url, *login, data=elsewhere)
        assert stranger.status == 1
        assert stranger.err.startswith(f"error[server_unreachable]: the certificate of {url} is not to be believed: ")
        known = run("databases", "--server", url, *login, "--ca-file", certificate.certificate, data=elsewhere)
        assert known.status == 0, known.err
        owner = run("databases", data=server.data)
        assert (owner.status, owner.out) == (0, known.out)


def test_the_address_that_a_proxy_names_counts_only_behind_one(served, tmp_path):
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    served.get("/api/server", headers=forwarded)
    with serve(tmp_path / "data", "--behind-proxy") as proxied:
        proxied.get("/api/server", headers=forwarded)
        assert " 203.0.113.9 GET /api/server 200 " in proxied.logged("GET /api/server 200 ")
    assert "203.0.113.9" not in served.logged("GET /api/server 200 ")


# ---- manners towards clients


def test_what_is_logged_of_a_request_is_neither_its_query_nor_its_credential(served):
    served.get("/api/jobs?before=secret-in-the-query")
    served.get("/api/files/a%0A2026 info forged")
    log = served.logged("info forged")
    assert re.search(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info 127\.0\.0\.1 GET /api/jobs 404 [\d.]+ s$", log, re.MULTILINE
    )
    assert "secret-in-the-query" not in log
    assert PASSWORD not in log
    assert r"/api/files/a\n2026 info forged" in log
    assert not re.search(r"^2026 info forged", log, re.MULTILINE)


def test_who_asks_whether_to_send_his_body_is_told_to_go_on(served):
    host, port = served.url.removeprefix("http://").split(":")
    body = b"<nothing/>"
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as client:
        client.sendall(
            b"POST /xmla HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: text/xml\r\n"
            b"Authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


async def _endless(_scope, receive, send):
    """An application whose answer never ends."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await asyncio.sleep(0)


@pytest.fixture
def patient(monkeypatch):
    """The address of a server that loses patience soon, and the server."""
    monkeypatch.setattr(connection, "HEAD_S_MAX", 0.3)
    monkeypatch.setattr(connection, "UNREAD_S_MAX", 0.3)
    config = uvicorn.Config(
        _endless, http=connection.PatientConnection, ws="none", lifespan="off", log_config=None, loop="asyncio"
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_for(lambda: server.started, bool)
        yield listener.getsockname(), server
        server.should_exit = server.force_exit = True
        thread.join(TIMEOUT_S)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: "], ids=["nothing", "a part of a head"])
def test_a_client_that_does_not_get_on_with_its_head_is_cut_off(patient, sent):
    address, _ = patient
    with socket.create_connection(address, timeout=TIMEOUT_S) as client:
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_a_client_that_does_not_read_its_answer_is_cut_off(patient):
    address, server = patient
    with socket.create_connection(address, timeout=TIMEOUT_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: len(server.server_state.connections), lambda count: count == 1)
        wait_for(lambda: len(server.server_state.connections), lambda count: count == 0)


# ---- the end


def leftovers(data):
    """What an unfinished job may leave, in the data folder and in the container."""
    container = data / "storage" / "backups"
    return [*(data / "staging").iterdir(), *(container / ".tabvault-uploads").iterdir(), *data.glob("server/*.tmp")]


def test_sigterm_lets_a_running_backup_finish(large):
    with serve(large) as server:
        job = server.running_job("/api/databases/Large/backups", {"file": "finished.abf"})
        server.process.send_signal(signal.SIGTERM)
        refused = wait_for(lambda: server.get("/readyz"), lambda answer: answer.status_code == 503)
        assert refused.json() == {"ready": False, "reason": "the server ends"}
        assert server.get("/api/databases").status_code == 503
        assert server.get(f"/api/jobs/{job['id']}").json()["state"] in {"running", "succeeded"}
        assert server.process.wait(timeout=TIMEOUT_S) == 0
    assert not (large / "server" / "endpoint.json").exists()
    assert run("inspect", "storage:finished.abf", data=large).status == 0
    assert run("storage", "remove", "finished.abf", data=large).status == 0
    assert leftovers(large) == []


@pytest.mark.parametrize("ending", ["the time is up", "a second signal", "killed"])
def test_a_backup_that_does_not_finish_leaves_nothing_and_is_shown_as_interrupted(large, ending):
    with serve(large, *(["--drain-timeout", "0"] if ending == "the time is up" else [])) as server:
        job = server.running_job("/api/databases/Large/backups", {"file": "unfinished.abf"})
        if ending == "killed":
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
            assert (large / "server" / "endpoint.json").exists()
        elif ending == "a second signal":
            server.process.send_signal(signal.SIGINT)
            wait_for(server.log.read_text, lambda log: "a second signal ends now" in log.splitlines()[-1])
            assert server.end(signal.SIGINT) == 128 + signal.SIGINT
        else:
            assert server.end(signal.SIGINT) == 0
    # What a dead server left in the folder leads nobody to it.
    assert run("databases", data=large).status == 0
    with serve(large) as again:
        assert again.get(f"/api/jobs/{job['id']}").json()["state"] == "interrupted"
        assert again.get("/api/files").json()["files"] == []
        assert leftovers(large) == []
        assert [one["state"] for one in again.get("/api/databases").json()["databases"]] == ["ready", "ready"]


def test_an_endpoint_of_another_process_that_lives_leads_nobody_to_it(data, tmp_path):
    """Symptom: the number of a killed server is given to another process, and the owner is sent to a closed port."""
    folder = tmp_path / "data"
    assert run("import", sample_path(SAMPLE), "Sales", data=folder).status == 0
    with serve(folder) as server:
        endpoint = json.loads((folder / "server" / "endpoint.json").read_bytes())
        server.end(signal.SIGKILL)
    (folder / "server" / "endpoint.json").write_text(json.dumps(endpoint | {"pid": os.getpid()}))
    assert run("databases", data=folder).status == 0


def test_an_idle_connection_does_not_hold_up_the_end(tmp_path):
    with serve(tmp_path / "data") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(100).startswith(b"HTTP/1.1 200 ")
            begun = time.monotonic()
            assert server.end(signal.SIGTERM) == 0
            assert time.monotonic() - begun < 5
