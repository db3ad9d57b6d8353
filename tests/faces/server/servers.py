"""
A server in a process of its own, on a free port, as a client finds it.

It is the application itself behind uvicorn, without the command line around it; ``python servers.py DATA`` is that
process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from forked_programs import ForkedProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMINISTRATOR = ("alice", "correct horse battery staple")
START_TIMEOUT_S = 60


@dataclass
class Server:
    """A running server. What it writes to standard error is in the file *log*."""

    url: str
    process: ForkedProgram
    data: Path
    log: Path

    def client(self, user: tuple[str, str] | None = ADMINISTRATOR, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=user, timeout=60, **options)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def running_server(data: Path) -> Iterator[Server]:
    """A server on the data folder *data*, with the user :data:`ADMINISTRATOR`."""
    log = data.parent / f"{data.name}.log"
    with socket.socket() as listener, log.open("wb") as log_file:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.set_inheritable(True)
        process = ForkedProgram(
            __file__,
            data,
            str(listener.fileno()),
            environment=os.environ,
            stderr=log_file,
            stdout=log_file,
            pass_fds=[listener.fileno()],
        )
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", process, data, log)
        listener.close()
        try:
            _await_ready(server)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(server: Server) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{server.log_text()}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the server does not answer:\n{server.log_text()}")


def _serve(data: Path, descriptor: int) -> None:
    import uvicorn

    from tabvault.faces.server.application import create_application
    from tabvault.faces.server.service import Service

    with Service(data) as service:
        service.access.accounts.create_administrator(*ADMINISTRATOR)
        configuration = uvicorn.Config(
            create_application(service), fd=descriptor, log_level="warning", http="h11", lifespan="off"
        )
        uvicorn.Server(configuration).run()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
