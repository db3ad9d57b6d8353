"""
What names mean in an M expression, and expressions that are constants.

A name is looked up from the innermost ``let`` outwards, then among the queries and parameters of the model; what is
found nowhere is a function of M's library. A query or parameter is an expression of its own: parsed when it is asked
for, once.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from tabvault.errors import ExpressionNotSupportedError
from tabvault.model.power_query import syntax
from tabvault.model.power_query.parser import parse
from tabvault.model.power_query.values import Value, constructed, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.power_query.syntax import Expression

NAME_DEPTH_MAX: Final = 100
"""Longest chain of names for constants that stand for each other."""

_HINT: Final = (
    "the partition keeps its rows; let the data source do that step (a view, a native query), or refresh elsewhere"
)

EFFORT_MAX: Final = 400_000
"""Names followed and constants computed for one recipe: no text makes this run long, whatever it repeats."""

Constant: TypeAlias = "Value | tuple[Constant, ...] | dict[str, Constant]"
"""A value, or a list or record of values."""


class NotConstantError(Exception):
    """An expression is no constant that is computed here; *what* says which part. Never leaves the recogniser."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def refused(step: str, what: str) -> ExpressionNotSupportedError:
    """The error that *what* in *step* is not done here."""
    return ExpressionNotSupportedError(f'cannot refresh here: step "{step[:200]}": {what[:300]}', hint=_HINT)


@dataclass
class Queries:
    """
    The queries and parameters of a model.

    Attributes:
        texts: their M by name.
        bound: parameters whose value is given from outside, instead of what their M says.
        used: the bound parameters that were asked for.
    """

    texts: Mapping[str, str]
    bound: Mapping[str, Value]
    used: set[str] = field(default_factory=set)
    _parsed: dict[str, Located] = field(default_factory=dict)
    _effort: int = 0

    def spend(self, effort: int, step: str) -> None:
        """
        Count what reading the expression takes.

        Raises:
            ExpressionNotSupportedError: too much.
        """
        self._effort += effort
        if self._effort > EFFORT_MAX:
            raise refused(step, f"reading it takes more than {EFFORT_MAX} steps")

    def find(self, name: str) -> Located | None:
        """The expression that *name* stands for; None if the model has none of that name."""
        if name not in self._parsed:
            if name not in self.texts:
                return None
            self._parsed[name] = Located(parse(self.texts[name]), Environment(self), name)
        return self._parsed[name]


@dataclass(frozen=True, eq=False)
class Environment:
    """The variables in reach of an expression: those of the ``let`` around it, of the one around that, …"""

    queries: Queries
    variables: Mapping[str, Expression] = field(default_factory=dict)
    outer: Environment | None = None

    def find(self, name: str) -> Located | None:
        """The expression that *name* stands for; None for what is not defined by the model."""
        environment: Environment | None = self
        while environment is not None:
            if name in environment.variables:
                return Located(environment.variables[name], environment, name)
            environment = environment.outer
        return self.queries.find(name)

    def inside(self, let: syntax.Let) -> Environment:
        """What is in reach inside *let*."""
        return Environment(self.queries, dict(let.variables), self)

    def bound(self, name: str) -> bool:
        """Whether *name* is a parameter with a value from outside, not hidden by a variable."""
        if name not in self.queries.bound:
            return False
        found = self.find(name)
        return found is None or (found.environment.outer is None and not found.environment.variables)


@dataclass(frozen=True, eq=False)
class Located:
    """An expression with what is in its reach, and the name it was found by."""

    expression: Expression
    environment: Environment
    name: str

    def at(self, expression: Expression) -> Located:
        """A part of this expression, in the same reach."""
        return Located(expression, self.environment, self.name)

    def settled(self) -> Located:
        """
        The same after following names, ``let`` and ``meta``: neither changes a value.

        Raises:
            ExpressionNotSupportedError: names stand for each other in a circle.
        """
        here = self
        seen: set[tuple[int, str]] = set()
        while True:
            self.environment.queries.spend(1, here.name)
            match here.expression:
                case syntax.Let() as let:
                    self.environment.queries.spend(len(let.variables), here.name)
                    here = Located(let.body, here.environment.inside(let), here.name)
                case syntax.Binary(operator="meta", left=left):
                    here = here.at(left)
                case syntax.Identifier(name=name):
                    found = None if here.environment.bound(name) else here.environment.find(name)
                    if found is None:
                        return here
                    mark = (id(found.expression), name)
                    if mark in seen:
                        raise refused(name, "it stands for itself")
                    seen.add(mark)
                    here = found
                case _:
                    return here

    def library_name(self) -> str | None:
        """The name, if the expression is a name that the model does not define."""
        expression = self.expression
        if not isinstance(expression, syntax.Identifier) or self.environment.bound(expression.name):
            return None
        return None if self.environment.find(expression.name) else expression.name

    def call(self) -> tuple[str, tuple[Located, ...]] | None:
        """The function of M's library that the expression invokes, and its arguments; None if it does not."""
        expression = self.expression
        if not isinstance(expression, syntax.Invocation):
            return None
        function = self.at(expression.function).library_name()
        return None if function is None else (function, tuple(self.at(one) for one in expression.arguments))

    def constant(self, depth: int = 0) -> Constant:
        """
        The value of the expression.

        Raises:
            NotConstantError: it is none that is computed here.
        """
        if depth > NAME_DEPTH_MAX:
            raise NotConstantError(f"{self.name} after more than {NAME_DEPTH_MAX} names and levels")
        here = self.settled()
        expression = here.expression

        def of(part: Expression) -> Constant:
            return here.at(part).constant(depth + 1)

        match expression:
            case syntax.NullLiteral():
                return None
            case syntax.TextLiteral(value=text):
                return text
            case syntax.LogicalLiteral(value=logical):
                return logical
            case syntax.NumberLiteral(spelled=spelled):
                return _held(number(spelled), f"number {spelled[:40]}")
            case syntax.Unary(operator="-", operand=operand):
                return _negated(of(operand))
            case syntax.ListExpression(items=items):
                if any(isinstance(item, tuple) for item in items):
                    raise NotConstantError("a list with a range")
                return tuple(of(item) for item in items if not isinstance(item, tuple))
            case syntax.RecordExpression(fields=fields):
                return {name: of(value) for name, value in fields}
            case syntax.Binary():
                made_of_two = _combined(expression.operator, of(expression.left), of(expression.right))
                here.environment.queries.spend(
                    len(made_of_two) // 100 if isinstance(made_of_two, str) else 1, here.name
                )
                return made_of_two
            case syntax.Identifier(name=name):
                return _bound_value(here.environment, name)
            case _:
                call = here.call()
                if call is None or call[0] not in ("#date", "#time", "#datetime", "#duration"):
                    raise NotConstantError(described(here))
                arguments = tuple(one.constant(depth + 1) for one in call[1])
                simple = tuple(one for one in arguments if not isinstance(one, tuple | dict))
                made = constructed(call[0], simple) if len(simple) == len(arguments) else None
                return _held(made, f"{call[0]} with these numbers")


def described(here: Located) -> str:
    """What an expression is, in a word or two for a message."""
    call = here.call()
    if call is not None:
        return call[0]
    match here.expression:
        case syntax.Identifier(name=name):
            return name
        case syntax.Invocation(function=syntax.Identifier(name=name)):
            return f"the function {name}"
        case syntax.FieldAccess(name=name) | syntax.Unary(operator=name) | syntax.Binary(operator=name):
            return f"[{name}]" if isinstance(here.expression, syntax.FieldAccess) else f"operator {name}"
        case other:
            return f"a construct of M ({type(other).__name__})"


def _bound_value(environment: Environment, name: str) -> Value:
    if environment.bound(name):
        environment.queries.used.add(name)
        return environment.queries.bound[name]
    raise NotConstantError(name)


def _held(value: Value, what: str) -> Value:
    if value is None:
        raise NotConstantError(what)
    return value


def _negated(value: Constant) -> Constant:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -value
    raise NotConstantError("operator - of what is no number")


def _combined(operator: str, left: Constant, right: Constant) -> Constant:
    """Texts joined, a datetime moved by a duration: what paths and ranges are made with."""
    if operator == "&" and isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > 1 << 20:
            raise NotConstantError("a text of more than 1,048,576 characters")
        return left + right
    if isinstance(left, datetime.datetime) and isinstance(right, datetime.timedelta) and operator in ("+", "-"):
        try:
            return left + right if operator == "+" else left - right
        except OverflowError:
            raise NotConstantError("a datetime beyond year 9999") from None
    raise NotConstantError(f"operator {operator}")
