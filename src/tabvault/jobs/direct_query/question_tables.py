"""The tables of a question to one source: how they are joined, which of their columns are needed, and as what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.exact_columns import exact_column, exact_kind
from tabvault.jobs.direct_query.live_partition import has_loaded_rows, is_asked
from tabvault.jobs.direct_query.syntax import ExactColumn, NotAlikeError, condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.jobs.direct_query.live_source import LiveSource, Relation
    from tabvault.jobs.direct_query.syntax import Node
    from tabvault.model.objects import Column


@dataclass(slots=True)
class Joined:
    """FROM: the first table, and each other one with how it is joined."""

    first: str
    joins: list[tuple[str, str, exp.Expr | None]] = field(default_factory=list)

    def attached_to(self, select: exp.Select) -> exp.Select:
        """*select*, from these tables."""
        select = select.from_(exp.to_table(self.first))
        for alias, kind, on in self.joins:
            select = select.join(exp.to_table(alias), on=on, join_type=kind)
        return select


class QuestionTables:
    """
    The tables of a question: which columns they have, and what stands for them in the end.

    Args:
        sources: of all tables that there are, by folded name.

    Attributes:
        relations: the tables of the source that were asked for by :meth:`finished`.
    """

    def __init__(self, sources: Mapping[str, LiveSource]) -> None:
        self._sources = sources
        self._items: list[_Item] = []
        self.relations: list[Relation] = []

    @property
    def first(self) -> LiveSource:
        """That of the first table; of the same place as all."""
        return self._items[0].source

    @property
    def dialect(self) -> Any:
        """In which the source is asked."""
        return self.first.dialect

    def joined(self, node: Node) -> Joined:
        """FROM. Tables are joined from left to right, a table at a time."""
        if node["type"] == "BASE_TABLE":
            return Joined(self._add(node).alias)
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


def _shown(item: _Item) -> list[Column]:
    return [column for column in item.source.table.columns if not column.is_row_number]
