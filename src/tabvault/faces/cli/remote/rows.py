"""Rows that a server answers a question with, as they come: an Arrow IPC stream over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tabvault.faces.cli.remote.connection import broken_off, quoted, unexpected
from tabvault.jobs.query import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.faces.cli.remote.connection import Answer as HttpAnswer
    from tabvault.faces.cli.remote.connection import ServerConnection

_ARROW: Final = "application/vnd.apache.arrow.stream"
_END_MARK: Final = b"\xff\xff\xff\xff\0\0\0\0"
"""Of an Arrow IPC stream: a message without metadata."""

_QUERY_TIMEOUT_S_MAX: Final = 86_400.0
"""What a server takes at most; without a timeout, Ctrl-C ends a question."""


@contextlib.contextmanager
def answer_of(connection: ServerConnection, database: str, text: str, *, timeout_s: float | None) -> Iterator[Answer]:
    """
    Ask a database of the server one question, in SQL.

    Args:
        connection: to the server.
        database: its name or id.
        text: the question.
        timeout_s: after so long the server gives up; None for as long as it takes.

    Raises:
        ServerError: what came is no such stream, or it broke off, which is noticed when its rows are read.
        TabvaultError: what the server refuses it with.
    """
    content = {"sql": text, "timeout_s": min(timeout_s or _QUERY_TIMEOUT_S_MAX, _QUERY_TIMEOUT_S_MAX)}
    headers = {"Content-Type": "application/json", "Accept": _ARROW}
    with connection.request(
        "POST",
        f"/databases/{quoted(database)}/query",
        headers=headers,
        body=json.dumps(content).encode(),
        timeout_s=None,
    ) as answered:
        try:
            stream = _Stream(answered)
            reader = pa.ipc.open_stream(stream)
        except (pa.ArrowInvalid, OSError):
            raise unexpected(connection.url) from None
        yield Answer(reader.schema, _batches(connection.url, reader, stream))


def _batches(url: str, reader: Any, stream: _Stream) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            # Without its mark it was cut between two batches, which Arrow takes for the end.
            if not stream.has_end_mark:
                raise broken_off(url, EOFError()) from None
            return
        except (pa.ArrowInvalid, OSError, http.client.HTTPException) as error:
            # The server cannot say why once rows are on their way; its log does.
            raise broken_off(url, error) from None
        yield batch


class _Stream:
    """An answer as the file that Arrow reads from."""

    closed = False

    def __init__(self, answer: HttpAnswer) -> None:
        self._answer = answer
        self._tail = b""

    def read(self, byte_count: int = -1) -> bytes:
        data = self._answer.read(byte_count)
        self._tail = (self._tail + data[-len(_END_MARK) :])[-len(_END_MARK) :]
        return data

    @property
    def has_end_mark(self) -> bool:
        """Whether what was read last is the mark that stands behind the last batch."""
        return self._tail == _END_MARK
