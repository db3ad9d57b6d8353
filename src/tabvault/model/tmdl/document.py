"""
One TMDL document as :class:`~tabvault.model.tmdl.declaration.Declaration` trees.

* **Indentation** says what belongs to what: a line belongs to the nearest line above that is indented less. Siblings
  are indented alike, character for character; so tabs and spaces do not mix among them. A document begins at the
  margin.
* ``///`` lines are the **description** of the line right below them. No other comments exist.
* A **value** after ``:`` ends with its line. In double quotes it keeps its white space, and ``""`` is one quote.
* An **expression** after ``=`` stands on the same line, or on the lines below: those indented by as many characters
  as the first of them, or more. What these indentations have in common is taken off, white space at the ends of lines
  and blank lines at the end are not part of it, blank lines before and within it are.
* Between three **backticks** an expression is verbatim; the indentation of those that end it is its left margin.

Source: learn.microsoft.com, "Tabular Model Definition Language (TMDL)"; where the text leaves a choice, what the public
tabular object model reads and writes. It takes four spaces and a tab as siblings; here they are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import RequestTooLargeError
from tabvault.model.tmdl.declaration import Declaration, error_at
from tabvault.model.tmdl.names import NAME, unquoted_name

if TYPE_CHECKING:
    from tabvault.errors import RequestError

DEPTH_MAX: Final = 32
"""Levels of objects and properties. The translation of a level of a hierarchy has 7."""

LINE_COUNT_MAX: Final = 1_000_000
"""Lines of one document. A model of ten thousand measures has some hundred thousand in all its documents."""

_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_FENCE: Final = "```"
_WORD: Final = r"(?P<word>[A-Za-z][A-Za-z0-9_]*)"
_EXPRESSION: Final = r"(?:[ \t]*(?P<equals>=)[ \t]*(?P<expression>.*))?"
_PROPERTY: Final = re.compile(rf"{_WORD}[ \t]*:(?P<value>.*)", re.DOTALL)
_OBJECT: Final = re.compile(
    rf"(?:(?P<mention>ref)[ \t]+)?{_WORD}(?:[ \t]+(?P<name>{NAME})(?![^\s=]))?{_EXPRESSION}", re.DOTALL | re.IGNORECASE
)


def parse_document(text: str, file: str) -> list[Declaration]:
    """
    The declarations at the margin of a document, with everything in them.

    Args:
        text: of the document.
        file: its name, for errors.

    Raises:
        RequestError: a line is not of the language; file and line are in the message.
        RequestTooLargeError: more lines or levels than a model has.
    """
    return _Parser(text, file).parse()


@dataclass(slots=True)
class _Level:
    """An open declaration (None for the document), how it is indented, and how what belongs to it is."""

    declaration: Declaration | None
    indentation: str
    children: list[Declaration]
    inner: str | None = None


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        # A document that ends with a line break has no empty line after it.
        self._lines = _LINE_BREAK.split(text.removeprefix("\ufeff"))
        self._file = file
        self._index = 0
        if len(self._lines) > LINE_COUNT_MAX:
            raise RequestTooLargeError(f"{file} has {len(self._lines)} lines, not at most {LINE_COUNT_MAX}", path=file)

    def parse(self) -> list[Declaration]:
        root = _Level(None, "", [], inner="")
        levels = [root]
        while self._index < len(self._lines):
            line = self._lines[self._index]
            if not line.strip():
                self._index += 1
                continue
            indentation = _indentation(line)
            self._enter(levels, indentation)
            declaration = self._declaration(indentation)
            levels[-1].children.append(declaration)
            levels.append(_Level(declaration, indentation, declaration.children))
        return root.children

    def _enter(self, levels: list[_Level], indentation: str) -> None:
        """Close what the next line does not belong to."""
        while len(levels) > 1 and not _is_deeper(indentation, levels[-1].indentation):
            levels.pop()
        level = levels[-1]
        if level.inner is None:
            level.inner = indentation
        if level.inner != indentation:
            hint = "lines of one object begin with the same tabs or spaces"
            if level.declaration is None:
                raise self._error("the line is indented, and nothing above it is indented less", hint=hint)
            raise self._error(f"the indentation is not that of {_siblings_of(level.declaration)}", hint=hint)
        if len(levels) > DEPTH_MAX:
            raise RequestTooLargeError(f"{self._file} has more than {DEPTH_MAX} levels", path=self._file)

    def _declaration(self, indentation: str) -> Declaration:
        description = self._description(indentation)
        line_number = self._index + 1
        line = self._lines[self._index].strip()
        found = _PROPERTY.fullmatch(line)
        if found:
            self._index += 1
            value = _unquoted(found["value"].strip())
            if value is None:
                raise error_at(self._file, line_number, f"property {found['word']} has no value")
            return Declaration(
                found["word"], self._file, line_number, value=value, is_property=True, description=description
            )
        found = _OBJECT.fullmatch(line)
        if found is None:
            hint = "names with blanks and . = : ' are put in single quotes, a quote in them is doubled"
            raise self._error(f"the line is none of TMDL: {_shown(line)}", hint=hint)
        self._index += 1
        value = self._expression(found["expression"].strip(), indentation) if found["equals"] else None
        return Declaration(
            found["word"],
            self._file,
            line_number,
            name=unquoted_name(found["name"]) if found["name"] else None,
            value=value,
            is_mention=found["mention"] is not None,
            description=description,
        )

    def _description(self, indentation: str) -> str | None:
        lines: list[str] = []
        while self._index < len(self._lines):
            line = self._lines[self._index]
            stripped = line.lstrip()
            if lines and (not stripped or _indentation(line) != indentation):
                break
            if not stripped.startswith("///"):
                return "\n".join(lines) if lines else None
            lines.append(stripped[3:].removeprefix(" "))
            self._index += 1
        self._index -= 1
        raise self._error("no object follows the description", hint="an object stands right below its description")

    def _expression(self, first: str, indentation: str) -> str | None:
        """The rest of an expression whose line ends with *first*."""
        if first == _FENCE:
            return self._verbatim()
        if first:
            return first
        begin = self._index
        while begin < len(self._lines) and not self._lines[begin].strip():
            begin += 1
        if begin == len(self._lines):
            return None
        margin = _indentation(self._lines[begin])
        if not _is_deeper(margin, indentation):
            return None
        lines: list[str] = []
        depth = len(margin)
        while self._index < len(self._lines):
            line = self._lines[self._index]
            if line.strip():
                if len(_indentation(line)) < depth:
                    break
                margin = margin[: _common_length(line, margin)]
            lines.append(line.rstrip())
            self._index += 1
        return "\n".join(line.removeprefix(margin) for line in lines).rstrip()

    def _verbatim(self) -> str:
        """The lines up to the backticks that end them."""
        begin = self._index
        while self._index < len(self._lines):
            line = self._lines[self._index]
            self._index += 1
            if line.strip() == _FENCE:
                margin = _indentation(line)
                inner = self._lines[begin : self._index - 1]
                return "\n".join(line[_common_length(line, margin) :] for line in inner)
        raise error_at(self._file, begin, "no ``` ends the expression that begins with ```")

    def _error(self, message: str, *, hint: str) -> RequestError:
        return error_at(self._file, self._index + 1, message, hint=hint)


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _is_deeper(inner: str, outer: str) -> bool:
    return len(inner) > len(outer) and inner.startswith(outer)


def _siblings_of(owner: Declaration) -> str:
    """What a line that belongs to *owner* must be indented like."""
    first = owner.children[0]
    return f"its sibling in line {first.line}"


def _common_length(line: str, margin: str) -> int:
    """How many characters of *margin* the line begins with."""
    length = 0
    while length < len(margin) and line[length : length + 1] == margin[length]:
        length += 1
    return length


def _unquoted(value: str) -> str | None:
    """The text of a value; None when nothing is there."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('""', '"')
    return value or None


def _shown(line: str) -> str:
    """The begin of a line. What stands behind ``=`` and ``:`` is not shown: it may be a secret."""
    return repr(re.split("[=:]", line, maxsplit=1)[0][:60])
