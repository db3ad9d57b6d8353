"""Rows that are here already, such as those that stand in an M expression itself, as a source among others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.reading import Reading
from tabvault.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from tabvault.sources.source import Request


def literal_source(rows: pa.Table) -> Source:
    """The rows of *rows*; its query is empty."""
    definition = SourceDefinition(kind=SourceKind.LITERAL)
    return Source(definition, lambda request: _LiteralReading(rows, request), probe="")


class _LiteralReading(Reading):
    def __init__(self, rows: pa.Table, request: Request) -> None:
        self._rows = rows
        self._batch_row_count = request.batch_row_count

    def open(self) -> pa.Schema:
        return self._rows.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._rows.to_batches(max_chunksize=self._batch_row_count)

    def close(self) -> None:
        """Nothing is open."""
