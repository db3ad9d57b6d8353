"""
How tables look on a terminal. Imported only when there is one: rich takes a while to load.

A value is never broken: half an id is no id, and two lines make two numbers of one. What a table does where the
terminal is too narrow for it:

1. columns that may be left out are (they are in a pipe and in ``--json``);
2. names are folded, down to 12 cells;
3. each row becomes a block of its own, a line for each value.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tabvault.faces.cli.output import Column, write

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP_CELL_COUNT: Final = 2
"""Between two columns."""

_FOLDED_CELL_COUNT_MIN: Final = 12


def new_table() -> Table:
    """An empty table in our style: a line under the header and no other."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_edge=False)


def print_table(table: Table) -> None:
    """Print a table, as wide as it needs to be and at most as wide as the terminal."""
    # highlight would colour parts of names that look like numbers or paths
    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(table)


def terminal_width() -> int:
    """Cells in a line of the terminal."""
    return Console(file=sys.stdout).width


def show_for_the_eye(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows*, texts that are safe on a terminal, as the module says."""
    every = range(len(columns))
    needed = [index for index in every if columns[index].narrow != "leave out"]
    for indexes in (every, needed):
        if _width(columns, rows, indexes, is_folded=indexes is needed) <= terminal_width():
            _show_table(columns, rows, indexes)
            return
    _show_blocks(columns, rows)


def _width(columns: Sequence[Column], rows: Sequence[Sequence[str]], indexes: Sequence[int], *, is_folded: bool) -> int:
    widths = [_column_width(columns[index], [row[index] for row in rows], is_folded=is_folded) for index in indexes]
    return sum(widths) + GAP_CELL_COUNT * (len(widths) - 1)


def _column_width(column: Column, texts: Sequence[str], *, is_folded: bool) -> int:
    width = max(map(cell_len, (column.header, *texts)))
    return min(width, _FOLDED_CELL_COUNT_MIN) if is_folded and column.narrow == "fold" else width


def _show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], indexes: Sequence[int]) -> None:
    table = new_table()
    for index in indexes:
        column = columns[index]
        table.add_column(
            Text(column.header),
            justify="right" if column.unit else "left",
            overflow="fold",
            no_wrap=column.narrow != "fold",
        )
    for row in rows:
        table.add_row(*(Text(row[index]) for index in indexes))
    print_table(table)


def _show_blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    width = max(len(column.header) for column in columns)
    blocks = (
        "".join(f"{column.header:<{width}}  {text}\n" for column, text in zip(columns, row, strict=True))
        for row in rows
    )
    write("\n".join(blocks))
