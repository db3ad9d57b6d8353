"""``tabvault query``: SQL over the tables of a database, and its DMVs."""

import contextlib
import itertools
import json
import re
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.errors import QueryError
from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.failure import error_document
from tabvault.faces.cli.options import FileOrDatabase, Json, PasswordFile
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import field
from tabvault.jobs.progress import ProgressMeter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from tabvault.faces.cli.session import CommandVault

SHOWN_ROW_COUNT = 100
"""Rows that a terminal gets."""

_TIMEOUT_S_MAX: Final = 86_400

_SHELL_TOOK_SYSTEM = re.compile(r"(?i)\bfrom\s+\.\w")
"""What a shell leaves of ``FROM $SYSTEM.TMSCHEMA_TABLES`` in double quotes."""


def _seconds(value: float | None) -> float | None:
    if value is not None and not 0 < value <= _TIMEOUT_S_MAX:
        raise typer.BadParameter(f"{value:g} is no number of seconds from over 0 to {_TIMEOUT_S_MAX}")
    return value


@on_target
def query(
    target: Target,
    file_or_database: FileOrDatabase,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A SELECT, best in single quotes because of $SYSTEM.")],
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help="End the query with an error after this time.",
            callback=_seconds,
        ),
    ] = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    r"""
    Ask a database or a backup in SQL, or for a DMV.

    A pipe gets every row, tab-separated, NULL as \N; a terminal gets the first 100.
    """
    try:
        with open_vault(target, file=file_or_database) as vault:

            def attempt(password: str | None) -> None:
                _ask(vault, file_or_database, sql, password=password, timeout_s=timeout, as_json=as_json)

            passwords.with_password(password_file, file_or_database, attempt)
    except QueryError as error:
        if error.hint is None and _SHELL_TOOK_SYSTEM.search(sql):
            error.hint = "the shell replaced $SYSTEM by nothing; put the query in single quotes"
        if error.line is not None and error.column is not None:
            _show_place(error, sql, line=error.line, column=error.column)
        raise


def _ask(
    vault: "CommandVault", database: str, sql: str, *, password: str | None, timeout_s: float | None, as_json: bool
) -> None:
    for_the_eye = sys.stdout.isatty() and not as_json
    with contextlib.ExitStack() as stack:
        with shown_progress(as_json=as_json) as progress:
            ProgressMeter(progress).step("asking", None, unit="")
            answer = stack.enter_context(vault.query(database, sql, password=password, timeout_s=timeout_s))
            batches = _read_ahead(answer.batches, row_count=SHOWN_ROW_COUNT + 1 if for_the_eye else 1)
        if as_json:
            _show_json(answer.schema, batches)
        elif for_the_eye:
            _show_first_rows(answer.schema, batches)
        else:
            _show_tab_separated(answer.schema, batches)


def _read_ahead(batches: "Iterator[pa.RecordBatch]", *, row_count: int) -> "Iterator[pa.RecordBatch]":
    """The same batches, those with the first *row_count* rows read: from then on something is seen of the answer."""
    read = []
    for batch in batches:
        read.append(batch)
        row_count -= batch.num_rows
        if row_count <= 0:
            break
    return itertools.chain(read, batches)


def _show_place(error: QueryError, sql: str, *, line: int, column: int) -> None:
    from tabvault.faces.cli.excerpt import excerpt  # noqa: PLC0415 - rich

    for text in excerpt(sql, line=line, column=column):
        error.add_note(text)


def _show_tab_separated(schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]") -> None:
    from tabvault.faces import rows  # noqa: PLC0415 - pyarrow

    output.write("\t".join(map(field, schema.names)) + "\n")
    for batch in batches:
        output.write("".join(f"{line}\n" for line in rows.lines(batch, rows.TAB_SEPARATED, separator="\t")))


def _show_json(schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]") -> None:
    """One document, written as the rows come. An error after the first ones is its last member: it stays JSON."""
    from tabvault.faces import rows  # noqa: PLC0415 - pyarrow

    columns = ", ".join(json.dumps({"name": column.name, "type": str(column.type)}) for column in schema)
    output.write(f'{{\n  "columns": [{columns}],\n  "rows": [')
    row_count = 0
    failed: Exception | None = None
    try:
        for batch in batches:
            lines = rows.lines(batch, rows.JSON, separator=", ")
            output.write("".join(f"{',' if row_count + i else ''}\n    [{line}]" for i, line in enumerate(lines)))
            row_count += len(lines)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - told at the edge, which this is when half of a document is out
        failed = error
    output.write(f'\n  ],\n  "row_count": {row_count}')
    if failed is not None:
        output.write(f',\n  "error": {json.dumps(error_document(failed))}\n}}\n')
        raise typer.Exit(1)
    output.write("\n}\n")


def _show_first_rows(schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]") -> None:
    from tabvault.faces.cli.terminal_rows import show_first_rows  # noqa: PLC0415 - rich and pyarrow, a terminal only

    is_cut = show_first_rows(schema, batches, row_count_max=SHOWN_ROW_COUNT)
    if is_cut:
        output.complain("note", f"the first {SHOWN_ROW_COUNT} rows; a pipe, a file or --json gets them all")
