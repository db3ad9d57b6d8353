"""The arguments and options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="TABVAULT_DATA",
        help="Data folder with the databases and settings.",
        show_default="the platform's folder for user data",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, errors included.")]

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
