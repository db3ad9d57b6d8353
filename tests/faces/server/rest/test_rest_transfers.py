"""The container over REST by its own name: conditions, uploads that are cut off and go on, network rules."""

from __future__ import annotations

import base64
import datetime
import hashlib
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from conftest import sample_path
from faces.served_process import serve, wait_for
from faces.server.servers import ADMINISTRATOR
from faces.server.services import MEMBER, local_server
from tabvault.jobs.operations import files as operations
from tabvault.storage.server_state.upload_spool import EXPIRY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.served_process import Served
    from faces.server.services import LocalServer

OCTETS = {"Content-Type": "application/octet-stream"}
PARTIAL = {"Content-Type": "application/partial-upload"}
CONTENT = bytes(range(256)) * 8192  # 2 MiB: several pieces
HERE = "/api/storage/backups"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("transfers")) as running:
        yield running


def put(local: LocalServer, name: str, content, **headers):
    return local.client().put(f"{HERE}/{name}", content=content, headers={**OCTETS, **headers})


def begin(client: httpx.Client, name: str, byte_count: int, **headers) -> httpx.Response:
    return client.post(f"{HERE}/{name}", headers={"Upload-Length": str(byte_count), **headers})


def forget_uploads(local: LocalServer) -> None:
    """What earlier tests began takes room."""
    for upload in local.service.transfers._spool.all():
        local.service.transfers._spool.remove(upload.record.id)


def append(client: httpx.Client, place: str, offset: int, content, **headers) -> httpx.Response:
    return client.patch(place, content=content, headers={**PARTIAL, "Upload-Offset": str(offset), **headers})


LAST = {"Upload-Complete": "?1"}


def names(**headers: str) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


# ---- whole files


def test_a_file_of_the_container_comes_back_as_it_was_put(local):
    answer = put(local, "sales/monday.abf", CONTENT)
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{HERE}/sales/monday.abf")
    got = local.client().get(answer.headers["Location"])
    assert (got.content, got.headers["ETag"]) == (CONTENT, answer.headers["ETag"])
    part = local.client().get(answer.headers["Location"], headers={"Range": "bytes=1000-70000"})
    assert (part.status_code, part.content) == (206, CONTENT[1000:70001])
    head = local.client().head(answer.headers["Location"])
    assert (head.headers["content-length"], head.content) == (str(len(CONTENT)), b"")
    assert local.client().get("/api/files/sales/monday.abf").content == CONTENT, "it is the same storage"
    assert local.client().delete(answer.headers["Location"]).status_code == 204
    assert local.client().get(answer.headers["Location"]).json()["code"] == "storage_not_found"


def test_no_other_container_can_be_reached(local):
    for method in ("PUT", "GET", "DELETE", "POST"):
        headers = {**OCTETS, "Upload-Length": "1"}
        answer = local.client().request(method, "/api/storage/other/x.abf", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "storage_not_found"), method
        assert "no container 'other'" in answer.json()["detail"]


def test_a_put_replaces_unless_a_condition_says_otherwise(local):
    first = put(local, "once.abf", b"first")
    assert put(local, "once.abf", b"second").status_code == 201
    created_only = put(local, "once.abf", b"third", **{"If-None-Match": "*"})
    assert (created_only.status_code, created_only.json()["code"]) == (409, "storage_exists")
    stale = put(local, "once.abf", b"third", **{"If-Match": first.headers["ETag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert local.client().get(f"{HERE}/once.abf").content == b"second"
    etag = local.client().get(f"{HERE}/once.abf").headers["ETag"]
    assert put(local, "once.abf", b"third", **{"If-Match": etag}).status_code == 201
    assert local.client().get(f"{HERE}/once.abf").content == b"third"
    assert put(local, "never.abf", b"x", **{"If-Match": "*"}).status_code == 412
    assert put(local, "never.abf", b"x", **{"If-None-Match": '"a"'}).json()["path"] == "If-None-Match"


def test_of_several_who_replace_the_same_file_one_gets_through(local):
    etag = put(local, "one.abf", b"old").headers["ETag"]
    contents = [bytes([number]) * (1 << 20) for number in range(4)]
    barrier = threading.Barrier(len(contents), timeout=60)

    def replace(content: bytes) -> int:
        with httpx.Client(base_url=local.url, auth=ADMINISTRATOR, timeout=60) as client:
            client.get("/api/server")
            barrier.wait()
            return client.put(f"{HERE}/one.abf", content=content, headers={**OCTETS, "If-Match": etag}).status_code

    with ThreadPoolExecutor(len(contents)) as threads:
        statuses = list(threads.map(replace, contents))
    assert sorted(statuses) == [201, 412, 412, 412]
    assert local.client().get(f"{HERE}/one.abf").content == contents[statuses.index(201)]


@pytest.mark.parametrize("place", [HERE, "/api/files"])
def test_only_the_file_that_was_meant_is_removed(local, place):
    client = local.client()
    old = put(local, "meant.abf", b"old").headers["ETag"]
    new = put(local, "meant.abf", b"new").headers["ETag"]
    refused = client.delete(f"{place}/meant.abf", headers={"If-Match": old})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert client.delete(f"{place}/meant.abf", headers={"If-Match": "W/x"}).json()["path"] == "If-Match"
    assert client.get(f"{HERE}/meant.abf").content == b"new"
    assert client.delete(f"{place}/meant.abf", headers={"If-Match": new}).status_code == 204
    assert client.get(f"{HERE}/meant.abf").status_code == 404


@pytest.mark.parametrize("place", [HERE, "/api/files"])
def test_a_part_or_a_coded_file_is_not_taken_for_a_whole_one(local, place):
    client = local.client()
    overwriting = {"overwrite": "true"} if place == "/api/files" else {}
    put(local, "whole.abf", b"0123456789")
    for headers, status, code in (
        ({"Content-Range": "bytes 4-5/10"}, 400, "request"),
        ({"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"Repr-Digest": "sha-256=x"}, 400, "request"),
        ({"Repr-Digest": f"sha-256=:{'A' * 43}=:"}, 422, "format_checksum"),
    ):
        answer = client.put(f"{place}/whole.abf", content=b"XX", headers={**OCTETS, **headers}, params=overwriting)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json().get("path") == (next(iter(headers)) if code == "request" else None)
        assert client.get(f"{HERE}/whole.abf").content == b"0123456789"
    digest = base64.b64encode(hashlib.sha256(b"XX").digest()).decode()
    meant = {"Repr-Digest": f"sha-256=:{digest}:", "Content-Encoding": "identity"}
    assert client.put(f"{place}/whole.abf", content=b"XX", headers={**OCTETS, **meant}, params=overwriting).is_success
    assert client.get(f"{HERE}/whole.abf").content == b"XX"
    begun = begin(client, "coded.abf", 2).headers["Location"]
    assert append(client, begun, 0, b"XX", **{"Content-Encoding": "gzip"}).status_code == 415


def test_the_files_of_the_storage_know_the_same_conditions(local):
    client = local.client()

    def put_there(content: bytes, *, overwrite: str = "false", **headers: str) -> httpx.Response:
        return client.put(
            "/api/files/same.abf",
            content=content,
            headers={**OCTETS, **names(**headers)},
            params={"overwrite": overwrite},
        )

    put_there(b"1")
    etag = client.get("/api/files/same.abf").headers["ETag"]
    assert put_there(b"2", overwrite="true", If_None_Match="*").json()["code"] == "storage_exists"
    assert put_there(b"2", overwrite="true", If_Match='"other"').status_code == 412
    assert put_there(b"2", If_Match=etag).status_code == 201
    assert client.get("/api/files/same.abf").content == b"2"


def test_what_is_known_already_is_not_sent_again(local):
    etag = put(local, "known.abf", b"content").headers["ETag"]
    for path in (f"{HERE}/known.abf", "/api/files/known.abf"):
        answer = local.client().get(path, headers={"If-None-Match": etag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
        other = local.client().get(path, headers={"If-Match": '"other"'})
        assert (other.status_code, other.json()["code"]) == (412, "precondition_failed")
        assert local.client().get(path, headers={"If-None-Match": '"other"', "If-Match": etag}).content == b"content"


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "POST"])
def test_only_a_server_administrator_comes_to_the_files(local, method):
    headers = {**OCTETS, "Upload-Length": "1"}
    refused = local.client(MEMBER).request(method, f"{HERE}/sales.abf", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "access_not_authorized")
    assert local.client(None).request(method, f"{HERE}/sales.abf", headers=headers).status_code == 401


# ---- uploads


def test_an_upload_in_parts_appears_when_it_is_whole(local):
    client = local.client()
    begun = begin(client, "parts/a.abf", len(CONTENT))
    assert (begun.status_code, begun.headers["Upload-Offset"], begun.headers["Upload-Complete"]) == (201, "0", "?0")
    place = begun.headers["Location"]
    first = append(client, place, 0, CONTENT[:1_000_000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (200, "1000000")
    assert client.get(f"{HERE}/parts/a.abf").status_code == 404
    assert client.head(place).headers["Upload-Offset"] == "1000000"
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    last = append(client, place, 1_000_000, CONTENT[1_000_000:], **LAST, **{"Repr-Digest": f"sha-256=:{digest}:"})
    assert (last.status_code, last.headers["Upload-Complete"]) == (200, "?1")
    stored = client.get(f"{HERE}/parts/a.abf")
    assert stored.content == CONTENT
    assert client.get(place).json()["etag"] == stored.headers["ETag"].strip('"')
    again = append(client, place, 0, b"", **LAST)
    assert (again.status_code, again.headers["Upload-Complete"]) == (200, "?1"), "whoever lost the answer may ask again"


def test_a_part_that_begins_elsewhere_is_told_where_to_go_on(local):
    client = local.client()
    place = begin(client, "offset.abf", 10).headers["Location"]
    append(client, place, 0, b"12345")
    for offset in (0, 4, 6, 10):
        answer = append(client, place, offset, b"67890")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert answer.headers["Upload-Offset"] == "5"
    assert append(client, place, 5, b"67890", **LAST).status_code == 200
    assert client.get(f"{HERE}/offset.abf").content == b"1234567890"


def test_an_upload_ends_neither_short_nor_long(local):
    client = local.client()
    place = begin(client, "length.abf", 10).headers["Location"]
    short = append(client, place, 0, b"12345", **LAST)
    assert (short.status_code, short.json()["code"]) == (422, "format_truncated")
    long = append(client, place, 5, b"678901", **LAST)
    assert (long.status_code, long.json()["code"]) == (413, "request_too_large")
    assert append(client, place, 5, b"67890", **LAST).status_code == 200


def test_another_content_than_announced_does_not_appear(local):
    client = local.client()
    place = begin(client, "digest.abf", 5).headers["Location"]
    digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    answer = append(client, place, 0, b"12345", **LAST, **{"Repr-Digest": f"sha-256=:{digest}:"})
    assert (answer.status_code, answer.json()["code"]) == (422, "format_checksum")
    assert client.get(f"{HERE}/digest.abf").status_code == 404
    assert client.head(place).status_code == 404, "what is wrong cannot be gone on with"
    bad = append(
        client, begin(client, "digest.abf", 5).headers["Location"], 0, b"12345", **{"Repr-Digest": "sha-256=x"}
    )
    assert bad.json()["path"] == "Repr-Digest"


def test_the_conditions_of_an_upload_hold_at_its_end(local):
    client = local.client()
    place = begin(client, "race.abf", 5, **names(If_None_Match="*")).headers["Location"]
    append(client, place, 0, b"12345")
    put(local, "race.abf", b"faster")
    lost = append(client, place, 5, b"", **LAST)
    assert (lost.status_code, lost.json()["code"]) == (409, "storage_exists")
    assert begin(client, "race.abf", 5, **names(If_None_Match="*")).json()["code"] == "storage_exists"
    etag = client.get(f"{HERE}/race.abf").headers["ETag"]
    place = begin(client, "race.abf", 5, **names(If_Match=etag)).headers["Location"]
    put(local, "race.abf", b"faster again")
    lost = append(client, place, 0, b"12345", **LAST)
    assert (lost.status_code, lost.json()["code"]) == (412, "precondition_failed")
    assert client.get(f"{HERE}/race.abf").content == b"faster again"


def test_an_upload_is_found_again_by_its_key(local):
    client = local.client()
    first = begin(client, "key.abf", 10, **names(Upload_Key="laptop-1"))
    append(client, first.headers["Location"], 0, b"12345")
    again = begin(client, "key.abf", 10, **names(Upload_Key="laptop-1"))
    assert (again.headers["Location"], again.headers["Upload-Offset"]) == (first.headers["Location"], "5")
    for other in (
        begin(client, "key.abf", 11, **names(Upload_Key="laptop-1")),
        begin(client, "key.abf", 10, **names(Upload_Key="laptop-2")),
        begin(client, "key.abf", 10),
        begin(client, "key.abf", 10, **names(Upload_Key="laptop-1", If_None_Match="*")),
    ):
        assert other.headers["Location"] != first.headers["Location"]


def test_a_cancelled_upload_is_gone(local):
    client = local.client()
    place = begin(client, "cancelled.abf", 10).headers["Location"]
    append(client, place, 0, b"12345")
    assert place.rpartition("/")[2] in [upload["id"] for upload in client.get("/api/uploads").json()["uploads"]]
    assert client.delete(place).status_code == 204
    assert client.head(place).status_code == 404
    assert append(client, place, 5, b"67890").json()["code"] == "storage_not_found"
    left = [path.name for path in (local.service.vault.data / "server" / "uploads").iterdir()]
    assert not [name for name in left if place.rpartition("/")[2] in name]


def test_an_abandoned_upload_expires_after_a_week(local, monkeypatch):
    client = local.client()
    place = begin(client, "abandoned.abf", 10).headers["Location"]
    spool = local.service.transfers._spool
    later = datetime.datetime.now(datetime.UTC) + EXPIRY
    monkeypatch.setattr(spool, "_now", lambda: later - datetime.timedelta(minutes=1))
    assert client.head(place).status_code == 200
    monkeypatch.setattr(spool, "_now", lambda: later + datetime.timedelta(minutes=1))
    assert client.head(place).status_code == 404
    assert not list((local.service.vault.data / "server" / "uploads").iterdir())


def test_an_upload_over_the_room_that_there_is_is_refused_at_its_beginning(local, monkeypatch):
    forget_uploads(local)
    spool = type(local.service.transfers._spool)
    monkeypatch.setattr(spool, "free_byte_count", lambda _self: operations.RESERVED_BYTE_COUNT + 1000)
    refused = begin(local.client(), "large.abf", 1001)
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_disk_full")
    assert begin(local.client(), "fits.abf", 1000).status_code == 201


def test_on_one_disk_an_upload_needs_room_for_itself_and_for_the_file(local, monkeypatch):
    forget_uploads(local)
    put(local, "made.abf", b"the container is there")
    store, spool = type(local.service.vault.store), type(local.service.transfers._spool)
    for kind in (store, spool):
        monkeypatch.setattr(kind, "free_byte_count", lambda _self: operations.RESERVED_BYTE_COUNT + 1000)
    refused = begin(local.client(), "large.abf", 501)
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_disk_full")
    assert begin(local.client(), "fits.abf", 500).status_code == 201
    forget_uploads(local)
    elsewhere = property(lambda _self: False)
    monkeypatch.setattr(type(local.service.vault.storage), "shares_disk", elsewhere)
    assert begin(local.client(), "fits.abf", 1000).status_code == 201


def test_what_unfinished_uploads_will_still_bring_is_no_room(local, monkeypatch):
    forget_uploads(local)
    client = local.client()
    put(local, "made.abf", b"the container is there")
    begun = [begin(client, f"promised{number}.abf", 1000).headers["Location"] for number in range(2)]
    append(client, begun[0], 0, bytes(600))
    # On the one disk: 1,400 bytes to come and two files of 1,000, then twice the 100 of the new one.
    store, spool = type(local.service.vault.store), type(local.service.transfers._spool)
    for kind, needed in [(store, 3600), (spool, 1500)]:
        with monkeypatch.context() as patched:
            patched.setattr(kind, "free_byte_count", lambda _self, n=needed: operations.RESERVED_BYTE_COUNT + n - 1)
            refused = begin(client, "more.abf", 100)
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_disk_full")
            assert "unfinished uploads" in refused.json()["detail"]
            patched.setattr(kind, "free_byte_count", lambda _self, n=needed: operations.RESERVED_BYTE_COUNT + n)
            accepted = begin(client, "more.abf", 100)
            assert accepted.status_code == 201
            client.delete(accepted.headers["Location"])
    forget_uploads(local)


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({}, "Upload-Offset"),
        ({"Upload-Offset": "-1"}, "Upload-Offset"),
        ({"Upload-Offset": "0", "Upload-Complete": "yes"}, "Upload-Complete"),
    ],
)
def test_a_header_that_is_none_is_named(local, headers, path):
    place = begin(local.client(), "headers.abf", 10).headers["Location"]
    answer = local.client().patch(place, content=b"x", headers={**PARTIAL, **headers})
    assert (answer.status_code, answer.json()["path"]) == (400, path)
    assert local.client().post(f"{HERE}/headers.abf").json()["path"] == "Upload-Length"


def test_the_audit_log_tells_who_began_and_who_published(local):
    client = local.client()
    place = begin(client, "audited.abf", 5).headers["Location"]
    append(client, place, 0, b"12345", **LAST)
    client.delete(begin(client, "audited2.abf", 5).headers["Location"])
    lines = [line for line in client.get("/api/audit").json()["lines"] if (line["object"] or "").startswith("audited")]
    assert [(line["operation"], line["object"], line["phase"]) for line in reversed(lines)] == [
        (operation, name, phase)
        for operation, name in (
            ("begin_upload", "audited.abf"),
            ("put_file", "audited.abf"),
            ("begin_upload", "audited2.abf"),
            ("cancel_upload", "audited2.abf"),
        )
        for phase in ("begin", "end")
    ]
    assert {line["who"] for line in lines} == {"alice"}


# ---- cut off


def test_what_came_before_a_cut_stays(local):
    client = local.client()
    place = begin(client, "cut.abf", len(CONTENT)).headers["Location"]
    send_half(local.url, place, 0, CONTENT[:1_500_000])
    wait_for(lambda: client.head(place).headers["Upload-Offset"], lambda offset: offset == "1500000")
    answer = append(client, place, 1_500_000, CONTENT[1_500_000:], **LAST)
    assert answer.status_code == 200
    assert client.get(f"{HERE}/cut.abf").content == CONTENT


def test_who_comes_again_takes_the_turn_from_a_connection_that_hangs(local):
    client = local.client()
    place = begin(client, "turns.abf", 10).headers["Location"]
    hanging = opened(local.url, place, 0, b"123", byte_count=10)
    wait_for(lambda: client.head(place).headers["Upload-Offset"], lambda offset: offset in ("0", "3"))
    offset = int(client.head(place).headers["Upload-Offset"])
    assert append(client, place, offset, b"1234567890"[offset:]).status_code == 200
    with hanging:
        hanging.sendall(b"4567890")
        assert b"job_conflict" in b"".join(iter(lambda: hanging.recv(65536), b""))
    assert append(client, place, 10, b"", **LAST).status_code == 200
    assert client.get(f"{HERE}/turns.abf").content == b"1234567890"


def test_an_upload_goes_on_behind_a_killed_server(tmp_path):
    content = sample_path("Hugoberry__DataModel_uncompressed.abf").read_bytes()
    data = tmp_path / "data"
    with serve(data) as first, client_of(first) as client:
        place = begin(client, "killed.abf", len(content), **names(Upload_Key="k")).headers["Location"]
        assert append(client, place, 0, content[:300_000]).headers["Upload-Offset"] == "300000"
        hanging = opened(first.url, place, 300_000, content[300_000:700_000], byte_count=600_000)
        first.end(signal.SIGKILL)
        hanging.close()
    with serve(data) as second, client_of(second) as client:
        assert client.get(f"{HERE}/killed.abf").status_code == 404
        again = begin(client, "killed.abf", len(content), **names(Upload_Key="k"))
        assert again.headers["Location"] == place
        offset = int(again.headers["Upload-Offset"])
        assert 300_000 <= offset <= 700_000
        assert append(client, place, offset, content[offset:], **LAST).status_code == 200
        assert client.get(f"{HERE}/killed.abf").content == content
        assert sorted(path.suffix for path in (data / "server" / "uploads").iterdir()) == [".json"]


def client_of(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.url, auth=ADMINISTRATOR, timeout=30)


def opened(url: str, place: str, offset: int, content: bytes, *, byte_count: int) -> socket.socket:
    """A PATCH that has sent *content* and does not go on."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.settimeout(30)
    credential = base64.b64encode(":".join(ADMINISTRATOR).encode()).decode()
    connection.sendall(
        f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Type: application/partial-upload\r\nUpload-Offset: {offset}\r\n"
        f"Authorization: Basic {credential}\r\nConnection: close\r\nContent-Length: {byte_count}\r\n\r\n".encode()
        + content
    )
    return connection


def send_half(url: str, place: str, offset: int, content: bytes) -> None:
    with opened(url, place, offset, content, byte_count=len(content) + 1):
        pass


# ---- network rules


def test_rules_are_shown_and_set_in_the_words_of_the_portal(local):
    client = local.client()
    assert client.get("/api/storage/network").json() == {
        "public_network_access": "Enabled",
        "default_action": "Allow",
        "ip_rules": [],
        "words": "Enabled from all networks",
    }
    rules = {
        "default_action": "Deny",
        "ip_rules": ["198.51.100.7", "192.0.2.0/24", "::ffff:198.51.100.7", "2001:db8::/32"],
    }
    answer = client.put("/api/storage/network", json=rules).json()
    assert answer["words"] == "Enabled from selected virtual networks and IP addresses"
    assert answer["ip_rules"] == ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"]
    assert client.get("/api/storage/network").json() == answer
    lines = client.get("/api/audit").json()["lines"]
    assert lines[0]["operation"] == "configure_storage_network"
    assert lines[1]["options"]["objects"] == answer["ip_rules"]
    disabled = {"public_network_access": "Disabled", "default_action": "Allow"}
    assert client.put("/api/storage/network", json=disabled).json()["words"] == "Disabled"
    assert client.get("/api/files").status_code == 200, "the machine itself is always let in"
    assert client.put("/api/storage/network", json={"default_action": "Allow"}).status_code == 200
    assert local.client(MEMBER).get("/api/storage/network").status_code == 403


@pytest.mark.parametrize(
    ("rule", "words"), [("192.0.2.1/24", "bits set"), ("somewhere", "not an IPv4"), ("192.0.2.0/33", "not a range")]
)
def test_a_rule_that_is_none_is_named(local, rule, words):
    answer = local.client().put("/api/storage/network", json={"default_action": "Deny", "ip_rules": ["::1", rule]})
    assert (answer.status_code, answer.json()["path"]) == (400, "ip_rules.1")
    assert words in answer.json()["detail"]


def test_an_address_without_a_rule_is_refused_before_anybody_is_asked_who_he_is(local):
    here, address = local.client(), "198.51.100.7"
    # The test's server believes a proxy on this machine, as `serve --behind-proxy` does.
    headers = {"X-Forwarded-For": address}
    with httpx.Client(base_url=local.url, auth=ADMINISTRATOR, headers=headers, timeout=30) as outside:
        assert outside.get("/api/files").status_code == 200
        here.put("/api/storage/network", json={"default_action": "Deny", "ip_rules": ["192.0.2.0/24"]})
        try:
            for method, path in (
                ("GET", "/api/files"),
                ("GET", f"{HERE}/x.abf"),
                ("PUT", f"{HERE}/x.abf"),
                ("POST", f"{HERE}/x.abf"),
                ("DELETE", "/api/files/x.abf"),
                ("GET", "/api/uploads"),
            ):
                refused = outside.request(method, path, auth=None, headers=OCTETS)
                assert (refused.status_code, refused.json()["code"]) == (403, "access_storage_network"), path
                assert address in refused.json()["detail"]
                assert address in refused.json()["hint"]
            assert outside.get("/api/databases").status_code == 200, "the rest is the firewall's"
            assert here.get("/api/files").status_code == 200
            here.put("/api/storage/network", json={"default_action": "Deny", "ip_rules": [f"{address}/32"]})
            assert outside.get("/api/files").status_code == 200
            here.put("/api/storage/network", json={"public_network_access": "Disabled", "default_action": "Allow"})
            assert outside.get("/api/files").status_code == 403
        finally:
            here.put("/api/storage/network", json={"default_action": "Allow"})


# ---- details


def test_a_list_with_details_says_what_each_file_is(local):
    put(local, "details/b/plain.abf", sample_path("Hugoberry__DataModel_uncompressed.abf").read_bytes())
    put(local, "details/report.pbix", sample_path("Hugoberry__abc.pbix").read_bytes())
    put(local, "details/notes.txt", b"notes")
    plain = local.client().get("/api/files", params={"prefix": "details/"}).json()
    assert [(file["name"], file["details"]) for file in plain["files"]] == [
        ("details/b/plain.abf", None),
        ("details/notes.txt", None),
        ("details/report.pbix", None),
    ]
    assert plain["folders"] == []
    found = local.client().get("/api/files", params={"folder": "details", "details": "true"}).json()
    assert [(folder["name"], folder["file_count"]) for folder in found["folders"]] == [("details/b/", 1)]
    notes, report = (file["details"] for file in found["files"])
    assert (notes["kind"], notes["remark"]) == ("unknown", "unknown: not a backup: it begins with 6e 6f 74 65 73")
    assert (report["kind"], report["compatibility_level"], report["compatible"]) == ("pbix", 1550, True)
    assert report["database"] == report["id"] == "2e23481c-02be-4116-86b4-fddbc6e5b4e1"


def test_a_folder_is_listed_page_by_page_folders_first(local):
    for name in ("pages/a/1", "pages/b/1", "pages/A.abf", "pages/z.abf"):
        put(local, name, b"x")
    seen, after = [], ""
    while after is not None:
        page = local.client().get("/api/files", params={"folder": "pages/", "limit": 1, "after": after}).json()
        seen += [item["name"] for item in page["folders"] + page["files"]]
        after = page["next"]
    assert seen == ["pages/a/", "pages/b/", "pages/A.abf", "pages/z.abf"]
    both = local.client().get("/api/files", params={"folder": "x", "prefix": "y"})
    assert (both.status_code, both.json()["detail"]) == (400, "a folder and a prefix exclude each other")
