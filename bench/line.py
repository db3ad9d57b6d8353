"""
A line of a given speed to a server on this machine, for measuring what a network would be the limit of.

``python -m bench.line SERVER-PORT BITS-PER-SECOND`` prints the port it listens on, and serves until it is killed. What
it lets through is so much in each direction, of all connections together.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import Final

_PIECE_BYTE_COUNT: Final = 128 << 10
_BUFFER_BYTE_COUNT: Final = 256 << 10
"""Of each socket: a line holds little."""

_CREDIT_S: Final = 0.02
"""So much of the time in which nothing was sent can be made good: a thread that sleeps wakes up late."""


class _Direction:
    """One way of the line: who wants to send waits for his turn."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, byte_count: int) -> None:
        """Wait until so many bytes have passed."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic() - _CREDIT_S) + byte_count / self._bytes_per_s
            wait_s = self._free_at - time.monotonic()
        time.sleep(max(wait_s, 0))


def _pass_on(source: socket.socket, target: socket.socket, direction: _Direction) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE_BYTE_COUNT):
            direction.take(len(piece))
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def serve(server_port: int, bits_per_s: float) -> None:
    """Listen, and pass on; does not return."""
    there, back = _Direction(bits_per_s / 8), _Direction(bits_per_s / 8)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Before they are accepted: what is accepted has the buffers of what listened.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTE_COUNT)
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", server_port))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for arguments in ((client, server, there), (server, client, back)):
                threading.Thread(target=_pass_on, args=arguments, daemon=True).start()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
