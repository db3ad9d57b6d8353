r"""
Databases out of service.

::

    <data>/
        detached/<name>/        a detached database, laid out as databases/<key>: CURRENT, LAST_BACKUP, versions/…
        moving/<key>/<name>/    one on its way: out of databases/<key>, or into it

The name of the folder is that of the database, made safe as a component of
:mod:`~tabvault.storage.data_folder.file_names` is, with ``%2F`` for ``/`` and ``\``; one that is used already gets
`` (2)`` behind it, and so on. Nothing is ever put over what is there.

Invariants, beside those of :mod:`~tabvault.storage.data_folder.database_folder`:

1. A folder of ``detached`` is a database out of service, if it is a database. No process changes it: it comes and goes
   as a whole. What people put there is theirs (:mod:`~tabvault.storage.data_folder.detached_folder`).
2. A folder of ``moving/<key>`` is a database out of service too, as long as there is no database ``<key>``. While there
   is one it is a copy of it: garbage if that database is sound, and else left alone.
3. So the steps by which a database goes out of service and comes into it are those of a drop and of a new database:
   ``DROPPED`` into place, the whole folder into ``databases``. Before the step the old state holds, after it the new
   one, and in both there is one whole copy that counts. The copy that does not is never the only one.
4. To settle is to bring what is in ``moving`` to where (2) says it belongs; it is done after each step, and when the
   data folder is opened.

What a crash leaves, and what opening the data folder makes of it:

=============================================================  ===========  =========================================
crash after                                                    state        ``moving/<key>``
=============================================================  ===========  =========================================
detach: files linked in ``staging``                            attached     - (the staging folder is garbage)
detach: staged folder renamed into ``moving/<key>``            attached     garbage, removed
detach: ``DROPPED`` renamed into ``databases/<key>``           detached     moved on to ``detached``
detach: moved on to ``detached``                               detached     -
attach: files brought into ``staging``                         detached     - (the staging folder is garbage)
attach: ``detached/<name>`` renamed into ``moving/<key>``      detached     moved back to ``detached``
attach: staged folder renamed into ``databases/<key>``         attached     garbage, removed
attach: ``moving/<key>`` removed, wholly or in part            attached     what is in ``trash`` is garbage
=============================================================  ===========  =========================================
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tabvault.errors import DatabaseNotFoundError, FormatError, InvalidNameError, StorageError
from tabvault.storage.data_folder import database_folder, layout
from tabvault.storage.data_folder.database_info import DatabaseInfo
from tabvault.storage.data_folder.detached_folder import DetachedFolder
from tabvault.storage.data_folder.file_names import COMPONENT_BYTE_COUNT_MAX, StoredPaths
from tabvault.storage.durable import fsync_directory, make_directory_durably
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabvault.storage.data_folder.database_info import LastBackup

_HINT_NAME_COUNT_MAX: Final = 20


def folder_name(database: str) -> str:
    """Name of the folder of a detached database, where it is not used already."""
    return StoredPaths().assign(database.replace("\\", "/"))


class DetachedDatabases:
    """
    The folders ``detached`` and ``moving`` of a data folder. Changes of the data folder exclude each other, and these.

    Args:
        path: the data folder.
    """

    def __init__(self, path: Path) -> None:
        self._root = path / layout.DETACHED
        self._moving = path / layout.MOVING
        self._databases = path / layout.DATABASES
        self._trash = path / layout.TRASH

    def infos(self) -> list[DatabaseInfo]:
        """
        What lies there, by folder, damaged ones too. Nothing can be called by a name that is not UTF-8.

        Raises:
            StorageError: the folders cannot be read.
        """
        found = []
        for name, path in sorted(self._folders().items()):
            if (shown := _shown(name)) != name:
                problem = "the name of its folder is not UTF-8, and nobody can call it by that: rename the folder"
                found.append(DatabaseInfo.damaged(shown, problem))
                continue
            try:
                with DetachedFolder(path) as detached:
                    found.append(detached.info)
            except (FormatError, StorageError) as error:
                found.append(DatabaseInfo.damaged(name, str(error)))
        return found

    def open(self, folder: str) -> DetachedFolder:
        r"""
        Open a detached database.

        Args:
            folder: name of its folder; also after ``detached`` or the whole path of it, with ``/`` or ``\``. Case
                matters only where two differ in nothing else.

        Raises:
            InvalidNameError: it leads somewhere else.
            DatabaseNotFoundError: there is none.
            FormatError: it is no database, or a damaged one.
            StorageError: it cannot be read.
        """
        name = self._name(folder)
        folders = self._folders()
        path = folders.get(name) or {known.casefold(): path for known, path in folders.items()}.get(name.casefold())
        if path is None:
            names = ", ".join(ascii(known) for known in sorted(folders)[:_HINT_NAME_COUNT_MAX])
            raise DatabaseNotFoundError(
                f"no detached database lies in the folder {name!a}",
                hint=f"there are {names}" if names else "there are no detached databases",
            )
        return DetachedFolder(path)

    def arrive(self, staged: Path, digest: str, database: DatabaseInfo, last_backup: LastBackup | None) -> str:
        """
        Put the staged copy of *database* beside it; it counts once that database is dropped.

        Args:
            staged: a folder with ``versions/00000001``, all of it durable.
            digest: of the manifest.
            database: which one.
            last_backup: of it.

        Returns:
            The name of its folder.

        Raises:
            OSError: it may be there all the same.
        """
        make_directory_durably(self._root)
        place = self._moving / database.key
        make_directory_durably(place)
        if last_backup is not None:
            database_folder.record_backup(staged, last_backup)
        name = self._unused(folder_name(database.name), self._folders())
        database_folder.publish_new(staged, place / name, digest)
        return name

    def depart(self, detached: DetachedFolder, key: str) -> None:
        """
        Take a detached database away; it goes on to count until there is a database *key*.

        Raises:
            DatabaseError: it is not there any more.
            OSError: it may be away all the same.
        """
        place = self._moving / key
        make_directory_durably(place)
        detached.check_in_place()
        detached.path.rename(place / detached.path.name)
        fsync_directory(place)
        fsync_directory(detached.path.parent)

    def settle(self, key: str) -> None:
        """Bring what is in ``moving/<key>`` to where it belongs. What cannot be moved now, the next opening will."""
        place = self._moving / key
        with suppress(OSError):
            if not place.exists():
                return
            database = database_folder.load(self._databases / key)
            if database is None:
                make_directory_durably(self._root)
                for name in _folder_names(place):
                    (place / name).rename(self._root / self._unused(name))
                fsync_directory(self._root)
                fsync_directory(place)
                place.rmdir()
            elif database.damage is None:
                database_folder.remove_dropped(place, self._trash)

    def settle_all(self) -> None:
        """Settle whatever an earlier process left."""
        with suppress(OSError):
            for key in _folder_names(self._moving):
                self.settle(key)

    def _folders(self) -> dict[str, Path]:
        """Where the detached databases lie, by the names of their folders."""
        with storage_errors("detached databases"):
            found = {
                name: self._moving / key / name
                for key in _folder_names(self._moving)
                if database_folder.load(self._databases / key) is None
                for name in _folder_names(self._moving / key)
            }
            return found | {name: self._root / name for name in _folder_names(self._root)}

    def _name(self, folder: str) -> str:
        name = folder.replace("\\", "/").rstrip("/")
        for prefix in (Path(os.path.abspath(self._root)).as_posix(), layout.DETACHED):  # noqa: PTH100 - no link resolved
            name = name.removeprefix(f"{prefix}/")
        if not name or "/" in name or name.startswith("."):
            raise InvalidNameError(
                f"{folder[:200]!a} is not a folder in {layout.DETACHED!r}",
                hint=f"give the name of a folder in {layout.DETACHED!r} of the data folder",
            )
        return name

    def _unused(self, name: str, coming: Iterable[str] = ()) -> str:
        """*name*, or with a number behind it if something in ``detached``, or *coming*, has that name in any case."""
        taken = {known.casefold() for known in coming}
        taken.update(entry.name.casefold() for entry in self._root.iterdir())
        number, candidate = 1, name
        while candidate.casefold() in taken:
            number += 1
            end = f" ({number})"
            # A cut inside the bytes of a character drops the character.
            head = os.fsencode(name)[: COMPONENT_BYTE_COUNT_MAX - len(end)].decode(errors="ignore")
            candidate = f"{head}{end}"
        return candidate


def _shown(name: str) -> str:
    r"""The name of a folder in characters that exist; ``\xff`` where its bytes are none."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _folder_names(folder: Path) -> list[str]:
    """Names of the folders in *folder*; those that begin with a dot are somebody else's, and links are no folders."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [name for name in names if not name.startswith(".")]
