"""An answer of a server that breaks off: never taken for a whole one."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tabvault.errors import ServerUnreachableError
from tabvault.faces.cli.remote.connection import ServerConnection
from tabvault.faces.cli.remote.vault import RemoteVault
from tabvault.faces.server.rest.row_formats import arrow_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = pa.record_batch({"number": pa.array(range(1000))})
PIECES = [piece for piece in arrow_pieces(ROWS.schema, [ROWS, ROWS]) if piece]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apache.arrow.stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[RemoteVault]:
    """A vault on a server that gives this answer, whatever it is asked, and closes the connection."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"}" not in request:
                request += connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield RemoteVault(ServerConnection(f"http://127.0.0.1:{listener.getsockname()[1]}", None))
        finally:
            thread.join()


def row_count(vault: RemoteVault) -> int:
    with vault.query("shop", "SELECT 1") as answer:
        return sum(batch.num_rows for batch in answer.batches)


def test_a_whole_answer_is_read_to_its_end() -> None:
    with answering(CHUNKED + b"".join(map(chunk, PIECES)) + b"0\r\n\r\n") as vault:
        assert row_count(vault) == 2000


@pytest.mark.parametrize("piece_count", range(len(PIECES)))
def test_an_answer_without_its_last_chunk_is_an_error(piece_count: int) -> None:
    """As the server leaves it when an error comes among the rows: cut between two batches as well."""
    with (
        answering(CHUNKED + b"".join(map(chunk, PIECES[:piece_count]))) as vault,
        pytest.raises(ServerUnreachableError),
    ):
        row_count(vault)


@pytest.mark.parametrize("piece_count", range(len(PIECES)))
def test_rows_without_the_end_mark_of_arrow_are_an_error(piece_count: int) -> None:
    """As a proxy passes on what the server broke off, with an end of its own."""
    with (
        answering(CHUNKED + b"".join(map(chunk, PIECES[:piece_count])) + b"0\r\n\r\n") as vault,
        pytest.raises(ServerUnreachableError),
    ):
        row_count(vault)
