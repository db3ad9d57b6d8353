"""
Changes to the ``metadata.sqlitedb`` of a database that is being staged.

Changes are collected, then made to a copy in memory, all or none, and the copy takes the file's place: a file that
shares its bytes with another version of the database (a hard link) keeps them. Page size and everything not named stay
as they are.
"""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tabvault.errors import DiskFullError, ModelError, StorageError
from tabvault.model.metadata import Metadata
from tabvault.model.sqlite_file import SqliteFile, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tabvault.model.sqlite_file import Value

_ID_MAX: Final = 1 << 62
"""Far over any counter, and far enough under the largest number of SQLite to count on from."""


class MetadataEdit:
    """
    Changes to one file, and the counter that gives ids to its new rows.

    Args:
        metadata: the file as it is; may be closed after this.

    Raises:
        ModelError: the id counter ``DBPROPERTIES.MAXID`` is missing or exhausted.
    """

    def __init__(self, metadata: Metadata) -> None:
        counter = metadata.properties().get("MAXID")
        if not isinstance(counter, int) or not 0 <= counter < _ID_MAX:
            raise ModelError(f"DBPROPERTIES: MAXID is {counter!r}, not a counter of ids")
        self._metadata = metadata
        self._last_id = max(counter, _highest_id(metadata))
        self._counter = counter
        self._statements: list[tuple[str, tuple[Value, ...]]] = []
        self._insertions: dict[tuple[str, tuple[str, ...]], str] = {}

    def new_id(self) -> int:
        """An id that no row of any table has."""
        self._last_id += 1
        return self._last_id

    def insert(self, table: str, cells: Mapping[str, Value]) -> None:
        """Add a row to *table*; columns are named as :class:`~tabvault.model.metadata.Metadata` names them."""
        self._statements.append((self._inserting(table, tuple(cells)), tuple(cells.values())))

    def update(self, table: str, row_id: int, cells: Mapping[str, Value]) -> None:
        """Change cells of the row of *table* with the id; columns are named as for :meth:`insert`."""
        changes = ", ".join(f"{self._column(table, column)} = ?" for column in cells)
        self._statements.append((f'UPDATE {quoted(table)} SET {changes} WHERE "ID" = ?', (*cells.values(), row_id)))

    def delete(self, table: str, row_id: int) -> None:
        """Remove the row of *table* with the id."""
        self._statements.append((f'DELETE FROM {quoted(table)} WHERE "ID" = ?', (row_id,)))

    def set_property(self, name: str, value: int) -> None:
        """Set a property of ``DBPROPERTIES`` that is there; one that this schema version does not have stays away."""
        self._statements.append(('UPDATE "DBPROPERTIES" SET "VALUE" = ? WHERE "NAME" = ?', (value, name)))

    def content(self, data: bytes) -> bytes:
        """
        The file *data* with the changes made; *data* itself when there are none.

        Raises:
            FormatError: the file is damaged, or its schema forbids a change.
            LimitError: the changed file would be longer than one may be.
        """
        statements = list(self._statements)
        if self._last_id > self._counter and statements:
            statements.append(('UPDATE "DBPROPERTIES" SET "VALUE" = ? WHERE "NAME" = \'MAXID\'', (self._last_id,)))
        if not statements:
            return data
        file = SqliteFile.to_edit(data, added_byte_count=sum(_byte_count(values) for _, values in statements))
        try:
            for sql, values in statements:
                file.execute(sql, values)
            content = file.content()
        finally:
            file.close()
        Metadata.from_bytes(content).close()
        return content

    def apply(self, path: Path) -> None:
        """
        Make the changes to the file at *path*; without any, leave it untouched. The caller makes it durable.

        Whatever is raised, the file is as it was.

        Raises:
            FormatError: the file is damaged, or its schema forbids a change.
            DiskFullError: no room for the changed file.
            StorageError: the file cannot be read or replaced.
        """
        if not self._statements:
            return
        with _os_errors(path):
            data = path.read_bytes()
        content = self.content(data)
        with _os_errors(path):
            _replace(path, content)

    def _inserting(self, table: str, columns: tuple[str, ...]) -> str:
        """The statement for such rows: thousands of them are alike."""
        if (table, columns) not in self._insertions:
            names = ", ".join(self._column(table, column) for column in columns)
            places = ", ".join("?" * len(columns))
            self._insertions[table, columns] = f"INSERT INTO {quoted(table)} ({names}) VALUES ({places})"
        return self._insertions[table, columns]

    def _column(self, table: str, column: str) -> str:
        return quoted(self._metadata.stored_name(table, column))


def _byte_count(values: tuple[Value, ...]) -> int:
    """Room that *values* take in the file, numbers rounded up."""
    return sum(8 if value is None else len(str(value).encode()) + 8 for value in values)


def _replace(path: Path, content: bytes) -> None:
    edited = path.with_name(f"{path.name}.edited")
    with edited.open("xb") as file:  # never over a file of that name, which would be the backup's
        try:
            file.write(content)
            file.flush()
            shutil.copymode(path, edited)
            edited.replace(path)
        except BaseException:
            edited.unlink(missing_ok=True)
            raise


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else StorageError
        raise kind(f"{path.name} cannot be changed: {error.strerror}") from error


def _highest_id(metadata: Metadata) -> int:
    """The highest id in use: the counter of a damaged file may be behind its rows."""
    highest = 0
    for table in metadata.table_names():
        if "ID" in metadata.column_names(table):
            for row in metadata.rows(table, ("ID",)):
                row_id = row["ID"]
                if not isinstance(row_id, int) or row_id >= _ID_MAX:
                    raise ModelError(f"{table}: ID is {row_id!r}, not a whole number under {_ID_MAX}")
                highest = max(highest, row_id)
    return highest
