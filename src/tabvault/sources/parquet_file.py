"""Parquet files, a few rows of a row group at a time: memory is that of one batch and the pages it lies in."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tabvault.errors import SourceError
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import source_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ParquetReading(Reading):
    """All rows of the file in *path*, which was found to be allowed."""

    def __init__(self, path: Path, *, batch_row_count: int) -> None:
        self._path = path
        self._batch_row_count = batch_row_count
        self._file: pq.ParquetFile | None = None
        self._schema = pa.schema([])

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        with self._translated():
            self._file = pq.ParquetFile(self._path, memory_map=False, pre_buffer=False)
            schema = self._file.schema_arrow
        self._schema = pa.schema([source_field(field.name, field.type, native=str(field.type)) for field in schema])
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        assert self._file is not None
        with self._translated():
            batches = self._file.iter_batches(batch_size=self._batch_row_count, use_threads=False)
        while True:
            with self._translated():
                batch = next(batches, None)
            if batch is None:
                return
            yield pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        if self._file is not None:
            self._file.close(force=True)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(f"file {self._path} is no Parquet file that can be read: {error}") from None
