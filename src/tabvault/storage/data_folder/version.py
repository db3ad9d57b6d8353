"""
Reading the files of a version.

A committed version never changes, and a reader's version is not removed before the reader is closed. So files are
opened when bytes are asked for and closed again: a backup of thousands of files holds one descriptor at a time, and
what is read is the version the reader began with, whatever is committed or dropped meanwhile.
"""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from tabvault.errors import ChecksumError, FormatError, ObjectNotFoundError, TruncatedError
from tabvault.formats import crc32
from tabvault.formats.byte_source import check_range, pieces
from tabvault.storage.file_source import FileSource
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, KeysView, Mapping
    from pathlib import Path
    from types import TracebackType

    from tabvault.formats.byte_source import ByteSource
    from tabvault.storage.data_folder.database_info import DatabaseInfo
    from tabvault.storage.data_folder.manifest import Manifest, ManifestFile

DAMAGE_HINT = "the disk of the data folder damaged it; restore the last good backup over this database"


class StoredFiles:
    """
    A :class:`~tabvault.model.file_set.FileSet` over a ``files`` folder.

    Args:
        folder: the ``files`` folder of a version.
        entries: the manifest's entries by logical name, in order. A staged version adds to them.
    """

    def __init__(self, folder: Path, entries: Mapping[str, ManifestFile]) -> None:
        self._files_folder = folder
        self._entries = entries

    def names(self) -> KeysView[str]:
        """All logical names, in the order of the backup log."""
        return self._entries.keys()

    def entry(self, name: str) -> ManifestFile:
        """
        What the manifest says of a file.

        Raises:
            FormatError: no such file.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise FormatError("no such file in the database", file=name)
        return entry

    def byte_count(self, name: str) -> int:
        """
        Length of the file.

        Raises:
            FormatError: no such file.
        """
        return self.entry(name).byte_count

    def read(self, name: str) -> bytes:
        """
        The whole file, of the length that the manifest says. Its CRC is not computed: see :meth:`check`.

        Raises:
            FormatError: no such file, or it is not as long as the manifest says.
            StorageError: it cannot be read.
        """
        entry = self.entry(name)
        with _opened(self._stored_path(name), entry) as source:
            return source.read_at(0, entry.byte_count)

    def open(self, name: str) -> ByteSource:
        """
        The file for reading in ranges, as long as this version is open. Nothing needs closing.

        Raises:
            FormatError: no such file.
        """
        return StoredFile(self._stored_path(name), self.entry(name))

    def check_length(self, name: str) -> None:
        """
        See that the file is there and as long as the manifest says, without reading it.

        Raises:
            FormatError: no such file, or it is missing, no regular file, or not as long.
            StorageError: the file system does not say.
        """
        entry = self.entry(name)
        with storage_errors(f"file {name}"):
            try:
                status = self._stored_path(name).stat()
            except FileNotFoundError:
                raise _missing(entry) from None
        if not stat.S_ISREG(status.st_mode):
            raise FormatError("it is not a regular file", file=name, hint=DAMAGE_HINT)
        _check_length(entry, status.st_size)

    def check(self, name: str) -> None:
        """
        Read the file and compare length and CRC with the manifest.

        Raises:
            ChecksumError: the CRC differs.
            FormatError: no such file, or it is not as long as the manifest says.
            StorageError: it cannot be read.
        """
        entry = self.entry(name)
        crc = 0
        with _opened(self._stored_path(name), entry) as source:
            for piece in pieces(source):
                crc = crc32.crc32(piece, crc)
        if crc != entry.crc32:
            raise ChecksumError(
                f"the file has CRC {crc:#010x}, it was committed with {entry.crc32:#010x}", file=name, hint=DAMAGE_HINT
            )

    def _stored_path(self, name: str) -> Path:
        return self._files_folder / self.entry(name).path


class VersionReader(StoredFiles):
    """
    One version of a database, pinned until :meth:`close`; a context manager.

    Args:
        folder: of the version.
        info: the database at this version.
        manifest: of the version.
        release: called once, when the version is not needed any more.
    """

    def __init__(self, folder: Path, info: DatabaseInfo, manifest: Manifest, release: Callable[[], None]) -> None:
        super().__init__(folder / "files", {file.name: file for file in manifest.files})
        self.info = info
        self.manifest = manifest
        self._release: Callable[[], None] | None = release

    def path(self, name: str) -> Path:
        """
        Where the file lies, for reading, while this reader is open.

        Raises:
            FormatError: no such file.
        """
        return self._stored_path(name)

    def close(self) -> None:
        """Let the version go. Twice is allowed."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class StoredFile:
    """A :class:`~tabvault.formats.byte_source.ByteSource` that opens its file for each range."""

    def __init__(self, path: Path, entry: ManifestFile) -> None:
        self._path = path
        self._entry = entry

    @property
    def byte_count(self) -> int:
        """Length of the file, in bytes, as the manifest says."""
        return self._entry.byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes:
        """
        Exactly *byte_count* bytes from *offset*.

        Raises:
            TruncatedError: the range is not wholly inside the file.
            FormatError: the file is missing or not as long as the manifest says.
            StorageError: it cannot be read.
        """
        check_range(offset, byte_count, self.byte_count)
        with _opened(self._path, self._entry) as source:
            return source.read_at(offset, byte_count)


@contextmanager
def _opened(path: Path, entry: ManifestFile) -> Iterator[FileSource]:
    """The file, when it is as long as its entry says."""
    try:
        source = FileSource(path)
    except ObjectNotFoundError:
        raise _missing(entry) from None
    with source:
        _check_length(entry, source.byte_count)
        yield source


def _missing(entry: ManifestFile) -> FormatError:
    return FormatError("the file is missing in the data folder", file=entry.name, hint=DAMAGE_HINT)


def _check_length(entry: ManifestFile, byte_count: int) -> None:
    if byte_count != entry.byte_count:
        kind = TruncatedError if byte_count < entry.byte_count else FormatError
        raise kind(
            f"the file has {byte_count} bytes, it was committed with {entry.byte_count}",
            file=entry.name,
            hint=DAMAGE_HINT,
        )
