"""
A whole query as one question to one source.

That is done if the query is of this form, over live tables of one data source alone::

    SELECT column | * | table.* | count(*) | count([DISTINCT] column) | min(column) | max(column) | sum(column)
           | avg(column), ...
    FROM table [AS name] [[INNER | LEFT | CROSS] JOIN table [AS name] ON condition] ...
    WHERE condition
    GROUP BY column, ...
    ORDER BY column of the result [DESC] [NULLS FIRST | LAST], ...
    LIMIT number OFFSET number

with conditions of :mod:`tabvault.jobs.direct_query.syntax`, and if every column in it is exact, see
:mod:`tabvault.jobs.direct_query.result_columns`.

What comes back is given the types that DuckDB gives the query: a sum of whole numbers has 38 digits in both. Averages
are divided here as DuckDB does. If the order is one of texts or averages, the rows are ordered here, and then cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.live_source import text_of
from tabvault.jobs.direct_query.question_tables import QuestionTables
from tabvault.jobs.direct_query.result_columns import group, result_columns, whole_constant
from tabvault.jobs.direct_query.syntax import NotAlikeError, condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.jobs.direct_query.live_source import LiveSource
    from tabvault.jobs.direct_query.result_columns import ResultColumn
    from tabvault.jobs.direct_query.syntax import Node


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A key of ORDER BY: the number of a result column, and its direction."""

    index: int
    is_descending: bool
    has_nulls_first: bool


@dataclass(frozen=True, slots=True)
class PushedQuery:
    """
    The question, and what is left to do.

    Attributes:
        source: the table whose source is asked.
        text: of the question.
        columns: of the answer.
        order: by which the rows are ordered here; empty if they come in order.
        limit: rows that are wanted, after they are ordered here.
        offset: rows that are left out before.
    """

    source: LiveSource
    text: str
    columns: tuple[ResultColumn, ...]
    order: tuple[OrderKey, ...]
    limit: int | None
    offset: int


def has_form(tree: Mapping[str, Any]) -> bool:
    """Whether it is worth looking closer: a plain SELECT."""
    return (
        tree["type"] == "SELECT_NODE"
        and not tree["cte_map"]["map"]
        and tree["aggregate_handling"] == "STANDARD_HANDLING"
        and not any(tree[clause] for clause in ("having", "sample", "qualify"))
        and len(tree["group_sets"]) <= 1
    )


def pushed_query(tree: Mapping[str, Any], sources: Mapping[str, LiveSource], *, row_count_max: int) -> PushedQuery:
    """
    The query *tree* as one question.

    Args:
        tree: DuckDB's syntax tree, which DuckDB binds to tables of these columns.
        sources: of its tables, by folded name.
        row_count_max: rows that are of use at all.

    Raises:
        NotAlikeError: it has not the form, or a source need not do it as it is done here.
        SourceError: what a source has against being asked for its columns.
    """
    if not has_form(tree):
        raise NotAlikeError("form")
    tables = QuestionTables(sources)
    joined = tables.joined(tree["from_table"])
    where = condition(tree["where_clause"], tables) if tree["where_clause"] else None
    columns = [one for node in tree["select_list"] for one in result_columns(node, tables)]
    groups = [group(node, tables, columns) for node in tree["group_expressions"]]
    modifiers = _Modifiers(tree["modifiers"], columns)
    parts = [part for column in columns for part in column.expressions]
    select = exp.select(*(exp.alias_(part, f"r{number}") for number, part in enumerate(parts)))
    select = joined.attached_to(select)
    if where is not None:
        select = select.where(where)
    if groups:
        select = select.group_by(*groups)
    is_ordered_there = all(columns[key.index].is_ordered_alike for key in modifiers.order)
    limit = row_count_max + 1
    if is_ordered_there:
        if modifiers.order:
            select = select.order_by(*(_ordered(key, columns) for key in modifiers.order))
        if modifiers.offset:
            select = select.offset(modifiers.offset)
        limit = min(limit, modifiers.limit) if modifiers.limit is not None else limit
    select = select.limit(limit)
    return PushedQuery(
        tables.first,
        text_of(tables.finished(select), tables.relations, tables.dialect),
        tuple(columns),
        () if is_ordered_there else tuple(modifiers.order),
        None if is_ordered_there else modifiers.limit,
        0 if is_ordered_there else modifiers.offset,
    )


class _Modifiers:
    """ORDER BY, LIMIT and OFFSET. Without more, NULL comes last, whatever the direction (DuckDB's default)."""

    def __init__(self, nodes: Sequence[Node], columns: Sequence[ResultColumn]) -> None:
        self.order: list[OrderKey] = []
        self.limit: int | None = None
        self.offset = 0
        for node in nodes:
            if node["type"] == "ORDER_MODIFIER":
                self.order = [_key(one, columns) for one in node["orders"]]
            elif node["type"] == "LIMIT_MODIFIER" and node["limit_type"] == "ROW_COUNT":
                self.limit = whole_constant(node["limit"]) if node["limit"] else None
                self.offset = whole_constant(node["offset"]) if node["offset"] else 0
            else:
                raise NotAlikeError(node["type"])


def _key(order: Node, columns: Sequence[ResultColumn]) -> OrderKey:
    """Its column has to be one of the result: by number, or by a name that no other one has."""
    node = order["expression"]
    if node["type"] == "COLUMN_REF" and len(node["column_names"]) == 1:
        name = folded(node["column_names"][0])
        found = [index for index, column in enumerate(columns) if column.name == name]
        index = found[0] if len(found) == 1 else -1
    else:
        index = whole_constant(node) - 1
    if not 0 <= index < len(columns):
        raise NotAlikeError("ORDER BY")
    return OrderKey(index, order["type"] == "DESCENDING", order["null_order"] == "NULLS FIRST")


def _ordered(key: OrderKey, columns: Sequence[ResultColumn]) -> exp.Ordered:
    expression = columns[key.index].expressions[0].copy()
    return exp.Ordered(this=expression, desc=key.is_descending, nulls_first=key.has_nulls_first)
