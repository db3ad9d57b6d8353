"""``tabvault export``: tables out to Parquet or CSV, or a whole database out to Power BI Desktop."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import FileOrDatabase, Json, PasswordFile
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import CommandVault, open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size, duration

if TYPE_CHECKING:
    from tabvault.jobs.data_model import ExportedDataModel
    from tabvault.jobs.export import ExportedFile

# Those of tables stand in jobs.export too, whose import would slow --help down; a test compares them.
Format = Annotated[
    Literal["parquet", "csv", "pbix-datamodel"],
    typer.Option("--format", help="Format of the files; pbix-datamodel is the whole database in one."),
]

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
    """Write tables as Parquet or CSV, one file each, or the whole database as Power BI Desktop's DataModel."""
    if format_ == "pbix-datamodel":
        if table is not None:
            raise UsageError(
                "--table is given, and a DataModel is a whole database", hint="leave --table or --format out"
            )
        _export_data_model(target, file_or_database, to, password_file, as_json=as_json)
        return
    tables_format = format_
    with open_vault(target, file=file_or_database) as vault:

        def attempt(password: str | None) -> "list[ExportedFile]":
            with shown_progress(as_json=as_json) as progress:
                return vault.export(
                    file_or_database, to, format_=tables_format, table=table, password=password, progress=progress
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


def _export_data_model(
    target: Target, file_or_database: str, to: pathlib.Path, password_file: str | None, *, as_json: bool
) -> None:
    with open_vault(target, file=file_or_database) as vault:

        def attempt(password: str | None) -> "ExportedDataModel":
            return _data_model(vault, file_or_database, to, password, as_json=as_json)

        file = passwords.with_password(password_file, file_or_database, attempt)
    if as_json:
        output.show_json({"files": [file]})
        return
    for warning in file.warnings:
        output.warn(warning)
    output.show_line(
        f"exported {file.database} to {file.path}: {byte_size(file.byte_count)} for "
        f"{byte_size(file.raw_byte_count)} of files, {duration(file.seconds)}"
    )


def _data_model(
    vault: CommandVault, file_or_database: str, to: pathlib.Path, password: str | None, *, as_json: bool
) -> "ExportedDataModel":
    # It loads pyarrow and numpy, and --help needs neither.
    from tabvault.faces.cli.data_model_export import export_data_model  # noqa: PLC0415

    with shown_progress(as_json=as_json) as progress:
        return export_data_model(vault, file_or_database, to, password=password, progress=progress)
