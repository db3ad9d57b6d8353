r"""
The system tables in which an engine keeps what it derived from values.

They are rows of ``Table``, ``Partition`` and ``Column`` like all others, and have storage like all others:

======  =======================================  ==================================  ================================
table   name                                     columns (``ColumnStorage.Settings``)  segment map
======  =======================================  ==================================  ================================
H$      ``H$<table>$<column>``                   POS_TO_ID (7), ID_TO_POS (5)        Type 2, as many records in each
                                                                                     segment as the column has values
R$      ``R$<table>$<relationship>``             INDEX (3)                           Type 3
U$      ``U$<table>$<hierarchy>``                MULTI_LEVEL_ID (16), PARENT_POS     Type 3
                                                 (8), FIRST_CHILD_POS (9),
                                                 CHILD_COUNT (17)
======  =======================================  ==================================  ================================

``Table``: no ModelID, IsHidden and SystemFlags 1. ``Partition``, of the table's name: Type 3, Mode 2, DataView 3,
State 1. ``Column``: int64, visible, SystemFlags 1. None has an attribute hierarchy or a time of refresh. The folder is
``<name>$(<table id>).tbl``. Dictionaries are of Type 0 and DataType 19. Source: the 1 362 system tables of genuine
files of schema versions 17 to 122, which differ in nothing but the statistics of R$ columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.model.changes.row_changes import default_cell
from tabvault.model.changes.storage_rows import SEGMENT_MAP
from tabvault.model.filetime import NEVER
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.objects import DataType, DictionaryDataType, DictionaryType, ObjectState, PartitionType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.changes.storage_rows import StorageRows
    from tabvault.model.processed import ProcessedStatistics, SystemColumn
    from tabvault.model.sqlite_file import Value

ATTRIBUTE_HIERARCHY_MAP: Final = 2
"""``SegmentMapStorage.Type`` of an H$ table."""

_TABLE_SETTINGS: Final = {"H": 4, "R": 2, "U": 5}
"""``TableStorage.Settings`` by the first letter of the name."""

_COLUMN_SETTINGS: Final = {
    "POS_TO_ID": 7,
    "ID_TO_POS": 5,
    "INDEX": 3,
    "MULTI_LEVEL_ID": 16,
    "PARENT_POS": 8,
    "FIRST_CHILD_POS": 9,
    "CHILD_COUNT": 17,
}
"""``ColumnStorage.Settings`` by the name of the column."""

_BINARY_CHARACTERS: Final = {"U": 10240}
"""``ColumnStorage.BinaryCharacters``, which is 0 everywhere else."""

_DERIVED: Final = 3
"""``ColumnPartitionStorage.State`` of system tables."""

_SYSTEM: Final = 1
"""``SystemFlags``."""

_DICTIONARY: Final[Mapping[str, Value]] = {"Type": DictionaryType.NONE, "DataType": DictionaryDataType.NONE}


def _unset(type_name: str) -> dict[str, Value]:
    """The cells of an object of which nobody set a property."""
    type_ = OBJECT_TYPES[type_name]
    return {prop.name: default_cell(type_, prop) for prop in type_.properties}


_TABLE: Final = {**_unset("Table"), "IsHidden": 1, "SystemFlags": _SYSTEM}
_PARTITION: Final = {
    **_unset("Partition"),
    "State": ObjectState.READY,
    "Type": PartitionType.SYSTEM,
    "SystemFlags": _SYSTEM,
    "RefreshedTime": NEVER,
}
_COLUMN: Final = {
    **_unset("Column"),
    "ExplicitDataType": DataType.INT64,
    "SystemFlags": _SYSTEM,
    "RefreshedTime": NEVER,
    "EvaluationBehavior": 1,
}


@dataclass(frozen=True, slots=True)
class SystemTable:
    """
    A system table to be made.

    *records_per_segment* is None where the segments but the last are as long as each other.
    """

    name: str
    columns: Sequence[SystemColumn]
    record_count: int
    segment_count: int
    segment_map_type: int = SEGMENT_MAP
    records_per_segment: int | None = None


class SystemTables:
    """
    Makes system tables in the rows of *storage*.

    Args:
        storage: the rows of storage, changed by this.
        time: the time of the processing, as ``ModifiedTime`` has it.

    Attributes:
        files: the files that belong to the tables, by logical name.
    """

    def __init__(self, storage: StorageRows, *, time: int) -> None:
        self.files: dict[str, ByteSource] = {}
        self._storage = storage
        self._times: dict[str, Value] = {"ModifiedTime": time, "StructureModifiedTime": time}

    def add(self, table: SystemTable, *, version: int) -> int:
        """Make a table whose files are of that data version; returns its id."""
        storage, rows = self._storage, self._storage.rows
        kind = table.name[0]
        table_id = rows.insert("Table", {**_TABLE, **self._times, "Name": table.name})
        folder = f"{table.name}$({table_id}).tbl"
        storage.add_table(table_id, name=table.name, folder=folder, version=version, settings=_TABLE_SETTINGS[kind])
        own: dict[str, Value] = {"TableID": table_id, "Name": table.name}
        partition_id = rows.insert("Partition", {**_PARTITION, **self._times, **own})
        records_per_segment = table.records_per_segment
        if records_per_segment is None:
            records_per_segment = -(-table.record_count // table.segment_count)
        partition_storage_id = storage.add_partition(
            table_id,
            partition_id,
            name=table.name,
            segment_map={
                "Type": table.segment_map_type,
                "RecordCount": table.record_count,
                "SegmentCount": table.segment_count,
                "RecordsPerSegment": records_per_segment,
            },
            position=0,
        )
        for position, column in enumerate(table.columns):
            own = {"TableID": table_id, "ExplicitName": column.name}
            column_storage_id = storage.add_column(
                rows.insert("Column", {**_COLUMN, **self._times, **own}),
                name=column.name,
                position=position,
                cells={
                    "Settings": _COLUMN_SETTINGS[column.name],
                    "BinaryCharacters": _BINARY_CHARACTERS.get(kind, 0),
                    **statistics_cells(column.statistics),
                },
                dictionary=_DICTIONARY,
            )
            idf, idfmeta = storage.put_segments(
                column_storage_id,
                partition_storage_id,
                table_name=table.name,
                version=version,
                segment_count=column.segments.segment_count,
                state=_DERIVED,
            )
            self.files[idf] = column.segments.idf
            self.files[idfmeta] = column.segments.idfmeta
        return table_id


def statistics_cells(statistics: ProcessedStatistics) -> dict[str, Value]:
    """The cells ``Statistics_*`` of ``ColumnStorage`` that processing gives."""
    return {
        "Statistics_DistinctStates": statistics.distinct_states,
        "Statistics_MinDataID": statistics.min_data_id,
        "Statistics_MaxDataID": statistics.max_data_id,
        "Statistics_OriginalMinSegmentDataID": statistics.original_min_segment_data_id,
        "Statistics_RowCount": statistics.row_count,
        "Statistics_HasNulls": int(statistics.has_nulls),
        "Statistics_RLERuns": statistics.rle_runs,
        "Statistics_OthersRLERuns": statistics.others_rle_runs,
    }
