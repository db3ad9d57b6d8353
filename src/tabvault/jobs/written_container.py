"""
A database as the containers that are written here say it: storage keys, bodies that are checked as they pass, the log.

What the log says of a file's place on its server is made up: readers only use it to tell the database folder from the
file names, and it must look like a Windows path, because genuine logs have no other and every reader splits at
backslashes.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, Protocol

from tabvault.errors import ChecksumError, DataFolderDamagedError
from tabvault.formats import crc32
from tabvault.formats.abf import backup_log, db_xml
from tabvault.formats.abf.backup_log import BackupLog, FileGroup, LogFile
from tabvault.formats.byte_source import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tabvault.formats.abf.db_xml import DatabaseDefinition
    from tabvault.jobs.origin import Origin
    from tabvault.storage.data_folder.manifest import ManifestFile
    from tabvault.storage.data_folder.version import VersionReader

SERVER_ROOT: Final = "\\\\?\\C:\\Tabvault\\Data"
"""``ServerRoot`` of our logs."""

_NO_OBJECT_ID: Final = "00000000-0000-0000-0000-000000000000"


class ContainedFile(Protocol):
    """What a manifest and a container both say of a file."""

    @property
    def name(self) -> str:
        """Logical name."""
        ...

    @property
    def group_class(self) -> int:
        """Class of its file group in the log."""
        ...

    @property
    def byte_count(self) -> int:
        """Uncompressed length."""
        ...

    @property
    def last_write_time(self) -> int:
        """FILETIME."""
        ...


def storage_keys(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> Iterator[str]:
    """Storage keys as engines make them: 20 upper-case hexadecimal digits, none twice."""
    seen: set[str] = set()
    while True:
        key = random_bytes(10).hex().upper()
        if key not in seen:
            seen.add(key)
            yield key


def checked_body(version: VersionReader, entry: ManifestFile) -> Iterator[bytes | memoryview]:
    """
    The bytes of a file of *version*.

    Raises:
        ChecksumError: behind the last piece: they are not those that were committed.
    """
    crc = 0
    for piece in pieces(version.open(entry.name)):
        crc = crc32.crc32(piece, crc)
        yield piece
    if crc != entry.crc32:
        raise ChecksumError(
            f"the file has CRC {crc:#010x}, it was committed with {entry.crc32:#010x}",
            file=entry.name,
            hint="the data folder's disk damaged it; restore the last good backup over this database",
        )


def definition_of(version: VersionReader) -> tuple[str, DatabaseDefinition]:
    """
    Name and content of ``db.xml``.

    Raises:
        DataFolderDamagedError: there is none, or it is of another database than the manifest.
        FormatError: it is damaged.
    """
    manifest = version.manifest
    name = next((file.name for file in manifest.files if file.name.endswith(".db.xml")), None)
    if name is None:
        raise DataFolderDamagedError(f"database {manifest.name!r} has no db.xml")
    definition = db_xml.parse(version.read(name), file=name)
    if (definition.name, definition.id) != (manifest.name, manifest.id):
        raise DataFolderDamagedError(
            f"the manifest is of {manifest.name!r} ({manifest.id!r}), db.xml of {definition.name!r} ({definition.id!r})"
        )
    return name, definition


def written_log(
    files: Sequence[ContainedFile],
    storage_paths: Mapping[str, str],
    origin: Origin,
    *,
    definition: DatabaseDefinition,
    definition_name: str,
) -> BackupLog:
    """
    The log of a database with the two file groups of a model with sqlite metadata.

    Args:
        files: in the order in which they are stored.
        storage_paths: storage key by logical name.
        origin: whose text elements, collations and languages the log has, but for those that say which database it is.
        definition: ``db.xml``.
        definition_name: logical name of it.
    """
    folder_path = f"{SERVER_ROOT}\\{definition.id}.{definition.persist_location}.db"

    def group(class_: int, *, version: int, location: int, object_id: str) -> FileGroup:
        logged = tuple(
            LogFile(
                path=f"{SERVER_ROOT if file.name == definition_name else folder_path}\\{file.name}",
                storage_path=storage_paths[file.name],
                last_write_time=file.last_write_time,
                byte_count=file.byte_count,
            )
            for file in files
            if file.group_class == class_
        )
        return FileGroup(class_, definition.id, definition.name, version, location, folder_path, "", object_id, logged)

    database = group(
        backup_log.DATABASE_CLASS,
        version=definition.object_version,
        location=definition.persist_location,
        object_id=definition.object_id,
    )
    tabular = group(backup_log.TABULAR_CLASS, version=-1, location=-1, object_id=_NO_OBJECT_ID)
    which = {"ServerRoot": SERVER_ROOT, "ObjectName": definition.name, "ObjectId": definition.id}
    return BackupLog(origin.fields | which, origin.collations, origin.languages, (database, tabular))
