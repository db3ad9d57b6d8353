"""The arguments and options that several commands share, each described once."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

_DATA_HELP: Final = "Data folder with the databases and settings."
_JSON_HELP: Final = "Print one JSON document, errors included."


@dataclass(frozen=True, slots=True)
class Before:
    """What stood before the command: ``tabvault --data DIR COMMAND``. It is the ``obj`` of the command's context."""

    data: Path | None
    as_json: bool


def _data(context: typer.Context, value: Path | None) -> Path | None:
    """What stands behind the command counts, then what stands before it, then the environment."""
    source = context.get_parameter_source("data")
    before: Before = context.obj
    return value if source is not None and source.name == "COMMANDLINE" else before.data or value


def _as_json(context: typer.Context, value: bool) -> bool:
    before: Before = context.obj
    return value or before.as_json


Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="TABVAULT_DATA",
        help=_DATA_HELP,
        show_default="the platform's folder for user data",
        callback=_data,
    ),
]
DataBefore = Annotated[Path | None, typer.Option("--data", metavar="DIR", help=_DATA_HELP)]

Json = Annotated[bool, typer.Option("--json", help=_JSON_HELP, callback=_as_json)]
JsonBefore = Annotated[bool, typer.Option("--json", help=_JSON_HELP)]

PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="P",
        help="File whose first line is the password; - for standard input. Without it a terminal is asked.",
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what has that name.")]

AnyFile = Annotated[str, typer.Argument(metavar="FILE", help="Local path, or storage:NAME.")]

StoredFile = Annotated[
    str, typer.Argument(metavar="FILE", help="Name in the backup storage, folders allowed: sales/monday.abf.")
]

FileOrDatabase = Annotated[
    str,
    typer.Argument(metavar="FILE|DATABASE", help="Local path, storage:NAME, or name or id of a database."),
]

Database = Annotated[str, typer.Argument(metavar="DATABASE", help="Name or id of the database.")]


def moment(value: str | None) -> datetime.datetime | None:
    """A day or a moment; without an offset from UTC, of this machine's time zone."""
    if value is None:
        return None
    try:
        return datetime.datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{value!r} is no date such as 2030-01-31") from None
