"""
Database files of DuckDB, opened for reading alone.

The file is attached to a session that is then shut (:mod:`tabvault.sources.duckdb_session`), so that a view over
``read_csv('/etc/passwd')`` reads nothing. Columns of types that DuckDB gives to Arrow in another form are cast in a
query around the query: BIT is packed bytes; HUGEINT and its like may have more digits than a decimal of Arrow.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from tabvault.errors import SourceError
from tabvault.sources.duckdb_session import check_query, new_session, shut, translated
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import NUMBERS, source_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tabvault.sources.source import Parameter, Request

_MAGIC: Final = b"DUCK"
_MAGIC_OFFSET: Final = 8
"""After the checksum of the header (DuckDB's main header block)."""

_NUMBERS_AS_TEXT: Final = frozenset({"HUGEINT", "UHUGEINT", "BIGNUM", "VARINT"})
_AS_TEXT: Final = frozenset({"BIT", *_NUMBERS_AS_TEXT})


class DuckDbReading(Reading):
    """One query over what a session holds."""

    def __init__(self, query: str, *, batch_row_count: int, place: str, parameters: Sequence[Parameter] = ()) -> None:
        self._query = query.rstrip(" \t\r\n;")
        self._parameters = list(parameters)
        self._batch_row_count = batch_row_count
        self._place = place
        self._session: duckdb.DuckDBPyConnection | None = None
        self._session_lock = threading.Lock()
        self._reader: pa.RecordBatchReader | None = None
        self._schema = pa.schema([])

    def prepare(self, session: duckdb.DuckDBPyConnection) -> None:
        """Open in *session* what the query reads. Raises duckdb.Error, or SourceError."""
        raise NotImplementedError

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        return self._started(self._query)

    def describe(self) -> pa.Schema:
        """See :meth:`Reading.describe`."""
        return self._started(f"SELECT * FROM (\n{self._query}\n) LIMIT 0")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        assert self._reader is not None
        while True:
            with translated(self._place):
                batch = next(self._reader, None)
            if batch is None:
                return
            yield pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)

    def cancel(self) -> None:
        """See :meth:`Reading.cancel`."""
        with self._session_lock:
            if self._session is not None:
                self._session.interrupt()

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        with contextlib.suppress(duckdb.Error, pa.ArrowException, OSError):
            if self._reader is not None:
                self._reader.close()
        with self._session_lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _started(self, query: str) -> pa.Schema:
        session = self._session = new_session()
        with translated(self._place):
            self.prepare(session)
            shut(session)
            check_query(session, query)
            relation = session.sql(query, params=self._parameters)
            names, natives = relation.columns, [str(native) for native in relation.types]
            if _AS_TEXT.intersection(natives):
                relation = session.sql(_with_casts(query, natives), params=self._parameters)
            reader = relation.to_arrow_reader(self._batch_row_count)
        fields = zip(reader.schema, names, natives, strict=True)
        self._schema = pa.schema([_field(field, name, native) for field, name, native in fields])
        self._reader = reader
        return self._schema


class DuckDbFileReading(DuckDbReading):
    """One query to the database in *path*, which was found to be allowed."""

    def __init__(self, path: Path, request: Request) -> None:
        super().__init__(
            request.query,
            batch_row_count=request.batch_row_count,
            place=f"file {path}",
            parameters=request.parameters,
        )
        self._path = path

    def prepare(self, session: duckdb.DuckDBPyConnection) -> None:
        """Attach the file. See :meth:`DuckDbReading.prepare`."""
        with self._path.open("rb") as file:
            head = file.read(_MAGIC_OFFSET + len(_MAGIC))
        if head[_MAGIC_OFFSET:] != _MAGIC:
            raise SourceError(f"{self._place} is no DuckDB database: it has {head[_MAGIC_OFFSET:]!r} at byte 8")
        path = str(self._path).replace("'", "''")
        session.execute(f"ATTACH '{path}' AS source_file (TYPE duckdb, READ_ONLY)")
        session.execute("USE source_file")
        session.execute("SET TimeZone = 'UTC'")


def _with_casts(query: str, natives: list[str]) -> str:
    columns = [f"c{number}" for number in range(len(natives))]
    values = ", ".join(
        f"CAST({column} AS VARCHAR)" if native in _AS_TEXT else column
        for column, native in zip(columns, natives, strict=True)
    )
    return f"SELECT {values} FROM (\n{query}\n) AS source_rows ({', '.join(columns)})"


def _field(field: pa.Field, name: str, native: str) -> pa.Field:
    return source_field(name, field.type, native=native, text_of=NUMBERS if native in _NUMBERS_AS_TEXT else None)
