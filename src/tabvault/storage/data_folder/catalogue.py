"""
Which databases there are, by name and id.

A catalogue maps the keys of databases, the names of their folders, to what is known of them. Names and ids are compared
without regard to case, as in Analysis Services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import DatabaseError, DatabaseExistsError, DatabaseNotFoundError, DataFolderDamagedError
from tabvault.storage.data_folder.database_info import DatabaseInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.storage.data_folder.manifest import Manifest

_HINT_NAME_COUNT_MAX: Final = 20


def find(catalogue: Mapping[str, DatabaseInfo], name_or_id: str) -> DatabaseInfo:
    """
    The database of that name, or else of that id.

    Raises:
        DatabaseNotFoundError: there is none.
    """
    wanted = name_or_id.casefold()
    for field in ("name", "id"):
        for info in catalogue.values():
            if getattr(info, field).casefold() == wanted:
                return info
    names = sorted(repr(info.name) for info in catalogue.values())
    more = f" and {len(names) - _HINT_NAME_COUNT_MAX} more" if len(names) > _HINT_NAME_COUNT_MAX else ""
    raise DatabaseNotFoundError(
        f"no database has the name or id {name_or_id!r}",
        hint=f"there are {', '.join(names[:_HINT_NAME_COUNT_MAX])}{more}" if names else "there are no databases yet",
    )


def present(catalogue: Mapping[str, DatabaseInfo], info: DatabaseInfo) -> DatabaseInfo:
    """
    The database *info* as it is now.

    Raises:
        DatabaseNotFoundError: it is not there any more.
    """
    current = catalogue.get(info.key)
    if current is None:
        raise DatabaseNotFoundError(f"database {info.name!r} was dropped meanwhile")
    return current


def check_unused(catalogue: Mapping[str, DatabaseInfo], manifest: Manifest, replaces: DatabaseInfo | None) -> None:
    """
    See that a version can be committed under the name and id in *manifest*.

    Args:
        catalogue: the databases.
        manifest: of the version.
        replaces: the database whose next version it is, as it was when the work began; None for a new database.

    Raises:
        DatabaseExistsError: another database has the name or the id.
        DatabaseError: *replaces* has changed meanwhile, or is gone.
        DataFolderDamagedError: *replaces* is damaged.
    """
    others = dict(catalogue)
    if replaces is not None:
        current = others.pop(replaces.key, None)
        if current is None or current.version != replaces.version:
            raise DatabaseError(
                f"database {replaces.name!r} was {'changed' if current else 'dropped'} meanwhile",
                hint="begin again with what is there now",
            )
        if current.damage is not None:
            raise DataFolderDamagedError(
                f"database {current.name!r} is damaged: {current.damage}", hint="drop it, then create it anew"
            )
    for other in others.values():
        if other.name.casefold() == manifest.name.casefold():
            raise DatabaseExistsError(f"database {other.name!r} exists")
        if other.id.casefold() == manifest.id.casefold():
            raise DatabaseExistsError(f"database {other.name!r} has the id {other.id!r} already")


def without_doubles(infos: list[DatabaseInfo]) -> list[DatabaseInfo]:
    """
    The same databases; of those that share a name or an id all but the eldest are damaged.

    Only a copy that somebody made of a database's folder can share them.
    """
    first: dict[tuple[str, str], DatabaseInfo] = {}
    result = []
    for info in sorted(infos, key=lambda info: (info.damage or "", str(info.committed), info.key)):
        names = [("name", info.name.casefold()), ("id", info.id.casefold())]
        double = next((first[name] for name in names if name in first), None)
        if double is not None:
            result.append(
                DatabaseInfo.damaged(info.key, f"it has the name or id of database {double.name!r} in {double.key}")
            )
        else:
            first.update(dict.fromkeys(names, info))
            result.append(info)
    return result
