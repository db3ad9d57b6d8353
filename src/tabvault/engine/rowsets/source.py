"""What the rowsets are made from: one database, and the names of all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from tabvault.model.file_set import FileSet
    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Model


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A database as a list of databases shows it. *modified* is in UTC; *version* is that of its metadata."""

    name: str
    id: str
    description: str | None
    compatibility_level: int
    modified: datetime.datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class RowsetSource:
    """
    One version of a database, for as long as a query lasts.

    *database* is its own entry among *catalogs*, which are all databases there are; *metadata*, *model* and *files*
    belong to the same version.
    """

    database: CatalogEntry
    catalogs: Sequence[CatalogEntry]
    metadata: Metadata
    model: Model
    files: FileSet
