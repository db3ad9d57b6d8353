"""
Rows of the metadata tables as records with an id, whose cells have the type they must have.

SQLite lets any cell hold any type, and nothing in the file declares its foreign keys. What the engine takes for granted
is therefore asked here, cell by cell and reference by reference; every error names the table, the id and the column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.model.metadata import Metadata
    from tabvault.model.sqlite_file import Value


@dataclass(frozen=True, slots=True)
class Record:
    """One row of *table*. NULL (as of a column that the schema version lacks) takes the default where one is given."""

    table: str
    id: int
    cells: Mapping[str, Value]

    def integer(self, column: str, default: int | None = None) -> int:
        """
        A whole number.

        Raises:
            ModelError: it is something else.
        """
        value = self.cells[column]
        if value is None and default is not None:
            return default
        if not isinstance(value, int):
            raise self.error(column, "a whole number")
        return value

    def flag(self, column: str, *, default: bool = False) -> bool:
        """
        0 or 1.

        Raises:
            ModelError: it is something else.
        """
        value = self.integer(column, int(default))
        if value not in (0, 1):
            raise self.error(column, "0 or 1")
        return bool(value)

    def real(self, column: str, default: float) -> float:
        """
        A number.

        Raises:
            ModelError: it is something else.
        """
        value = self.cells[column]
        if value is None:
            return default
        if not isinstance(value, int | float):
            raise self.error(column, "a number")
        return float(value)

    def real_or_none(self, column: str) -> float | None:
        """
        A number, or None for NULL.

        Raises:
            ModelError: it is something else.
        """
        return None if self.cells[column] is None else self.real(column, 0.0)

    def text(self, column: str) -> str:
        """
        A text that must be there.

        Raises:
            ModelError: it is NULL or something else.
        """
        value = self.cells[column]
        if not isinstance(value, str):
            raise self.error(column, "a text")
        return value

    def text_or_none(self, column: str) -> str | None:
        """
        A text, or None for NULL.

        Raises:
            ModelError: it is something else.
        """
        return None if self.cells[column] is None else self.text(column)

    def error(self, column: str, demand: str) -> ModelError:
        """The error of a cell that is not *demand*."""
        value = repr(self.cells[column])
        shown = value if len(value) <= 80 else f"{value[:77]}..."
        return ModelError(f"{self.table} {self.id}: {column} is {shown}, not {demand}")


class Records:
    """
    All rows of one table by ``ID``, in the order of the file.

    Raises:
        ModelError: an id is missing, not a positive number, or there twice.
    """

    def __init__(self, metadata: Metadata, table: str, columns: Sequence[str]) -> None:
        self.table = table
        self._by_id: dict[int, Record] = {}
        for cells in metadata.rows(table, ("ID", *columns)):
            record_id = cells["ID"]
            if not isinstance(record_id, int) or record_id <= 0:
                raise ModelError(f"{table}: ID is {record_id!r}, not a positive number")
            if record_id in self._by_id:
                raise ModelError(f"{table} {record_id}: ID is there twice")
            self._by_id[record_id] = Record(table, record_id, cells)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._by_id

    def target(self, record: Record, column: str) -> Record:
        """
        The row of this table that *column* of *record* names.

        Raises:
            ModelError: there is none.
        """
        found = self._by_id.get(record.integer(column, 0))
        if found is None:
            raise record.error(column, f"the id of a row of {self.table}")
        return found

    def target_or_none(self, record: Record, column: str) -> Record | None:
        """
        The same for a reference that may be empty: 0 or NULL.

        Raises:
            ModelError: the reference is not empty and there is no such row.
        """
        return None if record.integer(column, 0) == 0 else self.target(record, column)

    def grouped_by(self, column: str, owners: Records) -> dict[int, list[Record]]:
        """
        The rows by the id of the row of *owners* that *column* names.

        Raises:
            ModelError: a row names an owner that is not there.
        """
        groups: dict[int, list[Record]] = {}
        for record in self:
            groups.setdefault(owners.target(record, column).id, []).append(record)
        return groups
