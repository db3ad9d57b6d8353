"""
Folders whose files partitions may read: ``<data>/server/source-folders.json``.

::

    {"format_version": 1, "folders": ["/srv/exports"]}

A model names files by itself, and a model may come from anywhere: without an administrator's word none is opened. The
list is empty until he gives one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tabvault.errors import RequestError
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.server_state.state_file import read_state, write_state

FOLDERS_FILE: Final = "source-folders.json"
FOLDER_COUNT_MAX: Final = 1000


def load_source_folders(data_folder: Path) -> tuple[Path, ...]:
    """
    The folders, absolute, in the order in which they were allowed.

    Raises:
        FormatError: the file is not what this module describes.
        StorageError: it cannot be read.
    """
    members = read_state(data_folder, FOLDERS_FILE, "folders")
    if members is None:
        return ()
    folders = []
    for item in members["folders"].items():
        folder = Path(item.text())
        if not folder.is_absolute():
            raise item.error(f"{item.value!r:.200}, not an absolute path")
        folders.append(folder)
    return tuple(folders)


def allow_folder(data_folder: Path, folder: Path) -> Path:
    """
    Allow files below *folder* to be read. Twice is allowed.

    Returns:
        The folder as it is kept: absolute, without symbolic links.

    Raises:
        RequestError: it is no folder, it holds the data folder or lies in it, or there are too many.
        StorageError: the list cannot be written.
    """
    with storage_errors(f"folder {folder}"):
        resolved = folder.expanduser().resolve()
        is_folder = resolved.is_dir()
        own = data_folder.resolve()
    if not is_folder:
        raise RequestError(f"{folder} is not a folder on this server", path="folder")
    if own.is_relative_to(resolved) or resolved.is_relative_to(own):
        raise RequestError(
            f"{resolved} holds the data folder or lies in it: a model could read the server's own files",
            path="folder",
            hint="choose a folder of its own for source files",
        )
    folders = load_source_folders(data_folder)
    if resolved not in folders:
        if len(folders) >= FOLDER_COUNT_MAX:
            raise RequestError(f"{FOLDER_COUNT_MAX} folders are allowed, and no more can be", path="folder")
        _save(data_folder, (*folders, resolved))
    return resolved


def disallow_folder(data_folder: Path, folder: Path) -> bool:
    """
    Allow a folder no more. Says whether it was allowed.

    Raises:
        StorageError: the list cannot be written.
    """
    folders = load_source_folders(data_folder)
    # A folder that is gone cannot be resolved any more: as it was kept is good too.
    kept = tuple(one for one in folders if one not in (folder, folder.expanduser().resolve()))
    if len(kept) == len(folders):
        return False
    _save(data_folder, kept)
    return True


def _save(data_folder: Path, folders: tuple[Path, ...]) -> None:
    write_state(data_folder, FOLDERS_FILE, {"folders": [str(folder) for folder in folders]})
