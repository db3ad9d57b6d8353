"""
Discover: one rowset, the rows that its restrictions leave.

Names of rowsets and of restrictions are taken in any case of letters. A restriction that a rowset does not know is
refused, because a client that asked for less would take all for less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.rowsets.definition import Match, RowsetRequest
from tabvault.engine.rowsets.registry import find_rowset
from tabvault.engine.suggestion import close_names
from tabvault.errors import ModelError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.engine.rowsets.definition import Restriction, Rowset
    from tabvault.engine.rowsets.source import RowsetContext

_VISIBLE = 1
_HIDDEN = 2


def discover(request_type: str, restrictions: Mapping[str, str | Sequence[str]], context: RowsetContext) -> pa.Table:
    """
    The rowset *request_type*.

    Args:
        request_type: its name.
        restrictions: by name; of several values of one restriction a row has one.
        context: who asks, and what of.

    Returns:
        Its rows. Each field carries its type of XML schema as metadata ``xmla``.

    Raises:
        UnknownRowsetError: there is no such rowset.
        RequestError: a restriction is unknown, missing, there twice, or its value is none of its type.
        DatabaseNotFoundError: the database is not there for the caller.
        NotAuthorizedError: the rowset is not for the caller.
        ModelError: the metadata contradict themselves.
        FormatError: a file is damaged.
    """
    rowset = find_rowset(request_type, context)
    request = RowsetRequest(rowset, _named(rowset, restrictions), context)
    chosen = [(restriction, _values(restriction, request)) for restriction in rowset.restrictions]
    rows = rowset.read(request)
    if not isinstance(rows, pa.Table):
        try:
            rows = pa.Table.from_pylist(list(rows), rowset.schema)
        except (pa.ArrowException, OverflowError) as error:
            raise ModelError(f"the rows of {rowset.name} do not fit its columns: {error}") from error
    for restriction, values in chosen:
        mask = _mask(rows, restriction, values)
        if mask is not None:
            rows = rows.filter(mask)
    return rows


def _named(rowset: Rowset, given: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The restrictions by the names that the rowset gives them."""
    by_folded = {restriction.name.casefold(): restriction for restriction in rowset.restrictions}
    named: dict[str, tuple[str, ...]] = {}
    for name, value in given.items():
        restriction = by_folded.get(name.casefold())
        if restriction is None:
            names = [restriction.name for restriction in rowset.restrictions]
            hint = close_names(name, names) or (f"there are {', '.join(names)}" if names else "it has none")
            raise RequestError(f"the {name} restriction of rowset {rowset.name} was not recognized", hint=hint)
        if restriction.name in named:
            raise RequestError(f"the {restriction.name} restriction of rowset {rowset.name} is there twice")
        named[restriction.name] = (value,) if isinstance(value, str) else tuple(value)
    for restriction in rowset.restrictions:
        if restriction.required and not named.get(restriction.name):
            raise RequestError(
                f"the {restriction.name} restriction of rowset {rowset.name} is required, and missing from the request",
                hint=f"in a query: FROM SYSTEMRESTRICTSCHEMA($SYSTEM.{rowset.name}, {restriction.name} = '...')",
            )
    return named


def _values(restriction: Restriction, request: RowsetRequest) -> list[str | int | bool]:
    return [restriction.value(text) for text in request.restrictions.get(restriction.name, ())]


def _mask(rows: pa.Table, restriction: Restriction, values: list[Any]) -> pa.ChunkedArray | pa.Array | None:
    """Which rows a restriction leaves, None for all."""
    if restriction.match is Match.VISIBLE:
        wanted = values[0] if values else _VISIBLE
        visible = rows[restriction.column]
        flags = [flag for flag, bit in ((True, _VISIBLE), (False, _HIDDEN)) if wanted & bit]
        return pc.is_in(visible, pa.array(flags, pa.bool_()))
    if not values or restriction.match is Match.OTHER:
        return None
    if restriction.match is Match.BITS:
        if restriction.column is None:
            return pa.array([bool(values[0] & 1)] * rows.num_rows, pa.bool_())
        column = rows[restriction.column]
        return pc.not_equal(pc.bit_wise_and(column, pa.scalar(values[0], column.type)), pa.scalar(0, column.type))
    if restriction.column not in rows.column_names:
        return pa.array([False] * rows.num_rows, pa.bool_())  # a schema version without the column: NULL in every row
    column = rows[restriction.column]
    if restriction.match is Match.AT_LEAST:
        return pc.greater_equal(column, pa.scalar(values[0], column.type))
    if pa.types.is_string(column.type):
        return pc.is_in(pc.utf8_lower(column), pa.array([value.lower() for value in values]))
    return pc.is_in(column, pa.array(values, column.type))
