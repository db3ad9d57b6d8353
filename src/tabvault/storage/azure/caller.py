"""
The one place where the service is called.

A call that may pass is repeated (:mod:`~tabvault.storage.remote.patience`): no connection, a lost or cut answer, 408,
429, 5xx, a block that arrived damaged. What is left of the time for all attempts also bounds the waiting inside one.
Whatever the client library raises leaves here as a :class:`~tabvault.storage.azure.refusals.AzureRefusal`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import AzureError

from tabvault.storage.azure.refusals import refusal_of
from tabvault.storage.remote.patience import HURRIED_S, Patience, Refusal, repeated
from tabvault.storage.remote.wire import CONNECT_MAX_S, outlasting_stops

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.storage.azure.access import AccountAccess
    from tabvault.storage.azure.refusals import Operation
    from tabvault.storage.remote.wire import Stop

_T = TypeVar("_T")

_SLOW_BYTE_COUNT_PER_S = 1 << 20
"""A line on which a call that sends much is not ended by its deadline."""


class Caller:
    """
    Calls the service about one container or account.

    Args:
        access: the container or account, for what errors say.
        patience: the bounds.
    """

    def __init__(self, access: AccountAccess, patience: Patience) -> None:
        self._access = access
        self._patience = patience

    def clear_up(self, operation: Operation, name: str, call: Callable[[TimeLeft], object]) -> None:
        """Make a call that nobody should wait for long, and whose failure changes nothing; also after a stop."""
        hurried = Caller(self._access, self._patience.hurried())
        with outlasting_stops(HURRIED_S, even_set=True), suppress(Refusal):
            hurried.run(operation, name, call)

    def run(
        self,
        operation: Operation,
        name: str,
        call: Callable[[TimeLeft], _T],
        *,
        stop: Stop | None = None,
        sent_byte_count: int = 0,
    ) -> _T:
        """
        The result of *call*, repeated as the module says.

        Args:
            operation: which call of the service it is.
            name: the object, or empty for the container.
            call: gets the time that is left.
            stop: as in :func:`~tabvault.storage.remote.patience.repeated`.
            sent_byte_count: what the call sends, if it is more than a block: the deadline is later by the time that
                takes on a slow line.

        Raises:
            AzureRefusal: it failed for good.
        """

        def attempt(left_s: float) -> _T | Refusal:
            try:
                return call(TimeLeft(left_s, min(left_s, self._patience.quiet_max_s)))
            except AzureError as error:
                refusal = refusal_of(error, operation=operation, name=name, access=self._access)
            # Out of the except clause: the library's error must not become the context of ours.
            return refusal

        deadline_s = self._patience.deadline_s + sent_byte_count / _SLOW_BYTE_COUNT_PER_S
        return repeated(attempt, replace(self._patience, deadline_s=deadline_s), stop=stop)


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
        return {"connection_timeout": min(self.quiet_s, CONNECT_MAX_S), "read_timeout": self.quiet_s}
