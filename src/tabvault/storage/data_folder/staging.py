"""
Writing a version that nobody sees yet.

A staged version is a whole database folder in the ``staging`` folder (``<random>/versions/00000001/…``, laid out as
:mod:`~tabvault.storage.data_folder.database_folder` describes), so that a new database can be published by one rename
of it, and a new version of an old one by a rename of what is inside. Files are written in place and not awaited;
:meth:`StagedVersion.commit` makes them all durable together before anything refers to them.

A file shared with a committed version by a hard link is one file with two names: to edit it would change the
committed version. Therefore :meth:`StagedVersion.path` copies such a file first, and nothing else gives a path away
for editing.
"""

from __future__ import annotations

import datetime
import secrets
import shutil
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, Self

from tabvault.errors import FormatError, LimitError
from tabvault.formats import crc32
from tabvault.formats.byte_source import pieces as pieces_of
from tabvault.storage.data_folder import manifest as manifest_json
from tabvault.storage.data_folder.database_folder import FILES, MANIFEST, VERSIONS, version_name
from tabvault.storage.data_folder.file_names import StoredPaths
from tabvault.storage.data_folder.group_fsync import fsync_all
from tabvault.storage.data_folder.manifest import FILE_COUNT_MAX, MANIFEST_BYTE_COUNT_MAX, Manifest, ManifestFile
from tabvault.storage.data_folder.staged_file import copy, holds, link, read_again, write_new, writing
from tabvault.storage.data_folder.version import StoredFiles
from tabvault.storage.durable import FOLDER_MODE, write_file_durably
from tabvault.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from tabvault.storage.data_folder.database_info import DatabaseInfo
    from tabvault.storage.data_folder.version import VersionReader


class Publish(Protocol):
    """What the data folder does with a version that is whole and durable."""

    def __call__(
        self, staged: Path, manifest: Manifest, manifest_digest: str, replaces: DatabaseInfo | None
    ) -> DatabaseInfo:
        """Make it the current version of a database."""
        ...


class StagedVersion(StoredFiles):
    """
    A version being written; a context manager that throws it away unless it was committed. For one thread.

    It is a :class:`~tabvault.model.file_set.FileSet` of what has been added so far.

    Args:
        staging: the folder for staged versions, on the file system of the databases.
        publish: the last step of :meth:`commit`.

    Raises:
        StorageError: the folder cannot be created.
    """

    def __init__(self, staging: Path, publish: Publish) -> None:
        self._root = staging / secrets.token_hex(16)
        self._version = self._root / VERSIONS / version_name(1)
        self._staged: dict[str, ManifestFile] = {}
        super().__init__(self._version / FILES, self._staged)
        self._publish = publish
        self._paths = StoredPaths()
        self._folders = [self._root, self._root / VERSIONS, self._version, self._files_folder]
        self._known_folders = set(self._folders)
        self._unsynced: set[str] = set()
        self._unsealed: set[str] = set()
        with writing("version"):
            for folder in self._folders:
                folder.mkdir(FOLDER_MODE)

    def add(
        self,
        name: str,
        pieces: Iterable[bytes | memoryview],
        *,
        byte_count: int,
        last_write_time: int,
        group_class: int,
    ) -> None:
        """
        Write a file.

        Args:
            name: logical name.
            pieces: its bytes; an error that the iteration raises passes through.
            byte_count: how many they have to be.
            last_write_time: FILETIME.
            group_class: class of its file group.

        Raises:
            FormatError: the name is used already, or the bytes are more or fewer, or a number is no number of its kind.
            DiskFullError: no room.
            StorageError: it cannot be written.
        """
        entry = self._new_entry(ManifestFile(name, "", byte_count, 0, last_write_time, group_class))
        path = self._make_place(entry)
        self._staged[name] = entry._replace(crc32=write_new(path, pieces, entry))
        self._unsynced.add(name)

    def link(self, reader: VersionReader, name: str) -> None:
        """
        Share a file with the version that *reader* reads: the same bytes on the disk, where the file system can.

        Raises:
            FormatError: the name is used already, or *reader* has no such file, or it is damaged there.
            DiskFullError: it had to be copied, and there is no room.
            StorageError: it cannot be written.
        """
        self._share(reader, self._new_entry(reader.entry(name)))

    def add_or_share(
        self,
        reader: VersionReader,
        name: str,
        pieces: Iterable[bytes | memoryview],
        *,
        byte_count: int,
        last_write_time: int,
        group_class: int,
    ) -> None:
        """
        Write a file as :meth:`add` does, or share the one that *reader* has, if that holds the very same bytes.

        They are compared while they come, byte by byte with what is on the disk; nothing is written as long as they
        agree. A file of *reader* that is missing, of another length or unreadable is one that differs: what is written
        here may be what replaces it. Arguments and errors as :meth:`add`, and:

        Raises:
            StorageError: bytes of *reader* that agreed could not be read once more.
        """
        compared = iter(pieces)
        old = reader.open(name) if name in reader.names() and reader.byte_count(name) == byte_count else None
        if old is None or not holds(old, b"", offset=0):
            self.add(name, compared, byte_count=byte_count, last_write_time=last_write_time, group_class=group_class)
            return
        same_byte_count = crc = 0
        for piece in compared:
            if not holds(old, piece, offset=same_byte_count):
                self.add(
                    name,
                    chain(read_again(old, name, byte_count=same_byte_count, crc=crc), [piece], compared),
                    byte_count=byte_count,
                    last_write_time=last_write_time,
                    group_class=group_class,
                )
                return
            same_byte_count += len(piece)
            crc = crc32.crc32(piece, crc)
        if same_byte_count != byte_count:
            raise FormatError(f"the file has {same_byte_count} bytes, not the {byte_count} it should have", file=name)
        entry = ManifestFile(name, "", byte_count, crc, last_write_time, group_class)
        self._share(reader, self._new_entry(entry))

    def reading_path(self, name: str) -> Path:
        """
        Where a staged file lies, for reading: it may be shared with a committed version.

        Raises:
            FormatError: no such file.
        """
        return self._stored_path(name)

    def path(self, name: str) -> Path:
        """
        Where a staged file lies, for editing in place.

        Length and CRC are taken again by :meth:`seal`, at the latest by :meth:`commit`; by then nothing writes to it.

        Raises:
            FormatError: no such file.
            DiskFullError: it was shared and had to be copied, and there is no room.
            StorageError: it cannot be copied.
        """
        path = self._stored_path(name)
        with writing(path):
            is_shared = path.stat().st_nlink > 1
        if is_shared:
            own = path.with_name(f".{secrets.token_hex(8)}.tmp")
            copy(self.open(name), own, self.entry(name))
            with writing(path):
                own.rename(path)
            self._unsynced.add(name)
        self._unsealed.add(name)
        return path

    def seal(self, name: str) -> None:
        """
        Take length and CRC of an edited file as they are now.

        Raises:
            FormatError: no such file.
            StorageError: it cannot be read.
        """
        crc = 0
        with FileSource(self._stored_path(name)) as source:
            for piece in pieces_of(source):
                crc = crc32.crc32(piece, crc)
            self._staged[name] = self.entry(name)._replace(byte_count=source.byte_count, crc32=crc)
        self._unsealed.discard(name)
        self._unsynced.add(name)

    def commit(
        self,
        *,
        name: str,
        database_id: str,
        compatibility_level: int,
        read_write_mode: str,
        container: dict[str, Any],
        replaces: DatabaseInfo | None,
    ) -> DatabaseInfo:
        """
        Make the staged files the current version of a database, whole and durable, in one step.

        The manifest lists the files in the order in which they were added. When this raises, the database is the old
        one; only if the disk failed at the very last step can it be the new one, and then whole: the data folder says
        which.

        Args:
            name: of the database.
            database_id: of the database.
            compatibility_level: as in ``db.xml``.
            read_write_mode: ``readWrite``, ``readOnly`` or ``readOnlyExclusive``.
            container: JSON object that the next reader gets back.
            replaces: the database whose next version this is, as it was when the work began; None for a new database.

        Raises:
            DatabaseExistsError: another database has the name or the id.
            DatabaseError: *replaces* has changed meanwhile, or is gone.
            FormatError: a name, id or number is none that a database can have.
            LimitError: the manifest would be longer than one that can be read.
            DiskFullError: no room.
            StorageError: it cannot be written.
        """
        for unsealed in sorted(self._unsealed):
            self.seal(unsealed)
        now = datetime.datetime.now(datetime.UTC)
        try:
            manifest = Manifest(
                name=name,
                id=database_id,
                compatibility_level=compatibility_level,
                read_write_mode=read_write_mode,
                created=(replaces.created if replaces else None) or now,
                committed=now,
                container=container,
                files=tuple(self._staged.values()),
            )
            data = manifest_json.emit(manifest)
        except ValueError as error:  # what a backup says goes into these fields
            raise FormatError(f"the version cannot be described: {error}", file=MANIFEST) from None
        if len(data) > MANIFEST_BYTE_COUNT_MAX:
            raise LimitError(f"manifest of {len(data)} bytes is over {MANIFEST_BYTE_COUNT_MAX}", file=MANIFEST)
        if manifest_json.parse(data) != manifest:
            raise ValueError("the container object does not survive JSON")
        with writing("version"):
            fsync_all([self._stored_path(name) for name in self._unsynced])
            write_file_durably(self._version / MANIFEST, data)
            fsync_all(self._folders)
        return self._publish(self._root, manifest, manifest_json.digest(data), replaces)

    def close(self) -> None:
        """Throw away what was not committed. What cannot be removed now goes when the data folder is opened next."""
        with suppress(OSError):  # rmtree ignores most errors, not all
            shutil.rmtree(self._root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _new_entry(self, entry: ManifestFile) -> ManifestFile:
        """*entry* with a path of its own in this version, where it can stand in a manifest."""
        name = entry.name
        if name in self._staged:
            raise FormatError("the file is there twice", file=name)
        if len(self._staged) >= FILE_COUNT_MAX:
            raise LimitError(f"more than {FILE_COUNT_MAX} files", file=name)
        placed = entry._replace(path=self._paths.assign(name))
        try:
            placed.check()
        except ValueError as error:
            raise FormatError(str(error), file=name) from None
        return placed

    def _share(self, reader: VersionReader, entry: ManifestFile) -> None:
        """Take the file of *reader* that has the name, length and CRC of *entry*."""
        path = self._make_place(entry)
        if not link(reader.path(entry.name), path, entry):
            copy(reader.open(entry.name), path, entry)
            self._unsynced.add(entry.name)
        self._staged[entry.name] = entry

    def _make_place(self, entry: ManifestFile) -> Path:
        """The file's path, in folders that exist."""
        path = self._files_folder / entry.path
        missing = []
        folder = path.parent
        while folder not in self._known_folders:
            missing.append(folder)
            folder = folder.parent
        with writing(path):
            for folder in reversed(missing):
                # Where case does not matter it may be there already, spelt differently.
                folder.mkdir(FOLDER_MODE, exist_ok=True)
                self._folders.append(folder)
                self._known_folders.add(folder)
        return path
