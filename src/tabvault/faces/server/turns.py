"""
Threads for what may have to wait long: each kind of it has threads of its own, given out in turn.

=====================  =======  ===============================  ====================================================
threads                how many what they wait for               what finds none free
=====================  =======  ===============================  ====================================================
storage                16       the backup storage               waits; beyond 64 it is refused at once
                                                                 (:mod:`~tabvault.faces.server.storage_turns`)
questions              32       the rows of a question: from     waits; whose client goes away meanwhile leaves the
                                DuckDB, or from a data source    queue
commands               64       XMLA commands: the turn and the  waits
                                end of the job they become
=====================  =======  ===============================  ====================================================

Everything else shares the threads that are left to all (40 of anyio), and none of it waits long: so a log-in,
``/readyz`` and the Cancel that stops a question find one, whatever others wait for.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter, WouldBlock

from tabvault.errors import JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.faces.server.waiting_client import WaitingClient

QUESTION_THREAD_COUNT: Final = 32
COMMAND_THREAD_COUNT: Final = 64

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Turns:
    """
    The threads of one kind; for the event loop alone, but for the two counts.

    Args:
        thread_count: how many.
    """

    def __init__(self, thread_count: int) -> None:
        self._limiter = CapacityLimiter(thread_count)

    @property
    def running_count(self) -> int:
        """Threads that are at work."""
        return self._limiter.borrowed_tokens

    @property
    def queued_count(self) -> int:
        """Calls that wait for a thread."""
        return self._limiter.statistics().tasks_waiting

    @contextmanager
    def free_thread(self) -> Iterator[bool]:
        """Whether a thread is free; if so it is held in the block, for a call of :func:`run_at_once`."""
        turn = object()
        try:
            self._limiter.acquire_on_behalf_of_nowait(turn)
        except WouldBlock:
            yield False
            return
        try:
            yield True
        finally:
            self._limiter.release_on_behalf_of(turn)

    async def run(
        self, call: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """What *call* returns or raises, in a thread of these, when it is its turn."""
        return await anyio.to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._limiter)

    async def run_for(self, client: WaitingClient, call: Callable[[], _Result]) -> _Result:
        """
        The same, unless *client* goes away before its turn.

        Raises:
            JobCancelledError: it did; *call* was not made.
        """
        turn = object()
        with client.while_there() as queue:
            await self._limiter.acquire_on_behalf_of(turn)
        if queue.cancelled_caught:
            raise JobCancelledError("the client went away before its turn")
        try:
            return await run_at_once(call)
        finally:
            self._limiter.release_on_behalf_of(turn)


async def run_at_once(call: Callable[[], _Result]) -> _Result:
    """What *call* returns or raises, in a thread that waits for no turn: what lets go of things has to get through."""
    return await anyio.to_thread.run_sync(call, limiter=CapacityLimiter(1))
