"""
Rows as bytes, a batch at a time and by Arrow's kernels, not row by row.

====================================  ==============================================================================
media type                            content
====================================  ==============================================================================
``application/json``                  ``{"columns": [{"name", "type"}], "rows": [[…], …], "row_count": n}``, as
                                      ``tabvault query --json``; with a member ``error`` if it failed in between
``text/csv``                          RFC 4180 with a header line; NULL is nothing, the empty text ``""``
``application/vnd.apache.arrow…``     an Arrow IPC stream
====================================  ==============================================================================

JSON says itself when it is cut short. The other two cannot; they end without their end (:mod:`~..streamed`).
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.faces import rows
from tabvault.faces.server.rest.problems import problem_document

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"

_CSV_SPECIAL: Final = frozenset('",\r\n')


def json_pieces(schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, instance: str) -> Generator[bytes, None, None]:
    """Rows as one JSON document in ASCII. It raises nothing: an error is its last member."""
    columns = [{"name": field.name, "type": str(field.type)} for field in schema]
    yield f'{{"columns": {json.dumps(columns)}, "rows": ['.encode()
    row_count = 0
    try:
        for batch in batches:
            lines = rows.lines(batch, rows.JSON, separator=", ")
            between = ",\n" if row_count else "\n"
            row_count += len(lines)
            if lines:
                yield (between + ",\n".join(f"[{line}]" for line in lines)).encode()
    except Exception as error:  # noqa: BLE001 - the edge, when half of a document is out
        problem = json.dumps(problem_document(error, instance))
        yield f'\n], "row_count": {row_count}, "error": {problem}}}\n'.encode()
        return
    yield f'\n], "row_count": {row_count}}}\n'.encode()


def csv_pieces(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Generator[bytes, None, None]:
    """Rows as CSV in UTF-8."""
    yield (",".join(map(_csv_text, schema.names)) + "\r\n").encode(errors="replace")
    style = rows.RowStyle(null="", text=_csv_text, quote="")
    for batch in batches:
        yield "".join(f"{line}\r\n" for line in rows.lines(batch, style, separator=",")).encode(errors="replace")


def _csv_text(text: str) -> str:
    if text and _CSV_SPECIAL.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def arrow_pieces(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Generator[bytes, None, None]:
    """Rows as an Arrow IPC stream, one message for each batch."""
    sink = _Sink()
    # Its end mark is written where the rows have ended, and not by closing it where they were cut short.
    writer = pa.ipc.new_stream(sink, schema)
    yield sink.taken()
    for batch in batches:
        writer.write_batch(batch)
        yield sink.taken()
    writer.close()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Takes what the writer writes, until it is taken from here."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._byte_count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview | bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        self._byte_count += len(data)
        return len(data)

    def tell(self) -> int:
        return self._byte_count

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
