"""
Steps that are done here, as SQL of DuckDB over the rows that the source gave.

The order of rows is that of the source (DuckDB keeps it) until ``Table.Sort``; a sort counts only for the
``Table.FirstN`` or ``Table.Skip`` that stands directly behind it, because a table of a model has no order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tabvault.model.power_query import recipe as steps
from tabvault.model.power_query.conditions import (
    All,
    Any,
    AnyOfValues,
    Arithmetic,
    Column,
    Comparison,
    Condition,
    Conditional,
    Constant,
    IsTrue,
    Joined,
    Not,
    Scalar,
    TextTest,
)
from tabvault.model.power_query.values import kind_of
from tabvault.sources.folding_columns import (
    NUMBER_KINDS,
    ColumnKind,
    FoldedColumn,
    called,
    column_of,
    refused,
    text_literal,
)
from tabvault.sources.folding_conditions import ConditionFolder
from tabvault.sources.folding_types import converted, is_unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.power_query.recipe import Step
    from tabvault.model.power_query.values import Value
    from tabvault.sources.folding_relation import Relation

_WHITE_SPACE: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + ("\u2028\u2029\u202f\u205f\u3000")
)
"""What Text.Trim takes off: white space by Unicode."""

_ROW_NUMBER: Final = "tabvault row number"


def project(step: Step, relation: Relation) -> bool:
    """
    Do *step* if it only chooses, names or orders columns, or changes no value; whether it was done.

    Raises:
        ExpressionNotSupportedError: a column it names is not there, or two would have one name.
    """
    if relation.is_distinct:
        relation.close()
    columns = relation.columns
    match step:
        case steps.SelectColumns(columns=names, ignores_missing=ignores):
            kept = _present(names, relation, step, ignores_missing=ignores)
            relation.put({name: columns[name] for name in kept}, step.name)
        case steps.RemoveColumns(columns=names, ignores_missing=ignores):
            gone = set(_present(names, relation, step, ignores_missing=ignores))
            relation.put({name: column for name, column in columns.items() if name not in gone}, step.name)
        case steps.RenameColumns():
            relation.put(_renamed(step, relation), step.name)
        case steps.ReorderColumns(columns=names, ignores_missing=ignores):
            order = iter(_present(names, relation, step, ignores_missing=ignores))
            places = set(names)
            relation.put(
                {(place := next(order) if name in places else name): columns[place] for name in list(columns)},
                step.name,
            )
        case steps.TransformColumnTypes(types=types):
            _present(tuple(name for name, _ in types), relation, step, ignores_missing=False)
            return all(is_unchanged(columns[name].kind, to) for name, to in types)
        case _:
            return False
    return True


def _present(names: tuple[str, ...], relation: Relation, step: Step, *, ignores_missing: bool) -> list[str]:
    missing = [name for name in names if name not in relation.columns]
    if missing and not ignores_missing:
        raise refused(step.name, f"there is no column {missing[0]}")
    return [name for name in names if name in relation.columns]


def _renamed(step: steps.RenameColumns, relation: Relation) -> dict[str, FoldedColumn]:
    _present(tuple(old for old, _ in step.names), relation, step, ignores_missing=step.ignores_missing)
    new_names = dict(step.names)
    names = [new_names.get(name, name) for name in relation.columns]
    if len(set(names)) != len(names):
        raise refused(step.name, "a new name that another column has")
    return dict(zip(names, relation.columns.values(), strict=True))


def apply(step: Step, relation: Relation, *, is_ordered: bool) -> None:
    """
    Do *step* in DuckDB.

    Args:
        step: any but Table.Sort and Table.PromoteHeaders, which are not done alone.
        relation: what it is done to.
        is_ordered: whether the source's rows have an order (a file's have, a database's have not).

    Raises:
        ExpressionNotSupportedError: it cannot be done exactly.
    """
    if project(step, relation):
        return
    match step:
        case steps.TransformColumnTypes(types=types, culture=culture):
            relation.open(name for name, _ in types)
            changed = {
                name: converted(relation.columns[name], to, name=name, culture=culture, step=step.name)
                for name, to in types
            }
            relation.put(relation.columns | changed, step.name)
        case steps.SelectRows(condition=condition):
            relation.open(columns_of_condition(condition))
            relation.where(ConditionFolder(relation.columns, step.name).fold(condition))
        case steps.FirstRows(row_count=count):
            relation.limit(count)
        case steps.Skip(row_count=count):
            if not is_ordered:
                raise refused(step.name, "Table.Skip of rows without an order")
            relation.skip(count)
        case steps.Distinct():
            _distinct(step, relation, is_ordered=is_ordered)
        case steps.ReplaceValue():
            _present(step.columns, relation, step, ignores_missing=False)
            relation.open(step.columns)
            changed = {name: _replaced(step, name, relation) for name in step.columns}
            relation.put(relation.columns | changed, step.name)
        case steps.TransformText(functions=functions):
            names = tuple(name for name, _ in functions)
            _present(names, relation, step, ignores_missing=False)
            relation.open(names)
            changed = {name: _transformed(name, function, relation, step.name) for name, function in functions}
            relation.put(relation.columns | changed, step.name)
        case steps.AddColumn(column=name, scalar=scalar):
            if name in relation.columns:
                raise refused(step.name, f"a column {name} that is there already")
            relation.open(columns_of_scalar(scalar))
            added = _ScalarFolder(ConditionFolder(relation.columns, step.name)).fold(scalar)
            relation.put(relation.columns | {name: added}, step.name)
        case steps.PromoteHeaders():
            raise refused(step.name, "Table.PromoteHeaders anywhere but on the rows of a CSV file or a sheet")
        case _:
            raise refused(step.name, "Table.Sort without Table.FirstN or Table.Skip directly behind it")


def sort(step: steps.Sort, relation: Relation) -> None:
    """
    Sort, for a limit that comes next. Null is the least value, as in M.

    Raises:
        ExpressionNotSupportedError: by texts, whose order among characters beyond U+D800 is not DuckDB's.
    """
    names = tuple(name for name, _ in step.keys)
    _present(names, relation, step, ignores_missing=False)
    relation.close()
    for name, is_descending in step.keys:
        if relation.columns[name].kind not in ("whole", "decimal", "date", "time", "datetime", "null"):
            raise refused(step.name, f"Table.Sort by a column of kind {relation.columns[name].kind}")
        key = relation.columns[name].expression.copy()
        relation.order.append(exp.Ordered(this=key, desc=is_descending, nulls_first=not is_descending))


def _distinct(step: steps.Distinct, relation: Relation, *, is_ordered: bool) -> None:
    if step.columns is None or set(step.columns) == set(relation.columns):
        relation.distinct()
        return
    _present(step.columns, relation, step, ignores_missing=False)
    if not is_ordered:
        raise refused(step.name, "Table.Distinct by some columns, of rows without an order")
    relation.open()
    row_number = exp.Window(this=called("row_number"))
    columns = dict(relation.columns)
    relation.put(columns | {_ROW_NUMBER: FoldedColumn(row_number, "whole")}, step.name)
    relation.close()
    keys = [column_of(name) for name in step.columns]
    order = exp.Order(expressions=[exp.Ordered(this=column_of(_ROW_NUMBER), desc=False, nulls_first=True)])
    first = exp.Window(this=called("row_number"), partition_by=keys, order=order)
    rank = FoldedColumn(first, "whole")
    relation.put(relation.columns | {f"{_ROW_NUMBER} among equals": rank}, step.name)
    relation.close()
    relation.where(exp.EQ(this=column_of(f"{_ROW_NUMBER} among equals"), expression=exp.Literal.number(1)))
    relation.put({name: relation.columns[name] for name in columns}, step.name)


def _replaced(step: steps.ReplaceValue, name: str, relation: Relation) -> FoldedColumn:
    column = relation.columns[name]
    here = column.expression
    if step.is_text:
        if column.kind not in ("text", "null"):
            raise refused(step.name, f"Replacer.ReplaceText on column {name} of kind {column.kind}")
        old, new = text_literal(str(step.old)), text_literal(str(step.new))
        return column if column.kind == "null" else FoldedColumn(called("replace", here.copy(), old, new), "text")
    folder = ConditionFolder(relation.columns, step.name)
    kind, value = _value(step.new, column.kind, folder)
    is_old = folder.compared("=", column, step.old)
    return FoldedColumn(exp.Case().when(is_old, value).else_(here.copy()), kind)


def _value(value: Value, kind: ColumnKind, folder: ConditionFolder) -> tuple[ColumnKind, exp.Expr]:
    """*value* to stand among values of *kind*, and the kind of all."""
    if value is None:
        return kind, exp.null()
    own = kind_of(value)
    numbers: dict[bool, ColumnKind] = {True: "whole", False: "double"}
    if own in ("duration", "null", "binary", "datetimezone"):
        raise refused(folder.step, f"a {own} as a value")
    here: ColumnKind = numbers[isinstance(value, int)] if own == "number" else own  # type: ignore[assignment] # the kinds left are in both
    if kind == "double" and own == "number":
        here = "double"
    if kind not in (here, "null"):
        raise refused(folder.step, f"a {own} among values of kind {kind}")
    literal = folder.literal(here, value)
    if here == "whole":
        if not -(1 << 63) <= value < 1 << 63:  # type: ignore[operator] # it is an int
            raise refused(folder.step, f"the number {value}")
        literal = exp.cast(literal, "BIGINT")
    return here, literal


def _transformed(name: str, function: str, relation: Relation, step: str) -> FoldedColumn:
    column = relation.columns[name]
    here = column.expression
    if column.kind == "null":
        return column
    if column.kind != "text":
        raise refused(step, f"a function of text on column {name} of kind {column.kind}")
    if function == "trim":
        return FoldedColumn(called("trim", here.copy(), text_literal(_WHITE_SPACE)), "text")
    message = text_literal(f"tabvault cannot convert column {name[:100]}: ")
    failed = called("error", called("concat", message, called("left", here.copy(), exp.Literal.number(60))))
    if function == "clean":
        removed = called(
            "regexp_replace", here.copy(), text_literal("[\\x00-\\x1f]"), text_literal(""), text_literal("g")
        )
        is_sure: exp.Expr = exp.not_(called("regexp_matches", here.copy(), text_literal("[\\x7f-\\x{9f}]")))
        return FoldedColumn(exp.Case().when(exp.or_(_is_null(here), is_sure), removed).else_(failed), "text")
    is_sure = called(
        "regexp_full_match",
        here.copy(),
        text_literal("[\\x00-\\x7f\\x{c0}-\\x{d6}\\x{d8}-\\x{de}\\x{e0}-\\x{f6}\\x{f8}-\\x{fe}]*"),
    )
    return FoldedColumn(
        exp.Case().when(exp.or_(_is_null(here), is_sure), called(function, here.copy())).else_(failed), "text"
    )


def _is_null(value: exp.Expr) -> exp.Expr:
    return exp.Is(this=value.copy(), expression=exp.null())


@dataclass(frozen=True)
class _ScalarFolder:
    """Values made of a row."""

    conditions: ConditionFolder

    def fold(self, scalar: Scalar) -> FoldedColumn:
        """*scalar* for DuckDB, and its kind."""
        step = self.conditions.step
        match scalar:
            case Column():
                return self.conditions.column(scalar)
            case Constant(value=value):
                kind, literal = _value(value, "null", self.conditions)
                return FoldedColumn(literal, kind)
            case Arithmetic(operator=operator, left=left, right=right):
                sides = [self.fold(left), self.fold(right)]
                if any(side.kind not in NUMBER_KINDS - {"number_text"} | {"null"} for side in sides):
                    raise refused(step, f"operator {operator} of what is no number")
                first, second = (exp.cast(side.expression.copy(), "DOUBLE") for side in sides)
                node = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}[operator]
                return FoldedColumn(exp.paren(node(this=first, expression=second)), "double")
            case Joined(parts=parts):
                folded = [self.fold(part) for part in parts]
                if any(part.kind not in ("text", "null") for part in folded):
                    raise refused(step, "operator & of what is no text")
                joined: exp.Expr = exp.cast(folded[0].expression.copy(), "TEXT")
                for part in folded[1:]:
                    joined = exp.DPipe(this=joined, expression=exp.cast(part.expression.copy(), "TEXT"), safe=True)
                return FoldedColumn(exp.paren(joined), "text")
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                first_side, second_side = self.fold(then), self.fold(otherwise)
                kinds = {first_side.kind, second_side.kind} - {"null"}
                if len(kinds) > 1:
                    raise refused(step, "if with values of several kinds")
                test = self.conditions.fold(condition)
                failed = called(
                    "error", text_literal(f"tabvault cannot convert null to a condition in step {step[:80]}")
                )
                case = exp.Case().when(test, first_side.expression.copy())
                case = case.when(exp.not_(test.copy()), second_side.expression.copy()).else_(failed)
                return FoldedColumn(case, next(iter(kinds), "null"))


def columns_of_condition(condition: Condition) -> Iterator[str]:
    """The columns that a condition looks at."""
    match condition:
        case All(operands=operands) | Any(operands=operands):
            for one in operands:
                yield from columns_of_condition(one)
        case Not(operand=operand):
            yield from columns_of_condition(operand)
        case Comparison(left=left, right=right):
            yield from (side.name for side in (left, right) if isinstance(side, Column))
        case TextTest(column=column) | AnyOfValues(column=column):
            yield column.name
        case IsTrue(operand=operand_of):
            if isinstance(operand_of, Column):
                yield operand_of.name


def columns_of_scalar(scalar: Scalar) -> Iterator[str]:
    """The columns that a value is made of."""
    match scalar:
        case Column(name=name):
            yield name
        case Arithmetic(left=left, right=right):
            yield from columns_of_scalar(left)
            yield from columns_of_scalar(right)
        case Joined(parts=parts):
            for part in parts:
                yield from columns_of_scalar(part)
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            yield from columns_of_condition(condition)
            yield from columns_of_scalar(then)
            yield from columns_of_scalar(otherwise)
        case _:
            return
