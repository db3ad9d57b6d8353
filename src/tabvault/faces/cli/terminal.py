"""How tables look on a terminal. Imported only when there is one: rich takes a while to load."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table


def new_table() -> Table:
    """An empty table in our style: a line under the header and no other."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)


def print_table(table: Table) -> None:
    """Print a table, as wide as it needs to be and at most as wide as the terminal."""
    # highlight would colour parts of names that look like numbers or paths
    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(table)


def terminal_width() -> int:
    """Cells in a line of the terminal."""
    return Console(file=sys.stdout).width
