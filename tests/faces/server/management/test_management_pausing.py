"""What a paused server refuses, what it goes on with, and that it stays paused until it is resumed."""

from __future__ import annotations

import datetime
import threading
from typing import TYPE_CHECKING, Any

import pytest

from faces.server.management.managed_server import NAME, PROVIDER, VERSION
from faces.server.services import local_server
from formats.xmla.requests import BEGIN_SESSION, envelope
from tabvault.errors import JobInterruptedError, ServerPausedError
from tabvault.faces.server.management import answers
from tabvault.faces.server.management.operations import ManagementOperations
from tabvault.faces.server.service import Service
from tabvault.jobs.operations.caller import Caller
from tabvault.jobs.progress import Progress
from tabvault.jobs.runner.exclusion import JobKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from faces.server.services import LocalServer
    from tabvault.jobs.runner.context import JobContext

ABOUT = {"requested_by": "alice", "origin": None, "interface": "rest", "options": {}}
SESSION = envelope(
    '<Execute xmlns="urn:schemas-microsoft-com:xml-analysis"><Command><Statement/></Command>'
    "<Properties><PropertyList/></Properties></Execute>",
    BEGIN_SESSION,
)
PAUSED = "the server is paused"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("pausing"), shop="Hugoberry__abc.pbix") as local:
        local.service.name = NAME
        yield local


@pytest.fixture
def alice(local: LocalServer) -> Iterator[httpx.Client]:
    yield local.client()
    assert asked(local, "resume").status_code == 200


def asked(local: LocalServer, action: str) -> httpx.Response:
    path = f"/subscriptions/a/resourceGroups/b/providers/{PROVIDER}/servers/{NAME}/{action}"
    return local.client().post(path, params=VERSION)


def xmla(client: httpx.Client, body: bytes) -> str:
    answer = client.post("/xmla", content=body, headers={"Content-Type": "text/xml"})
    assert answer.status_code == 200
    return answer.text


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_paused_server_refuses_xmla_and_jobs_and_goes_on_with_all_else(local: LocalServer, alice: httpx.Client):
    begun = xmla(alice, SESSION)
    assert "SessionId" in begun
    assert asked(local, "suspend").json()["properties"]["state"] == "Paused"
    assert asked(local, "suspend").status_code == 200
    refused = xmla(alice, SESSION)
    assert "The server is paused. Hint: a server administrator resumes the server" in refused
    assert list(local.service.sessions) == []
    for path, body in (
        ("/api/databases/shop/backups", {"file": "shop.abf"}),
        ("/api/databases/copy/restores", {"file": "shop.abf"}),
        ("/api/databases/shop/refreshes", {"type": "full"}),
        ("/api/databases/shop/verifications", {}),
    ):
        assert problem(alice.post(path, json=body)) == (409, "server_paused"), path
    question = {"sql": "SELECT 1 AS one"}
    assert alice.post("/api/databases/shop/query", json=question).status_code == 200
    assert alice.get("/api/databases/shop").status_code == 200
    assert alice.put("/api/firewall", json={"enabled": False, "rules": []}).status_code == 200
    assert asked(local, "resume").json()["properties"]["state"] == "Succeeded"
    assert "Fault" not in xmla(alice, SESSION)
    assert alice.post("/api/databases/shop/verifications", json={}).status_code == 202


def test_a_paused_server_says_so_and_since_when(local: LocalServer, alice: httpx.Client):
    def shown() -> tuple[dict[str, Any], dict[str, Any]]:
        ready = alice.get("/readyz")
        assert ready.status_code == 200
        return ready.json(), alice.get("/api/server").json()

    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    assert asked(local, "suspend").status_code == 200
    ready, server = shown()
    assert (ready["ready"], ready["state"]) == (True, "paused")
    assert (server["state"], server["paused"]) == ("paused", True)
    since = datetime.datetime.fromisoformat(server["paused_since"])
    assert before <= since <= datetime.datetime.now(datetime.UTC)
    assert datetime.datetime.fromisoformat(ready["paused_since"]) == since.replace(microsecond=0)
    assert asked(local, "suspend").status_code == 200
    assert shown()[1]["paused_since"] == server["paused_since"]  # it was paused already
    assert asked(local, "resume").status_code == 200
    ready, server = shown()
    assert ready == {"ready": True, "state": "running", "databases": 1}
    assert (server["state"], server["paused"], server["paused_since"]) == ("running", False, None)


def test_who_is_not_let_in_does_not_hear_that_the_server_is_paused(local: LocalServer, alice: httpx.Client):
    asked(local, "suspend")
    answer = local.client(None).post("/xmla", content=SESSION, headers={"Content-Type": "text/xml"})
    assert answer.status_code == 401
    assert "paused" not in answer.text


def test_jobs_that_run_may_end_and_those_that_wait_are_interrupted(
    local: LocalServer, alice: httpx.Client, monkeypatch
):
    monkeypatch.setattr(answers, "ENDED_WITHIN_S", 0.0)
    runner = local.service.runner
    may_end = threading.Event()
    running = [runner.submit(JobKind.VERIFY, None, **ABOUT, work=lambda _: may_end.wait(10)) for _ in range(2)]
    while any(runner.get(job.id).state != "running" for job in running):
        pass
    waiting = runner.submit(JobKind.VERIFY, None, **ABOUT, work=lambda _: None)
    answer = asked(local, "suspend")
    assert (answer.status_code, answer.json()["properties"]["state"]) == (202, "Pausing")
    status = answer.headers["azure-asyncoperation"]
    assert alice.get(status).json()["status"] == "Running"
    while (interrupted := runner.get(waiting.id)).state == "queued":
        pass
    assert (interrupted.state, interrupted.error.message) == (
        "interrupted",
        "the server was paused before the job had ended",
    )
    may_end.set()
    ended(alice, status)
    assert {runner.get(job.id).state for job in running} == {"succeeded"}
    monkeypatch.undo()


def test_a_job_that_takes_too_long_is_interrupted(local: LocalServer, alice: httpx.Client, monkeypatch):
    monkeypatch.setattr(answers, "PAUSE_TIMEOUT_S", 0.0)
    began = threading.Event()

    def work(context: JobContext) -> None:
        while True:
            began.set()
            context.progress(Progress("working", 0, None))

    job = local.service.runner.submit(JobKind.VERIFY, None, **ABOUT, work=work)
    assert began.wait(10)
    assert asked(local, "suspend").json()["properties"]["state"] == "Paused"
    assert local.service.runner.get(job.id).error.code == JobInterruptedError.code


def ended(client: httpx.Client, url: str) -> dict[str, Any]:
    while (status := client.get(url)).status_code == 202:
        pass
    return status.json()


def test_a_paused_server_is_paused_when_it_starts_again(tmp_path: Path):
    with Service(tmp_path / "data") as service:
        owner = Caller(service.access.local_owner.owner, "127.0.0.1", "rest")
        service.management.suspend(owner, 0.0)
    with Service(tmp_path / "data") as service:
        assert service.pausing.is_paused
        assert service.pausing.since is None  # nobody wrote it down
        with pytest.raises(ServerPausedError, match=PAUSED):
            service.runner.submit(JobKind.VERIFY, None, **ABOUT, work=lambda _: None)
        service.management.resume(owner)
        assert not service.pausing.is_paused
    with Service(tmp_path / "data") as service:
        assert not service.pausing.is_paused


def test_an_operation_for_which_there_is_no_thread_has_not_begun(monkeypatch):
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    operations = ManagementOperations()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            operations.begin("group", "Updating", lambda: None)
    assert operations.doing is None
    operation = operations.begin("group", "Updating", lambda: None)
    assert operation.done.wait(30)
    assert operations.doing is None
