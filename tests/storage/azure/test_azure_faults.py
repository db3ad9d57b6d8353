"""Network and service go wrong between client and emulator: an object is whole or absent, and errors name the call."""

from __future__ import annotations

import random
import time

import pytest

from storage.fault_proxy import FAULTS, IMPATIENT, PASS, Fault, FaultProxy, LastingFault, first_times
from tabvault.errors import ObjectExistsError, ObjectNotFoundError, StorageError, StoreUnavailableError
from tabvault.storage.remote.patience import Patience
from tabvault.testing.store_contract import names, put, read

pytest_plugins = ["storage.azure.azurite"]

BLOCK = 32 << 10
BODY = random.Random(7).randbytes(5 * BLOCK + 100)
HEAD = b"the head"


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


@pytest.fixture
def store(container, proxy):
    return container.store(proxy.port, block_byte_count=BLOCK, patience=IMPATIENT)


def upload(store, name="x.abf", *, replace=False):
    with store.create(name, replace=replace, head_byte_count=len(HEAD)) as begun:
        begun.write(BODY)
        return begun.finish(HEAD)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("call", ["HEAD", "PUT block", "PUT blocklist"])
def test_a_fault_that_passes_costs_no_object(store, proxy, container, call, fault):
    proxy.plan = first_times(1, fault, call)
    info = upload(store)
    assert store.info("x.abf") == info
    assert read(container.store(), "x.abf") == HEAD + BODY
    assert len(proxy.calls("PUT block")) == 7 + (call == "PUT block")
    assert len(proxy.calls("PUT blocklist")) == 1 + (call == "PUT blocklist")


@pytest.mark.parametrize("fault", [Fault(cuts_request=True), Fault(status=503)], ids=["cut", "503"])
@pytest.mark.parametrize(
    ("call", "name"), [("HEAD", "Get Blob Properties"), ("PUT block", "Put Block"), ("PUT blocklist", "Put Block List")]
)
def test_a_fault_that_lasts_leaves_no_object_and_names_the_call(store, proxy, container, call, name, fault):
    proxy.plan = first_times(-1, fault, call)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=rf"^{name} of x\.abf: .*, after \d attempts$"):
        upload(store)
    assert time.monotonic() - begun < IMPATIENT.deadline_s
    assert names(container.store()) == []
    # Four blocks may be on their way at once, each with its own attempts.
    assert len(proxy.calls(call)) <= 4 * IMPATIENT.attempt_count_max


def test_when_any_request_goes_wrong_for_good_the_object_is_old_or_new(store, proxy, container):
    put(container.store(), "x.abf", b"old")
    for faulty in range(1, 40):
        for fault in (Fault(status=403), Fault(cuts_request=True)):
            proxy.plan = plan = LastingFault(fault, begins_at=faulty)
            broken = container.store(proxy.port, block_byte_count=BLOCK, patience=Patience(2, 5.0, 0.001, 0.001, 2.0))
            try:
                upload(broken, replace=True)
            except StorageError:
                assert read(container.store(), "x.abf") in {b"old", HEAD + BODY}
                continue
            assert read(container.store(), "x.abf") == HEAD + BODY
            if plan.has_begun:  # only the lease could not be given back
                assert proxy.requests[-1].call == "PUT lease"
                continue
            assert faulty > 8
            return
    pytest.fail("the upload never got through")


def test_a_block_that_arrives_damaged_is_refused_by_the_service_and_sent_again(store, proxy, container):
    proxy.plan = first_times(1, Fault(damages_body=True), "PUT block")
    upload(store)
    assert sorted(request.status for request in proxy.calls("PUT block")) == [201] * 7 + [400]
    assert read(container.store(), "x.abf") == HEAD + BODY


def test_blocks_that_always_arrive_damaged_make_no_object(store, proxy, container):
    proxy.plan = first_times(-1, Fault(damages_body=True), "PUT block")
    with pytest.raises(StorageError, match=r"^Put Block of x\.abf: .*400"):
        upload(store)
    assert names(container.store()) == []


def test_when_every_answer_to_the_publication_is_lost_it_is_looked_for(store, proxy, container):
    proxy.plan = lambda request: Fault(cuts_answer=True) if request.call == "PUT blocklist" else PASS
    info = upload(store)
    assert store.info("x.abf") == info
    assert [request.status for request in proxy.calls("PUT blocklist")] == [201, 409, 409, 409]
    assert read(container.store(), "x.abf") == HEAD + BODY


def test_a_lost_answer_is_not_taken_for_ones_own_when_another_was_first(store, proxy, container):
    def plan(request):
        if request.call == "PUT blocklist" and len(proxy.calls("PUT blocklist")) == 1:
            put(container.store(), "x.abf", b"theirs")
            return Fault(cuts_request=True)
        return PASS

    proxy.plan = plan
    with pytest.raises(ObjectExistsError):
        upload(store)
    assert read(container.store(), "x.abf") == b"theirs"


def test_no_more_than_four_blocks_are_on_their_way(store, proxy):
    proxy.plan = lambda request: Fault(delay_s=0.05) if request.call == "PUT block" else PASS
    upload(store)
    assert proxy.open_count_max == 4


def test_removing_with_a_lost_answer_is_removing(store, proxy, container):
    put(container.store(), "x.abf", b"1")
    proxy.plan = first_times(1, Fault(cuts_answer=True), "DELETE")
    store.remove("x.abf")
    assert [request.status for request in proxy.calls("DELETE")] == [202, 404]
    with pytest.raises(ObjectNotFoundError):
        store.remove("x.abf")


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(body_byte_count=50)], ids=["503", "truncated"])
def test_a_listing_is_whole_or_an_error(store, proxy, container, fault):
    for number in range(3):
        put(container.store(), f"{number}.abf", b"1")
    proxy.plan = first_times(1, fault, "GET list")
    assert names(store) == ["0.abf", "1.abf", "2.abf"]
    proxy.plan = first_times(-1, fault, "GET list")
    with pytest.raises(StoreUnavailableError, match=r"^List Blobs of container"):
        list(store.list())


def test_a_server_that_is_gone_is_named(container, proxy):
    with FaultProxy(container.port) as gone:
        port = gone.port
    store = container.store(port, patience=IMPATIENT)
    with pytest.raises(
        StoreUnavailableError, match=rf"127\.0\.0\.1:{port}/testaccount cannot be reached, after 4 attempts"
    ):
        store.info("x.abf")
