"""``tabvault storage containers …``: the containers of a storage account, to choose one for backups."""

from typing import Annotated, Final

import typer

from tabvault.errors import ObjectExistsError
from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.storage_accounts import Account
from tabvault.faces.cli.target import Target, on_target

_COLUMNS: Final = (Column("name", narrow="fold"), Column("modified"))

Container = Annotated[
    str,
    typer.Argument(metavar="ACCOUNT/CONTAINER", help="A container of a storage account, or of a folder by its path."),
]


@on_target
def list_(
    target: Target,
    account: Account,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="What their names begin with.", show_default="all of them")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the containers of a storage account: name, and when it was changed."""
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - a third of a second

    with open_backup_storage(target) as storage:
        containers = storage.containers(account, prefix)
    if as_json:
        output.show_json({"account": account, "containers": list(containers)})
        return
    output.show_table(_COLUMNS, ((container.name, container.last_modified) for container in containers))


@on_target
def create(target: Target, container: Container, as_json: Json = False) -> None:
    """Make a container in a storage account."""
    account, name = split(container)
    from tabvault.faces.cli.backup_storage import open_backup_storage  # noqa: PLC0415 - as above

    with open_backup_storage(target) as storage:
        try:
            made = storage.create_container(account, name)
        except ObjectExistsError as error:
            error.hint = f"choose another name; tabvault storage containers list {account} shows those that there are"
            raise
    if as_json:
        output.show_json({"account": account, "name": made.name, "last_modified": made.last_modified})
        return
    output.show_line(f"created container {made.name} in {account}")
    output.show_line(f"backups go there with: tabvault storage settings set {account}/{made.name}")


def split(text: str) -> tuple[str, str]:
    """Account and container of ``ACCOUNT/CONTAINER``; an account with a slash in it is the whole path of a folder."""
    account, _, name = text.rpartition("/")
    if not account or not name:
        raise UsageError(
            f"{text!r} is not an account and a container", hint="write both with a slash between: contoso/backups"
        )
    if "/" in account and not account.startswith("/"):
        raise UsageError(
            f"{account!r} is neither the name of an account nor the whole path of a folder",
            hint="an account's name has no slash; the path of a folder begins with one",
        )
    return account, name
