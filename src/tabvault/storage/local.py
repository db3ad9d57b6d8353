"""
Backup storage in the local file system: an *account* is a folder, a *container* is a folder in it, an object is a file.

Invariants:

1. An object is a regular file whose path below the container is its name and passes
   :func:`~tabvault.storage.names.check_object_name`. Everything else in the folder (hidden files, links, devices)
   is not an object: not listed, not opened, not replaced. A file that an administrator copies in is an object.
2. A file of ours gets its object's name only after all its bytes are durable, in one step that refuses
   (``link``) or replaces (``rename``); it is never written to afterwards.
3. What is not published lies in ``.tabvault-uploads/`` of the container, locked as long as somebody works on it.
4. No name leads out of the container: it is walked component by component, never through a symbolic link.
5. Who replaces or removes an object has his turn (``flock`` on ``.tabvault-uploads/``, which nobody else locks), so
   that what a condition (``if_match``) has found is what gives way.
6. When ``finish`` or ``remove`` returns, the names it made or removed are durable, the folders above them included.

What a crash (of the process or of the machine) leaves after each step of an upload:

====  =======================================================  ====================================================
step  what was done                                            what a crash leaves
====  =======================================================  ====================================================
1     temporary file created, locked, written                  an unlocked temporary file; no object, or the old one
2     head written, file fsynced                               the same
3     folders of the name made, each fsynced in its parent     the same, and empty folders (which are no objects)
4     ``link`` or ``rename`` to the object's name              the object: old (or none) or new, whole in either case
5     folder of the object fsynced                             the new object, durable
6     temporary name removed                                   (with ``link``) a second name of the published file
====  =======================================================  ====================================================

Unlocked temporary files are removed when the container is opened next; in step 6 that removes a name, not the object.
Folders stay when their last object goes: an upload may be about to use them.
"""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tabvault.errors import InvalidNameError, ObjectExistsError, ObjectNotFoundError, StoreUnavailableError
from tabvault.storage.contract import ContainerInfo
from tabvault.storage.durable import FOLDER_MODE, fsync_directory, make_directory_durably
from tabvault.storage.file_source import regular_file_status
from tabvault.storage.local_folder import Folder
from tabvault.storage.local_object import LocalObject, local_object_info, local_time
from tabvault.storage.local_upload import UPLOADS_FOLDER, LocalUpload, remove_leftovers
from tabvault.storage.names import check_container_name, check_object_name, is_container_name, is_object_name
from tabvault.storage.os_errors import storage_errors
from tabvault.storage.upload import check_match, object_exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tabvault.storage.contract import ObjectInfo


class LocalAccount:
    """
    A :class:`~tabvault.storage.contract.StorageAccount` that is a folder.

    Args:
        path: the folder; it need not be there before a container is created.
    """

    def __init__(self, path: Path) -> None:
        # A change of the working folder must not move the storage.
        self._path = path.absolute()

    def containers(self, prefix: str = "") -> Iterator[ContainerInfo]:
        """
        The folders whose names a container can have, ordered by name; see the contract. They are read at the call.

        Raises:
            StoreUnavailableError: the account's folder is missing or cannot be read.
        """
        with storage_errors(f"storage account {self._path}", missing=StoreUnavailableError):
            names = sorted(entry.name for entry in self._path.iterdir() if entry.name.startswith(prefix))
            found = (self._container_info(name) for name in names if is_container_name(name))
            return iter([info for info in found if info is not None])

    def create_container(self, name: str) -> ContainerInfo:
        """Make a container, and the account's folder if it is missing, durably; see the contract."""
        path = self._path / check_container_name(name)
        with storage_errors(f"container {name} of storage account {self._path}", missing=StoreUnavailableError):
            make_directory_durably(self._path)
            try:
                os.mkdir(path, FOLDER_MODE)  # noqa: PTH102 - the system call itself: of several one makes it
            except FileExistsError:
                raise ObjectExistsError(
                    f"there is a container {name} in storage account {self._path}", hint="choose another name"
                ) from None
            fsync_directory(self._path)
            return ContainerInfo(name, local_time(path.stat().st_mtime_ns))

    def close(self) -> None:
        """It holds nothing open; see the contract."""

    def has_container(self, name: str) -> bool:
        """
        Whether the container *name* is there.

        Raises:
            InvalidNameError: *name* cannot be a container's.
            StoreUnavailableError: the account's folder cannot be read.
        """
        path = self._path / check_container_name(name)
        with storage_errors(f"container {name} of storage account {self._path}", missing=StoreUnavailableError):
            return path.is_dir()

    def container(self, name: str, *, create: bool = False) -> LocalStore:
        """
        Open a container, and remove there what uploads of crashed processes left; see the contract.

        Args:
            name: 3 to 63 lower-case letters, digits and single hyphens.
            create: make it, durably, and the account's folder too, if they are missing. Without this a missing
                folder is an error: it may be a disk that is not mounted, and backups must not go to the wrong one.

        Raises:
            InvalidNameError: *name* cannot be a container's.
            StoreUnavailableError: it is missing or cannot be used.
            StorageError: the file system refuses otherwise.
        """
        path = self._path / check_container_name(name)
        with storage_errors(f"container {name} of storage account {self._path}", missing=StoreUnavailableError):
            if create:
                make_directory_durably(path)
            try:
                container = Folder.at(path)
            except FileNotFoundError:
                raise _vanished(path) from None
            with container:
                remove_leftovers(container)
        return LocalStore(path)

    def _container_info(self, name: str) -> ContainerInfo | None:
        """What is said of a container; None if it is no folder, or gone between two looks."""
        try:
            status = (self._path / name).stat()
        except FileNotFoundError:
            return None
        return ContainerInfo(name, local_time(status.st_mtime_ns)) if stat.S_ISDIR(status.st_mode) else None


class LocalStore:
    """
    An :class:`~tabvault.storage.contract.ObjectStore` over one folder. Get it from :meth:`LocalAccount.container`.

    It holds nothing open between calls, and may be used from several threads and processes. A file has no room for
    facts, and what an interrupted upload left is removed, not used again: sending it anew costs no network.

    Args:
        path: the container's folder, absolute.
    """

    remote_place: str | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> LocalUpload:
        """Begin an object; see the contract. *upload_key* and *facts* have no effect here."""
        del upload_key, facts
        spelling = check_object_name(name)
        with storage_errors(f"upload of {spelling}", missing=StoreUnavailableError):
            container = self._folder()
            try:
                _check_target(container, spelling, replace=replace, if_match=if_match)
                return LocalUpload(
                    container, spelling, replace=replace, head_byte_count=head_byte_count, if_match=if_match
                )
            except BaseException:
                container.close()
                raise

    def open(self, name: str) -> LocalObject:
        """Open an object for reading; see the contract."""
        spelling = check_object_name(name)
        with self._existing(spelling) as (folder, file_name, _):
            descriptor = folder.open_file(file_name, os.O_RDONLY)
            try:
                status = regular_file_status(descriptor, spelling)
            except BaseException:
                os.close(descriptor)
                raise
        return LocalObject(descriptor, local_object_info(spelling, status))

    def info(self, name: str) -> ObjectInfo:
        """What the file system says of an object; see the contract."""
        spelling = check_object_name(name)
        with self._existing(spelling) as (_, _, status):
            return local_object_info(spelling, status)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects, ordered by name; see the contract. The folder is read at the call, not while iterating."""
        with self._container() as container, storage_errors(f"listing of container {self._path.name}"):
            return iter(sorted(_objects(container, "", prefix), key=lambda info: info.name))

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """Remove an object, durably; see the contract."""
        spelling = check_object_name(name)
        with self._existing(spelling) as (folder, file_name, _):
            with (
                self._container() as container,
                container.folder(UPLOADS_FOLDER, create=True) as uploads,
                uploads.turn(),
            ):
                if if_match is not None:
                    check_match(spelling, local_object_info(spelling, folder.status(file_name)), if_match)
                folder.unlink(file_name)
            folder.fsync()

    def free_byte_count(self) -> int | None:
        """What can still be written to the container's file system; see the contract."""
        with self._container() as container, storage_errors(f"container {self._path.name}"):
            return container.free_byte_count()

    def close(self) -> None:
        """It holds nothing open; see the contract."""

    @contextmanager
    def _container(self) -> Iterator[Folder]:
        """The container's folder, open."""
        with storage_errors(f"container {self._path}", missing=StoreUnavailableError):
            container = self._folder()
        with container:
            yield container

    def _folder(self) -> Folder:
        try:
            return Folder.at(self._path)
        except FileNotFoundError:
            raise _vanished(self._path) from None

    @contextmanager
    def _existing(self, spelling: str) -> Iterator[tuple[Folder, str, os.stat_result]]:
        """The folder of an object that exists, its file name there, and its status."""
        *folder_names, file_name = spelling.split("/")
        with (
            self._container() as container,
            storage_errors(f"object {spelling}"),
            container.descend(folder_names) as folder,
        ):
            status = folder.status(file_name)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectNotFoundError(f"{spelling} is {_kind(status)}, not an object")
            yield folder, file_name, status


def _vanished(path: Path) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"container {path.name} is not in storage account {path.parent}",
        hint="mount the disk or put the folder back; to begin with an empty container: "
        f"tabvault storage containers create {shlex.quote(str(path))}",
    )


def _check_target(container: Folder, spelling: str, *, replace: bool, if_match: str | None) -> None:
    """Answer early whether an upload can be published under *spelling*, as things stand."""
    *folder_names, file_name = spelling.split("/")
    try:
        with container.descend(folder_names) as folder:
            status = folder.status(file_name)
    except FileNotFoundError:
        check_match(spelling, None, if_match)
        return
    if not stat.S_ISREG(status.st_mode):
        raise InvalidNameError(f"{spelling} is {_kind(status)}, so it cannot be an object", hint="choose another name")
    if not replace:
        raise object_exists(spelling)
    check_match(spelling, local_object_info(spelling, status), if_match)


def _objects(folder: Folder, path: str, prefix: str) -> Iterator[ObjectInfo]:
    """The objects below *folder*, whose own name is *path* (empty, or with a slash at its end), in no order."""
    for name in folder.names():
        spelling = f"{path}{name}"
        if not is_object_name(spelling):
            continue
        # What goes away between two looks is not there.
        try:
            status = folder.status(name)
            if stat.S_ISREG(status.st_mode):
                if spelling.startswith(prefix):
                    yield local_object_info(spelling, status)
            elif stat.S_ISDIR(status.st_mode) and _may_hold(f"{spelling}/", prefix):
                with folder.folder(name) as inner:
                    yield from _objects(inner, f"{spelling}/", prefix)
        except (FileNotFoundError, NotADirectoryError):
            continue


def _may_hold(path: str, prefix: str) -> bool:
    return path.startswith(prefix) or prefix.startswith(path)


def _kind(status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "a folder"
    return "a symbolic link" if stat.S_ISLNK(status.st_mode) else "a device or a pipe"
