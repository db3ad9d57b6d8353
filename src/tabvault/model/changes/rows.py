"""
All rows of a metadata file, to be changed in memory; what differs in the end is what is written.

A sequence of changes is made here wholly before the file is touched, so it is all or nothing, and a row or cell that no
change names, of a table or column that we know or not, stays as it is to the byte.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tabvault.errors import ModelError
from tabvault.model.changes.schema_versions import column_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.edit import MetadataEdit
    from tabvault.model.metadata import Metadata
    from tabvault.model.sqlite_file import Value

_NO_ROWS: Final[Mapping[int, dict[str, Value]]] = MappingProxyType({})


class Rows:
    """
    The rows of every table that has an ``ID``, by table and id.

    Args:
        metadata: the file as it is.
        edit: gives the ids of new rows, and gets the differences from :meth:`write`.

    Raises:
        FormatError: a table is damaged.
        ModelError: an id is missing or there twice.
    """

    def __init__(self, metadata: Metadata, edit: MetadataEdit) -> None:
        self._edit = edit
        self.columns: dict[str, tuple[str, ...]] = {}
        self._rows: dict[str, dict[int, dict[str, Value]]] = {}
        self._table_of: dict[int, str] = {}
        self._original: dict[int, tuple[str, dict[str, Value]]] = {}
        for table in metadata.table_names():
            columns = metadata.column_names(table)
            if "ID" not in columns:
                continue
            self.columns[table] = columns
            rows: dict[int, dict[str, Value]] = {}
            for cells in metadata.rows(table):
                row_id = cells["ID"]
                if not isinstance(row_id, int) or row_id <= 0 or row_id in self._table_of:
                    raise ModelError(f"{table}: ID {row_id!r} is no number of its own")
                rows[row_id] = cells
                self._table_of[row_id] = table
            self._rows[table] = rows
        self._first_new_id = max(self._table_of, default=0) + 1

    def __getitem__(self, table: str) -> Mapping[int, dict[str, Value]]:
        """The rows of *table* by id: none when the schema version has no such table. Change them by :meth:`update`."""
        return self._rows.get(table, _NO_ROWS)

    def table_of(self, row_id: int) -> str | None:
        """The table that has a row of that id."""
        return self._table_of.get(row_id)

    def new_id(self) -> int:
        """An id for a row to be inserted."""
        return self._edit.new_id()

    def insert(self, table: str, cells: Mapping[str, Value], *, row_id: int | None = None) -> int:
        """
        Add a row; returns its id.

        Cells that are not given are 0, or NULL where the column holds texts, or is not known. Cells of columns that the
        schema version does not have are left out: the caller has seen to it that they say nothing.
        """
        row_id = self.new_id() if row_id is None else row_id
        types = column_types()
        row: dict[str, Value] = {
            column: None if types.get((table, column), "TEXT") in ("TEXT", "BLOB") else 0
            for column in self.columns[table]
        }
        row.update({column: value for column, value in cells.items() if column in row})
        row["ID"] = row_id
        self._rows[table][row_id] = row
        self._table_of[row_id] = table
        return row_id

    def update(self, table: str, row_id: int, cells: Mapping[str, Value]) -> None:
        """Change cells; those of columns that the schema version does not have are left out."""
        row = self._rows[table][row_id]
        self._remember(row_id, table, row)
        row.update({column: value for column, value in cells.items() if column in row})

    def delete(self, row_id: int) -> None:
        """Remove the row of that id."""
        table = self._table_of.pop(row_id)
        self._remember(row_id, table, self._rows[table].pop(row_id))

    def write(self) -> None:
        """Hand the differences to the edit."""
        for row_id, (table, original) in self._original.items():
            row = self._rows[table].get(row_id)
            if row is None:
                self._edit.delete(table, row_id)
            elif changed := {column: value for column, value in row.items() if value != original[column]}:
                self._edit.update(table, row_id, changed)
        for table, rows in self._rows.items():
            for row_id in rows:
                if row_id >= self._first_new_id:
                    self._edit.insert(table, rows[row_id])

    def _remember(self, row_id: int, table: str, row: dict[str, Value]) -> None:
        """Keep what the file holds of a row."""
        if row_id < self._first_new_id:
            self._original.setdefault(row_id, (table, dict(row)))
