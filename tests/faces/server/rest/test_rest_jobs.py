"""Backups, restores, verifications and their jobs over REST, against a real server in another process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import schemathesis

from conftest import sample_path
from faces.server.servers import running_server
from faces.server.services import local_server
from tabvault.faces.server.rest.action_table import ACTIONS, PREFIX
from tabvault.faces.server.rest.openapi import openapi_document
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from faces.server.servers import Server
    from faces.server.services import LocalServer

SCHEMA = schemathesis.openapi.from_dict(openapi_document(PREFIX, ACTIONS))
OCTETS = {"Content-Type": "application/octet-stream"}
PASSWORD = "a password that must be written nowhere"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("jobs") / "data") as running, running.client() as client:
        sample = sample_path("Hugoberry__abc.pbix").read_bytes()
        assert client.put("/api/files/in/abc.pbix", content=sample, headers=OCTETS).status_code == 201
        assert ended(client, client.post("/api/restores", json={"file": "in/abc.pbix", "database": "shop"}))
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def ended(client: httpx.Client, answer: httpx.Response, state: str = "succeeded") -> dict:
    """The job that *answer* tells of, at its end; every answer on the way is as the document says."""
    assert answer.status_code == 202, answer.text
    location = answer.headers["Location"]
    assert location == f"/api/jobs/{answer.json()['id']}"
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        looked = client.get(location)
        SCHEMA["/api/jobs/{id}"]["GET"].validate_response(looked)
        job = looked.json()
        if job["finished"] is not None:
            assert job["state"] == state, job
            return job
        time.sleep(0.02)
    raise AssertionError(f"{location} does not end")


def test_a_backup_is_a_job_and_its_file_restores_as_a_new_database(server, client):
    answer = client.post("/api/databases/shop/backups", json={"file": "out/shop.abf"})
    SCHEMA["/api/databases/{name}/backups"]["POST"].validate_response(answer)
    job = ended(client, answer)
    assert (job["kind"], job["database"], job["requested_by"], job["interface"]) == ("backup", "shop", "alice", "rest")
    assert job["result"]["file"] == "out/shop.abf"
    assert job["progress"]["done"] == job["progress"]["total"] == job["result"]["raw_byte_count"]
    assert job["duration_s"] > 0
    assert client.get(f"/api/databases/shop/backups/{job['id']}").json() == job
    assert client.get("/api/databases/shop/backups").json()["jobs"][0] == job
    body = {"file": "out/shop.abf", "security": "skipMembership", "read_write_mode": "readOnly"}
    restored = ended(client, client.post("/api/databases/copy/restores", json=body))
    assert restored["result"]["database"] == "copy"
    assert restored["options"]["security"] == "skipMembership"
    assert client.get("/api/databases/copy").json()["read_write_mode"] == "readOnly"
    assert client.get("/api/databases/copy/restores").json()["jobs"][0]["id"] == restored["id"]
    assert client.get(f"/api/databases/shop/restores/{restored['id']}").status_code == 404, "that of another database"
    ended(client, client.delete("/api/databases/copy"))
    assert client.get("/api/databases/copy").status_code == 404


def test_the_facts_of_a_database_are_those_of_the_command_line(server, client, tmp_path):
    answer = client.get("/api/databases")
    SCHEMA["/api/databases"]["GET"].validate_response(answer)
    (shop,) = (one for one in answer.json()["databases"] if one["name"] == "shop")
    assert client.get(f"/api/databases/{shop['id']}").json() == shop
    with Vault(tmp_path / "data") as vault:
        vault.import_file(sample_path("Hugoberry__abc.pbix"), "shop")
        (listing,) = vault.databases()
    assert set(shop) == set(type(listing).__dataclass_fields__)
    same = ("compatibility_level", "mode", "read_write_mode", "row_count", "table_count", "state", "problem")
    assert [shop[name] for name in same] == [getattr(listing, name) for name in same]


def test_an_existing_file_fails_the_job_with_its_code(client):
    body = {"file": "twice.abf", "compress": False}
    ended(client, client.post("/api/databases/shop/backups", json=body))
    job = ended(client, client.post("/api/databases/shop/backups", json=body), "failed")
    assert job["error"]["code"] == "storage_exists"
    ended(client, client.post("/api/databases/shop/backups", json=body | {"overwrite": True}))


def test_a_password_opens_its_file_and_is_written_nowhere(server, client):
    body = {"file": "secret.abf", "password": PASSWORD}
    job = ended(client, client.post("/api/databases/shop/backups", json=body))
    assert job["options"]["encrypted"] is True
    wrong = {"file": "secret.abf", "password": "wrong"}
    assert ended(client, client.post("/api/verifications", json=wrong), "failed")["error"]["code"] == "password_wrong"
    refused = client.post("/api/inspections", json=wrong)
    assert (refused.status_code, refused.json()["code"]) == (403, "password_wrong")
    verified = ended(client, client.post("/api/verifications", json=body))
    assert {condition["severity"] for condition in verified["result"]["conditions"]} <= {"OK", "WARNING"}
    inspected = client.post("/api/inspections", json=body)
    SCHEMA["/api/inspections"]["POST"].validate_response(inspected)
    assert (inspected.json()["database"], inspected.json()["encrypted"]) == ("shop", True)
    restored = ended(client, client.post("/api/restores", json=body | {"database": "opened"}))
    assert restored["result"]["database"] == "opened"
    misplaced = client.post("/api/restores", json={"file": "secret.abf", "pasword": PASSWORD})
    assert (misplaced.status_code, misplaced.json()["path"]) == (400, "pasword")
    assert PASSWORD not in misplaced.text
    written = [path for path in (server.data / "server").rglob("*") if path.is_file()] + [server.log]
    assert written
    for path in written:
        assert PASSWORD.encode() not in path.read_bytes(), path


def test_a_verification_of_a_database_is_a_job(client):
    job = ended(client, client.post("/api/databases/shop/verifications", json={}))
    assert job["result"]["conditions"]
    assert client.get("/api/databases/shop/verifications").json()["jobs"][0]["id"] == job["id"]


def test_jobs_are_listed_page_by_page(client):
    ended(client, client.post("/api/databases/shop/verifications", json={}))
    answer = client.get("/api/jobs")
    SCHEMA["/api/jobs"]["GET"].validate_response(answer)
    whole = [job["id"] for job in answer.json()["jobs"]]
    paged: list[str] = []
    while page := client.get("/api/jobs", params={"limit": 2} | ({"before": paged[-1]} if paged else {})).json()[
        "jobs"
    ]:
        assert len(page) <= 2
        paged += [job["id"] for job in page]
    assert paged == whole
    kinds = client.get("/api/jobs", params={"kind": "verify", "state": "succeeded", "database": "SHOP"}).json()["jobs"]
    assert kinds
    assert {(job["kind"], job["state"], job["database"]) for job in kinds} == {("verify", "succeeded", "shop")}


# ---- what must be held still, in this process


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("local"), shop="Hugoberry__abc.pbix") as running:
        yield running


@pytest.fixture
def held_backup(local: LocalServer):
    """A backup job of ``shop`` that works until the test is over, unless it is cancelled."""
    release, began = threading.Event(), threading.Event()

    def work(job):
        began.set()
        while not release.wait(0.01):
            job.check_cancelled()

    job = local.service.runner.submit(
        JobKind.BACKUP, "shop", requested_by="dora", origin=None, interface="rest", options={}, work=work
    )
    assert began.wait(10)
    yield job
    release.set()
    local.service.runner.cancel(job.id)
    while not local.service.runner.get(job.id).state.is_final:
        time.sleep(0.01)


def test_a_second_backup_of_the_same_database_is_refused_and_names_the_first(local, held_backup):
    answer = local.client().post("/api/databases/shop/backups", json={})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["job"]) == ("job_conflict", held_backup.id)


def test_a_cancelled_job_ends_as_one(local, held_backup):
    answer = local.client().delete(f"/api/databases/shop/backups/{held_backup.id}")
    assert answer.status_code == 200
    deadline_s = time.monotonic() + 10
    while (job := local.client().get(f"/api/jobs/{held_backup.id}").json())["finished"] is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert (job["state"], job["error"]["code"]) == ("cancelled", "job_cancelled")
    lines = local.client().get("/api/audit").json()["lines"]
    assert ("cancel", held_backup.id) in {(line["operation"], line["job"]) for line in lines}
