"""``tabvault import``: a database from a backup, a ``.pbix`` or a Power BI cache that lies anywhere."""

from typing import Annotated

import typer

from tabvault.faces.cli import passwords
from tabvault.faces.cli.options import Json, Overwrite, PasswordFile
from tabvault.faces.cli.restore import show_result
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target

Path = Annotated[str, typer.Argument(metavar="PATH", help=".abf, .pbix or cache.abf: a local path, or storage:NAME.")]
NewDatabase = Annotated[
    str | None,
    typer.Argument(metavar="DATABASE", help="Name of the database.", show_default="the file's name without its ending"),
]


@on_target
def import_(
    target: Target,
    path: Path,
    database: NewDatabase = None,
    overwrite: Overwrite = False,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """Make a database of an .abf, a .pbix or a Power BI cache.abf."""
    with open_vault(target, file=path) as vault:

        def attempt(password: str | None) -> None:
            with shown_progress(as_json=as_json) as progress:
                result = vault.import_file(path, database, overwrite=overwrite, password=password, progress=progress)
            show_result("imported", result, as_json=as_json)

        passwords.with_password(password_file, path, attempt)
