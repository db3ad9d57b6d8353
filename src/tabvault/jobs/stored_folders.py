"""
The folders and files of the backup storage.

A container has no folders, only names with slashes in them; here they are a tree. Nothing is read of a file: what it
is, :mod:`tabvault.jobs.file_catalogue` finds out, which loads all that reads backups.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tabvault.jobs.file_details import FileDetails
    from tabvault.storage.contract import ObjectInfo, ObjectStore


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """
    A folder: all files below it, at any depth.

    Attributes:
        name: with the folders that it is in, and with a slash at its end.
        file_count: how many files are below it.
        byte_count: of all of them.
        last_modified: of the one written last.
    """

    name: str
    file_count: int
    byte_count: int
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What is in one folder: its folders and its files, each by name."""

    folders: tuple[StoredFolder, ...]
    files: tuple[ObjectInfo, ...]


@dataclass(frozen=True, slots=True)
class DescribedFile:
    """A file, and what it is; None where nobody asked."""

    info: ObjectInfo
    details: FileDetails | None = None


def folder_path(folder: str) -> str:
    """
    A folder as names of files begin with it: ``sales/2026/``, and nothing for the container itself.

    A slash at either end does not matter, and a backslash is one.
    """
    path = unicodedata.normalize("NFC", folder.replace("\\", "/")).strip("/")
    return f"{path}/" if path else ""


def list_folder(store: ObjectStore, folder: str) -> FolderListing:
    """
    The folders and files in *folder*, without what is in those folders. A folder without files does not exist.

    Raises:
        StorageError: the store failed.
    """
    prefix = folder_path(folder)
    folders: dict[str, StoredFolder] = {}
    files = []
    for info in store.list(prefix):
        name, slash, _ = info.name[len(prefix) :].partition("/")
        if not slash:
            files.append(info)
            continue
        path = f"{prefix}{name}/"
        known = folders.get(path)
        folders[path] = StoredFolder(
            path,
            1 if known is None else known.file_count + 1,
            info.byte_count if known is None else known.byte_count + info.byte_count,
            info.last_modified if known is None else max(known.last_modified, info.last_modified),
        )
    return FolderListing(tuple(sorted(folders.values(), key=lambda found: found.name)), tuple(files))
