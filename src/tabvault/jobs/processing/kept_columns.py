"""
Calculated columns of a table whose rows are read anew, which keep the values they have.

An expression cannot be computed here. But rows that come again with the same values in every loaded column get the
value that the old rows had (texts that the collation holds equal are the same): no guess, as long as the expression
looks at its row and what it looks at elsewhere did not change; whoever asks for it takes that upon himself. A row that
was not there before, or rows that were alike and had different values, are refused. Columns that never had values stay
without: there is nothing to keep.

In memory are the distinct rows of the table.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine import scan
from tabvault.errors import CalculationNotSupportedError
from tabvault.model.objects import ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Column, Table

_HINT: Final = "refresh the table where its expressions can be computed, or take the calculated columns out of it"


def kept_columns(table: Table) -> list[Column]:
    """The calculated columns that have values to keep. Others stay without until something computes them."""
    if not table.row_count:
        return []
    return [column for column in table.columns if column.type == ColumnType.CALCULATED and column.storage is not None]


class KeptColumns:
    """
    The values of calculated columns of *table*, by its rows. Threads may share it.

    Args:
        table: with values.
        calculated: its calculated columns that are kept.
        files: of the database.
        equality_keys: of texts: the same if and only if the model's collation holds them equal.

    Raises:
        CalculationNotSupportedError: rows that are alike have different values.
        FormatError, ModelError: the table cannot be read.
    """

    def __init__(
        self,
        table: Table,
        calculated: list[Column],
        files: FileSet,
        equality_keys: Callable[[pa.Array], pa.Array],
    ) -> None:
        self._table = table
        self._loaded = [column for column in table.columns if column.type == ColumnType.DATA]
        self._calculated = calculated
        self._equality_keys = equality_keys
        self._lock = threading.Lock()
        self._session = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
        rows = _plain(scan.read_table(files, table, [column.name for column in [*self._loaded, *calculated]]))
        values = rows.columns[len(self._loaded) :]
        self._types = [column.type for column in values]
        keys = [self._key(column.combine_chunks()) for column in rows.columns[: len(self._loaded)]]
        self._session.register("stored", pa.table([*keys, *values], self._key_names() + self._value_names()))
        self._session.execute("CREATE TEMP TABLE kept AS SELECT DISTINCT *, true AS is_kept FROM stored")
        self._session.unregister("stored")
        [(alike,)] = self._session.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM kept GROUP BY {', '.join(self._key_names())} HAVING count(*) > 1)"
        ).fetchall()
        if alike:
            raise CalculationNotSupportedError(
                f"{self._named()} cannot be kept: {alike} times rows that are alike in every loaded column have "
                "different values there",
                hint=_HINT,
            )

    def close(self) -> None:
        """Give the memory back."""
        self._session.close()

    def added_to(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """
        The rows with their calculated columns.

        Args:
            batch: every loaded column, by name.

        Raises:
            CalculationNotSupportedError: a row that was not there before.
        """
        loaded = [batch.column(column.name) for column in self._loaded]
        keys = [self._key(column) for column in loaded]
        places = pa.array(np.arange(batch.num_rows))
        new = pa.RecordBatch.from_arrays([*keys, places], [*self._key_names(), "place"])
        same = " AND ".join(f"new.{name} IS NOT DISTINCT FROM kept.{name}" for name in self._key_names()) or "true"
        values = ", ".join(f"kept.{name}" for name in self._value_names())
        with self._lock:
            self._session.register("new", new)
            query = f"SELECT {values}, kept.is_kept FROM new LEFT JOIN kept ON {same} ORDER BY new.place"
            found = self._session.sql(query).to_arrow_table()
            self._session.unregister("new")
        unknown = pc.sum(pc.is_null(found.column("is_kept"))).as_py() or 0
        if unknown:
            raise CalculationNotSupportedError(
                f"{self._named()} cannot be kept: {unknown} of {batch.num_rows} rows were not there before, and their "
                "values would have to be computed",
                hint=_HINT,
            )
        kept = [found.column(place).combine_chunks().cast(type_) for place, type_ in enumerate(self._types)]
        names = [column.name for column in [*self._loaded, *self._calculated]]
        return pa.RecordBatch.from_arrays([*loaded, *kept], names)

    def _key(self, values: pa.Array) -> pa.Array:
        return self._equality_keys(values) if pa.types.is_string(values.type) else values

    def _key_names(self) -> list[str]:
        return [f"k{place}" for place in range(len(self._loaded))]

    def _value_names(self) -> list[str]:
        return [f"c{place}" for place in range(len(self._calculated))]

    def _named(self) -> str:
        names = ", ".join(f"[{column.name}]" for column in self._calculated)
        return f"calculated columns {names} of table {self._table.name!r}"


def _plain(rows: pa.Table) -> pa.Table:
    """Without dictionaries, whose types depend on how a column is stored."""
    arrays = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    return pa.table(arrays, names=rows.column_names)
