"""
What is on the wire, and how it is ended before the service says anything.

A thread that waits for a service wakes up when its socket is shut down by another thread: connecting over TLS, sending
and receiving then fail at once, as when the line had broken. So the connections of the client libraries are of a class
that says which socket it is that its thread uses at this moment, and a :class:`CutOff` around a call shuts that one
down, when its time is over or when a :class:`Stop` is set.

1. A call hears the stops under which its thread works (:func:`stopped_by`). After a stop nothing is sent.
2. What must not be ended halfway has some more seconds (:func:`outlasting_stops`).
3. A socket that went back to its pool is nobody's: it is forgotten before another thread can have it.

What cannot be ended so is the looking up of a host's name, and the first packet of TCP, which has a bound of its own
(:data:`CONNECT_MAX_S`).
"""

from __future__ import annotations

import socket
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

CONNECT_MAX_S: Final = 10.0
"""A host that is there accepts sooner, after a lost packet or two also; one that is not is asked again."""


_PIECE_BYTE_COUNT: Final = 64 << 10
"""The time-out of a plain socket bounds the sending of all that it is given at once."""


class _Here(threading.local):
    """Of the thread that asks: the cut-offs around what it does, and the stops that hold for what it begins."""

    cut_offs: tuple[CutOff, ...] = ()
    stops: tuple[Stop, ...] = ()


_HERE: Final = _Here()


class Settable(Protocol):
    """What a :class:`Stop` sets."""

    def set(self) -> None:
        """From any thread, and more than once."""
        ...


class Stop(threading.Event):
    """
    Set when nobody waits for the results of some calls any more: that ends those on the wire, and their pauses.

    It is set as well when one of those is set in whose :func:`stopped_by` it was made.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._under: weakref.WeakSet[Settable] = weakref.WeakSet()
        for stop in _HERE.stops:
            stop.add(self)

    def set(self) -> None:
        """Set it. Twice is allowed, and any thread may."""
        super().set()
        with self._lock:
            under = list(self._under)
        for one in under:
            one.set()

    def add(self, one: Settable) -> None:
        """*one* is set with this, or now if this is set."""
        with self._lock:
            self._under.add(one)
        if self.is_set():
            one.set()


@contextmanager
def stopped_by(stop: Stop) -> Iterator[None]:
    """
    What this thread calls in the block ends when *stop* is set.

    So does what it hands to other threads under a :class:`Stop` of its own: each that it makes is set with *stop*.
    """
    before = _HERE.stops
    _HERE.stops = (*before, stop)
    try:
        yield
    finally:
        _HERE.stops = before


class _Later:
    """Sets *stop* so many seconds after it was set."""

    def __init__(self, stop: Stop, seconds: float) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._timer = threading.Timer(seconds, stop.set)
        self._timer.daemon = True

    def set(self) -> None:
        with self._lock:
            if not self._is_set:
                self._is_set = True
                self._timer.start()

    def end(self) -> None:
        """Set nothing any more."""
        self._timer.cancel()


@contextmanager
def outlasting_stops(seconds: float, *, even_set: bool = False) -> Iterator[None]:
    """
    What this thread calls in the block is ended only some time after a stop.

    Args:
        seconds: so long after.
        even_set: also after those that are set already when the block begins, counted from there. Without it, nothing
            is sent in the block when one is.
    """
    before = _HERE.stops
    outlasted = [stop for stop in before if even_set or not stop.is_set()]
    _HERE.stops = ()
    end = Stop()
    later = _Later(end, seconds)
    for stop in outlasted:
        stop.add(later)
    _HERE.stops = (end, *(stop for stop in before if stop not in outlasted))
    try:
        yield
    finally:
        _HERE.stops = before
        later.end()


class CutOff:
    """
    Ends what this thread has on the wire; a context manager around its calls. When it is over, no call begins any more.

    The time-outs of a socket only bound the silence between two bytes; a service that sends one byte now and then would
    never run into them.

    Args:
        seconds: after so many, if not before.
        stop: when that is set.
    """

    def __init__(self, seconds: float | None = None, *, stop: Stop | None = None) -> None:
        self._stop = stop
        self._timer = None if seconds is None else threading.Timer(seconds, self.set)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_over = False

    def watch(self, used: socket.socket | None) -> None:
        """
        This thread waits for *used* from now on.

        Raises:
            ConnectionAbortedError: it is over.
        """
        with self._lock:
            self._socket = used
            if self._is_over:
                raise ConnectionAbortedError("nobody waits for the answer any more")

    def leave(self) -> None:
        """This thread waits for nothing at this moment."""
        with self._lock:
            self._socket = None

    def set(self) -> None:
        """It is over. From any thread."""
        with self._lock:
            self._is_over = True
            if self._socket is not None:
                with suppress(OSError):  # it was closed in this moment
                    # Not the method of a TLS socket: that one takes the state of TLS from under the waiting thread.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        _HERE.cut_offs = (*_HERE.cut_offs, self)
        if self._stop is not None:
            self._stop.add(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _HERE.cut_offs = _HERE.cut_offs[:-1]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.leave()


def _watch(used: Any) -> None:
    # TLS inside the TLS of a proxy is no socket, and has the one below it.
    while used is not None and not isinstance(used, socket.socket):
        used = getattr(used, "socket", None)
    for cut_off in _HERE.cut_offs:
        cut_off.watch(used)


class WatchedConnection(HTTPConnection):
    """A connection that tells which socket its thread uses."""

    _line: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        new = super()._new_conn()
        # TLS takes the socket's place before it is agreed upon; the line is the same.
        try:
            self._line = new.dup()
            _watch(self._line)
        except OSError:
            new.close()
            raise
        return new

    def connect(self) -> None:
        """Connect; see the base class."""
        _watch(None)
        try:
            super().connect()
            _watch(self.sock)
        finally:
            line, self._line = self._line, None
            if line is not None:
                line.close()

    def putrequest(self, method: str, url: str, skip_host: bool = False, skip_accept_encoding: bool = False) -> None:  # noqa: FBT001, FBT002 - the base class has them so
        """Begin a request; see the base class."""
        _watch(self.sock)
        super().putrequest(method, url, skip_host=skip_host, skip_accept_encoding=skip_accept_encoding)

    def send(self, data: Any) -> None:
        """Send; see the base class. What is silent too long is then the line, and not a line that is slow."""
        if not isinstance(data, bytes):
            super().send(data)
            return
        for offset in range(0, len(data), _PIECE_BYTE_COUNT):
            super().send(memoryview(data)[offset : offset + _PIECE_BYTE_COUNT])


class WatchedTlsConnection(WatchedConnection, HTTPSConnection):
    """The same over TLS."""


class WatchedPool(HTTPConnectionPool):
    """A pool of such connections."""

    ConnectionCls = WatchedConnection

    def _put_conn(self, conn: Any) -> None:
        """Called by the thread that has read an answer to its end."""
        for cut_off in _HERE.cut_offs:
            cut_off.leave()
        super()._put_conn(conn)


class WatchedTlsPool(WatchedPool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = WatchedTlsConnection
