"""``tabvault backup``: a database into a file of the backup storage."""

from typing import Annotated

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Database, Json
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size, duration

NewFile = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help="Name in the backup storage, folders allowed: sales/monday.abf.",
        show_default="DATABASE.abf",
    ),
]
NewPasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="P",
        help="With --encrypt: file whose first line is the password; - for standard input. "
        "Without it a terminal is asked twice.",
    ),
]


@on_target
def backup(
    target: Target,
    database: Database,
    file: NewFile = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
    no_compress: Annotated[bool, typer.Option("--no-compress", help="Write the files as they are.")] = False,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt with a password (age format).")] = False,
    password_file: NewPasswordFile = None,
    as_json: Json = False,
) -> None:
    """Back a database up into the backup storage."""
    if password_file is not None and not encrypt:
        raise UsageError(
            "--password-file is given without --encrypt", hint="add --encrypt, or leave --password-file out"
        )
    with open_vault(target) as vault:
        password = None
        if encrypt:
            # What is wrong without any password is said before somebody has typed one twice.
            vault.check_backup(database)
            password = passwords.new_password(password_file)
        with shown_progress(as_json=as_json) as progress:
            result = vault.backup(
                database, file, overwrite=overwrite, compress=not no_compress, password=password, progress=progress
            )
    if as_json:
        output.show_json(result)
        return
    for warning in result.warnings:
        output.warn(warning)
    output.show_line(
        f"backed up {result.database} to {result.file}: {byte_size(result.byte_count)} for "
        f"{byte_size(result.raw_byte_count)} of files, {'compressed' if result.compressed else 'not compressed'}, "
        f"{'encrypted' if result.encrypted else 'not encrypted'}, {duration(result.seconds)}"
    )
