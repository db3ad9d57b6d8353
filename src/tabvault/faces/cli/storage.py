"""``tabvault storage …``: the files in the backup storage, and which container that is."""

import pathlib
from typing import Annotated, Final

import typer

from tabvault.errors import FormatError
from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.local_file import write_whole
from tabvault.faces.cli.options import Data, Json, Overwrite
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size
from tabvault.formats.byte_source import pieces
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.progress import ProgressMeter
from tabvault.storage.file_source import FileSource
from tabvault.storage.settings import BackupStorageSettings

_COLUMNS: Final = (Column("name", narrow="fold"), Column("size", "bytes"), Column("modified"))


def _stored_name(value: str | None) -> str | None:
    """What is read elsewhere as ``storage:NAME`` may be written so here, too."""
    return None if value is None else value.removeprefix(STORAGE_PREFIX)


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name in the backup storage, folders allowed.", callback=_stored_name),
]


@on_target
def list_(target: Target, as_json: Json = False) -> None:
    """List the files in the backup storage: name, size, modified."""
    with open_vault(target) as vault:
        objects = list(vault.store.list())
    if as_json:
        output.show_json({"objects": objects})
    else:
        output.show_table(_COLUMNS, ((info.name, info.byte_count, info.last_modified) for info in objects))


@on_target
def put(
    target: Target,
    path: Annotated[pathlib.Path, typer.Argument(metavar="PATH", help="Local file.")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Name in the backup storage.",
            show_default="the file's own name",
            callback=_stored_name,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Copy a local file into the backup storage."""
    with (
        open_vault(target) as vault,
        FileSource(path) as source,
        vault.store.create(path.name if name is None else name, replace=overwrite) as upload,
        shown_progress(as_json=as_json) as progress,
    ):
        meter = ProgressMeter(progress)
        meter.step("copying", source.byte_count)
        for piece in meter.counted(pieces(source)):
            upload.write(piece)
        info = upload.finish()
    if as_json:
        output.show_json(info)
    else:
        output.show_line(f"copied {path} to {info.name}: {byte_size(info.byte_count)}")


@on_target
def get(
    target: Target,
    name: Name,
    path: Annotated[pathlib.Path, typer.Argument(metavar="PATH", help="Local file, or a folder to put it in.")],
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Copy a file of the backup storage to a local path."""
    with (
        open_vault(target, file=f"{STORAGE_PREFIX}{name}") as vault,
        vault.store.open(name) as stored,
        shown_progress(as_json=as_json) as progress,
    ):
        place = path / stored.info.name.rpartition("/")[2] if path.is_dir() else path
        meter = ProgressMeter(progress)
        meter.step("copying", stored.byte_count)
        byte_count = write_whole(place, meter.counted(pieces(stored)), overwrite=overwrite)
    if as_json:
        output.show_json({"name": stored.info.name, "path": place, "byte_count": byte_count})
    else:
        output.show_line(f"copied {stored.info.name} to {place}: {byte_size(byte_count)}")


@on_target
def remove(target: Target, name: Name, as_json: Json = False) -> None:
    """Remove a file from the backup storage. There is no way back."""
    with open_vault(target, file=f"{STORAGE_PREFIX}{name}") as vault:
        vault.store.remove(name)
    if as_json:
        output.show_json({"name": name, "removed": True})
    else:
        output.show_line(f"removed {name}")


@on_target
def show(target: Target, as_json: Json = False) -> None:
    """Show where backups go."""
    with open_vault(target) as vault:
        _show_settings(vault.settings, as_json=as_json)


def configure(
    account: Annotated[
        pathlib.Path | None, typer.Option("--account", metavar="DIR", help="Folder that is the storage account.")
    ] = None,
    container: Annotated[
        str | None, typer.Option("--container", metavar="NAME", help="Container: a folder in the account.")
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Allow backups and restores, or not.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Set where backups go, and make the container. What is not named stays as it is."""
    if account is None and container is None and enabled is None:
        raise UsageError("nothing to configure", hint="give --account, --container, --enable or --disable")
    # The folder is meant as the user sees it now, not relative to the data folder.
    account_path = None if account is None else str(account.absolute())
    from tabvault.jobs.vault import Vault  # noqa: PLC0415 - it loads pyarrow and numpy, and --help needs neither

    with Vault(data) as vault:
        try:
            old = vault.settings
        except FormatError:
            # Damaged settings are replaced by whole new ones, and by nothing less.
            if account_path is None or container is None:
                raise
            old = BackupStorageSettings(enabled=True, account=account_path, container=container)
        settings = BackupStorageSettings(
            enabled=old.enabled if enabled is None else enabled,
            account=old.account if account_path is None else account_path,
            container=old.container if container is None else container,
        )
        vault.configure_storage(settings)
        _show_settings(settings, as_json=as_json)


def _show_settings(settings: BackupStorageSettings, *, as_json: bool) -> None:
    if as_json:
        output.show_json(settings)
        return
    facts: dict[str, tuple[output.Cell, str]] = {
        "enabled": (settings.enabled, "yes" if settings.enabled else "no"),
        "account": (settings.account, settings.account or "-"),
        "container": (settings.container, settings.container or "-"),
    }
    output.show_facts(facts)
