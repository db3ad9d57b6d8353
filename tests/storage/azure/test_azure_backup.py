"""A real database backed up into a container of Azure Storage, and restored from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from jobs.vaults import WITH_ROLES, bodies, values, vault_with
from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy
from tabvault.errors import ObjectExistsError, StorageError, StoreUnavailableError
from tabvault.jobs.backup import backup_database
from tabvault.jobs.restore import restore_database
from tabvault.jobs.vault import Vault
from tabvault.testing.store_contract import names

pytest_plugins = ["storage.azure.azurite"]

LARGE = """
import hashlib, os, random, resource
from tabvault.storage.azure.access import access_by_key
from tabvault.storage.azure.store import AzureBlobStore

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

access = access_by_key(os.environ["URL"], os.environ["CONTAINER"], account=os.environ["ACCOUNT"], key=os.environ["KEY"])
with AzureBlobStore(access) as store:
    with store.create("small", replace=False) as upload:
        upload.write(b"1")
        upload.finish()
    baseline = peak_kib()
    written = hashlib.sha256(b"h" * 4096)
    chance = random.Random(5)
    with store.create("large", replace=False, head_byte_count=4096) as upload:
        for _ in range(256):
            piece = chance.randbytes(1 << 20)
            written.update(piece)
            upload.write(piece)
        info = upload.finish(b"h" * 4096)
    after_upload = peak_kib()
    read = hashlib.sha256()
    with store.open("large") as stored:
        for offset in range(0, stored.byte_count, 4 << 20):
            read.update(stored.read_at(offset, min(4 << 20, stored.byte_count - offset)))
    assert info.byte_count == 4096 + (256 << 20)
    assert read.digest() == written.digest()
    print((after_upload - baseline) // 1024, (peak_kib() - baseline) // 1024)
"""


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


@pytest.mark.parametrize("password", [None, "correct horse"])
def test_a_database_comes_back_from_the_container_as_it_was(tmp_path, container, proxy, password):
    store = container.store(proxy.port, block_byte_count=64 << 10)
    with vault_with(tmp_path, WITH_ROLES) as vault, Vault(tmp_path / "other") as other:
        result = backup_database(vault.folder, store, "shop", "nightly/shop.abf", password=password)
        assert names(store) == ["nightly/shop.abf"]
        assert store.info("nightly/shop.abf").byte_count == result.byte_count
        with pytest.raises(ObjectExistsError):
            backup_database(vault.folder, store, "shop", "nightly/shop.abf", password=password)
        backup_database(vault.folder, store, "shop", "nightly/shop.abf", password=password, overwrite=True)
        gets = len(proxy.calls("GET"))
        restore_database(other.own_folder, store, "nightly/shop.abf", password=password)
        assert bodies(other, "shop") == bodies(vault, "shop")
        assert values(other, "shop") == values(vault, "shop")
    # The file is read by ranges.
    ranges = [
        re.search(r"(?i)\r\nx-ms-range: bytes=(\d+)-(\d+)\r\n", request.head) for request in proxy.calls("GET")[gets:]
    ]
    # Small bodies lie in one block: a thousand of them do not cost a thousand round trips.
    assert 1 <= len(ranges) < 5
    assert all(ranges)


def test_a_network_that_fails_during_a_backup_leaves_the_old_file(tmp_path, container, proxy):
    store = container.store(proxy.port, block_byte_count=16 << 10, patience=IMPATIENT)
    with vault_with(tmp_path) as vault:
        backup_database(vault.folder, store, "shop", "shop.abf")
        old = store.info("shop.abf")
        proxy.plan = _from_now(proxy, 5)
        with pytest.raises(StoreUnavailableError, match="Put Block of shop"):
            backup_database(vault.folder, store, "shop", "shop.abf", overwrite=True)
        proxy.plan = lambda _: PASS
        assert store.info("shop.abf") == old
        with pytest.raises(StorageError):
            store.info("other.abf")


def test_an_upload_of_256_mib_takes_little_memory(container, proxy):
    # The service is slower than the writer, so whatever is not bounded piles up.
    proxy.plan = lambda request: Fault(delay_s=0.2) if request.call == "PUT block" else PASS
    environment = {
        **os.environ,
        "URL": container.account_url(proxy.port),
        "CONTAINER": container.name,
        "ACCOUNT": container.account_url().rpartition("/")[2],
        "KEY": container.key,
    }
    done = subprocess.run(
        [sys.executable, "-c", LARGE], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    upload_mib, all_mib = map(int, done.stdout.split())
    assert upload_mib < 100
    assert all_mib < 100


def _from_now(proxy: FaultProxy, count: int):
    """A plan: after *count* more requests the network is gone."""
    begun = len(proxy.requests)
    return lambda _: Fault(cuts_request=True) if len(proxy.requests) - begun > count else PASS
