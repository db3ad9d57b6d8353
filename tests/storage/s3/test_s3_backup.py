"""A real database backed up into a bucket, and restored from it, also while network and service go wrong."""

from __future__ import annotations

import itertools
import re

import pytest

from jobs.vaults import WITH_ROLES, bodies, values, vault_with
from storage.fault_proxy import IMPATIENT, PASS, Fault, FaultProxy
from tabvault.errors import ObjectExistsError, StorageError, StoreUnavailableError
from tabvault.jobs.backup import backup_database
from tabvault.jobs.restore import restore_database
from tabvault.jobs.vault import Vault
from tabvault.testing.store_contract import names

pytest_plugins = ["storage.s3.service"]

STORM = [Fault(status=503), Fault(status=500), Fault(status=429), Fault(cuts_request=True), Fault(cuts_answer=True)]


@pytest.fixture
def proxy(bucket):
    with FaultProxy(bucket.port) as running:
        yield running


def test_a_database_comes_back_through_a_storm_as_it_was(tmp_path, bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=128 << 10, patience=IMPATIENT)
    proxy.plan = _storm()
    with vault_with(tmp_path, WITH_ROLES) as vault, Vault(tmp_path / "other") as other:
        result = backup_database(vault.folder, store, "shop", "nightly/shop.abf")
        assert names(store) == ["nightly/shop.abf"]
        assert store.info("nightly/shop.abf").byte_count == result.byte_count
        with pytest.raises(ObjectExistsError):
            backup_database(vault.folder, store, "shop", "nightly/shop.abf")
        restore_database(other.own_folder, store, "nightly/shop.abf")
        assert bodies(other, "shop") == bodies(vault, "shop")
        assert values(other, "shop") == values(vault, "shop")
    # The file is read by ranges, never in one piece.
    gets = [request for request in proxy.calls("GET") if "nightly" in request.target]
    assert gets
    assert all(re.search(r"(?i)\r\nrange: bytes=\d+-\d+\r\n", request.head) for request in gets)


def test_a_network_that_fails_during_a_backup_leaves_the_old_file_and_what_was_sent(tmp_path, bucket, proxy):
    store = bucket.store(proxy.port, part_byte_count=16 << 10, patience=IMPATIENT)
    with vault_with(tmp_path) as vault:
        backup_database(vault.folder, store, "shop", "shop.abf")
        old = store.info("shop.abf")
        before = len(proxy.requests)
        proxy.plan = lambda request: Fault(cuts_request=True) if "partNumber=4" in request.target else PASS
        with pytest.raises(StoreUnavailableError, match=r"UploadPart of shop\.abf"):
            backup_database(vault.folder, store, "shop", "shop.abf", overwrite=True)
        assert store.info("shop.abf") == old
        proxy.plan = lambda _: Fault(cuts_request=True)
        with pytest.raises(StorageError, match="after 4 attempts"):
            store.info("shop.abf")
        # The next try goes on from there.
        proxy.plan = lambda _: PASS
        backup_database(vault.folder, store, "shop", "shop.abf", overwrite=True)
    parts = [request for request in proxy.requests[before:] if request.call == "PUT partNumber"]
    arrived = [request.target for request in parts if request.status == 200]
    assert len(arrived) == len(set(arrived)) > 4
    assert len({re.search(r"uploadId=([^&]+)", target)[1] for target in arrived}) == 1
    assert bucket.uploads() == bucket.noted() == []
    assert store.info("shop.abf").etag != old.etag


def _storm():
    """A plan: every request goes wrong the first time, in one way after the other."""
    faults = itertools.cycle(STORM)
    seen = set()

    def plan(request):
        is_new = (request.method, request.target) not in seen
        seen.add((request.method, request.target))
        return next(faults) if is_new else PASS

    return plan
