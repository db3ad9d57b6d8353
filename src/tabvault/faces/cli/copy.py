"""``tabvault copy``: a database to another server."""

import pathlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Database, Json
from tabvault.faces.cli.restore import Security
from tabvault.faces.cli.session import connected, open_vault, shown_progress
from tabvault.faces.cli.target import Server, Target, on_target
from tabvault.faces.text import byte_size, duration, quantity

if TYPE_CHECKING:
    from tabvault.faces.cli.copying import CopyResult

TARGET_API_KEY_VARIABLE: Final = "TABVAULT_TO_API_KEY"

_WAYS: Final = {
    "shared container": "through a container that both have",
    "streamed": "through this machine",
    "none": "it was there already",
}


@on_target
def copy(
    target: Target,
    database: Database,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The server to copy to.", envvar="TABVAULT_TO")],
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name of the copy.", show_default="the same")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a database of that name there.")] = False,
    security: Security = "copyAll",
    through: Annotated[
        str | None,
        typer.Option(
            "--through",
            metavar="FILE",
            help="Name of the file in between, in both storages. Its own name is found again by the next try, this "
            "one is not.",
            show_default="one of its own",
        ),
    ] = None,
    password_file: Annotated[
        str | None,
        typer.Option(
            "--password-file", metavar="P", help="Encrypt the file in between with the first line of this file."
        ),
    ] = None,
    keep_file: Annotated[bool, typer.Option("--keep-file", help="Leave the file in between where it is.")] = False,
    alias: Annotated[
        str | None,
        typer.Option(
            "--alias", metavar="NAME", help="Have this alias stand for the other server then, there and here."
        ),
    ] = None,
    to_user: Annotated[str | None, typer.Option("--to-user", metavar="NAME", help="Log in there as this user.")] = None,
    to_login_password_file: Annotated[
        str | None,
        typer.Option(
            "--to-login-password-file",
            metavar="P",
            help="With --to-user: file whose first line is his password. Without it a terminal is asked.",
        ),
    ] = None,
    to_api_key_file: Annotated[
        str | None,
        typer.Option("--to-api-key-file", metavar="K", help="File whose first line is an API key for there."),
    ] = None,
    to_ca_file: Annotated[
        pathlib.Path | None,
        typer.Option("--to-ca-file", metavar="F", help="PEM file of who vouches for the certificate there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a database to another server: back it up here, restore it there, compare."""
    if to_login_password_file is not None and to_user is None:
        raise UsageError("--to-login-password-file is given without --to-user", hint="add --to-user")
    if to_api_key_file is not None and to_user is not None:
        raise UsageError("--to-user and --to-api-key-file are two credentials", hint="leave one of them out")
    server = Server(to, to_user, to_login_password_file, to_api_key_file, to_ca_file, TARGET_API_KEY_VARIABLE)
    from tabvault.faces.cli.copying import CopyRequest, copy_database  # noqa: PLC0415 - pyarrow and numpy
    from tabvault.faces.cli.remote.copy_target import CopyTarget  # noqa: PLC0415 - as above

    connection = connected(server)
    password = None if password_file is None else passwords.read_password(password_file)
    switch = None if alias is None else _Switch(alias, f"{connection.url}/xmla", (Target(None, server), target))
    if switch is not None:
        switch.check()
    request = CopyRequest(database, as_, overwrite, through, keep_file, security)
    with open_vault(target) as source, shown_progress(as_json=as_json) as progress:
        result = copy_database(source, CopyTarget(connection), request, password=password, progress=progress)
    if switch is not None:
        switch.make()
    _show(result, alias, as_json=as_json)


class _Switch:
    """An alias that is to stand for the server of the copy: there first, then where the database comes from."""

    def __init__(self, name: str, url: str, targets: tuple[Target, ...]) -> None:
        from tabvault.storage.server_state.aliases import Alias  # noqa: PLC0415 - --help needs none

        self._alias = Alias(name, url)
        self._targets = targets

    def check(self) -> None:
        """Whether who asks may: said before gigabytes are moved."""
        from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - a third of a second

        for target in self._targets:
            with open_administered(target) as administered:
                administered.aliases()

    def make(self) -> None:
        from tabvault.faces.cli.administration import open_administered  # noqa: PLC0415 - as above

        for target in self._targets:
            with open_administered(target) as administered:
                administered.set_alias(self._alias)


def _show(result: "CopyResult", alias: str | None, *, as_json: bool) -> None:
    if as_json:
        output.show_json({**asdict(result), "alias": alias})
        return
    for warning in result.warnings:
        output.warn(warning)
    size = "" if result.file_byte_count is None else f", {byte_size(result.file_byte_count)}"
    done = f", with the {' and the '.join(result.taken_over)} of an earlier try" if result.taken_over else ""
    output.show_line(
        f"copied {result.database} to {result.new_name}{' (replaced)' if result.replaced else ''} at {result.target}: "
        f"{_WAYS[result.way]}{size}{done}, {duration(result.seconds)}"
    )
    output.show_line(
        f"compared: compatibility level {result.compatibility_level}, {quantity(result.table_count, 'table')}, "
        f"{quantity(result.row_count, 'row')}, {quantity(result.role_count, 'role')}"
    )
    if alias is not None:
        output.show_line(f"alias {alias} stands for {result.target}/xmla")
