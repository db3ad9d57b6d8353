"""``tabvault script``: the model of a database as TMSL."""

import json
import pathlib
from typing import Annotated

import typer

from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.local_file import write_whole
from tabvault.faces.cli.options import Database, Json, Overwrite
from tabvault.faces.cli.session import open_vault
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size


@on_target
def script(
    target: Target,
    database: Database,
    to: Annotated[
        pathlib.Path | None,
        typer.Option("--output", metavar="FILE", help="Write a file, such as model.bim.", show_default="print it"),
    ] = None,
    create_or_replace: Annotated[
        bool, typer.Option("--create-or-replace", help="A TMSL command, for SSMS, instead of a model.bim.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Print the model of a database as a model.bim (TMSL), which create reads. Secrets are masked."""
    if overwrite and to is None:
        raise UsageError("--overwrite replaces a file, and none is named", hint="name it with --output")
    with open_vault(target) as vault:
        document = vault.script(database)
    if create_or_replace:
        from tabvault.jobs.model_files import replacing_script  # noqa: PLC0415 - numpy, which --help needs not

        document = replacing_script(document)
    if to is None:
        output.show_json(document)
        return
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    byte_count = write_whole(to, [text.encode()], overwrite=overwrite)
    if as_json:
        output.show_json({"path": to, "byte_count": byte_count})
    else:
        output.show_line(f"wrote {to}: {byte_size(byte_count)}")
