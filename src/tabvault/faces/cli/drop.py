"""``tabvault drop``: a database out of the data folder."""

import sys
from typing import Annotated

import typer

from tabvault.errors import JobCancelledError
from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Data, Database, Json
from tabvault.faces.cli.session import open_vault
from tabvault.faces.cli.text import printable


def drop(
    database: Database,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Remove a database. Its backups stay."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("dropping needs a yes, and there is no terminal to ask on", hint="add --yes")
    with open_vault(data) as vault:
        name = vault.folder.find(database).name
        if not yes and not _confirmed(name):
            raise JobCancelledError(f"database {name!r} was not dropped")
        vault.drop(database)
    if as_json:
        output.show_json({"database": name, "dropped": True})
    else:
        output.show_line(f"dropped {name}")


def _confirmed(name: str) -> bool:
    output.say(f"Drop database {printable(name)}? Its backups stay. [y/N] ")
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
