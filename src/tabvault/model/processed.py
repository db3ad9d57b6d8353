"""
What processing made of tables, relationships and hierarchies: the facts of their storage, and the bodies of its files.

The engine computes it, :mod:`tabvault.model.changes` writes it into the metadata and names the files, a job stages
them. Names are those of the storage tables of ``metadata.sqlitedb``; ids are those of the objects (``Column.ID``), not
of their storage rows, which are made when it is written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.formats.byte_source import ByteSource


@dataclass(frozen=True, slots=True)
class ProcessedStatistics:
    """``ColumnStorage.Statistics_*`` of a column over all its segments."""

    distinct_states: int
    min_data_id: int
    max_data_id: int
    original_min_segment_data_id: int
    row_count: int
    has_nulls: bool
    rle_runs: int
    others_rle_runs: int


@dataclass(frozen=True, slots=True)
class ProcessedSegments:
    """The segments of a column in a partition: an ``.idf`` file and its ``.idfmeta`` file."""

    segment_count: int
    idf: ByteSource
    idfmeta: ByteSource


@dataclass(frozen=True, slots=True)
class ProcessedDictionary:
    """
    ``DictionaryStorage`` of a column.

    *body* is the ``.dictionary`` file of a HASH dictionary with entries; None for VALUE encoding, for a column without
    a value, and for the row number.
    """

    type: int
    data_type: int
    base_id: int
    magnitude: float
    last_id: int
    is_unique: bool
    is_operating_on_32: bool
    dictionary_flags: int
    body: ByteSource | None


@dataclass(frozen=True, slots=True)
class SystemColumn:
    """A column of a system table (H$, R$, U$): one partition, NoSplit segments."""

    name: str
    statistics: ProcessedStatistics
    segments: ProcessedSegments


@dataclass(frozen=True, slots=True)
class ProcessedAttributeHierarchy:
    """
    ``AttributeHierarchyStorage`` of a column, with its H$ table.

    *materialization_type*: 0 both columns, 1 POS_TO_ID and a ``.hidx``, 2 no data, 3 row number, -1 not available in
    MDX. *columns* are POS_TO_ID, and ID_TO_POS where it is there; *record_count* and *segment_count* are those of the
    H$ table's segment map, whose RecordsPerSegment is *distinct_data_count*. *min_value*, *max_value* (as text:
    ``1/15/2025``, ``0.83514281``, ``FALSE``) and *string_value_max_length* are what newer schemas keep beside it.
    """

    materialization_type: int
    distinct_data_count: int
    record_count: int
    segment_count: int
    columns: tuple[SystemColumn, ...]
    hash_index: ByteSource | None
    min_value: str | None = None
    max_value: str | None = None
    string_value_max_length: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessedColumn:
    """
    A column of a processed table, the row number too.

    *segments* holds the partitions whose files are new, by ``Partition.ID``; the others keep theirs.
    """

    column_id: int
    dictionary: ProcessedDictionary
    statistics: ProcessedStatistics
    hierarchy: ProcessedAttributeHierarchy
    segments: Mapping[int, ProcessedSegments]


@dataclass(frozen=True, slots=True)
class ProcessedPartition:
    """``SegmentMapStorage`` of a partition whose rows are new."""

    partition_id: int
    record_count: int
    segment_count: int
    records_per_segment: int


@dataclass(frozen=True, slots=True)
class ProcessedTable:
    """A table: the partitions whose rows are new, and every column."""

    table_id: int
    partitions: tuple[ProcessedPartition, ...]
    columns: tuple[ProcessedColumn, ...]


@dataclass(frozen=True, slots=True)
class ProcessedRelationship:
    """
    ``RelationshipIndexStorage`` of a relationship, with its R$ table.

    *has_unmatched*: some value of the many side is not on the one side. *secondary* is the index the other way round,
    which a one-to-one relationship has: a second RelationshipStorage, with a RelationshipIndexStorage of its own.
    """

    relationship_id: int
    record_count: int
    has_unmatched: bool
    index: SystemColumn
    secondary_record_count: int = 0
    secondary: SystemColumn | None = None
    secondary_has_unmatched: bool = False


@dataclass(frozen=True, slots=True)
class ProcessedUserHierarchy:
    """
    ``HierarchyStorage`` of a user hierarchy, with its U$ table.

    *structure_type*: 1 natural (every member has one parent), 2 unnatural. *level_starts*: the first row of each level,
    from the top. *columns* are MULTI_LEVEL_ID, PARENT_POS, FIRST_CHILD_POS and CHILD_COUNT.
    """

    hierarchy_id: int
    record_count: int
    structure_type: int
    level_starts: tuple[int, ...]
    columns: tuple[SystemColumn, ...]


@dataclass(frozen=True, slots=True)
class Processed:
    """
    Everything that one processing made, to be written down at once.

    *stale_column_ids* and *stale_partition_ids* are calculated columns and calculated tables that keep values which may
    be out of date: their state becomes "calculation needed".
    """

    tables: tuple[ProcessedTable, ...]
    relationships: tuple[ProcessedRelationship, ...]
    user_hierarchies: tuple[ProcessedUserHierarchy, ...]
    stale_column_ids: frozenset[int] = frozenset()
    stale_partition_ids: frozenset[int] = frozenset()
