"""What must not take the server with it: targets that are no paths, and a storage that does not answer."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from faces.served_process import wait_for
from faces.server.servers import ADMINISTRATOR
from faces.server.services import local_server
from tabvault.faces.server import storage_turns
from tabvault.faces.server.storage_turns import THREAD_COUNT, StorageTurns
from tabvault.storage.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces.server.services import LocalServer

EVERYBODYS_THREAD_COUNT = 40
"""Of the web framework: what answers log-ins and queries."""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("outages")) as running:
        assert (
            running.client()
            .put("/api/files/x.abf", content=b"x", headers={"Content-Type": "application/octet-stream"})
            .is_success
        )
        yield running


def sent(local: LocalServer, request_line: str) -> socket.socket:
    """A connection that has sent a request and reads nothing yet."""
    host, port = local.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    credential = base64.b64encode(":".join(ADMINISTRATOR).encode()).decode()
    connection.sendall(
        f"{request_line} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credential}\r\nConnection: close\r\n\r\n".encode()
    )
    return connection


@pytest.mark.parametrize("request_line", ["OPTIONS *", "CONNECT example.com:443", "GET foo", "GET subscriptions"])
def test_a_target_without_a_slash_is_refused_as_a_mistake_of_the_client(local, request_line):
    with sent(local, request_line) as connection:
        status = int(connection.recv(65536).split()[1])
    assert 400 <= status < 500


def test_a_storage_that_does_not_answer_stops_only_those_who_ask_it(local, monkeypatch):
    released = threading.Event()
    entered: list[object] = []
    begin = StorageTurns.begin

    def silent(_store, _prefix: str = ""):
        released.wait(60)
        return iter(())

    async def counted(turns, *arguments, **options):
        entered.append(arguments)
        return await begin(turns, *arguments, **options)

    count = EVERYBODYS_THREAD_COUNT + 5
    monkeypatch.setattr(LocalStore, "list", silent)
    monkeypatch.setattr(StorageTurns, "begin", counted)
    monkeypatch.setattr(storage_turns, "WAITING_COUNT_MAX", count - THREAD_COUNT)
    local.client().get("/api/server")  # the log-in is known from here on
    with contextlib.ExitStack() as stack:
        stack.callback(released.set)
        asked = [stack.enter_context(sent(local, "GET /api/files")) for _ in range(count)]
        wait_for(lambda: len(entered), lambda number: number == count)
        assert local.client().get("/api/server").status_code == 200
        assert local.client().get("/api/databases").status_code == 200
        refused = local.client().get("/api/files")
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        released.set()
        answers = [connection.recv(65536).split()[1] for connection in asked]
    assert answers == [b"200"] * count
