"""The backup storage over REST: its settings, storage accounts of every kind, and containers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from faces.server.services import MEMBER, local_server
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from faces.server.services import LocalServer
    from storage.azure.azurite import Container

pytest_plugins = ["storage.azure.azurite"]

URL = "https://contoso.blob.core.windows.net"
SECRET = "U2VjcmV0U2VjcmV0"  # in Base64, as keys are
SAS = f"sp=rwdl&se=2099-01-31T00%3A00%3A00Z&sig={SECRET}"

CREDENTIALS: dict[str, tuple[dict[str, str], dict[str, str | None]]] = {
    "connection_string": (
        {"text": f"AccountName=contoso;AccountKey={SECRET}"},
        {"credential": "key"},
    ),
    "container_url": (
        {"url": f"{URL}/backups?{SAS}"},
        {"credential": "sas", "container": "backups", "permissions": "rwdl", "expires": "2099-01-31T00:00:00+00:00"},
    ),
    "account_key": ({"url": URL, "key": SECRET}, {"credential": "key"}),
    "managed_identity": ({"url": URL, "client_id": "one"}, {"credential": "managed"}),
    "azure_cli": ({"url": URL}, {"credential": "cli"}),
    "service_principal": (
        {"url": URL, "tenant": "contoso.com", "client_id": "app", "secret": SECRET},
        {"credential": "service-principal"},
    ),
    "access_key": (
        {"region": "eu-west-1", "access_key_id": "AKIA", "secret": SECRET},
        {"credential": "access-key", "kind": "s3", "url": "https://s3.eu-west-1.amazonaws.com"},
    ),
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("storage")) as running:
        yield running


@pytest.fixture
def client(local: LocalServer) -> Iterator[httpx.Client]:
    """An administrator's; backups go to the embedded account before and after."""
    client = local.client()
    yield client
    assert client.put("/api/storage", json=settings("storage", "backups")).status_code == 200
    for account in client.get("/api/storage/accounts").json()["accounts"][1:]:
        assert client.delete(f"/api/storage/accounts/{account['name']}").status_code == 204


def settings(account: str | None, container: str | None, **more: object) -> dict[str, object]:
    return {"enabled": True, "account": account, "container": container, **more}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_backup_storage_is_configured_and_takes_backups_there(local, client, tmp_path):
    wanted = settings(str(tmp_path / "account"), "nightly")
    assert refusal(client.put("/api/storage", json=wanted)) == (403, "access_not_authorized")
    local.service.vault.storage.configure(BackupStorageSettings(**wanted | {"container": "weekly"}))  # at the machine
    saved = client.put("/api/storage", json=wanted).json()
    check = saved.pop("check")
    assert saved == wanted == client.get("/api/storage").json()
    assert (check["ok"], check["container"], check["is_writable"]) == (True, "nightly", True)
    assert (tmp_path / "account" / "nightly").is_dir()
    status = client.get("/api/server").json()
    assert (status["storage"], status["storage_check"]) == (wanted, check)
    octets = {"Content-Type": "application/octet-stream"}
    assert client.put("/api/files/x.abf", content=b"x", headers=octets).status_code == 201
    assert (tmp_path / "account" / "nightly" / "x.abf").read_bytes() == b"x"
    nothing = {"enabled": False, "account": None, "container": None}
    assert client.put("/api/storage", json=nothing).json() == nothing | {"check": None}
    assert client.get("/api/files").json()["code"] == "storage_not_configured"


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_an_account_of_every_kind_is_registered_without_showing_its_secret(local, client, kind):
    given, told = CREDENTIALS[kind]
    body = {"name": "Contoso", "credential": {"type": kind, **given}}
    answer = client.post("/api/storage/accounts", json=body)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/storage/accounts/Contoso")
    nothing = {"container": None, "permissions": None, "expires": None}
    assert answer.json() == {"name": "Contoso", "kind": "azure", "url": URL, **nothing, **told}
    listed = client.get("/api/storage/accounts")
    embedded, found = listed.json()["accounts"]
    assert (embedded["name"], embedded["kind"], found) == ("storage", "folder", answer.json())
    assert refusal(client.post("/api/storage/accounts", json=body)) == (409, "storage_exists")
    assert client.post("/api/storage/accounts", json=body | {"overwrite": True}).status_code == 201
    assert SECRET not in answer.text + listed.text
    written = [path.read_bytes() for path in local.service.vault.data.rglob("*") if path.is_file()]
    assert any(b'"add_storage_account"' in content for content in written)
    assert not any(SECRET.encode() in content for content in written)


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "no credential": ({"name": "x"}, "credential"),
    "a name that is none": ({"name": "a/b", "credential": {"type": "azure_cli", "url": URL}}, "name"),
    "the embedded one": ({"name": "Storage", "credential": {"type": "azure_cli", "url": URL}}, "name"),
    "an unknown kind": ({"name": "x", "credential": {"type": "password", "text": SECRET}}, "credential"),
    "a secret too many": (
        {"name": "x", "credential": {"type": "azure_cli", "url": URL, "secret": SECRET}},
        "credential.azure_cli.secret",
    ),
    "an empty secret": (
        {"name": "x", "credential": {"type": "connection_string", "text": ""}},
        "credential.connection_string.text",
    ),
    "a URL without a SAS": ({"name": "x", "credential": {"type": "container_url", "url": URL}}, "credential"),
    "a key that is none": (
        {"name": "x", "credential": {"type": "account_key", "url": URL, "key": f"{SECRET}?"}},
        "credential",
    ),
    "a SAS where it does not belong": (
        {"name": "x", "credential": {"type": "azure_cli", "url": f"{URL}?{SAS}"}},
        "credential",
    ),
    "no TLS": (
        {"name": "x", "credential": {"type": "account_key", "url": "http://192.0.2.1", "key": SECRET}},
        "credential",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_an_account_is_refused_with_its_place_and_without_its_secret(client, what):
    body, path = WRONG[what]
    answer = client.post("/api/storage/accounts", json=body)
    assert (refusal(answer), answer.json()["path"]) == ((400, "request"), path)
    assert SECRET not in answer.text
    assert len(client.get("/api/storage/accounts").json()["accounts"]) == 1


def test_an_account_that_backups_go_to_stays(client, container: Container):
    url = f"{container.account_url()}/{container.name}?{container.sas('rwdl')}"
    body = {"name": "contoso", "credential": {"type": "container_url", "url": url}}
    assert client.post("/api/storage/accounts", json=body).status_code == 201
    assert client.put("/api/storage", json=settings("contoso", container.name)).status_code == 200
    assert refusal(client.delete("/api/storage/accounts/CONTOSO")) == (409, "storage_account_in_use")
    assert client.put("/api/storage", json=settings("storage", "backups")).status_code == 200
    assert client.delete("/api/storage/accounts/CONTOSO").status_code == 204
    assert refusal(client.delete("/api/storage/accounts/contoso")) == (404, "storage_not_found")
    assert refusal(client.put("/api/storage", json=settings("contoso", container.name))) == (
        409,
        "storage_not_configured",
    )


def test_where_no_backup_can_be_written_nothing_is_saved_unless_one_insists(client, container: Container):
    before = client.get("/api/storage").json()
    url = f"{container.account_url()}/{container.name}?{container.sas('rl')}"
    body = {"name": "reader", "credential": {"type": "container_url", "url": url}}
    assert client.post("/api/storage/accounts", json=body).status_code == 201
    answer = client.put("/api/storage", json=settings("reader", container.name))
    assert refusal(answer) == (502, "storage_access")
    assert "w (write)" in answer.json()["detail"]
    assert client.get("/api/storage").json() == before
    forced = client.put("/api/storage", json=settings("reader", container.name, force=True)).json()
    check = forced["check"]
    assert (forced["account"], check["permissions"], check["is_writable"]) == ("reader", "rl", False)
    assert client.get("/api/server").json()["storage_check"] == check


def test_containers_are_looked_for_and_made(client, container: Container):
    body = {"name": "all", "credential": {"type": "account_key", "url": container.account_url(), "key": container.key}}
    assert client.post("/api/storage/accounts", json=body).status_code == 201
    prefix = container.name[:-2]
    for account, name in (("all", f"{prefix}-new"), ("storage", "test-new")):
        path = f"/api/storage/accounts/{account}/containers"
        made = client.post(path, json={"name": name})
        assert (made.status_code, made.json()["name"]) == (201, name)
        assert refusal(client.post(path, json={"name": name})) == (409, "storage_exists")
        found = [one["name"] for one in client.get(path, params={"prefix": name[:-1]}).json()["containers"]]
        assert found == [name]
    assert client.get("/api/storage/accounts/all/containers", params={"prefix": "zzz"}).json() == {"containers": []}
    assert refusal(client.get("/api/storage/accounts/nobody/containers")) == (409, "storage_not_configured")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/storage", None),
        ("PUT", "/api/storage", settings(None, None)),
        ("GET", "/api/storage/accounts", None),
        ("POST", "/api/storage/accounts", {"name": "x", "credential": {"type": "azure_cli", "url": URL}}),
        ("DELETE", "/api/storage/accounts/x", None),
        ("GET", "/api/storage/accounts/storage/containers", None),
        ("POST", "/api/storage/accounts/storage/containers", {"name": "new"}),
    ],
)
def test_it_is_all_for_administrators_of_the_server(local, method, path, body):
    content = None if body is None else json.dumps(body)
    answer = local.client(MEMBER).request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 403
