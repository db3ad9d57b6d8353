"""
A table whose columns are decoded when a query touches them, as DuckDB takes it.

DuckDB asks an object derived from ``pyarrow.dataset.Dataset`` for two things: its ``schema`` when it binds a query,
and its ``scanner(columns=, filter=)`` when it runs it. *columns* are those the query needs above the scan (the first
one for ``count(*)``), *filter* is a condition that every row it gets has to meet and that may name further columns.
DuckDB hands over a condition only if pyarrow evaluates it exactly as DuckDB would; it keeps the others to itself.
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

    def scanner(self, columns: list[str] | None = None, filter: Any = None, **_options: Any) -> ds.Scanner:  # noqa: A002  # pyarrow's names
        """Decode the columns asked for and those of *filter*, and no other."""
        try:
            schema = self._table.schema
            chosen = schema.names if columns is None else columns
            needed = list(dict.fromkeys([*chosen, *filter_columns(filter, schema, known=chosen)]))
            data = self._table.read(needed)
        except Exception as error:
            self._on_failure(error)
            raise
        batches = data.to_batches() if isinstance(data, pa.Table) else self._noted(data)
        return ds.Scanner.from_batches(
            batches, schema=data.schema, columns=chosen, filter=filter, batch_size=_BATCH_ROW_COUNT
        )

    def _noted(self, batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:
            self._on_failure(error)
            raise


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
