"""The management interface on the wire: paths, versions, bodies, who is let in, what is refused and how."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from docs.documents import DOCS, read, tables
from faces.server.management.managed_server import (
    NAME,
    PROVIDER,
    SERVER,
    SUBSCRIPTION,
    Managed,
    managed_server,
)
from tabvault.faces.server.management import answers
from tabvault.faces.server.management.resource import resource_name
from tabvault.faces.server.management.routes import TABLE
from tabvault.storage.server_state.firewall_rules import FirewallRule, FirewallSettings
from tabvault.storage.server_state.server_resource import (
    ServerResource,
    load_server_resource,
    save_server_resource,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

STRANGER = ("carol", "known and nothing else")
SIGNATURE = "c2VjcmV0IHNpZ25hdHVyZQ"
SAS_URL = f"https://contoso.blob.core.windows.net/backups?sv=2022-11-02&sr=c&sp=rwdl&sig={SIGNATURE}"


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    with managed_server(tmp_path_factory.mktemp("wire")) as managed:
        managed.service.access.accounts.create_user(*STRANGER)
        yield managed


@pytest.fixture(scope="module")
def shared(managed: Managed) -> Iterator[httpx.Client]:
    with managed.client() as client:
        yield client


@pytest.fixture
def client(managed: Managed, shared: httpx.Client) -> Iterator[httpx.Client]:
    """A client of the administrator, of a server on which nothing was set."""
    yield shared
    service = managed.service
    save_server_resource(service.vault.data, ServerResource())
    service.management._resource = ServerResource()
    service.access.firewall.replace(FirewallSettings())


def changed(client: httpx.Client, **body: Any) -> dict[str, Any]:
    """The server after a change that was made."""
    answer = client.patch(SERVER, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and target of an error, after a look at its form."""
    error = answer.json()["error"]
    assert error.keys() - {"target"} == {"code", "message"}
    assert re.fullmatch(r"[A-Z][A-Za-z]+", error["code"])
    assert re.fullmatch(r"[^a-z].*\.", error["message"], re.DOTALL)
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-ms-request-id"])
    return answer.status_code, error["code"], error.get("target")


# ---- what is


def test_the_server_is_a_resource_with_the_properties_of_the_specification(client, managed):
    sku = {"name": "S1", "tier": "Standard", "capacity": 1}
    answer = client.get(SERVER)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Test RG/providers/{PROVIDER}/servers/{NAME}",
        "name": NAME,
        "type": f"{PROVIDER}/servers",
        "location": "local",
        "sku": sku,
        "tags": {},
        "properties": {
            "provisioningState": "Succeeded",
            "state": "Succeeded",
            "serverFullName": f"{managed.url}/xmla",
            "asAdministrators": {"members": ["alice"]},
            "querypoolConnectionMode": "All",
            "managedMode": 1,
            "serverMonitorMode": 1,
            "sku": sku,
        },
    }


def test_a_path_is_found_in_any_case_and_its_subscription_and_group_come_back(client):
    answer = client.get(
        f"/SUBSCRIPTIONS/my%20one/resourcegroups/Gr%C3%BCn/Providers/microsoft.analysisservices/Servers/{NAME.upper()}"
    )
    assert answer.json()["id"] == f"/subscriptions/my one/resourceGroups/Grün/providers/{PROVIDER}/servers/{NAME}"


def test_a_list_of_a_subscription_names_a_group_in_which_the_server_is_found(client):
    (found,) = client.get(f"/subscriptions/any/providers/{PROVIDER}/servers").json()["value"]
    assert found["id"].startswith("/subscriptions/any/resourceGroups/tabvault/")
    assert client.get(found["id"]).json() == found


def test_a_server_is_asked_for_with_head(client):
    assert client.head(SERVER).status_code == 204
    assert client.head(f"{SERVER}2").status_code == 404


@pytest.mark.parametrize(
    ("server", "resource"),
    [
        ("Srv-1.example", "srv1example"),
        ("2nd", "tabvault"),
        ("42nord", "nord"),
        ("ä", "tabvault"),
        ("x" * 99, "x" * 63),
    ],
)
def test_the_name_of_a_server_becomes_one_that_client_libraries_take(server, resource):
    assert resource_name(server) == resource


def test_both_versions_are_spoken_and_no_other(client):
    assert client.get(SERVER, params={"api-version": "2017-08-01-beta"}).status_code == 200
    for wrong in ("2016-05-16", "", "2017-08-01' or 1"):
        assert refused(client.get(SERVER, params={"api-version": wrong}))[:2] == (400, "InvalidApiVersionParameter")


def test_a_version_has_to_be_named_once(managed):
    with managed.client() as client:
        client.params = {}
        assert refused(client.get(SERVER))[:2] == (400, "MissingApiVersionParameter")
        twice = client.get(f"{SERVER}?api-version=2017-08-01&API-Version=2017-08-01")
        assert refused(twice)[:2] == (400, "InvalidApiVersionParameter")


@pytest.mark.parametrize(
    "path",
    [
        "/subscriptions",
        "/providers",
        f"/subscriptions/a/providers/{PROVIDER}",
        f"/subscriptions/a/resourceGroups/b/providers/{PROVIDER}/servers/{NAME}/backup",
        f"/subscriptions//resourceGroups/b/providers/{PROVIDER}/servers",
        "/subscriptions/a/resourceGroups/b/providers/Microsoft.Sql/servers",
    ],
)
def test_there_is_nothing_at_other_paths(client, path):
    assert refused(client.get(path))[:2] == (404, "InvalidResourceType")


@pytest.mark.parametrize("variable", ["%2F", "%FF", "%00", "a" * 257, "%0A"])
def test_a_variable_that_is_no_name_is_refused(client, variable):
    answer = client.get(f"/subscriptions/{variable}/providers/{PROVIDER}/servers")
    assert refused(answer) == (400, "InvalidRequestContent", "subscription")


def test_another_method_is_refused_with_those_that_there_are(client):
    answer = client.post(SERVER)
    assert refused(answer)[:2] == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, HEAD, PUT, PATCH, DELETE"


def test_the_document_lists_what_the_table_does():
    rows = next(table for table in tables(read(DOCS / "reference" / "management.md")) if "operation" in table[0])
    whole = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{PROVIDER}"
    found = [(row["method"], row["path"].replace("…", whole), row["operation"]) for row in rows]
    assert [tuple(cell.strip("`") for cell in row) for row in found] == list(TABLE)


# ---- who is let in


def test_strangers_are_refused_in_this_form(managed, client):
    with managed.client(None) as nobody, managed.client(token="eyJ.a.b") as liar, managed.client(STRANGER) as carol:
        unnamed = nobody.get(SERVER)
        assert refused(unnamed)[:2] == (401, "AuthenticationFailed")
        assert unnamed.headers["www-authenticate"] == "Bearer"
        assert refused(liar.patch(SERVER, json={}))[:2] == (401, "AuthenticationFailed")
        assert refused(carol.patch(SERVER, json={"tags": {"a": "b"}}))[:2] == (403, "AuthorizationFailed")
    assert client.get(SERVER).json()["tags"] == {}


def test_no_operation_answers_who_does_not_administer_the_server(managed):
    with managed.client(STRANGER) as carol:
        for method, path in every_operation():
            answer = carol.request(method, path, json={} if method in {"PUT", "PATCH", "POST"} else None)
            assert answer.status_code == 403, (method, path)


def every_operation() -> Iterator[tuple[str, str]]:
    values = {"subscription": "a", "group": "b", "server": NAME, "location": "c", "operation": "d"}
    for method, path, _ in TABLE:
        yield method, path.format(**values)


def test_an_api_key_of_an_administrator_is_taken_as_a_bearer_token(managed):
    accounts = managed.service.access.accounts
    for scope, status in (("admin", 200), ("backup", 403)):
        _, key = accounts.create_api_key("alice", scope, [scope])
        with managed.client(token=key) as client:
            assert client.get(SERVER).status_code == status


# ---- changes


def test_what_is_kept_is_found_again_by_the_next_process(client, managed):
    shown = changed(
        client,
        sku={"name": "B2"},
        tags={"a": "b", "Ä": ""},
        properties={"managedMode": 0, "serverMonitorMode": 0, "querypoolConnectionMode": "All"},
    )
    assert shown["sku"] == {"name": "B2", "tier": "Basic", "capacity": 1}
    assert (shown["tags"], shown["properties"]["managedMode"]) == ({"a": "b", "Ä": ""}, 0)
    kept = load_server_resource(managed.service.vault.data)
    assert (kept.sku.tier, kept.tags, kept.server_monitor_mode) == ("Basic", (("a", "b"), ("Ä", "")), 0)


def test_what_was_read_can_be_put_back_as_it_is(client):
    mode = {"querypoolConnectionMode": "ReadOnly"}
    changed(client, tags={"a": "b"}, sku={"name": "S2", "capacity": 2}, properties=mode)
    shown = client.get(SERVER).json()
    answer = client.put(SERVER, json=shown)
    assert (answer.status_code, answer.json()) == (200, shown)


def test_put_needs_what_the_specification_requires(client):
    assert refused(client.put(SERVER, json={"sku": {"name": "S1"}})) == (400, "InvalidRequestContent", "location")
    assert refused(client.put(SERVER, json={"location": "x"})) == (400, "InvalidRequestContent", "sku")


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"sku": {"name": "S3"}}, "sku.name"),
        ({"sku": {"name": "S1", "tier": "Basic"}}, "sku.tier"),
        ({"sku": {"name": "S1", "capacity": 9}}, "sku.capacity"),
        ({"sku": {"name": "S1", "capacity": True}}, "sku.capacity"),
        ({"tags": {str(number): "" for number in range(51)}}, "tags"),
        ({"tags": {"a": "", "A": ""}}, "tags"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"location": "\x00"}, "location"),
        ({"property": {}}, "property"),
        ({"properties": {"backupBlobContainerURI": "x"}}, "properties.backupBlobContainerURI"),
        ({"properties": {"querypoolConnectionMode": "Some"}}, "querypoolConnectionMode"),
        ({"properties": {"querypoolConnectionMode": "ReadOnly"}}, "querypoolConnectionMode"),
        ({"properties": {"managedMode": 2}}, "properties.managedMode"),
        ({"properties": {"gatewayDetails": {"gatewayResourceId": "/x"}}}, "properties.gatewayDetails"),
        ({"properties": {"asAdministrators": {"members": []}}}, "asAdministrators.members"),
        ({"properties": {"asAdministrators": {"members": ["nobody"]}}}, "asAdministrators.members"),
        ({"properties": {"asAdministrators": {"members": ["alice", "\x07"]}}}, "properties.asAdministrators.members.1"),
        (
            {"properties": {"backupBlobContainerUri": "https://contoso.blob.core.windows.net/b"}},
            "backupBlobContainerUri",
        ),
        ({"properties": {"backupBlobContainerUri": f"{SAS_URL}{'x' * 4096}"}}, "properties.backupBlobContainerUri"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(client, body, target):
    before = client.get(SERVER).json()
    assert refused(client.patch(SERVER, json=body)) == (400, "InvalidRequestContent", target)
    assert client.get(SERVER).json() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"tags": {"a": "1", "a": "2"}}',
        b'{"sku": {"name": "S1", "capacity": NaN}}',
        b'{"sku": {"name": "S1", "capacity": ' + b"9" * 5000 + b"}}",
        b"[" * 100_000,
        b"\xff\xfe{\x00}\x00",
        json.dumps({"tags": {"a": "\ud800"}}).encode(),
    ],
)
def test_a_body_that_is_no_such_document_is_refused(client, content):
    answer = client.patch(SERVER, content=content, headers={"Content-Type": "application/json"})
    assert refused(answer)[:2] == (400, "InvalidRequestContent")


def test_a_body_that_is_too_large_or_of_another_type_is_refused(client):
    large = client.patch(
        SERVER, content=b" " * (answers.BODY_BYTE_COUNT_MAX + 1), headers={"Content-Type": "application/json"}
    )
    assert refused(large)[:2] == (413, "RequestTooLarge")
    form = client.patch(SERVER, data={"tags": "x"})
    assert refused(form)[:2] == (415, "UnsupportedMediaType")


# ---- the firewall


def rules(*ranges: tuple[str, str, str]) -> dict[str, Any]:
    named = [{"firewallRuleName": name, "rangeStart": start, "rangeEnd": end} for name, start, end in ranges]
    return {"ipV4FirewallSettings": {"firewallRules": named, "enablePowerBIService": False}}


def test_the_firewall_is_that_of_the_server_and_its_rules_for_ipv6_stay(client, managed):
    firewall = managed.service.access.firewall
    firewall.put_rule(FirewallRule.parse("six", "2001:db8::", "2001:db8::ff"))
    firewall.put_rule(FirewallRule.parse("old", "203.0.113.1", "203.0.113.1"))
    assert "ipV4FirewallSettings" not in client.get(SERVER).json()["properties"]
    shown = changed(client, properties=rules(("office", "192.0.2.1", "192.0.2.9")))["properties"]
    assert shown["ipV4FirewallSettings"] == rules(("office", "192.0.2.1", "192.0.2.9"))["ipV4FirewallSettings"]
    assert [rule.name for rule in firewall.settings.rules] == ["six", "office"]
    assert firewall.settings.enabled
    assert "ipV4FirewallSettings" not in changed(client, properties={"ipV4FirewallSettings": None})["properties"]
    assert not firewall.settings.enabled


def test_a_firewall_whose_rules_are_not_sent_stays_as_it_is(client, managed):
    settings = {"ipV4FirewallSettings": {"enablePowerBIService": True}}
    assert "ipV4FirewallSettings" not in changed(client, properties={"ipV4FirewallSettings": {}})["properties"]
    assert managed.service.access.firewall.settings == FirewallSettings(), "it was off, and without rules shuts all out"
    office = rules(("office", "192.0.2.1", "192.0.2.9"))["ipV4FirewallSettings"]
    changed(client, properties={"ipV4FirewallSettings": office})
    shown = changed(client, properties=settings)["properties"]["ipV4FirewallSettings"]
    assert shown == {**office, "enablePowerBIService": True}


@pytest.mark.parametrize(
    "one",
    [
        ("office", "192.0.2.9", "192.0.2.1"),
        ("office", "2001:db8::", "2001:db8::ff"),
        ("office", "192.0.2.1", "2001:db8::ff"),
        ("office", "192.0.2.1", "192.0.2.256"),
        ("my office", "192.0.2.1", "192.0.2.1"),
        ("", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(client, managed, one):
    assert refused(client.patch(SERVER, json={"properties": rules(one)}))[:2] == (400, "InvalidRequestContent")
    assert managed.service.access.firewall.settings == FirewallSettings()


def test_two_rules_of_one_name_are_refused(client):
    twice = rules(("office", "192.0.2.1", "192.0.2.1"), ("OFFICE", "192.0.2.2", "192.0.2.2"))
    assert refused(client.patch(SERVER, json={"properties": twice}))[:2] == (400, "InvalidRequestContent")


# ---- secrets


def test_a_signature_comes_out_nowhere(client, managed, caplog):
    answers = [
        client.patch(SERVER, json={"properties": {"backupBlobContainerUri": url}})
        for url in (
            SAS_URL.replace("contoso.blob.core.windows.net", "127.0.0.1:1/contoso"),
            SAS_URL.replace("https", "http"),
            SAS_URL.replace("backups", "No Container!"),
            SAS_URL.replace("sv=", "sv=%"),
            f"ftp{SAS_URL}",
        )
    ]
    answers.append(client.patch(SERVER, json={"properties": {"backupBlobContainerUri": [SAS_URL]}}))
    answers.append(client.patch(SERVER, json={"properties": {SAS_URL[-200:]: SAS_URL}}))
    answers.append(client.get(SERVER))
    for answer in answers[:-2]:
        assert refused(answer)[0] == 400
    audit = b"".join(file.read_bytes() for file in (managed.service.vault.data / "server").rglob("*") if file.is_file())
    for text in (*(one.text for one in (*answers[:-2], answers[-1])), caplog.text, audit.decode(errors="replace")):
        assert SIGNATURE not in text


# ---- operations that take their time


def test_a_change_that_takes_its_time_is_asked_for_until_it_ends(client, managed, monkeypatch):
    may_end = threading.Event()
    management = managed.service.management
    update = management.update

    def slow(*arguments):
        assert may_end.wait(10)
        update(*arguments)

    monkeypatch.setattr(answers, "ENDED_WITHIN_S", 0.0)
    monkeypatch.setattr(management, "update", slow)
    answer = client.patch(SERVER, json={"tags": {"slow": "yes"}})
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert answer.json()["properties"]["provisioningState"] == answer.json()["properties"]["state"] == "Updating"
    status_url, result_url = answer.headers["azure-asyncoperation"], answer.headers["location"]
    base = f"{managed.url}/subscriptions/{SUBSCRIPTION}/providers/{PROVIDER}/locations/local"
    pattern = rf"{base}/operation%s/[0-9a-f]{{32}}\?api-version=2017-08-01"
    assert re.fullmatch(pattern % "statuses", status_url)
    assert re.fullmatch(pattern % "results", result_url)
    status = client.get(status_url)
    assert (status.status_code, status.json()["status"], status.headers["retry-after"]) == (202, "Running", "1")
    assert client.get(result_url).status_code == 202
    second = client.patch(SERVER, json={"tags": {}})
    assert refused(second)[:2] == (409, "AnotherOperationInProgress")
    may_end.set()
    ended = ended_status(client, status_url)
    assert ended.keys() == {"id", "name", "startTime", "endTime", "status"}
    assert ended["status"] == "Succeeded"
    result = client.get(result_url)
    assert (result.status_code, result.json()) == (200, client.get(SERVER).json())
    assert result.json()["tags"] == {"slow": "yes"}


def test_an_operation_that_fails_says_why_to_whoever_asks_for_it(client, managed, monkeypatch):
    monkeypatch.setattr(answers, "ENDED_WITHIN_S", 0.0)
    url = SAS_URL.replace("contoso.blob.core.windows.net", "127.0.0.1:1/contoso")
    answer = client.patch(SERVER, json={"properties": {"backupBlobContainerUri": url}})
    status = ended_status(client, answer.headers["azure-asyncoperation"])
    assert status["status"] == "Failed"
    assert refused(client.get(answer.headers["location"]))[:2] == (400, status["error"]["code"])


def ended_status(client: httpx.Client, url: str) -> dict[str, Any]:
    while (status := client.get(url)).status_code == 202:
        pass
    return status.json()


def test_an_operation_that_is_not_known_is_not_there(client):
    for kind in ("operationstatuses", "operationresults"):
        answer = client.get(f"/subscriptions/a/providers/{PROVIDER}/locations/b/{kind}/{'0' * 32}")
        assert refused(answer)[:2] == (404, "OperationNotFound")


# ---- administrators


def test_administrators_are_users_and_nobody_shuts_himself_out(client, managed):
    accounts = managed.service.access.accounts
    shown = changed(client, properties={"asAdministrators": {"members": ["ALICE", "carol"]}})
    assert shown["properties"]["asAdministrators"]["members"] == ["alice", "carol"]
    without_me = client.patch(SERVER, json={"properties": {"asAdministrators": {"members": ["carol"]}}})
    assert refused(without_me) == (400, "InvalidRequestContent", "asAdministrators.members")
    changed(client, properties={"asAdministrators": {"members": ["alice"]}})
    assert [user.is_server_administrator for user in accounts.users] == [True, False]


def test_every_change_is_in_the_audit_log(client, managed):
    audit = managed.service.audit
    first = max((line.sequence for line in audit.read(limit=1)), default=0)
    changed(client, tags={"a": "b"}, properties=rules(("office", "192.0.2.1", "192.0.2.9")))
    lines = [line for line in audit.read(limit=100) if line.sequence > first]
    assert [(line.operation, line.phase) for line in reversed(lines)] == [
        ("configure_firewall", "begin"),
        ("configure_firewall", "end"),
        ("update_server", "begin"),
        ("update_server", "end"),
    ]
    assert {(line.who, line.address, line.result) for line in lines if line.phase == "end"} == {
        ("alice", "127.0.0.1", "success")
    }


def test_metrics_count_requests_by_the_path_of_the_table(client):
    client.get(SERVER)
    metrics = client.get("/metrics").text
    route = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.AnalysisServices/servers/{server}"
    assert f'route="{route}"' in metrics
    assert "Test RG" not in metrics
