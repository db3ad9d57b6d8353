"""
Conditions of a query that is done here, which a source can decide before it sends rows.

The query is done whole, so a condition handed over may let through too much, and never too little. It is handed over if

* its table is named once in the whole query, and no WITH clause there makes tables of its own names;
* it is one of those that AND joins in the WHERE of the SELECT whose FROM has the table;
* every row of the table that fails it would fail there: the joins of that FROM are inner ones, crosses and left ones
  that have the table on their left;
* it is of the form of :mod:`tabvault.jobs.direct_query.syntax`, over columns of that table alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.exact_columns import exact_column, exact_kind
from tabvault.jobs.direct_query.live_partition import is_asked
from tabvault.jobs.direct_query.syntax import ExactColumn, NotAlikeError, condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.jobs.direct_query.live_source import LiveSource
    from tabvault.jobs.direct_query.syntax import Node


def filters(tree: Mapping[str, Any], sources: Mapping[str, LiveSource]) -> dict[str, exp.Expr]:
    """
    What may be asked of each table's rows, by the table's folded name, over the columns of its partition's query.

    Args:
        tree: DuckDB's syntax tree of the query.
        sources: of the live tables, by folded name.

    Raises:
        SourceError: what a source has against being asked for its columns.
    """
    nodes = list(_nodes(tree))
    if any(node["cte_map"]["map"] for node in nodes if "cte_map" in node):
        return {}
    counts = Counter(folded(node["table_name"]) for node in nodes if node.get("type") == "BASE_TABLE")
    found: dict[str, exp.Expr] = {}
    for node in nodes:
        if node.get("type") != "SELECT_NODE" or not node["where_clause"] or node["sample"]:
            continue
        for table, alias in _kept_tables(node["from_table"]):
            if counts[table] == 1 and table in sources:
                parts = list(_decided(node["where_clause"], _OneTable(alias, sources[table])))
                if parts:
                    found[table] = exp.and_(*parts)
    return found


class _OneTable:
    """The columns of one table, as its partition's query gives them."""

    def __init__(self, alias: str, source: LiveSource) -> None:
        self._alias = alias
        self._source = source

    def column(self, names: Sequence[str]) -> ExactColumn:
        """See :class:`tabvault.jobs.direct_query.syntax.Scope`."""
        *table, name = names
        if len(table) > 1 or (table and folded(table[0]) != self._alias) or self._source.dialect is None:
            raise NotAlikeError(name)
        found = [one for one in self._source.table.columns if folded(one.name) == folded(name) and is_asked(one)]
        given = self._source.given(found[0]) if len(found) == 1 else None
        kind = exact_kind(found[0].data_type) if given is not None else None
        if given is None or kind is None:
            raise NotAlikeError(name)
        expression = exact_column(given, found[0].data_type, self._source.dialect)
        if expression is None:
            raise NotAlikeError(name)
        return ExactColumn(kind, expression)


def _decided(node: Node, scope: _OneTable) -> Iterator[exp.Expr]:
    """Those of the conditions in *node* joined by AND that *scope* has all columns of."""
    if node["type"] == "CONJUNCTION_AND":
        for child in node["children"]:
            yield from _decided(child, scope)
        return
    try:
        yield condition(node, scope)
    except NotAlikeError:
        return


def _kept_tables(node: Node) -> Iterator[tuple[str, str]]:
    """The tables in FROM whose rows meet WHERE as they are, by folded name and alias."""
    if node["type"] == "BASE_TABLE" and not node["sample"] and not node["column_name_alias"]:
        yield folded(node["table_name"]), folded(node["alias"] or node["table_name"])
    elif node["type"] == "JOIN" and not node["sample"] and not node["using_columns"]:
        if node["ref_type"] not in ("REGULAR", "CROSS") or node["join_type"] not in ("INNER", "LEFT"):
            return
        yield from _kept_tables(node["left"])
        if node["join_type"] == "INNER":
            yield from _kept_tables(node["right"])


def _nodes(root: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree, without recursion: it may be deep."""
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            yield node
            pending.extend(node.values())
