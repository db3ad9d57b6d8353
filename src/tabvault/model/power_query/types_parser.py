"""
The cursor over the words of an M text, and the part of the grammar that reads types::

    type text    type nullable number    type table [A = text, B = _t]    type {text}    type function (a) as text

In a place where a type stands, the names of the primitive types and ``table``, ``function``, ``nullable`` are types;
anything else there is an expression whose value is one (``Int64.Type``).

Source: the M language specification, "Consolidated grammar", "Type expression".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from tabvault.model.power_query import syntax
from tabvault.model.power_query.tokens import Token, syntax_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tabvault.errors import ExpressionNotSupportedError
    from tabvault.model.power_query.syntax import Expression, Type

_Item = TypeVar("_Item")


def _closing_parentheses(words: Sequence[Token]) -> dict[int, int]:
    """Where each parenthesis that opens is closed; found once for all, so that no nesting makes it be sought again."""
    closing: dict[int, int] = {}
    open_ones: list[int] = []
    for index, word in enumerate(words):
        if word.is_sign("("):
            open_ones.append(index)
        elif word.is_sign(")") and open_ones:
            closing[open_ones.pop()] = index
    return closing


class Cursor(ABC):
    """Where the parser is. *now* is the word under it; the last word is the end, which is never passed."""

    def __init__(self, text: str, words: Sequence[Token]) -> None:
        self.text = text
        self._words = words
        self._position = 0
        self._closing = _closing_parentheses(words)
        self.now = words[0]

    @abstractmethod
    def unexpected(self, expected: str, found: Token | None = None) -> ExpressionNotSupportedError:
        """The error that *found*, by default the token here, is not *expected*."""

    def peek(self, distance: int = 1) -> Token:
        """The word *distance* words further on, or the end."""
        return self._words[min(self._position + distance, len(self._words) - 1)]

    def distance_behind_parenthesis(self) -> int:
        """How many words further on the one behind the parenthesis that opens here is."""
        return self._closing.get(self._position, len(self._words)) + 1 - self._position

    def take(self) -> Token:
        """Pass the word here."""
        token = self.now
        self._position = min(self._position + 1, len(self._words) - 1)
        self.now = self._words[self._position]
        return token

    def taken(self, sign: str) -> bool:
        """Whether *sign* is here; if so it is passed."""
        if not self.now.is_sign(sign):
            return False
        self.take()
        return True

    def taken_keyword(self, word: str) -> bool:
        """Whether *word* is here; if so it is passed."""
        if not self.now.is_keyword(word):
            return False
        self.take()
        return True

    def sign(self, sign: str) -> None:
        """Pass *sign*, which has to be here."""
        if not self.taken(sign):
            raise self.unexpected(repr(sign))

    def keyword(self, word: str) -> None:
        """Pass *word*, which has to be here."""
        if not self.taken_keyword(word):
            raise self.unexpected(repr(word))

    def identifier(self) -> str:
        """Pass an identifier, which has to be here."""
        if self.now.kind != "identifier":
            raise self.unexpected("a name")
        return self.take().value

    def sequence(self, begin: str, end: str, item: Callable[[], _Item]) -> list[_Item]:
        """``begin item, item, … end``, possibly empty."""
        self.sign(begin)
        items: list[_Item] = []
        if self.taken(end):
            return items
        items.append(item())
        while self.taken(","):
            items.append(item())
        self.sign(end)
        return items

    def refuse_twice(self, named: Iterable[tuple[str, object]], what: str) -> None:
        """Refuse the text if a name is given to two of *named*."""
        seen: set[str] = set()
        for name, _ in named:
            if name in seen:
                raise syntax_error(self.text, self.now.start, f"{what} {name[:80]!r} is there twice")
            seen.add(name)


class TypesParser(Cursor):
    """Types; the expressions among them come from the subclass."""

    @abstractmethod
    def expression(self) -> Expression:
        """Any expression."""

    @abstractmethod
    def primary(self) -> Expression:
        """A primary expression."""

    @abstractmethod
    def field_name(self) -> str:
        """The name of a field."""

    def type_expression(self) -> Expression:
        """``type …``; before what is no type, ``type`` is itself a primitive type (``type type``)."""
        start = self.take().start
        return syntax.TypeExpression(start, self._type())

    def primitive_type(self) -> syntax.PrimitiveType:
        """``text``, ``nullable number``: what may follow ``is`` and ``as``."""
        start = self.now.start
        is_nullable = self.now.kind == "identifier" and self.now.value == "nullable"
        if is_nullable:
            self.take()
        if self.now.value not in syntax.PRIMITIVE_TYPES or self.now.kind in ("text", "sign"):
            raise self.unexpected("a primitive type")
        return syntax.PrimitiveType(start, self.take().value, is_nullable)

    def parameters(self, parse_type: Callable[[], Type]) -> tuple[syntax.Parameter, ...]:
        """``(a, b as text, optional c)``."""

        def parameter() -> syntax.Parameter:
            is_optional = (
                self.now.kind == "identifier" and self.now.value == "optional" and self.peek().kind == "identifier"
            )
            if is_optional:
                self.take()
            name = self.identifier()
            return syntax.Parameter(name, parse_type() if self.taken_keyword("as") else None, is_optional)

        return tuple(self.sequence("(", ")", parameter))

    def _type(self) -> Type:
        start, word = self.now.start, self.now
        nullable_count = 0
        while self.now.kind == "identifier" and self.now.value == "nullable":
            self.take()
            nullable_count += 1
        inner = self._bare_type()
        if nullable_count == 0:
            return inner
        if nullable_count > 1:
            raise self.unexpected("a type", word)
        if isinstance(inner, syntax.PrimitiveType):
            return syntax.PrimitiveType(start, inner.name, is_nullable=True)
        return syntax.NullableType(start, inner)

    def _bare_type(self) -> Type:
        start, word = self.now.start, self.now
        if word.is_sign("["):
            fields, is_open = self._field_types()
            return syntax.RecordType(start, fields, is_open)
        if word.is_sign("{"):
            self.take()
            item = self.nested_type()
            self.sign("}")
            return syntax.ListType(start, item)
        if word.kind == "identifier" and word.value == "table" and self.peek().is_sign("["):
            self.take()
            columns, is_open = self._field_types()
            if is_open:
                raise self.unexpected("a column", word)
            return syntax.TableType(start, columns)
        if word.kind == "identifier" and word.value == "function" and self.peek().is_sign("("):
            self.take()
            parameters = self.parameters(self.nested_type)
            self.keyword("as")
            return syntax.FunctionType(start, parameters, self.nested_type())
        if word.kind in ("identifier", "keyword") and word.value in syntax.PRIMITIVE_TYPES:
            return syntax.PrimitiveType(start, self.take().value, is_nullable=False)
        return self.primary()

    @abstractmethod
    def nested_type(self) -> Type:
        """A type inside a type: one level deeper."""

    def _field_types(self) -> tuple[tuple[syntax.FieldType, ...], bool]:
        """``[A = text, optional B, ...]``, and whether it ended with ``...``."""
        is_open = False

        def field() -> syntax.FieldType | None:
            nonlocal is_open
            if is_open:
                raise self.unexpected("']'")
            if self.taken("..."):
                is_open = True
                return None
            is_optional = self.now.value == "optional" and self.peek().kind == "identifier"
            if is_optional:
                self.take()
            name = self.field_name()
            return syntax.FieldType(name, self.nested_type() if self.taken("=") else None, is_optional)

        fields = tuple(one for one in self.sequence("[", "]", field) if one is not None)
        self.refuse_twice([(one.name, one) for one in fields], "column")
        return fields, is_open
