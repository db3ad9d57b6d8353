"""Files of the backup storage over REST: whole or not there, in parts, and within the room that there is."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from faces.server.servers import ADMINISTRATOR
from faces.server.services import local_server
from tabvault.jobs.operations import files as operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.server.services import LocalServer

OCTETS = {"Content-Type": "application/octet-stream"}
CONTENT = bytes(range(256)) * 8192  # 2 MiB: several pieces


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("files")) as running:
        assert put(running, "sales/monday.abf", CONTENT).status_code == 201
        yield running


def put(local: LocalServer, name: str, content, **parameters):
    return local.client().put(f"/api/files/{name}", content=content, headers=OCTETS, params=parameters)


def test_a_file_comes_back_as_it_was_put(local):
    answer = local.client().get("/api/files/sales/monday.abf")
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''monday.abf"
    assert local.client().get("/api/files/sales%2Fmonday.abf").content == CONTENT, "a slash may be encoded"
    head = local.client().head("/api/files/sales/monday.abf")
    assert (head.headers["content-length"], head.content) == (str(len(CONTENT)), b"")


def test_what_is_put_is_told_as_it_is_listed(local):
    answer = put(local, "list/ä b.abf", b"abc")
    assert answer.headers["Location"] == "/api/files/list/%C3%A4%20b.abf"
    (listed,) = local.client().get("/api/files", params={"prefix": "list/"}).json()["files"]
    assert listed == answer.json()
    assert (listed["name"], listed["byte_count"]) == ("list/ä b.abf", 3)
    assert local.client().get(answer.headers["Location"]).content == b"abc"


def test_many_files_are_listed_page_by_page(local):
    names = [f"page/{number}.abf" for number in range(5)]
    for name in names:
        put(local, name, b"x")
    first = local.client().get("/api/files", params={"prefix": "page/", "limit": 3}).json()
    assert [file["name"] for file in first["files"]] == names[:3]
    second = local.client().get("/api/files", params={"prefix": "page/", "limit": 3, "after": first["next"]}).json()
    assert [file["name"] for file in second["files"]] == names[3:]
    assert second["next"] is None


def test_a_file_is_replaced_only_where_that_is_asked_for(local):
    assert put(local, "once.abf", b"first").status_code == 201
    refused = put(local, "once.abf", b"second")
    assert (refused.status_code, refused.json()["code"]) == (409, "storage_exists")
    assert local.client().get("/api/files/once.abf").content == b"first"
    assert put(local, "once.abf", b"second", overwrite="true").status_code == 201
    assert local.client().get("/api/files/once.abf").content == b"second"


@pytest.mark.parametrize(
    ("wanted", "content", "content_range"),
    [
        ("bytes=0-0", CONTENT[:1], "bytes 0-0/2097152"),
        ("bytes=1000-70000", CONTENT[1000:70001], "bytes 1000-70000/2097152"),
        ("bytes=2097150-", CONTENT[-2:], "bytes 2097150-2097151/2097152"),
        ("bytes=-3", CONTENT[-3:], "bytes 2097149-2097151/2097152"),
        ("bytes=-99999999", CONTENT, "bytes 0-2097151/2097152"),
        ("bytes=2097151-99999999", CONTENT[-1:], "bytes 2097151-2097151/2097152"),
    ],
)
def test_a_part_is_what_the_range_says(local, wanted, content, content_range):
    answer = local.client().get("/api/files/sales/monday.abf", headers={"Range": wanted})
    assert (answer.status_code, answer.headers["content-range"]) == (206, content_range)
    assert answer.content == content


@pytest.mark.parametrize("wanted", ["bytes=2097152-", "bytes=9999999-99999999", "bytes=-0"])
def test_a_part_behind_the_end_is_refused(local, wanted):
    answer = local.client().get("/api/files/sales/monday.abf", headers={"Range": wanted})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */2097152"


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "bytes=²-3"])
def test_a_range_that_is_not_understood_asks_for_everything(local, wanted):
    answer = local.client().get("/api/files/sales/monday.abf", headers=[("Range", wanted.encode("latin-1"))])
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


def test_a_download_goes_on_only_with_the_same_file(local):
    put(local, "changing.abf", b"first content")
    etag = local.client().get("/api/files/changing.abf").headers["etag"]
    headers = {"Range": "bytes=6-", "If-Range": etag}
    assert local.client().get("/api/files/changing.abf", headers=headers).content == b"content"
    put(local, "changing.abf", b"other content", overwrite="true")
    changed = local.client().get("/api/files/changing.abf", headers=headers)
    assert (changed.status_code, changed.content) == (200, b"other content")


def test_an_upload_that_breaks_off_leaves_nothing(local):
    host, port = local.url.removeprefix("http://").split(":")
    for head in (
        b"Content-Length: 1000000\r\n\r\n" + b"x" * 300_000,
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"PUT /api/files/broken.abf HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
                b"Authorization: " + authorization() + b"\r\n" + head
            )
            time.sleep(0.3)
    deadline_s = time.monotonic() + 10
    while not ended("broken.abf", local):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert local.client().get("/api/files/broken.abf").status_code == 404
    uploads = local.service.vault.data / "storage" / "backups" / ".tabvault-uploads"
    assert not [path for path in uploads.iterdir() if path.is_file()]


def ended(name: str, local: LocalServer) -> bool:
    lines = local.client().get("/api/audit").json()["lines"]
    return sum((line["object"], line["phase"], line["result"]) == (name, "end", "failure") for line in lines) == 2


def authorization() -> bytes:
    import base64

    return b"Basic " + base64.b64encode(":".join(ADMINISTRATOR).encode())


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e/x", "a/../../x", "a%00b", ".hidden", "C:%5Cx", "a//b", "con", "%ff"]
)
def test_a_name_that_leads_elsewhere_is_refused(local, name):
    host, port = local.url.removeprefix("http://").split(":")
    # Not by a client that would tidy the path up.
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"PUT /api/files/{name} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: 1\r\nConnection: close\r\nAuthorization: {authorization().decode()}\r\n\r\nx".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b"storage_invalid_name" in answer or b"the path is not UTF-8" in answer


def test_an_upload_over_the_room_that_there_is_is_refused_before_it_comes(local, monkeypatch):
    store = type(local.service.vault.store)
    monkeypatch.setattr(store, "free_byte_count", lambda _self: operations.RESERVED_BYTE_COUNT + 1000)
    refused = put(local, "large.abf", b"x" * 1001)
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_disk_full")
    assert put(local, "fits.abf", b"x" * 1000).status_code == 201


def test_an_upload_of_unknown_length_ends_where_the_room_does(local, monkeypatch):
    monkeypatch.setattr(operations, "_CHECK_INTERVAL_BYTE_COUNT", 1 << 20)
    store = type(local.service.vault.store)
    left = iter([operations.RESERVED_BYTE_COUNT * 2, operations.RESERVED_BYTE_COUNT])
    monkeypatch.setattr(store, "free_byte_count", lambda _self: next(left))
    answer = put(local, "endless.abf", (b"x" * 65536 for _ in range(64)))
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_disk_full")
    assert local.client().get("/api/files/endless.abf").status_code == 404


def test_a_file_over_the_limit_is_refused(local, monkeypatch):
    monkeypatch.setattr(operations, "FILE_BYTE_COUNT_MAX", 100)
    answer = put(local, "long.abf", b"x" * 101)
    assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")


def test_a_removed_file_is_gone_and_the_log_says_who_removed_it(local):
    put(local, "old.abf", b"x")
    assert local.client().delete("/api/files/old.abf").status_code == 204
    assert local.client().delete("/api/files/old.abf").json()["code"] == "storage_not_found"
    lines = local.client().get("/api/audit").json()["lines"]
    removed = [line for line in lines if line["operation"] == "remove_file" and line["object"] == "old.abf"]
    assert [(line["who"], line["phase"], line["result"]) for line in removed][-2:] == [
        ("alice", "end", "success"),
        ("alice", "begin", None),
    ]
