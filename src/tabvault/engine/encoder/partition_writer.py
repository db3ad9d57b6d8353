"""
The rows of one partition, as they come in: cut into segments, numbered, put into an order, put aside.

A segment's rows are kept until it is full. Then each column's values are numbered within the segment as they came in;
only the distinct ones are turned into what is stored. The rows are put into an order, and the numbers go into a scratch
file (0 for BLANK, the segment's n-th value is n): what data ids they become is only known when the whole column is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.engine.encoder.row_order import row_order
from tabvault.engine.encoder.segment_values import numbered
from tabvault.engine.encoder.stored_values import checked, stored
from tabvault.errors import SourceTypeError
from tabvault.formats.vertipaq import bit_widths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    import pyarrow as pa
    from numpy.typing import NDArray

    from tabvault.engine.encoder.scratch import ScratchFile
    from tabvault.engine.encoder.specification import ColumnSpecification
    from tabvault.engine.encoder.vocabulary import Vocabulary


class SegmentKey(NamedTuple):
    """A new segment: the partition, and how many new ones of it are before."""

    partition_id: int
    place: int


class PutAside(NamedTuple):
    """The numbers of a column's values in a segment, in the order of the rows."""

    file: ScratchFile
    offset: int
    row_count: int
    number_type: np.dtype[np.unsignedinteger]

    def read(self) -> NDArray[np.unsignedinteger]:
        """The numbers; 0 is BLANK."""
        content = self.file.read(self.offset, self.row_count * self.number_type.itemsize)
        return np.frombuffer(content, self.number_type)


class PartitionWriter:
    """
    Takes the rows of a partition. One thread at a time; other partitions may be written by others.

    Args:
        partition_id: ``Partition.ID``.
        columns: all columns but the row number.
        vocabularies: by column id, where the distinct values go.
        scratch: where segments are put aside.
        workers: share the work on a segment; not of the thread that writes.
        records_per_segment: rows of a full segment.

    Attributes:
        row_counts: of the segments so far.
    """

    def __init__(
        self,
        partition_id: int,
        columns: Sequence[ColumnSpecification],
        vocabularies: Mapping[int, Vocabulary],
        scratch: ScratchFile,
        workers: Executor,
        *,
        records_per_segment: int,
    ) -> None:
        self.partition_id = partition_id
        self.row_counts: list[int] = []
        self.is_closed = False
        self._columns = columns
        self._vocabularies = vocabularies
        self._scratch = scratch
        self._workers = workers
        self._records_per_segment = records_per_segment
        self._batches: list[pa.RecordBatch] = []
        self._row_count = 0
        self._segments: dict[int, list[PutAside]] = {column.column_id: [] for column in columns}

    def write(self, batch: pa.RecordBatch) -> None:
        """
        Take more rows.

        Args:
            batch: every column by name, in any order, and no other.

        Raises:
            SourceTypeError: a column is missing, is of another type, or has a value that cannot be stored; some of
                these only show when a segment is full.
        """
        assert not self.is_closed, "a closed partition takes no rows"
        names = [column.name for column in self._columns]
        if sorted(batch.schema.names) != sorted(names):
            raise SourceTypeError(f"columns of the rows are {batch.schema.names}, not {names}")
        while batch.num_rows:
            part = batch.slice(0, self._records_per_segment - self._row_count)
            self._batches.append(part)
            self._row_count += part.num_rows
            if self._row_count == self._records_per_segment:
                self._put_aside()
            batch = batch.slice(part.num_rows)

    def close(self) -> None:
        """End the partition with the rows that are left. May be called again."""
        if self._row_count:
            self._put_aside()
        self.is_closed = True

    def segments(self, column_id: int) -> list[PutAside]:
        """The segments of a column."""
        return self._segments[column_id]

    def keys(self) -> list[SegmentKey]:
        """The names of the segments."""
        return [SegmentKey(self.partition_id, place) for place in range(len(self.row_counts))]

    def _put_aside(self) -> None:
        key = SegmentKey(self.partition_id, len(self.row_counts))
        columns = list(self._workers.map(lambda column: self._numbered(column, key), self._columns))
        widths = [bit_widths.width_of(int(numbers.max()) - int(numbers.min())) for numbers in columns]
        order = row_order(columns, widths, self._workers)
        ordered = self._workers.map(lambda numbers: numbers if order is None else numbers.take(order), columns)
        for column, numbers in zip(self._columns, ordered, strict=True):
            offset = self._scratch.append(memoryview(numbers).cast("B"))
            self._segments[column.column_id].append(PutAside(self._scratch, offset, len(numbers), numbers.dtype))
        self.row_counts.append(self._row_count)
        self._batches, self._row_count = [], 0

    def _numbered(self, column: ColumnSpecification, key: SegmentKey) -> NDArray[np.unsignedinteger]:
        """The number of each row's value in the segment; the values become known to the whole column."""
        values, numbers = numbered([checked(batch.column(column.name), column) for batch in self._batches])
        self._vocabularies[column.column_id].add(key, stored(values, column))
        return numbers
