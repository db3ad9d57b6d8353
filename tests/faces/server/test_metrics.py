"""The metrics: right numbers, and not for everybody."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from faces.server.servers import ADMINISTRATOR
from faces.server.services import STRANGER, local_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.server.services import LocalServer


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("metrics"), shop="Hugoberry__abc.pbix") as running:
        yield running


def samples(local: LocalServer) -> dict[tuple[str, frozenset], float]:
    answer = local.client(None).get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(local: LocalServer, name: str, **labels: str) -> float:
    return samples(local).get((name, frozenset(labels.items())), 0.0)


def test_requests_are_counted_by_route_and_not_by_what_is_in_the_path(local):
    labels = {"interface": "rest", "route": "/api/databases/{name}", "method": "GET"}
    before = value(local, "tabvault_requests_total", **labels, status="404")
    for name in ("x", "y", "z%2F"):
        local.client().get(f"/api/databases/{name}")
    assert value(local, "tabvault_requests_total", **labels, status="404") == before + 3
    local.client().get("/no/such/path")
    local.client().get("/api/no/such/path")
    routes = {dict(labels).get("route") for _, labels in samples(local)}
    assert not [route for route in routes if route and "such" in route]
    local.client().post("/xmla", content=b"nonsense", headers={"Content-Type": "text/xml"})
    assert value(local, "tabvault_requests_total", interface="xmla", route="/xmla", method="POST", status="200") == 1
    count = value(local, "tabvault_request_duration_seconds_count", interface="rest", route="/api/databases/{name}")
    assert count >= 3


def test_a_backup_is_counted_with_its_bytes_and_its_time(local):
    assert ("tabvault_last_backup_timestamp_seconds", frozenset({("database", "shop")})) not in samples(local)
    answer = local.client().post("/api/databases/shop/backups", json={})
    job_path = answer.headers["Location"]
    while (job := local.client().get(job_path).json())["finished"] is None:
        time.sleep(0.02)
    deadline_s = time.monotonic() + 10  # the event of its end comes by a thread of its own
    while not value(local, "tabvault_jobs_total", kind="backup", state="succeeded"):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert value(local, "tabvault_job_bytes_total", kind="backup") == job["result"]["raw_byte_count"]
    assert value(local, "tabvault_job_duration_seconds_count", kind="backup") == 1
    when = value(local, "tabvault_last_backup_timestamp_seconds", database="shop")
    assert abs(when - time.time()) < 60


def test_the_state_of_the_server_is_that_of_the_moment(local):
    assert value(local, "tabvault_databases") == 1
    assert value(local, "tabvault_storage_reachable") == 1
    assert abs(value(local, "tabvault_start_time_seconds") - local.service.started.timestamp()) < 1
    assert value(local, "tabvault_jobs_active", kind="backup", state="running") == 0
    settings = {"enabled": False, "account": None, "container": None}
    old = local.client().get("/api/storage").json()
    local.client().put("/api/storage", json=settings)
    assert ("tabvault_storage_reachable", frozenset()) not in samples(local)
    local.client().put("/api/storage", json=old)
    container = local.service.vault.data / "storage" / "backups"
    container.rename(container.with_name("away"))
    assert value(local, "tabvault_storage_reachable") == 0
    container.with_name("away").rename(container)
    assert value(local, "tabvault_storage_reachable") == 1


def test_failed_log_ins_are_counted_and_first_requests_without_a_credential_are_not(local):
    before = value(local, "tabvault_login_failures_total", interface="rest")
    local.client(None).get("/api/server")
    assert value(local, "tabvault_login_failures_total", interface="rest") == before
    local.client((ADMINISTRATOR[0], "wrong")).get("/api/server")
    assert value(local, "tabvault_login_failures_total", interface="rest") == before + 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Host": "rebound.example.com"},
        {"X-Real-IP": "203.0.113.9"},
    ],
)
def test_who_does_not_come_from_this_machine_needs_a_credential(local, headers):
    assert local.client(None).get("/metrics", headers=headers).status_code == 401
    assert local.client(STRANGER).get("/metrics", headers=headers).status_code == 403
    assert local.client().get("/metrics", headers=headers).status_code == 200


def test_a_key_of_an_administrator_reads_the_metrics_with_the_scope_read(local):
    headers = {"X-Forwarded-For": "203.0.113.9"}
    for owner, scopes, databases, status in (
        ("alice", ["read"], None, 200),
        ("alice", ["backup"], None, 403),
        ("alice", ["read"], ["shop"], 403),
        ("carol", ["read"], None, 403),
    ):
        name = f"{scopes}{databases}"
        body = {"owner": owner, "name": name, "scopes": scopes, "databases": databases}
        secret = local.client().post("/api/keys", json=body).json()["secret"]
        assert local.client(key=secret).get("/metrics", headers=headers).status_code == status, (owner, scopes)
