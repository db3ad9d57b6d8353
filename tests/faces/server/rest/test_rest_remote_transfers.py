"""The container over REST by its own name, where it is in Azure Storage or in S3: as in a folder of the server."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import ContainerClient

from faces.server.services import local_server
from storage.s3.bucket import ACCESS_KEY_ID, REGION, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from faces.server.services import LocalServer

pytest_plugins = ["storage.azure.azurite", "storage.s3.service"]

OCTETS = {"Content-Type": "application/octet-stream"}
PARTIAL = {"Content-Type": "application/partial-upload"}
LAST = {"Upload-Complete": "?1"}
CONTENT = bytes(range(256)) * 8192  # 2 MiB: several pieces
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
NAME = "week 1/Käse 100 %.abf"


@dataclass(frozen=True)
class Service:
    """A storage account: what the server is told of it, and the MD5 of an object as the service has it."""

    credential: dict[str, str]
    md5: Callable[[str], bytes | None]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("transfers")) as running:
        yield running


@pytest.fixture(scope="module")
def container() -> str:
    return f"rest-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def azure(azurite: tuple[int, str], container: str) -> Iterator[Service]:
    port, key = azurite
    url = f"http://127.0.0.1:{port}/testaccount"
    with ContainerClient(url, container, credential=key) as client:

        def md5(name: str) -> bytes | None:
            return client.get_blob_client(name).get_blob_properties().content_settings.content_md5

        yield Service({"type": "account_key", "url": url, "key": key}, md5)


@pytest.fixture(scope="module")
def s3_service(s3_port: int, s3: Any, container: str) -> Service:
    def md5(name: str) -> bytes:
        # The ETag of what came in one PutObject.
        return bytes.fromhex(s3.head_object(Bucket=container, Key=name)["ETag"].strip('"'))

    access = {"region": REGION, "access_key_id": ACCESS_KEY_ID, "secret": SECRET}
    return Service({"type": "access_key", "url": f"http://127.0.0.1:{s3_port}", **access}, md5)


@pytest.fixture(scope="module", params=["azure", "s3_service"])
def service(request: pytest.FixtureRequest) -> Service:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def here(local: LocalServer, service: Service, container: str) -> str:
    """The path of the container, which the server is configured with."""
    client = local.client()
    account = {"name": "elsewhere", "credential": service.credential, "overwrite": True}
    assert client.post("/api/storage/accounts", json=account).status_code == 201
    made = client.post("/api/storage/accounts/elsewhere/containers", json={"name": container})
    assert made.status_code == 201
    settings = {"enabled": True, "account": "elsewhere", "container": container}
    assert client.put("/api/storage", json=settings).json()["check"]["ok"]
    assert client.post("/api/storage/check", json={}).json()["container"] == container
    return f"/api/storage/{container}"


@pytest.fixture
def client(local: LocalServer) -> httpx.Client:
    return local.client()


def put(client: httpx.Client, path: str, content: bytes, **headers: str) -> httpx.Response:
    return client.put(path, content=content, headers=OCTETS | named(headers))


def append(client: httpx.Client, upload: str, offset: int, content: bytes, **headers: str) -> httpx.Response:
    return client.patch(upload, content=content, headers=PARTIAL | {"Upload-Offset": str(offset)} | headers)


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_file_is_put_got_and_removed_whole_and_in_parts(client: httpx.Client, service: Service, here: str) -> None:
    made = put(client, f"{here}/{NAME}", CONTENT)
    assert (made.status_code, service.md5(NAME)) == (201, MD5)
    place, etag = made.headers["Location"], made.headers["ETag"]
    got = client.get(place)
    assert (got.content, got.headers["ETag"]) == (CONTENT, etag)
    head = client.head(place)
    assert (head.headers["Content-Length"], head.headers["ETag"], head.content) == (str(len(CONTENT)), etag, b"")
    for wanted, expected in (
        ("1000-1500000", CONTENT[1000:1500001]),
        ("-7", CONTENT[-7:]),
        ("2097100-", CONTENT[-52:]),
    ):
        part = client.get(place, headers={"Range": f"bytes={wanted}"})
        first = len(CONTENT) - len(expected) if len(expected) < 100 else 1000
        shown = f"bytes {first}-{first + len(expected) - 1}/{len(CONTENT)}"
        assert (part.status_code, part.headers["Content-Range"], part.content) == (206, shown, expected)
    behind = client.get(place, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    (listed,) = client.get("/api/files").json()["files"]
    assert (listed["name"], listed["byte_count"]) == (NAME, len(CONTENT))
    assert client.delete(place).status_code == 204
    assert refusal(client.get(place)) == (404, "storage_not_found")
    assert refusal(client.delete(place)) == (404, "storage_not_found")


def test_conditions_hold_where_the_file_is(client: httpx.Client, here: str) -> None:
    place = f"{here}/once.abf"
    old = put(client, place, b"first").headers["ETag"]
    new = put(client, place, b"second").headers["ETag"]
    assert old != new
    assert client.get(place, headers={"If-None-Match": new}).status_code == 304
    assert refusal(client.get(place, headers={"If-Match": old})) == (412, "precondition_failed")
    assert client.get(place, headers={"Range": "bytes=0-2", "If-Range": new}).content == b"sec"
    assert client.get(place, headers={"Range": "bytes=0-2", "If-Range": old}).content == b"second"
    assert refusal(put(client, place, b"third", If_None_Match="*")) == (409, "storage_exists")
    assert refusal(put(client, place, b"third", If_Match=old)) == (412, "precondition_failed")
    assert refusal(client.delete(place, headers={"If-Match": old})) == (412, "precondition_failed")
    assert client.get(place).content == b"second"
    third = put(client, place, b"third", If_Match=new)
    assert (third.status_code, client.get(place).content) == (201, b"third")
    assert client.delete(place, headers={"If-Match": third.headers["ETag"]}).status_code == 204
    assert refusal(put(client, place, b"fourth", If_Match="*")) == (412, "precondition_failed")
    assert put(client, place, b"fourth", If_None_Match="*").status_code == 201


def test_an_upload_that_is_cut_off_goes_on_and_appears_when_it_is_whole(
    client: httpx.Client, service: Service, here: str
) -> None:
    place, headers = f"{here}/parts.abf", {"Upload-Length": str(len(CONTENT)), "Upload-Key": "laptop"}
    begun = client.post(place, headers=headers)
    assert (begun.status_code, begun.headers["Upload-Offset"]) == (201, "0")
    upload = begun.headers["Location"]
    assert append(client, upload, 0, CONTENT[:1_000_000]).headers["Upload-Offset"] == "1000000"
    assert refusal(client.get(place)) == (404, "storage_not_found")
    again = client.post(place, headers=headers)
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (upload, "1000000")
    last = append(client, upload, 1_000_000, CONTENT[1_000_000:], **LAST)
    assert (last.status_code, last.headers["Upload-Complete"]) == (200, "?1")
    stored = client.get(place)
    assert (stored.content == CONTENT, service.md5("parts.abf")) == (True, MD5)
    assert f'"{client.get(upload).json()["etag"]}"' == stored.headers["ETag"]


def test_an_upload_whose_file_was_replaced_meanwhile_is_refused_at_its_end(client: httpx.Client, here: str) -> None:
    place = f"{here}/race.abf"
    for condition, code in ((("If-None-Match", "*"), (409, "storage_exists")), (None, (412, "precondition_failed"))):
        name, value = condition or ("If-Match", client.get(place).headers["ETag"])
        upload = client.post(place, headers={"Upload-Length": "5", name: value}).headers["Location"]
        append(client, upload, 0, b"12345")
        put(client, place, b"faster " + name.encode())
        assert refusal(append(client, upload, 5, b"", **LAST)) == code
        assert client.get(place).content == b"faster " + name.encode()
