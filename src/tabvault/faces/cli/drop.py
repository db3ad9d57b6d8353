"""``tabvault drop``: a database out of the data folder."""

import sys
from typing import Annotated

import typer

from tabvault.errors import JobCancelledError
from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Database, Json
from tabvault.faces.cli.session import open_vault
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import printable


@on_target
def drop(
    target: Target,
    database: Database,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a database. Its backups stay."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("dropping needs a yes, and there is no terminal to ask on", hint="add --yes")
    with open_vault(target) as vault:
        name = vault.database_name(database)
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
