"""
Rows of a table, as they come in, to its VertiPaq columns.

::

    rows -> PartitionWriter: segments -> Vocabulary (distinct values of each column)
                                      -> numbers of the values in the segment, rows in order, put aside
    finish: ColumnEncoder, one column after the other: data ids, segments, dictionary

What holds:

(1) Rows of a partition stay together and are cut into segments of equal size, the last one of any size. Within a
    segment rows are in another order than they came in, the same for all columns.
(2) The same rows in the same partitions give the same bytes, however many threads wrote them and in which order.
(3) In memory are the rows of one segment for each partition that is being written, the distinct values of each column,
    4 bytes for each value of each segment and, while a column is encoded, one segment of it. Everything else is in
    scratch files.
(4) Nothing that exists is changed: partitions that stay keep their files, unless ids change (see ColumnEncoder), and
    then new files take their place.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from tabvault.engine.encoder.column_encoder import ColumnEncoder, EncodedColumn, PartitionRows
from tabvault.engine.encoder.partition_writer import PartitionWriter
from tabvault.engine.encoder.row_number import EncodedRowNumber, encode_row_number
from tabvault.engine.encoder.scratch import ScratchFile
from tabvault.engine.encoder.specification import EncoderOptions
from tabvault.engine.encoder.stored_values import stored_arrow_type
from tabvault.engine.encoder.vocabulary import Vocabulary
from tabvault.model.processed import ProcessedColumn, ProcessedPartition, ProcessedTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from tabvault.engine.encoder.existing import ExistingTable
    from tabvault.engine.encoder.specification import ColumnSpecification, TableSpecification
    from tabvault.model.processed import ProcessedAttributeHierarchy

_WORKER_COUNT = 2
"""Columns that are encoded side by side: each needs memory for its distinct values several times over."""


@dataclass(frozen=True, slots=True)
class EncodedTable:
    """
    A table that is encoded. Its bodies can be read until the encoder ends.

    Attributes:
        specification: what it is.
        columns: all but the row number, in the order of the specification.
        partitions: those whose files are new.
        row_count: of all partitions.
    """

    specification: TableSpecification
    columns: tuple[EncodedColumn, ...]
    partitions: tuple[ProcessedPartition, ...]
    row_count: int
    row_number: EncodedRowNumber = field(repr=False)

    def column(self, column_id: int) -> EncodedColumn:
        """One of the columns."""
        return next(column for column in self.columns if column.specification.column_id == column_id)

    def data_ids(self, column_id: int) -> Iterator[NDArray[np.uint32]]:
        """The ids of a column's segments, in the order of all rows."""
        column = self.column(column_id)
        for partition_id in self.specification.partition_ids:
            yield from column.data_ids(partition_id)

    def processed(self, hierarchies: Mapping[int, ProcessedAttributeHierarchy]) -> ProcessedTable:
        """
        What is to be written down.

        Args:
            hierarchies: of every column by its id, of the row number too.
        """
        columns = [
            ProcessedColumn(
                column_id=column.specification.column_id,
                dictionary=column.dictionary,
                statistics=column.statistics,
                hierarchy=hierarchies[column.specification.column_id],
                segments=column.segments,
            )
            for column in self.columns
        ]
        row_number_id = self.specification.row_number_id
        row_number = ProcessedColumn(
            column_id=row_number_id,
            dictionary=self.row_number.dictionary,
            statistics=self.row_number.statistics,
            hierarchy=hierarchies[row_number_id],
            segments=self.row_number.segments,
        )
        return ProcessedTable(self.specification.table_id, self.partitions, (*columns, row_number))


class TableEncoder:
    """
    Encodes a table.

    Args:
        specification: the table.
        equality_keys: keys of texts, the same if and only if the model's collation holds them equal.
        scratch: gives an empty temporary file, open for reading and writing.
        options: how files are written.
        existing: the table as it is, if rows of it stay: those of every partition that is not begun here.
    """

    def __init__(
        self,
        specification: TableSpecification,
        *,
        equality_keys: Callable[[pa.Array], pa.Array],
        scratch: Callable[[], BinaryIO],
        options: EncoderOptions | None = None,
        existing: ExistingTable | None = None,
    ) -> None:
        self._specification = specification
        self._equality_keys = equality_keys
        self._new_file = scratch
        self._options = EncoderOptions() if options is None else options
        self._existing = existing
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_WORKER_COUNT, thread_name_prefix="encoder")
        self._files: list[ScratchFile] = []
        self._writers: dict[int, PartitionWriter] = {}
        self._kept_counts: dict[int, int] = {}
        self._vocabularies = {
            column.column_id: Vocabulary(stored_arrow_type(column.data_type)) for column in specification.columns
        }

    def __enter__(self) -> Self:
        """Nothing is opened yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give all scratch files back: the bodies end."""
        self._workers.shutdown()
        for file in self._files:
            file.close()

    def begin_partition(self, partition_id: int, *, append: bool = False) -> PartitionWriter:
        """
        Begin to write a partition, once.

        Args:
            partition_id: one of the specification's.
            append: the rows it has stay, and new ones come behind them; else new ones take their place. The rows of
                its last segment are encoded again if it is not full.

        Raises:
            ProcessingError: rows are to stay in a column that has no values.
            ModelError, FormatError: what is stored is damaged.
        """
        with self._lock:
            assert partition_id in self._specification.partition_ids, "no such partition"
            assert partition_id not in self._writers, "a partition is written once"
            writer = PartitionWriter(
                partition_id,
                self._specification.columns,
                self._vocabularies,
                self._scratch_file(),
                self._workers,
                records_per_segment=self._options.records_per_segment,
            )
            self._writers[partition_id] = writer
            self._kept_counts[partition_id] = 0
        if append and self._existing is not None:
            row_counts = self._existing.row_counts(partition_id)
            is_last_open = bool(row_counts) and row_counts[-1] < self._options.records_per_segment
            self._kept_counts[partition_id] = len(row_counts) - is_last_open
            if is_last_open:
                writer.write(self._last_segment(self._existing, partition_id))
        return writer

    def finish(self) -> EncodedTable:
        """
        Encode all columns. Every partition begun is closed, the others stay as they are.

        Raises:
            ProcessingError: rows stay in a column that has no values.
            ModelError, FormatError: what is stored is damaged.
        """
        for writer in self._writers.values():
            assert writer.is_closed, "a partition is not closed"
        row_counts = {
            partition_id: self._row_counts(partition_id) for partition_id in self._specification.partition_ids
        }
        row_count = sum(map(sum, row_counts.values()))
        files: SimpleQueue[ScratchFile] = SimpleQueue()
        for _ in range(_WORKER_COUNT):
            files.put(self._scratch_file())
        columns = self._workers.map(
            lambda column: self._encoded(column, files, row_count=row_count), self._specification.columns
        )
        encoded = tuple(columns)
        written = {partition_id for partition_id in row_counts if self._is_written(partition_id)}
        partitions = tuple(
            self._partition(partition_id, counts)
            for partition_id, counts in row_counts.items()
            if partition_id in written
        )
        row_number = encode_row_number(row_counts, self._options)
        return EncodedTable(self._specification, encoded, partitions, row_count, row_number)

    def _encoded(
        self, column: ColumnSpecification, files: SimpleQueue[ScratchFile], *, row_count: int
    ) -> EncodedColumn:
        """Encode a column. It has a scratch file to itself meanwhile, so that its segments lie side by side."""
        keeps_rows = any(self._kept_count(partition_id) for partition_id in self._specification.partition_ids)
        existing = self._existing.column(column) if self._existing is not None and keeps_rows else None
        vocabulary, scratch = self._vocabularies[column.column_id], files.get()
        try:
            encoder = ColumnEncoder(column, vocabulary, existing, self._equality_keys, self._options, scratch)
            return encoder.encode(self._rows(column.column_id), row_count=row_count)
        finally:
            files.put(scratch)

    def _scratch_file(self) -> ScratchFile:
        file = ScratchFile(self._new_file())
        self._files.append(file)
        return file

    def _is_written(self, partition_id: int) -> bool:
        return partition_id in self._writers or self._existing is None

    def _kept_count(self, partition_id: int) -> int:
        """Segments of a partition that stay."""
        if partition_id in self._kept_counts:
            return self._kept_counts[partition_id]
        return 0 if self._existing is None else len(self._existing.row_counts(partition_id))

    def _row_counts(self, partition_id: int) -> list[int]:
        kept = [] if self._existing is None else self._existing.row_counts(partition_id)
        new = self._writers[partition_id].row_counts if partition_id in self._writers else []
        return kept[: self._kept_count(partition_id)] + new

    def _rows(self, column_id: int) -> list[PartitionRows]:
        found = []
        for partition_id in self._specification.partition_ids:
            writer = self._writers.get(partition_id)
            new = list(zip(writer.keys(), writer.segments(column_id), strict=True)) if writer else []
            kept_count, is_written = self._kept_count(partition_id), self._is_written(partition_id)
            found.append(PartitionRows(partition_id, kept_count, new, is_written))
        return found

    def _last_segment(self, existing: ExistingTable, partition_id: int) -> pa.RecordBatch:
        """The rows of a partition's last segment as they once came in."""
        arrays = []
        for specification in self._specification.columns:
            column = existing.column(specification)
            *_, last = column.data_ids(partition_id)
            arrays.append(column.arrow_values()(last))
        return pa.RecordBatch.from_arrays(arrays, [column.name for column in self._specification.columns])

    def _partition(self, partition_id: int, row_counts: list[int]) -> ProcessedPartition:
        return ProcessedPartition(
            partition_id=partition_id,
            record_count=sum(row_counts),
            segment_count=max(1, len(row_counts)),
            records_per_segment=self._options.records_per_segment if len(row_counts) > 1 else sum(row_counts),
        )
