"""Ranges are read through a network that goes wrong: they are whole, or an error says so."""

from __future__ import annotations

import random
import re
import time

import pytest

from storage.azure.fault_proxy import FAULTS, IMPATIENT, Fault, FaultProxy, first_times
from tabvault.errors import StoreUnavailableError
from tabvault.storage.azure.patience import Patience
from tabvault.testing.store_contract import put

pytest_plugins = ["storage.azure.azurite"]

BODY = random.Random(7).randbytes(160_000)


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


@pytest.fixture
def store(container, proxy):
    return container.store(proxy.port, patience=IMPATIENT)


READ_FAULTS = FAULTS | {
    "truncated": Fault(body_byte_count=1000),
    "no body": Fault(body_byte_count=0),
    "short": Fault(body_byte_count=1000, is_consistent=True),
}


@pytest.mark.parametrize("fault", READ_FAULTS.values(), ids=READ_FAULTS)
def test_a_range_is_whole_after_a_fault_that_passes(store, proxy, container, fault):
    put(container.store(), "x.abf", BODY)
    with store.open("x.abf") as stored:
        proxy.plan = first_times(1, fault, "GET")
        assert stored.read_at(5, 100_000) == BODY[5:100_005]
        assert 2 <= len(proxy.calls("GET")) <= 3


@pytest.mark.parametrize("is_consistent", [True, False])
def test_a_range_that_is_always_cut_is_an_error_and_never_short(container, proxy, is_consistent):
    put(container.store(), "x.abf", BODY)
    store = container.store(proxy.port, patience=Patience(2, 8.0, 0.01, 0.01, 2.0))
    with store.open("x.abf") as stored:
        proxy.plan = lambda _: Fault(body_byte_count=1000, is_consistent=is_consistent)
        with pytest.raises(StoreUnavailableError, match=r"^Get Blob of x\.abf"):
            stored.read_at(0, 100_000)
        # The client library itself begins a cut body anew, twice.
        assert len(proxy.calls("GET")) <= 2 * 3


def test_a_service_that_sends_one_byte_now_and_then_is_cut_off(container, proxy):
    put(container.store(), "x.abf", BODY)
    store = container.store(proxy.port, patience=Patience(3, 2.0, 0.01, 0.01, 1.0))
    with store.open("x.abf") as stored:
        proxy.plan = lambda _: Fault(piece_pause_s=0.05)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="Get Blob"):
            stored.read_at(0, 100_000)
        assert time.monotonic() - begun < 6


def test_reading_on_costs_few_requests_and_jumping_reads_little(store, proxy, container):
    body = random.Random(2).randbytes(3 << 20)
    put(container.store(), "x.abf", body)
    with store.open("x.abf") as stored:
        for offset in range(0, len(body), 1000):
            byte_count = min(1000, len(body) - offset)
            assert bytes(stored.read_at(offset, byte_count)) == body[offset : offset + byte_count]
        assert len(proxy.calls("GET")) <= 7  # 64, 128, 256, 512 KiB, 1 MiB, 2 MiB
        for offset in (2_000_000, 10, 1_000_000, 3_000_000):
            assert bytes(stored.read_at(offset, 5)) == body[offset : offset + 5]
        sizes = [
            int(last) - int(first) + 1
            for request in proxy.calls("GET")[-3:]
            for first, last in re.findall(r"(?i)x-ms-range: bytes=(\d+)-(\d+)", request.head)
        ]
        assert len(sizes) == 3
        assert max(sizes) == 64 << 10
