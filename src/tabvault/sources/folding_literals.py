"""
Rows that stand in an M expression, as an Arrow table for DuckDB.

A column takes the one kind that its values have; a column of several kinds is refused, because no column of a model
and no column of Arrow holds them. Numbers that are all whole are int64, else double.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.errors import ExpressionNotSupportedError
from tabvault.model.power_query.values import kind_of

if TYPE_CHECKING:
    from tabvault.model.power_query.recipe import LiteralTable
    from tabvault.model.power_query.values import Kind, Value

_BIGINT: Final = range(-(1 << 63), 1 << 63)

_ARROW: Final[dict[Kind, pa.DataType]] = {
    "text": pa.string(),
    "logical": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "datetime": pa.timestamp("us"),
    "null": pa.null(),
}


def literal_rows(table: LiteralTable) -> pa.Table:
    """
    *table* in Arrow.

    Raises:
        ExpressionNotSupportedError: a column holds values of several kinds, or of one that no column of a model takes.
    """
    columns = list(zip(*table.rows, strict=True)) if table.rows else [()] * len(table.columns)
    arrays = [_array(name, values) for name, values in zip(table.columns, columns, strict=True)]
    return pa.table(arrays, names=list(table.columns))


def _array(name: str, values: tuple[Value, ...]) -> pa.Array:
    kinds = {kind_of(value) for value in values} - {"null"}
    if len(kinds) > 1:
        raise _refused(name, f"holds values of several kinds ({', '.join(sorted(kinds))})")
    kind = next(iter(kinds), "null")
    if kind == "number":
        is_whole = all(value is None or (isinstance(value, int) and value in _BIGINT) for value in values)
        return pa.array(list(values), pa.int64()) if is_whole else pa.array(_doubles(name, values), pa.float64())
    if kind not in _ARROW:
        raise _refused(name, f"holds values of kind {kind}")
    try:
        return pa.array(list(values), _ARROW[kind])
    except UnicodeEncodeError:
        raise _refused(name, "holds a text with half a surrogate pair") from None


def _doubles(name: str, values: tuple[Value, ...]) -> list[float | None]:
    try:
        return [None if value is None else float(value) for value in values if not isinstance(value, str)]  # type: ignore[arg-type] # they are numbers
    except OverflowError:
        raise _refused(name, "holds a number that is too large") from None


def _refused(name: str, what: str) -> ExpressionNotSupportedError:
    return ExpressionNotSupportedError(
        f"cannot refresh here: column {name[:100]} of the typed-in rows {what}",
        hint="the partition keeps its rows; give the column values of one kind",
    )
