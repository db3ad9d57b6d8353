"""
Threads that wait for the backup storage.

A storage that does not answer keeps whoever asks it for minutes, and a client that goes away does not end that. All
other requests, log-ins and queries among them, have threads of their own: an outage of the storage is none of the
server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from tabvault.errors import StoreUnavailableError
from tabvault.faces.server.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD_COUNT: Final = 16

WAITING_COUNT_MAX: Final = 64
"""Requests without a thread; what comes beyond them is refused at once."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class StorageTurns(Turns):
    """The threads of one server. A later call of a request is never refused: it may have to clean up."""

    def __init__(self) -> None:
        super().__init__(THREAD_COUNT)

    async def begin(
        self, call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """
        The first call of a request.

        Raises:
            StoreUnavailableError: too many others wait.
        """
        if self.queued_count >= WAITING_COUNT_MAX:
            raise StoreUnavailableError(
                f"{WAITING_COUNT_MAX} requests wait for the backup storage already", hint="try again in a minute"
            )
        return await self.run(call, *args, **kwargs)
