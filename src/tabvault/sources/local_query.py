"""
What is done here with the rows of a source before anybody sees them: a SELECT over one relation, ``source``.

The rows stream through a DuckDB of their own that can reach nothing else (:mod:`tabvault.sources.duckdb_session`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.errors import SourceError, TabvaultError
from tabvault.sources.duckdb_file import DuckDbReading
from tabvault.sources.folding_types import cell_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from tabvault.sources.reading import Reading

RELATION: Final = "source"
"""What a query calls the rows."""


class LocalReading(DuckDbReading):
    """A query over what *rows* reads. See :class:`tabvault.sources.source.LocalQuery` for *unchanged*."""

    def __init__(
        self, rows: Reading, query: str, *, unchanged: Mapping[str, str], batch_row_count: int, place: str
    ) -> None:
        super().__init__(query, batch_row_count=batch_row_count, place=place)
        self._rows = rows
        self._unchanged = unchanged
        self._given = pa.schema([])
        self._failure: TabvaultError | None = None

    def prepare(self, session: duckdb.DuckDBPyConnection) -> None:
        """Make the rows a relation. See :meth:`DuckDbReading.prepare`."""
        self._given = self._rows.open()
        session.register(RELATION, pa.RecordBatchReader.from_batches(self._given, self._noted()))

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        with self._own_failures():
            schema = super().open()
        fields = [self._known(field) for field in schema]
        self._schema = pa.schema(fields)
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        with self._own_failures():
            yield from super().batches()

    def cancel(self) -> None:
        """See :meth:`Reading.cancel`."""
        self._rows.cancel()
        super().cancel()

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        super().close()
        self._rows.close()

    def _known(self, field: pa.Field) -> pa.Field:
        """*field* with what the source said of its type, where it is a column of the source as it was."""
        name = self._unchanged.get(field.name)
        given = self._given.field(name) if name is not None and self._given.names.count(name) == 1 else None
        return field if given is None or given.type != field.type else field.with_metadata(given.metadata)

    def _noted(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._rows.batches()
        except TabvaultError as error:
            self._failure = error
            raise

    @contextlib.contextmanager
    def _own_failures(self) -> Iterator[None]:
        """What goes wrong below comes through DuckDB as words: the error itself is raised; and a cell as such."""
        try:
            yield
        except SourceError as error:
            own = self._failure or cell_error(error.message)
            if own is not None:
                raise own from None
            raise
