"""``tabvault key …``: API keys, by which programs act for a user of a server."""

from typing import Annotated, Final

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json, moment
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target

_COLUMNS: Final = (
    Column("id"),
    Column("name", narrow="fold"),
    Column("user", narrow="fold"),
    Column("scopes"),
    Column("databases", narrow="fold"),
    Column("expires"),
    Column("last used"),
)


_Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope", metavar="SCOPE", help="What it is good for: read, backup, restore or admin; may be repeated."
    ),
]


@on_target
def add(
    target: Target,
    owner: Annotated[str, typer.Argument(metavar="USER", help="For whom the key acts.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    scope: _Scopes,
    database: Annotated[
        list[str] | None,
        typer.Option(
            "--database",
            metavar="DATABASE",
            help="Good for this database only; may be repeated.",
            show_default="all databases",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="From when on it is refused: 2030-01-31.", show_default="never"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an API key. It is shown once."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - a third of a second

    end = moment(expires)
    with open_administered(target) as administered:
        key, secret = administered.add_key(owner, name, scope, databases=database or None, expires=end)
    if as_json:
        output.show_json({"key": key, "secret": secret})
    else:
        output.show_line(secret)
        output.say("Keep it in a file that nobody else can read; it is not shown again.\n")


@on_target
def list_(target: Target, as_json: Json = False) -> None:
    """List the API keys, without their secrets."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        keys = administered.keys()
    if as_json:
        output.show_json({"keys": keys})
        return
    output.show_table(
        _COLUMNS,
        (
            (
                key.id,
                key.name,
                key.owner,
                ", ".join(key.scopes),
                None if key.databases is None else ", ".join(key.databases),
                key.expires,
                key.last_used,
            )
            for key in keys
        ),
    )


@on_target
def revoke(
    target: Target,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As key list shows it.")],
    as_json: Json = False,
) -> None:
    """Revoke an API key, at once."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.revoke_key(key_id)
    if as_json:
        output.show_json({"key": key_id})
    else:
        output.show_line(f"revoked {key_id}")
