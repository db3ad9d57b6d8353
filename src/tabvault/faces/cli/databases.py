"""``tabvault databases``: what the data folder holds."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import open_vault
from tabvault.faces.cli.target import Target, on_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.faces.cli.output import Cell
    from tabvault.jobs.listing import BackupState, DatabaseListing, DetachedListing

_COLUMNS: Final = (
    Column("name", narrow="fold"),
    Column("id", narrow="leave out"),
    Column("level"),
    Column("mode"),
    Column("size", "bytes"),
    Column("rows", "count"),
    Column("state"),
    Column("last backup"),
)

_DETACHED_COLUMNS: Final = (
    Column("folder", narrow="fold"),
    Column("name", narrow="fold"),
    Column("level"),
    Column("size", "bytes"),
    Column("state"),
)

_LOST: "Final[dict[BackupState | None, str]]" = {
    "changed": "is not there any more, another file has its name",
    "gone": "is not there any more",
}


@on_target
def databases(
    target: Target,
    detached: Annotated[
        bool, typer.Option("--detached", help="List those out of service instead, which can be attached.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the databases: size, rows, state, last backup."""
    with open_vault(target) as vault:
        if detached:
            _show_detached(vault.detached(), as_json=as_json)
            return
        listings = vault.databases()
    if as_json:
        output.show_json({"databases": listings})
        return
    for listing in listings:
        if listing.problem is not None:
            output.warn(f"{listing.name}: {listing.problem}")
        lost = _LOST.get(listing.last_backup_state)
        if lost is not None:
            output.warn(f"{listing.name}: its last backup, {listing.last_backup_file}, {lost}")
    output.show_table(_COLUMNS, map(_row, listings))


def _show_detached(listings: "Sequence[DetachedListing]", *, as_json: bool) -> None:
    if as_json:
        output.show_json({"databases": listings})
        return
    for listing in listings:
        if listing.problem is not None:
            output.warn(f"{listing.folder}: {listing.problem}")
    output.show_table(
        _DETACHED_COLUMNS,
        ((one.folder, one.name, one.compatibility_level, one.byte_count, _state(one)) for one in listings),
    )


def _state(listing: "DatabaseListing | DetachedListing") -> str:
    is_writable = listing.read_write_mode in {None, "readWrite"}
    return listing.state if is_writable else f"{listing.state}, {listing.read_write_mode}"


def _row(listing: "DatabaseListing") -> "Sequence[Cell]":
    return (
        listing.name,
        listing.id,
        listing.compatibility_level,
        listing.mode,
        listing.byte_count,
        listing.row_count,
        _state(listing),
        listing.last_backup,
    )
