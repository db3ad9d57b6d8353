"""Calls that are on their way side by side."""

from __future__ import annotations

import threading

import pytest

from tabvault.errors import StoreUnavailableError
from tabvault.storage.remote.in_flight import IN_FLIGHT_COUNT_MAX, InFlight

WAIT_S = 30
"""For what another thread is about to do."""


@pytest.fixture
def in_flight():
    calls: InFlight[int] = InFlight()
    yield calls
    calls.end(wait=True)


def test_results_come_in_the_order_of_the_calls(in_flight):
    turns = [threading.Event() for _ in range(4)]

    def call(number: int) -> int:
        # Each ends after the one that was begun behind it.
        assert number == 3 or turns[number + 1].wait(WAIT_S)
        turns[number].set()
        return number

    for number in range(4):
        in_flight.begin(lambda number=number: call(number))
    assert in_flight.results() == [0, 1, 2, 3]
    in_flight.begin(lambda: 4)
    assert in_flight.results() == [0, 1, 2, 3, 4]


def test_one_that_is_slow_holds_up_no_other(in_flight):
    go = threading.Event()
    others = threading.Semaphore(0)
    in_flight.begin(lambda: int(go.wait(WAIT_S)))
    for _ in range(20):
        in_flight.begin(lambda: others.release() or 2)
    for _ in range(20):
        assert others.acquire(timeout=WAIT_S)
    go.set()
    assert in_flight.results() == [1, *[2] * 20]


def test_no_more_are_held_than_there_is_memory_for(in_flight):
    go = threading.Event()
    running: list[int] = []
    all_run = threading.Event()
    begun: list[int] = []

    def call(number: int) -> int:
        running.append(number)
        if len(running) == IN_FLIGHT_COUNT_MAX:
            all_run.set()
        assert go.wait(WAIT_S)
        return number

    def begin() -> None:
        for number in range(9):
            in_flight.begin(lambda number=number: call(number))
            begun.append(number)

    writer = threading.Thread(target=begin)
    writer.start()
    try:
        assert all_run.wait(WAIT_S)
        writer.join(0.2)
        assert len(running) == IN_FLIGHT_COUNT_MAX
        assert len(begun) <= IN_FLIGHT_COUNT_MAX + 1
    finally:
        go.set()
        writer.join(WAIT_S)
    assert in_flight.results() == list(range(9))


def test_a_failure_is_raised_for_whoever_begins_the_next_one_and_for_whoever_wants_the_results(in_flight):
    def fail() -> int:
        raise StoreUnavailableError("not there")

    in_flight.begin(lambda: 1)
    in_flight.begin(fail)
    with pytest.raises(StoreUnavailableError):
        in_flight.results()
    with pytest.raises(StoreUnavailableError):
        in_flight.begin(lambda: 2)


def test_a_failure_does_not_wait_for_those_that_are_slow(in_flight):
    go = threading.Event()

    def fail() -> int:
        raise StoreUnavailableError("not there")

    in_flight.begin(lambda: int(go.wait(WAIT_S)))
    in_flight.begin(fail)
    with pytest.raises(StoreUnavailableError):
        in_flight.results()
    assert not go.is_set()
    go.set()
