"""
Conditions on a row and values made of a row.

M has its own logic of null, kept wherever these are evaluated: ``=`` and ``<>`` take null as a value like any other
(``null = null`` is true, ``null = 1`` false, ``null <> 1`` true); ``<`` and its like give null if either side is null;
``and``, ``or`` and ``not`` are three-valued as in SQL; a text test of null is null; ``List.Contains`` compares with
``=``. Values of different kinds are unequal, and an error under ``<``. Texts are compared by their UTF-16 code units.
A row whose condition is null is dropped.

Source: the M language specification, "Equality operators", "Relational operators", "Conditional logical operators".
That ``Table.SelectRows`` drops a row with null is how the filters that Power Query's own editor writes work
(``each [Amount] > 0`` on a column with nulls); the specification is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from tabvault.model.power_query.values import Value

Operator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Column:
    """The row's value in a column."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every row."""

    value: Value


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``+ - *`` of numbers, in double precision; null if a side is null."""

    operator: Literal["+", "-", "*"]
    left: Scalar
    right: Scalar


@dataclass(frozen=True, slots=True)
class Joined:
    """``&`` of texts; null if a part is null."""

    parts: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """``if condition then x else y``; a condition that is null is an error."""

    condition: Condition
    then: Scalar
    otherwise: Scalar


Scalar: TypeAlias = "Column | Constant | Arithmetic | Joined | Conditional"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values compared; at least one is a column."""

    operator: Operator
    left: Column | Constant
    right: Column | Constant


@dataclass(frozen=True, slots=True)
class TextTest:
    """``Text.StartsWith``, ``Text.EndsWith``, ``Text.Contains`` of a column and a constant, ordinal."""

    test: Literal["starts", "ends", "contains"]
    column: Column
    text: str


@dataclass(frozen=True, slots=True)
class AnyOfValues:
    """``List.Contains({…}, [column])``."""

    column: Column
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A logical column, or a constant, as a condition."""

    operand: Column | Constant


@dataclass(frozen=True, slots=True)
class Not:
    """``not x``."""

    operand: Condition


@dataclass(frozen=True, slots=True)
class All:
    """``x and y and …``."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """``x or y or …``."""

    operands: tuple[Condition, ...]


Condition: TypeAlias = "Comparison | TextTest | AnyOfValues | IsTrue | Not | All | Any"
