r"""
What goes to standard output: results, and nothing else.

=====================  ==========================================================================================
standard output is     what it gets
=====================  ==========================================================================================
a terminal             tables with aligned columns, sizes in KiB and MiB, times in the local zone, colour
a file or a pipe       the same facts for programs: a header line, then one line per row, fields separated by tabs,
                       sizes in bytes, times in UTC (ISO 8601), ``-`` for what is unknown; escapes as in
                       :func:`tabvault.faces.text.field`; never cut off, never coloured
any, with ``--json``   one JSON document, in ASCII (``\u001b`` for what would act on a terminal)
=====================  ==========================================================================================

Standard error carries the rest: progress, warnings, questions, errors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from tabvault.errors import TabvaultError
from tabvault.faces.text import byte_size, field, local_time, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Cell = str | int | bool | datetime.datetime | None
Colour = Literal["red", "yellow", "green"]

_COLOUR_CODES: Mapping[Colour, str] = {"red": "1;31", "yellow": "1;33", "green": "32"}


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """
    A column of a table.

    Attributes:
        header: its name.
        unit: how a terminal shows its numbers.
        narrow: what becomes of its values where a terminal is too narrow for the table.
    """

    header: str
    unit: Literal["count", "bytes"] | None = None
    narrow: Literal["keep", "fold", "leave out"] = "keep"


def write(text: str) -> None:
    """
    Write to standard output.

    Raises:
        BrokenPipeError: nobody reads any more.
        TabvaultError: it cannot be written, for instance because a disk is full.
    """
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise _output_error(error) from error


def flush() -> None:
    """Hand everything written to the operating system; raises as :func:`write`."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _output_error(error) from error


def _output_error(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    return TabvaultError(f"standard output cannot be written: {(error.strerror or 'unknown error').lower()}")


def show_line(text: str) -> None:
    """One line for a person."""
    write(f"{printable(text)}\n")


def show_json(document: object) -> None:
    """One JSON document. Dataclasses become objects, times ISO 8601 in UTC, paths text."""
    write(json.dumps(document, indent=2, default=_jsonable) + "\n")


def _jsonable(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, datetime.datetime):
        return _utc(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a result")


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """A table: for the eye on a terminal, tab-separated elsewhere."""
    if sys.stdout.isatty():
        from tabvault.faces.cli.terminal import show_for_the_eye  # noqa: PLC0415 - rich, for a terminal only

        show_for_the_eye(columns, [[_readable(cell, columns[i]) for i, cell in enumerate(row)] for row in rows])
        return
    write("\t".join(column.header for column in columns) + "\n")
    for row in rows:
        write("\t".join(_exact(cell) for cell in row) + "\n")


def show_facts(facts: Mapping[str, tuple[Cell, str]]) -> None:
    """
    Single facts, one a line.

    Args:
        facts: by name, the exact value for programs and the words for people.
    """
    if not sys.stdout.isatty():
        for name, (cell, _) in facts.items():
            write(f"{name}\t{_exact(cell)}\n")
        return
    width = max(map(len, facts))
    for name, (_, words) in facts.items():
        write(f"{name:<{width}}  {printable(words)}\n")


def _exact(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime.datetime):
        return _utc(cell)
    return field(str(cell))


def _readable(cell: Cell, column: Column) -> str:
    if isinstance(cell, datetime.datetime):
        return local_time(cell)
    if isinstance(cell, int) and column.unit == "bytes":
        return byte_size(cell)
    if isinstance(cell, int) and column.unit == "count":
        return f"{cell:,}"
    return printable(cell) if isinstance(cell, str) else _exact(cell)


def _utc(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def warn(text: str) -> None:
    """A warning, on standard error."""
    complain(coloured("warning", "yellow", sys.stderr), text)


def complain(label: str, text: str) -> None:
    """A labelled line on standard error."""
    say(f"{label}: {printable(text)}\n")


def say(text: str) -> None:
    """Write to standard error, *text* as it is. Where that is closed, nobody wanted to know."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def coloured(text: str, colour: Colour, stream: IO[Any]) -> str:
    """*text* in colour where *stream* is a terminal that wants any (https://no-color.org)."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOUR_CODES[colour]}m{text}\x1b[0m"
