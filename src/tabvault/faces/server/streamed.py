"""
An answer that is made piece by piece, by threads that may block.

The client may go away in the middle: what the rest of the answer holds open is let go then. An error in the middle
cannot be told any more, the status is out. Such an answer is cut off so that it never looks whole
(:mod:`~tabvault.faces.server.connection`). The log says why.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from tabvault.errors import TabvaultError
from tabvault.faces.server.connection import CUT_OFF
from tabvault.faces.server.turns import run_at_once
from tabvault.faces.server.waiting_client import WaitingClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping

    from starlette.types import Receive, Scope, Send

InThread: TypeAlias = "Callable[..., Coroutine[Any, Any, Any]]"

_log = logging.getLogger(__name__)


class PiecewiseResponse(StreamingResponse):
    """
    Args:
        pieces: the body; closed at the end, whatever end that is.
        status_code: of the answer.
        headers: of the answer.
        media_type: of the body.
        in_thread: calls a function in a thread that may block, when it is its turn.
        client: hears while the answer is sent that its client has gone.
    """

    def __init__(
        self,
        pieces: Generator[bytes | memoryview, None, None],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str,
        in_thread: InThread = run_in_threadpool,
        client: WaitingClient | None = None,
    ) -> None:
        super().__init__(_in_threads(pieces, in_thread), status_code, headers, media_type)
        self._client = client or WaitingClient()
        self._is_cut_off = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        async with self._client.watched(receive):
            await super().__call__(scope, receive, send)
        if self._is_cut_off:
            cut_off: Callable[[], None] = scope["state"][CUT_OFF]
            cut_off()

    async def stream_response(self, send: Send) -> None:
        """Send the answer, or as much of it as can be made."""
        self._is_cut_off = True
        try:
            await super().stream_response(send)
            self._is_cut_off = False
        except TabvaultError as error:
            _log.warning("an answer was cut off: %s", error)
        except Exception as error:  # noqa: BLE001 - the edge; its words may quote a value
            _log.error("an answer was cut off: internal error (%s)", type(error).__name__)


async def _in_threads(
    pieces: Generator[bytes | memoryview, None, None], in_thread: InThread
) -> AsyncIterator[bytes | memoryview]:
    try:
        while (piece := await in_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        await asyncio.shield(run_at_once(pieces.close))
