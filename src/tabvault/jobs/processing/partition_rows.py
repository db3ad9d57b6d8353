"""The rows of a partition, as its table wants them: read from its source, with the names and types of the model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from tabvault.engine.encoder.specification import STORED_TYPES
from tabvault.errors import ModelError, SourceError
from tabvault.jobs.processing.partition_query import partition_query, partition_source
from tabvault.model.objects import ColumnType
from tabvault.sources.conforming import conformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.model.objects import Column, Model, Partition, Table
    from tabvault.sources.conforming import ConformedRows
    from tabvault.sources.reading import SourceRows


class PartitionRows(NamedTuple):
    """
    Rows that come.

    Attributes:
        batches: of the table's loaded columns, by their names in the model.
        rows: as they are converted; tells of digits that were rounded away.
        cancel: stops them, from any thread.
    """

    batches: Iterator[pa.RecordBatch]
    rows: ConformedRows
    cancel: Callable[[], None]


def loaded_columns(table: Table) -> tuple[Column, ...]:
    """The columns whose values come from the source."""
    return tuple(column for column in table.columns if column.type == ColumnType.DATA)


@contextmanager
def partition_rows(model: Model, table: Table, partition: Partition, access: SourceAccess) -> Iterator[PartitionRows]:
    """
    The rows of *partition*, as its source has them now.

    Raises:
        ModelError: a column has no data type that can be loaded.
        SourceError: the source, or what the model says of it; the partition is in the message.
    """
    columns = loaded_columns(table)
    wanted = pa.schema([(column.source_column or column.name, _arrow_type(table, column)) for column in columns])
    names = [column.name for column in columns]
    try:
        query = partition_query(partition_source(model, table, partition), access)
        reading: SourceRows = query.source.read(query.query, local=query.local)
        with reading as given:
            rows = conformed(given, wanted)
            yield PartitionRows((batch.rename_columns(names) for batch in rows), rows, given.cancel)
    except SourceError as error:
        place = f"table {table.name!r}, partition {partition.name!r}: "
        if not error.message.startswith(place):
            error.message = f"{place}{error.message}"
            error.args = (error.message,)
        raise


def _arrow_type(table: Table, column: Column) -> pa.DataType:
    stored = STORED_TYPES.get(column.data_type)
    if stored is None:
        raise ModelError(
            f"column {column.name!r} of table {table.name!r} has no data type that can be loaded",
            hint="give the column a data type",
        )
    return stored.arrow
