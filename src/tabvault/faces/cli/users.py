"""``tabvault user …``: who may log in to a server."""

from typing import Annotated, Final

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target

_COLUMNS: Final = (Column("user", narrow="fold"), Column("administrator"), Column("created"))

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
_NewPasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="P",
        help="File whose first line is his password; - for standard input. Without it a terminal is asked twice.",
    ),
]


@on_target
def add(
    target: Target,
    name: _Name,
    admin: Annotated[bool, typer.Option("--admin", help="Make him a server administrator.")] = False,
    password_file: _NewPasswordFile = None,
    as_json: Json = False,
) -> None:
    """Add a user to the server."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - a third of a second

    with open_administered(target) as administered:
        password = passwords.new_login_password(password_file, name)
        administered.add_user(name, password, is_server_administrator=admin)
    _show("added", name, as_json=as_json)


@on_target
def list_(target: Target, as_json: Json = False) -> None:
    """List the users of the server."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        users = administered.users()
    if as_json:
        output.show_json({"users": users})
    else:
        output.show_table(_COLUMNS, ((user.name, user.is_server_administrator, user.created) for user in users))


@on_target
def remove(target: Target, name: _Name, as_json: Json = False) -> None:
    """Remove a user and his API keys. The last administrator stays."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.remove_user(name)
    _show("removed", name, as_json=as_json)


@on_target
def password(target: Target, name: _Name, password_file: _NewPasswordFile = None, as_json: Json = False) -> None:
    """Give a user another password. His API keys stay."""
    from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

    with open_administered(target) as administered:
        administered.set_password(name, passwords.new_login_password(password_file, name))
    _show("changed the password of", name, as_json=as_json)


def _show(done: str, name: str, *, as_json: bool) -> None:
    if as_json:
        output.show_json({"user": name})
    else:
        output.show_line(f"{done} {name}")
