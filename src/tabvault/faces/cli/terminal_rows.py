"""The first rows of a query result on a terminal: a table, or, where that is too wide, one record after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from rich.cells import cell_len
from rich.text import Text

from tabvault.faces import rows
from tabvault.faces.cli.output import write
from tabvault.faces.cli.terminal import GAP_CELL_COUNT, new_table, print_table, terminal_width
from tabvault.faces.text import printable, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

_NULL = Text("NULL", style="dim")


def show_first_rows(schema: pa.Schema, batches: Iterator[pa.RecordBatch], *, row_count_max: int) -> bool:
    """
    Print at most *row_count_max* rows, and read no more batches than they need.

    Returns:
        Whether there are more.
    """
    texts, is_cut = _first_rows(batches, row_count_max)
    names = [printable(name) for name in schema.names]
    if _width(names, texts) > terminal_width():
        _show_records(names, texts)
    else:
        _show_table(schema, names, texts)
    if not is_cut:
        write(f"({quantity(len(texts), 'row')})\n")
    return is_cut


def _first_rows(batches: Iterator[pa.RecordBatch], row_count_max: int) -> tuple[list[list[str | None]], bool]:
    texts: list[list[str | None]] = []
    for batch in batches:
        room = row_count_max - len(texts)
        if batch.num_rows and not room:
            return texts, True
        columns = [rows.spelled(column, rows.TERMINAL).to_pylist() for column in batch.slice(0, room).columns]
        texts.extend(list(row) for row in zip(*columns, strict=True))
        if batch.num_rows > room:
            return texts, True
    return texts, False


def _width(names: list[str], texts: list[list[str | None]]) -> int:
    columns = zip(names, *texts, strict=True)
    return sum(max(cell_len(text or "NULL") for text in column) + GAP_CELL_COUNT for column in columns)


def _show_table(schema: pa.Schema, names: list[str], texts: list[list[str | None]]) -> None:
    table = new_table()
    for name, type_ in zip(names, schema.types, strict=True):
        is_number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
        table.add_column(Text(name), justify="right" if is_number else "left", no_wrap=True)
    for row in texts:
        table.add_row(*(_NULL if text is None else Text(text) for text in row))
    print_table(table)


def _show_records(names: list[str], texts: list[list[str | None]]) -> None:
    for number, row in enumerate(texts, start=1):
        write(f"-- row {number}\n")
        table = new_table()
        table.show_header = False
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in zip(names, row, strict=True):
            table.add_row(Text(name), _NULL if text is None else Text(text))
        print_table(table)
