"""``tabvault restore``: a database from a file in the backup storage."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.options import Json, Overwrite, PasswordFile, StoredFile
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size, duration, quantity
from tabvault.jobs.database_name import STORAGE_PREFIX

if TYPE_CHECKING:
    from tabvault.jobs.restore import RestoreResult

# The two lists stand in jobs.landing too, whose import would slow --help down; a test compares them.
Security = Annotated[
    Literal["copyAll", "skipMembership", "ignoreSecurity"],
    typer.Option(
        "--security",
        help="Roles and members: those of the backup; only its roles; or those of the database that is replaced.",
    ),
]
ReadWriteMode = Annotated[
    Literal["readWrite", "readOnly", "readOnlyExclusive"],
    typer.Option("--read-write-mode", help="Mode of the restored database."),
]
NewDatabase = Annotated[
    str | None,
    typer.Argument(metavar="DATABASE", help="Name to restore under.", show_default="the one in the backup"),
]


@on_target
def restore(
    target: Target,
    file: StoredFile,
    database: NewDatabase = None,
    overwrite: Overwrite = False,
    password_file: PasswordFile = None,
    security: Security = "copyAll",
    read_write_mode: ReadWriteMode = "readWrite",
    force: Annotated[
        bool, typer.Option("--force", help="For scripts of Analysis Services; nothing needs to be unloaded here.")
    ] = False,
    ignore_incompatibilities: Annotated[
        bool, typer.Option("--ignore-incompatibilities", help="Drop roles without read permission.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore a database from the backup storage."""
    with open_vault(target, file=f"{STORAGE_PREFIX}{file}") as vault:

        def attempt(password: str | None) -> None:
            with shown_progress(as_json=as_json) as progress:
                result = vault.restore(
                    file,
                    database,
                    overwrite=overwrite,
                    password=password,
                    security=security,
                    read_write_mode=read_write_mode,
                    force=force,
                    ignore_incompatibilities=ignore_incompatibilities,
                    progress=progress,
                )
            show_result("restored", result, as_json=as_json)

        passwords.with_password(password_file, file, attempt)


def show_result(done: str, result: "RestoreResult", *, as_json: bool) -> None:
    """Say what was restored or imported."""
    if as_json:
        output.show_json(result)
        return
    for warning in result.warnings:
        output.warn(warning)
    output.show_line(
        f"{done} {result.database}{' (replaced)' if result.replaced else ''} from {result.file}: "
        f"compatibility level {result.compatibility_level}, {quantity(result.file_count, 'file')}, "
        f"{byte_size(result.raw_byte_count)}, {duration(result.seconds)}"
    )
