"""
What the system tables of genuine databases are derived of, and what the engine made of it.

User columns are decoded to data ids and dictionary entries; system tables to their rows, and the bytes of their files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from genuine_columns import database
from tabvault.engine import column_files
from tabvault.formats.vertipaq import idf
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load_storage import storage_file_names
from tabvault.model.metadata import Metadata
from tabvault.model.objects import DictionaryType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.dictionary import Entries
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.objects import Column, Table


@dataclass(frozen=True)
class UserColumn:
    table: Table
    column: Column
    data_ids: NDArray[np.uint32]
    entries: Entries | None

    @property
    def used_ids(self) -> NDArray[np.uint32]:
        return np.unique(self.data_ids)

    @property
    def is_value_encoded(self) -> bool:
        return self.entries is None

    @property
    def base_id(self) -> int:
        return self.column.storage.dictionary.base_id

    @property
    def magnitude(self) -> float:
        return self.column.storage.dictionary.magnitude


@dataclass(frozen=True)
class GenuineSystemColumn:
    values: NDArray[np.int64]
    segments: tuple[SegmentMeta, ...]
    idf: bytes
    idfmeta: bytes

    @property
    def has_data_offsets(self) -> bool:
        return self.segments[0].data_offsets is not None


@dataclass(frozen=True)
class GenuineSystemTable:
    table: Table
    columns: dict[str, GenuineSystemColumn]


@cache
def rows(sample: str, table: str) -> dict[int, dict]:
    """The rows of a metadata table by id."""
    with Metadata.from_bytes(database(sample).files.bodies[METADATA_FILE]) as metadata:
        return {cells["ID"]: cells for cells in metadata.rows(table)}


@cache
def file_names(sample: str) -> dict[int, str]:
    with Metadata.from_bytes(database(sample).files.bodies[METADATA_FILE]) as metadata:
        return storage_file_names(metadata)


@cache
def _columns(sample: str) -> dict[int, tuple[Table, Column]]:
    return {column.id: (table, column) for table in database(sample).model.tables for column in table.columns}


@cache
def user_column(sample: str, column_id: int) -> UserColumn:
    files = database(sample).files
    table, column = _columns(sample)[column_id]
    stored = column_files.checked_parts(files, table, column, column.storage)
    ids = [
        data_ids
        for part in stored
        for data_ids in idf.decode(files.read(part.idf_file), part.segments, file=part.idf_file)
    ]
    dictionary = column.storage.dictionary
    entries = None
    if dictionary.type == DictionaryType.HASH:
        entries = column_files.entries(files, table, column, dictionary, lambda _warning: None)
    return UserColumn(table, column, np.concatenate([np.empty(0, np.uint32), *ids]), entries)


@cache
def system_table(sample: str, table_id: int) -> GenuineSystemTable:
    files = database(sample).files
    table = next(table for table in database(sample).model.system_tables if table.id == table_id)
    columns = {}
    for column in table.columns:
        if column.storage is None or column.is_row_number:
            continue
        (part,) = column_files.parts(files, table, column, column.storage)
        (stored,) = column.storage.partitions
        content = files.read(part.idf_file)
        columns[column.name] = GenuineSystemColumn(
            values=np.concatenate(list(idf.decode_system(content, part.segments, file=part.idf_file))),
            segments=part.segments,
            idf=content,
            idfmeta=files.read(stored.idfmeta_file),
        )
    return GenuineSystemTable(table, columns)
