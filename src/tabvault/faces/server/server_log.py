"""
What a server writes to standard error: a line for each event, and one for each request.

::

    2026-01-31T18:05:00Z info 10.0.0.7 POST /xmla 200 0.012 s

Nothing in it can be a secret or forge a line: of a request's target only the path is written, without its query, and
what does not show is escaped; of an exception its class and our own source lines, without its text, which may quote a
value.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from typing import TYPE_CHECKING, Final

from tabvault.faces.text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATH_CHARACTER_COUNT_MAX: Final = 200
_UNLOGGED: Final = frozenset(["/healthz", "/readyz", "/metrics"])
"""Asked every few seconds, by programs."""

_log = logging.getLogger(__name__)


class _LineFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the base's name
        """In UTC, whatever the zone of the machine."""
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        return "\n".join(printable(line) for line in super().format(record).split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        record.message = printable(record.message.rstrip("\n"))
        return super().formatMessage(record)

    def formatException(  # noqa: N802 - the base class's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        name = ei[0].__name__ if ei[0] is not None else "?"
        return "".join([*traceback.format_tb(ei[2]), name])


def begin_log() -> None:
    """Write what is logged to standard error, from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("tabvault").setLevel(logging.INFO)


class RequestLog:
    """An ASGI application that writes a line for each request that another one answers."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] in _UNLOGGED:
            await self._application(scope, receive, send)
            return
        begun_s = time.monotonic()
        path = scope["path"][:_PATH_CHARACTER_COUNT_MAX]  # as it came: routes on its way may change it
        status: int | str = "unanswered"

        async def noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, noting_status)
        finally:
            client = scope["client"][0] if scope["client"] else "-"
            _log.info("%s %s %s %s %.3f s", client, scope["method"], path, status, time.monotonic() - begun_s)
