"""
A client that waits for its answer, or is gone.

Whoever goes away in the middle of a question wants no more of its answer: what computes it is stopped at once, DuckDB
or a source, also where no row has come yet. What changes something goes on, whoever waits for its end.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from anyio import CancelScope

from tabvault.faces.server.turns import run_at_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.types import Receive


_log = logging.getLogger(__name__)


class WaitingClient:
    """The client of one request. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_gone = False
        self._stops: list[Callable[[], None]] = []
        self._queue: CancelScope | None = None

    def on_gone(self, stop: Callable[[], None]) -> None:
        """Have *stop* called, in some thread, when the client goes away before its answer is out; now, if it has."""
        with self._lock:
            if not self._is_gone:
                self._stops.append(stop)
                return
        stop()

    @contextmanager
    def while_there(self) -> Iterator[CancelScope]:
        """What the event loop waits for in the block is given up when the client goes away; one block at a time."""
        with CancelScope() as scope:
            self._queue = scope
            if self._is_gone:
                scope.cancel()
            try:
                yield scope
            finally:
                self._queue = None

    @asynccontextmanager
    async def watched(self, receive: Receive) -> AsyncIterator[None]:
        """
        See in the block whether the client goes away.

        Args:
            receive: of the request, whose body was read.
        """
        watch = asyncio.create_task(self._watch(receive))
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        if self._queue is not None:
            self._queue.cancel()
        # A source may take a while to be stopped.
        await run_at_once(self._leave)

    def _leave(self) -> None:
        with self._lock:
            self._is_gone = True
            stops, self._stops = self._stops, []
        for stop in stops:
            try:
                stop()
            except Exception as error:  # noqa: BLE001 - those behind it have to be called all the same
                _log.error("a question of a client that is gone was not stopped: %s", type(error).__name__)
