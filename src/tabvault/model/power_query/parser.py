"""
M text to syntax tree, strictly by the published grammar.

Binary operators, loosest first; all are taken as left-associative, which only matters for ``-`` and ``/``, where the
specification's prose says so (its grammar, read to the letter, would say the opposite)::

    ??    or    and    is    as    = <>    < > <= >=    + - &    * /    meta    unary + - not

Nesting is limited (``DEPTH_MAX``), so that no text makes this or what walks over the tree run out of stack.

Source: the M language specification, "Consolidated grammar" and "Operators". ``??`` stands loosest there, and ``try``,
``let``, ``if``, ``each``, ``error`` and functions reach as far to the right as they can.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

from tabvault.model.power_query import syntax
from tabvault.model.power_query.tokens import Token, syntax_error, tokens
from tabvault.model.power_query.types_parser import TypesParser

if TYPE_CHECKING:
    from tabvault.errors import ExpressionNotSupportedError
    from tabvault.model.power_query.syntax import Expression, Type

DEPTH_MAX: Final = 80
"""Deepest nesting of expressions. Steps of a query are not nested; written ones have some ten levels."""

_LOOSEST: Final = 0
_PRECEDENCE: Final = {
    "??": 0,
    "or": 1,
    "and": 2,
    "is": 3,
    "as": 4,
    "=": 5,
    "<>": 5,
    "<": 6,
    ">": 6,
    "<=": 6,
    ">=": 6,
    "+": 7,
    "-": 7,
    "&": 7,
    "*": 8,
    "/": 8,
    "meta": 9,
}
_CONNECTIVES: Final = ("and", "or")

_GENERALIZED: Final = re.compile(r"[^\W]+(?:\.[^\W]+)?(?: +[^\W]+(?:\.[^\W]+)?)*")
"""A generalized identifier: words, digits first or not, with single dots, apart by blanks only."""


def parse(text: str) -> Expression:
    """
    The one expression that *text* is.

    Raises:
        ExpressionNotSupportedError: it is no expression of M, or a section document, or nested too deeply; with line
            and column.
    """
    parser = _Parser(text)
    if parser.now.is_keyword("section") or parser.now.is_keyword("shared"):
        raise syntax_error(text, parser.now.start, "a section document, where an expression is expected")
    expression = parser.expression()
    if parser.now.kind != "end":
        raise parser.unexpected("the end")
    return expression


class _Parser(TypesParser):
    """Recursive descent; the cursor and the types are in the base classes."""

    def __init__(self, text: str) -> None:
        super().__init__(text, tokens(text))
        self._depth = 0

    def expression(self) -> Expression:
        """Any expression."""
        self._deeper()
        parse_keyword = {
            "let": self._let,
            "if": self._if,
            "each": self._each,
            "try": self._try,
            "error": self._error,
        }.get(self.now.value)
        if self.now.kind == "keyword" and parse_keyword is not None:
            expression = parse_keyword()
        elif self.now.is_sign("(") and self._is_function():
            expression = self.function()
        else:
            expression = self._operation(_LOOSEST)
        self._depth -= 1
        return expression

    def nested_type(self) -> Type:
        """A type inside a type: one level deeper."""
        self._deeper()
        inner = self._type()
        self._depth -= 1
        return inner

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise syntax_error(self.text, self.now.start, f"nested more than {DEPTH_MAX} levels deep")

    def _operation(self, loosest: int) -> Expression:
        left = self._unary()
        chain = 0
        while (precedence := self._precedence()) is not None and precedence >= loosest:
            chain += 1
            operator = self.take()
            if operator.value in _CONNECTIVES:
                left = self._connective(left, operator, precedence)
            elif operator.value in ("is", "as"):
                tested = self.primitive_type()
                verb = cast("Literal['is', 'as']", operator.value)
                left = syntax.TypeTest(left.offset, verb, left, tested)
            else:
                right = self._operation(precedence + 1)
                left = syntax.Binary(left.offset, operator.value, left, right)
            if chain > DEPTH_MAX:
                raise syntax_error(self.text, operator.start, f"more than {DEPTH_MAX} operators in a chain")
        return left

    def _connective(self, left: Expression, operator: Token, precedence: int) -> Expression:
        operands = [left]
        while True:
            operands.append(self._operation(precedence + 1))
            if not self.now.is_keyword(operator.value):
                break
            self.take()
        return syntax.Connective(left.offset, cast("Literal['and', 'or']", operator.value), tuple(operands))

    def _precedence(self) -> int | None:
        return _PRECEDENCE.get(self.now.value) if self.now.kind in ("sign", "keyword") else None

    def _unary(self) -> Expression:
        operators: list[Token] = []
        while self.now.is_sign("+") or self.now.is_sign("-") or self.now.is_keyword("not"):
            operators.append(self.take())
        if len(operators) > DEPTH_MAX:
            raise syntax_error(self.text, self.now.start, f"more than {DEPTH_MAX} operators in a chain")
        operand = self.type_expression() if self.now.is_keyword("type") else self.primary()
        for operator in reversed(operators):
            sign = cast("Literal['+', '-', 'not']", operator.value)
            operand = syntax.Unary(operator.start, sign, operand)
        return operand

    def primary(self) -> Expression:
        """A primary expression with all its invocations, fields and items."""
        expression = self._atom()
        for _ in range(DEPTH_MAX):
            if self.now.is_sign("("):
                arguments = self.sequence("(", ")", self.expression)
                expression = syntax.Invocation(expression.offset, expression, tuple(arguments))
            elif self.now.is_sign("["):
                expression = self._selection(expression)
            elif self.now.is_sign("{"):
                self.take()
                selector = self.expression()
                self.sign("}")
                expression = syntax.ItemAccess(expression.offset, expression, selector, self.taken("?"))
            else:
                return expression
        raise syntax_error(self.text, self.now.start, f"more than {DEPTH_MAX} selections in a chain")

    def _atom(self) -> Expression:
        token = self.now
        if token.kind == "sign":
            return self._bracketed(token)
        self.take()
        if token.kind == "text":
            return syntax.TextLiteral(token.start, token.value)
        if token.kind == "number" or token.value in ("#nan", "#infinity"):
            return syntax.NumberLiteral(token.start, token.value)
        if token.kind == "identifier":
            if self.taken("!"):
                return syntax.SectionAccess(token.start, token.value, self.identifier())
            return syntax.Identifier(token.start, token.value)
        if token.kind == "keyword" and token.value in ("true", "false"):
            return syntax.LogicalLiteral(token.start, token.value == "true")
        if token.is_keyword("null"):
            return syntax.NullLiteral(token.start)
        if token.kind == "keyword" and token.value.startswith("#"):
            return syntax.Identifier(token.start, token.value)
        raise self.unexpected("an expression", token)

    def _bracketed(self, token: Token) -> Expression:
        if token.value == "(":
            self.take()
            expression = self.expression()
            self.sign(")")
            return expression
        if token.value == "{":
            return syntax.ListExpression(token.start, tuple(self.sequence("{", "}", self._item)))
        if token.value == "[":
            return self._record() if self._is_record() else self._selection(None)
        if token.value == "@":
            self.take()
            return syntax.Identifier(token.start, self.identifier())
        if token.value == "...":
            self.take()
            return syntax.Raise(token.start, None)
        raise self.unexpected("an expression")

    def _item(self) -> Expression | tuple[Expression, Expression]:
        first = self.expression()
        return (first, self.expression()) if self.taken("..") else first

    def _is_record(self) -> bool:
        if self.peek().is_sign("]"):
            return True
        if self.peek().is_sign("["):
            return False
        distance = 1
        while self.peek(distance).kind in ("identifier", "keyword", "number"):
            distance += 1
        return self.peek(distance).is_sign("=")

    def _record(self) -> Expression:
        start = self.now.start
        fields = self.sequence("[", "]", self._field)
        self.refuse_twice(fields, "field")
        return syntax.RecordExpression(start, tuple(fields))

    def _field(self) -> tuple[str, Expression]:
        name = self.field_name()
        self.sign("=")
        return name, self.expression()

    def _selection(self, target: Expression | None) -> Expression:
        start = self.now.start if target is None else target.offset
        if self.peek().is_sign("["):
            names = self.sequence("[", "]", self._selector)
            return syntax.Projection(start, target, tuple(names), self.taken("?"))
        name = self._selector()
        return syntax.FieldAccess(start, target, name, self.taken("?"))

    def _selector(self) -> str:
        self.sign("[")
        name = self.field_name()
        self.sign("]")
        return name

    def field_name(self) -> str:
        """A generalized identifier (words and digits apart by blanks) or a quoted one."""
        first = last = self.now
        if first.kind == "identifier" and self.text.startswith('#"', first.start):
            return self.take().value
        while self.now.kind in ("identifier", "keyword", "number"):
            last = self.take()
        name = self.text[first.start : last.end]
        if first is self.now or not _GENERALIZED.fullmatch(name):
            raise self.unexpected("the name of a field", first)
        return name

    def _let(self) -> Expression:
        start = self.take().start
        variables = [self._variable()]
        while self.taken(","):
            variables.append(self._variable())
        self.refuse_twice(variables, "variable")
        self.keyword("in")
        return syntax.Let(start, tuple(variables), self.expression())

    def _variable(self) -> tuple[str, Expression]:
        name = self.identifier()
        self.sign("=")
        return name, self.expression()

    def _if(self) -> Expression:
        start = self.take().start
        condition = self.expression()
        self.keyword("then")
        then = self.expression()
        self.keyword("else")
        return syntax.If(start, condition, then, self.expression())

    def _each(self) -> Expression:
        return syntax.Each(self.take().start, self.expression())

    def _error(self) -> Expression:
        return syntax.Raise(self.take().start, self.expression())

    def _try(self) -> Expression:
        start = self.take().start
        protected = self.expression()
        if self.now.is_keyword("otherwise"):
            self.take()
            return syntax.Try(start, protected, self.expression(), None)
        if self.now.kind == "identifier" and self.now.value == "catch":
            self.take()
            return syntax.Try(start, protected, None, self.function())
        return syntax.Try(start, protected, None, None)

    def function(self) -> syntax.Function:
        """``(parameters) as type => body``."""
        start = self.now.start
        parameters = self.parameters(self.primitive_type)
        result = self.primitive_type() if self.taken_keyword("as") else None
        self.sign("=>")
        return syntax.Function(start, parameters, result, self.expression())

    def _is_function(self) -> bool:
        """Whether the parenthesis here is a parameter list: what follows its end tells."""
        distance = self.distance_behind_parenthesis()
        if self.peek(distance).is_keyword("as"):
            distance += 2
            is_nullable = self.peek(distance - 1).value == "nullable"
            distance += is_nullable
        return self.peek(distance).is_sign("=>")

    def unexpected(self, expected: str, found: Token | None = None) -> ExpressionNotSupportedError:
        """The error that *found*, by default the token here, is not *expected*."""
        token = self.now if found is None else found
        what = "the end" if token.kind == "end" else repr(self.text[token.start : token.end][:80])
        return syntax_error(self.text, token.start, f"{expected} is expected, {what} found")
