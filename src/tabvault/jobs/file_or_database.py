"""What a text denotes where a user may name a backup file or a database."""

from __future__ import annotations

from pathlib import Path

from tabvault.errors import InvalidNameError, PasswordSuperfluousError
from tabvault.jobs.database_name import STORAGE_PREFIX


def is_file(path_or_database: str) -> bool:
    """Whether the text denotes a backup file and not a database of the data folder."""
    if path_or_database.startswith(STORAGE_PREFIX):
        return True
    try:
        return Path(path_or_database).is_file()
    except (OSError, ValueError):  # longer than a path can be, or with a character that none can have
        return False


def looks_like_file(text: str) -> bool:
    """Whether who wrote it may have meant a file: for the choice between two errors."""
    return "/" in text or "." in text


def refuse_password(database: str, password: str | None) -> None:
    """
    Refuse a password for a database of the data folder.

    Raises:
        PasswordSuperfluousError: one was given.
    """
    if password:
        raise PasswordSuperfluousError(
            f"a password was given, and {database!r} is a database of the data folder", hint="leave the password out"
        )


def default_database_name(path: str) -> str:
    """
    ``Sales`` for ``…/Sales.pbix`` or ``storage:folder/Sales.abf``.

    Raises:
        InvalidNameError: the file has no name that a database can have.
    """
    name = path.removeprefix(STORAGE_PREFIX).replace("\\", "/").rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    if not (stem if dot else name).strip():
        raise InvalidNameError(f"no database name can be taken from {name!r}", hint="give the name of the database")
    return (stem if dot else name).strip()
