"""
A relation under the hands of steps: one SELECT over another, its columns known by name and kind.

Projections and conditions gather in the SELECT at hand. It is closed, and becomes what the next one selects from, where
SQL's order of clauses wants it (after LIMIT, DISTINCT) and before a column that is more than a name is used again, so
that no expression is ever written out twice over.

Names that differ in the case of letters alone are refused: DuckDB, most databases and a model hold them equal, M does
not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from tabvault.sources.folding_columns import FoldedColumn, column_of, refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass
class Relation:
    """
    One SELECT in the making.

    Attributes:
        source: what it selects from.
        columns: of its result, in order.
        conditions: of its WHERE.
        row_count_max: of its LIMIT.
        skipped_row_count: of its OFFSET.
        is_distinct: SELECT DISTINCT.
        order: of its ORDER BY.
    """

    source: exp.Expr
    columns: dict[str, FoldedColumn]
    conditions: list[exp.Expr] = field(default_factory=list)
    row_count_max: int | None = None
    skipped_row_count: int = 0
    is_distinct: bool = False
    order: list[exp.Expr] = field(default_factory=list)
    is_changed: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be added but what goes by columns alone."""
        return self.row_count_max is not None or self.skipped_row_count > 0 or self.is_distinct

    def put(self, columns: Mapping[str, FoldedColumn], step: str) -> None:
        """
        Let the result have *columns*.

        Raises:
            ExpressionNotSupportedError: none, or two that SQL cannot tell apart.
        """
        check_names(columns, step)
        self.columns = dict(columns)
        self.is_changed = True

    def select(self) -> exp.Select:
        """The SELECT."""
        outputs = [
            exp.alias_(column.expression.copy(), exp.to_identifier(name, quoted=True))
            if not column.is_plain or column.expression.name != name
            else column.expression.copy()
            for name, column in self.columns.items()
        ]
        select = exp.select(*outputs).from_(self.source.copy())
        if self.conditions:
            select = select.where(*(one.copy() for one in self.conditions))
        if self.is_distinct:
            select = select.distinct()
        if self.order:
            select = select.order_by(*(one.copy() for one in self.order))
        if self.row_count_max is not None:
            select = select.limit(self.row_count_max)
        return select.offset(self.skipped_row_count) if self.skipped_row_count else select

    def close(self) -> None:
        """Make the SELECT what the next one selects from."""
        self.source = self.select().subquery("t")
        self.columns = {name: FoldedColumn(column_of(name), column.kind) for name, column in self.columns.items()}
        self.conditions = []
        self.row_count_max, self.skipped_row_count, self.is_distinct, self.order = None, 0, False, []
        self.is_changed = True

    def open(self, used: Iterable[str] | None = None) -> None:
        """Close if conditions cannot be added, or if one of the columns *used* (None: any) is more than a name."""
        names = self.columns if used is None else [name for name in used if name in self.columns]
        if self.is_closed or not all(self.columns[name].is_plain for name in names):
            self.close()

    def where(self, condition: exp.Expr) -> None:
        """Keep the rows for which *condition* is true."""
        self.conditions.append(condition)
        self.is_changed = True

    def limit(self, row_count: int) -> None:
        """Keep the first rows."""
        if self.is_closed:
            self.close()
        self.row_count_max = row_count
        self.is_changed = True

    def skip(self, row_count: int) -> None:
        """Drop the first rows."""
        if self.is_closed:
            self.close()
        self.skipped_row_count = row_count
        self.is_changed = True

    def distinct(self) -> None:
        """Keep one of equal rows."""
        if self.is_closed:
            self.close()
        self.is_distinct = True
        self.is_changed = True


def check_names(names: Iterable[str], step: str) -> None:
    """
    Refuse names that SQL or a model cannot hold.

    Raises:
        ExpressionNotSupportedError: no name, an empty one, one with U+0000, or two equal but for the case of letters.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not name or "\0" in name:
            raise refused(step, f"the name {name[:80]!r} for a column")
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            raise refused(step, f"columns {other} and {name}, whose names differ in the case of letters alone")
    if not seen:
        raise refused(step, "a table without columns")
