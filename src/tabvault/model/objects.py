"""
The objects of a tabular model, and the storage facts that say where its values lie.

Names are those of the metadata tables (``Table``, ``ColumnStorage``, …) and of the tabular object model. Ids come
from one counter over all tables of a model, so an id alone says which object is meant. Sources: the tables
themselves in genuine files of schema versions 17 to 123; the enumerations are those of the public tabular object
model.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime


class DataType(enum.IntEnum):
    """``Column.ExplicitDataType`` and ``InferredDataType``."""

    AUTOMATIC = 1
    STRING = 2
    INT64 = 6
    DOUBLE = 8
    DATETIME = 9
    DECIMAL = 10
    BOOLEAN = 11
    BINARY = 17
    UNKNOWN = 19
    VARIANT = 20


class ColumnType(enum.IntEnum):
    """``Column.Type``."""

    DATA = 1
    CALCULATED = 2
    ROW_NUMBER = 3
    CALCULATED_TABLE_COLUMN = 4


class ObjectState(enum.IntEnum):
    """``State`` of partitions, columns, hierarchies, relationships and permissions, as far as it counts here."""

    READY = 1
    NO_DATA = 3
    CALCULATION_NEEDED = 4


class Cardinality(enum.IntEnum):
    """``Relationship.FromCardinality`` and ``ToCardinality``."""

    ONE = 1
    MANY = 2


class PartitionType(enum.IntEnum):
    """``Partition.Type``. SYSTEM is the one partition of a system table; its mode is always 2 and means nothing."""

    QUERY = 1
    CALCULATED = 2
    SYSTEM = 3
    M = 4
    POLICY_RANGE = 6
    CALCULATION_GROUP = 7


class PartitionMode(enum.IntEnum):
    """``Partition.Mode`` and ``Model.DefaultMode``."""

    IMPORT = 0
    DIRECT_QUERY = 1
    DEFAULT = 2
    PUSH = 3
    DUAL = 4
    DIRECT_LAKE = 5


class DataView(enum.IntEnum):
    """``Partition.DataView`` and ``Model.DefaultDataView``."""

    FULL = 0
    SAMPLE = 1
    DEFAULT = 3


class DictionaryType(enum.IntEnum):
    """``DictionaryStorage.Type``: how a data id becomes a value."""

    NONE = 0
    HASH = 1
    VALUE = 2


class DictionaryDataType(enum.IntEnum):
    """``DictionaryStorage.DataType``: what the dictionary's entries are."""

    STRING = 2
    LONG = 6
    REAL = 8
    NONE = 19


@dataclass(frozen=True, slots=True)
class DictionaryStorage:
    """
    How the data ids of a column become values.

    ``HASH``: id 2 is BLANK, id n >= 3 is entry n-3 of *file*. ``VALUE``: id 2 is BLANK, else (id + base_id) /
    magnitude.
    """

    id: int
    type: int
    data_type: int
    base_id: int
    magnitude: float
    last_id: int
    is_nullable: bool
    is_operating_on_32: bool
    file: str | None


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """``ColumnStorage.Statistics_*``: what the engine knew about the column when it wrote it."""

    distinct_states: int
    min_data_id: int
    max_data_id: int
    row_count: int
    has_nulls: bool


@dataclass(frozen=True, slots=True)
class ColumnPartitionStorage:
    """One column in one partition: the logical names of its ``.idf`` and ``.idfmeta`` files."""

    id: int
    partition_storage_id: int
    segment_count: int
    idf_file: str | None
    idfmeta_file: str | None


@dataclass(frozen=True, slots=True)
class ColumnStorage:
    """Where the values of a column lie. *partitions* are in the order of the partitions' storage positions."""

    id: int
    name: str
    statistics: ColumnStatistics
    dictionary: DictionaryStorage | None
    partitions: tuple[ColumnPartitionStorage, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column.

    *data_type* is the explicit one where set, else the inferred one; a bare number if not known. *source_column* is
    what the rows of the source call it. *state*: 1 its values are up to date; see ``ObjectState`` for the others.
    """

    id: int
    name: str
    table_id: int
    type: int
    data_type: DataType | int
    description: str | None
    expression: str | None
    format_string: str | None
    is_hidden: bool
    is_available_in_mdx: bool
    storage: ColumnStorage | None
    source_column: str | None = None
    is_key: bool = False
    is_nullable: bool = True
    state: int = 1
    sort_by_column_id: int | None = None

    @property
    def is_row_number(self) -> bool:
        """The internal row number that every table has and no user sees."""
        return self.type == ColumnType.ROW_NUMBER


@dataclass(frozen=True, slots=True)
class PartitionStorage:
    """A partition's place among its table's rows, and its segment map."""

    id: int
    storage_position: int
    record_count: int
    segment_count: int
    records_per_segment: int


@dataclass(frozen=True, slots=True)
class Partition:
    """
    A partition.

    *mode* and *is_sample* are resolved: what the partition leaves to the model is that of the model. A mode that is not
    known is a bare number. A sample is rows that a DirectQuery partition keeps for design. The range is that of a
    refresh policy, from *range_start* to before *range_end*, in OLE days since 30 December 1899.
    """

    id: int
    name: str
    type: int
    mode: PartitionMode | int
    state: int
    query_definition: str | None
    storage: PartitionStorage | None
    is_sample: bool = False
    data_source_id: int | None = None
    range_start: float | None = None
    range_end: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure."""

    id: int
    name: str
    table_id: int
    expression: str
    description: str | None
    format_string: str | None
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a user hierarchy."""

    name: str
    ordinal: int
    column_id: int


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A user hierarchy, levels from the top."""

    id: int
    name: str
    table_id: int
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with everything in it. *columns* includes the row number, in storage order."""

    id: int
    name: str
    description: str | None
    is_hidden: bool
    is_system: bool
    system_flags: int
    columns: tuple[Column, ...]
    partitions: tuple[Partition, ...]
    measures: tuple[Measure, ...]
    hierarchies: tuple[Hierarchy, ...]
    storage_version: int

    @property
    def row_count(self) -> int:
        """Rows over all partitions, as the segment maps say."""
        return sum(partition.storage.record_count for partition in self.partitions if partition.storage)

    @property
    def is_direct_query(self) -> bool:
        """Every partition asks the source; no values are stored here."""
        return bool(self.partitions) and all(p.mode == PartitionMode.DIRECT_QUERY for p in self.partitions)


@dataclass(frozen=True, slots=True)
class Relationship:
    """
    A relationship, from the many side to the one side.

    *join_on_date_behavior*: 1 on date and time, 2 on the date alone.
    """

    id: int
    name: str
    is_active: bool
    from_table_id: int
    from_column_id: int
    to_table_id: int
    to_column_id: int
    cross_filtering_behavior: int
    from_cardinality: int = Cardinality.MANY
    to_cardinality: int = Cardinality.ONE
    join_on_date_behavior: int = 1


@dataclass(frozen=True, slots=True)
class RoleMember:
    """A member of a role."""

    id: int
    name: str
    member_id: str | None
    identity_provider: str | None
    member_type: int


@dataclass(frozen=True, slots=True)
class Role:
    """A role. *model_permission*: 1 none, 2 read, 3 read and refresh, 4 refresh, 5 administrator."""

    id: int
    name: str
    description: str | None
    model_permission: int
    members: tuple[RoleMember, ...]


@dataclass(frozen=True, slots=True)
class DataSource:
    """
    A data source.

    *type*: 1 a provider data source, which has a *connection_string*; 2 a structured one, which has
    *connection_details* (JSON). Both may hold secrets, and so may *credential*: they are never shown or logged.
    """

    id: int
    name: str
    type: int
    provider: str | None
    connection_string: str | None = field(default=None, repr=False)
    account: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: int = 0
    connection_details: str | None = field(default=None, repr=False)
    options: str | None = field(default=None, repr=False)
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NamedExpression:
    """A shared M expression or parameter."""

    id: int
    name: str
    kind: int
    expression: str


@dataclass(frozen=True, slots=True)
class Model:
    """The whole model. *tables* holds user tables; *system_tables* the H$, R$ and U$ structures."""

    name: str
    description: str | None
    schema_version: int
    default_mode: PartitionMode | int
    culture: str | None
    collation: str | None
    last_update: datetime.datetime | None
    tables: tuple[Table, ...]
    system_tables: tuple[Table, ...]
    relationships: tuple[Relationship, ...]
    roles: tuple[Role, ...]
    data_sources: tuple[DataSource, ...]
    expressions: tuple[NamedExpression, ...]
