"""
Conditions as SQL.

One form serves every dialect: ``=`` becomes ``x IS NOT NULL AND x = 1`` and ``<>`` ``x IS NULL OR x <> 1``, which are
true or false for null as in M, wherever they stand, also under NOT; all else is three-valued on both sides.

A database is given what it decides as M does: null tests, and comparisons of numbers, dates and datetimes. Equality of
texts it is given too, but as a first sieve: its collation may hold more texts equal than M, never fewer, so what passes
is tested again here, in DuckDB, which compares texts byte by byte.

Texts in order (``<``): M compares UTF-16 code units, DuckDB UTF-8 bytes. They agree unless both texts have, where they
first differ, a character at or above U+D800; so a constant without such characters is compared, any other refused.
NaN is equal to nothing and in no order in M; DuckDB holds it greatest, and is told.
"""

from __future__ import annotations

import datetime
import decimal
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tabvault.model.power_query.conditions import (
    All,
    Any,
    AnyOfValues,
    Column,
    Comparison,
    Condition,
    Constant,
    IsTrue,
    Not,
    TextTest,
)
from tabvault.model.power_query.values import kind_of
from tabvault.sources.folding_columns import (
    NUMBER_KINDS,
    ColumnKind,
    Dialect,
    FoldedColumn,
    called,
    refused,
    text_literal,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.power_query.conditions import Operator
    from tabvault.model.power_query.values import Value

_COMPARE: Final[dict[str, type[exp.Binary]]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}
_SURROGATES: Final = 0xD800
_BIGINT: Final = range(-(1 << 63), 1 << 63)
_DECIMAL_DIGIT_COUNT_MAX: Final = 38
_NUMERIC_KINDS: Final = frozenset({"whole", "decimal", "number_text"})


@dataclass(frozen=True)
class Pushed:
    """
    What a database is given of a condition.

    Attributes:
        sql: true for every row for which the condition is, in the common form of sqlglot.
        is_exact: and for no other row.
    """

    sql: exp.Expr
    is_exact: bool


@dataclass(frozen=True)
class ConditionFolder:
    """
    Conditions of one step over one relation.

    Attributes:
        columns: of the relation, by name.
        step: its name, for messages.
        dialect: of the database, for :meth:`push`.
    """

    columns: Mapping[str, FoldedColumn]
    step: str
    dialect: Dialect = Dialect.DUCKDB

    def column(self, column: Column) -> FoldedColumn:
        """
        The column of that name.

        Raises:
            ExpressionNotSupportedError: there is none.
        """
        found = self.columns.get(column.name)
        if found is None:
            raise refused(self.step, f"there is no column {column.name}")
        return found

    def fold(self, condition: Condition) -> exp.Expr:
        """
        *condition* for DuckDB, exactly.

        Raises:
            ExpressionNotSupportedError: it cannot be said exactly.
        """
        match condition:
            case All(operands=operands):
                return exp.and_(*(self.fold(one) for one in operands))
            case Any(operands=operands):
                return exp.or_(*(self.fold(one) for one in operands))
            case Not(operand=operand):
                return exp.not_(self.fold(operand))
            case Comparison(operator=operator, left=Column() as left, right=Constant(value=value)):
                return self.compared(operator, self.column(left), value)
            case Comparison(operator=operator, left=Column() as left, right=Column() as right):
                return self._two_columns(operator, self.column(left), self.column(right))
            case TextTest(test=test, column=column, text=text):
                name = {"starts": "starts_with", "ends": "ends_with", "contains": "contains"}[test]
                return called(name, self._text(column).expression.copy(), text_literal(text))
            case AnyOfValues(column=column, values=values):
                return self._any_of(self.column(column), values)
            case IsTrue(operand=Constant(value=value)):
                return _truth(None if value is None else bool(value))
            case IsTrue(operand=Column() as column):
                logical = self.column(column)
                if logical.kind not in ("logical", "null"):
                    raise refused(self.step, f"column {column.name} of kind {logical.kind} as a condition")
                return exp.cast(logical.expression.copy(), "BOOLEAN")
            case _:
                raise refused(self.step, "a comparison of constants")

    def push(self, condition: Condition) -> Pushed | None:
        """What of *condition* a database decides as M does; None for nothing."""
        match condition:
            case All(operands=operands):
                parts = [part for part in map(self.push, operands) if part is not None]
                if not parts:
                    return None
                is_exact = len(parts) == len(operands) and all(part.is_exact for part in parts)
                return Pushed(exp.and_(*(part.sql for part in parts)), is_exact)
            case Any(operands=operands):
                parts = [part for part in map(self.push, operands) if part is not None]
                if len(parts) < len(operands):
                    return None
                return Pushed(exp.or_(*(part.sql for part in parts)), all(part.is_exact for part in parts))
            case Not(operand=operand):
                inner = self.push(operand)
                return Pushed(exp.not_(inner.sql), is_exact=True) if inner is not None and inner.is_exact else None
            case Comparison(operator=operator, left=Column() as left, right=Constant(value=value)):
                column = self.column(left)
                if value is None and operator in ("=", "<>"):
                    return Pushed(self.compared(operator, column, value), is_exact=True)
                if self._is_decided(column.kind) and _is_of(column.kind, value):
                    return Pushed(self.compared(operator, column, value, is_pushed=True), is_exact=True)
                is_sieve = operator == "=" and column.kind == "text" and self._is_sieved(value)
                return Pushed(self.compared(operator, column, value), is_exact=False) if is_sieve else None
            case AnyOfValues(column=named, values=values):
                column = self.column(named)
                if column.kind == "text" and all(value is None or self._is_sieved(value) for value in values):
                    return Pushed(self._any_of(column, values), is_exact=False)
                return Pushed(self._any_of(column, values), is_exact=True) if self._is_decided(column.kind) else None
            case _:
                return None

    def _is_decided(self, kind: ColumnKind) -> bool:
        """Whether the database compares values of *kind* as M does; SQLite has no dates, only texts that look so."""
        return kind in _NUMERIC_KINDS or (kind in ("date", "datetime") and self.dialect is not Dialect.SQLITE)

    def _is_sieved(self, value: Value) -> bool:
        r"""Whether the database takes the literal as it is: not through a code page, no ``\`` as an escape."""
        is_plain = isinstance(value, str) and value.isascii() and "\\" not in value
        return is_plain and self.dialect is not Dialect.GENERIC

    def _text(self, column: Column) -> FoldedColumn:
        found = self.column(column)
        if found.kind == "null":
            return FoldedColumn(exp.cast(found.expression.copy(), "TEXT"), "text")
        if found.kind != "text":
            raise refused(self.step, f"a test of text on column {column.name} of kind {found.kind}")
        return found

    def compared(self, operator: Operator, column: FoldedColumn, value: Value, *, is_pushed: bool = False) -> exp.Expr:
        """*column* compared with a constant, exactly as in M; *is_pushed*: in a database, which knows all its types."""
        here = column.expression
        if value is None:
            is_null = exp.Is(this=here.copy(), expression=exp.null())
            return {"=": is_null, "<>": exp.not_(is_null)}.get(operator, _truth(None))
        if column.kind == "null":
            return {"=": _truth(False), "<>": _truth(True)}.get(operator, _truth(None))
        if not _is_of(column.kind, value):
            if operator not in ("=", "<>") or column.kind == "other":
                raise refused(self.step, f"a column of kind {column.kind} compared with a {kind_of(value)}")
            return _truth(operator == "<>")
        if column.kind == "number_text" and not is_pushed:
            raise refused(self.step, "a comparison of numbers that the driver brings as text")
        if operator not in ("=", "<>"):
            self._check_order(column.kind, value)
        if column.kind == "whole" and isinstance(value, float):
            return self._whole_with_fraction(operator, column, value)
        if column.kind == "whole" and value not in _BIGINT:
            if operator not in ("=", "<>"):
                raise refused(self.step, f"an order of whole numbers and {value}")
            return _truth(operator == "<>")
        return self._plain(operator, column, self.literal(column.kind, value))

    def _plain(self, operator: Operator, column: FoldedColumn, other: exp.Expr) -> exp.Expr:
        here = exp.cast(column.expression.copy(), "DOUBLE") if column.kind == "double" else column.expression
        is_null = exp.Is(this=column.expression.copy(), expression=exp.null())
        compared: exp.Expr = _COMPARE[operator](this=here.copy(), expression=other)
        if column.kind == "double" and operator in (">", ">="):
            compared = exp.and_(compared, exp.not_(called("isnan", here.copy())))
        if operator == "=":
            return exp.and_(exp.not_(is_null), compared)
        return exp.or_(is_null, compared) if operator == "<>" else compared

    def _check_order(self, kind: ColumnKind, value: Value) -> None:
        if kind in ("logical", "binary"):
            raise refused(self.step, f"an order of values of kind {kind}")
        if isinstance(value, str) and any(ord(character) >= _SURROGATES for character in value):
            raise refused(self.step, "an order of texts with characters at or above U+D800")

    def _whole_with_fraction(self, operator: Operator, column: FoldedColumn, value: float) -> exp.Expr:
        """A whole number and one with a fraction: the nearest whole number on the right side decides."""
        if value.is_integer():
            return self.compared(operator, column, int(value))
        if operator in ("=", "<>"):
            return _truth(operator == "<>")
        if operator in ("<", "<="):
            return self.compared("<=", column, math.floor(value))
        return self.compared(">=", column, math.ceil(value))

    def _two_columns(self, operator: Operator, left: FoldedColumn, right: FoldedColumn) -> exp.Expr:
        is_same = left.kind == right.kind and left.kind in ("whole", "text", "logical", "date", "datetime")
        if not is_same or (operator not in ("=", "<>") and left.kind in ("text", "logical")):
            raise refused(self.step, f"a column of kind {left.kind} compared with one of kind {right.kind}")
        distinct = exp.NullSafeNEQ(this=left.expression.copy(), expression=right.expression.copy())
        if operator == "<>":
            return distinct
        if operator == "=":
            return exp.not_(distinct)
        return _COMPARE[operator](this=left.expression.copy(), expression=right.expression.copy())

    def _any_of(self, column: FoldedColumn, values: tuple[Value, ...]) -> exp.Expr:
        if column.kind in ("double", "other"):
            raise refused(self.step, f"List.Contains on a column of kind {column.kind}")
        is_null = exp.Is(this=column.expression.copy(), expression=exp.null())
        literals = [self.literal(column.kind, value) for value in values if self._may_equal(column.kind, value)]
        found = exp.and_(exp.not_(is_null), column.expression.copy().isin(*literals)) if literals else _truth(False)
        return exp.or_(is_null.copy(), found) if None in values else found

    def _may_equal(self, kind: ColumnKind, value: Value) -> bool:
        if value is None or not _is_of(kind, value):
            return False
        return (
            kind != "whole"
            or (not isinstance(value, float) and value in _BIGINT)
            or (isinstance(value, float) and value.is_integer() and int(value) in _BIGINT)
        )

    def literal(self, kind: ColumnKind, value: Value) -> exp.Expr:
        """
        *value* as SQL, to be compared with a column of *kind*.

        Raises:
            ExpressionNotSupportedError: it cannot be written exactly.
        """
        match value:
            case bool():
                return exp.true() if value else exp.false()
            case str() if "\0" in value:
                raise refused(self.step, "a text with the character U+0000")
            case str():
                return text_literal(value)
            case datetime.datetime():
                return self._moment(value.isoformat(" "), "ts", "TIMESTAMP")
            case datetime.date():
                return self._moment(value.isoformat(), "d", "DATE")
            case datetime.time():
                return self._moment(value.isoformat(), "t", "TIME")
            case int() | float() if kind == "double":
                return exp.cast(text_literal(repr(float(value))), "DOUBLE")
            case int() | float():
                return self._decimal(value)
            case _:
                raise refused(self.step, f"a {kind_of(value)} as a value")

    def _moment(self, text: str, escape: str, sql_type: str) -> exp.Expr:
        if self.dialect is Dialect.GENERIC:
            return exp.Var(this=f"{{{escape} '{text}'}}")
        return exp.cast(text_literal(text), sql_type)

    def _decimal(self, value: float) -> exp.Expr:
        digits = format(decimal.Decimal(repr(value)), "f")
        if sum(digit.isdigit() for digit in digits) > _DECIMAL_DIGIT_COUNT_MAX:
            raise refused(self.step, f"the number {value!r}")
        positive = exp.Literal.number(digits.lstrip("-"))
        return exp.Neg(this=positive) if digits.startswith("-") else positive


def _is_of(kind: ColumnKind, value: Value) -> bool:
    """Whether *value* is of the same kind of M as a column of *kind*."""
    own = kind_of(value)
    return kind in NUMBER_KINDS if own == "number" else kind == own


def _truth(value: bool | None) -> exp.Expr:  # noqa: FBT001 - the value is the subject
    """A condition that holds for every row, for none, or is null; in the form that every dialect takes."""
    other = exp.null() if value is None else exp.Literal.number(1 if value else 0)
    return exp.paren(exp.EQ(this=exp.Literal.number(1), expression=other))
