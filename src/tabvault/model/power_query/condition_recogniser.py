"""
Functions of a row, as conditions and as values: ``each [A] > 1 and [B] <> null``, ``(row) => row[A] & "x"``.

What does not depend on the row is computed here (parameters, ``#date(…)``, joined texts); what does is one of the
shapes in :mod:`tabvault.model.power_query.conditions`, or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from tabvault.model.power_query import syntax
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
    Operator,
    Scalar,
    TextTest,
)
from tabvault.model.power_query.environment import Located, NotConstantError, described, refused

if TYPE_CHECKING:
    from tabvault.model.power_query.environment import Constant as ConstantOf
    from tabvault.model.power_query.syntax import Expression

_COMPARISONS: Final = ("=", "<>", "<", "<=", ">", ">=")
_MIRRORED: Final[dict[Operator, Operator]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_TEXT_TESTS: Final[dict[str, Literal["starts", "ends", "contains"]]] = {
    "Text.StartsWith": "starts",
    "Text.EndsWith": "ends",
    "Text.Contains": "contains",
}


def recognise_condition(function: Located, step: str) -> Condition:
    """
    The condition that *function* is.

    Raises:
        ExpressionNotSupportedError: it is no function of a row, or asks for what is not evaluated here.
    """
    return _Row.of(function, step).condition(_body(function, step))


def recognise_scalar(function: Located, step: str) -> Scalar:
    """
    The value that *function* makes of a row.

    Raises:
        ExpressionNotSupportedError: as above.
    """
    return _Row.of(function, step).scalar(_body(function, step))


def _body(function: Located, step: str) -> Expression:
    expression = function.settled().expression
    if isinstance(expression, syntax.Each):
        return expression.body
    if isinstance(expression, syntax.Function) and len(expression.parameters) == 1:
        return expression.body
    raise refused(step, f"{described(function.settled())} where a function of a row is expected")


@dataclass(frozen=True)
class _Row:
    """The body of one function: *here* is where it stands, *parameter* the name of the row in it."""

    here: Located
    parameter: str
    step: str

    @staticmethod
    def of(function: Located, step: str) -> _Row:
        here = function.settled()
        expression = here.expression
        parameter = expression.parameters[0].name if isinstance(expression, syntax.Function) else "_"
        return _Row(here, parameter, step)

    def condition(self, expression: Expression) -> Condition:
        """*expression* as a condition."""
        match expression:
            case syntax.Connective(operator=operator, operands=operands):
                parts = tuple(self.condition(one) for one in operands)
                return All(parts) if operator == "and" else Any(parts)
            case syntax.Unary(operator="not", operand=operand):
                return Not(self.condition(operand))
            case syntax.Binary(operator=operator, left=left, right=right) if operator in _COMPARISONS:
                return self._comparison(cast("Operator", operator), left, right)
            case syntax.Invocation():
                return self._call(expression)
            case _:
                logical = self._operand(expression)
                if isinstance(logical, Constant) and not isinstance(logical.value, bool | None):
                    raise refused(self.step, "a condition that is neither true nor false")
                return IsTrue(logical)

    def _comparison(self, operator: Operator, left: Expression, right: Expression) -> Condition:
        first, second = self._operand(left), self._operand(right)
        if isinstance(first, Column):
            return Comparison(operator, first, second)
        if isinstance(second, Column):
            return Comparison(_MIRRORED[operator], second, first)
        raise refused(self.step, "a comparison of constants")

    def _call(self, expression: syntax.Invocation) -> Condition:
        call = self.here.at(expression).call()
        if call is None:
            raise refused(self.step, described(self.here.at(expression)))
        function, arguments = call
        if function in _TEXT_TESTS:
            if len(arguments) == 3 and arguments[2].settled().library_name() == "Comparer.Ordinal":
                arguments = arguments[:2]
            if len(arguments) != 2:
                raise refused(self.step, f"{function} with a comparer")
            column, text = self._operand(arguments[0].expression), self._operand(arguments[1].expression)
            if not isinstance(column, Column) or not isinstance(text, Constant) or not isinstance(text.value, str):
                raise refused(self.step, f"{function} of anything but a column and a text")
            return TextTest(_TEXT_TESTS[function], column, text.value)
        if function == "List.Contains":
            return self._list_contains(arguments)
        raise refused(self.step, function)

    def _list_contains(self, arguments: tuple[Located, ...]) -> Condition:
        if len(arguments) != 2:
            raise refused(self.step, "List.Contains with equation criteria")
        values = self._constant(arguments[0].expression)
        column = self._operand(arguments[1].expression)
        if not isinstance(values, tuple) or not isinstance(column, Column):
            raise refused(self.step, "List.Contains of anything but constants and a column")
        scalars = tuple(one for one in values if not isinstance(one, tuple | dict))
        if len(scalars) != len(values):
            raise refused(self.step, "List.Contains with lists or records in the list")
        return AnyOfValues(column, scalars)

    def _operand(self, expression: Expression) -> Column | Constant:
        """A column of the row, or a constant."""
        if isinstance(expression, syntax.FieldAccess) and self._is_row(expression.target):
            if expression.is_optional:
                raise refused(self.step, f"optional field [{expression.name}]?")
            return Column(expression.name)
        value = self._constant(expression)
        if isinstance(value, tuple | dict):
            raise refused(self.step, "a list or a record as a value")
        return Constant(value)

    def _is_row(self, target: Expression | None) -> bool:
        if target is None:
            return self.parameter == "_"
        return isinstance(target, syntax.Identifier) and target.name == self.parameter

    def _constant(self, expression: Expression) -> ConstantOf:
        if isinstance(expression, syntax.Identifier) and expression.name == self.parameter:
            raise refused(self.step, "the row itself as a value")
        try:
            return self.here.at(expression).constant()
        except NotConstantError as problem:
            raise refused(self.step, problem.what) from None

    def scalar(self, expression: Expression) -> Scalar:
        """*expression* as a value."""
        match expression:
            case syntax.If(condition=condition, then=then, otherwise=otherwise):
                return Conditional(self.condition(condition), self.scalar(then), self.scalar(otherwise))
            case syntax.Binary(operator="&", left=left, right=right) if self._uses_row(expression):
                return Joined((self.scalar(left), self.scalar(right)))
            case syntax.Binary(operator=("+" | "-" | "*") as operator, left=left, right=right) if self._uses_row(
                expression
            ):
                return Arithmetic(operator, self.scalar(left), self.scalar(right))
            case _:
                return self._operand(expression)

    def _uses_row(self, expression: Expression) -> bool:
        """Whether a chain of operators has a part that is not constant."""
        here: Expression = expression
        while isinstance(here, syntax.Binary):
            if not isinstance(here.right, syntax.Binary) and self._is_of_row(here.right):
                return True
            if isinstance(here.right, syntax.Binary) and self._uses_row(here.right):
                return True
            here = here.left
        return self._is_of_row(here)

    def _is_of_row(self, expression: Expression) -> bool:
        return isinstance(expression, syntax.If) or (
            isinstance(expression, syntax.FieldAccess) and self._is_row(expression.target)
        )
