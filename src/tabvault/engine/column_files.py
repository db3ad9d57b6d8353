"""
The files of a column, compared with what the metadata say about them.

A column is its partitions in the order of their storage positions, each of them an ``.idf`` file of segments
described by an ``.idfmeta`` file. Nothing is inferred from a file that is missing: how many rows there are say the
segment maps, how ids become values says the dictionary's row in the metadata. What is said twice is compared:

(1) the segments of a partition are as many, and their rows sum to as many, as its segment map and the column's
    partition say;
(2) no data id is beyond LastId, and the dictionary file has LastId - 2 entries;
(3) the entries are of the dictionary's data type, and 4 bytes wide exactly if it operates on 32 bits;
(4) row count, lowest and highest data id and the presence of nulls are those of the column's statistics.

No value is read by the statistics: (4) is asked by a verification, as a warning, and not by a reader, who must not be
kept from values that are whole. It is exact where a column has one segment, as in every genuine file at hand; what an
engine keeps in them over several, after partitions went, is not known, and :mod:`tabvault.model.consistency` compares
them, as a warning too.
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
from tabvault.model.objects import DictionaryDataType, DictionaryType, PartitionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tabvault.formats.vertipaq.dictionary import Entries
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Column, ColumnStatistics, ColumnStorage, DictionaryStorage, Table

_PARTITION_MODES = frozenset(PartitionMode)

_STRINGS = "strings"
_ELEMENTS: dict[tuple[int, bool], str] = {
    (DictionaryDataType.STRING, False): _STRINGS,
    (DictionaryDataType.LONG, True): "int32",
    (DictionaryDataType.LONG, False): "int64",
    (DictionaryDataType.REAL, False): "float64",
}
"""What the entries are, by data type and whether it operates on 32 bits: the combinations that there are."""


class Part(NamedTuple):
    """One column in one partition."""

    idf_file: str
    segments: tuple[SegmentMeta, ...]


def parts(files: FileSet, table: Table, column: Column, storage: ColumnStorage) -> Iterator[Part]:
    """
    The column's partitions in the order of their rows, after (1). Those without rows may be without files.

    Raises:
        ModelError: rows have no files, or are of a partition whose mode is not known.
        FormatError: an ``.idfmeta`` file is damaged, or does not fit the metadata.
    """
    stored = {part.partition_storage_id: part for part in storage.partitions}
    partitions = [(partition.storage, partition.mode) for partition in table.partitions if partition.storage]
    for rows, mode in sorted(partitions, key=lambda of: of[0].storage_position):
        if rows.record_count and mode not in _PARTITION_MODES:
            raise ModelError(f"{_named(table, column)}: {rows.record_count} rows of a partition of unknown mode {mode}")
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
    The partitions of a user table's column, after (1) and the first half of (2).

    Raises:
        ModelError: LastId does not fit the segments, or rows have no files.
        FormatError: as :func:`parts`.
    """
    found = list(parts(files, table, column, storage))
    highest = highest_data_id(found)
    dictionary = storage.dictionary
    if dictionary is not None and dictionary.type == DictionaryType.HASH and highest > dictionary.last_id:
        raise ModelError(f"{_named(table, column)}: data id {highest} is beyond LastId {dictionary.last_id}")
    return found


def highest_data_id(stored: Iterable[Part]) -> int:
    """The highest data id by the segment metadata, which decoding compares with the ids; 0 without segments."""
    return max((segment.statistics.max_data_id for part in stored for segment in part.segments), default=0)


def statistics_violations(stored: list[Part], stated: ColumnStatistics) -> Iterator[str]:
    """What (4) demands of a column that has one segment and does not hold."""
    segments = [segment.statistics for part in stored for segment in part.segments]
    if len(segments) != 1:
        return
    (only,) = segments
    found = replace(
        stated,
        min_data_id=only.min_data_id,
        max_data_id=only.max_data_id,
        row_count=only.row_count,
        has_nulls=only.has_nulls,
    )
    if found != stated:
        yield f"the segment has {_in_words(found)}; the statistics say {_in_words(stated)}"


def _in_words(statistics: ColumnStatistics) -> str:
    nulls = "with" if statistics.has_nulls else "without"
    return f"{statistics.row_count} rows of ids {statistics.min_data_id} to {statistics.max_data_id} {nulls} nulls"


def _named(table: Table, column: Column) -> str:
    return f"column {column.name!r} of table {table.name!r}"


def entries(
    files: FileSet, table: Table, column: Column, dictionary: DictionaryStorage, warn: Callable[[str], None]
) -> Entries:
    """
    The entries of a hash dictionary, after (2) and (3). There is no file as long as there is no entry.

    *warn* is told of characters that are not those of the file.

    Raises:
        ModelError: the metadata do not say what the entries are.
        FormatError: the dictionary file is damaged, or does not fit the metadata.
    """
    element = _ELEMENTS.get((dictionary.data_type, dictionary.is_operating_on_32))
    if element is None:
        raise ModelError(
            f"{_named(table, column)}: no dictionary is of data type {dictionary.data_type}, "
            f"operating on 32 bits: {dictionary.is_operating_on_32}"
        )
    if dictionary.file is None:
        found: Entries = pa.array([], pa.string()) if element == _STRINGS else np.empty(0, element)
    else:
        found = dictionary_file.parse(
            files.read(dictionary.file),
            file=dictionary.file,
            on_lone_surrogates=lambda count: warn(f"lone surrogates in its texts, decoded as U+FFFD: {count}"),
        )
        if _element(found) != element:
            raise FormatError(f"entries are {_element(found)}, not {element}", file=dictionary.file)
    if len(found) != dictionary.last_id - NULL_DATA_ID:
        raise FormatError(
            f"{len(found)} entries, and LastId of {_named(table, column)} is {dictionary.last_id}", file=dictionary.file
        )
    return found


def _element(of: Entries) -> str:
    return str(of.dtype) if isinstance(of, np.ndarray) else _STRINGS
