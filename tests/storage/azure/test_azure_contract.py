"""The store in a container of Azure Storage: the contract, and what belongs to blobs alone."""

from __future__ import annotations

import hashlib
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import ResourceNotFoundError

from tabvault.errors import InvalidNameError, ObjectExistsError, StorageError, StoreUnavailableError
from tabvault.storage.azure import blocks
from tabvault.storage.azure.blocks import BLOCK_COUNT_MAX, block_byte_count, describe_block, key_tag
from tabvault.testing.store_contract import StoreContract, names, put, read

if TYPE_CHECKING:
    from tabvault.storage.azure.store import AzureBlobStore

pytest_plugins = ["storage.azure.azurite"]

BLOCK = 64 << 10


@pytest.fixture
def store(container) -> AzureBlobStore:
    return container.store(block_byte_count=BLOCK)


class TestAzureBlobStore(StoreContract):
    keeps_replaced_objects = False
    replaces_what_it_saw = True
    holds_what_gives_way = True

    @pytest.fixture(autouse=True)
    def _plain(self, container):
        with container.plain() as client:
            self.client = client
            yield

    def put_directly(self, store: AzureBlobStore, name: str, data: bytes) -> None:  # noqa: ARG002
        self.client.upload_blob(name, data, overwrite=True)

    def read_directly(self, store: AzureBlobStore, name: str) -> bytes | None:  # noqa: ARG002
        try:
            return self.client.download_blob(name).readall()
        except ResourceNotFoundError:
            return None


def test_of_eight_writers_with_many_blocks_exactly_one_gets_through(container):
    barrier = threading.Barrier(8, timeout=60)
    outcomes: list[str] = []

    def write(number: int) -> None:
        with container.store(block_byte_count=BLOCK).create("x.abf", replace=False, head_byte_count=4) as upload:
            upload.write(bytes([number]) * (5 * BLOCK + 7))
            barrier.wait()
            try:
                upload.finish(b"head")
                outcomes.append(f"won {number}")
            except ObjectExistsError:
                outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[:7] == ["lost"] * 7
    winner = int(sorted(outcomes)[7].removeprefix("won "))
    assert read(container.store(), "x.abf") == b"head" + bytes([winner]) * (5 * BLOCK + 7)


@pytest.mark.parametrize("when", ["before the blocks", "after the blocks"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_replacement_is_refused_when_somebody_else_published_first(store, when, is_there):
    if is_there:
        put(store, "x.abf", b"old")
    with store.create("x.abf", replace=True) as upload:
        if when == "before the blocks":
            put(store, "x.abf", b"theirs", replace=True)
        upload.write(b"ours" * BLOCK)
        if when == "after the blocks":
            put(store, "x.abf", b"theirs", replace=True)
        with pytest.raises(StorageError, match="Put Block List"):
            upload.finish()
    assert read(store, "x.abf") == b"theirs"


def test_the_plain_client_sees_what_we_wrote(container, store):
    body = bytes(range(256)) * 2000
    put(store, "whole.abf", body)
    with store.create("sales/head.abf", replace=False, head_byte_count=10, facts={"database": "Käse 100 %"}) as upload:
        upload.write(body)
        upload.finish(b"0123456789")
    with container.plain() as client:
        assert [blob.name for blob in client.list_blobs()] == ["sales/head.abf", "whole.abf"]
        properties = client.get_blob_client("whole.abf").get_blob_properties()
        assert bytes(properties.content_settings.content_md5) == hashlib.md5(body, usedforsecurity=False).digest()
        assert client.download_blob("whole.abf", validate_content=True).readall() == body
        assert client.download_blob("sales/head.abf", validate_content=True).readall() == b"0123456789" + body
        metadata = client.get_blob_client("sales/head.abf").get_blob_properties().metadata
        assert metadata["database"] == "K%C3%A4se 100 %25"


def test_the_committed_blocks_say_what_they_hold(container, store):
    body = bytes(range(256)) * 2000
    with store.create("x.abf", replace=False, head_byte_count=10) as upload:
        upload.write(body)
        upload.finish(b"0123456789")
    with container.plain() as client:
        blob = client.get_blob_client("x.abf")
        committed, uncommitted = blob.get_block_list("all")
        data = blob.download_blob().readall()
        digest = blob.get_blob_properties().metadata["tabvault_blocks_sha256"]
    assert uncommitted == []
    assert [block.size for block in committed] == [10, *[BLOCK] * 7, len(body) - 7 * BLOCK]
    offset = 0
    digests = b""
    for position, block in enumerate(committed):
        piece = data[offset : offset + block.size]
        tag = block.id.split(".")[2]
        assert describe_block(piece, position=position, key_tag=tag).id == block.id
        digests += hashlib.sha256(piece).digest()
        offset += block.size
    assert hashlib.sha256(digests).hexdigest() == digest


def test_a_name_of_1024_letters_that_have_two_bytes_each_is_kept(store):
    put(store, "/".join(["ü" * 127] * 8), b"1")
    assert names(store) == ["/".join(["ü" * 127] * 8)]


def test_a_listing_is_whole_over_many_pages(container, monkeypatch):
    store = container.store()
    expected = [f"{number:03d}.abf" for number in range(25)]
    with container.plain() as client:
        for name in reversed(expected):
            client.upload_blob(name, b"1")
    # Pages of 5,000 are the service's; a page here holds 7.
    list_blobs = store._client.list_blobs
    monkeypatch.setattr(store._client, "list_blobs", lambda **options: list_blobs(results_per_page=7, **options))
    assert names(store) == expected


def test_what_is_no_object_is_not_listed(container, store):
    with container.plain() as client:
        client.upload_blob(".hidden", b"1")
        client.upload_blob("a//b", b"1")
        client.upload_blob("folder", b"", metadata={"hdi_isfolder": "true"})
        client.upload_blob("x.abf", b"1")
    assert names(store) == ["x.abf"]
    with pytest.raises(StorageError, match="folder"):
        store.open("folder")


def test_abandoned_blocks_are_all_an_aborted_upload_leaves_and_can_be_listed(container, store):
    put(store, "published.abf", b"1")
    for name in ("b.abf", "a.abf"):
        with store.create(name, replace=False) as upload:
            upload.write(b"x" * (6 * BLOCK))
    assert list(store.unfinished()) == ["a.abf", "b.abf"]
    assert list(store.unfinished("b")) == ["b.abf"]
    assert names(store) == ["published.abf"]


def test_a_missing_container_is_unavailable_and_not_asked_twice(container):
    with container.plain() as client:
        client.delete_container()
    store = container.store()
    for call in (
        lambda: list(store.list()),
        lambda: store.info("x.abf"),
        lambda: store.open("x.abf"),
        lambda: store.remove("x.abf"),
        lambda: put(store, "x.abf", b"1"),
    ):
        with pytest.raises(StoreUnavailableError, match="the container is not there") as caught:
            call()
        assert "attempts" not in str(caught.value)


def test_blocks_that_another_program_left_are_named(container, store):
    with container.plain() as client:
        client.get_blob_client("x.abf").stage_block("short", b"1")
    with pytest.raises(StorageError, match="another program left blocks"):
        put(store, "x.abf", b"1")


def test_names_of_facts_are_identifiers(store):
    with pytest.raises(ValueError, match="metadata"):
        store.create("x.abf", replace=False, facts={"a-b": "1"})
    with pytest.raises(InvalidNameError):
        store.create("..", replace=False)


def test_fifty_thousand_blocks_are_enough_for_a_tebibyte():
    sizes = [block_byte_count(position, blocks.BLOCK_BYTE_COUNT) for position in range(BLOCK_COUNT_MAX)]
    assert sizes[0] == 8 << 20
    assert max(sizes) == 64 << 20
    assert all(before <= after for before, after in pairwise(sizes))
    assert sum(sizes) > 1 << 40
    with pytest.raises(StorageError, match="50000"):
        block_byte_count(BLOCK_COUNT_MAX, blocks.BLOCK_BYTE_COUNT)


def test_a_block_is_called_by_position_content_and_key():
    # SHA-256 of "abc" is the first example of FIPS 180-4; in Base64 for URLs it begins with ungWv48B.
    block = describe_block(b"abc", position=17, key_tag=key_tag("abc"))
    assert block.id == "00017.ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0.ungWv48B"
    assert len(block.id) == 58
    assert block.byte_count == 3
