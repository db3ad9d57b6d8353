"""Ranges of an object in a bucket are read through a network that goes wrong: they are whole, or an error says so."""

from __future__ import annotations

import random
import re

import pytest

from storage.fault_proxy import CUT_BODIES, IMPATIENT, QUICK_FAULTS, Fault, FaultProxy, first_times
from tabvault.errors import ObjectChangedError, StoreUnavailableError
from tabvault.storage.remote.patience import Patience
from tabvault.testing.store_contract import put

pytest_plugins = ["storage.s3.service"]

BODY = random.Random(7).randbytes(160_000)
READ_FAULTS = QUICK_FAULTS | CUT_BODIES | {"an empty success": Fault(status=200)}


@pytest.fixture
def proxy(bucket):
    with FaultProxy(bucket.port) as running:
        yield running


@pytest.fixture
def store(bucket, proxy):
    return bucket.store(proxy.port, patience=IMPATIENT)


@pytest.mark.parametrize("fault", READ_FAULTS.values(), ids=READ_FAULTS)
def test_a_range_is_whole_after_a_fault_that_passes(store, proxy, bucket, fault):
    put(bucket.store(), "x.abf", BODY)
    with store.open("x.abf") as stored:
        proxy.plan = first_times(1, fault, "GET")
        assert stored.read_at(5, 100_000) == BODY[5:100_005]
        assert len(proxy.calls("GET")) == 2


@pytest.mark.parametrize("is_consistent", [True, False])
def test_a_range_that_is_always_cut_is_an_error_and_never_short(bucket, proxy, is_consistent):
    put(bucket.store(), "x.abf", BODY)
    store = bucket.store(proxy.port, patience=Patience(2, 8.0, 0.01, 0.01, 2.0))
    with store.open("x.abf") as stored:
        proxy.plan = lambda _: Fault(body_byte_count=1000, is_consistent=is_consistent)
        with pytest.raises(StoreUnavailableError, match=r"^GetObject of x\.abf.*after 2 attempts"):
            stored.read_at(0, 100_000)
        assert len(proxy.calls("GET")) == 2


def test_a_service_that_sends_one_byte_now_and_then_is_cut_off(bucket, proxy):
    put(bucket.store(), "x.abf", BODY)
    store = bucket.store(proxy.port, patience=Patience(3, 1.0, 0.01, 0.01, 1.0))
    with store.open("x.abf") as stored:
        # All of it would take 300 s.
        proxy.plan = lambda _: Fault(piece_pause_s=0.05)
        with pytest.raises(StoreUnavailableError, match="GetObject"):
            stored.read_at(0, 100_000)


def test_reading_on_costs_few_requests_and_jumping_reads_little(store, proxy, bucket):
    body = random.Random(2).randbytes(3 << 20)
    put(bucket.store(), "x.abf", body)
    with store.open("x.abf") as stored:
        for offset in range(0, len(body), 5000):
            byte_count = min(5000, len(body) - offset)
            assert bytes(stored.read_at(offset, byte_count)) == body[offset : offset + byte_count]
        assert len(proxy.calls("GET")) <= 7  # 64, 128, 256, 512 KiB, 1 MiB, 2 MiB
        for offset in (2_000_000, 10, 1_000_000):
            assert bytes(stored.read_at(offset, 5)) == body[offset : offset + 5]
        ranges = [re.search(r"(?i)\nrange: bytes=(\d+)-(\d+)", request.head) for request in proxy.calls("GET")[-2:]]
        assert [int(found[2]) - int(found[1]) + 1 for found in ranges] == [64 << 10] * 2


def test_an_object_that_was_replaced_is_named(store):
    put(store, "x.abf", BODY)
    with store.open("x.abf") as stored:
        put(store, "x.abf", BODY[1:], replace=True)
        with pytest.raises(ObjectChangedError, match=r"x\.abf was replaced while it was read"):
            stored.read_at(0, 100)


def test_a_long_object_read_on_and_on_is_whole(store, proxy, bucket):
    body = random.Random(3).randbytes(1 << 20) * 20 + b"end"
    put(bucket.store(), "x.abf", body)
    with store.open("x.abf") as stored:
        read = b"".join(
            stored.read_at(offset, min(3 << 20, len(body) - offset)) for offset in range(0, len(body), 3 << 20)
        )
        assert read == body
        assert stored.read_at(5, len(body) - 5) == body[5:]
