"""
How long a service behind a network is asked again.

A call is repeated when its failure may pass. Pauses double, with a random part so that many servers do not come back
together; what the service wishes (``Retry-After``) is honoured. Two bounds hold at once, a number of attempts and a
time over all of them, which also ends an answer that only trickles.

A call ends at once when a stop of its thread is set (:mod:`~tabvault.storage.remote.wire`), with two exceptions: what
publishes may take :data:`PUBLISHING_S` more, lest nobody knew what came of it, and to clear up after that, or to look
what came of it, is worth :data:`HURRIED_S`.

A repeated call that has an effect may meet its own first attempt (whose answer was lost). That is told to the caller
in :attr:`Refusal.may_have_happened`.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from tabvault.storage.remote.wire import CutOff, Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.errors import StorageError

PUBLISHING_S: Final = 10.0
HURRIED_S: Final = 5.0

_HURRIED_COUNT: Final = 2

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
        quiet_max_s: how long the service may be silent in an attempt.
    """

    attempt_count_max: int = 8
    deadline_s: float = 300.0
    first_pause_s: float = 0.5
    pause_max_s: float = 30.0
    quiet_max_s: float = 60.0

    def hurried(self) -> Patience:
        """For what nobody should wait for."""
        return replace(
            self,
            attempt_count_max=min(self.attempt_count_max, _HURRIED_COUNT),
            deadline_s=min(self.deadline_s, HURRIED_S),
        )


class Refusal(Exception):  # noqa: N818 - it never gets out of a store: it carries the error that does
    """
    A call that failed for good.

    Attributes:
        error: for the caller of the store.
        code: the service's error code, or empty.
        is_passing: the same call may succeed in a moment.
        may_have_happened: this or an earlier attempt may have had its effect, only its answer was lost.
        retry_after_s: the service's wish, or None.
    """

    def __init__(
        self, error: StorageError, *, code: str = "", is_passing: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(code)
        self.error = error
        self.code = code
        self.is_passing = is_passing
        self.may_have_happened = is_passing
        self.retry_after_s = retry_after_s


def repeated(attempt: Callable[[float], _T | Refusal], patience: Patience, *, stop: Stop | None = None) -> _T:
    """
    The result of *attempt*, made again as the module says.

    Args:
        attempt: gets how many seconds are left; gives its result, or the refusal it met.
        patience: the bounds.
        stop: besides those of this thread, set by another one when nobody waits for the result any more.

    Raises:
        Refusal: it failed for good.
    """
    ends = time.monotonic() + patience.deadline_s
    stopped = Stop()
    if stop is not None:
        stop.add(stopped)
    may_have_happened = False
    attempt_count = 0
    while True:
        attempt_count += 1
        left_s = max(ends - time.monotonic(), 0.001)
        is_sent = not stopped.is_set()
        with CutOff(left_s, stop=stopped):
            result = attempt(left_s)
        if not isinstance(result, Refusal):
            return result
        result.may_have_happened &= is_sent
        result.may_have_happened |= may_have_happened
        may_have_happened = result.may_have_happened
        pause_s = min(patience.first_pause_s * 2 ** (attempt_count - 1), patience.pause_max_s)
        pause_s *= random.uniform(0.5, 1.0)  # noqa: S311 - it spreads, it keeps no secret
        pause_s = max(pause_s, result.retry_after_s or 0.0)
        if (
            not result.is_passing
            or attempt_count >= patience.attempt_count_max
            or time.monotonic() + pause_s >= ends
            or stopped.wait(pause_s)
        ):
            if result.is_passing:
                result.error.message += f", after {attempt_count} attempts"
                result.error.args = (result.error.message,)
            raise result
