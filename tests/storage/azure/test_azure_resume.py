"""Uploads that were interrupted and begun again: what was staged is used, and nothing else."""

from __future__ import annotations

import datetime
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy, killing
from tabvault.errors import ObjectNotFoundError, StorageError
from tabvault.testing.store_contract import names, read

pytest_plugins = ["storage.azure.azurite"]

BLOCK = 32 << 10
BLOCK_COUNT = 40
BODY = random.Random(11).randbytes(BLOCK_COUNT * BLOCK - 5)
HEAD = b"the head"
KEY = "backup of shop, version 7"

CHILD = """
import os, random
from tabvault.storage.azure.access import access_by_key
from tabvault.storage.azure.store import AzureBlobStore

access = access_by_key(os.environ["URL"], os.environ["CONTAINER"], account=os.environ["ACCOUNT"], key=os.environ["KEY"])
body = random.Random(11).randbytes(40 * (32 << 10) - 5)
with (
    AzureBlobStore(access, block_byte_count=32 << 10) as store,
    store.create("x.abf", replace=False, head_byte_count=8, upload_key="backup of shop, version 7") as upload,
):
    for offset in range(0, len(body), 10_000):
        upload.write(body[offset : offset + 10_000])
    upload.finish(b"the head")
"""


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


def upload(store, *, key: str | None = KEY, body: bytes = BODY, stops_after: int | None = None) -> None:
    """The whole upload, or as many blocks as a process sent before it ended."""
    with store.create("x.abf", replace=True, head_byte_count=len(HEAD), upload_key=key) as begun:
        if stops_after is not None:
            begun.write(body[: stops_after * BLOCK])
            begun._in_flight.results()
            return
        begun.write(body)
        begun.finish(HEAD)


def sent(proxy: FaultProxy) -> list[str]:
    return [request.block_id for request in proxy.calls("PUT block") if request.status == 201]


def test_a_process_killed_at_random_points_sends_no_block_twice(container, proxy):
    chance = random.Random(20_261_123)
    environment = {
        **os.environ,
        "URL": container.account_url(proxy.port),
        "CONTAINER": container.name,
        "ACCOUNT": container.account_url().rpartition("/")[2],
        "KEY": container.key,
    }
    killed_count = 0
    for kill_at in (1, 2, *(chance.randrange(3, 12) for _ in range(4)), None):
        child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment)
        proxy.plan = killing(child, at=kill_at)
        assert child.wait(timeout=60) == (0 if kill_at is None else -signal.SIGKILL)
        killed_count += kill_at is not None
        proxy.wait_until_quiet()
        if kill_at is not None:
            assert names(container.store()) == []
            with pytest.raises(ObjectNotFoundError):
                container.store().open("x.abf")
    assert killed_count == 6
    assert read(container.store(), "x.abf") == HEAD + BODY
    assert len(sent(proxy)) == len(set(sent(proxy))) == BLOCK_COUNT + 1


def test_only_what_is_missing_is_sent(container, proxy):
    store = container.store(proxy.port, block_byte_count=BLOCK)
    upload(store, stops_after=25)
    assert len(sent(proxy)) == 25
    upload(store)
    assert len(sent(proxy)) == BLOCK_COUNT + 1
    assert read(container.store(), "x.abf") == HEAD + BODY


def test_of_another_content_only_the_blocks_that_are_alike_are_used(container, proxy):
    store = container.store(proxy.port, block_byte_count=BLOCK)
    upload(store, stops_after=BLOCK_COUNT)
    before = len(sent(proxy))
    changed = bytearray(BODY)
    changed[17 * BLOCK + 3] ^= 1
    upload(store, body=bytes(changed))
    # The changed one, the last one (it was not full), and the head.
    assert len(sent(proxy)) - before == 2 + (len(sent(proxy)[:before]) < BLOCK_COUNT)
    assert read(container.store(), "x.abf") == HEAD + bytes(changed)


def test_alike_blocks_at_another_place_are_not_confused(container, proxy):
    store = container.store(proxy.port, block_byte_count=BLOCK)
    blocks = [BODY[:BLOCK], BODY[BLOCK : 2 * BLOCK]]
    upload(store, body=b"".join(blocks), stops_after=2)
    upload(store, body=b"".join(reversed(blocks)))
    assert read(container.store(), "x.abf") == HEAD + blocks[1] + blocks[0]
    assert len(sent(proxy)) == 2 + 2 + 1


@pytest.mark.parametrize("key", [None, "another"])
def test_with_another_key_or_none_everything_is_sent(container, proxy, key):
    store = container.store(proxy.port, block_byte_count=BLOCK)
    upload(store, stops_after=25)
    upload(store, key=key)
    assert len(sent(proxy)) == 25 + BLOCK_COUNT + 1
    assert read(container.store(), "x.abf") == HEAD + BODY


def test_without_a_key_nobody_is_asked_what_is_staged(container, proxy):
    upload(container.store(proxy.port, block_byte_count=BLOCK), key=None)
    assert proxy.calls("GET blocklist") == []


def test_a_network_that_goes_away_in_the_middle_costs_only_the_rest(container, proxy):
    store = container.store(proxy.port, block_byte_count=BLOCK, patience=IMPATIENT)
    proxy.plan = lambda _: Fault(cuts_request=True) if len(proxy.calls("PUT block")) > 20 else PASS
    with pytest.raises(StorageError, match="Put Block"):
        upload(store)
    proxy.plan = lambda _: PASS
    proxy.wait_until_quiet()
    upload(store)
    assert len(sent(proxy)) == len(set(sent(proxy))) == BLOCK_COUNT + 1
    assert read(container.store(), "x.abf") == HEAD + BODY


def test_a_sas_that_expires_in_the_middle_is_named_and_a_new_one_goes_on(container):
    piece = random.Random(3).randbytes(1000)
    store = container.store_by_sas(container.sas("rcw", valid=datetime.timedelta(seconds=2)))
    store._block_byte_count = len(piece)
    written = 0
    ends = time.monotonic() + 20
    expiry = pytest.raises(StorageError, match=r"Put Block of x\.abf: the SAS expired at")
    with store.create("x.abf", replace=False, upload_key=KEY) as begun, expiry:
        while time.monotonic() < ends:
            begun.write(piece)
            written += 1
    with container.plain() as client:
        _, uncommitted = client.get_blob_client("x.abf").get_block_list("uncommitted")
    assert 0 < len(uncommitted) <= written
    with FaultProxy(container.port) as proxy:
        renewed = container.store(proxy.port, block_byte_count=len(piece))
        with renewed.create("x.abf", replace=False, upload_key=KEY) as begun:
            for _ in range(written):
                begun.write(piece)
            begun.finish()
        assert len(sent(proxy)) == written - len(uncommitted)
    assert read(container.store(), "x.abf") == piece * written
