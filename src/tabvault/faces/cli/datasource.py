"""``tabvault datasource …``: where databases get their rows from, with which credentials, and from which folders."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.faces.cli import output, passwords
from tabvault.faces.cli.options import Database, Json, PasswordFile
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

# The number stands in storage.server_state.source_limits too; a test compares them.
ROW_COUNT_LIMIT: Final = 1_000_000_000

_COLUMNS: Final = (
    Column("name", narrow="fold"),
    Column("kind"),
    Column("address", narrow="leave out"),
    Column("tables", narrow="fold"),
    Column("credential", narrow="fold"),
    Column("problem", narrow="fold"),
)

Source = Annotated[str, typer.Argument(metavar="NAME", help="Name of the data source, as datasource list shows it.")]
SourceUser = Annotated[
    str | None,
    typer.Argument(metavar="USER", help="Who asks the source.", show_default="the one that the model names"),
]
RowCount = Annotated[
    int | None,
    typer.Argument(
        metavar="N", min=1, max=ROW_COUNT_LIMIT, help="Rows from now on.", show_default="show how many they are"
    ),
]
Folder = Annotated[str, typer.Argument(metavar="DIR", help="Folder; with --server one of that machine.")]


@on_target
def list_(target: Target, database: Database, as_json: Json = False) -> None:
    """List the data sources of a database, without their credentials."""
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - a third of a second

    with open_sources(target) as sources:
        found = sources.list(database)
    if as_json:
        output.show_json({"data_sources": found})
        return
    output.show_table(
        _COLUMNS,
        (
            (one.name, one.kind, one.address or None, ", ".join(one.tables), one.credential, one.problem)
            for one in found
        ),
    )


@on_target
def set_credential(
    target: Target,
    database: Database,
    name: Source,
    source_user: SourceUser = None,
    password_file: PasswordFile = None,
    as_json: Json = False,
) -> None:
    """
    Give a data source its credential.

    It stays on the server, goes into no backup, and is used for the address that the model says now and no other.
    """
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target) as sources:
        sources.check(database, name)
        password = passwords.existing_password(password_file, f"data source {name}")
        sources.set_credential(database, name, user=source_user, password=password)
    if as_json:
        output.show_json({"database": database, "data_source": name, "user": source_user})
    else:
        output.show_line(f"set the credential of {name}")


@on_target
def remove_credential(target: Target, database: Database, name: Source, as_json: Json = False) -> None:
    """Remove the credential of a data source."""
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target) as sources:
        sources.remove_credential(database, name)
    if as_json:
        output.show_json({"database": database, "data_source": name})
    else:
        output.show_line(f"removed the credential of {name}")


@on_target
def connect(target: Target, database: Database, name: Source, as_json: Json = False) -> None:
    """Connect to a data source, and ask it for nothing."""
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target) as sources:
        sources.test(database, name)
    if as_json:
        output.show_json({"database": database, "data_source": name})
    else:
        output.show_line(f"{name} can be read")


@on_target
def folders(target: Target, as_json: Json = False) -> None:
    """List the folders whose files data sources may read."""
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target) as sources:
        _show_folders(sources.folders(), as_json=as_json)


@on_target
def allow_folder(target: Target, folder: Folder, as_json: Json = False) -> None:
    """Let data sources read the files below a folder."""
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target, makes_folder=True) as sources:
        _show_folders(sources.allow_folder(folder), as_json=as_json)


@on_target
def disallow_folder(target: Target, folder: Folder, as_json: Json = False) -> None:
    """Let data sources read a folder no more."""
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target) as sources:
        _show_folders(sources.disallow_folder(folder), as_json=as_json)


@on_target
def row_limit(target: Target, row_count: RowCount = None, as_json: Json = False) -> None:
    """
    Show or set how many rows a data source may give for one question of a query.

    It goes for tables in DirectQuery mode, from the next query on.
    """
    from tabvault.faces.cli.source_administration import open_sources  # noqa: PLC0415 - as above

    with open_sources(target, makes_folder=row_count is not None) as sources:
        if row_count is not None:
            sources.set_row_count_max(row_count)
        row_count_max = sources.row_count_max() if row_count is None else row_count
    if as_json:
        output.show_json({"direct_query_row_count_max": row_count_max})
    else:
        output.show_line(f"a data source may give up to {quantity(row_count_max, 'row')} for one question of a query")


def _show_folders(found: "Sequence[str]", *, as_json: bool) -> None:
    if as_json:
        output.show_json({"folders": found})
    else:
        output.show_table((Column("folder", narrow="fold"),), ((folder,) for folder in found))
