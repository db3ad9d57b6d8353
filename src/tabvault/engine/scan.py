"""
Columns and tables of a database as Arrow.

A segment becomes a chunk. The chunks of a column with a hash dictionary are dictionary arrays that share one
dictionary, in the order of the file; others are plain arrays. See :mod:`~tabvault.engine.values` for the types.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine import encoding
from tabvault.engine.column_files import checked_parts, entries, highest_data_id, parts, statistics_violations
from tabvault.engine.suggestion import all_names, close_names
from tabvault.engine.values import arrow_type
from tabvault.errors import FormatError, ModelError, QueryError
from tabvault.formats.vertipaq import idf
from tabvault.formats.vertipaq.idfmeta import NULL_DATA_ID
from tabvault.model.objects import DictionaryType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tabvault.engine.column_files import Part
    from tabvault.engine.encoding import Converter
    from tabvault.formats.byte_source import ByteSource
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Column, DictionaryStorage, Table


_MARKED_DATA_ID_MAX = 1 << 24
"""As many marks are made as there can be ids: 16 MiB at the most."""


def _pass_over(_warning: str) -> None:
    """For a reader who has nobody to tell."""


def column_type(column: Column) -> pa.DataType:
    """
    The Arrow type that :func:`read_column` gives, by the metadata alone.

    Raises:
        ModelError: the column's dictionary cannot hold its data type.
    """
    return arrow_type(column)


def table_schema(table: Table) -> pa.Schema:
    """
    The columns of :func:`read_table`, by the metadata alone.

    A column that cannot be read, because its type is not known, is of type ``null``; reading it says why.
    """
    columns = [column for column in table.columns if not column.is_row_number]
    return pa.schema([(c.name, pa.null() if type_problem(c) else column_type(c)) for c in columns])


def type_problem(column: Column) -> str | None:
    """Why :func:`column_type` fails, or None."""
    try:
        column_type(column)
    except ModelError as error:
        return error.message
    return None


def read_table(
    files: FileSet,
    table: Table,
    columns: Sequence[str] | None = None,
    *,
    warn: Callable[[str, str], None] = lambda _column, _warning: None,
) -> pa.Table:
    """
    Decode a table.

    Args:
        files: the files of the database.
        table: a user table.
        columns: names of the columns wanted, in the order wanted; by default all but the row number, in storage order.
        warn: told the column and in which way its values are not quite those of the files.

    Raises:
        QueryError: there is no such column.
        ModelError: there is more than one, or as :func:`read_column`.
        FormatError: as :func:`read_column`.
        TypeError: *columns* is one text, whose letters nobody means.
    """
    if isinstance(columns, str):
        raise TypeError(f"columns is the text {columns!r}, not a sequence of names")
    by_name: dict[str, list[Column]] = {}
    for column in table.columns:
        by_name.setdefault(column.name, []).append(column)
    if columns is None:
        columns = [column.name for column in table.columns if not column.is_row_number]
    for name in columns:
        if name not in by_name:
            hint = close_names(name, by_name) or all_names(by_name)
            raise QueryError(f"no column {name!r} in table {table.name!r}", hint=hint)
        if len(by_name[name]) > 1:
            raise ModelError(f"table {table.name!r} has more than one column {name!r}")
    decoded = [read_column(files, table, by_name[name][0], partial(warn, name)) for name in columns]
    return pa.Table.from_arrays(decoded, names=list(columns))


def lacks_values(table: Table, column: Column) -> bool:
    """Whether the table has rows, and the column was added and never calculated."""
    return table.row_count > 0 and (column.storage is None or column.storage.dictionary is None)


def read_column(
    files: FileSet, table: Table, column: Column, warn: Callable[[str], None] = _pass_over
) -> pa.ChunkedArray:
    """
    Decode a column of a user table.

    Args:
        files: the files of the database.
        table: the table.
        column: one of its columns.
        warn: told in which way the values are not quite those of the files.

    Returns:
        One chunk for each segment, of the type that :func:`column_type` says. Chunks of a dictionary type share one
        dictionary, whose values may repeat.

    Raises:
        ModelError: the metadata contradict themselves or the files, or rows of the column were never calculated.
        FormatError: a file is damaged.
    """
    storage = column.storage
    if lacks_values(table, column):
        raise ModelError(
            f"column {column.name!r} of table {table.name!r} has no values for {table.row_count} rows",
            hint="it was added and never calculated: process the table",
        )
    if storage is None or storage.dictionary is None:
        return pa.chunked_array([], column_type(column))
    stored = checked_parts(files, table, column, storage)
    convert = _converter(files, table, column, storage.dictionary, warn)
    chunks = [_converted(part, segment, data_ids, convert) for part, segment, data_ids in _decoded(files.read, stored)]
    return pa.chunked_array(chunks, chunks[0].type if chunks else column_type(column))


def check_column(files: FileSet, table: Table, column: Column) -> list[str]:
    """
    Decode a column of any table, system tables included, for the sake of the checks.

    A segment is held at a time: a column of a large table needs no more memory than one of a small one.

    Returns:
        Warnings: what :func:`read_column` warns of, and where the statistics do not say what is found, how many
        different values there are included. No value is read by them.

    Raises:
        ModelError: the metadata contradict themselves or the files.
        FormatError: a file is damaged.
    """
    storage = column.storage
    if storage is None or storage.dictionary is None:
        return []
    if table.is_system:
        for part in parts(files, table, column, storage):
            for _ in idf.decode_system(files.open(part.idf_file), part.segments, file=part.idf_file):
                pass
        return []
    stored = checked_parts(files, table, column, storage)
    warnings = list(statistics_violations(stored, storage.statistics))
    convert = _converter(files, table, column, storage.dictionary, warnings.append)
    different = _DifferentIds(highest_data_id(stored))
    for part, segment, data_ids in _decoded(files.open, stored):
        different.add(data_ids)
        _converted(part, segment, data_ids, convert)
    if table.row_count > 0:
        warnings += _distinct_states_violations(different.found(), storage.statistics.distinct_states)
    return warnings


def _decoded(
    read: Callable[[str], bytes | memoryview | ByteSource], stored: Sequence[Part]
) -> Iterator[tuple[Part, SegmentMeta, NDArray[np.uint32]]]:
    """The data ids of each segment, and what they are from. *read* gives a file whole, or for reading in ranges."""
    for part in stored:
        decoded = idf.decode(read(part.idf_file), part.segments, file=part.idf_file)
        for segment, data_ids in zip(part.segments, decoded, strict=True):
            yield part, segment, data_ids


def _converter(
    files: FileSet, table: Table, column: Column, dictionary: DictionaryStorage, warn: Callable[[str], None]
) -> Converter:
    if dictionary.type == DictionaryType.HASH:
        return encoding.by_entries(column, dictionary, entries(files, table, column, dictionary, warn))
    if dictionary.type == DictionaryType.VALUE and dictionary.file is None:
        return encoding.by_arithmetic(column, dictionary)
    raise ModelError(
        f"column {column.name!r} of table {table.name!r} has a dictionary of type {dictionary.type}, "
        f"file {dictionary.file!r}"
    )


def _converted(part: Part, segment: SegmentMeta, data_ids: NDArray[np.uint32], convert: Converter) -> pa.Array:
    try:
        return convert(data_ids, data_ids == NULL_DATA_ID if segment.statistics.has_nulls else None)
    except FormatError as error:
        raise error.in_file(part.idf_file) from None


class _DifferentIds:
    """
    Collects the different data ids of a column, of which none is over *highest*.

    As marks in an array as long as *highest* demands; where that would be too long, as the ids themselves, which takes
    several times as much time.
    """

    def __init__(self, highest: int) -> None:
        self._is_there = np.zeros(highest + 1, np.bool_) if highest <= _MARKED_DATA_ID_MAX else None
        self._ids = pa.array([], pa.uint32())

    def add(self, data_ids: NDArray[np.uint32]) -> None:
        if self._is_there is not None:
            self._is_there[data_ids] = True
        else:
            self._ids = pc.unique(pa.chunked_array([self._ids, pc.unique(pa.array(data_ids))]))

    def found(self) -> pa.Array:
        """All of them, in no order."""
        return self._ids if self._is_there is None else pa.array(self._is_there.nonzero()[0].astype(np.uint32))


def _distinct_states_violations(different: pa.Array, stated: int) -> Iterator[str]:
    """
    DistinctStates counts the different ids of the rows; in a hash dictionary BLANK is left out, or counted too.

    Genuine files show it for one segment. That it is over all of them is a guess, because the dictionary is one too.
    """
    count = len(different)
    has_nulls = pc.is_in(pa.scalar(NULL_DATA_ID, pa.uint32()), different).as_py()
    if not count - has_nulls <= stated <= count:
        yield f"{count} different data ids are there, and Statistics_DistinctStates is {stated}"
