"""``tabvault storage …``: the files in the backup storage, and the folder that it is in."""

import hashlib
import pathlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tabvault.errors import FormatError
from tabvault.faces.cli import output
from tabvault.faces.cli.failure import UsageError
from tabvault.faces.cli.local_file import write_whole
from tabvault.faces.cli.options import Data, Json, Overwrite
from tabvault.faces.cli.output import Column
from tabvault.faces.cli.session import open_vault, shown_progress
from tabvault.faces.cli.storage_settings import show_settings
from tabvault.faces.cli.target import Target, on_target
from tabvault.faces.text import byte_size
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.progress import ProgressMeter
from tabvault.storage.file_source import FileSource
from tabvault.storage.settings import BackupStorageSettings

_COLUMNS: Final = (Column("name", narrow="fold"), Column("size", "bytes"), Column("modified"))
_DETAIL_COLUMNS: Final = (
    Column("kind"),
    Column("encrypted"),
    Column("database", narrow="fold"),
    Column("level"),
    Column("compatible"),
    Column("made by", narrow="leave out"),
    Column("remark", narrow="fold"),
)
_ENCRYPTION_WORDS: Final = {"none": "no", "age": "yes", "microsoft": "yes, by a Microsoft server"}

if TYPE_CHECKING:
    from tabvault.jobs.stored_folders import DescribedFile


def _stored_name(value: str | None) -> str | None:
    """What is read elsewhere as ``storage:NAME`` may be written so here, too."""
    return None if value is None else value.removeprefix(STORAGE_PREFIX)


Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name in the backup storage, folders allowed.", callback=_stored_name),
]


@on_target
def list_(
    target: Target,
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER",
            help="Only what is in this folder, its folders first; / is the whole storage's.",
            show_default="every file, at any depth",
            callback=_stored_name,
        ),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="What each file is, and which database is in it, by its beginning.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the files in the backup storage: name, size, modified; with --details what they are."""
    with open_vault(target) as vault:
        folders, files = vault.files(folder, details=details)
    if as_json:
        objects = [asdict(file.info) | ({"details": file.details} if details else {}) for file in files]
        output.show_json({**({} if folder is None else {"folders": list(folders)}), "objects": objects})
        return
    blank: tuple[output.Cell, ...] = (None,) * (len(_DETAIL_COLUMNS) - 1) if details else ()
    kind: tuple[output.Cell, ...] = ("folder",) if details else ()
    rows: list[tuple[output.Cell, ...]] = [
        (one.name, one.byte_count, one.last_modified, *kind, *blank) for one in folders
    ]
    rows += [(*_file_cells(file), *(_detail_cells(file) if details else ())) for file in files]
    output.show_table((*_COLUMNS, *_DETAIL_COLUMNS) if details else _COLUMNS, rows)


def _file_cells(file: "DescribedFile") -> tuple[output.Cell, ...]:
    return file.info.name, file.info.byte_count, file.info.last_modified


def _detail_cells(file: "DescribedFile") -> tuple[output.Cell, ...]:
    found = file.details
    if found is None:
        return (None,) * len(_DETAIL_COLUMNS)
    encrypted = None if found.encryption is None else _ENCRYPTION_WORDS[found.encryption]
    return (
        found.kind,
        encrypted,
        found.database,
        found.compatibility_level,
        found.compatible,
        found.made_by,
        found.remark,
    )


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
    """Copy a local file into the backup storage. Cut off, the same command goes on where it was."""
    with open_vault(target) as vault, FileSource(path) as source, shown_progress(as_json=as_json) as progress:
        info = vault.upload(
            path.name if name is None else name,
            source,
            replace=overwrite,
            key=_upload_key(path),
            progress=progress,
        )
    if as_json:
        output.show_json(info)
    else:
        output.show_line(f"copied {path} to {info.name}: {byte_size(info.byte_count)}")


def _upload_key(path: pathlib.Path) -> str:
    """The same for the same file as long as nobody writes to it."""
    status = path.stat()
    facts = f"{path.absolute()}\0{status.st_dev}\0{status.st_ino}\0{status.st_size}\0{status.st_mtime_ns}"
    return hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()


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
        byte_count = write_whole(place, meter.counted(stored.whole()), overwrite=overwrite)
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
    """Have backups go to a container in a folder, and make it. What is not named stays as it is."""
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
        probe = vault.storage.configure(settings)
        if as_json:
            output.show_json(settings)
        else:
            show_settings(settings, vault.storage.accounts(), as_json=False)
    for finding in () if probe is None else probe.findings:
        if finding.severity != "OK":
            output.warn(finding.message)
