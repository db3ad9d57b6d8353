"""
Log-ins that failed: who must wait before the next is looked at.

A few failures are free, people mistype. Each one more doubles the time during which no further attempt of that name, or
from that address, is even looked at: 1, 2, 4 … seconds, up to five minutes. What is refused meanwhile does not count.
After a quarter of an hour without failure all is forgotten; a right password forgets those of its name at once, but not
those of the address, for else an attacker would log in under a name of his own between his guesses. Of an address one
failure is forgotten every half minute: a forgotten program with an old password, which soon fails once in five minutes,
does not shut out the others behind the same gateway.

An IPv6 address counts as its /64, which one host has to itself. Memory is bounded: beyond
:data:`ENTRY_COUNT_MAX` names or addresses the one whose last failure is longest ago is forgotten.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestError, TooManyAttemptsError
from tabvault.storage.server_state.firewall_rules import parse_address

if TYPE_CHECKING:
    from collections.abc import Callable

NAME_FAILURES_FREE: Final = 5
ADDRESS_FAILURES_FREE: Final = 20
"""More than for a name: several people may share an address."""

DELAY_MAX_S: Final = 300.0
FORGOTTEN_AFTER_S: Final = 900.0
ADDRESS_FAILURE_FORGOTTEN_AFTER_S: Final = 30.0
ENTRY_COUNT_MAX: Final = 10_000


@dataclass(slots=True)
class _Failures:
    count: float = 0.0
    last_s: float = 0.0
    blocked_until_s: float = 0.0


class _Ledger:
    """
    Failures by name or by address, the longest ago first.

    Args:
        free_count: failures before the first delay.
        one_forgotten_after_s: seconds that make up for one failure.
    """

    def __init__(self, free_count: int, *, one_forgotten_after_s: float = math.inf) -> None:
        self._free_count = free_count
        self._one_forgotten_after_s = one_forgotten_after_s
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        failures = self._failures.get(key)
        return 0.0 if failures is None else max(0.0, failures.blocked_until_s - now_s)

    def add(self, key: str, now_s: float) -> None:
        failures = self._failures.pop(key, None)
        if failures is None or now_s - failures.last_s >= FORGOTTEN_AFTER_S:
            failures = _Failures()
        forgotten = (now_s - failures.last_s) / self._one_forgotten_after_s
        failures.count = max(0.0, failures.count - forgotten) + 1
        failures.last_s = now_s
        excess = failures.count - self._free_count
        if excess > 0:
            failures.blocked_until_s = now_s + min(DELAY_MAX_S, 2.0 ** min(max(excess - 1, 0), 30))
        self._failures[key] = failures
        if len(self._failures) > ENTRY_COUNT_MAX:
            self._failures.popitem(last=False)

    def forget(self, key: str) -> None:
        self._failures.pop(key, None)


class LoginThrottle:
    """
    Failures of log-ins by name and by address. Threads may share it.

    Args:
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names = _Ledger(NAME_FAILURES_FREE)
        self._addresses = _Ledger(ADDRESS_FAILURES_FREE, one_forgotten_after_s=ADDRESS_FAILURE_FORGOTTEN_AFTER_S)
        self._lock = threading.Lock()

    def check_name(self, name: str) -> None:
        """
        Refuse an attempt for *name*, if it must wait.

        Raises:
            TooManyAttemptsError: how long it must wait.
        """
        with self._lock:
            wait_s = self._names.wait_s(name.casefold(), self._clock())
        if wait_s > 0:
            raise _too_many("log-ins of that name", wait_s)

    def check_address(self, address: str) -> None:
        """
        Refuse an attempt from *address*, if it must wait.

        Raises:
            TooManyAttemptsError: how long it must wait.
        """
        with self._lock:
            wait_s = self._addresses.wait_s(_network(address), self._clock())
        if wait_s > 0:
            raise _too_many(f"log-ins from {address}", wait_s)

    def failed(self, address: str, name: str | None = None) -> None:
        """Count a failure from *address*, and of *name* if one was given."""
        with self._lock:
            now_s = self._clock()
            self._addresses.add(_network(address), now_s)
            if name is not None:
                self._names.add(name.casefold(), now_s)

    def succeeded(self, name: str) -> None:
        """Forget the failures of *name*: whoever knows its password has come."""
        with self._lock:
            self._names.forget(name.casefold())


def _network(address: str) -> str:
    try:
        parsed = parse_address(address)
    except RequestError:  # a socket of the file system, or a test client, has no address: all such are one
        return ""
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def _too_many(what: str, wait_s: float) -> TooManyAttemptsError:
    return TooManyAttemptsError(
        f"{what} failed too often", retry_after_s=wait_s, hint=f"try again in {math.ceil(wait_s)} seconds"
    )
