"""The indexes of relationships: of those with an end in a table whose rows are new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tabvault.engine.encoder.existing import ExistingTable
from tabvault.engine.encoder.relationship_index import relationship_index
from tabvault.engine.encoder.relationship_keys import KeyColumn
from tabvault.engine.encoder.specification import ColumnSpecification
from tabvault.model.objects import Cardinality, DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.engine.collation import Collation
    from tabvault.engine.encoder.table_encoder import EncodedTable
    from tabvault.formats.vertipaq.dictionary import Entries
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Column, Model, Relationship, Table
    from tabvault.model.processed import ProcessedRelationship

_ON_DATE_PART = 2
"""``Relationship.JoinOnDateBehavior``."""


def processed_relationships(
    model: Model,
    files: FileSet,
    encoded: Mapping[int, EncodedTable],
    *,
    collation: Collation,
    with_data_offsets: bool,
    check: Callable[[], None],
) -> tuple[ProcessedRelationship, ...]:
    """
    The relationships that an encoded table has a part in, as far as both of their ends have values.

    A many-to-many relationship has no index, and neither has one to a table in DirectQuery mode.

    Args:
        model: the model.
        files: of the database as it was, for the tables that stay as they are.
        encoded: the tables whose rows are new, by id.
        collation: of the model.
        with_data_offsets: whether ``.idfmeta`` files have segment data offsets.
        check: raises when the work shall stop.

    Raises:
        DuplicateKeyError: a value is there twice, or is BLANK, on a side that is one.
        ProcessingError: the data types of the columns are not compared.
    """
    tables = {table.id: table for table in model.tables}
    found = []
    for relationship in model.relationships:
        if not {relationship.from_table_id, relationship.to_table_id} & encoded.keys():
            continue
        if relationship.to_cardinality != Cardinality.ONE:
            continue
        check()
        ends = _ends(relationship)
        many, one = (_key_column(tables[table], column, files, encoded.get(table)) for table, column in ends)
        if many is None or one is None:
            continue
        found.append(
            relationship_index(
                many,
                one,
                relationship_id=relationship.id,
                is_one_to_one=relationship.from_cardinality == Cardinality.ONE,
                is_on_date_part=relationship.join_on_date_behavior == _ON_DATE_PART,
                equality_keys=collation.equality_keys,
                with_data_offsets=with_data_offsets,
            )
        )
    return tuple(found)


def _ends(relationship: Relationship) -> tuple[tuple[int, int], tuple[int, int]]:
    """Table and column of the many side, then of the one side."""
    return (
        (relationship.from_table_id, relationship.from_column_id),
        (relationship.to_table_id, relationship.to_column_id),
    )


def _key_column(table: Table, column_id: int, files: FileSet, encoded: EncodedTable | None) -> KeyColumn | None:
    """The column of one end; None if it has no values."""
    column = next(one for one in table.columns if one.id == column_id)
    if encoded is not None:
        if all(one.specification.column_id != column_id for one in encoded.columns):
            return None
        return _of_encoded(table, column, encoded)
    if table.is_direct_query or column.storage is None or column.storage.dictionary is None:
        return None
    return _of_stored(table, column, files)


def _of_encoded(table: Table, column: Column, encoded: EncodedTable) -> KeyColumn:
    found = encoded.column(column.id)
    segments = list(encoded.data_ids(column.id))
    value_encoding = found.value_encoding
    return KeyColumn(
        table.name,
        column.name,
        DataType(column.data_type),
        np.concatenate(segments) if segments else np.zeros(0, np.uint32),
        found.entries,
        value_encoding.base_id if value_encoding else 0,
        value_encoding.magnitude if value_encoding else 1.0,
    )


def _of_stored(table: Table, column: Column, files: FileSet) -> KeyColumn:
    specification = ColumnSpecification(column.id, column.name, column.data_type)
    stored = ExistingTable(files, table).column(specification)
    segments = [ids for partition in table.partitions for ids in stored.data_ids(partition.id)]
    value_encoding = stored.value_encoding
    return KeyColumn(
        table.name,
        column.name,
        DataType(column.data_type),
        np.concatenate(segments) if segments else np.zeros(0, np.uint32),
        None if stored.values is None else _entries(stored.values),
        value_encoding.base_id if value_encoding else 0,
        value_encoding.magnitude if value_encoding else 1.0,
    )


def _entries(values: pa.Array) -> Entries:
    if pa.types.is_int64(values.type) or pa.types.is_float64(values.type):
        entries: Entries = values.to_numpy()
        return entries
    return values.cast(pa.large_string())
