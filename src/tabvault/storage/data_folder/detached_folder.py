"""
One detached database, read as what it is: a folder into which anybody may have put anything.

It is laid out as a database's folder (:mod:`~tabvault.storage.data_folder.database_folder`). Nothing of it is taken
over as it lies there: its files are brought into a staged version, one by one, as the manifest names them. Rules:

1. The folder is opened once, and everything in it from there, component by component, following no symbolic link: no
   byte that lies outside of it is ever read as part of it.
2. What does not belong to the database (:meth:`DetachedFolder.check_contents`) is an error and stays where it is: who
   put a file there loses nothing. Garbage that a database's folder may hold by its invariants is passed over.
3. A file is shared by a hard link when it is ours and has no other name; one that somebody else may still write,
   through another name or as its owner, is copied. Length and CRC are those of what was brought, not of what lies here.
4. Numbers are limited before anything is allocated by them: bytes of the small files and of the manifest, values in it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import ChecksumError, DatabaseError, FormatError, LimitError, TruncatedError
from tabvault.formats import crc32
from tabvault.formats.byte_source import pieces
from tabvault.storage.data_folder.database_folder import (
    CURRENT,
    DROPPED,
    FILES,
    LAST_BACKUP,
    MANIFEST,
    SMALL_FILE_BYTE_COUNT_MAX,
    VERSIONS,
    parse_current,
    parse_last_backup,
    parse_manifest,
    version_name,
)
from tabvault.storage.data_folder.database_info import DatabaseInfo
from tabvault.storage.data_folder.group_fsync import fsync_all
from tabvault.storage.data_folder.manifest import FILE_COUNT_MAX, MANIFEST_BYTE_COUNT_MAX
from tabvault.storage.data_folder.version import VersionReader
from tabvault.storage.file_source import DescriptorSource
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from tabvault.storage.data_folder.database_info import LastBackup
    from tabvault.storage.data_folder.manifest import Manifest, ManifestFile
    from tabvault.storage.data_folder.staging import StagedVersion

    Counted = Callable[[Iterable[bytes | memoryview]], Iterable[bytes | memoryview]]

MANIFEST_VALUE_COUNT_MAX: Final = 16 * FILE_COUNT_MAX
"""A file has six values; the rest is for commas and brackets in names, which the count takes for values."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would wait for a writer
_GARBAGE_FILE: Final = re.compile(rf"{DROPPED}|\.[^/]*\.tmp")
_GARBAGE_FOLDER: Final = re.compile(rf"{VERSIONS}/[0-9]{{8,12}}")
_PROBLEMS: Final = {
    errno.ENOENT: "a part of the detached database is missing",
    errno.ELOOP: "it is a symbolic link, and none is followed",
    errno.ENOTDIR: "a folder is expected there, and no symbolic link is followed",
    errno.ENXIO: "it is not a regular file",
}


class DetachedFolder:
    """
    A detached database, opened; a context manager.

    Args:
        path: its folder.

    Attributes:
        path: its folder.
        info: the database; its key is the name of the folder.
        manifest: of its current version.
        last_backup: when its last backup ended, where that is known.

    Raises:
        FormatError: what lies there is no detached database, or a damaged one.
        StorageError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last_backup: LastBackup | None = None
        self._shared: list[Path] = []
        self._descriptor = self._open_itself()
        try:
            self.manifest = self._read_manifest()
        except BaseException:
            self.close()
            raise
        self._reader = VersionReader(path / self._version, self.info, self.manifest, lambda: None)

    def check_contents(self) -> None:
        """
        See that there is nothing in the folder but the database, and the garbage that a database's folder may hold.

        Raises:
            FormatError: something else is there, or a symbolic link.
            StorageError: it cannot be read.
        """
        files = {CURRENT, LAST_BACKUP, f"{self._version}/{MANIFEST}"}
        files.update(f"{self._version}/{FILES}/{entry.path}" for entry in self.manifest.files)
        folders = {f"{self._version}/{FILES}", *_folders_above(files)}
        pending = [""]
        while pending:
            folder = pending.pop()
            with self._opened(folder, _FOLDER) as descriptor, os.scandir(descriptor) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}".removeprefix("/")
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder and path in folders:
                        pending.append(path)
                        continue
                    garbage = _GARBAGE_FOLDER if is_folder else _GARBAGE_FILE
                    if (is_folder or path not in files or entry.is_symlink()) and not garbage.fullmatch(path):
                        raise FormatError(
                            "it is a symbolic link, and none is followed"
                            if entry.is_symlink()
                            else "it lies in the folder of the database, and is no part of it",
                            file=ascii(path)[1:-1],
                            hint="move it away; a folder with other things in it is not attached, so that none is lost",
                        )

    def copy_byte_count(self) -> int:
        """
        Bytes of the files that will be copied.

        Raises:
            FormatError, StorageError: as :meth:`bring`.
        """
        total = 0
        for entry in self.manifest.files:
            with self._opened_file(entry) as (_, status):
                total += 0 if _is_ours(status) else entry.byte_count
        return total

    def bring(self, staged: StagedVersion, entry: ManifestFile, *, counted: Counted) -> None:
        """
        Bring one file into a staged version, and compare what was brought with the manifest.

        Args:
            staged: the version.
            entry: the file.
            counted: sees the bytes pass; what it raises passes through.

        Raises:
            ChecksumError: the CRC differs.
            FormatError: it is missing, no regular file, or not as long.
            DiskFullError: it had to be copied, and there is no room.
            StorageError: it cannot be read or written.
        """
        with self._opened_file(entry) as (source, status):
            if _is_ours(status):
                staged.link(self._reader, entry.name)
                path = staged.reading_path(entry.name)
                self._check_brought(path, status, entry)
                crc = 0
                for piece in counted(pieces(staged.open(entry.name))):
                    crc = crc32.crc32(piece, crc)
                self._shared.append(path)
            else:
                staged.add(
                    entry.name,
                    counted(pieces(source)),
                    byte_count=entry.byte_count,
                    last_write_time=entry.last_write_time,
                    group_class=entry.group_class,
                )
                crc = staged.entry(entry.name).crc32
        if crc != entry.crc32:
            raise ChecksumError(
                f"the file has CRC {crc:#010x}, it was detached with {entry.crc32:#010x}", file=entry.name
            )

    def make_durable(self) -> None:
        """
        See that the bytes of all shared files are on the disk: whoever put them here need not have waited for it.

        Raises:
            StorageError: the file system reports a failure.
        """
        with storage_errors(f"detached database {self.path.name!a}"):
            fsync_all(self._shared)

    def check_in_place(self) -> None:
        """
        See that the folder of that name is still the one that was opened.

        Raises:
            DatabaseError: it is not.
            OSError: the file system refuses.
        """
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(there, os.fstat(self._descriptor)):
            raise DatabaseError(
                f"the detached database {self.path.name!a} was attached, moved or replaced meanwhile",
                hint="begin again with what is there now",
            )

    def close(self) -> None:
        """Let the folder go. Twice is allowed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open_itself(self) -> int:
        with self._problems(self.path.name):
            parent = os.open(self.path.parent, _FOLDER)
            try:
                return os.open(self.path.name, _FOLDER, dir_fd=parent)
            finally:
                os.close(parent)

    def _read_manifest(self) -> Manifest:
        """The manifest; on the way what else is known of the database."""
        place = CURRENT
        try:
            current = parse_current(self._read(place, SMALL_FILE_BYTE_COUNT_MAX))
            self._version = f"{VERSIONS}/{version_name(current.version)}"
            place = f"{self._version}/{MANIFEST}"
            data = self._read(place, MANIFEST_BYTE_COUNT_MAX)
            value_count = sum(data.count(mark) for mark in (b",", b"[", b"{"))
            if value_count > MANIFEST_VALUE_COUNT_MAX:
                raise LimitError(f"about {value_count} values are over {MANIFEST_VALUE_COUNT_MAX}", file=place)
            manifest = parse_manifest(data, current)
        except ValueError as error:
            raise FormatError(f"{place} {error}") from None
        try:
            self.last_backup = parse_last_backup(self._read(LAST_BACKUP, SMALL_FILE_BYTE_COUNT_MAX))
        except FormatError:  # as everywhere: one that is missing or damaged counts as never
            self.last_backup = None
        self.info = DatabaseInfo.of(self.path.name, current, manifest, last_backup=self.last_backup)
        return manifest

    def _read(self, path: str, byte_count_max: int) -> bytes:
        with self._opened(path, _FILE) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FormatError("it is not a regular file", file=path)
            if status.st_size > byte_count_max:
                raise LimitError(f"{status.st_size} bytes are over {byte_count_max}", file=path)
            with DescriptorSource(os.dup(descriptor), byte_count=status.st_size, what=path) as source:
                return source.read_at(0, status.st_size)

    @contextmanager
    def _opened_file(self, entry: ManifestFile) -> Iterator[tuple[DescriptorSource, os.stat_result]]:
        with self._opened(f"{self._version}/{FILES}/{entry.path}", _FILE) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FormatError("it is not a regular file", file=entry.name)
            if status.st_size != entry.byte_count:
                kind = TruncatedError if status.st_size < entry.byte_count else FormatError
                raise kind(
                    f"the file has {status.st_size} bytes, it was detached with {entry.byte_count}", file=entry.name
                )
            with DescriptorSource(os.dup(descriptor), byte_count=status.st_size, what=entry.name) as source:
                yield source, status

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        """A descriptor of what lies at *path* below the folder, reached without following a symbolic link."""
        with self._problems(path):
            descriptor = os.open(".", _FOLDER, dir_fd=self._descriptor)
            try:
                *folders, last = path.split("/")
                for component, how in [*((folder, _FOLDER) for folder in folders), (last or ".", flags)]:
                    below = os.open(component, how, dir_fd=descriptor)
                    os.close(descriptor)
                    descriptor = below
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def _problems(self, path: str) -> Iterator[None]:
        with storage_errors(f"detached database {self.path.name!a}"):
            try:
                yield
            except OSError as error:
                problem = _PROBLEMS.get(error.errno or 0)
                if problem is None:
                    raise
                raise FormatError(problem, file=path) from None

    def _check_brought(self, path: Path, status: os.stat_result, entry: ManifestFile) -> None:
        """A link is made by path: see that it is one to the file that was opened, or a copy of our own."""
        with storage_errors(f"staged file {entry.name!a}"):
            brought = path.lstat()
        if not stat.S_ISREG(brought.st_mode) or not (brought.st_nlink == 1 or os.path.samestat(brought, status)):
            raise FormatError("it was replaced while it was attached", file=entry.name)


def _folders_above(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        while "/" in path:
            path = path.rpartition("/")[0]  # noqa: PLW2901 - climbing
            yield path


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody else has a name of the file or may give himself the right to write it."""
    return status.st_nlink == 1 and status.st_uid == os.geteuid()
