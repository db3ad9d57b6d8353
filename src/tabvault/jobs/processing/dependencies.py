"""
Which calculated columns and tables depend on a table.

An expression depends on every table, measure and column whose name stands in it, and on what those depend on. Names
are all that is looked at: where a bare ``[name]`` may be a measure or a column, it counts as both. So an expression may
be held to depend on more than it does, and never on less, functions that take a table's name from a text aside, which
DAX has none of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.engine.dax.tokens import tokens
from tabvault.errors import QueryError
from tabvault.model.objects import ColumnType, ObjectState, PartitionType

if TYPE_CHECKING:
    from collections.abc import Collection

    from tabvault.model.objects import Column, Model, Partition, Table


@dataclass(frozen=True, slots=True)
class Calculation:
    """
    A calculated column, or a calculated table (*column* is None) with the partition that holds its expression.

    *is_stale*: the metadata say that its values are not up to date.
    """

    table: Table
    column: Column | None
    partition: Partition | None
    expression: str
    is_stale: bool

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from the others: ids of its table, and of its column."""
        return self.table.id, self.column.id if self.column is not None else 0

    @property
    def name(self) -> str:
        """As DAX calls it: ``'Sales'[Margin]``, or ``'Calendar'`` for a table."""
        table = f"'{self.table.name}'"
        return table if self.column is None else f"{table}[{self.column.name}]"


@dataclass(frozen=True, slots=True)
class _Names:
    """What an expression names, in lower case. *all* where it cannot be read: it may then name anything."""

    tables: frozenset[str]
    members: frozenset[str]
    all: bool = False


def calculations(model: Model) -> list[Calculation]:
    """Every calculated column and table, in the order of the model."""
    found = []
    for table in model.tables:
        for partition in table.partitions:
            if partition.type == PartitionType.CALCULATED:
                expression = partition.query_definition or ""
                found.append(
                    Calculation(table, None, partition, expression, is_stale=partition.state != ObjectState.READY)
                )
        found += [
            Calculation(table, column, None, column.expression or "", is_stale=column.state != ObjectState.READY)
            for column in table.columns
            if column.type == ColumnType.CALCULATED
        ]
    return found


def dependent_calculations(model: Model, table_ids: Collection[int]) -> list[Calculation]:
    """
    The calculations whose values follow from the rows of the tables, directly or through others.

    Args:
        model: the model.
        table_ids: ids of the tables whose rows change.
    """
    changed_tables = {table.name.casefold() for table in model.tables if table.id in table_ids}
    changed_ids = set(table_ids)
    changed_members: set[str] = set()
    waiting = [(one, _names(one.expression)) for one in calculations(model)]
    measures = [(measure.name.casefold(), _names(measure.expression)) for t in model.tables for measure in t.measures]
    found: list[Calculation] = []
    is_growing = True
    while is_growing:
        is_growing = False
        for name, names in measures:
            if name not in changed_members and _is_about(names, changed_tables, changed_members):
                changed_members.add(name)
                is_growing = True
        still_waiting = []
        for one, names in waiting:
            in_changed_table = one.column is not None and one.table.id in changed_ids
            if not in_changed_table and not _is_about(names, changed_tables, changed_members):
                still_waiting.append((one, names))
                continue
            is_growing = True
            found.append(one)
            if one.column is None:
                changed_tables.add(one.table.name.casefold())
                changed_ids.add(one.table.id)
            else:
                changed_members.add(one.column.name.casefold())
        waiting = still_waiting
    places = {one.key: place for place, one in enumerate(calculations(model))}
    return sorted(found, key=lambda one: places[one.key])


def _is_about(names: _Names, tables: set[str], members: set[str]) -> bool:
    return names.all or not names.tables.isdisjoint(tables) or not names.members.isdisjoint(members)


def _names(expression: str) -> _Names:
    try:
        words = list(tokens(expression))
    except QueryError:
        return _Names(frozenset(), frozenset(), all=True)
    return _Names(
        frozenset(word.value.casefold() for word in words if word.kind in ("name", "quoted")),
        frozenset(word.value.casefold() for word in words if word.kind == "bracketed"),
    )
