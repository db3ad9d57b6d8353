"""``tabvault export``: tables out to Parquet or CSV."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.options import FileOrDatabase, Json, PasswordFile
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target

if TYPE_CHECKING:
    from tabvault.jobs.export import ExportedFile

# The formats stand in jobs.export too, whose import would slow --help down; a test compares them.
Format = Annotated[Literal["parquet", "csv"], typer.Option("--format", help="Format of the files.")]

_COLUMNS: Final = (
    Column("table", narrow="fold"),
    Column("rows", "count"),
    Column("columns", "count"),
    Column("size", "bytes"),
    Column("file"),
)


@on_target
def export(
    target: Target,
    file_or_database: FileOrDatabase,
    to: Annotated[
        pathlib.Path,
        typer.Option("--to", metavar="DIR", help="Folder for the files; made if missing, same names are replaced."),
    ],
    format_: Format = "parquet",
    table: Annotated[
        str | None, typer.Option("--table", metavar="T", help="One table.", show_default="every table, hidden ones too")
    ] = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Write tables as Parquet or CSV, one file each."""
    with open_vault(target, file=file_or_database) as vault:

        def attempt(password: str | None) -> "list[ExportedFile]":
            with shown_progress(as_json=as_json) as progress:
                return vault.export(
                    file_or_database, to, format_=format_, table=table, password=password, progress=progress
                )

        files = passwords.with_password(password_file, file_or_database, attempt)
    if as_json:
        output.show_json({"files": files})
        return
    output.show_table(
        _COLUMNS, ((file.table, file.row_count, file.column_count, file.byte_count, str(file.path)) for file in files)
    )
    for file in files:
        for warning in file.warnings:
            output.warn(f"table {file.table}: {warning}")
