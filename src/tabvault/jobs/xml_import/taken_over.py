"""
What an XML model has stored of its tables, as :mod:`tabvault.model.processed` has it.

The files of every column of a table are taken over byte for byte, and so are those of the H$ and R$ tables that fit:

* H$: the hierarchy is processed, has the materialization type and the columns that newer models have for the encoding
  of its column, and as many rows and segments.
* R$: it is the index of a many-to-one relationship, of one segment, with a row for each data id of the many side.

Everything else that follows from the values is made anew, see :mod:`tabvault.jobs.xml_import.structures`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tabvault.engine.encoder.attribute_hierarchy import Materialization, row_number_hierarchy
from tabvault.errors import FormatError
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID
from tabvault.jobs.xml_import.table_values import TableValues
from tabvault.model.container_files import ContainedFile
from tabvault.model.objects import Cardinality, DictionaryType
from tabvault.model.processed import (
    ProcessedAttributeHierarchy,
    ProcessedColumn,
    ProcessedPartition,
    ProcessedRelationship,
    ProcessedStatistics,
    ProcessedTable,
    SystemColumn,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.formats.abf.container import Container
    from tabvault.jobs.xml_import.structures import Structures
    from tabvault.model.objects import Column, Relationship, Table
    from tabvault.model.xml_models.storage import StoredColumn, StoredIndex, StoredTable
    from tabvault.model.xml_models.tables import Dimension

_SYSTEM_STATISTICS: Final = ProcessedStatistics(0, NULL_DATA_ID, NULL_DATA_ID, NULL_DATA_ID, 0, False, 0, 0)
"""Of a column of a system table, in newer models."""

_SYSTEM_COLUMNS: Final = {
    Materialization.BOTH_COLUMNS: ("POS_TO_ID", "ID_TO_POS"),
    Materialization.HASH_INDEX: ("POS_TO_ID",),
}


class TakenOver:
    """
    Args:
        container: of the XML model.
        system_tables: by name.
    """

    def __init__(self, container: Container, system_tables: Mapping[str, StoredTable]) -> None:
        self._container = container
        self._system_tables = system_tables

    def table(
        self,
        dimension: Dimension,
        values: TableValues,
        table: Table,
        partition_names: Sequence[str],
        structures: Structures,
    ) -> ProcessedTable:
        """
        A table with rows.

        Args:
            dimension: its definition.
            values: its columns.
            table: what was made of the definition.
            partition_names: of *table*, in the order of the partitions stored.
            structures: makes the hierarchies that do not fit.

        Raises:
            FormatError: the files and the definitions contradict each other.
            ProcessingError: a hierarchy cannot be made.
        """
        ids = {one.name: one.id for one in table.partitions}
        partition_ids = [ids[name] for name in partition_names]
        _check_places(values.stored, len(partition_ids))
        by_name = {column.name: column for column in table.columns if not column.is_row_number}
        row_number = next(column for column in table.columns if column.is_row_number)
        columns = []
        for attribute in dimension.attributes:
            column = row_number if attribute.is_row_number else by_name[attribute.name]
            hierarchy = self._hierarchy(values, attribute.id, column) or structures.hierarchy(
                dimension.id, attribute.id
            )
            columns.append(
                ProcessedColumn(
                    column_id=column.id,
                    dictionary=values.processed_dictionary(attribute.id),
                    statistics=_statistics(values.column(attribute.id), hierarchy),
                    hierarchy=hierarchy,
                    segments={
                        partition_ids[part.partition]: values.processed_segments(part.file, part.segments)
                        for part in values.column(attribute.id).segments
                        if any(segment.records for segment in part.segments)
                    },
                )
            )
        return ProcessedTable(table.id, _partitions(values.stored.columns[0], partition_ids), tuple(columns))

    def _hierarchy(self, values: TableValues, column_id: str, column: Column) -> ProcessedAttributeHierarchy | None:
        """The hierarchy of a column as it is stored; None if it does not fit."""
        if column.is_row_number:
            return row_number_hierarchy(values.row_count)
        stored = values.column(column_id).hierarchy
        is_value_encoded = values.dictionary(column_id).type == DictionaryType.VALUE
        kind = Materialization.HASH_INDEX if is_value_encoded else Materialization.BOTH_COLUMNS
        if (
            stored is None
            or not stored.is_processed
            or not column.is_available_in_mdx
            or stored.materialization != kind
            or (stored.hash_index is None) == is_value_encoded
            or stored.table is None
            or stored.table not in self._system_tables
        ):
            return None
        system_table = self._system_tables[stored.table]
        columns = self._system_columns(system_table, _SYSTEM_COLUMNS[kind])
        count = stored.distinct_count
        record_count = _hierarchy_record_count(values.column(column_id), count, is_value_encoded=is_value_encoded)
        is_whole = count > 0 and system_table.row_count == record_count
        if columns is None or not is_whole or stored.hash_index not in {None, *self._container.files}:
            return None
        if any(one.segments.segment_count != -(-record_count // count) for one in columns):
            return None
        return ProcessedAttributeHierarchy(
            materialization_type=kind,
            distinct_data_count=count,
            record_count=record_count,
            segment_count=columns[0].segments.segment_count,
            columns=columns,
            hash_index=ContainedFile(self._container, stored.hash_index) if stored.hash_index else None,
        )

    def relationship(
        self, relationship: Relationship, index: StoredIndex | None, many: StoredColumn
    ) -> ProcessedRelationship | None:
        """
        The index of a relationship as it is stored; None if it does not fit.

        Args:
            relationship: what was made of the definition.
            index: what is stored of it.
            many: the column it comes from.
        """
        system_table = self._system_tables.get(index.table) if index is not None else None
        if index is None or system_table is None or relationship.from_cardinality == Cardinality.ONE:
            return None
        columns = self._system_columns(system_table, ("INDEX",))
        record_count = max(many.statistics.max_data_id, NULL_DATA_ID) + 1
        if columns is None or columns[0].segments.segment_count != 1:
            return None
        if not index.record_count == system_table.row_count == record_count:
            return None
        return ProcessedRelationship(relationship.id, record_count, index.has_unmatched, columns[0])

    def _system_columns(self, table: StoredTable, names: tuple[str, ...]) -> tuple[SystemColumn, ...] | None:
        """The columns of a system table if they are those, each of one partition and without run lengths."""
        if tuple(column.name for column in table.columns) != names:
            return None
        values = TableValues(self._container, table)
        found = []
        for column in table.columns:
            if len(column.segments) != 1 or any(segment.is_hybrid for segment in column.segments[0].segments):
                return None
            segments = values.processed_segments(column.segments[0].file, column.segments[0].segments)
            found.append(SystemColumn(column.name, _SYSTEM_STATISTICS, segments))
        return tuple(found)


def _hierarchy_record_count(column: StoredColumn, count: int, *, is_value_encoded: bool) -> int:
    """Rows of the H$ table of a column with *count* members."""
    if is_value_encoded:
        return count + FIRST_DATA_ID - int(column.statistics.has_nulls)
    return column.statistics.max_data_id + 1


def _statistics(column: StoredColumn, hierarchy: ProcessedAttributeHierarchy) -> ProcessedStatistics:
    """Those of the column; the number of different values is that of its hierarchy where it was not counted."""
    stated = column.statistics
    if stated.distinct_states or hierarchy.distinct_data_count <= 0:
        return stated
    is_hash = column.dictionary is not None and column.dictionary.type == DictionaryType.HASH
    blank_count = int(is_hash and stated.has_nulls)
    return replace(stated, distinct_states=max(1, hierarchy.distinct_data_count - blank_count))


def _check_places(stored: StoredTable, partition_count: int) -> None:
    """Every segment is of a partition that there is, and the partitions have the same rows in every column."""
    rows: dict[int, list[int]] = {}
    for column in stored.columns:
        for part in column.segments:
            if part.partition >= partition_count:
                raise FormatError(
                    f"column {column.name!r} has rows in partition {part.partition}, and there are {partition_count}",
                    file=stored.file,
                )
            counts = [segment.records for segment in part.segments]
            if rows.setdefault(part.partition, counts) != counts:
                raise FormatError(
                    f"column {column.name!r} has segments of {counts[:5]} rows, another one has "
                    f"{rows[part.partition][:5]}",
                    file=stored.file,
                )


def _partitions(column: StoredColumn, partition_ids: Sequence[int]) -> tuple[ProcessedPartition, ...]:
    """Partitions with rows, as any column has them."""
    found = []
    for part in column.segments:
        counts = [segment.records for segment in part.segments]
        if not sum(counts):
            continue
        full = counts[0]
        if not (len(counts) - 1) * full < sum(counts) <= len(counts) * full:
            full = -(-sum(counts) // len(counts))
        found.append(ProcessedPartition(partition_ids[part.partition], sum(counts), len(counts), full))
    return tuple(found)
