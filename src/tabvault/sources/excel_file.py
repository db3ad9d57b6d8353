"""
Sheets and tables of workbooks (xlsx, xlsm).

A cell has a type, a column has none. A column whose cells are of one kind is read as that; one with several kinds as
text. A blank cell is null, and so is one with empty text, which cannot be told apart. A cell that holds an error
(``#N/A``) is refused by its place.

=============================  ==============================================================================
cells of a column              read as
=============================  ==============================================================================
numbers                        double: Excel has no others
true, false                    bool
dates                          date32
dates with times               timestamp[us]
times of day                   time64[us]
text                           text
of several kinds, durations    text: a number as the shortest that denotes it, a date or time as ISO 8601,
                               ``true``, ``false``
none                           text
=============================  ==============================================================================

A workbook is held in memory as a whole, as its format demands; what it unpacks to is looked at first.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import zipfile
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import python_calamine as calamine

from tabvault.errors import FormatError, SourceError, SourceTypeError
from tabvault.sources.excel_errors import error_cells
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import source_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tabvault.sources.file_formats import ExcelFormat

_UNPACKED_BYTE_COUNT_MAX: Final = 1 << 31

_TIMESTAMP: Final = pa.timestamp("us")
_TYPES: Final[dict[frozenset[type], pa.DataType]] = {
    frozenset({float}): pa.float64(),
    frozenset({int}): pa.float64(),
    frozenset({int, float}): pa.float64(),
    frozenset({bool}): pa.bool_(),
    frozenset({datetime.date}): pa.date32(),
    frozenset({datetime.datetime}): _TIMESTAMP,
    frozenset({datetime.date, datetime.datetime}): _TIMESTAMP,
    frozenset({datetime.time}): pa.time64("us"),
}
"""What the cells of a column become; text where their kinds are not here."""


class ExcelReading(Reading):
    """All rows of an item of the workbook in *path*, which was found to be allowed."""

    def __init__(self, path: Path, file_format: ExcelFormat, *, batch_row_count: int) -> None:
        self._path = path
        self._format = file_format
        self._batch_row_count = batch_row_count
        self._table: pa.Table | None = None

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        with self._translated(), zipfile.ZipFile(self._path) as package:
            unpacked_byte_count = sum(member.file_size for member in package.infolist())
            if unpacked_byte_count > _UNPACKED_BYTE_COUNT_MAX:
                raise SourceError(
                    f"workbook {self._path} unpacks to {unpacked_byte_count} bytes, over {_UNPACKED_BYTE_COUNT_MAX}",
                    hint="save the sheet as CSV or Parquet",
                )
            with calamine.CalamineWorkbook.from_path(self._path, load_tables=True) as workbook:
                names, rows = self._item(workbook, package)
        columns = list(itertools.zip_longest(*rows, fillvalue="")) if rows else [()] * len(names)
        names += [f"Column{number}" for number in range(len(names) + 1, len(columns) + 1)]
        arrays = [_column(cells) for cells in columns]
        fields = zip(names, arrays, strict=True)
        schema = pa.schema([source_field(name, array.type, native=str(array.type)) for name, array in fields])
        self._table = pa.Table.from_arrays(arrays, schema=schema)
        return schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        assert self._table is not None
        yield from self._table.to_batches(max_chunksize=self._batch_row_count)

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        self._table = None

    def _item(
        self, workbook: calamine.CalamineWorkbook, package: zipfile.ZipFile
    ) -> tuple[list[str], Sequence[Sequence[Any]]]:
        """The names of the columns and the rows of what the format names."""
        item, kind = self._format.item, self._format.kind
        sheets = [] if kind == "Table" else workbook.sheet_names
        tables = [] if kind == "Sheet" else workbook.table_names or []
        if item in sheets and item in tables:
            raise SourceError(f"workbook {self._path} has a sheet and a table {item!r}", hint='say which: Kind="Sheet"')
        if item in tables:
            table = workbook.get_table_by_name(item)
            self._refuse_errors(package, table.sheet, table.start, table.end)
            return list(table.columns), table.to_python()
        if item not in sheets:
            found = ", ".join(repr(name) for name in [*sheets, *tables]) or "none"
            raise SourceError(f"workbook {self._path} has no {kind or 'item'} {item!r}; it has {found}")
        sheet = workbook.get_sheet_by_name(item)
        self._refuse_errors(package, item, sheet.start, sheet.end)
        rows = sheet.to_python(skip_empty_area=True)
        if not rows or not self._format.has_header:
            return [], rows
        header = [_text(cell) or f"Column{number}" for number, cell in enumerate(rows[0], 1)]
        return header, rows[1:]

    def _refuse_errors(
        self,
        package: zipfile.ZipFile,
        sheet: str,
        start: tuple[int, int] | None,
        end: tuple[int, int] | None,
    ) -> None:
        if start is None or end is None:
            return
        for row, column in error_cells(package, sheet):
            if start[0] <= row <= end[0] and start[1] <= column <= end[1]:
                raise SourceTypeError(
                    f"sheet {sheet!r} of workbook {self._path} holds an error in row {row + 1}, column {column + 1}",
                    hint="correct the cell, or leave its row or column out",
                )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (calamine.CalamineError, zipfile.BadZipFile, FormatError, KeyError, OSError, ValueError) as error:
            raise SourceError(f"file {self._path} is no workbook (xlsx) that can be read: {error}") from None


def _column(cells: Sequence[Any]) -> pa.Array:
    values = [None if cell == "" else cell for cell in cells]
    data_type = _TYPES.get(frozenset(map(type, values)) - {type(None)})
    if data_type is None:
        return pa.array([_text(value) for value in values], pa.string())
    if pa.types.is_timestamp(data_type):
        values = [_midnight(value) if type(value) is datetime.date else value for value in values]
    return pa.array(values, data_type)


def _midnight(date: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(date, datetime.time.min)


def _text(cell: Any) -> str | None:
    """A cell in words; None for a blank one."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)
