"""
Tables of a database on a server, for an export to files of this machine.

A table comes as the answer to ``SELECT *``, in Arrow. Where that fails because of a column (one that was never
calculated, or whose file is damaged), the columns are asked for one by one: those whose metadata do not let them be
read are left out with a warning, as an export at the server's own machine does; damage is damage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tabvault.engine.suggestion import all_names, close_names
from tabvault.errors import ModelError, QueryError
from tabvault.jobs.export import write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tabvault.jobs.export import ExportedFile, ExportFormat
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.query import Answer

    Ask = Callable[[str], AbstractContextManager[Answer]]

_TABLES: Final = "SELECT [Name] FROM $SYSTEM.TMSCHEMA_TABLES"


def export_database(
    ask: Ask,
    to: Path,
    *,
    format_: ExportFormat,
    table: str | None,
    progress: Callable[[Progress], None] | None,
) -> list[ExportedFile]:
    """
    Write the tables of a database below *to*; arguments and errors as :func:`tabvault.jobs.export.export_tables`.

    Args:
        ask: asks the database one question.
        to: folder on this machine.
        format_: of the files.
        table: one table by name; all by default.
        progress: told after each piece of rows.
    """
    with ask(_TABLES) as answer:
        names = [name for batch in answer.batches for name in batch.column(0).to_pylist()]
    wanted = names if table is None else [_named(table, names)]
    return write_tables([_RemoteTable(ask, name) for name in wanted], names, to, format_=format_, progress=progress)


def _named(table: str, names: Sequence[str]) -> str:
    found = [name for name in names if name == table] or [name for name in names if name.casefold() == table.casefold()]
    if not found:
        raise QueryError(f"no table {table!r}", hint=close_names(table, list(names)) or all_names(list(names)))
    if len(found) > 1:
        raise ModelError(f"there is more than one table {table!r}")
    return found[0]


class _RemoteTable:
    """A table, read when it is its turn."""

    def __init__(self, ask: Ask, name: str) -> None:
        self._ask = ask
        self.name = name
        self.row_count = self._counted()

    def read(self, warnings: list[str]) -> pa.Table:
        """See :class:`tabvault.jobs.export.ExportTable`."""
        try:
            return self._selected("*")
        except ModelError:
            columns = self._readable(warnings)
        return self._selected(", ".join(map(_quoted, columns)))

    def _selected(self, columns: str, *, limit: str = "") -> pa.Table:
        with self._ask(f"SELECT {columns} FROM {_quoted(self.name)}{limit}") as answer:
            table = pa.Table.from_batches(answer.batches, answer.schema)
        # Text has a dictionary, as a column of a data folder has: a Parquet file keeps the type of both.
        types = [pa.dictionary(pa.int32(), one) if pa.types.is_string(one) else one for one in table.schema.types]
        return table.cast(pa.schema(zip(table.schema.names, types, strict=True)))

    def _counted(self) -> int:
        with self._ask(f"SELECT count(*) FROM {_quoted(self.name)}") as answer:
            return int(next(answer.batches).column(0)[0].as_py())

    def _readable(self, warnings: list[str]) -> list[str]:
        readable = []
        with self._ask(f"SELECT * FROM {_quoted(self.name)} LIMIT 0") as answer:
            names = answer.schema.names
        for name in names:
            try:
                self._selected(_quoted(name), limit=" LIMIT 1")
            except ModelError as error:
                warnings.append(f"column {name!r} left out: {error.message}")
            else:
                readable.append(name)
        return readable


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
