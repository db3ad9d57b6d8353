"""
One way from registering a storage account to a database that comes back from it, on the command line alone.

Through a service that speaks S3, and through Azure Storage by identities, whose tokens a local issuer gives. What lies
there is looked at by the plain client libraries.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient

from faces.program import call
from jobs.vaults import values, vault_with
from storage.s3.bucket import ACCESS_KEY_ID, REGION, SECRET
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytest_plugins = ["storage.azure.azurite", "storage.azure.identities", "storage.s3.service"]

CONTENT = bytes(range(256)) * 1024
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
OUTSIDE = "managed outside header of this machine"
WORKS = [
    "OK       files can be listed",
    "OK       backups can be written",
    "OK       backups can be read",
    "OK       files can be removed",
]


@dataclass
class Service:
    """
    A storage account of somebody else.

    Attributes:
        options: with which it is registered.
        secret: the content of the file that the options end with, where they do.
        words: about the credential, as the command line tells it.
        md5s: MD5 of every object in a container, as the service has it; None where it has none.
    """

    options: str
    secret: str | None
    words: str
    md5s: Callable[[str], dict[str, bytes | None]]


@pytest.fixture
def s3_service(s3_port: int, s3: Any) -> Service:
    def md5s(bucket: str) -> dict[str, bytes | None]:
        # The ETag of what came in one PutObject is its MD5.
        listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
        return {found["Key"]: bytes.fromhex(found["ETag"].strip('"')) for found in listed}

    url = f"--s3-endpoint http://127.0.0.1:{s3_port} --region {REGION}"
    return Service(f"{url} --access-key-id {ACCESS_KEY_ID} --secret-key-file", SECRET, "access key", md5s)


@pytest.fixture
def azure_md5s(secured_azurite: tuple[str, str]) -> Callable[[str], dict[str, bytes | None]]:
    """Looks into a container as an identity of its own, which the issuer knows by the id ``outside``."""

    def md5s(container: str) -> dict[str, bytes | None]:
        with (
            ManagedIdentityCredential(client_id="outside") as credential,
            ContainerClient(secured_azurite[0], container, credential=credential) as client,
        ):
            return {found.name: found.content_settings.content_md5 for found in client.list_blobs()}

    return md5s


@pytest.fixture
def managed_identity(
    secured_azurite: tuple[str, str], azure_md5s: Callable[[str], dict[str, bytes | None]], issuer: list[str]
) -> Iterator[Service]:
    options = f"--account-url {secured_azurite[0]} --credential managed"
    yield Service(options, None, "managed identity", azure_md5s)
    assert set(issuer) == {"managed None header of this machine", OUTSIDE}


@pytest.fixture
def service_principal(
    secured_azurite: tuple[str, str], azure_md5s: Callable[[str], dict[str, bytes | None]], issuer: list[str]
) -> Iterator[Service]:
    identity = "--credential service-principal --client-id app-1 --tenant-id adfs --client-secret-file"
    options = f"--account-url {secured_azurite[0]} {identity}"
    yield Service(options, "right secret", "service principal", azure_md5s)
    assert set(issuer) == {"application app-1 https://storage.azure.com/.default", OUTSIDE}


@pytest.mark.parametrize("kind", ["s3_service", "managed_identity", "service_principal"])
def test_a_database_goes_there_and_comes_back(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service: Service = request.getfixturevalue(kind)
    said = []

    def lines(words: str, *more: str | Path) -> list[str]:
        done = call(*words.split(), *more, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)
        said.append(done.out + done.err)
        assert (done.status, done.err) == (0, ""), done.out + done.err
        return done.out.splitlines()

    with vault_with(tmp_path) as vault:
        expected = values(vault, "shop")
    secret = []
    if service.secret is not None:
        secret = [tmp_path / "secret"]
        secret[0].write_text(f"{service.secret}\n")
        secret[0].chmod(0o600)
    container = f"flow-{secrets.token_hex(8)}"

    assert lines(f"storage accounts add there {service.options}", *secret)[1] == service.words
    assert lines(f"storage containers create there/{container}")[0] == f"created container {container} in there"
    assert [line.partition("\t")[0] for line in lines("storage containers list there flow-")[1:]].count(container) == 1
    assert lines(f"storage settings set there/{container}")[-4:] == WORKS
    lines("backup shop week/shop.abf")
    assert [line.partition("\t")[0] for line in lines("storage list")] == ["name", "week/shop.abf"]
    assert "is good" in lines("verify storage:week/shop.abf")[-1]
    lines("restore week/shop.abf again")
    with Vault(tmp_path / "data") as vault:
        assert values(vault, "again") == expected

    (tmp_path / "file.bin").write_bytes(CONTENT)
    lines("storage put", tmp_path / "file.bin", "files/ä 1.bin")
    lines("storage get", "files/ä 1.bin", tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == CONTENT
    checked = lines("storage check")
    assert checked == [*WORKS, f"container {container} of storage account there works: 4 OK"]
    md5s = service.md5s(container)
    assert md5s.keys() == {"week/shop.abf", "files/ä 1.bin"}, "nothing else is left there"
    assert md5s["files/ä 1.bin"] == MD5
    lines("storage remove week/shop.abf")
    assert service.md5s(container).keys() == {"files/ä 1.bin"}
    assert service.secret is None or service.secret not in "".join(said)
