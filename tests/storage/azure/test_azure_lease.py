"""What is being replaced is held by a lease: nobody else deletes or replaces it meanwhile, and nobody is locked out."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient

from jobs.vaults import vault_with
from storage.fault_proxy import FAULTS, IMPATIENT, PASS, Fault, FaultProxy, first_times
from tabvault.errors import StorageError, StoreUnavailableError
from tabvault.jobs.backup import backup_database
from tabvault.storage.azure import lease
from tabvault.storage.remote.wire import Stop, stopped_by
from tabvault.testing.store_contract import put, read

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["storage.azure.azurite"]

BLOCK = 1000
BODY = b"new" * BLOCK


@pytest.fixture
def proxy(container) -> Iterator[FaultProxy]:
    with FaultProxy(container.port) as running:
        yield running


@pytest.fixture
def store(container, proxy):
    put(container.store(), "x.abf", b"old")
    return container.store(proxy.port, block_byte_count=BLOCK, patience=IMPATIENT)


def state(container) -> str:
    with container.plain() as client:
        return client.get_blob_client("x.abf").get_blob_properties().lease.state


def test_what_is_being_replaced_can_neither_be_deleted_nor_replaced(store, container):
    with container.plain() as client:
        blob = client.get_blob_client("x.abf")
        for ends in ("finish", "abort"):
            with store.create("x.abf", replace=True) as upload:
                upload.write(BODY)
                for change in (blob.delete_blob, lambda: blob.upload_blob(b"theirs", overwrite=True)):
                    with pytest.raises(HttpResponseError, match="lease"):
                        change()
                if ends == "finish":
                    upload.finish()
            assert state(container) == "available"
            assert read(container.store(), "x.abf") == BODY
        blob.delete_blob()


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_not_there_is_not_leased(store, container, proxy, *, replace):
    with container.plain() as client:
        client.delete_blob("x.abf")
    with store.create("x.abf", replace=replace) as upload:
        upload.write(BODY)
        upload.finish()
    assert proxy.calls("PUT lease") == []


def test_the_lease_of_somebody_else_is_a_refusal_before_anything_is_sent(store, container, proxy):
    with container.plain() as client:
        client.get_blob_client("x.abf").acquire_lease(60)
    with pytest.raises(StorageError, match=r"x\.abf is being replaced by another program") as caught:
        store.create("x.abf", replace=True)
    assert "60 seconds" in caught.value.hint
    assert proxy.calls("PUT block") == []
    assert len(proxy.calls("PUT lease")) == 1


def test_who_may_not_take_a_lease_goes_on_without(store, container, proxy):
    proxy.plan = first_times(-1, Fault(status=403, code="AuthorizationPermissionMismatch"), "PUT lease")
    with store.create("x.abf", replace=True) as upload:
        upload.write(BODY)
        upload.finish()
    assert read(container.store(), "x.abf") == BODY
    assert len(proxy.calls("PUT lease")) == 1


def test_who_is_stopped_gives_his_lease_back(store, container):
    stop = Stop()
    with stopped_by(stop), store.create("x.abf", replace=True) as upload:
        upload.write(BODY)
        stop.set()
        with pytest.raises(StoreUnavailableError):
            upload.finish()
    assert state(container) == "available"


def test_who_is_stopped_while_he_takes_a_lease_gives_it_back(container, proxy, store):
    proxy.plan = first_times(1, Fault(delay_s=60.0), "PUT lease")
    stop = Stop()
    errors: list[StorageError] = []

    def create() -> None:
        try:
            with stopped_by(stop):
                container.store(proxy.port).create("x.abf", replace=True)
        except StorageError as error:
            errors.append(error)

    creating = threading.Thread(target=create)
    creating.start()
    ends = time.monotonic() + 20
    while state(container) != "leased" and time.monotonic() < ends:
        time.sleep(0.01)
    assert state(container) == "leased"
    stop.set()
    creating.join(20)
    assert not creating.is_alive()
    assert isinstance(errors[0], StoreUnavailableError)
    assert state(container) == "available"


def test_a_second_try_is_not_locked_out_by_the_first_and_others_are(store, container):
    dead = store.create("x.abf", replace=True, upload_key="a")
    dead._lease._is_released = True  # as if its process had been killed
    dead.abort()
    dead._lease._ended.set()
    assert state(container) == "leased"
    with pytest.raises(StorageError, match="is being replaced"):
        store.create("x.abf", replace=True, upload_key="b")
    with store.create("x.abf", replace=True, upload_key="a") as upload:
        upload.write(BODY)
        upload.finish()
    assert state(container) == "available"


def test_it_is_renewed_as_long_as_the_upload_lasts(store, proxy, monkeypatch):
    monkeypatch.setattr(lease, "_RENEWAL_S", 0.02)
    with store.create("x.abf", replace=True) as upload:
        ends = time.monotonic() + 20
        while len(proxy.calls("PUT lease")) < 4 and time.monotonic() < ends:
            time.sleep(0.01)
        upload.finish()
    actions = [
        request.head.lower().split("x-ms-lease-action: ")[1].split("\r")[0] for request in proxy.calls("PUT lease")
    ]
    assert actions[0] == "acquire"
    assert actions.count("renew") >= 3
    assert actions.count("release") == 1
    upload._lease._renewer.join(10)
    assert not upload._lease._renewer.is_alive()


def test_a_lease_that_was_broken_is_taken_again(store, container):
    with container.plain() as client:
        breaker = BlobLeaseClient(client.get_blob_client("x.abf"))
        with store.create("x.abf", replace=True) as upload:
            upload.write(BODY[: BLOCK + 1])
            breaker.break_lease(0)
            upload.write(BODY[BLOCK + 1 :])
            breaker.break_lease(0)
            upload.finish()
    assert read(container.store(), "x.abf") == BODY
    assert state(container) == "available"


def test_a_lease_that_another_took_over_is_a_refusal(store, container):
    with container.plain() as client:
        blob = client.get_blob_client("x.abf")
        with store.create("x.abf", replace=True) as upload:
            BlobLeaseClient(blob).break_lease(0)
            blob.acquire_lease(60, lease_id=str(uuid.UUID(int=1)))
            upload.write(BODY)
            with pytest.raises(StorageError, match="lease"):
                upload.finish()
    assert read(container.store(), "x.abf") == b"old"


@pytest.mark.parametrize("fault", [FAULTS["answer lost"], FAULTS["503"]], ids=["answer lost", "503"])
def test_a_fault_that_passes_costs_no_lease(store, container, proxy, fault):
    proxy.plan = first_times(1, fault, "PUT lease")
    with store.create("x.abf", replace=True) as upload:
        assert state(container) == "leased"
        upload.write(BODY)
        upload.finish()
    assert state(container) == "available"


def test_when_nothing_can_be_asked_after_the_lease_it_is_given_back(store, container, proxy):
    proxy.plan = first_times(-1, Fault(status=503), "GET blocklist")
    with pytest.raises(StoreUnavailableError, match="Get Block List"):
        store.create("x.abf", replace=True, upload_key="a")
    assert state(container) == "available"


def test_a_backup_with_other_options_is_not_locked_out_by_the_one_that_was_interrupted(
    tmp_path, container, proxy, store, monkeypatch
):
    with vault_with(tmp_path) as vault:
        with monkeypatch.context() as patch:
            patch.setattr(lease.BlobLease, "release", lambda self: self._ended.set())  # killed
            proxy.plan = lambda _: Fault(cuts_request=True) if len(proxy.calls("PUT block")) > 3 else PASS
            with pytest.raises(StoreUnavailableError):
                backup_database(vault.folder, store, "shop", "x.abf", overwrite=True)
        proxy.plan = lambda _: PASS
        assert state(container) == "leased"
        with pytest.raises(StorageError, match="is being replaced"):
            container.store().create("x.abf", replace=True)
        backup_database(vault.folder, store, "shop", "x.abf", overwrite=True, compress=False)
    assert state(container) == "available"
