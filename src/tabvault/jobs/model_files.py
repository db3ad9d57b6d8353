"""
Models in files: ``model.bim``, a TMSL script that creates a database, a TMDL folder; and a database as such a file.

=====================================================  ==============================================================
a file or folder                                       is
=====================================================  ==============================================================
JSON with a member ``model``                           the ``database`` object: ``model.bim``
JSON with ``create`` or ``createOrReplace``            a TMSL script, of one database
a folder (:mod:`tabvault.jobs.model_folder`)           TMDL, as Power BI projects and Tabular Editor write it
=====================================================  ==============================================================
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from tabvault.engine.rowsets.source import DEFAULT_COMPATIBILITY_LEVEL
from tabvault.errors import ObjectNotFoundError, RequestError, RequestTooLargeError
from tabvault.jobs.model_folder import BYTE_COUNT_MAX, decoded, model_of_folder, read_documents
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata
from tabvault.model.tmdl.reading import read_tmdl
from tabvault.model.tmsl.document import load_document
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.parse import database_definition
from tabvault.storage.file_source import FileSource
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.model.tmsl.tree import DatabaseDefinition
    from tabvault.storage.data_folder.version import VersionReader

_CREATING: Final = ("create", "createOrReplace")


def read_model_file(path: Path) -> dict[str, Any]:
    """
    The ``database`` object of TMSL that a file or folder describes; its name may be missing.

    Args:
        path: of the file, or of the folder.

    Raises:
        ObjectNotFoundError: there is no such file or folder.
        RequestError: it describes no database; the place is in the message.
        RequestTooLargeError: it is longer than any model.
        StorageError: it cannot be read.
    """
    with storage_errors(f"file {path}", missing=ObjectNotFoundError):
        is_folder = path.is_dir()
    if is_folder:
        path = model_of_folder(path)
        if path.is_dir():
            return read_tmdl(read_documents(path))
    if path.suffix == ".tmdl":
        raise RequestError(f"{path} is one document of a model", hint="give the folder it lies in")
    try:
        return _database_of(load_document(_text(path)), path)
    except RequestError as error:
        if error.line is None or error.path is not None:
            raise
        message = f"{path}, line {error.line}: {error.message}"
        raise RequestError(message, path=str(path), line=error.line, column=error.column, hint=error.hint) from None


def definition_of(document: dict[str, Any], *, name: str, compatibility_level: int | None = None) -> DatabaseDefinition:
    """
    The definition of a new database. It has a compatibility level: where the document says none, the usual one.

    Args:
        document: the ``database`` object of TMSL. Its name and id do not count.
        name: of the database, and its id.
        compatibility_level: instead of that of *document*.

    Raises:
        RequestError: a member is unknown or of the wrong type, or needs a higher level.
    """
    level = compatibility_level
    if level is None:
        level = document.get("compatibilityLevel", DEFAULT_COMPATIBILITY_LEVEL)
    given = {member: value for member, value in document.items() if member != "id"}
    return database_definition({**given, "name": name, "compatibilityLevel": level})


@contextlib.contextmanager
def named_places(file: str) -> Iterator[None]:
    """Say in the message of an error about a model where it is."""
    try:
        yield
    except RequestError as error:
        if error.path is None:
            raise
        message = f"{file}, {error.path}: {error.message}"
        raise type(error)(message, path=error.path, line=error.line, column=error.column, hint=error.hint) from None


def script_database(version: VersionReader) -> dict[str, Any]:
    """
    The ``database`` object of TMSL of a database: what ``model.bim`` holds. Secrets are masked.

    Raises:
        FormatError: its metadata are damaged.
        ModelError: they contradict themselves.
    """
    info = version.info
    with Metadata.open(version.path(METADATA_FILE)) as metadata:
        return tmsl_of(metadata, name=info.name, id=info.id, compatibility_level=info.compatibility_level)


def replacing_script(database: dict[str, Any]) -> dict[str, Any]:
    """The ``createOrReplace`` command of a ``database`` object."""
    return {"createOrReplace": {"object": {"database": database["name"]}, "database": database}}


def _text(path: Path) -> str:
    with FileSource(path) as source:
        if source.byte_count > BYTE_COUNT_MAX:
            raise RequestTooLargeError(f"{path} has {source.byte_count} bytes, not at most {BYTE_COUNT_MAX}")
        data = source.read_at(0, source.byte_count)
    return decoded(data, str(path))


def _database_of(document: dict[str, Any], path: Path) -> dict[str, Any]:
    if "model" in document:
        return document
    for command in _CREATING:
        body = document.get(command)
        if isinstance(body, dict) and isinstance(body.get("database"), dict):
            database: dict[str, Any] = body["database"]
            return database
    raise RequestError(
        f"{path} describes no database: its members are {', '.join(sorted(document)) or 'none'}",
        hint="a model.bim has a member 'model', a TMSL script 'create' or 'createOrReplace' with a 'database'",
    )
