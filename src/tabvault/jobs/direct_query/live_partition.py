"""
Which tables are asked live, and what their columns are.

A table with a partition in DirectQuery mode is live: that partition's rows are where its query says, and nowhere here.
There is one such partition, beside which there may be others that were loaded (a hybrid table); a partition that holds
a sample is for design and does not count. A table in dual mode was loaded, and is read as any other.

Columns have the names and data types of the model. Those of DAX cannot be had: there is nothing here that could compute
them over rows that are elsewhere.

Source: "Hybrid tables", "DirectQuery mode in tabular models" in the documentation of Analysis Services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from tabvault.engine.encoder.specification import STORED_TYPES
from tabvault.errors import ModelError
from tabvault.model.objects import ColumnType, PartitionMode

if TYPE_CHECKING:
    from tabvault.model.objects import Column, Partition, Table


def is_live(table: Table) -> bool:
    """Whether some of the table's rows are asked for live."""
    return any(partition.mode == PartitionMode.DIRECT_QUERY for partition in table.partitions)


def live_partition(table: Table) -> Partition:
    """
    The partition that is asked.

    Raises:
        ModelError: there is more than one, or samples alone.
    """
    found = [one for one in table.partitions if one.mode == PartitionMode.DIRECT_QUERY and not one.is_sample]
    if len(found) != 1:
        raise ModelError(
            f"table {table.name!r} has {len(found)} partitions in DirectQuery mode, not one",
            hint="Analysis Services allows one, beside samples",
        )
    return found[0]


def has_loaded_rows(table: Table) -> bool:
    """Whether there are rows here too."""
    return any(
        one.mode != PartitionMode.DIRECT_QUERY and not one.is_sample and one.storage and one.storage.record_count
        for one in table.partitions
    )


def is_asked(column: Column) -> bool:
    """Whether the source gives the column's values."""
    return column.type == ColumnType.DATA and column.data_type in STORED_TYPES


def live_schema(table: Table) -> pa.Schema:
    """
    The columns, without the row number. What no source gives is of type null, and comes last.

    Nothing is in a dictionary: it would have to be made for each batch.
    """
    columns = [column for column in table.columns if not column.is_row_number]
    types = {column.name: _value_type(column) for column in columns}
    ordered = sorted(columns, key=lambda column: not is_asked(column))
    return pa.schema([(column.name, types[column.name]) for column in ordered])


def source_name(column: Column) -> str:
    """What the partition's rows call it."""
    return column.source_column or column.name


def _value_type(column: Column) -> pa.DataType:
    return STORED_TYPES[column.data_type].arrow if is_asked(column) else pa.null()
