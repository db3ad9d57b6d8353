"""``tabvault refresh``: the rows of a database read anew from their sources."""

from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.options import Database, Json
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import duration, quantity

if TYPE_CHECKING:
    from tabvault.jobs.processing.result import RefreshResult

# The list and the numbers stand in jobs.processing.request too; a test compares them.
RefreshType = Annotated[
    Literal["full", "dataOnly", "calculate", "automatic", "clearValues", "add", "defragment"],
    typer.Option("--type", help="What to do; as in TMSL.", metavar="TYPE"),
]
PARALLELISM_DEFAULT: Final = 4
PARALLELISM_MAX: Final = 64

_COLUMNS: Final = (
    Column("table", narrow="fold"),
    Column("partition", narrow="fold"),
    Column("rows", "count"),
    Column("seconds"),
)


@on_target
def refresh(
    target: Target,
    database: Database,
    type_: RefreshType = "automatic",
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="TABLE", help="Only this table; may be repeated.", show_default="all"),
    ] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", metavar="PARTITION", help="Only this partition of the one table; may be repeated."),
    ] = None,
    keep_calculated: Annotated[
        bool,
        typer.Option(
            "--keep-calculated", help="Calculated columns and tables (DAX) keep their values, which may be out of date."
        ),
    ] = False,
    parallelism: Annotated[
        int,
        typer.Option("--parallelism", min=1, max=PARALLELISM_MAX, metavar="N", help="Partitions to read at a time."),
    ] = PARALLELISM_DEFAULT,
    as_json: Json = False,
) -> None:
    """
    Read the rows of a database from its data sources.

    TYPE is full (everything anew), dataOnly, calculate, automatic (what is not up to date), clearValues, add (rows
    behind those of a partition) or defragment. The database is served as it was until all is done.
    """
    from tabvault.jobs.processing.request import RefreshKind, RefreshRequest, RefreshTarget  # noqa: PLC0415 - for --help

    tables = table or []
    if partition and len(tables) != 1:
        raise UsageError("--partition is given without the one table that has it", hint="add --table TABLE")
    targets = (
        tuple(RefreshTarget(tables[0], name) for name in partition)
        if partition
        else tuple(RefreshTarget(name) for name in tables)
    )
    request = RefreshRequest(RefreshKind(type_), targets, keep_calculated=keep_calculated, parallelism=parallelism)
    with open_vault(target) as vault:
        with shown_progress(as_json=as_json) as progress:
            result = vault.refresh(database, request, progress=progress)
        if as_json:
            output.show_json(result)
        else:
            _show(result)


def _show(result: "RefreshResult") -> None:
    for folded in result.folded:
        spellings = quantity(folded.spelling_count, "spelling")
        output.warn(
            f"column {folded.column!r} of table {folded.table!r}: {spellings} differed only as the collation of the "
            "model ignores, and became the first"
        )
    for warning in result.warnings:
        output.warn(warning)
    if result.partitions:
        output.show_table(
            _COLUMNS, ((one.table, one.partition, one.row_count, f"{one.seconds:.1f}") for one in result.partitions)
        )
    output.show_line(_summary(result))


def _summary(result: "RefreshResult") -> str:
    seconds = duration(result.seconds)
    if result.partitions:
        table_count = len({one.table for one in result.partitions})
        rows = quantity(result.row_count, "row")
        return f"refreshed {result.database}: {quantity(table_count, 'table')}, {rows}, {seconds}"
    if result.type == "clearValues":
        return f"refreshed {result.database}: values cleared, {seconds}"
    if result.tables:
        return (
            f"refreshed {result.database}: {quantity(len(result.tables), 'table')} processed, no rows read, {seconds}"
        )
    return f"refreshed {result.database}: everything was up to date"
