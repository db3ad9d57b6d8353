"""The place of an error in a text that somebody typed: its line, with a caret under the first wrong character."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len, set_cell_size

from tabvault.faces.text import printable

_INDENT: Final = "  "
_WIDTH: Final = 79
_BEFORE_CELL_COUNT_MAX: Final = 40
"""Of a line that is too long, what is shown in front of the place."""


def excerpt(text: str, *, line: int, column: int) -> tuple[str, str, str]:
    r"""
    Three lines, safe on a terminal: the place in words, its line or the part of it that fits, and the caret.

    Args:
        text: all of it; its lines end with ``\n``.
        line: 1-based.
        column: 1-based, in characters.
    """
    row = text.split("\n")[line - 1].removesuffix("\r")
    before, after = printable(row[: column - 1]), printable(row[column - 1 :])
    room = _WIDTH - len(_INDENT)
    if cell_len(before) + cell_len(after) > room:
        if cell_len(before) > _BEFORE_CELL_COUNT_MAX:
            before = before[-_BEFORE_CELL_COUNT_MAX:]
            while cell_len(before) >= _BEFORE_CELL_COUNT_MAX:
                before = before[1:]
            before = f"…{before}"
        room -= cell_len(before)
        if cell_len(after) > room:
            after = f"{set_cell_size(after, room - 1)}…"
    return f"line {line}, column {column}:", f"{_INDENT}{before}{after}", f"{_INDENT}{' ' * cell_len(before)}^"
