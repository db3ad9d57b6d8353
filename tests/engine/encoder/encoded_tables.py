"""Tables that our encoder wrote, as our reader takes them."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from genuine_columns import MemoryFiles
from tabvault.engine.encoder.existing import ExistingTable
from tabvault.engine.encoder.specification import ColumnSpecification, EncoderOptions, TableSpecification
from tabvault.engine.encoder.table_encoder import EncodedTable, TableEncoder
from tabvault.engine.scan import read_column, read_table
from tabvault.formats.byte_source import pieces
from tabvault.model.objects import (
    Column,
    ColumnPartitionStorage,
    ColumnStatistics,
    ColumnStorage,
    DataType,
    DictionaryStorage,
    Partition,
    PartitionMode,
    PartitionStorage,
    Table,
)
from tabvault.model.processed import ProcessedAttributeHierarchy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.processed import ProcessedColumn, ProcessedTable

ROW_NUMBER_ID = 900
NO_HIERARCHY = ProcessedAttributeHierarchy(-1, -1, 0, 0, (), None)

DATA_TYPES = {
    pa.string(): DataType.STRING,
    pa.binary(): DataType.BINARY,
    pa.int64(): DataType.INT64,
    pa.bool_(): DataType.BOOLEAN,
    pa.decimal128(19, 4): DataType.DECIMAL,
    pa.float64(): DataType.DOUBLE,
    pa.timestamp("us"): DataType.DATETIME,
}


def case_folded(texts: pa.Array) -> pa.Array:
    """Equality of a collation that ignores case."""
    return pc.utf8_lower(texts).cast(pa.large_binary())


def specification(schema: pa.Schema, partition_ids: Sequence[int] = (1,), **flags: bool) -> TableSpecification:
    columns = tuple(
        ColumnSpecification(100 + index, field.name, DATA_TYPES[field.type], **flags)
        for index, field in enumerate(schema)
    )
    return TableSpecification(7, ROW_NUMBER_ID, columns, tuple(partition_ids))


def encoder(
    table: TableSpecification, options: EncoderOptions | None = None, existing: ExistingTable | None = None
) -> TableEncoder:
    return TableEncoder(
        table, equality_keys=case_folded, scratch=tempfile.TemporaryFile, options=options, existing=existing
    )


def encode(
    partitions: Mapping[int, pa.Table],
    schema: pa.Schema,
    *,
    options: EncoderOptions | None = None,
    **flags: bool,
) -> Stored:
    """Write each partition whole, and store the table."""
    table = specification(schema, list(partitions), **flags)
    with encoder(table, options) as encoding:
        for partition_id, rows in partitions.items():
            write(encoding, partition_id, rows)
        return store(encoding.finish())


def write(encoding: TableEncoder, partition_id: int, rows: pa.Table, *, append: bool = False) -> None:
    writer = encoding.begin_partition(partition_id, append=append)
    for batch in rows.to_batches():
        writer.write(batch)
    writer.close()


def content(body: ByteSource) -> bytes:
    found = b"".join(map(bytes, pieces(body)))
    assert len(found) == body.byte_count
    return found


class Stored:
    """A table with its files, as the metadata would describe them."""

    def __init__(self, encoded: EncodedTable, processed: ProcessedTable, before: Stored | None) -> None:
        self.encoded = encoded
        self.processed = processed
        self.segment_row_counts = [len(ids) for ids in encoded.data_ids(encoded.columns[0].specification.column_id)]
        bodies = {} if before is None else dict(before.files.bodies)
        partitions = {} if before is None else {partition.id: partition for partition in before.table.partitions}
        for position, partition_id in enumerate(encoded.specification.partition_ids):
            for made in processed.partitions:
                if made.partition_id == partition_id:
                    storage = PartitionStorage(
                        1000 + partition_id, position, made.record_count, made.segment_count, made.records_per_segment
                    )
                    partitions[partition_id] = Partition(
                        partition_id, str(partition_id), 4, PartitionMode.IMPORT, 1, None, storage
                    )
        columns_before = {} if before is None else {column.id: column for column in before.table.columns}
        columns = tuple(self._column(made, columns_before.get(made.column_id), bodies) for made in processed.columns)
        self.files = MemoryFiles(bodies)
        self.table = Table(7, "T", None, False, False, 0, columns, tuple(partitions.values()), (), (), 1)

    def _column(self, made: ProcessedColumn, before: Column | None, bodies: dict[str, bytes]) -> Column:
        parts = {} if before is None else {part.partition_storage_id: part for part in before.storage.partitions}
        for partition_id, segments in made.segments.items():
            stem = f"{partition_id}.{made.column_id}"
            bodies[f"{stem}.idf"], bodies[f"{stem}.idfmeta"] = content(segments.idf), content(segments.idfmeta)
            parts[1000 + partition_id] = ColumnPartitionStorage(
                0, 1000 + partition_id, segments.segment_count, f"{stem}.idf", f"{stem}.idfmeta"
            )
        stated, facts = made.dictionary, made.statistics
        file = None
        if stated.body is not None:
            file = f"{made.column_id}.dictionary"
            bodies[file] = content(stated.body)
        dictionary = DictionaryStorage(
            0,
            stated.type,
            stated.data_type,
            stated.base_id,
            stated.magnitude,
            stated.last_id,
            True,
            stated.is_operating_on_32,
            file,
        )
        statistics = ColumnStatistics(
            facts.distinct_states, facts.min_data_id, facts.max_data_id, facts.row_count, facts.has_nulls
        )
        storage = ColumnStorage(0, "", statistics, dictionary, tuple(parts.values()))
        if made.column_id == ROW_NUMBER_ID:
            return Column(ROW_NUMBER_ID, "RowNumber", 7, 3, DataType.INT64, None, None, None, True, True, storage)
        wanted = self.encoded.column(made.column_id).specification
        return Column(made.column_id, wanted.name, 7, 1, wanted.data_type, None, None, None, False, True, storage)

    @property
    def existing(self) -> ExistingTable:
        return ExistingTable(self.files, self.table)

    def rows(self) -> pa.Table:
        """All rows, with plain columns."""
        found = read_table(self.files, self.table)
        arrays = []
        for column in found.columns:
            plain = [
                chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk for chunk in column.chunks
            ]
            value_type = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            arrays.append(pa.chunked_array(plain, value_type).cast(_SMALL.get(value_type, value_type)))
        return pa.table(arrays, names=found.column_names)

    def row_numbers(self) -> list[int]:
        column = next(column for column in self.table.columns if column.is_row_number)
        return read_column(self.files, self.table, column).to_pylist()


_SMALL = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}


def store(encoded: EncodedTable, before: Stored | None = None) -> Stored:
    ids = [column.specification.column_id for column in encoded.columns]
    return Stored(encoded, encoded.processed(dict.fromkeys([*ids, ROW_NUMBER_ID], NO_HIERARCHY)), before)
