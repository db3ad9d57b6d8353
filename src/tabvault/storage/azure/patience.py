"""
How long the service is asked again, and the one place where it is called.

A call is repeated when its failure may pass: no connection, a lost or cut answer, 408, 429, 5xx, a block that arrived
damaged. Pauses double, with a random part so that many servers do not come back together; a ``Retry-After`` of the
service is honoured. Two bounds hold at once, a number of attempts and a time over all of them; what is left of that
time also bounds the waiting inside an attempt.

A repeated call that has an effect may meet its own first attempt (whose answer was lost). That is told to the caller
in :attr:`~tabvault.storage.azure.refusals.Refusal.may_have_happened`.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from tabvault.storage.azure.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.storage.azure.access import ContainerAccess
    from tabvault.storage.azure.refusals import Operation

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """
    Bounds of one call.

    Attributes:
        attempt_count_max: how often it is tried.
        deadline_s: from the first attempt until no other is begun and none is waited for.
        first_pause_s: before the second attempt; doubled each time.
        pause_max_s: no pause is longer.
        quiet_max_s: how long the service may be silent in an attempt. Sending one block counts as silence, so this is
            also the time four blocks at once may take on a slow line.
    """

    attempt_count_max: int = 8
    deadline_s: float = 300.0
    first_pause_s: float = 0.5
    pause_max_s: float = 30.0
    quiet_max_s: float = 60.0


class Caller:
    """
    Calls the service about one container.

    Args:
        access: the container, for what errors say.
        patience: the bounds.
    """

    def __init__(self, access: ContainerAccess, patience: Patience) -> None:
        self._access = access
        self._patience = patience
        self._never = threading.Event()

    def run(
        self,
        operation: Operation,
        name: str,
        call: Callable[[TimeLeft], _T],
        *,
        stop: threading.Event | None = None,
    ) -> _T:
        """
        The result of *call*, repeated as the module says.

        Args:
            operation: which call of the service it is.
            name: the object, or empty for the container.
            call: gets the time that is left.
            stop: set by another thread when nobody waits for the result any more.

        Raises:
            Refusal: it failed for good.
        """
        patience = self._patience
        ends = time.monotonic() + patience.deadline_s
        may_have_happened = False
        attempt_count = 0
        while True:
            attempt_count += 1
            left_s = max(ends - time.monotonic(), 0.001)
            try:
                return call(TimeLeft(left_s, min(left_s, patience.quiet_max_s)))
            except AzureError as error:
                refusal = refusal_of(error, operation=operation, name=name, access=self._access)
            # Out of the except clause: the library's error must not become the context of ours.
            refusal.may_have_happened |= may_have_happened
            may_have_happened = refusal.may_have_happened
            pause_s = min(patience.first_pause_s * 2 ** (attempt_count - 1), patience.pause_max_s)
            pause_s *= random.uniform(0.5, 1.0)  # noqa: S311 - it spreads, it keeps no secret
            pause_s = max(pause_s, refusal.retry_after_s or 0.0)
            if (
                not refusal.is_passing
                or attempt_count >= patience.attempt_count_max
                or time.monotonic() + pause_s >= ends
                or (stop or self._never).wait(pause_s)
            ):
                if refusal.is_passing:
                    refusal.error.message += f", after {attempt_count} attempts"
                    refusal.error.args = (refusal.error.message,)
                raise refusal


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """
    What an attempt may take.

    Attributes:
        seconds: in all.
        quiet_s: without a byte from the service.
    """

    seconds: float
    quiet_s: float

    @property
    def options(self) -> dict[str, Any]:
        """For any call of the client library."""
        return {"connection_timeout": self.quiet_s, "read_timeout": self.quiet_s}
