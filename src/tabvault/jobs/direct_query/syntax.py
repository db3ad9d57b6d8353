"""
Conditions of a query, taken from DuckDB's own syntax tree, as conditions that a source decides alike.

What is understood, and nothing else:

* a column of a table of the question, by its name or ``table.column``; its values are exact
  (:mod:`tabvault.jobs.direct_query.exact_columns`);
* constants: whole numbers of 64 bits; decimal numbers; text; TRUE and FALSE; text, ``DATE`` or ``TIMESTAMP`` in ISO
  8601 beside a dateTime column;
* ``= <> < <= > >=`` between two columns of one kind, or a column and a constant of its kind, ``[NOT] IN`` a list of
  constants, ``[NOT] BETWEEN`` constants, ``IS [NOT] NULL``, a boolean column by itself, ``AND``, ``OR``, ``NOT``.

Texts are compared for equality alone: which of two is the greater one follows from the characters here, and from the
server's encoding there. Text with a backslash is not handed over either: a setting of the server says how it is read.
Neither is arithmetic: a whole number divided by another has a fraction here, and none in PostgreSQL.

The logic of NULL is the same in all of them. Constants become literals of sqlglot.
"""

from __future__ import annotations

import datetime
import decimal
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlglot import exp

from tabvault.jobs.direct_query.exact_columns import ExactKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Node = dict[str, Any]
"""A node of DuckDB's syntax tree, as JSON."""

_COMPARISONS: Final[Mapping[str, type[exp.Binary]]] = {
    "COMPARE_EQUAL": exp.EQ,
    "COMPARE_NOTEQUAL": exp.NEQ,
    "COMPARE_LESSTHAN": exp.LT,
    "COMPARE_LESSTHANOREQUALTO": exp.LTE,
    "COMPARE_GREATERTHAN": exp.GT,
    "COMPARE_GREATERTHANOREQUALTO": exp.GTE,
}
_MIRRORED: Final[Mapping[type[exp.Binary], type[exp.Binary]]] = {
    exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE, exp.EQ: exp.EQ, exp.NEQ: exp.NEQ,
}  # fmt: skip

_INT64_MAX: Final = (1 << 63) - 1
_MONEY_END: Final = 10**14
"""Below it a number and a decimal(19,4) are compared as decimals of one type."""

_EXACT_REAL_MAX: Final = 1 << 53
_WHOLE: Final = re.compile(r"-?\d{1,19}")
_PLAIN_DECIMAL: Final = re.compile(r"-?(?=\d*\.?\d)\d{0,15}(?:\.\d{0,15})?")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?)?")
_ISO_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


class NotAlikeError(Exception):
    """A part of a query that a source need not decide as it is decided here. It never leaves this package."""


@dataclass(frozen=True, slots=True)
class ExactColumn:
    """
    A column in a question.

    Attributes:
        kind: of its values.
        expression: that is them.
    """

    kind: ExactKind
    expression: exp.Expr


class Scope(Protocol):
    """The columns that a part of a query can name."""

    def column(self, names: Sequence[str]) -> ExactColumn:
        """
        The column that is called so.

        Raises:
            NotAlikeError: none is, or its values are not exact there.
        """
        ...


def condition(node: Node, scope: Scope) -> exp.Expr:
    """
    The condition *node*.

    Raises:
        NotAlikeError: something in it is not on the list above.
    """
    kind = node["type"]
    if kind in _COMPARISONS:
        return _comparison(_COMPARISONS[kind], node["left"], node["right"], scope)
    if kind in ("CONJUNCTION_AND", "CONJUNCTION_OR"):
        parts = [condition(child, scope) for child in node["children"]]
        return exp.and_(*parts) if kind == "CONJUNCTION_AND" else exp.or_(*parts)
    if kind == "OPERATOR_NOT":
        return exp.not_(exp.paren(condition(_only(node["children"]), scope)))
    if kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
        column = _column(_only(node["children"]), scope)
        is_null = exp.Is(this=exp.paren(column.expression), expression=exp.null())
        return is_null if kind == "OPERATOR_IS_NULL" else exp.not_(exp.paren(is_null))
    if kind == "COMPARE_BETWEEN":
        column = _column(node["input"], scope)
        _check_order(column)
        low, high = (_constant(node[end], column.kind) for end in ("lower", "upper"))
        return exp.Between(this=exp.paren(column.expression), low=low, high=high)
    if kind == "COMPARE_IN":
        first, *others = node["children"]
        column = _column(first, scope)
        return exp.In(this=exp.paren(column.expression), expressions=[_constant(one, column.kind) for one in others])
    if kind == "COLUMN_REF":
        column = _column(node, scope)
        if column.kind is ExactKind.TRUTH:
            return column.expression
    raise NotAlikeError(kind)


def _comparison(operator: type[exp.Binary], left: Node, right: Node, scope: Scope) -> exp.Expr:
    if left["type"] != "COLUMN_REF":
        operator, left, right = _MIRRORED[operator], right, left
    column = _column(left, scope)
    if operator not in (exp.EQ, exp.NEQ):
        _check_order(column)
    if right["type"] == "COLUMN_REF":
        other = _column(right, scope)
        if other.kind is not column.kind:
            raise NotAlikeError("columns of two kinds")
        return operator(this=exp.paren(column.expression), expression=exp.paren(other.expression))
    return operator(this=exp.paren(column.expression), expression=_constant(right, column.kind))


def _check_order(column: ExactColumn) -> None:
    if column.kind is ExactKind.TEXT:
        raise NotAlikeError("order of texts")


def _column(node: Node, scope: Scope) -> ExactColumn:
    if node["type"] != "COLUMN_REF":
        raise NotAlikeError(node["type"])
    return scope.column(node["column_names"])


def _only(nodes: Sequence[Node]) -> Node:
    if len(nodes) != 1:
        raise NotAlikeError("more than one operand")
    return nodes[0]


def _constant(node: Node, kind: ExactKind) -> exp.Expr:
    """The constant *node*, as it is compared with a column of *kind*."""
    if kind is ExactKind.MOMENT:
        return _moment(node)
    if node["type"] != "VALUE_CONSTANT":
        raise NotAlikeError(node["type"])
    given, text = node["literal"]["kind"], node["literal"]["text"]
    if kind is ExactKind.TRUTH and given == "BOOLEAN":
        return exp.Boolean(this=text == "true")
    if kind is ExactKind.TEXT and given == "STRING" and "\\" not in text:
        return exp.Literal.string(text)
    if given == "INTEGER" and _WHOLE.fullmatch(text):
        return _whole(int(text), kind)
    if given == "NUMERIC" and _PLAIN_DECIMAL.fullmatch(text):
        return _decimal(decimal.Decimal(text), kind)
    raise NotAlikeError(f"constant {given}")


def _whole(number: int, kind: ExactKind) -> exp.Expr:
    if kind is ExactKind.WHOLE and -_INT64_MAX <= number <= _INT64_MAX:
        return exp.Literal.number(number)
    if kind is ExactKind.DECIMAL and abs(number) < _MONEY_END:
        return exp.Literal.number(number)
    if kind is ExactKind.REAL and abs(number) <= _EXACT_REAL_MAX:
        return _real(float(number))
    raise NotAlikeError("a whole number")


def _decimal(number: decimal.Decimal, kind: ExactKind) -> exp.Expr:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "a plain number is finite"
    if kind is ExactKind.DECIMAL and abs(number) < _MONEY_END and exponent >= -4:
        return exp.Literal.number(f"{number:f}")
    if kind is ExactKind.REAL and len(number.as_tuple().digits) <= 15:
        return _real(float(number))
    raise NotAlikeError("a decimal number")


def _real(number: float) -> exp.Expr:
    return exp.cast(exp.Literal.string(repr(number)), exp.DataType.Type.DOUBLE)


def _moment(node: Node) -> exp.Expr:
    """Text, or a DATE or TIMESTAMP made of text."""
    allowed = _ISO
    if node["type"] == "OPERATOR_CAST" and not node["try_cast"] and not node["type_expr"].get("children"):
        allowed = {"DATE": _ISO_DATE, "TIMESTAMP": _ISO}.get(node["type_expr"]["type_name"].upper(), _ISO_DATE)
        if node["type_expr"]["type_name"].upper() not in ("DATE", "TIMESTAMP"):
            raise NotAlikeError("a cast")
        node = node["child"]
    if node["type"] != "VALUE_CONSTANT" or node["literal"]["kind"] != "STRING":
        raise NotAlikeError(node["type"])
    text = node["literal"]["text"]
    if not allowed.fullmatch(text):
        raise NotAlikeError("a date")
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise NotAlikeError("a date") from None
    return exp.cast(exp.Literal.string(moment.isoformat(sep=" ")), exp.DataType.Type.TIMESTAMP)
