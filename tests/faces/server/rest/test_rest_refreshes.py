"""Refreshes over REST, in the shape of Azure Analysis Services, and the sources that they read."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from faces.server.services import MEMBER, STRANGER, local_server
from sourced_shop import ORDER_COUNT, definition, write_sources
from tabvault.jobs.creation import create_database
from tabvault.jobs.operations.refreshes import target_parts, target_text
from tabvault.jobs.processing.request import RefreshTarget
from tabvault.jobs.runner.exclusion import JobKind
from tabvault.model.tmsl.parse import object_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from faces.server.services import LocalServer

REFRESHES = "/api/databases/Shop/refreshes"
SECRET = "the password of a source"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sources"
    made.mkdir()
    write_sources(made)
    return made


@pytest.fixture
def local(tmp_path: Path, folder: Path) -> Iterator[LocalServer]:
    with local_server(tmp_path / "server") as made:
        model = definition(folder, "Shop")["model"]
        model["roles"] = [{"name": "processors", "modelPermission": "refresh"}]
        tree = object_tree("Model", model, place="model")
        create_database(made.service.folder, "Shop", compatibility_level=1550, model=tree)
        made.add_member("Shop", "processors", MEMBER[0])
        made.service.operations.sources._settings.allow_folder(folder)
        yield made


def ended(local: LocalServer, answer: httpx.Response) -> dict[str, Any]:
    """The refresh that *answer* began, at its end."""
    assert answer.status_code == 202, answer.text
    location = answer.headers["Location"]
    assert location == f"{REFRESHES}/{answer.json()['refreshId']}"
    for _ in range(600):
        now = local.client().get(location).json()
        if now["status"] not in ("notStarted", "inProgress"):
            return now
        time.sleep(0.05)
    raise AssertionError(now)


def test_a_refresh_as_analysis_services_asks_for_it(local):
    asked = {
        "Type": "Full",
        "CommitMode": "transactional",
        "MaxParallelism": 2,
        "RetryCount": 2,
        "Objects": [{"table": "Orders", "partition": "early"}, {"table": "Region"}],
    }
    begun = local.client().post(REFRESHES, json=asked)
    assert begun.json()["objects"][:1] == [{"table": "Orders", "partition": "early", "status": begun.json()["status"]}]
    done = ended(local, begun)
    assert (done["status"], done["type"], done["currentRefreshType"]) == ("succeeded", "full", "full")
    assert done["objects"] == [
        {"table": "Orders", "partition": "early", "status": "succeeded"},
        {"table": "Region", "partition": "Region", "status": "succeeded"},
    ]
    assert done["startTime"] <= done["endTime"]
    assert done["messages"] == []
    assert (done["kind"], done["state"], done["requested_by"]) == ("refresh", "succeeded", "alice")
    assert done["options"] == {"type": "full", "objects": ["'Orders'[early]", "'Region'"], "keep_calculated": False}
    assert sum(one["row_count"] for one in done["result"]["partitions"]) == 602
    (listed,) = local.client().get(REFRESHES).json()
    assert listed == done
    answer = local.client().post("/api/databases/Shop/query", json={"sql": "SELECT count(*) AS n FROM Orders"})
    assert answer.json()["rows"] == [[600]]


def test_a_refresh_in_our_own_words_is_that_of_the_whole_database(local):
    done = ended(local, local.client().post(REFRESHES, json={"type": "automatic"}))
    assert sum(one["row_count"] for one in done["result"]["partitions"]) == ORDER_COUNT + 2
    again = ended(local, local.client().post(REFRESHES, json={}))
    assert again["result"]["partitions"] == []


NOT_SUPPORTED = [
    ({"CommitMode": "partialBatch"}, 501, "commit mode partialBatch is not supported"),
    ({"Type": "full", "type": "full"}, 400, "two spellings"),
    ({"type": "quick"}, 400, "'full'"),
    ({"ApplyRefreshPolicy": True}, 400, "extra inputs"),
    ({"objects": []}, 400, "at least 1"),
    ({"max_parallelism": 0}, 400, "greater"),
]


def test_what_is_not_supported_is_refused_by_name(local):
    for asked, status, told in NOT_SUPPORTED:
        answer = local.client().post(REFRESHES, json=asked)
        assert answer.status_code == status, asked
        assert told in answer.json()["detail"], asked
    assert local.client().get(REFRESHES).json() == []


def test_a_refresh_that_fails_says_why_and_the_old_rows_stay(local, folder):
    ended(local, local.client().post(REFRESHES, json={"type": "full"}))
    (folder / "region.csv").write_text("Region,Manager\nNorth,Ann\nNorth,Bob\n")
    done = ended(local, local.client().post(REFRESHES, json={"type": "full"}))
    assert done["status"] == "failed"
    (message,) = done["messages"]
    assert (message["type"], message["code"]) == ("Error", "processing_duplicate_key")
    answer = local.client().post("/api/databases/Shop/query", json={"sql": "SELECT Manager FROM Region ORDER BY 1"})
    assert answer.json()["rows"] == [["Ann"], ["Bob"]]
    missing = ended(local, local.client().post(REFRESHES, json={"objects": [{"table": "Nope"}]}))
    assert missing["messages"][0]["code"] == "request"


def test_one_change_of_a_database_at_a_time_and_a_refresh_is_cancelled(local):
    holding, may_end = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        holding.set()
        assert may_end.wait(30)

    runner = local.service.runner
    # Both turns of the server are taken by work on other databases: a refresh waits in the queue.
    for database in ("other", "another"):
        runner.submit(
            JobKind.ALTER, database, requested_by="test", origin=None, interface="rest", options={}, work=hold
        )
    assert holding.wait(30)
    try:
        first = local.client().post(REFRESHES, json={"type": "full"})
        second = local.client().post(REFRESHES, json={"type": "full"})
        assert (second.status_code, second.json()["code"]) == (409, "job_conflict")
        assert second.json()["job"] == first.json()["refreshId"]
        assert local.client().delete(first.headers["Location"]).status_code == 200
    finally:
        may_end.set()
    assert ended(local, first)["status"] == "cancelled"


def test_who_may_process_refreshes_and_sees_neither_sources_nor_the_refreshes_of_others(local):
    member = local.client(MEMBER)
    ended(local, local.client().post(REFRESHES, json={}))
    assert member.get(REFRESHES).json() == []
    own = member.post(REFRESHES, json={})
    assert own.status_code == 202
    ended(local, own)
    assert [one["requested_by"] for one in member.get(REFRESHES).json()] == [MEMBER[0]]
    for path in ("/api/databases/Shop/datasources", "/api/source-folders"):
        assert member.get(path).status_code == 403
    credential = member.put("/api/databases/Shop/datasources/Warehouse/credential", json={"password": SECRET})
    assert credential.status_code == 403
    assert local.client(STRANGER).post(REFRESHES, json={}).status_code == 403


def test_sources_are_listed_and_their_credentials_set_removed_and_never_shown(local, folder):
    client = local.client()
    listed = client.get("/api/databases/Shop/datasources").json()["data_sources"]
    assert [(one["name"], one["kind"], one["tables"], one["credential"]) for one in listed] == [
        (f"file {folder / 'region.csv'}", "file", ["Region"], "not needed"),
        ("Warehouse", "sqlite", ["Orders"], "not needed"),
    ]
    path = "/api/databases/Shop/datasources/warehouse/credential"
    assert client.put(path, json={"user": "reader", "password": SECRET}).status_code == 204
    assert client.get("/api/databases/Shop/datasources").json()["data_sources"][1]["credential"] == "set"
    assert client.post("/api/databases/Shop/datasources/Warehouse/test", json={}).status_code == 204
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 400
    assert client.put(path.replace("warehouse", "nope"), json={"password": SECRET}).status_code == 400
    lines = client.get("/api/audit").json()["lines"]
    operations = [line["operation"] for line in lines]
    for operation in ("set_source_credential", "remove_source_credential", "test_source"):
        assert operation in operations
    assert {"name": "warehouse", "user": "reader"} in [line["options"] for line in lines]
    assert SECRET not in json.dumps(lines)
    state = local.service.vault.data / "server"
    assert not any(SECRET.encode() in file.read_bytes() for file in state.rglob("*") if file.is_file())


def test_folders_are_allowed_and_no_longer(local, folder, tmp_path):
    client = local.client()
    other = tmp_path / "other"
    other.mkdir()
    both = client.post("/api/source-folders", json={"folder": str(other)}).json()["folders"]
    assert both == [str(folder), str(other)]
    assert client.request("DELETE", "/api/source-folders", params={"folder": str(other)}).json()["folders"] == both[:1]
    for refused in ("relative", str(tmp_path / "nowhere"), "/", "/x\0y"):
        answer = client.post("/api/source-folders", json={"folder": refused})
        assert answer.status_code == 400, refused
    operations = [line["operation"] for line in client.get("/api/audit").json()["lines"]]
    assert {"allow_source_folder", "disallow_source_folder"} <= set(operations)


@pytest.mark.parametrize("target", [("Sales", None), ("Sal'es", "20]24"), ("'[", "]]'"), ("a]", "[b"), ("''", "")])
def test_the_text_of_an_object_says_which_it_is(target):
    assert target_parts(target_text(RefreshTarget(*target))) == target
