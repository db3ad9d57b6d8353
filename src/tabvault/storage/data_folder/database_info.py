"""What the data folder knows of a database without reading its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import datetime

    from tabvault.storage.data_folder.manifest import Manifest


class Current(NamedTuple):
    """What ``CURRENT`` says."""

    version: int
    manifest_digest: str


class LastBackup(NamedTuple):
    """What ``LAST_BACKUP`` says: when the last backup ended, and the name of its file where that was noted."""

    ended: datetime.datetime
    file: str | None


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """
    A database of the data folder.

    Of a damaged one only *key* and *damage* say something: its name and id are the key, and it can be dropped by it.

    Attributes:
        key: name of its folder.
        name: of the database.
        id: of the database.
        compatibility_level: as in ``db.xml``.
        read_write_mode: ``readWrite``, ``readOnly`` or ``readOnlyExclusive``.
        version: number of the current version.
        manifest_digest: SHA-256 of its manifest.
        byte_count: of all files of that version.
        file_count: of that version.
        created: when the database was created; None if damaged.
        committed: when that version was; None if damaged.
        last_backup: when the last backup ended, where there was one.
        last_backup_file: its name in the container it went to; None where it was not noted.
        damage: what is wrong with it, and where; None if nothing is known to be.
    """

    key: str
    name: str
    id: str
    compatibility_level: int
    read_write_mode: str
    version: int
    manifest_digest: str
    byte_count: int
    file_count: int
    created: datetime.datetime | None
    committed: datetime.datetime | None
    last_backup: datetime.datetime | None
    last_backup_file: str | None
    damage: str | None

    @property
    def state(self) -> str:
        """``ready`` or ``damaged``."""
        return "ready" if self.damage is None else "damaged"

    @classmethod
    def damaged(cls, key: str, damage: str) -> DatabaseInfo:
        """A database of which nothing can be trusted."""
        return cls(
            key=key,
            name=key,
            id=key,
            compatibility_level=0,
            read_write_mode="",
            version=0,
            manifest_digest="",
            byte_count=0,
            file_count=0,
            created=None,
            committed=None,
            last_backup=None,
            last_backup_file=None,
            damage=damage,
        )

    @classmethod
    def of(cls, key: str, current: Current, manifest: Manifest, *, last_backup: LastBackup | None) -> DatabaseInfo:
        """The database in the folder *key*, whose version *current* has *manifest*."""
        return cls(
            key=key,
            name=manifest.name,
            id=manifest.id,
            compatibility_level=manifest.compatibility_level,
            read_write_mode=manifest.read_write_mode,
            version=current.version,
            manifest_digest=current.manifest_digest,
            byte_count=manifest.byte_count,
            file_count=len(manifest.files),
            created=manifest.created,
            committed=manifest.committed,
            last_backup=last_backup.ended if last_backup else None,
            last_backup_file=last_backup.file if last_backup else None,
            damage=None,
        )
