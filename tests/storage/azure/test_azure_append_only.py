"""A SAS that allows new objects only (``c`` without ``w``): one Put Blob makes an object, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from jobs.vaults import bodies, vault_with
from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy, first_times
from tabvault.errors import (
    ObjectExistsError,
    StorageAccessError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.jobs.backup import backup_database
from tabvault.jobs.restore import restore_database
from tabvault.jobs.vault import Vault
from tabvault.storage.azure import single_upload
from tabvault.storage.azure.access import access_by_sas_url
from tabvault.storage.azure.append_only import BYTE_COUNT_MAX, is_append_only
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.testing.store_contract import names, put, read

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from storage.fault_proxy import Request
    from tabvault.storage.contract import ObjectInfo

pytest_plugins = ["storage.azure.azurite"]

HEAD = b"the head"
BODY = random.Random(3).randbytes(300_000)

BOUNDED = """
import os, random, resource, signal
from tabvault.errors import DiskFullError
from tabvault.storage.azure.access import access_by_sas_url
from tabvault.storage.azure.store import AzureBlobStore

def peak_kib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

with AzureBlobStore(access_by_sas_url(os.environ["URL"])) as store:
    with store.create("small", replace=False) as upload:
        upload.write(b"1")
        upload.finish()
    baseline = peak_kib()
    piece = random.Random(5).randbytes(1 << 20)
    with store.create("large", replace=False, head_byte_count=4096) as upload:
        for _ in range(192):
            upload.write(piece)
        upload.finish(b"h" * 4096)
    print((peak_kib() - baseline) // 1024)

    # A process that may write no more to a file meets the same error as on a full disk.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    with store.create("full", replace=False) as upload:
        try:
            upload.write(bytes(1 << 17))
        except DiskFullError as error:
            print(error.message, error.hint, sep="|")
"""


class BreakingProxy(FaultProxy):
    """
    Also goes wrong before a request has arrived whole, which the plan of its base does not see.

    Attributes:
        cut_count: so many of the next requests are cut off, Put Blob in the middle of its bytes.
        hasty_count: so many of the next are answered with 503 before their bytes have come.
    """

    cut_count = 0
    hasty_count = 0

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut_count:
            self.cut_count -= 1
            if (await reader.readuntil(b"\r\n\r\n")).startswith(b"PUT "):
                await reader.readexactly(100_000)
            writer.transport.abort()
        elif self.hasty_count:
            self.hasty_count -= 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        else:
            await super()._pass_on(reader, writer)


@pytest.fixture
def proxy(container):
    with BreakingProxy(container.port) as running:
        yield running


def store_by(container, letters: str, port: int | None = None, **options) -> AzureBlobStore:
    """A store with a SAS of these letters; through a proxy, if *port* is its."""
    access = access_by_sas_url(f"{container.account_url(port)}/{container.name}?{container.sas(letters)}")
    return container._opened(AzureBlobStore(access, **options))


def upload(store: AzureBlobStore, name: str = "x.abf", *, set_off: Callable[[], None] = lambda: None) -> ObjectInfo:
    """An object of :data:`HEAD` and :data:`BODY`; *set_off* is called before anything of it is sent."""
    with store.create(name, replace=False, head_byte_count=len(HEAD), facts={"what": "Müller & Söhne"}) as begun:
        for offset in range(0, len(BODY), 70_000):
            begun.write(memoryview(BODY)[offset : offset + 70_000])
        set_off()
        return begun.finish(HEAD)


def plan(proxy: FaultProxy, plan: Callable[[Request], Fault]) -> Callable[[], None]:
    """What :func:`upload` is given for a *plan* that begins when the object is sent."""

    def set_off() -> None:
        proxy.requests.clear()
        proxy.plan = plan

    return set_off


def assert_absent_or_whole(container, *, whole: bool) -> None:
    assert names(container.store()) == (["x.abf"] if whole else [])
    if whole:
        assert read(container.store(), "x.abf") == HEAD + BODY


def test_the_letters_are_c_and_not_w():
    assert [is_append_only(letters) for letters in ("c", "rcl", "cd", "cw", "racwdl", "rl", "", None)] == [
        *(True, True, True),
        *(False, False, False, False, False),
    ]


@pytest.mark.parametrize("letters", ["c", "cl", "rcl"])
def test_a_database_is_backed_up_with_a_sas_that_may_only_create(tmp_path, container, letters):
    store = store_by(container, letters)
    with vault_with(tmp_path) as vault, Vault(tmp_path / "other") as other:
        result = backup_database(vault.folder, store, "shop", "nightly/shop.abf")
        with container.plain() as client:
            blob = client.get_blob_client("nightly/shop.abf")
            properties = blob.get_blob_properties()
            stored = blob.download_blob().readall()
        assert len(stored) == result.byte_count
        assert properties.content_settings.content_md5 == hashlib.md5(stored, usedforsecurity=False).digest()
        assert properties.content_settings.content_type == "application/octet-stream"
        assert properties.metadata["tabvault_database"] == "shop"
        assert properties.metadata["tabvault_encrypted"] == "false"
        assert len(properties.metadata["tabvault_upload"]) == 32
        with pytest.raises(ObjectExistsError, match=r"nightly/shop\.abf exists already, and the SAS allows new"):
            backup_database(vault.folder, store, "shop", "nightly/shop.abf")
        with pytest.raises(
            StorageAccessError, match="cannot be written for overwriting: the SAS allows new objects only"
        ):
            backup_database(vault.folder, store, "shop", "nightly/shop.abf", overwrite=True)
        with pytest.raises(
            StorageAccessError, match=rf"^Delete Blob .* the SAS lacks .* d \(delete\), it has {letters}"
        ):
            store.remove("nightly/shop.abf")
        with container.plain() as client:
            assert client.get_blob_client("nightly/shop.abf").get_blob_properties().etag == properties.etag
        restore_database(other.own_folder, container.store(), "nightly/shop.abf")
        assert bodies(other, "shop") == bodies(vault, "shop")


@pytest.mark.parametrize("name", ["a b/Müller 100 %+#.abf", "\N{GRINNING FACE}/日本.abf"])
def test_names_facts_and_the_answer_are_those_of_any_object(container, name):
    info = upload(store_by(container, "c"), name)
    assert info == container.store().info(name)
    assert read(container.store(), name) == HEAD + BODY
    with container.plain() as client:
        assert client.get_blob_client(name).get_blob_properties().metadata["what"] == "M%C3%BCller & S%C3%B6hne"


def test_an_object_may_be_empty_or_a_short_head_alone(container):
    store = store_by(container, "c")
    for name, head_byte_count, head in (
        ("empty", 0, b""),
        ("none", 10, b""),
        ("short", 10, b"1234"),
        ("full", 4, b"1234"),
    ):
        with store.create(name, replace=False, head_byte_count=head_byte_count) as begun:
            assert begun.finish(head).byte_count == len(head)
        assert read(container.store(), name) == head
    with store.create("wrong", replace=False, head_byte_count=4) as begun:
        begun.write(b"x")
        with pytest.raises(ValueError, match="3 bytes, and 4 were left"):
            begun.finish(b"123")


def test_what_was_aborted_leaves_nothing_and_cannot_go_on(container):
    with store_by(container, "c").create("x.abf", replace=False) as begun:
        begun.write(BODY)
    begun.abort()
    with pytest.raises(ValueError, match="has ended"):
        begun.write(b"1")
    with container.plain() as client:
        assert list(client.list_blobs(include=["uncommittedblobs"])) == []


def test_it_is_one_request_with_length_digest_and_condition(container, proxy, caplog):
    caplog.set_level(logging.DEBUG)
    upload(store_by(container, "c", proxy.port), set_off=plan(proxy, lambda _: PASS))
    (request,) = proxy.requests
    lines = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in request.head.splitlines()}
    assert request.call == "PUT"
    assert lines["content-length"] == str(len(HEAD + BODY))
    assert lines["content-md5"] == base64.b64encode(hashlib.md5(HEAD + BODY, usedforsecurity=False).digest()).decode()
    assert lines["if-none-match"] == "*"
    assert "transfer-encoding" not in lines
    # The address with its signature stands in no log.
    assert parse_qs(urlsplit(request.target).query)["sig"]
    assert "sig=REDACTED" in caplog.text
    assert "sig=" not in caplog.text.replace("sig=REDACTED", "")


@pytest.mark.parametrize("letters", ["c", "cl", "rcl"])
def test_an_existing_object_is_refused_before_anything_is_sent(container, proxy, letters):
    put(container.store(), "x.abf.longer", b"1")
    store = store_by(container, letters, proxy.port)
    upload(store)
    proxy.requests.clear()
    with pytest.raises(ObjectExistsError):
        store.create("x.abf", replace=False)
    # Who may not look asks by a Put Blob that cannot succeed.
    assert [request.status for request in proxy.calls("PUT")] == ([403] if letters == "c" else [])


def test_asking_for_a_name_makes_no_object(container, proxy):
    store_by(container, "c", proxy.port).create("x.abf", replace=False).abort()
    assert [request.status for request in proxy.calls("PUT")] == [400]
    with container.plain() as client:
        assert list(client.list_blobs(include=["uncommittedblobs"])) == []


@pytest.mark.parametrize("letters", ["c", "rcl"])
def test_of_two_uploads_of_one_name_one_wins(container, letters):
    store = store_by(container, letters)
    barrier = threading.Barrier(2, timeout=60)
    outcomes: list[bytes | None] = []

    def race(data: bytes) -> None:
        with store.create("x.abf", replace=False) as begun:
            begun.write(data)
            barrier.wait()
            try:
                begun.finish()
            except ObjectExistsError:
                outcomes.append(None)
            else:
                outcomes.append(data)

    threads = [threading.Thread(target=race, args=(bytes([number]) * 500_000,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(None) == 1
    assert read(container.store(), "x.abf") in outcomes


# --- the network


def test_a_connection_that_is_cut_in_the_middle_is_made_again_from_the_first_byte(container, proxy):
    def set_off() -> None:
        proxy.cut_count = 2

    info = upload(store_by(container, "c", proxy.port, patience=IMPATIENT), set_off=set_off)
    assert info.byte_count == len(HEAD + BODY)
    assert proxy.cut_count == 0
    assert_absent_or_whole(container, whole=True)


def test_a_service_that_answers_before_it_has_heard_everything_is_asked_again(container, proxy):
    def set_off() -> None:
        proxy.hasty_count = 2

    upload(store_by(container, "c", proxy.port, patience=IMPATIENT), set_off=set_off)
    assert proxy.hasty_count == 0
    assert_absent_or_whole(container, whole=True)


def test_a_network_that_stays_away_in_the_middle_leaves_nothing_and_names_the_call(container, proxy):
    def set_off() -> None:
        proxy.cut_count = 1000

    with pytest.raises(StoreUnavailableError, match=r"^Put Blob of x\.abf: .*, after 4 attempts$"):
        upload(store_by(container, "c", proxy.port, patience=IMPATIENT), set_off=set_off)
    proxy.cut_count = 0
    assert_absent_or_whole(container, whole=False)


@pytest.mark.parametrize("count", [3, -1])
def test_a_storm_of_503_passes_or_is_named(container, proxy, count):
    store = store_by(container, "c", proxy.port, patience=IMPATIENT)
    set_off = plan(proxy, first_times(count, Fault(status=503), "PUT"))
    if count < 0:
        with pytest.raises(StoreUnavailableError, match=r"^Put Blob of x\.abf: .*503.*, after 4 attempts$"):
            upload(store, set_off=set_off)
    else:
        upload(store, set_off=set_off)
    assert len(proxy.calls("PUT")) == 4
    assert_absent_or_whole(container, whole=count > 0)


def test_bytes_that_arrive_damaged_are_no_object_and_are_sent_again(container, proxy):
    store = store_by(container, "c", proxy.port, patience=IMPATIENT)
    upload(store, set_off=plan(proxy, first_times(1, Fault(damages_body=True), "PUT")))
    assert [request.status for request in proxy.calls("PUT")] == [400, 201]
    assert_absent_or_whole(container, whole=True)


@pytest.mark.parametrize("letters", ["cl", "rcl"])
def test_a_lost_answer_is_recognised_where_the_sas_allows_to_look(container, proxy, letters):
    store = store_by(container, letters, proxy.port, patience=IMPATIENT)
    info = upload(store, set_off=plan(proxy, first_times(1, Fault(cuts_answer=True), "PUT")))
    assert info == container.store().info("x.abf")
    assert [request.status for request in proxy.calls("PUT")] == [201, 403]
    assert_absent_or_whole(container, whole=True)


def test_a_lost_answer_that_nobody_may_look_after_is_told_as_that(container, proxy):
    store = store_by(container, "c", proxy.port, patience=IMPATIENT)
    with pytest.raises(StorageError, match=r"x\.abf is there, and it may be ours: the answer to an earlier") as caught:
        upload(store, set_off=plan(proxy, first_times(1, Fault(cuts_answer=True), "PUT")))
    assert not isinstance(caught.value, ObjectExistsError)
    assert_absent_or_whole(container, whole=True)
    with container.plain() as client:
        token = client.get_blob_client("x.abf").get_blob_properties().metadata["tabvault_upload"]
    assert caught.value.hint is not None
    assert token in caught.value.hint


def test_anothers_object_is_not_taken_for_ones_own_after_a_lost_connection(container, proxy):
    def other_is_quicker(request: Request) -> Fault:
        if request.method == "PUT" and len(proxy.calls("PUT")) == 1:
            put(container.store(), "x.abf", b"theirs")
            return Fault(cuts_request=True)
        return PASS

    store = store_by(container, "cl", proxy.port, patience=IMPATIENT)
    with pytest.raises(ObjectExistsError):
        upload(store, set_off=plan(proxy, other_is_quicker))
    assert read(container.store(), "x.abf") == b"theirs"


@pytest.mark.parametrize(("status", "code"), [(409, "BlobAlreadyExists"), (403, "UnauthorizedBlobOverwrite")])
def test_both_words_of_the_service_for_a_name_that_is_taken_are_understood(container, proxy, status, code):
    taken = first_times(-1, Fault(status=status, code=code), "PUT")
    store = store_by(container, "c", proxy.port, patience=IMPATIENT)
    with pytest.raises(ObjectExistsError, match="the SAS allows new objects only"):
        upload(store, set_off=plan(proxy, taken))
    assert len(proxy.calls("PUT")) == 1
    # The same before anything is sent.
    with pytest.raises(ObjectExistsError, match="the SAS allows new objects only"):
        store.create("x.abf", replace=False)


def test_a_right_that_the_signer_lacks_is_not_taken_for_a_name_that_is_taken(container, proxy):
    sas = f"{container.sas('c')}&skoid=11111111-1111-1111-1111-111111111111"
    proxy.plan = lambda _: Fault(status=403, code="AuthorizationPermissionMismatch")
    access = access_by_sas_url(f"{container.account_url(proxy.port)}/{container.name}?{sas}")
    store = container._opened(AzureBlobStore(access, patience=IMPATIENT))
    with pytest.raises(StorageAccessError, match=r"^Put Blob of x\.abf: the SAS lacks the permission c \(create\)"):
        store.create("x.abf", replace=False)


# --- bounds


def test_what_is_too_large_for_one_call_is_refused_as_soon_as_it_is(container, monkeypatch):
    assert BYTE_COUNT_MAX == 5_242_880_000
    monkeypatch.setattr(single_upload, "BYTE_COUNT_MAX", 1 << 20)
    with store_by(container, "c").create("x.abf", replace=False, head_byte_count=8) as begun:
        begun.write(bytes((1 << 20) - 8))
        with pytest.raises(
            StorageError, match=r"x\.abf becomes larger than 1 MiB, the most that a SAS with c"
        ) as caught:
            begun.write(b"1")
        assert "make a SAS with w" in caught.value.hint
        with pytest.raises(ValueError, match="has ended"):
            begun.finish(bytes(8))
    assert names(container.store()) == []


def test_a_large_upload_takes_little_memory_and_a_full_disk_is_told_with_the_folder_it_is_about(container):
    environment = {**os.environ, "URL": f"{container.account_url()}/{container.name}?{container.sas('c')}"}
    command = [sys.executable, "-B", "-c", BOUNDED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    grown_mib, told = done.stdout.splitlines()
    assert int(grown_mib) < 64
    assert told.startswith("temporary file for full: ")
    assert "|set TMPDIR to a folder on a larger disk, or make room in /" in told
    assert [(info.name, info.byte_count) for info in container.store().list()] == [
        ("large", 4096 + (192 << 20)),
        ("small", 1),
    ]
