"""
SELECT over a schema rowset::

    SELECT [DISTINCT] [TOP n] * | column [AS name], ... FROM $SYSTEM.rowset
    [WHERE condition] [ORDER BY column [DESC], ...]
    ... FROM SYSTEMRESTRICTSCHEMA($SYSTEM.rowset, restriction = 'value', ...) ...

A condition compares columns and literals with ``= <> < <= > >= IN BETWEEN LIKE IS NULL`` and joins with ``AND OR
NOT``; LEFT and RIGHT are the functions there are. Names are written bare, ``[in brackets]`` or ``"quoted"``, in any
case of letters. That is what Analysis Services allows (LIKE, IN and BETWEEN it does not); joins, subqueries, groups
and calculations are refused by name. Text is compared exactly.

Source: the Analysis Services documentation of dynamic management views; LEFT and RIGHT are in queries that tools send.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from tabvault.engine.rowsets.discover import discover
from tabvault.engine.rowsets.registry import find_rowset
from tabvault.engine.rowsets.source import RowsetContext, RowsetSource
from tabvault.engine.sql import query_sql
from tabvault.engine.statement import TEXT_BYTE_COUNT_MAX, place
from tabvault.engine.suggestion import close_names
from tabvault.errors import QueryError, QueryNotSupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence


SCHEMA: Final = "$system"
"""The schema that rowsets are in, in lower case."""

_ALLOWED: Final = (
    exp.Select,
    exp.Distinct,
    exp.Limit,
    exp.Star,
    exp.Alias,
    exp.Column,
    exp.Identifier,
    exp.From,
    exp.Table,
    exp.Where,
    exp.And,
    exp.Or,
    exp.Not,
    exp.Paren,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.In,
    exp.Between,
    exp.Like,
    exp.Is,
    exp.Null,
    exp.Literal,
    exp.Boolean,
    exp.Neg,
    exp.Left,
    exp.Right,
    exp.Order,
    exp.Ordered,
)
RESTRICT: Final = "SYSTEMRESTRICTSCHEMA"
"""The table function that gives a rowset restrictions, which some must have."""

_DIALECT: Final = "tsql"
"""The dialect whose quoting, TOP and literals are those of a rowset query."""


def is_rowset_query(text: str) -> bool:
    """Whether *text* asks a rowset: it names something in ``$SYSTEM``, outside of literals and comments."""
    if len(text) > TEXT_BYTE_COUNT_MAX:
        return False
    try:
        tokens = sqlglot.tokenize(text, read=_DIALECT)
    except SqlglotError:
        return False
    names = {sqlglot.TokenType.VAR, sqlglot.TokenType.IDENTIFIER}
    return any(
        token.token_type in names and token.text.lower() == SCHEMA and after.token_type == sqlglot.TokenType.DOT
        for token, after in pairwise(tokens)
    )


def query_rowset(text: str, context: RowsetContext | RowsetSource) -> pa.Table:
    """
    Answer *text* from the rowsets that *context* gives; of a database alone, as its owner sees it without a server.

    A column that is taken as it is keeps its type of XML schema, see :func:`~.discover.discover`.

    Raises:
        UnknownRowsetError: there is no such rowset.
        RequestError: a restriction is unknown, or one is missing without which the rowset has no rows.
        NotAuthorizedError: the rowset is not for the caller.
        QueryNotSupportedError: *text* has more than a rowset query may have.
        QueryError: it does not parse, names a column that is not there, or compares what cannot be compared.
        ModelError: the metadata contradict themselves.
        FormatError: a file is damaged.
    """
    query = _parse(text)
    restrictions = _take_restrictions(query)
    for node in query.walk():
        _check_node(node)
    table = query.find(exp.Table)
    if table is None or table.db.lower() != SCHEMA:
        raise QueryNotSupportedError("query does not name one rowset", hint="write FROM $SYSTEM.rowset")
    if isinstance(context, RowsetSource):
        context = RowsetContext.of_database(context)
    rowset = find_rowset(table.name, context)
    data = discover(rowset.name, restrictions, context)
    _check_columns(query, data.schema.names, text)
    table.replace(exp.table_(rowset.name, quoted=True))
    try:
        with query_sql(query.sql("duckdb", identify=True), {rowset.name: _Rows(data)}) as result:
            return _with_types(result.read_all(), query, data.schema)
    except QueryError as error:
        # Its place is one in the text made here, which nobody has seen.
        raise QueryError(error.message, hint=error.hint) from error


class _Rows:
    """A table in memory, as the engine takes it."""

    def __init__(self, data: pa.Table) -> None:
        self._data = data
        self.schema = data.schema

    def read(self, columns: Sequence[str]) -> pa.Table:
        """The columns of these names."""
        return self._data.select(columns)


def _with_types(answer: pa.Table, query: exp.Select, columns: pa.Schema) -> pa.Table:
    """The answer with the metadata of the fields that it takes as they are; DuckDB does not pass them on."""
    by_lower = {field.name.lower(): field for field in columns}
    taken: list[str] = []
    for item in query.expressions:
        if isinstance(item, exp.Star):
            taken += columns.names
        else:
            column = item.unalias()
            taken.append(column.name if isinstance(column, exp.Column) else "")
    fields = []
    for field, name in zip(answer.schema, taken, strict=True):
        origin = by_lower.get(name.lower())
        fields.append(field.with_metadata(origin.metadata) if origin and origin.type == field.type else field)
    return answer.replace_schema_metadata().cast(pa.schema(fields))


def _parse(text: str) -> exp.Select:
    if len(text) > TEXT_BYTE_COUNT_MAX:
        raise QueryError(f"query has {len(text)} characters, over the limit of {TEXT_BYTE_COUNT_MAX}")
    try:
        statements = [statement for statement in sqlglot.parse(text, read=_DIALECT) if statement is not None]
    except ParseError as error:
        raise _parse_error(error) from error
    except SqlglotError as error:
        raise QueryError("query does not parse: a quote, bracket or comment has no end") from error
    except RecursionError:
        raise QueryError("query is nested too deeply") from None
    if len(statements) != 1:
        raise QueryNotSupportedError(f"text has {len(statements)} statements, not one")
    if not isinstance(statements[0], exp.Select):
        raise _refused(statements[0])
    return statements[0]


def _take_restrictions(query: exp.Select) -> dict[str, str]:
    """Put the rowset in the place of SYSTEMRESTRICTSCHEMA, and return the restrictions in it; none without it."""
    source = query.find(exp.Table)
    call = source.this if source else None
    if not isinstance(call, exp.Anonymous) or call.name.upper() != RESTRICT:
        return {}
    if len(list(query.find_all(exp.Anonymous))) > 1 or not call.expressions:
        raise _refused(call)
    rowset, *comparisons = call.expressions
    if not isinstance(rowset, exp.Column) or rowset.args.get("db"):
        raise _refused(rowset)
    restrictions: dict[str, str] = {}
    for comparison in comparisons:
        name, value = comparison.args.get("this"), comparison.args.get("expression")
        if not (
            isinstance(comparison, exp.EQ)
            and isinstance(name, exp.Column)
            and isinstance(value, exp.Literal | exp.Boolean)
        ):
            raise _refused(comparison)
        if name.name in restrictions:
            raise QueryError(f"restriction {name.name!r} is there twice")
        restrictions[name.name] = value.name if isinstance(value, exp.Literal) else str(value.this)
    assert source is not None, "the call stands in it"
    source.set("this", rowset.this)
    source.set("db", rowset.args.get("table"))
    return restrictions


def _parse_error(error: ParseError) -> QueryError:
    if not error.errors:
        return QueryError("query does not parse")
    first = error.errors[0]
    token = first["highlight"] or ""
    return QueryError(f"syntax error at or near {token!r}", line=first["line"], column=first["col"] - len(token) + 1)


def _check_node(node: exp.Expr) -> None:
    if isinstance(node, exp.Cast) and isinstance(node.parent, exp.Left | exp.Right):
        return  # sqlglot's own, around the argument of LEFT and RIGHT
    if isinstance(node, exp.DataType) and isinstance(node.parent, exp.Cast):
        return
    if not isinstance(node, _ALLOWED):
        raise _refused(node)
    if isinstance(node, exp.Column) and node.table:
        raise QueryNotSupportedError(f"qualified column {node.table}.{node.name} is not answered of a rowset")
    if isinstance(node, exp.Table) and node.catalog:
        raise QueryNotSupportedError(f"database name {node.catalog} is not answered before $SYSTEM")


def _refused(node: exp.Expr) -> QueryNotSupportedError:
    what = node.name if isinstance(node, exp.Anonymous) else re.sub("(?<=[a-z])(?=[A-Z])", " ", type(node).__name__)
    return QueryNotSupportedError(
        f"{what.upper()} is not answered of a rowset",
        hint="a rowset takes SELECT, DISTINCT, TOP, WHERE with comparisons, and ORDER BY",
    )


def _check_columns(query: exp.Select, names: Sequence[str], text: str) -> None:
    """Raise for a column that the rowset does not have; ORDER BY may also name what SELECT has named."""
    known = {name.lower() for name in names}
    aliases = {alias.alias.lower() for alias in query.find_all(exp.Alias)}
    for column in query.find_all(exp.Column):
        name = column.name
        if name.lower() in known or (name.lower() in aliases and column.find_ancestor(exp.Order)):
            continue
        start = column.this.meta.get("start")
        line, place_in_line = place(text, None if start is None else len(text[:start].encode(errors="replace")))
        raise QueryError(
            f"rowset has no column {name!r}", line=line, column=place_in_line, hint=close_names(name, names)
        )
