"""
The words of an M text.

===========  =====================================================================================
kind         spelling
===========  =====================================================================================
identifier   letter or ``_``, then letters, digits, marks; parts joined by single dots; ``#"quoted"``
keyword      ``let``, ``in``, ``each`` …, ``#table``, ``#date`` …
text         ``"text"``; a quote inside is doubled, ``#(lf)``, ``#(000D,000A)``, ``#(#)`` are characters
number       ``12``, ``1.5``, ``.5``, ``1e3``, ``0xFF``
sign         ``, ; = < <= > >= <> + - * / & ( ) [ ] { } @ ! ? ?? => .. ...``
===========  =====================================================================================

White space and comments (``// …``, ``/* … */``) separate words and say nothing.

Source: the M language specification, "Consolidated grammar", lexical part. As in Microsoft's own parser, a part of an
identifier after a dot may begin with a digit.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, cast

from tabvault.errors import ExpressionNotSupportedError

Kind = Literal["identifier", "keyword", "text", "number", "sign", "end"]

TEXT_CHAR_COUNT_MAX: Final = 1 << 24
"""Longest text. Typed-in tables with pictures in them have some 100,000 characters."""

TOKEN_COUNT_MAX: Final = 250_000
"""Most words. A typed-in table is one word; only ``#table`` with written-out rows needs many."""

KEYWORDS: Final = frozenset({
    "and", "as", "each", "else", "error", "false", "if", "in", "is", "let", "meta", "not", "null", "or",
    "otherwise", "section", "shared", "then", "true", "try", "type", "#binary", "#date", "#datetime",
    "#datetimezone", "#duration", "#infinity", "#nan", "#sections", "#shared", "#table", "#time",
})  # fmt: skip

_NEWLINE: Final = re.compile("\r\n|[\r\n\u0085\u2028\u2029]")

_WORD: Final = re.compile(
    r"""
      (?P<blank>   (?: [ \t\v\f\r\n\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]++
                     | //[^\r\n\u0085\u2028\u2029]*+ | /\*(?s:.*?)\*/ )++ )
    | (?P<quoted>  \#"(?:[^"]++|"")*+" )
    | (?P<text>    "(?:[^"]++|"")*+" )
    | (?P<number>  0[xX][0-9a-fA-F]++ | (?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+ )
    | (?P<name>    \#?(?:[A-Za-z_]|[^\x00-\x7f])(?:[A-Za-z0-9_]|[^\x00-\x7f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])*+
                   (?:\.(?:[A-Za-z0-9_]|[^\x00-\x7f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])++)*+ )
    | (?P<sign>    \.\.\. | \.\. | => | <= | >= | <> | \?\? | [,;=<>+\-*/&()\[\]{}@!?] )
    """,  # noqa: E501 - the classes of white space outside ASCII, Zs and the newlines, written out
    re.VERBOSE,
)

_START_CATEGORIES: Final = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl"})
_PART_CATEGORIES: Final = _START_CATEGORIES | {"Nd", "Pc", "Mn", "Mc", "Cf"}

_ESCAPE: Final = re.compile(r'""|\#\(([^)]*)(\)?)')
_CONTROL: Final = {"cr": "\r", "lf": "\n", "tab": "\t", "#": "#"}
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]{4}(?:[0-9a-fA-F]{4})?")
_ENDLESS: Final = {'"': "text", '#"': "quoted identifier", "/*": "comment"}


@dataclass(frozen=True, slots=True)
class Token:
    """
    One word.

    Attributes:
        kind: see the module.
        value: what it says: a text without quotes and escapes, a quoted identifier without its quotes.
        start: offset of its first character.
        end: offset after its last character.
    """

    kind: Kind
    value: str
    start: int
    end: int

    def is_sign(self, sign: str) -> bool:
        """Whether it is this sign."""
        return self.kind == "sign" and self.value == sign

    def is_keyword(self, word: str) -> bool:
        """Whether it is this keyword."""
        return self.kind == "keyword" and self.value == word


def place(text: str, offset: int) -> str:
    """Where *offset* is in *text*: ``line 3, column 5``, both 1-based."""
    line, line_start = 1, 0
    for newline in _NEWLINE.finditer(text, 0, offset):
        line, line_start = line + 1, newline.end()
    return f"line {line}, column {offset - line_start + 1}"


def syntax_error(text: str, offset: int, problem: str) -> ExpressionNotSupportedError:
    """The error that *text* is no M at *offset*."""
    return ExpressionNotSupportedError(
        f"cannot refresh here: syntax error at {place(text, offset)}: {problem}",
        hint="correct the M expression of the partition; the rows it has stay as they are",
    )


def tokens(text: str) -> list[Token]:
    """
    The words of *text*, an ``end`` after the last.

    Raises:
        ExpressionNotSupportedError: it is too long, or a text, a quoted identifier or a comment has no end, or a
            character means nothing.
    """
    if len(text) > TEXT_CHAR_COUNT_MAX:
        raise ExpressionNotSupportedError(
            f"cannot refresh here: the M expression has {len(text)} characters, over the limit of {TEXT_CHAR_COUNT_MAX}"
        )
    found: list[Token] = []
    position = 0
    while position < len(text):
        word = _WORD.match(text, position)
        if word is None or (word.lastgroup == "sign" and text.startswith("/*", position)):
            what = next((one for begin, one in _ENDLESS.items() if text.startswith(begin, position)), None)
            raise syntax_error(text, position, f"{what} has no end" if what else _means_nothing(text[position]))
        if word.lastgroup != "blank":
            found.append(_token(text, word))
        if len(found) > TOKEN_COUNT_MAX:
            raise syntax_error(text, position, f"more than {TOKEN_COUNT_MAX} words")
        position = word.end()
    found.append(Token("end", "", len(text), len(text)))
    return found


def _token(text: str, word: re.Match[str]) -> Token:
    kind, value = word.lastgroup, word.group()
    if kind == "name":
        if value in KEYWORDS:
            return Token("keyword", value, word.start(), word.end())
        _check_name(text, value, word.start())
        return Token("identifier", value, word.start(), word.end())
    if kind == "quoted":
        return Token("identifier", _unescaped(text, value[2:-1], word.start() + 2), word.start(), word.end())
    if kind == "text":
        return Token("text", _unescaped(text, value[1:-1], word.start() + 1), word.start(), word.end())
    return Token(cast("Kind", kind), value, word.start(), word.end())


def _check_name(text: str, name: str, offset: int) -> None:
    if name.startswith("#"):
        raise syntax_error(text, offset, f"{name[:40]} is no keyword of M")
    if name.isascii():
        return
    for index, character in enumerate(name):
        categories = _START_CATEGORIES if index == 0 else _PART_CATEGORIES
        if not character.isascii() and unicodedata.category(character) not in categories:
            raise syntax_error(text, offset + index, _means_nothing(character))


def _means_nothing(character: str) -> str:
    return f"character {character!r} means nothing here"


def _unescaped(text: str, spelled: str, offset: int) -> str:
    """The characters of a text literal or quoted identifier, spelled *spelled* from *offset* on."""
    if '"' not in spelled and "#(" not in spelled:
        return spelled

    def character(escape: re.Match[str]) -> str:
        if escape.group() == '""':
            return '"'
        if not escape.group(2):
            raise syntax_error(text, offset + escape.start(), "escape #( has no end")
        return "".join(_escaped(text, name, offset + escape.start()) for name in escape.group(1).split(","))

    value = _ESCAPE.sub(character, spelled)
    try:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise syntax_error(text, offset, "text with half a surrogate pair") from None


def _escaped(text: str, name: str, offset: int) -> str:
    control = _CONTROL.get(name.strip())
    if control is not None:
        return control
    if not _HEXADECIMAL.fullmatch(name.strip()) or int(name, 16) > 0x10FFFF:
        raise syntax_error(text, offset, f"#({name[:40]}) is no escape of M")
    return chr(int(name, 16))
