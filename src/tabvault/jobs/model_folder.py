"""
TMDL folders on disk: which folder holds the model, and the text of its documents.

==============================  =====================================================================================
folder                          its model is
==============================  =====================================================================================
one with ``*.tmdl`` in it       these documents, and those in its subfolders
``Sales.SemanticModel``         in ``definition/``, or ``model.bim``: a Power BI project (before 2024 ``Sales.Dataset``)
==============================  =====================================================================================

A folder is as foreign as a file. Nothing outside of it is read: links in it are refused, wherever they lead. Folders
whose names begin with a dot are those of tools and no part of a model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tabvault.errors import ObjectNotFoundError, RequestError, RequestTooLargeError
from tabvault.model.tmsl.document import CHARACTER_COUNT_MAX
from tabvault.storage.file_source import FileSource
from tabvault.storage.os_errors import storage_errors

BYTE_COUNT_MAX: Final = 4 * CHARACTER_COUNT_MAX
"""Bytes of a model, whether in one file or in many."""

ENTRY_COUNT_MAX: Final = 50_000
"""Files and folders below a model's folder. A model of ten thousand tables has a document for each."""

DEPTH_MAX: Final = 8
"""Subfolders in subfolders. Tools write one level."""

BIM_FILE: Final = "model.bim"
_DEFINITION: Final = "definition"
_SUFFIX: Final = ".tmdl"
_PROJECT_SUFFIXES: Final = (".SemanticModel", ".Dataset")


def model_of_folder(folder: Path) -> Path:
    """
    Where the model of a folder is: the folder of its TMDL documents, or its ``model.bim``.

    Raises:
        RequestError: there is none.
        StorageError: it cannot be read.
    """
    with storage_errors(f"folder {folder}", missing=ObjectNotFoundError):
        names = sorted(entry.name for entry in os.scandir(folder))
        if any(name.endswith(_SUFFIX) for name in names):
            return folder
        definition = folder / _DEFINITION
        if definition.is_dir() and not definition.is_symlink():
            return definition
        if BIM_FILE in names:
            return folder / BIM_FILE
    projects = [name for name in names if name.endswith(_PROJECT_SUFFIXES)]
    hint = "a model's folder has *.tmdl files, a folder definition/ or a model.bim in it"
    if projects:
        hint = f"it has {', '.join(projects[:3])}: name that folder"
    raise RequestError(f"folder {folder} holds no model", hint=hint)


def read_documents(folder: Path) -> dict[str, str]:
    """
    The text of every TMDL document below a folder, by its path in it, with ``/``.

    Raises:
        RequestError: a document is a link, or no text in UTF-8.
        RequestTooLargeError: more files, folders or bytes than any model has.
        StorageError: it cannot be read.
    """
    documents: dict[str, str] = {}
    byte_count = 0
    for path in _document_paths(folder):
        name = path.relative_to(folder).as_posix()
        with FileSource(path) as source:
            byte_count += source.byte_count
            if byte_count > BYTE_COUNT_MAX:
                raise RequestTooLargeError(f"the documents of {folder} have more than {BYTE_COUNT_MAX} bytes")
            data = source.read_at(0, source.byte_count)
        documents[name] = decoded(data, str(path))
    if not documents:
        raise RequestError(f"folder {folder} has no *.tmdl files")
    return documents


def decoded(data: bytes, what: str) -> str:
    """
    The text of a file.

    Raises:
        RequestError: it is no text.
    """
    try:
        # Visual Studio writes UTF-8 with a byte order mark, SSMS saves scripts as UTF-16.
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{what} is not text: {error}", hint="save it as UTF-8") from None


def _document_paths(root: Path) -> list[Path]:
    found: list[Path] = []
    waiting = [(root, 0)]
    entry_count = 0
    while waiting:
        folder, depth = waiting.pop()
        with storage_errors(f"folder {folder}", missing=ObjectNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                entry_count += 1
                if entry_count > ENTRY_COUNT_MAX:
                    raise RequestTooLargeError(f"{root} has more than {ENTRY_COUNT_MAX} files and folders")
                if entry.name.startswith("."):
                    continue
                is_document = entry.name.endswith(_SUFFIX)
                if entry.is_symlink() and (is_document or entry.is_dir()):
                    raise RequestError(f"{entry.path} is a link", hint="a model is read from its own folder alone")
                if entry.is_dir():
                    if depth == DEPTH_MAX:
                        raise RequestTooLargeError(f"{root} has folders deeper than {DEPTH_MAX} levels")
                    waiting.append((Path(entry.path), depth + 1))
                elif is_document:
                    found.append(Path(entry.path))
    return sorted(found)
