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

It can be cut off on purpose, too (:data:`CUT_OFF`), so that an answer that is not whole never looks whole: in HTTP/1.1
its last chunk is missing; in HTTP/1.0 an answer ends where its connection ends, so that is reset.

A client that sends no more (a FIN) may have closed the connection, or wait for its answer: RFC 9112, 9.6 leaves both
open, and they look alike. It gets its answer. Whether it is gone shows when something is sent:

====================================  =======================================================================
the client                            is known to be gone
====================================  =======================================================================
speaks HTTP/1.1, waits for an answer  at once: it is sent ``100 Continue``, which every client of HTTP/1.1
                                      has to pass over, and one that is gone answers with a reset
reads an answer, speaks HTTP/1.0      when the next piece is sent; else when :data:`KEEP_ALIVE_PROBE_S` tells
speaks TLS                            at once, for its half of a connection cannot be closed alone (asyncio)
is no request to wait for             at once: the connection is closed
====================================  =======================================================================

What a client sends behind its request is kept for later, or passed over where nothing may follow: it must neither hide
that the client goes away nor spoil the answer.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_S_MAX: Final = 30.0
HEAD_BYTE_COUNT_MAX: Final = 64 << 10
"""A bearer token with many groups has some ten kilobytes."""

UNREAD_S_MAX: Final = 300.0

CUT_OFF: Final = "cut_off"
"""In the ``state`` of a request's scope: a function that ends the connection before the end of the answer."""

ENDLESS: Final = "endless"
"""Set in the ``state`` of a request's scope: the answer has no end, and goes to no client that sends no more."""

KEEP_ALIVE_PROBE_S: Final = (60, 15)
"""TCP asks after so long, and then so often (four times), whether a silent client is still there."""

KEEP_ALIVE_S: Final = 130
"""Longer than the pools of .NET keep an idle connection (100 and 60 seconds): the client lets go of it, and never sends
a request into one that we are closing."""

_FIRST_LOOK_S: Final = 0.05
_LOOK_S_MAX: Final = 5.0


class PatientConnection(H11Protocol):
    """Waits, but not for ever."""

    _head_deadline: asyncio.TimerHandle | None = None
    _unread_deadline: asyncio.TimerHandle | None = None
    _next_look: asyncio.TimerHandle | None = None
    _is_half_closed = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its base
        """A client is there, and its first request is due."""
        super().connection_made(transport)
        _keep_alive(transport.get_extra_info("socket"))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._forget_head()
        self._forget_unread()
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # its base gives up every connection
        """The client sends no more; whether the connection stays open for the answer."""
        if self.scheme == "https" or not self._is_answering or ENDLESS in self.scope["state"]:
            return False
        if not self._is_half_closed:
            self._is_half_closed = True
            if self.scope["http_version"] == "1.1" and not self.cycle.response_started:
                interim = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self.transport.write(self.conn.send(interim) or b"")
            self._look_whether_reset(_FIRST_LOOK_S)
        return True

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a head, or a part of one, or of a body."""
        if self._is_answering and self.conn.their_state is h11.MUST_CLOSE:
            return  # clients of old send a line end behind a body
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head_deadline is None:
            self._await_head()

    def handle_events(self) -> None:
        """A request may be there; what answers it runs later, and finds how to cut it off."""
        super().handle_events()
        if self.scope is not None:
            self.scope["state"][CUT_OFF] = self._cut_off
        if self.flow.read_paused and self._is_answering and len(self.conn.trailing_data[0]) < HEAD_BYTE_COUNT_MAX:
            # The begin of the next request is no reason to look away: the end of the connection comes behind it.
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """The answer is out, and uvicorn waits for the next request."""
        super().on_response_complete()
        if self._is_half_closed and not self._is_answering:
            self.transport.close()
            return
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

    @property
    def _is_answering(self) -> bool:
        """Whether there is a whole request whose answer is not out."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _cut_off(self) -> None:
        """Close the connection so that the client cannot take its end for that of an answer."""
        self.cycle.disconnected = True  # uvicorn need not complain that the answer has no end
        if self.scope["http_version"] != "1.0":
            self.transport.close()
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.fileno() != -1:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _look_whether_reset(self, pause_s: float) -> None:
        """Nothing more is read of a client that sends no more, so that its reset is not told: look for it."""
        if self.transport.is_closing():
            return
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
            return
        self._next_look = self.loop.call_later(pause_s, self._look_whether_reset, min(2 * pause_s, _LOOK_S_MAX))

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


def _keep_alive(connection: socket.socket) -> None:
    """Have TCP find out whether a client is still there that says nothing."""
    idle_s, interval_s = KEEP_ALIVE_PROBE_S
    with contextlib.suppress(OSError):  # it is gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", idle_s), ("TCP_KEEPINTVL", interval_s), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
