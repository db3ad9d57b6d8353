"""
The words of a DAX text.

==============  ==========================================================
kind            spelling
==============  ==========================================================
name            a bare name: a letter or ``_``, then letters, digits, ``_ .``
quoted          ``'a table''s name'``; a quote inside is doubled
bracketed       ``[a column]``; a closing bracket inside is doubled
text            ``"text"``; a quote inside is doubled
number          ``12``, ``1.5``, ``.5``, ``1e3``
sign            any of ``( ) { } , ; + - * / ^ & = < > ! | . : @``
==============  ==========================================================

Blanks and the three kinds of comments (``// …``, ``-- …``, ``/* … */``) separate words and say nothing.

Source: the DAX syntax reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from tabvault.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["name", "quoted", "bracketed", "text", "number", "sign", "end"]

TEXT_CHAR_COUNT_MAX: Final = 1 << 20
"""Longest statement. Report tools write some ten thousand characters."""

_WORD: Final = re.compile(
    r"""
      (?P<blank>   \s+ | //[^\n]* | --[^\n]* | /\*.*?\*/ )
    | (?P<quoted>  '(?:[^']|'')*' )
    | (?P<bracketed> \[(?:[^\]]|\]\])*\] )
    | (?P<text>    "(?:[^"]|"")*" )
    | (?P<number>  (?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)? )
    | (?P<name>    [^\W\d][\w.]* )
    | (?P<sign>    [(){},;+\-*/^&=<>!|.:@] )
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDLESS: Final = {"'": "quoted name", "[": "bracket", '"': "text", "/": "comment"}


@dataclass(frozen=True, slots=True)
class Token:
    """
    One word.

    Attributes:
        kind: see the module.
        value: what it says, without its quotes.
        line: 1-based.
        column: 1-based.
    """

    kind: Kind
    value: str
    line: int
    column: int

    def is_name(self, name: str) -> bool:
        """Whether it is the bare name, in any case of letters."""
        return self.kind == "name" and self.value.upper() == name

    def is_sign(self, sign: str) -> bool:
        """Whether it is this sign."""
        return self.kind == "sign" and self.value == sign


def tokens(text: str) -> Iterator[Token]:
    """
    The words of *text*, an ``end`` after the last.

    Raises:
        QueryError: it is too long, or a quote, a bracket or a comment has no end, or a character means nothing.
    """
    if len(text) > TEXT_CHAR_COUNT_MAX:
        raise QueryError(f"query has {len(text)} characters, over the limit of {TEXT_CHAR_COUNT_MAX}")
    position, line, line_start = 0, 1, 0
    while position < len(text):
        word = _WORD.match(text, position)
        column = position - line_start + 1
        if word is None or (word.lastgroup == "sign" and text.startswith("/*", position)):
            what = _ENDLESS.get(text[position])
            problem = f"{what} has no end" if what else f"character {text[position]!r} means nothing here"
            raise QueryError(problem, line=line, column=column)
        if word.lastgroup != "blank":
            kind = cast("Kind", word.lastgroup)
            yield Token(kind, _unquoted(kind, word.group()), line, column)
        newlines = word.group().count("\n")
        if newlines:
            line += newlines
            line_start = word.start() + word.group().rindex("\n") + 1
        position = word.end()
    yield Token("end", "", line, position - line_start + 1)


def _unquoted(kind: Kind, word: str) -> str:
    if kind in ("quoted", "bracketed", "text"):
        return word[1:-1].replace(word[-1] * 2, word[-1])
    return word
