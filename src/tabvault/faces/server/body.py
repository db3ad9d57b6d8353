"""
The body of a request, within limits of size and time.

A client that sends nothing for :data:`SILENCE_S_MAX`, or takes longer than :data:`WHOLE_S_MAX` for all, is cut off: a
thousand slow clients must not hold a thousand buffers for ever.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from tabvault.errors import RequestError, RequestTooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

SILENCE_S_MAX: Final = 30.0
WHOLE_S_MAX: Final = 600.0


async def read_body(request: Request, byte_count_max: int) -> bytes:
    """
    The whole body.

    Raises:
        RequestTooLargeError: it has more than *byte_count_max* bytes.
        RequestError: it does not come in time, or not to its end.
    """
    return b"".join([piece async for piece in _pieces(request, byte_count_max)])


async def drop_body(request: Request, byte_count_max: int) -> None:
    """
    Read the body away: an answer before the end of a request makes some clients lose the answer.

    Raises:
        RequestTooLargeError: it has more than *byte_count_max* bytes.
        RequestError: it does not come in time, or not to its end.
    """
    async for _ in _pieces(request, byte_count_max):
        pass


async def _pieces(request: Request, byte_count_max: int) -> AsyncIterator[bytes]:
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and (len(stated) > 18 or int(stated) > byte_count_max):
        raise _too_large(byte_count_max)
    byte_count = 0
    deadline_s = time.monotonic() + WHOLE_S_MAX
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(min(SILENCE_S_MAX, max(0.0, deadline_s - time.monotonic()))):
                piece = await anext(stream, None)
        except ClientDisconnect:
            raise RequestError(f"the client went away after {byte_count} bytes of the request") from None
        except TimeoutError:
            raise RequestError(f"the request did not arrive in time, {byte_count} bytes of it did") from None
        if piece is None:
            return
        byte_count += len(piece)
        if byte_count > byte_count_max:
            raise _too_large(byte_count_max)
        yield piece


def _too_large(byte_count_max: int) -> RequestTooLargeError:
    return RequestTooLargeError(f"the request has more than {byte_count_max} bytes")
