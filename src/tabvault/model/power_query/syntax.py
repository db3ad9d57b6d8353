"""
The syntax tree of M.

Every node says with *offset* where it begins in the text it was parsed from. ``and`` and ``or`` take any number of
operands, because filters picked from a list are chains of hundreds of ``or``; every other operator takes two, leftmost
first.

Source: the M language specification, "Consolidated grammar", syntactic part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

PRIMITIVE_TYPES = frozenset({
    "any", "anynonnull", "binary", "date", "datetime", "datetimezone", "duration", "function", "list",
    "logical", "none", "null", "number", "record", "table", "text", "time", "type",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextLiteral:
    """``"text"``."""

    offset: int
    value: str


@dataclass(frozen=True, slots=True)
class NumberLiteral:
    """``12``, ``1.5``, ``0xFF``, ``#nan``, ``#infinity``: *spelled* as written."""

    offset: int
    spelled: str


@dataclass(frozen=True, slots=True)
class LogicalLiteral:
    """``true``, ``false``."""

    offset: int
    value: bool


@dataclass(frozen=True, slots=True)
class NullLiteral:
    """``null``."""

    offset: int


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name: of a variable, of a query, of a function of the library, or a keyword such as ``#table``."""

    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class ListExpression:
    """``{1, 2, 5..9}``: a range is a pair."""

    offset: int
    items: tuple[Expression | tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class RecordExpression:
    """``[A = 1, B = 2]``."""

    offset: int
    fields: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Invocation:
    """``f(x, y)``."""

    offset: int
    function: Expression
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """``record[name]``, ``record[name]?``; *target* is None for the implicit ``_``."""

    offset: int
    target: Expression | None
    name: str
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Projection:
    """``record[[a], [b]]``; *target* is None for the implicit ``_``."""

    offset: int
    target: Expression | None
    names: tuple[str, ...]
    is_optional: bool


@dataclass(frozen=True, slots=True)
class ItemAccess:
    """``list{0}``, ``table{[Name = "x"]}?``."""

    offset: int
    target: Expression
    selector: Expression
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Unary:
    """``+x``, ``-x``, ``not x``."""

    offset: int
    operator: Literal["+", "-", "not"]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """``x op y``: arithmetic, ``&``, comparisons, ``??``, ``meta``."""

    offset: int
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Connective:
    """``x and y and z``, ``x or y or z``."""

    offset: int
    operator: Literal["and", "or"]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class TypeTest:
    """``x is nullable text``, ``x as number``."""

    offset: int
    operator: Literal["is", "as"]
    operand: Expression
    type: PrimitiveType


@dataclass(frozen=True, slots=True)
class If:
    """``if c then x else y``."""

    offset: int
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Let:
    """``let a = x, b = y in z``."""

    offset: int
    variables: tuple[tuple[str, Expression], ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Each:
    """``each body``: a function of ``_``."""

    offset: int
    body: Expression


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function; *type* is None where nothing is asserted."""

    name: str
    type: Type | None
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Function:
    """``(a as text, optional b) as number => body``."""

    offset: int
    parameters: tuple[Parameter, ...]
    result: Type | None
    body: Expression


@dataclass(frozen=True, slots=True)
class Try:
    """``try x``, ``try x otherwise y``, ``try x catch (e) => y``."""

    offset: int
    protected: Expression
    otherwise: Expression | None
    catch: Function | None


@dataclass(frozen=True, slots=True)
class Raise:
    """``error x``; *operand* is None for ``...``, which is an error by definition."""

    offset: int
    operand: Expression | None


@dataclass(frozen=True, slots=True)
class SectionAccess:
    """``Section1!name``."""

    offset: int
    section: str
    name: str


@dataclass(frozen=True, slots=True)
class TypeExpression:
    """``type text``."""

    offset: int
    type: Type


@dataclass(frozen=True, slots=True)
class PrimitiveType:
    """``text``, ``nullable number``."""

    offset: int
    name: str
    is_nullable: bool


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of a record type or a column of a table type; *type* is None where none is given (any)."""

    name: str
    type: Type | None
    is_optional: bool


@dataclass(frozen=True, slots=True)
class TableType:
    """``table [A = text, B = number]``."""

    offset: int
    columns: tuple[FieldType, ...]


@dataclass(frozen=True, slots=True)
class RecordType:
    """``[A = text, ...]``."""

    offset: int
    fields: tuple[FieldType, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class ListType:
    """``{text}``."""

    offset: int
    item: Type


@dataclass(frozen=True, slots=True)
class NullableType:
    """``nullable`` of a type that is not primitive."""

    offset: int
    type: Type


@dataclass(frozen=True, slots=True)
class FunctionType:
    """``function (a as text) as number``."""

    offset: int
    parameters: tuple[Parameter, ...]
    result: Type


Type: TypeAlias = "PrimitiveType | TableType | RecordType | ListType | NullableType | FunctionType | Expression"
"""A type where a type stands; any other expression there has a type as its value."""

Expression: TypeAlias = (
    "TextLiteral | NumberLiteral | LogicalLiteral | NullLiteral | Identifier | ListExpression | RecordExpression"
    " | Invocation | FieldAccess | Projection | ItemAccess | Unary | Binary | Connective | TypeTest | If | Let | Each"
    " | Function | Try | Raise | SectionAccess | TypeExpression"
)
