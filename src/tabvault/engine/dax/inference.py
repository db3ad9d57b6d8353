"""
The data type of a DAX expression, where the documented operator tables alone decide it.

That is so for numbers and columns of type INTEGER and REAL joined by ``+ - * /``, with parentheses and signs:

=====================  ================================================================
operator               result
=====================  ================================================================
``+``, ``-``, ``*``    INTEGER of two INTEGERs, else REAL
``/``                  REAL
=====================  ================================================================

So an expression is REAL if anything in it is, or if it divides; else INTEGER. A number without a decimal point is
INTEGER, one with it REAL. Functions, texts, dates, currency and whatever else is written are not looked into: their
type is unknown, for a wrong one would be worse.

Source: "Data types in DAX", the tables of implicit conversions of arithmetic operators. The types of numbers were read
off calculated columns of genuine files (``120`` and ``1``; ``.90``, ``.2`` and ``3.75``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tabvault.engine.dax.tokens import Token, tokens
from tabvault.errors import QueryError
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INTEGER_MAX: Final = (1 << 63) - 1
_REAL: Final = re.compile(r"[0-9]*\.[0-9]+", re.ASCII)
_INTEGER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_SIGNS: Final = ("+", "-")
_OPERATORS: Final = ("+", "-", "*", "/")


def inferred_type(expression: str, column_type: Callable[[str | None, str], int | None]) -> int:
    """
    Tell the type of *expression*.

    Args:
        expression: of a calculated column, without an equals sign before it.
        column_type: the data type of a column by the names of its table, None where none is written, and its own; None
            for what is no column of the same table.

    Returns:
        :attr:`DataType.INT64`, :attr:`DataType.DOUBLE`, or :attr:`DataType.UNKNOWN` for all that is not documented to
        be one of these.
    """
    try:
        return _Reader(tokens(expression), column_type).expression()
    except QueryError:
        return DataType.UNKNOWN


class _Reader:
    """Goes through the words once, whatever the depth of parentheses."""

    def __init__(self, words: Iterator[Token], column_type: Callable[[str | None, str], int | None]) -> None:
        self._words = words
        self._now = next(words)
        self._column_type = column_type

    def expression(self) -> int:
        depth = 0
        is_real = False
        while True:
            while self._now.kind == "sign" and self._now.value in (*_SIGNS, "("):
                depth += self._now.value == "("
                self._next()
            kind = self._operand()
            if kind not in (DataType.INT64, DataType.DOUBLE):
                return DataType.UNKNOWN
            is_real |= kind == DataType.DOUBLE
            while self._now.is_sign(")"):
                depth -= 1
                if depth < 0:
                    return DataType.UNKNOWN
                self._next()
            if self._now.kind == "end":
                break
            if self._now.kind != "sign" or self._now.value not in _OPERATORS:
                return DataType.UNKNOWN
            is_real |= self._now.is_sign("/")
            self._next()
        if depth:
            return DataType.UNKNOWN
        return DataType.DOUBLE if is_real else DataType.INT64

    def _operand(self) -> int | None:
        """The type of a number or a column; None for anything else."""
        word = self._now
        if word.kind == "end":
            return None
        self._next()
        if word.kind == "number":
            if _REAL.fullmatch(word.value):
                return DataType.DOUBLE
            is_integer = _INTEGER.fullmatch(word.value) and int(word.value) <= _INTEGER_MAX
            return DataType.INT64 if is_integer else None
        if word.kind == "bracketed":
            return self._column_type(None, word.value)
        if word.kind in ("name", "quoted") and self._now.kind == "bracketed":
            column = self._now.value
            self._next()
            return self._column_type(word.value, column)
        return None

    def _next(self) -> None:
        self._now = next(self._words)
