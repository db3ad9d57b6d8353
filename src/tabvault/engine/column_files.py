"""
The files of a column, compared with what the metadata say about them.

A column is its partitions in the order of their storage positions, each of them an ``.idf`` file of segments
described by an ``.idfmeta`` file. Nothing is inferred from a file that is missing: how many rows there are say the
segment maps, how ids become values says the dictionary's row in the metadata. What is said twice is compared:

(1) the segments of a partition are as many, and their rows sum to as many, as its segment map and the column's
partition say;
(2) row count, lowest and highest data id and the presence of nulls are those of the column's statistics;
(3) no data id is beyond LastId, and the dictionary file has LastId - 2 entries;
(4) the entries are of the dictionary's data type, and 4 bytes wide exactly if it operates on 32 bits.

(2) is exact where a column has one segment, as in every genuine file at hand. With several, the statistics have to
cover what
is found: whether they shrink when a partition goes is not known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from tabvault.errors import FormatError, ModelError
from tabvault.formats.vertipaq import dictionary as dictionary_file
from tabvault.formats.vertipaq import idfmeta
from tabvault.formats.vertipaq.idfmeta import NULL_DATA_ID
from tabvault.model.objects import DictionaryDataType, DictionaryType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.formats.vertipaq.dictionary import Entries
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Column, ColumnStatistics, ColumnStorage, DictionaryStorage, Table

_NO_ENTRIES: dict[tuple[int, bool], Entries] = {
    (DictionaryDataType.STRING, False): pa.array([], pa.string()),
    (DictionaryDataType.LONG, True): np.empty(0, np.int32),
    (DictionaryDataType.LONG, False): np.empty(0, np.int64),
    (DictionaryDataType.REAL, False): np.empty(0, np.float64),
}
"""An empty dictionary, by data type and whether it operates on 32 bits: the combinations that there are."""


class Part(NamedTuple):
    """One column in one partition."""

    idf_file: str
    segments: tuple[SegmentMeta, ...]


def parts(files: FileSet, table: Table, column: Column, storage: ColumnStorage) -> Iterator[Part]:
    """
    The column's partitions in the order of their rows, after (1). Those without rows may be without files.

    Raises:
        ModelError: rows have no files.
        FormatError: an ``.idfmeta`` file is damaged, or does not fit the metadata.
    """
    stored = {part.partition_storage_id: part for part in storage.partitions}
    partitions = [partition.storage for partition in table.partitions if partition.storage]
    for rows in sorted(partitions, key=lambda rows: rows.storage_position):
        part = stored.get(rows.id)
        if part is None or part.idf_file is None or part.idfmeta_file is None:
            if rows.record_count:
                raise ModelError(f"{_named(table, column)}: no files for {rows.record_count} rows of a partition")
            continue
        segments = idfmeta.parse(files.read(part.idfmeta_file), file=part.idfmeta_file)
        found = (len(segments), sum(segment.records for segment in segments))
        if part.segment_count != rows.segment_count or found != (rows.segment_count, rows.record_count):
            raise FormatError(
                f"{found[0]} segments of {found[1]} records; segment storage says {part.segment_count} segments, "
                f"the segment map {rows.segment_count} of {rows.record_count} records",
                file=part.idfmeta_file,
            )
        yield Part(part.idf_file, segments)


def checked_parts(files: FileSet, table: Table, column: Column, storage: ColumnStorage) -> list[Part]:
    """
    The partitions of a user table's column, after (1), (2) and the first half of (3).

    Raises:
        ModelError: the statistics or LastId do not fit the segments, or rows have no files.
        FormatError: as :func:`parts`.
    """
    found_parts = list(parts(files, table, column, storage))
    segments = [segment.statistics for part in found_parts for segment in part.segments]
    with_values = [each for each in segments if each.max_data_id != NULL_DATA_ID]
    found = replace(
        storage.statistics,
        min_data_id=min((each.min_data_id for each in with_values), default=NULL_DATA_ID),
        max_data_id=max((each.max_data_id for each in with_values), default=NULL_DATA_ID),
        row_count=sum(each.row_count for each in segments),
        has_nulls=any(each.has_nulls for each in segments),
    )
    if not _agree(found, storage.statistics, exactly=len(segments) == 1):
        raise ModelError(
            f"{_named(table, column)}: segments have {_in_words(found)}; "
            f"the statistics say {_in_words(storage.statistics)}"
        )
    dictionary = storage.dictionary
    if dictionary is not None and dictionary.type == DictionaryType.HASH and found.max_data_id > dictionary.last_id:
        raise ModelError(f"{_named(table, column)}: data id {found.max_data_id} is beyond LastId {dictionary.last_id}")
    return found_parts


def _agree(found: ColumnStatistics, stated: ColumnStatistics, *, exactly: bool) -> bool:
    if exactly:
        return found == stated
    covered = stated.min_data_id <= found.min_data_id and found.max_data_id <= stated.max_data_id
    return (
        found.row_count == stated.row_count
        and (covered or found.max_data_id == NULL_DATA_ID)
        and stated.has_nulls >= found.has_nulls
    )


def _in_words(statistics: ColumnStatistics) -> str:
    nulls = "with" if statistics.has_nulls else "without"
    return f"{statistics.row_count} rows of ids {statistics.min_data_id} to {statistics.max_data_id} {nulls} nulls"


def _named(table: Table, column: Column) -> str:
    return f"column {column.name!r} of table {table.name!r}"


def entries(files: FileSet, table: Table, column: Column, dictionary: DictionaryStorage) -> Entries:
    """
    The entries of a hash dictionary, after (3) and (4). There is no file as long as there is no entry.

    Raises:
        ModelError: the metadata do not say what the entries are.
        FormatError: the dictionary file is damaged, or does not fit the metadata.
    """
    empty = _NO_ENTRIES.get((dictionary.data_type, dictionary.is_operating_on_32))
    if empty is None:
        raise ModelError(
            f"{_named(table, column)}: no dictionary is of data type {dictionary.data_type}, "
            f"operating on 32 bits: {dictionary.is_operating_on_32}"
        )
    found = empty
    if dictionary.file is not None:
        found = dictionary_file.parse(files.read(dictionary.file), file=dictionary.file)
        if _element(found) != _element(empty):
            raise FormatError(f"entries are {_element(found)}, not {_element(empty)}", file=dictionary.file)
    if len(found) != dictionary.last_id - NULL_DATA_ID:
        raise FormatError(
            f"{len(found)} entries, and LastId of {_named(table, column)} is {dictionary.last_id}", file=dictionary.file
        )
    return found


def _element(of: Entries) -> str:
    return str(of.dtype) if isinstance(of, np.ndarray) else "strings"
