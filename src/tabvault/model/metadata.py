"""
The tables of ``metadata.sqlitedb``.

One table per kind of object, rows keyed by ``ID``; ids come from one counter (``DBPROPERTIES.MAXID``) over all tables.
Which tables and columns exist is decided by ``DBPROPERTIES.SCHEMAVERSION``, so a reader asks the file and knows no
fixed layout. All that was read off genuine files of schema versions 17 to 122. The file is hostile input: see
:mod:`tabvault.model.sqlite_file`.

The name and the id of the database stand nowhere in it (``Model.Name`` is "Model" in all of them): a restore under
another name changes ``db.xml`` and the log, and leaves the metadata alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import ModelError
from tabvault.model.sqlite_file import SqliteFile, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from tabvault.model.sqlite_file import Value

ESSENTIAL_TABLES: Final = (
    "DBPROPERTIES",
    "Model",
    "Table",
    "Column",
    "Partition",
    "TableStorage",
    "PartitionStorage",
    "SegmentMapStorage",
    "ColumnStorage",
    "DictionaryStorage",
    "ColumnPartitionStorage",
    "SegmentStorage",
    "StorageFolder",
    "StorageFile",
)
"""Without these there is no model. Every schema version since 17 has them."""

SYNONYMS: Final = {
    ("Model", "CacheMode"): "DefaultMode",
    ("DataSource", "ConnectionType"): "Type",
    ("Column", "BindingType"): "Type",
    ("Column", "CalcTableSourceColumnID"): "ColumnOriginID",
    ("Partition", "BindingType"): "Type",
    ("Partition", "CacheMode"): "Mode",
    ("Level", "Index"): "Ordinal",
    ("Relationship", "FromEndTableID"): "FromTableID",
    ("Relationship", "FromEndColumnID"): "FromColumnID",
    ("Relationship", "FromEndCardinality"): "FromCardinality",
    ("Relationship", "ToEndTableID"): "ToTableID",
    ("Relationship", "ToEndColumnID"): "ToColumnID",
    ("Relationship", "ToEndCardinality"): "ToCardinality",
}
"""Columns that schema version 17 calls otherwise, and the name that every later version gives them."""


class Metadata:
    """
    The tables of one ``metadata.sqlitedb``, read-only. Use it as a context manager; threads take turns.

    Columns carry the names of the newer schema versions (see :data:`SYNONYMS`). Tables and columns that we do not know
    are there like all others.

    Raises:
        ModelError: an essential table is missing.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._columns = {table: _named(table, stored) for table, stored in file.column_names.items()}
        for table in ESSENTIAL_TABLES:
            if table not in self._columns:
                file.close()
                hint = "the file is not the metadata of a tabular model"
                raise ModelError(f"metadata have no table {table}", hint=hint)

    @classmethod
    def open(cls, path: Path) -> Metadata:
        """
        Read the file at *path*, which nobody may change meanwhile.

        Raises:
            FormatError: it cannot be read, is damaged, or holds more than ordinary tables.
            ModelError: it is not the metadata of a model.
        """
        return cls(SqliteFile.open_read_only(path))

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Metadata:
        """
        Read the file whose content is *data* (copied).

        Raises:
            FormatError: it is damaged, or holds more than ordinary tables.
            ModelError: it is not the metadata of a model.
        """
        return cls(SqliteFile.from_bytes(data))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def table_names(self) -> tuple[str, ...]:
        """All tables, in the order of the file."""
        return tuple(self._columns)

    def column_names(self, table: str) -> tuple[str, ...]:
        """The columns of *table*, in order; none when this schema version has no such table."""
        return tuple(self._columns.get(table, ()))

    def stored_name(self, table: str, column: str) -> str:
        """The name that *column* of *table* has in the file; itself when there is none."""
        return self._columns.get(table, {}).get(column, column)

    def rows(self, table: str, columns: Sequence[str] | None = None) -> Iterator[dict[str, Value]]:
        """
        The rows of *table*, in the order of the file.

        A table that this schema version does not have holds no rows; a column that it does not have is None in every
        row.

        Args:
            table: its name.
            columns: the columns wanted; all when None.

        Raises:
            FormatError: the bytes of the table are damaged, or a text is not UTF-8.
            LimitError: more rows, bytes or work than a table of this file can need.
        """
        stored = self._columns.get(table)
        if stored is None:
            return
        wanted = tuple(stored) if columns is None else tuple(columns)
        selected = ", ".join(quoted(stored[name]) if name in stored else "NULL" for name in wanted)
        for cells in self._file.select(selected, table):
            yield dict(zip(wanted, cells, strict=True))

    def properties(self) -> dict[str, Value]:
        """
        ``DBPROPERTIES``: schema version, id counter, commit times.

        Raises:
            FormatError: see :meth:`rows`.
            ModelError: a property is there twice or has no name.
        """
        properties: dict[str, Value] = {}
        for row in self.rows("DBPROPERTIES", ("NAME", "VALUE")):
            name = row["NAME"]
            if not isinstance(name, str) or name in properties:
                raise ModelError(f"DBPROPERTIES: NAME {name!r} is there twice or is no text")
            properties[name] = row["VALUE"]
        return properties

    @property
    def schema_version(self) -> int:
        """``DBPROPERTIES.SCHEMAVERSION``: decides which tables and columns exist. Raises as :meth:`properties` does."""
        version = self.properties().get("SCHEMAVERSION")
        if not isinstance(version, int):
            raise ModelError(f"DBPROPERTIES: SCHEMAVERSION is {version!r}, not a whole number")
        return version

    def check_pages(self) -> None:
        """
        Walk every page of the file.

        Raises:
            FormatError: a page is damaged.
        """
        self._file.check_pages()


def _named(table: str, stored: Sequence[str]) -> dict[str, str]:
    """The stored name of each column by the name that newer versions give it."""
    named = {column: column for column in stored}
    for column in stored:
        newer = SYNONYMS.get((table, column))
        if newer is not None and newer not in named:
            named = {newer if name == column else name: old for name, old in named.items()}
    return named
