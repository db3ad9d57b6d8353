"""
A table whose columns are decoded when a query touches them, as DuckDB takes it.

DuckDB asks an object derived from ``pyarrow.dataset.Dataset`` for two things: its ``schema`` when it binds a query,
and its ``scanner(columns=, filter=)`` when it runs it. *columns* are those the query needs above the scan (the first
one for ``count(*)``), *filter* is a condition that every row it gets has to meet and that may name further columns.
DuckDB hands over a condition only if pyarrow evaluates it exactly as DuckDB would; it keeps the others to itself. Of
the scanner it asks for ``to_reader()`` alone.

A scanner of pyarrow's takes its batches in one of the few threads that a process has for reading files, eight unless
the environment says otherwise. What is in memory is through at once. Rows that come from elsewhere may be waited for,
and eight tables that wait would stop every other query of the process: they are taken in DuckDB's own threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.dataset as ds

from tabvault.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_BATCH_ROW_COUNT = 1 << 20
"""DuckDB unpacks a column's dictionary once per batch: the batches of a scan are large."""


class LazyTable(Protocol):
    """A table that can be read column by column, from several threads at once."""

    @property
    def schema(self) -> pa.Schema:
        """
        Names and types of the columns; asking decodes nothing.

        Raises:
            ModelError: the metadata of a column contradict themselves.
        """
        ...

    def read(self, columns: Sequence[str]) -> pa.Table | pa.RecordBatchReader:
        """
        The whole columns of these names, in this order and with the types of the schema: at once, or as they come.

        Raises:
            FormatError: the files of a column are damaged.
        """
        ...


class LazyDataset(ds.Dataset):  # type: ignore[misc]  # pyarrow has no annotations
    """
    A :class:`LazyTable` as a dataset.

    Args:
        table: the table.
        name: its name, for errors.
        on_failure: takes the error of a read, of which DuckDB would only pass on the text.

    Raises:
        ModelError: two columns have the same name, or the table has no schema.
    """

    def __init__(self, table: LazyTable, *, name: str, on_failure: Callable[[Exception], None]) -> None:
        self._table = table
        self._on_failure = on_failure
        names = table.schema.names
        if len(set(names)) < len(names):
            double = next(column for column in names if names.count(column) > 1)
            raise ModelError(f"table {name!r} has more than one column {double!r}")

    @property
    def schema(self) -> pa.Schema:
        """The schema of the table."""
        return self._table.schema

    def scanner(self, columns: list[str] | None = None, filter: Any = None, **_options: Any) -> ds.Scanner | ComingRows:  # noqa: A002  # pyarrow's names
        """Decode the columns asked for and those of *filter*, and no other."""
        try:
            schema = self._table.schema
            chosen = schema.names if columns is None else columns
            needed = list(dict.fromkeys([*chosen, *filter_columns(filter, schema, known=chosen)]))
            data = self._table.read(needed)
        except Exception as error:
            self._on_failure(error)
            raise
        if not isinstance(data, pa.Table):
            return ComingRows(self._noted(data), data.schema, columns=chosen, condition=filter)
        return ds.Scanner.from_batches(
            data.to_batches(), schema=data.schema, columns=chosen, filter=filter, batch_size=_BATCH_ROW_COUNT
        )

    def _noted(self, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:
            self._on_failure(error)
            raise


class ComingRows:
    """
    What DuckDB takes of a scanner, for rows that are not here yet.

    Args:
        batches: of all columns that are needed.
        schema: of them.
        columns: those that are wanted, in this order.
        condition: an expression of pyarrow that every row has to meet, or None.
    """

    def __init__(
        self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, *, columns: Sequence[str], condition: Any
    ) -> None:
        self._batches = batches
        self._schema = pa.schema([schema.field(name) for name in columns])
        self._condition = condition

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows, to be taken once."""
        return pa.RecordBatchReader.from_batches(self._schema, self._wanted())

    def _wanted(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            kept = batch if self._condition is None else batch.filter(self._condition)
            yield kept.select(self._schema.names)


def filter_columns(condition: Any, schema: pa.Schema, *, known: Sequence[str]) -> list[str]:
    """
    The columns that *condition*, a pyarrow expression or None, names beside the *known* ones.

    pyarrow does not tell which columns an expression names; but it refuses to bind one whose column is not there.
    """
    if condition is None:
        return []
    return _missing(condition, list(known), [name for name in schema.names if name not in known], schema)


def _missing(condition: Any, present: list[str], candidates: list[str], schema: pa.Schema) -> list[str]:
    """Those of *candidates* without which *condition* does not bind to *present*, found by halves."""
    if _binds(condition, pa.schema([schema.field(name) for name in present])):
        return []
    if len(candidates) <= 1:
        return candidates
    middle = len(candidates) // 2
    first, second = candidates[:middle], candidates[middle:]
    found = _missing(condition, present + second, first, schema)
    return found + _missing(condition, present + found, second, schema)


def _binds(condition: Any, schema: pa.Schema) -> bool:
    try:
        ds.Scanner.from_batches([], schema=schema, filter=condition)
    except pa.ArrowInvalid:
        return False
    return True
