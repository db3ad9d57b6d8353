"""The commands of TMSL as values. :mod:`tabvault.model.tmsl.commands` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping

    from tabvault.model.tmsl.tree import DatabaseDefinition, TabularObject


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A database, or an object in it: *path* names it by type, as ``{"Table": "Sales", "Partition": "2024"}``."""

    database: str
    path: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The type of the object; ``Database`` when it is the database itself."""
        return next(reversed(tuple(self.path)), "Database")


@dataclass(frozen=True, slots=True)
class Backup:
    """``backup``: *database* is a name, *password* None where the file is not to be encrypted."""

    database: str
    file: str
    password: str | None = field(default=None, repr=False)
    allow_overwrite: bool = False
    apply_compression: bool = True


@dataclass(frozen=True, slots=True)
class Restore:
    """``restore``: *security* and *read_write_mode* are words of TMSL, None where the text has none."""

    database: str
    file: str
    password: str | None = field(default=None, repr=False)
    db_storage_location: str | None = None
    allow_overwrite: bool = False
    ignore_incompatibilities: bool = False
    force_restore: bool = False
    read_write_mode: str | None = None
    security: str | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """``create``: *parent* is None for a database."""

    parent: ObjectPath | None
    definition: DatabaseDefinition | TabularObject


@dataclass(frozen=True, slots=True)
class CreateOrReplace:
    """``createOrReplace``: *object* is what is replaced; its new name may be another."""

    object: ObjectPath
    definition: DatabaseDefinition | TabularObject


@dataclass(frozen=True, slots=True)
class Alter:
    """``alter``: only what *definition* says is changed."""

    object: ObjectPath
    definition: DatabaseDefinition | TabularObject


@dataclass(frozen=True, slots=True)
class Delete:
    """``delete``."""

    object: ObjectPath


@dataclass(frozen=True, slots=True)
class Refresh:
    """``refresh``: *type* is a word of TMSL, such as ``full``; *keep_calculated* is no member of Microsoft's schema."""

    type: str
    objects: tuple[ObjectPath, ...]
    apply_refresh_policy: bool | None = None
    effective_date: datetime.datetime | None = None
    keep_calculated: bool = False


@dataclass(frozen=True, slots=True)
class Attach:
    """``attach``."""

    folder: str
    password: str | None = field(default=None, repr=False)
    read_write_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Detach:
    """``detach``."""

    database: str
    password: str | None = field(default=None, repr=False)


Operation = Backup | Restore | Create | CreateOrReplace | Alter | Delete | Refresh | Attach | Detach


@dataclass(frozen=True, slots=True)
class Sequence:
    """``sequence``: all or nothing; *max_parallelism* None is without a limit."""

    operations: tuple[Operation, ...]
    max_parallelism: int | None = None


Command = Operation | Sequence
