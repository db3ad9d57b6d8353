"""
An answer that is made piece by piece, by threads that may block.

The client may go away in the middle: what the rest of the answer holds open is let go then. An error in the middle
cannot be told any more, the status is out. Such an answer is cut off without its end, so that it never looks whole.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from tabvault.errors import TabvaultError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping

    from starlette.types import Send

InThread: TypeAlias = "Callable[..., Coroutine[Any, Any, Any]]"

_log = logging.getLogger(__name__)


class PiecewiseResponse(StreamingResponse):
    """
    Args:
        pieces: the body; closed at the end, whatever end that is.
        status_code: of the answer.
        headers: of the answer.
        media_type: of the body.
        in_thread: calls a function in a thread that may block.
    """

    def __init__(
        self,
        pieces: Generator[bytes | memoryview, None, None],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str,
        in_thread: InThread = run_in_threadpool,
    ) -> None:
        super().__init__(_in_threads(pieces, in_thread), status_code, headers, media_type)

    async def stream_response(self, send: Send) -> None:
        """Send the answer, or as much of it as can be made."""
        try:
            await super().stream_response(send)
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
        await asyncio.shield(in_thread(pieces.close))
