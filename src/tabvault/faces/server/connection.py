"""
A connection that does not wait for ever: uvicorn's, with two more deadlines.

==========================================  =================================================================
the client                                  is cut off after
==========================================  =================================================================
sends no request, or a part of its head     :data:`HEAD_S_MAX`, from the connection or the head's first byte
sends nothing between two requests          :data:`KEEP_ALIVE_S` (uvicorn)
sends its body too slowly                   :mod:`tabvault.faces.server.body`
does not read its answer                    :data:`UNREAD_S_MAX` without taking what a buffer holds
==========================================  =================================================================

Whoever does not read keeps a version of a database open, and a thread that waits to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_S_MAX: Final = 30.0
HEAD_BYTE_COUNT_MAX: Final = 64 << 10
"""A bearer token with many groups has some ten kilobytes."""

UNREAD_S_MAX: Final = 300.0

KEEP_ALIVE_S: Final = 130
"""Longer than the pools of .NET keep an idle connection (100 and 60 seconds): the client lets go of it, and never sends
a request into one that we are closing."""


class PatientConnection(H11Protocol):
    """Waits, but not for ever."""

    _head_deadline: asyncio.TimerHandle | None = None
    _unread_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its base
        """A client is there, and its first request is due."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._forget_head()
        self._forget_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a head, or a part of one, or of a body."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head_deadline is None:
            self._await_head()

    def on_response_complete(self) -> None:
        """The answer is out, and uvicorn waits for the next request."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._await_head()  # the begin of the next head came with the last request

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        super().pause_writing()
        if self._unread_deadline is None:
            self._unread_deadline = self.loop.call_later(UNREAD_S_MAX, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        self._forget_unread()
        super().resume_writing()

    def _await_head(self) -> None:
        self._forget_head()
        self._head_deadline = self.loop.call_later(HEAD_S_MAX, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _forget_unread(self) -> None:
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None
