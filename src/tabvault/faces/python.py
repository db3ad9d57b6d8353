"""
The Python interface: what ``import tabvault`` gives.

::

    with tabvault.open("Sales.abf") as sales:            # a file, "storage:NAME", or a database of the data folder
        frame = polars.DataFrame(sales.table("Orders"))  # tables speak the Arrow PyCapsule interface
        sales.tables[0].to_arrow(columns=["Amount"])     # pyarrow, decoded when asked for

    with tabvault.Vault() as vault:
        vault.backup("Sales", "nightly/sales.abf", overwrite=True, progress=print)
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tabvault.errors import DatabaseError
from tabvault.jobs.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import TracebackType

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.reading import Table
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Model


def data_folder(data: Path | str | None = None) -> Path | None:
    """The data folder meant: *data*, else ``TABVAULT_DATA``, else None for the platform's own."""
    chosen = data if data is not None else os.environ.get("TABVAULT_DATA") or None
    return Path(chosen) if chosen is not None else None


def open_database(
    path_or_database: str | Path, *, password: str | None = None, data: Path | str | None = None
) -> Database:
    """
    Open a backup or a database for reading.

    Args:
        path_or_database: a local ``.abf``, ``.pbix`` or ``cache.abf``; ``storage:NAME`` in the backup storage; or the
            name or id of a database of the data folder. What exists as a file is taken as one.
        password: of an encrypted backup.
        data: the data folder; ``TABVAULT_DATA``, else the platform's, by default.

    Raises:
        DatabaseNotFoundError: neither a file nor a database, or no data folder to look in.
        PasswordError: required, wrong or superfluous.
        FormatError: not a backup, or damaged.
    """
    return Database(str(path_or_database), password=password, data=data_folder(data))


class Database:
    """
    An opened database. A context manager; without ``with`` it is closed when neither it nor a table of it is in use.

    Its tables stay readable until then, whatever is restored over it meanwhile.
    """

    def __init__(self, path_or_database: str, *, password: str | None, data: Path | None) -> None:
        with contextlib.ExitStack() as stack:
            vault = stack.enter_context(Vault(data))
            self._opened = stack.enter_context(vault.open(path_or_database, password=password))
            self._close = weakref.finalize(self, stack.pop_all().close)

    @property
    def name(self) -> str:
        """The database's name."""
        return self._opened.name

    @property
    def model(self) -> Model:
        """Tables, columns, measures, relationships, roles, as objects."""
        return self._opened.model

    @property
    def tables(self) -> tuple[Table, ...]:
        """The user tables, hidden ones included, in the order of the model."""
        return tuple(self._kept(table) for table in self._opened.tables)

    def table(self, name: str) -> Table:
        """
        One table by its name.

        Raises:
            QueryError: no such table.
            ModelError: more than one that only case tells apart.
        """
        return self._kept(self._opened.table(name))

    def _kept(self, table: Table) -> Table:
        return dataclasses.replace(table, files=_KeptFiles(self, table.files))

    @property
    def is_closed(self) -> bool:
        """Whether its tables can be read no more."""
        return not self._close.alive

    def __iter__(self) -> Iterator[Table]:
        """The tables."""
        return iter(self.tables)

    def close(self) -> None:
        """Let go of the backup or the database. Twice is allowed."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _KeptFiles:
    """The files of a table, which keep their database open, and refuse when it was closed all the same."""

    def __init__(self, database: Database, files: FileSet) -> None:
        self._database = database
        self._files = files

    def _opened(self) -> FileSet:
        if self._database.is_closed:
            raise DatabaseError("the database was closed", hint="read its tables inside the with block")
        return self._files

    def names(self) -> Collection[str]:
        return self._opened().names()

    def byte_count(self, name: str) -> int:
        return self._opened().byte_count(name)

    def read(self, name: str) -> bytes | memoryview:
        return self._opened().read(name)

    def open(self, name: str) -> ByteSource:
        return self._opened().open(name)
