"""What a table is made of, as far as its encoding has to know, and how its files are to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.formats.vertipaq.hybrid_writer import BookmarkRule
from tabvault.model.objects import DataType, DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDS_PER_SEGMENT = 1 << 20
"""Rows of a full segment, as Desktop has them."""


@dataclass(frozen=True, slots=True)
class StoredType:
    """
    How the values of a data type are stored.

    Attributes:
        arrow: the type of the rows that come in.
        dictionary: the data type of the dictionary.
        flags: ``DictionaryFlags``.
    """

    arrow: pa.DataType
    dictionary: DictionaryDataType
    flags: int = 0


STORED_TYPES: Final[Mapping[int, StoredType]] = {
    DataType.STRING: StoredType(pa.string(), DictionaryDataType.STRING, 3),
    DataType.BINARY: StoredType(pa.binary(), DictionaryDataType.STRING, 0x103),
    DataType.INT64: StoredType(pa.int64(), DictionaryDataType.LONG),
    DataType.BOOLEAN: StoredType(pa.bool_(), DictionaryDataType.LONG),
    DataType.DECIMAL: StoredType(pa.decimal128(19, 4), DictionaryDataType.LONG),
    DataType.DOUBLE: StoredType(pa.float64(), DictionaryDataType.REAL),
    DataType.DATETIME: StoredType(pa.timestamp("us"), DictionaryDataType.REAL),
}
"""By data type; the flags are those of genuine files."""


@dataclass(frozen=True, slots=True)
class ColumnSpecification:
    """
    A column other than the row number.

    Attributes:
        column_id: ``Column.ID``.
        name: by which the batches have it.
        data_type: one of :data:`STORED_TYPES`.
        is_key: it is the table's key, or on the one side of a relationship; its dictionary is marked as unique.
        needs_dictionary: never value-encoded: keys, columns of relationships on either side, and columns that are
            sorted by another one, whose hierarchies no ``.hidx`` file can express.
        mask: ``Mask`` of its segments: 0 in calculated columns.
    """

    column_id: int
    name: str
    data_type: int
    is_key: bool = False
    needs_dictionary: bool = False
    mask: int = 1

    @property
    def stored_type(self) -> StoredType:
        """How its values are stored."""
        return STORED_TYPES[self.data_type]


@dataclass(frozen=True, slots=True)
class TableSpecification:
    """
    A table.

    Attributes:
        table_id: ``Table.ID``.
        row_number_id: ``Column.ID`` of the row number.
        columns: all the others.
        partition_ids: ``Partition.ID`` of every partition, in the order of their storage positions.
    """

    table_id: int
    row_number_id: int
    columns: tuple[ColumnSpecification, ...]
    partition_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """
    How files are written.

    Attributes:
        records_per_segment: rows of a full segment, a power of two.
        bookmark: the rule of the builds that are followed.
        with_data_offsets: whether ``.idfmeta`` files say where segments lie, as newer builds do.
        string_hash_algorithm: ``hashAlgorithm`` of text dictionaries: 0 for the hash of the collation, 1 for the fast
            one that older builds use with locale 1033.
        defragment: whether entries that no row uses go.
    """

    records_per_segment: int = RECORDS_PER_SEGMENT
    bookmark: BookmarkRule = BookmarkRule.ENTRIES
    with_data_offsets: bool = True
    string_hash_algorithm: int = 0
    defragment: bool = False
