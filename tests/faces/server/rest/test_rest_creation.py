"""Databases made of a model over REST, against a real server in another process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from faces.server.servers import running_server

if TYPE_CHECKING:
    import httpx

MODEL = {"tables": [{"name": "T", "columns": [{"name": "a", "dataType": "int64", "sourceColumn": "a"}]}]}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("creation") / "data") as server, server.client() as opened:
        yield opened


def ended(client: httpx.Client, answer: httpx.Response) -> dict:
    assert answer.status_code == 202, answer.text
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        job = client.get(answer.headers["Location"]).json()
        if job["finished"] is not None:
            return job
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_a_database_is_made_of_the_object_of_a_bim_and_is_that_object(client):
    document = {"name": "Sales", "compatibilityLevel": 1550, "model": MODEL}
    job = ended(client, client.post("/api/databases", json=document))
    assert (job["kind"], job["state"], job["result"]) == (
        "create",
        "succeeded",
        {"database": "Sales", "id": "Sales", "warnings": []},
    )
    said = client.get("/api/databases/Sales/model").json()
    assert (said["name"], said["compatibilityLevel"], said["model"]["tables"]) == ("Sales", 1550, MODEL["tables"])

    again = ended(client, client.post("/api/databases", json=document))
    assert (again["state"], again["error"]["code"]) == ("failed", "database_exists")
    document["model"] = {"description": "another"}
    assert ended(client, client.post("/api/databases?overwrite=true", json=document))["state"] == "succeeded"
    assert client.get("/api/databases/Sales/model").json()["model"]["description"] == "another"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"name": "x"}, "model"),
        ({"name": "", "model": {}}, "name"),
        ({"name": "x", "model": {}, "bogus": 1}, "bogus"),
        ({"name": "x", "model": {"tables": [{"name": "T", "bogus": 1}]}}, "database.model.tables[0].bogus"),
        ({"name": "x", "model": {"maxParallelismPerQuery": 4}, "compatibilityLevel": 1200}, "database.model"),
    ],
)
def test_what_is_no_model_is_refused_with_its_place(client, document, path):
    answer = client.post("/api/databases", json=document)
    assert (answer.status_code, answer.json()["code"], answer.json()["path"]) == (400, "request", path)


def test_who_is_not_logged_in_makes_none(client):
    answer = client.post("/api/databases", json={"name": "x", "model": {}}, auth=None, headers={"Authorization": ""})
    assert answer.status_code == 401
