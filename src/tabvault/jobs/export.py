"""
Tables out to open formats: one Parquet or CSV file per user table, hidden ones included.

Every column but the internal row number and those that were never calculated. The table's true name stands in the
Parquet schema metadata under ``tabvault.table``; file names are made safe for any file system. A file appears whole or
not at all: it is written beside its place and renamed. A table that cannot be decoded stops no other; what does stop
the job (a full disk, a cancellation) says which files are there by then.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tabvault.engine import scan
from tabvault.errors import FormatError, ModelError, TabvaultError
from tabvault.jobs.progress import ProgressMeter
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tabvault.jobs.progress import Progress
    from tabvault.jobs.reading import OpenDatabase, Table

ExportFormat = Literal["parquet", "csv"]

TABLE_METADATA_KEY: Final = b"tabvault.table"
_ROW_GROUP_ROW_COUNT: Final = 1 << 20
_NAMES_SHOWN_MAX: Final = 20
_FILE_NAME_CHAR_COUNT_MAX: Final = 60
"""Leaves room for a number and the ending within 255 bytes, in any script (four bytes a character)."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """
    A file that was written.

    *warnings* say which columns were left out, and whose values are not quite those of the files.
    """

    table: str
    path: Path
    row_count: int
    column_count: int
    byte_count: int
    warnings: tuple[str, ...]


class ExportTable(Protocol):
    """A table that can be written."""

    @property
    def name(self) -> str:
        """The table's name in the model."""
        ...

    @property
    def row_count(self) -> int:
        """Its rows, for the progress."""
        ...

    def read(self, warnings: list[str]) -> pa.Table:
        """
        Every column that can be exported; what is left out, and what is not quite as in the files, goes to *warnings*.

        Raises:
            FormatError, ModelError: it cannot be read; other tables may.
        """
        ...


def export_tables(
    database: OpenDatabase,
    to: Path,
    *,
    format_: ExportFormat = "parquet",
    table: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[ExportedFile]:
    """
    Write the tables of an opened database below *to*, which is made if it is not there.

    Args:
        database: the database or backup.
        to: folder; files of the same names in it are replaced.
        format_: ``parquet`` keeps every type; ``csv`` gives text (binary as base64, an empty field for BLANK, ``""``
            for an empty string).
        table: one table by name; all by default.
        progress: told after each piece of rows; raising from it cancels.

    Raises:
        QueryError: no such table.
        ModelError: the metadata of a table contradict themselves.
        FormatError: a column is damaged.
            Of both kinds the first, when all other tables have been written; the message names those that were not.
        StorageError: a file or the folder cannot be written.
        JobCancelledError: raised by *progress*.
            Of these two the message says which files are there, whole; of the one in work nothing is left.
        ValueError: there is no such format.
    """
    if format_ not in get_args(ExportFormat):
        raise ValueError(f"format_ is {format_!r}, not one of {', '.join(get_args(ExportFormat))}")
    tables = (database.table(table),) if table is not None else database.tables
    all_names = [t.name for t in database.tables]
    return write_tables([_OwnTable(one) for one in tables], all_names, to, format_=format_, progress=progress)


def write_tables(
    tables: Sequence[ExportTable],
    all_names: list[str],
    to: Path,
    *,
    format_: ExportFormat,
    progress: Callable[[Progress], None] | None,
) -> list[ExportedFile]:
    """
    Write *tables*; the rest as :func:`export_tables`.

    Args:
        tables: those that are wanted.
        all_names: names of all tables of the database: a table's file has the same name whether all are written or one.
        to: folder.
        format_: of the files.
        progress: told after each piece of rows.
    """
    names = file_names(all_names, ending=format_)
    meter = ProgressMeter(progress)
    meter.step("exporting", sum(t.row_count for t in tables), unit="rows")
    with storage_errors(f"folder {to}"):
        to.mkdir(parents=True, exist_ok=True)
    written: list[ExportedFile] = []
    failed: list[tuple[str, FormatError | ModelError]] = []
    exported: set[str] = set()
    try:
        for one in tables:
            try:
                if one.name in exported:
                    raise ModelError(f"there is more than one table {one.name!r}")  # noqa: TRY301  # as a damaged one
                exported.add(one.name)
                written.append(_export(one, to / names[one.name], format_, meter))
            except (FormatError, ModelError) as error:
                failed.append((one.name, error))
                meter.advance(one.row_count)
    except BaseException as error:
        _say_what_is_there(error, written, table_count=len(tables))
        raise
    if failed:
        raise _naming_tables(failed)
    return written


def _say_what_is_there(error: BaseException, written: list[ExportedFile], *, table_count: int) -> None:
    """Add to the error that ends the job which files it leaves: as many as were whole by then."""
    names = ", ".join(file.path.name for file in written[:_NAMES_SHOWN_MAX])
    more = f" and {len(written) - _NAMES_SHOWN_MAX} more" if len(written) > _NAMES_SHOWN_MAX else ""
    there = f"{len(written)} of {table_count} tables are written, whole: {names}{more}" if written else "no table is"
    what = f"{there if written else 'no table is written'}, and nothing of any other"
    if isinstance(error, TabvaultError):
        error.message = f"{error.message} - {what}"
        error.args = (error.message,)
    else:
        error.add_note(what)


def _naming_tables(failed: list[tuple[str, FormatError | ModelError]]) -> FormatError | ModelError:
    """The first error, its message begun with the tables that were not written."""
    names = ", ".join(repr(name) for name, _ in failed[:_NAMES_SHOWN_MAX])
    more = f" and {len(failed) - _NAMES_SHOWN_MAX} more" if len(failed) > _NAMES_SHOWN_MAX else ""
    first = failed[0][1]
    first.message = f"not exported: {names}{more}; the first because {first.message}"
    first.args = (first.message,)
    return first


class _OwnTable:
    """A table of an opened database."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.name = table.name
        self.row_count = table.row_count

    def read(self, warnings: list[str]) -> pa.Table:
        table = self._table
        columns: list[str] = []
        for column in table.definition.columns:
            if column.is_row_number:
                continue
            problem = scan.type_problem(column)
            if problem is not None:
                warnings.append(f"column {column.name!r} left out: {problem}")
            elif scan.lacks_values(table.definition, column):
                warnings.append(f"column {column.name!r} left out: it was never calculated")
            else:
                columns.append(column.name)
        return scan.read_table(
            table.files,
            table.definition,
            columns,
            warn=lambda column, warning: warnings.append(f"column {column!r}: {warning}"),
        )


def _export(table: ExportTable, path: Path, format_: ExportFormat, meter: ProgressMeter) -> ExportedFile:
    warnings: list[str] = []
    data = table.read(warnings)
    temporary = path.with_name(f".{path.name}.partial")
    with storage_errors(f"file {path}"):
        try:
            if format_ == "parquet":
                _write_parquet(data, temporary, table.name, meter)
            else:
                _write_csv(data, temporary, meter)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return ExportedFile(table.name, path, data.num_rows, data.num_columns, path.stat().st_size, tuple(warnings))


def _write_parquet(data: pa.Table, path: Path, name: str, meter: ProgressMeter) -> None:
    schema = pa.schema(
        [pa.field(field.name, _parquet_type(field.type)) for field in data.schema],
        metadata={TABLE_METADATA_KEY: name.encode()},
    )
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, max(data.num_rows, 1), _ROW_GROUP_ROW_COUNT):
            rows = data.slice(start, _ROW_GROUP_ROW_COUNT)
            writer.write_table(
                pa.table([_decoded(c, f.type) for c, f in zip(rows.columns, schema, strict=True)], schema=schema)
            )
            meter.advance(rows.num_rows)


def _parquet_type(type_: pa.DataType) -> pa.DataType:
    """Parquet makes dictionaries of its own; text keeps ours, because that spares building them again."""
    if pa.types.is_dictionary(type_) and not pa.types.is_string(type_.value_type):
        return type_.value_type
    return type_


def _decoded(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == type_ else column.cast(type_)


def _write_csv(data: pa.Table, path: Path, meter: ProgressMeter) -> None:
    types = [pa.string() if _is_binary(field.type) else _plain(field.type) for field in data.schema]
    schema = pa.schema([pa.field(field.name, type_) for field, type_ in zip(data.schema, types, strict=True)])
    options = pa.csv.WriteOptions(quoting_style="needed")
    with pa.csv.CSVWriter(path, schema, write_options=options) as writer:
        for start in range(0, data.num_rows, _ROW_GROUP_ROW_COUNT):
            rows = data.slice(start, _ROW_GROUP_ROW_COUNT)
            columns = [
                _base64(column) if _is_binary(column.type) else _decoded(column, type_)
                for column, type_ in zip(rows.columns, types, strict=True)
            ]
            writer.write_table(pa.table(columns, schema=schema))
            meter.advance(rows.num_rows)


def _plain(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(_plain(type_)))


def _base64(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = column.cast(pa.binary()).to_pylist()
    return pa.chunked_array([[None if v is None else base64.b64encode(v).decode() for v in values]], pa.string())


def file_names(tables: list[str], *, ending: str) -> dict[str, str]:
    """
    A file name for each table, safe on every file system and different even where case does not count.

    Letters, digits, blanks, ``-``, ``_`` and brackets stay; anything else becomes ``_``; a number tells equal ones
    apart.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for table in tables:
        stem = re.sub(r"[^\w \-()\[\]]", "_", unicodedata.normalize("NFC", table))[:_FILE_NAME_CHAR_COUNT_MAX].strip(
            " "
        )
        if not stem or re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", stem):
            stem = f"{stem}_"
        candidate, number = stem, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem} ({number})"
        taken.add(candidate.casefold())
        names[table] = f"{candidate}.{ending}"
    return names
