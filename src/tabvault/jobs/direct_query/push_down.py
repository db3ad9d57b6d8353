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

with conditions of :mod:`tabvault.jobs.direct_query.syntax`, and if every column in it is exact. Of text there is no
``min`` or ``max``, of doubles neither ``sum`` nor ``avg``: their last digit follows from the order of rows.

What comes back is given the types that DuckDB gives the query: a sum of whole numbers has 38 digits in both. ``avg`` is
asked as sum and count, and divided as DuckDB does. If the order is one of texts or averages, the rows are ordered here,
and then cut off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.exact_columns import ExactKind, exact_column, exact_kind
from tabvault.jobs.direct_query.live_partition import has_loaded_rows, is_asked
from tabvault.jobs.direct_query.live_source import text_of
from tabvault.jobs.direct_query.syntax import ExactColumn, NotAlikeError, condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.jobs.direct_query.live_source import LiveSource, Relation
    from tabvault.jobs.direct_query.syntax import Node
    from tabvault.model.objects import Column

_EXTREMES: Final = {"min": exp.Min, "max": exp.Max}
_WITH_EXACT_SUMS: Final = frozenset({ExactKind.WHOLE, ExactKind.DECIMAL})
_WITH_EXTREMES: Final = frozenset({ExactKind.WHOLE, ExactKind.DECIMAL, ExactKind.REAL, ExactKind.MOMENT})
_STAR_EXCEPTIONS: Final = (
    "exclude_list", "replace_list", "columns", "expr", "qualified_exclude_list", "rename_list",
)  # fmt: skip
_NUMBER: Final = re.compile(r"\d{1,18}")


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """
    A column of the answer.

    Attributes:
        name: that ORDER BY may call it by, folded; None for one without.
        expressions: what is asked for it: one, or the sum and the count of an average.
        kind: of a plain column, or of the values of which an average is made.
        is_ordered_alike: whether the source orders its values as they are ordered here.
    """

    name: str | None
    expressions: tuple[exp.Expr, ...]
    kind: ExactKind | None
    is_ordered_alike: bool

    @property
    def is_average(self) -> bool:
        """Whether it is divided here."""
        return len(self.expressions) == 2

    @property
    def is_plain(self) -> bool:
        """Whether it is a column of a table."""
        return self.kind is not None and not self.is_average


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
    tables = _Tables(sources)
    joined = tables.joined(tree["from_table"])
    where = condition(tree["where_clause"], tables) if tree["where_clause"] else None
    columns = [one for node in tree["select_list"] for one in _result_columns(node, tables)]
    groups = [_group(node, tables, columns) for node in tree["group_expressions"]]
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


@dataclass(slots=True)
class _Item:
    """A table in FROM, and the columns of it that are needed."""

    alias: str
    name: str
    source: LiveSource
    needed: dict[str, exp.Expr] = field(default_factory=dict)

    def column(self, column: Column) -> ExactColumn:
        kind = exact_kind(column.data_type)
        given = self.source.given(column) if is_asked(column) else None
        if kind is None or given is None or self.source.dialect is None:
            raise NotAlikeError(column.name)
        expression = exact_column(given, column.data_type, self.source.dialect)
        if expression is None:
            raise NotAlikeError(f"{given.native_type} as {column.data_type}")
        if column.name not in self.needed:
            self.needed[column.name] = exp.alias_(expression, f"c{len(self.needed)}")
        name = self.needed[column.name].alias
        return ExactColumn(kind, exp.column(name, table=self.alias))


@dataclass(slots=True)
class _Joined:
    """FROM: the first table, and each other one with how it is joined."""

    first: str
    joins: list[tuple[str, str, exp.Expr | None]] = field(default_factory=list)

    def attached_to(self, select: exp.Select) -> exp.Select:
        select = select.from_(exp.to_table(self.first))
        for alias, kind, on in self.joins:
            select = select.join(exp.to_table(alias), on=on, join_type=kind)
        return select


class _Tables:
    """The tables of a question: which columns they have, and what stands for them in the end."""

    def __init__(self, sources: Mapping[str, LiveSource]) -> None:
        self._sources = sources
        self._items: list[_Item] = []
        self.relations: list[Relation] = []

    @property
    def first(self) -> LiveSource:
        return self._items[0].source

    @property
    def dialect(self) -> Any:
        return self.first.dialect

    def joined(self, node: Node) -> _Joined:
        """FROM. Tables are joined from left to right, a table at a time."""
        if node["type"] == "BASE_TABLE":
            return _Joined(self._add(node).alias)
        if node["type"] != "JOIN" or node["sample"] or node["using_columns"]:
            raise NotAlikeError(node["type"])
        kind = {("INNER", "REGULAR"): "INNER", ("LEFT", "REGULAR"): "LEFT", ("INNER", "CROSS"): "CROSS"}.get(
            (node["join_type"], node["ref_type"])
        )
        if kind is None or node["right"]["type"] != "BASE_TABLE":
            raise NotAlikeError(node["join_type"])
        joined = self.joined(node["left"])
        alias = self._add(node["right"]).alias
        on = condition(node["condition"], self) if node["condition"] else None
        joined.joins.append((alias, kind, on))
        return joined

    def column(self, names: Sequence[str]) -> ExactColumn:
        """See :class:`tabvault.jobs.direct_query.syntax.Scope`."""
        *table, name = names
        if len(table) > 1:
            raise NotAlikeError("a name of three parts")
        items = [item for item in self._items if not table or item.name == folded(table[0])]
        found = [(item, one) for item in items for one in _shown(item) if folded(one.name) == folded(name)]
        if len(found) != 1:
            raise NotAlikeError(f"{len(found)} columns {name}")
        item, column = found[0]
        return item.column(column)

    def every_column(self, table: str) -> Iterator[tuple[str, ExactColumn]]:
        """``*``, or ``table.*``, in the order of the schema, with the names."""
        for item in self._items:
            if not table or item.name == folded(table):
                yield from ((folded(one.name), item.column(one)) for one in _shown(item))

    def finished(self, select: exp.Select) -> exp.Expr:
        """*select* with every table's name replaced by a subquery of the columns that are needed."""
        subqueries = {}
        for item in self._items:
            relation = item.source.relation()
            self.relations.append(relation)
            needed = list(item.needed.values()) or [exp.alias_(exp.Literal.number(1), "c0")]
            subqueries[item.alias] = exp.select(*needed).from_(relation.item("q")).subquery(item.alias)
        for table in list(select.find_all(exp.Table)):
            table.replace(subqueries[table.name])
        return select

    def _add(self, node: Node) -> _Item:
        source = self._sources.get(folded(node["table_name"]))
        if source is None or node["sample"] or node["column_name_alias"]:
            raise NotAlikeError(node["table_name"])
        if has_loaded_rows(source.table) or source.dialect is None:
            raise NotAlikeError("rows here")
        if self._items and source.place != self.first.place:
            raise NotAlikeError("two sources")
        names = [folded(column.name) for column in source.table.columns]
        if len(set(names)) < len(names):
            raise NotAlikeError("columns that differ by case alone")
        item = _Item(f"t{len(self._items)}", folded(node["alias"] or node["table_name"]), source)
        if any(item.name == other.name for other in self._items):
            raise NotAlikeError("two tables of one name")
        self._items.append(item)
        return item


def _shown(item: _Item) -> list[Column]:
    return [column for column in item.source.table.columns if not column.is_row_number]


def _result_columns(node: Node, tables: _Tables) -> Iterator[ResultColumn]:
    alias = folded(node["alias"]) or None
    if node["type"] == "STAR":
        if any(node[part] for part in _STAR_EXCEPTIONS):
            raise NotAlikeError("a star with exceptions")
        yield from (_plain(column, name) for name, column in tables.every_column(node["relation_name"]))
    elif node["type"] == "COLUMN_REF":
        yield _plain(tables.column(node["column_names"]), alias or folded(node["column_names"][-1]))
    else:
        kind, expressions, is_ordered_alike = _aggregate(node, tables)
        yield ResultColumn(alias, expressions, kind, is_ordered_alike)


def _plain(column: ExactColumn, name: str) -> ResultColumn:
    return ResultColumn(name, (column.expression,), column.kind, column.kind is not ExactKind.TEXT)


def _aggregate(node: Node, tables: _Tables) -> tuple[ExactKind | None, tuple[exp.Expr, ...], bool]:
    """The kind of what an average is made of, what is asked for the aggregate, and whether it is ordered alike."""
    if node["type"] != "FUNCTION" or len(node["qualified_name"]["path"]) > 1:
        raise NotAlikeError(node["type"])
    if node["filter"] or node["order_bys"]["orders"] or node["export_state"]:
        raise NotAlikeError("an aggregate with a filter or an order")
    name, is_distinct = node["function_name"].lower(), node["distinct"]
    if name == "count_star":
        return None, (exp.Count(this=exp.Star()),), True
    if len(node["arguments"]) != 1 or node["arguments"][0]["expression"]["type"] != "COLUMN_REF":
        raise NotAlikeError(name)
    column = tables.column(node["arguments"][0]["expression"]["column_names"])
    value = column.expression
    if name == "count":
        counted = exp.Distinct(expressions=[value]) if is_distinct else value
        return None, (exp.Count(this=counted),), True
    if name in _EXTREMES and column.kind in _WITH_EXTREMES:
        return None, (_EXTREMES[name](this=value),), True
    if name == "sum" and column.kind in _WITH_EXACT_SUMS and not is_distinct:
        return None, (exp.Sum(this=value),), True
    if name == "avg" and column.kind in _WITH_EXACT_SUMS and not is_distinct:
        return column.kind, (exp.Sum(this=value), exp.Count(this=value.copy())), False
    raise NotAlikeError(name)


def _group(node: Node, tables: _Tables, columns: Sequence[ResultColumn]) -> exp.Expr:
    """A column of a table, or the number of a plain column of the result."""
    if node["type"] == "COLUMN_REF":
        return tables.column(node["column_names"]).expression
    index = _whole_constant(node) - 1
    if not 0 <= index < len(columns) or not columns[index].is_plain:
        raise NotAlikeError("GROUP BY")
    return columns[index].expressions[0].copy()


def _whole_constant(node: Node) -> int:
    if node["type"] != "VALUE_CONSTANT" or node["literal"]["kind"] != "INTEGER":
        raise NotAlikeError(node["type"])
    text = node["literal"]["text"]
    if not _NUMBER.fullmatch(text):
        raise NotAlikeError("a number")
    return int(text)


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
                self.limit = _whole_constant(node["limit"]) if node["limit"] else None
                self.offset = _whole_constant(node["offset"]) if node["offset"] else 0
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
        index = _whole_constant(node) - 1
    if not 0 <= index < len(columns):
        raise NotAlikeError("ORDER BY")
    return OrderKey(index, order["type"] == "DESCENDING", order["null_order"] == "NULLS FIRST")


def _ordered(key: OrderKey, columns: Sequence[ResultColumn]) -> exp.Ordered:
    expression = columns[key.index].expressions[0].copy()
    return exp.Ordered(this=expression, desc=key.is_descending, nulls_first=key.has_nulls_first)
