"""
Recipe to queries: what the source is asked, and what is left to do here.

A database is given the leading steps that it does exactly as M: choosing and naming columns, conditions it decides as
M does, a limit. From the first other step on, everything is done in DuckDB, over the rows that came; so no step is ever
left to a database whose collation, null logic or conversions are its own. A file has one query, for DuckDB.

=============  ==============  =================================================================
source         ``query``       ``local``
=============  ==============  =================================================================
database       its dialect     DuckDB over ``source``, the rows of ``query``; empty if none left
file, literal  empty           DuckDB over ``source``, the rows as read; empty if none left
=============  ==============  =================================================================

Nothing in a query is ever a value or name from outside that is not quoted by sqlglot; only a native query stands in it
as it was written, between parentheses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tabvault.model.power_query import recipe as steps
from tabvault.model.power_query.conditions import Column
from tabvault.model.power_query.recipe import DatabaseTable, NativeQuery, Recipe, Step
from tabvault.sources.folding_columns import (
    Dialect,
    FoldedColumn,
    column_of,
    kind_of_column,
    refused,
)
from tabvault.sources.folding_conditions import ConditionFolder
from tabvault.sources.folding_files import starting_step
from tabvault.sources.folding_relation import Relation, check_names
from tabvault.sources.folding_steps import apply, columns_of_condition, project, sort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.sources.source import SourceColumn

RELATION: Final = "source"
"""What the local query calls the rows that the source gave."""

_NATIVE: Final = "tabvault_native_query"
_WHOLE: Final = "(the data source)"
_WRAPPED_CHAR_COUNT_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class FoldedQuery:
    """
    What a recipe comes to.

    Attributes:
        query: for the database; empty for files and literals.
        local: for DuckDB, over the relation ``source`` of what *query* gives; empty if its rows are the result.
        unchanged: columns of the result that are columns of what *query* gives, or of the file, under their names
            there: DuckDB loses what a field's metadata say of them.
    """

    query: str
    local: str
    unchanged: Mapping[str, str]


def schema_query(recipe: Recipe, dialect: Dialect) -> str:
    """The query whose columns :func:`fold` has to know; empty for files and literals."""
    if isinstance(recipe.source, NativeQuery):
        return recipe.source.query
    if not isinstance(recipe.source, DatabaseTable):
        return ""
    return exp.select("*").from_(_table(recipe.source)).sql(dialect=dialect.value)


def fold(recipe: Recipe, columns: Sequence[SourceColumn], dialect: Dialect) -> FoldedQuery:
    """
    The queries for *recipe*.

    Args:
        recipe: of an M expression.
        columns: what :func:`schema_query` gives; of a file or a literal, what it has.
        dialect: of the database; of no meaning for files and literals.

    Raises:
        ExpressionNotSupportedError: a step that cannot be done exactly on these columns; it names the step.
    """
    check_names((column.name for column in columns), _WHOLE)
    if len({column.name for column in columns}) != len(columns):
        raise refused(_WHOLE, "two columns of the same name")
    known = {column.name: FoldedColumn(column_of(column.name), kind_of_column(column)) for column in columns}
    is_database = isinstance(recipe.source, DatabaseTable | NativeQuery)
    remaining = recipe.steps[starting_step(recipe) :]
    query = ""
    if is_database:
        query, known, remaining = _in_database(recipe, known, dialect)
    start = {name: FoldedColumn(column_of(name), column.kind) for name, column in known.items()}
    local = Relation(exp.to_table(RELATION), dict(start))
    _locally(remaining, local, is_ordered=not is_database)
    unchanged = {} if local.is_changed else {name: name for name in local.columns}
    if local.is_changed:
        unchanged = _unchanged(local, start)
    return FoldedQuery(query, local.select().sql(dialect="duckdb") if local.is_changed else "", unchanged)


def _unchanged(local: Relation, start: Mapping[str, FoldedColumn]) -> dict[str, str]:
    """Result columns that lead through plain names down to one of *start*."""
    names = {name: column.expression.name for name, column in local.columns.items() if column.is_plain}
    here = local.source
    while isinstance(here, exp.Subquery):
        inner = {one.alias_or_name: one.unalias() for one in here.this.expressions}
        names = {
            name: inner[below].name
            for name, below in names.items()
            if below in inner and isinstance(inner[below], exp.Column)
        }
        here = here.this.args["from_"].this if "from_" in here.this.args else here.this.args["from"].this
    return {name: below for name, below in names.items() if below in start}


def _table(source: DatabaseTable) -> exp.Table:
    parts = [exp.to_identifier(name, quoted=True) for name in source.path]
    if len(parts) > 3 or any(not name or "\0" in name for name in source.path):
        raise refused(_WHOLE, f"a table named by {len(parts)} names")
    named = dict(zip(("this", "db", "catalog"), reversed(parts), strict=False))
    return exp.Table(**named)


def _in_database(
    recipe: Recipe, known: dict[str, FoldedColumn], dialect: Dialect
) -> tuple[str, dict[str, FoldedColumn], tuple[Step, ...]]:
    """The database's query, the columns it gives, and the steps that are left."""
    source = recipe.source
    remaining = list(recipe.steps)
    if isinstance(source, NativeQuery):
        relation = Relation(exp.to_table(_NATIVE), known)
        is_open = _can_be_wrapped(source.query, dialect)
    else:
        assert isinstance(source, DatabaseTable), "files and literals have no database"
        relation = Relation(_table(source), known)
        is_open = True
    while is_open and remaining:
        is_done, is_open = _push(remaining[0], relation, dialect)
        if is_done:
            del remaining[0]
    if not isinstance(source, NativeQuery):
        return relation.select().sql(dialect=dialect.value), relation.columns, tuple(remaining)
    query = _wrapped(source.query, relation, dialect) if relation.is_changed else source.query
    return query, relation.columns, tuple(remaining)


def _push(step: Step, relation: Relation, dialect: Dialect) -> tuple[bool, bool]:
    """Give *step* to the database, if it does it as M: whether it is done, and whether the next may be given too."""
    if relation.row_count_max is not None:
        return False, False
    if isinstance(step, steps.SelectRows):
        folder = ConditionFolder(relation.columns, step.name, dialect=dialect)
        for name in columns_of_condition(step.condition):
            folder.column(Column(name))
        pushed = folder.push(step.condition)
        if pushed is not None:
            relation.where(pushed.sql)
        is_exact = pushed is not None and pushed.is_exact
        return is_exact, is_exact
    if isinstance(step, steps.FirstRows) and dialect is not Dialect.GENERIC and not _is_native(relation):
        relation.limit(step.row_count)
        return True, True
    is_done = project(step, relation)
    return is_done, is_done


def _is_native(relation: Relation) -> bool:
    return isinstance(relation.source, exp.Table) and relation.source.name == _NATIVE


def _can_be_wrapped(query: str, dialect: Dialect) -> bool:
    """Whether a native query may stand between parentheses, as far as can be told; if not, all steps are done here."""
    bare = query.strip().rstrip(";")
    if dialect is Dialect.GENERIC or ";" in bare or len(bare) > _WRAPPED_CHAR_COUNT_MAX:
        return False
    try:
        parsed = sqlglot.parse(bare, read=dialect.value)
    except (SqlglotError, RecursionError):
        return False
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        return False
    return dialect is not Dialect.SQL_SERVER or parsed[0].find(exp.With, exp.Order, exp.Hint) is None


def _wrapped(query: str, relation: Relation, dialect: Dialect) -> str:
    """The native query between parentheses, as it was written."""
    select = relation.select()
    outputs = ", ".join(output.sql(dialect=dialect.value) for output in select.expressions)
    where = select.args.get("where")
    condition = f" {where.sql(dialect=dialect.value)}" if where is not None else ""
    return f"SELECT {outputs} FROM (\n{query.strip().rstrip(';')}\n) AS t{condition}"


def _locally(remaining: Sequence[Step], local: Relation, *, is_ordered: bool) -> None:
    """Do the steps that are left, in DuckDB."""
    pending: steps.Sort | None = None
    for step in remaining:
        if pending is not None and isinstance(step, steps.FirstRows | steps.Skip):
            sort(pending, local)
            apply(step, local, is_ordered=True)
            local.close()
        elif isinstance(step, steps.FirstRows | steps.Skip) and _was_sorted(remaining, step):
            raise refused(step.name, "a limit after Table.Sort that does not stand directly behind it")
        elif not isinstance(step, steps.Sort):
            apply(step, local, is_ordered=is_ordered)
        pending = step if isinstance(step, steps.Sort) else None


def _was_sorted(remaining: Sequence[Step], last: Step) -> bool:
    before = remaining[: next(index for index, step in enumerate(remaining) if step is last)]
    return any(isinstance(step, steps.Sort) for step in before)
