"""
Passwords that were found right a short while ago.

Microsoft's clients send Basic credentials with every request, and each request twice (without, then with them). A
fifth of a second of scrypt for each would leave five requests a second. So a password that scrypt found right is known
again for some minutes by an HMAC-SHA-256 under a key that this process made up and never writes down: that costs
microseconds, and is useless to somebody who reads the files.

The HMAC covers the user's stored key as well, which changes with the password: what was remembered of an old password,
or of a removed user, fits nothing any more. It covers the address too: whoever guesses from elsewhere is not known here
and has to pass the throttle.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tabvault.jobs.access.passwords import password_octets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.storage.server_state.accounts import UserRecord

REMEMBERED_S: Final = 900.0
"""How long after its last use a password is known without scrypt."""

ENTRY_COUNT_MAX: Final = 10_000
"""32 bytes each; beyond them the one unused for longest is forgotten."""


class VerifiedPasswords:
    """
    What is remembered. Threads may share it.

    Args:
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, user: UserRecord, password: str, address: str) -> bool:
        """Whether that is known; if so it is known for another while."""
        mark = self._mark(user, password, address)
        now = self._clock()
        with self._lock:
            until = self._until.pop(mark, None)
            if until is None or until <= now:
                return False
            self._until[mark] = now + REMEMBERED_S
            return True

    def remember(self, user: UserRecord, password: str, address: str) -> None:
        """Know from now on that *password* is that of *user*, from *address*."""
        mark = self._mark(user, password, address)
        with self._lock:
            self._until.pop(mark, None)
            self._until[mark] = self._clock() + REMEMBERED_S
            if len(self._until) > ENTRY_COUNT_MAX:
                self._until.popitem(last=False)

    def _mark(self, user: UserRecord, password: str, address: str) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (user.password.salt, user.password.key, address.encode(), password_octets(password)):
            mac.update(len(part).to_bytes(4, "big"))
            mac.update(part)
        return mac.digest()
