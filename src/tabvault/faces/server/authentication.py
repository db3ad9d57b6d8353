"""
Who sent a request: the firewall first, then the credential.

What comes without a credential, or with one that does not hold, gets 401 and a challenge; Microsoft's clients send
their password only after that, with every request anew.

A log-in that failed is written into the audit log; one that was not even looked at, since others failed before, is not.
Nor is every one of a flood: strangers must not fill the disk on which the audit log, and so every operation, depends.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from tabvault.errors import AccessError, StorageError, TooManyAttemptsError
from tabvault.jobs.operations.caller import Caller
from tabvault.storage.server_state.audit_line import AuditAction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from tabvault.faces.server.service import Service
    from tabvault.jobs.operations.caller import Interface

CHALLENGE: Final = 'Basic realm="Tabvault", charset="UTF-8"'

FAILURE_LINE_COUNT_MAX: Final = 100
"""Failed log-ins that are written however fast they come; more only as fast as :data:`FAILURE_LINE_INTERVAL_S` says."""

FAILURE_LINE_INTERVAL_S: Final = 10.0


class FailureLines:
    """
    How many lines of failed log-ins may still be written: a bucket that fills again. Threads may share it.

    Args:
        clock: seconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(FAILURE_LINE_COUNT_MAX)
        self._seen_s = clock()
        self._skipped_count = 0

    def take(self) -> int | None:
        """None if no line may be written; else the number of those that were left out before this one."""
        with self._lock:
            now_s = self._clock()
            filled = self._left + (now_s - self._seen_s) / FAILURE_LINE_INTERVAL_S
            self._left, self._seen_s = min(float(FAILURE_LINE_COUNT_MAX), filled), now_s
            if self._left < 1:
                self._skipped_count += 1
                return None
            self._left -= 1
            skipped, self._skipped_count = self._skipped_count, 0
            return skipped


def address_of(request: Request) -> str:
    """The client's address, as the connection (or the proxy that the server was told to trust) has it."""
    return request.client.host if request.client is not None else "unknown"


async def caller_of(request: Request, service: Service, interface: Interface) -> Caller:
    """
    Who sent *request*.

    Raises:
        AddressBlockedError: the firewall does not let the address in.
        NotAuthenticatedError: no credential, or one that does not hold.
        TooManyAttemptsError: log-ins of that name or address failed too often.
    """
    address = address_of(request)
    service.access.firewall.check(address, server=service.name)
    # A password is checked with scrypt: a tenth of a second that the event loop must not wait for.
    try:
        principal = await run_in_threadpool(service.access.authenticate, request.headers, address)
    except AccessError as error:
        # Clients send their first request without a credential: that is no log-in that failed.
        brought = "authorization" in request.headers or "x-api-key" in request.headers
        if brought and not isinstance(error, TooManyAttemptsError):
            await run_in_threadpool(_record_failure, service, request, address, interface, error)
        raise
    return Caller(principal, address, interface)


def _record_failure(service: Service, request: Request, address: str, interface: Interface, error: AccessError) -> None:
    """A line in the audit log. Where it cannot be written the log-in has failed all the same."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    who = None
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            who = base64.b64decode(credential).decode(errors="replace").partition(":")[0][:256]
    # Passwords that are guessed are not hidden behind a flood of something else.
    lines: Mapping[bool, FailureLines] = request.app.state.failure_lines
    skipped_count = lines[who is not None].take()
    if skipped_count is None:
        return
    action = AuditAction(
        "login",
        who=who,
        authentication=scheme.lower()[:40] or None,
        address=address,
        interface=interface,
        options={"objects": [f"{skipped_count} failed log-ins before this one were not recorded"]}
        if skipped_count
        else None,
    )
    with contextlib.suppress(StorageError):
        service.audit.record(action, code=error.code)
