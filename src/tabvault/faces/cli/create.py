"""``tabvault create``: a database from a model in a file."""

import pathlib
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.options import Json, Overwrite
from tabvault.faces.cli.session import open_vault
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import quantity

if TYPE_CHECKING:
    from tabvault.jobs.model_creation import CreationResult

NewDatabase = Annotated[str, typer.Argument(metavar="DATABASE", help="Name of the new database.")]
ModelFile = Annotated[
    pathlib.Path,
    typer.Argument(metavar="MODEL_FILE", help="model.bim, a TMSL script, or a folder: TMDL, or a .SemanticModel."),
]
Level = Annotated[
    int | None,
    typer.Option(
        "--compatibility-level", metavar="N", help="Level of the model.", show_default="that of the file, or 1600"
    ),
]


@on_target
def create(
    target: Target,
    database: NewDatabase,
    model_file: ModelFile,
    overwrite: Overwrite = False,
    compatibility_level: Level = None,
    as_json: Json = False,
) -> None:
    """Make a database of a model.bim or a TMDL folder. It has no rows before the first refresh."""
    with open_vault(target) as vault:
        result = vault.create(database, model_file, overwrite=overwrite, compatibility_level=compatibility_level)
    _show(result, as_json=as_json)


def _show(result: "CreationResult", *, as_json: bool) -> None:
    if as_json:
        output.show_json(result)
        return
    for warning in result.warnings:
        output.warn(warning)
    output.show_line(
        f"created {result.database}{' (replaced)' if result.replaced else ''} from {result.file}: "
        f"compatibility level {result.compatibility_level}, {quantity(result.table_count, 'table')}, "
        f"{quantity(result.measure_count, 'measure')}; "
        f"nothing is loaded yet: tabvault refresh {shlex.quote(result.database)}"
    )
