"""How long a failed log-in makes the next one wait."""

from __future__ import annotations

import pytest

from tabvault.errors import TooManyAttemptsError
from tabvault.jobs.access.throttle import ENTRY_COUNT_MAX, LoginThrottle


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def wait_s(check, key):
    try:
        check(key)
    except TooManyAttemptsError as error:
        return error.retry_after_s
    return 0.0


def test_five_failures_of_a_name_are_free_and_each_more_doubles_the_delay(clock):
    throttle = LoginThrottle(clock)
    waits = []
    for number in range(16):
        throttle.failed(f"10.0.{number}.1", "Alice")
        waits.append(wait_s(throttle.check_name, "aLICE"))
        clock.now_s += waits[-1]
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_the_delay_ends(clock):
    throttle = LoginThrottle(clock)
    for number in range(7):
        throttle.failed(f"10.0.{number}.1", "alice")
    clock.now_s += 1.9
    assert wait_s(throttle.check_name, "alice") == pytest.approx(0.1)
    clock.now_s += 0.1
    assert wait_s(throttle.check_name, "alice") == 0


def test_one_name_does_not_slow_another_down(clock):
    throttle = LoginThrottle(clock)
    for number in range(10):
        throttle.failed(f"10.0.{number}.1", "alice")
    assert wait_s(throttle.check_name, "bob") == 0


def test_an_address_that_tries_many_names_waits(clock):
    throttle = LoginThrottle(clock)
    waits = []
    for number in range(24):
        throttle.failed("10.0.0.1", f"user{number}")
        waits.append(wait_s(throttle.check_address, "10.0.0.1"))
    assert waits == [0] * 20 + [1, 2, 4, 8]
    assert wait_s(throttle.check_address, "::ffff:10.0.0.1") == 8
    assert wait_s(throttle.check_address, "10.0.0.2") == 0


def test_an_ipv6_network_of_one_host_is_one_address(clock):
    throttle = LoginThrottle(clock)
    for number in range(21):
        throttle.failed(f"2001:db8:0:1::{number:x}")
    assert wait_s(throttle.check_address, "2001:db8:0:1:ffff::1") == 1
    assert wait_s(throttle.check_address, "2001:db8:0:2::1") == 0


def test_what_is_no_address_is_throttled_too(clock):
    throttle = LoginThrottle(clock)
    for _ in range(21):
        throttle.failed("testclient")
    assert wait_s(throttle.check_address, "testclient") == 1


def test_a_right_password_forgets_the_failures_of_the_name_and_not_those_of_the_address(clock):
    throttle = LoginThrottle(clock)
    for _ in range(25):
        throttle.failed("10.0.0.1", "alice")
    throttle.succeeded("ALICE")
    assert wait_s(throttle.check_name, "alice") == 0
    assert wait_s(throttle.check_address, "10.0.0.1") == 16


def test_failures_are_forgotten_after_a_quarter_of_an_hour(clock):
    throttle = LoginThrottle(clock)
    for _ in range(5):
        throttle.failed("10.0.0.1", "alice")
    clock.now_s += 900
    throttle.failed("10.0.0.1", "alice")
    assert wait_s(throttle.check_name, "alice") == 0


def test_a_program_with_an_old_password_does_not_shut_out_its_gateway(clock):
    throttle = LoginThrottle(clock)
    for _ in range(8 * 3600 // 60):
        # It tries every minute for a night; what is refused does not count.
        if not wait_s(throttle.check_address, "10.0.0.1") and not wait_s(throttle.check_name, "program"):
            throttle.failed("10.0.0.1", "program")
        assert wait_s(throttle.check_address, "10.0.0.1") == 0
        clock.now_s += 60


def test_an_attacker_gets_at_most_two_guesses_a_minute_from_one_address(clock):
    throttle = LoginThrottle(clock)
    guesses = 0
    for second in range(3600):
        if not wait_s(throttle.check_address, "10.0.0.1"):
            throttle.failed("10.0.0.1", f"user{second}")
            guesses += 1
        clock.now_s += 1
    assert guesses <= 20 + 2 * 60 + 6


def test_the_memory_of_failures_is_bounded(clock):
    throttle = LoginThrottle(clock)
    for number in range(ENTRY_COUNT_MAX + 5):
        throttle.failed(str(number), f"user{number}")
    assert len(throttle._names._failures) == ENTRY_COUNT_MAX
    assert "user0" not in throttle._names._failures
