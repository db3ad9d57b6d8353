"""
Microsoft's tabular object model against a server whose backups are in Azure Storage, and against a paused one.

What the server keeps in the container is looked at by the plain client library of Azure Storage; what was in a file, by
PBIXRay.
"""

from __future__ import annotations

import datetime
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import ContainerClient
from pbixray import PBIXRay

from clients.client import Client, clients_python
from conftest import sample_path
from faces.program import call
from faces.server.management.managed_server import PROVIDER, VERSION
from faces.server.servers import ADMINISTRATOR
from faces.server.services import local_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from clients.client import Refusal
    from faces.server.services import LocalServer

pytest_plugins = ["clients.fixtures", "storage.azure.azurite"]

SAMPLE = "Hugoberry__DataModel.abf"
TABLES = ("Category", "Date", "Defect", "Material Type", "Plant")
"""With text, whole numbers, doubles and dates."""
UPLOADED = "from elsewhere/Käse 1.abf"
RANGE_BYTE_COUNT = 4 << 10
PAUSED = "The server is paused. Hint: a server administrator resumes the server, over its management interface."


@pytest.fixture(scope="module")
def backups(azurite: tuple[int, str]) -> Iterator[ContainerClient]:
    """A container, as the plain client library has it; it downloads by short ranges."""
    port, key = azurite
    ranges = {"max_single_get_size": RANGE_BYTE_COUNT, "max_chunk_get_size": RANGE_BYTE_COUNT}
    url = f"http://127.0.0.1:{port}/testaccount"
    with ContainerClient(url, f"test-{secrets.token_hex(8)}", credential=key, **ranges) as client:
        client.create_container()
        yield client


@pytest.fixture(scope="module")
def local(
    tmp_path_factory: pytest.TempPathFactory, azurite: tuple[int, str], backups: ContainerClient
) -> Iterator[LocalServer]:
    """A server with a database, whose administrator has chosen that container for backups."""
    clients_python()  # without them nobody needs the server
    port, key = azurite
    credential = {"type": "account_key", "url": f"http://127.0.0.1:{port}/testaccount", "key": key}
    settings = {"enabled": True, "account": "contoso", "container": backups.container_name}
    with local_server(tmp_path_factory.mktemp("azure"), shop="Hugoberry__abc.pbix") as running:
        alice = running.client()
        assert alice.post("/api/storage/accounts", json={"name": "contoso", "credential": credential}).is_success
        assert alice.put("/api/storage", json=settings).json()["check"]["ok"]
        yield running


@pytest.fixture(scope="module")
def tom(local: LocalServer) -> Iterator[Client]:
    with Client(f"{local.url}/xmla", dict([ADMINISTRATOR])) as one:
        yield one


def test_a_file_that_the_plain_library_uploaded_is_restored_with_every_value(
    tom: Client, backups: ContainerClient
) -> None:
    with sample_path(SAMPLE).open("rb") as file:
        backups.upload_blob(UPLOADED, file)
    tom.restore(UPLOADED, "Quality")
    assert tom.databases()["Quality"][2:] == ["Processed", "ReadWrite"]
    genuine = PBIXRay(str(sample_path(SAMPLE)))
    for table in TABLES:
        expected = genuine.get_table(table)
        answer = tom.query(f"EVALUATE '{table}'", "Quality")
        assert answer["names"] == [f"{table}[{name}]" for name in expected.columns]
        assert answer["rows"] == cells(expected) != [], table


def test_a_backup_is_for_the_plain_library_what_the_command_line_gets(
    tom: Client,
    local: LocalServer,
    backups: ContainerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tom.backup("shop", "nightly/shop.abf")
    (listed,) = backups.list_blobs(name_starts_with="nightly")
    has_md5 = []

    def answered(response: Any) -> None:
        has_md5.append("Content-MD5" in response.http_response.headers)

    download = backups.download_blob(listed.name, validate_content=True, raw_response_hook=answered)
    content = download.readall()
    assert len(content) == listed.size
    assert has_md5 == [True] * -(-listed.size // RANGE_BYTE_COUNT), "each range came with its MD5"
    assert len(has_md5) > 3

    file, password = tmp_path / "shop.abf", tmp_path / "password"
    password.write_text(ADMINISTRATOR[1])
    password.chmod(0o600)
    login = ["--server", local.url, "--user", ADMINISTRATOR[0], "--login-password-file", password]
    command = ["storage", "get", "nightly/shop.abf", file, *login]
    done = call(*command, data=tmp_path / "nowhere", monkeypatch=monkeypatch, capsys=capsys)
    assert (done.status, done.err) == (0, "")
    assert file.read_bytes() == content
    genuine, ours = PBIXRay(str(sample_path("Hugoberry__abc.pbix"))), PBIXRay(str(file))
    assert list(ours.tables) == ["ABC", "BrokenColumns"] == list(genuine.tables)
    for table in ours.tables:
        assert cells(ours.get_table(table)) == cells(genuine.get_table(table))


def test_a_server_that_the_management_interface_paused_says_so_and_works_again_when_resumed(
    tom: Client, local: LocalServer, backups: ContainerClient, refused: Refusal
) -> None:
    assert tom.names() == list(tom.databases())
    ask(local, "suspend", "Paused")
    before = list(backups.list_blob_names())
    try:
        open_before = refused("OperationException", tom.backup, "shop", "paused.abf")
        connecting = refused("OperationException", tom.databases)
        restoring = refused("OperationException", tom.restore, before[0], "paused")
        asking = refused("AdomdErrorResponseException", tom.names)
    finally:
        ask(local, "resume", "Succeeded")
    assert {open_before, connecting, restoring, asking} == {PAUSED}
    assert list(backups.list_blob_names()) == before
    assert "paused" not in tom.databases()
    tom.backup("shop", "resumed.abf")
    assert backups.get_blob_client("resumed.abf").exists()


def ask(local: LocalServer, action: str, state: str) -> None:
    server = f"/subscriptions/a/resourceGroups/b/providers/{PROVIDER}/servers/{local.service.name}"
    answer = local.client().post(f"{server}/{action}", params=VERSION)
    assert (answer.status_code, answer.json()["properties"]["state"]) == (200, state)


def cells(frame: pd.DataFrame) -> list[list[object]]:
    """The rows that PBIXRay reads, with values as the program of the clients writes them."""
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return [[cell(value) for value in row] for row in rows]


def cell(value: object) -> object:
    match value:
        case None:
            return None
        case float():
            return ["float", value.hex()]
        case datetime.datetime():
            return ["datetime", f"{value:%Y-%m-%dT%H:%M:%S.%f}0"]
    return [type(value).__name__, value]
