"""
The columns of the answer to a question, as a source is asked for them: columns of its tables, and aggregates of those.

Of text there is no ``min`` or ``max``, of doubles neither ``sum`` nor ``avg``: their last digit follows from the order
of rows. ``avg`` is asked as sum and count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tabvault.engine.statement import folded
from tabvault.jobs.direct_query.exact_columns import ExactKind
from tabvault.jobs.direct_query.syntax import NotAlikeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tabvault.jobs.direct_query.question_tables import QuestionTables
    from tabvault.jobs.direct_query.syntax import ExactColumn, Node

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


def result_columns(node: Node, tables: QuestionTables) -> Iterator[ResultColumn]:
    """
    What an item of the select list asks for: a column, or several of them where it is a star.

    Raises:
        NotAlikeError: a source need not do it as it is done here.
    """
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


def group(node: Node, tables: QuestionTables, columns: Sequence[ResultColumn]) -> exp.Expr:
    """A key of GROUP BY: a column of a table, or the number of a plain column of the result."""
    if node["type"] == "COLUMN_REF":
        return tables.column(node["column_names"]).expression
    index = whole_constant(node) - 1
    if not 0 <= index < len(columns) or not columns[index].is_plain:
        raise NotAlikeError("GROUP BY")
    return columns[index].expressions[0].copy()


def whole_constant(node: Node) -> int:
    """A whole number that stands there as such. Raises NotAlikeError: it is none."""
    if node["type"] != "VALUE_CONSTANT" or node["literal"]["kind"] != "INTEGER":
        raise NotAlikeError(node["type"])
    text = node["literal"]["text"]
    if not _NUMBER.fullmatch(text):
        raise NotAlikeError("a number")
    return int(text)


def _plain(column: ExactColumn, name: str) -> ResultColumn:
    return ResultColumn(name, (column.expression,), column.kind, column.kind is not ExactKind.TEXT)


def _aggregate(node: Node, tables: QuestionTables) -> tuple[ExactKind | None, tuple[exp.Expr, ...], bool]:
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
