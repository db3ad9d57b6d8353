"""
DAX statements that ask for the rows of one table::

    EVALUATE table
    EVALUATE TOPN ( n , table )

*table* is a table's name, bare or ``'quoted'``; *n* a whole number. Without an order TOPN may give any *n* rows, says
the DAX reference: here they are the first in storage order.

Source: the DAX reference of EVALUATE and TOPN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.engine.dax.tokens import Token, tokens
from tabvault.errors import QueryError, QueryNotSupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROW_COUNT_MAX: Final = (1 << 63) - 1
_HINT: Final = (
    "this version answers EVALUATE 'Table' and EVALUATE TOPN(n, 'Table'); SQL is on the command line and REST"
)


@dataclass(frozen=True, slots=True)
class TableStatement:
    """
    The rows of a table.

    Attributes:
        table: its name as written.
        row_count_max: how many of its rows; None for all.
        line: where the name stands, 1-based.
        column: where the name stands, 1-based.
    """

    table: str
    row_count_max: int | None
    line: int
    column: int


def is_dax(text: str) -> bool:
    """Whether *text* is meant as DAX: its first word is EVALUATE or DEFINE."""
    try:
        first = next(tokens(text))
    except QueryError:
        return False
    return first.is_name("EVALUATE") or first.is_name("DEFINE")


def parse_statement(text: str) -> TableStatement:
    """
    Read *text*.

    Raises:
        QueryNotSupportedError: DAX that is not answered yet; it says which.
        QueryError: no DAX.
    """
    return _Parser(tokens(text)).statement()


class _Parser:
    def __init__(self, words: Iterator[Token]) -> None:
        self._words = words
        self._now = next(words)

    def statement(self) -> TableStatement:
        if self._now.is_name("DEFINE"):
            raise self._refused("DEFINE")
        if not self._now.is_name("EVALUATE"):
            raise self._error("EVALUATE")
        self._next()
        statement = self._top() if self._now.is_name("TOPN") else self._table(None)
        if self._now.kind != "end":
            raise self._refused(f"{self._now.value} after the table")
        return statement

    def _top(self) -> TableStatement:
        self._next()
        self._sign("(")
        number = self._now
        if number.kind != "number" or not number.value.isdigit():
            raise self._refused("TOPN with anything but a whole number")
        count = int(number.value) if len(number.value) <= 20 else _ROW_COUNT_MAX
        self._next()
        self._sign(",")
        statement = self._table(min(count, _ROW_COUNT_MAX))
        if self._now.is_sign(","):
            raise self._refused("TOPN with an order")
        self._sign(")")
        return statement

    def _table(self, row_count_max: int | None) -> TableStatement:
        word = self._now
        if word.kind not in ("name", "quoted"):
            what = {"end": None, "bracketed": f"a measure, [{word.value}]", "sign": f"{word.value}"}
            if word.kind == "end":
                raise self._error("a table")
            raise self._refused(what.get(word.kind) or f"{word.value!r} instead of a table")
        self._next()
        if word.kind == "name" and self._now.is_sign("("):
            raise self._refused(f"function {word.value.upper()}")
        if self._now.kind == "bracketed":
            raise self._refused(f"column {word.value}[{self._now.value}] instead of a table")
        return TableStatement(word.value, row_count_max, word.line, word.column)

    def _sign(self, sign: str) -> None:
        if not self._now.is_sign(sign):
            raise self._error(repr(sign))
        self._next()

    def _next(self) -> None:
        self._now = next(self._words)

    def _error(self, expected: str) -> QueryError:
        found = "the end" if self._now.kind == "end" else repr(self._now.value[:80])
        return QueryError(
            f"syntax error: {expected} is expected, {found} found", line=self._now.line, column=self._now.column
        )

    def _refused(self, what: str) -> QueryNotSupportedError:
        return QueryNotSupportedError(
            f"DAX that is not supported yet: {what[:120]}", line=self._now.line, column=self._now.column, hint=_HINT
        )
