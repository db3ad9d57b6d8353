"""Ranges are read through a network that goes wrong: they are whole, or an error says so."""

from __future__ import annotations

import contextlib
import random
import re
import time

import pytest

from storage.fault_proxy import CUT_BODIES, FAULTS, IMPATIENT, Fault, FaultProxy, first_times
from tabvault.errors import StoreUnavailableError
from tabvault.storage.azure import client
from tabvault.storage.remote.patience import Patience
from tabvault.storage.remote.wire import WatchedPool, WatchedTlsPool
from tabvault.testing.store_contract import put

pytest_plugins = ["storage.azure.azurite"]

BODY = random.Random(7).randbytes(160_000)
READ_FAULTS = FAULTS | CUT_BODIES


@pytest.fixture
def proxy(container):
    with FaultProxy(container.port) as running:
        yield running


@pytest.fixture
def store(container, proxy):
    return container.store(proxy.port, patience=IMPATIENT)


@pytest.mark.parametrize("fault", READ_FAULTS.values(), ids=READ_FAULTS)
def test_a_range_is_whole_after_a_fault_that_passes(store, proxy, container, fault):
    put(container.store(), "x.abf", BODY)
    with store.open("x.abf") as stored:
        proxy.plan = first_times(1, fault, "GET")
        assert stored.read_at(5, 100_000) == BODY[5:100_005]
        assert len(proxy.calls("GET")) == 2


@pytest.mark.parametrize("is_consistent", [True, False])
def test_a_range_that_is_always_cut_is_an_error_and_never_short(container, proxy, is_consistent):
    put(container.store(), "x.abf", BODY)
    store = container.store(proxy.port, patience=Patience(2, 8.0, 0.01, 0.01, 2.0))
    with store.open("x.abf") as stored:
        proxy.plan = lambda _: Fault(body_byte_count=1000, is_consistent=is_consistent)
        with pytest.raises(StoreUnavailableError, match=r"^Get Blob of x\.abf"):
            stored.read_at(0, 100_000)
        # The client library repeats none by itself. But after an answer that is short by its own words it asks on.
        assert len(proxy.calls("GET")) == (2 * 2 if is_consistent else 2)


def test_connections_can_be_cut_off_from_the_first_use_on():
    """Several threads may be the first."""
    pools = client.WatchedTransport().session.get_adapter("https://x").poolmanager.pool_classes_by_scheme
    assert pools == {"http": WatchedPool, "https": WatchedTlsPool}


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


def test_reading_on_for_long_fetches_blocks_at_once_and_no_byte_twice(store, proxy, container):
    body = random.Random(3).randbytes(50 << 20)
    put(container.store(), "x.abf", body)
    proxy.plan = lambda _: Fault(delay_s=0.05)
    with store.open("x.abf") as stored:
        for offset in range(0, len(body), 1 << 20):
            assert stored.read_at(offset, 1 << 20) == body[offset : offset + (1 << 20)]
            if offset == 30 << 20:  # a look elsewhere disturbs nothing
                assert stored.read_at(1000, 10) == body[1000:1010]
        ranges = sorted(_range(request) for request in proxy.calls("GET"))
        assert proxy.open_count_max >= 3
        assert stored.read_at(3, len(body) - 4) == body[3:-1]
    look = (1000, 1000 + (64 << 10))
    assert look in ranges
    ranges.remove(look)
    assert [begin for begin, _ in ranges[1:]] == [end for _, end in ranges[:-1]]
    assert (ranges[0][0], ranges[-1][1]) == (0, len(body))
    assert max(end - begin for begin, end in ranges) == 8 << 20


def test_a_block_that_is_fetched_ahead_in_vain_is_an_error_where_it_is_read(proxy, container):
    body = random.Random(3).randbytes(40 << 20)
    put(container.store(), "x.abf", body)
    impatient = container.store(proxy.port, patience=Patience(2, 8.0, 0.01, 0.01, 2.0))
    with impatient.open("x.abf") as stored:
        proxy.plan = lambda request: Fault(status=503) if _range(request)[0] >= 32 << 20 else Fault()
        read = 0
        with contextlib.suppress(StoreUnavailableError):
            for offset in range(0, len(body), 1 << 20):
                assert stored.read_at(offset, 1 << 20) == body[offset : offset + (1 << 20)]
                read = offset + (1 << 20)
        assert (24 << 20) <= read < len(body)
        with pytest.raises(StoreUnavailableError, match=r"^Get Blob of x\.abf"):
            stored.read_at(len(body) - 10, 10)
        proxy.plan = lambda _: Fault()
        for offset in range(read, len(body), 1 << 20):
            assert stored.read_at(offset, 1 << 20) == body[offset : offset + (1 << 20)]


def _range(request) -> tuple[int, int]:
    first, last = re.search(r"(?i)x-ms-range: bytes=(\d+)-(\d+)", request.head).groups()
    return int(first), int(last) + 1
