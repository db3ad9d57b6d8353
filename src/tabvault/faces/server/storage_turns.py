"""
Threads that wait for the backup storage.

A storage that does not answer keeps whoever asks it for minutes, and a client that goes away does not end that. All
other requests, log-ins and queries among them, have threads of their own: an outage of the storage is none of the
server.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from tabvault.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD_COUNT: Final = 16

WAITING_COUNT_MAX: Final = 64
"""Requests without a thread; what comes beyond them is refused at once."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class StorageTurns:
    """The threads of one server, given out in turn; for the event loop alone."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(THREAD_COUNT)

    async def begin(
        self, call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """
        The first call of a request.

        Raises:
            StoreUnavailableError: too many others wait.
        """
        if self._limiter.statistics().tasks_waiting >= WAITING_COUNT_MAX:
            raise StoreUnavailableError(
                f"{WAITING_COUNT_MAX} requests wait for the backup storage already", hint="try again in a minute"
            )
        return await self.run(call, *args, **kwargs)

    async def run(
        self, call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """A later call of a request, which is never refused: it may have to clean up."""
        return await anyio.to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._limiter)
