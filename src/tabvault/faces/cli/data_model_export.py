"""``tabvault export --format pbix-datamodel``: a whole database as Power BI Desktop keeps one in a .pbix."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from tabvault.faces.cli.local_vault import LocalVault
from tabvault.jobs.data_model import ExportedDataModel, export_backup, export_database
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.export import file_names
from tabvault.jobs.file_or_database import default_database_name, is_file
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.faces.cli.session import CommandVault
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import Progress

ENDING = "DataModel"


def export_data_model(
    vault: CommandVault,
    file_or_database: str,
    to: Path,
    *,
    password: str | None,
    progress: Callable[[Progress], None] | None,
) -> ExportedDataModel:
    """
    Write a database, or that of a backup, into the folder *to* as ``NAME.DataModel``.

    A backup gives its file name, since Power BI gives its databases random ones. A database of a server comes as a
    backup: it lies in the server's storage meanwhile, under a name that nobody has, and is removed there at the end.
    """
    if is_file(file_or_database):
        path = _path(to, default_database_name(file_or_database))
        with _backup(vault, file_or_database) as source:
            return export_backup(source, path, password=password, progress=progress)
    if isinstance(vault, LocalVault):
        with vault.folder.read(file_or_database) as version:
            return export_database(version, _path(to, version.manifest.name), progress=progress)
    path = _path(to, vault.database_name(file_or_database))
    passing = f"{STORAGE_PREFIX}export-{secrets.token_hex(8)}.abf"
    with contextlib.ExitStack() as stack:
        vault.backup(file_or_database, passing, overwrite=False, compress=True, password=None, progress=progress)
        stack.callback(vault.store.remove, passing.removeprefix(STORAGE_PREFIX))
        return export_backup(stack.enter_context(_backup(vault, passing)), path, progress=progress)


def _path(to: Path, name: str) -> Path:
    return to / file_names([name], ending=ENDING)[name]


@contextlib.contextmanager
def _backup(vault: CommandVault, file: str) -> Iterator[ByteSource]:
    if file.startswith(STORAGE_PREFIX):
        with vault.store.open(file.removeprefix(STORAGE_PREFIX)) as stored:
            yield stored
    else:
        with FileSource(Path(file)) as source:
            yield source
