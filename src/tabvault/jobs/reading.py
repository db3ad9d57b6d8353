"""A database opened for reading: its model, and its tables as Arrow, decoded when they are asked for."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabvault.engine import scan
from tabvault.engine.rowsets import CatalogEntry
from tabvault.engine.suggestion import all_names, close_names
from tabvault.errors import ModelError, QueryError
from tabvault.jobs.inspect import metadata_of
from tabvault.jobs.landing import MODE_WORDS, read_definition
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    import pyarrow as pa

    from tabvault.formats.abf.container import Container
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Table as ModelTable
    from tabvault.storage.data_folder.folder import DatabaseInfo
    from tabvault.storage.data_folder.version import VersionReader


@dataclass(frozen=True, slots=True)
class Table:
    """
    A user table, hidden or not.

    It speaks the Arrow PyCapsule interface, so ``polars.DataFrame(table)`` or DuckDB take it as it is.
    """

    definition: ModelTable
    files: FileSet

    @property
    def name(self) -> str:
        """The table's name in the model."""
        return self.definition.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, without the internal row number."""
        return tuple(column.name for column in self.definition.columns if not column.is_row_number)

    @property
    def row_count(self) -> int:
        """Rows over all partitions."""
        return self.definition.row_count

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, without decoding anything."""
        return scan.table_schema(self.definition)

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """
        Decode the table.

        Args:
            columns: names of those wanted, in the order wanted; all by default.

        Raises:
            QueryError: no such column.
            ModelError: the metadata of a column contradict themselves.
            FormatError: a file of the table is damaged.
            TypeError: *columns* is one text.
        """
        return scan.read_table(self.files, self.definition, columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        """The whole table as an Arrow C stream."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class OpenDatabase:
    """
    A database, or a backup as if it were one.

    Attributes:
        entry: the database as a list of databases shows it.
        key: equal for no two versions of any databases; what is decoded may be kept under it.
        model: its metadata as objects.
        metadata: its metadata as tables.
        files: its files by logical name.
        tables: its user tables in the order of the model.
        rowsets: of its metadata, as far as they were asked for; see :class:`RowsetSource`.
    """

    def __init__(self, entry: CatalogEntry, key: Hashable, metadata: Metadata, files: FileSet) -> None:
        self.entry = entry
        self.key = key
        self.metadata = metadata
        self.model = load_model(metadata)
        self.files = files
        self.tables = tuple(Table(table, files) for table in self.model.tables)
        self.rowsets: dict[tuple[str, int], pa.Table] = {}

    @property
    def name(self) -> str:
        """The database's name."""
        return self.entry.name

    @classmethod
    @contextlib.contextmanager
    def of_container(cls, container: Container) -> Iterator[OpenDatabase]:
        """A backup's database, read in place."""
        _, definition = read_definition(container)
        entry = CatalogEntry(definition.name, definition.id, None, definition.compatibility_level, None, 1)
        with metadata_of(container) as metadata:
            yield cls(entry, object(), metadata, ContainerFiles(container))

    @classmethod
    @contextlib.contextmanager
    def of_version(cls, version: VersionReader) -> Iterator[OpenDatabase]:
        """
        A database of the data folder.

        Args:
            version: stays pinned by the caller.
        """
        info = version.info
        with Metadata.open(version.path(METADATA_FILE)) as metadata:
            yield cls(catalog_entry(info), (info.key, info.version), metadata, version)

    def table(self, name: str) -> Table:
        """
        One table by its name (case counts only where two names differ by nothing else).

        Raises:
            QueryError: no such table.
            ModelError: more than one that only case tells apart.
        """
        exact = [table for table in self.tables if table.name == name]
        found = exact or [table for table in self.tables if table.name.casefold() == name.casefold()]
        names = [table.name for table in self.tables]
        if not found:
            raise QueryError(f"no table {name!r}", hint=close_names(name, names) or all_names(names))
        if len(found) > 1:
            raise ModelError(f"there is more than one table {name!r}")
        return found[0]


def catalog_entry(info: DatabaseInfo, roles: tuple[str, ...] | None = None) -> CatalogEntry:
    """
    A database of the data folder as the catalogue rowsets list it.

    Args:
        info: the database.
        roles: those by which the caller may read it; None for one who may do everything.
    """
    return CatalogEntry(
        name=info.name,
        id=info.id,
        description=None,
        compatibility_level=info.compatibility_level or 0,
        modified=info.committed,
        version=max(info.version, 1),
        created=info.created,
        processed=info.committed,
        byte_count=info.byte_count,
        read_write_mode=MODE_WORDS.get(info.read_write_mode, "ReadWrite"),
        roles=roles,
    )
