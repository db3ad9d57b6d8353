"""``tabvault alias …``: names that clients keep while the server behind them changes."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.storage.server_state.aliases import Alias

_COLUMNS: Final = (Column("alias", narrow="fold"), Column("server", narrow="fold"))

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The alias: letters, digits, dots, _ and -.")]


@on_target
def set_(
    target: Target,
    name: _Name,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="What clients connect to: https://vault.example.com:8282/xmla.")
    ],
    as_json: Json = False,
) -> None:
    """Have an alias stand for a server, a new one or one that there is."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - a third of a second
    from tabvault.storage.server_state.aliases import Alias  # noqa: PLC0415

    alias = Alias(name, url)
    with open_administered(target) as administered:
        administered.set_alias(alias)
        _show(administered.aliases(), as_json=as_json)


@on_target
def list_(target: Target, as_json: Json = False) -> None:
    """List the aliases, and the server that each stands for."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        _show(administered.aliases(), as_json=as_json)


@on_target
def remove(target: Target, name: _Name, as_json: Json = False) -> None:
    """Remove an alias."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.remove_alias(name)
        _show(administered.aliases(), as_json=as_json)


def _show(aliases: "Sequence[Alias]", *, as_json: bool) -> None:
    if as_json:
        output.show_json({"aliases": list(aliases)})
        return
    output.show_table(_COLUMNS, ((alias.name, alias.server) for alias in aliases))
