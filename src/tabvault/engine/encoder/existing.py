"""What a table has already when some of its rows are encoded anew: the partitions that stay, and their dictionaries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tabvault.engine import encoding
from tabvault.engine.column_files import checked_parts, entries
from tabvault.engine.encoder.specification import STORED_TYPES
from tabvault.engine.encoder.value_encoding import ValueEncoding
from tabvault.engine.values import from_text
from tabvault.errors import ProcessingError
from tabvault.formats.vertipaq import idf
from tabvault.model.objects import DataType, DictionaryType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from tabvault.engine.column_files import Part
    from tabvault.engine.encoder.specification import ColumnSpecification
    from tabvault.formats.vertipaq.idfmeta import SegmentStatistics
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Column, Table


def _pass_over(_warning: str) -> None:
    """Lone surrogates were read as U+FFFD whenever the table was read."""


class ExistingTable:
    """
    A table as it is stored.

    Args:
        files: the files of its database; open as long as this is used.
        table: the table.
    """

    def __init__(self, files: FileSet, table: Table) -> None:
        self.files = files
        self.table = table
        self._columns = {column.id: column for column in table.columns}
        self._row_counts = {
            partition.id: self._segment_row_counts(partition.id) for partition in table.partitions if partition.storage
        }

    def row_counts(self, partition_id: int) -> list[int]:
        """Rows of each segment of a partition; none of a partition that is not stored."""
        return [count for count in self._row_counts.get(partition_id, ()) if count]

    def column(self, specification: ColumnSpecification) -> ExistingColumn:
        """
        One of its columns.

        Raises:
            ProcessingError: the column has no values, or is stored as another data type.
            ModelError: the metadata contradict themselves.
            FormatError: the dictionary is damaged.
        """
        column = self._columns.get(specification.column_id)
        if column is None or column.storage is None or column.storage.dictionary is None:
            raise ProcessingError(
                f"column {specification.name!r} has no values for the rows of {self.table.name!r} that stay",
                hint="process the whole table",
            )
        if column.storage.dictionary.data_type != specification.stored_type.dictionary:
            raise ProcessingError(
                f"column {specification.name!r} of {self.table.name!r} is stored as another data type than "
                f"{DataType(specification.data_type).name}",
                hint="process the whole table",
            )
        return ExistingColumn(self, column, specification)

    def part(self, column: Column, partition_id: int) -> Part | None:
        """The files of a column in a partition; None if it has no rows."""
        assert column.storage is not None
        alone = tuple(partition for partition in self.table.partitions if partition.id == partition_id)
        found = checked_parts(self.files, replace(self.table, partitions=alone), column, column.storage)
        return found[0] if found else None

    def _segment_row_counts(self, partition_id: int) -> list[int]:
        """As any column that is stored says: segments have the same boundaries in all of them."""
        for column in self.table.columns:
            if column.storage is not None and column.storage.dictionary is not None:
                part = self.part(column, partition_id)
                return [] if part is None else [segment.records for segment in part.segments]
        return []


class ExistingColumn:
    """
    A column as it is stored.

    Attributes:
        value_encoding: how its ids are values; None if it has a dictionary.
        values: the entries of the dictionary as :func:`~tabvault.engine.encoder.stored_values.stored` has them, entry i
            of id i + 3; None with value encoding.
    """

    def __init__(self, table: ExistingTable, column: Column, specification: ColumnSpecification) -> None:
        self._table = table
        self._column = column
        storage = column.storage
        assert storage is not None
        assert storage.dictionary is not None
        dictionary = storage.dictionary
        self.value_encoding: ValueEncoding | None = None
        self.values: pa.Array | None = None
        if dictionary.type == DictionaryType.VALUE:
            encoding.by_arithmetic(column, dictionary)  # checks BaseId and Magnitude
            self.value_encoding = ValueEncoding(dictionary.base_id, dictionary.magnitude)
        else:
            found = entries(table.files, table.table, column, dictionary, _pass_over)
            self.values = _stored_entries(found, specification)

    def data_ids(self, partition_id: int) -> Iterator[NDArray[np.uint32]]:
        """The data ids of each segment of a partition."""
        part = self._table.part(self._column, partition_id)
        if part is not None:
            yield from idf.decode(self._table.files.open(part.idf_file), part.segments, file=part.idf_file)

    def statistics(self, partition_id: int) -> list[SegmentStatistics]:
        """Those of each segment of a partition."""
        part = self._table.part(self._column, partition_id)
        return [] if part is None else [segment.statistics for segment in part.segments]

    def arrow_values(self) -> Callable[[NDArray[np.uint32]], pa.Array]:
        """What turns data ids of a segment into Arrow values, which can be encoded again."""
        storage = self._column.storage
        assert storage is not None
        assert storage.dictionary is not None
        if self.value_encoding is not None:
            convert = encoding.by_arithmetic(self._column, storage.dictionary)
        else:
            found = entries(self._table.files, self._table.table, self._column, storage.dictionary, _pass_over)
            convert = encoding.by_entries(self._column, storage.dictionary, found)
        return lambda data_ids: convert(data_ids, data_ids == 2)


def _stored_entries(found: pa.Array | NDArray[np.generic], specification: ColumnSpecification) -> pa.Array:
    arrow = STORED_TYPES[specification.data_type].arrow
    if isinstance(found, np.ndarray):
        return pa.array(found.astype(np.float64 if found.dtype.kind == "f" else np.int64))
    if pa.types.is_binary(arrow):
        return from_text(found, arrow, file=None).cast(pa.large_binary())
    return found.cast(pa.large_string())
