"""
CSV files, as ``Csv.Document`` reads them: every column is text, an empty field empty text.

=====================  ==============================================================================================
part                   rule
=====================  ==============================================================================================
encoding               the byte order mark's where there is one (UTF-8, UTF-16), else the format's
quotes                 ``"`` right after a delimiter begins a quoted field, ``""`` in it is one quote
rows                   each has as many fields as the first one, or is refused by its number
lines without a field  passed over, unless there is one column: then they are empty text
=====================  ==============================================================================================

A field, with all of its row, has room in :data:`_BLOCK_BYTE_COUNT`.
"""

from __future__ import annotations

import codecs
import contextlib
import io
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv

from tabvault.errors import SourceError, SourceTypeError
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import FIELDS, source_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.sources.file_formats import CsvFormat

_BLOCK_BYTE_COUNT: Final = 1 << 23
_COLUMN_COUNT_MAX: Final = 16_384

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class CsvReading(Reading):
    """All rows of the file in *path*, which was found to be allowed."""

    def __init__(self, path: Path, file_format: CsvFormat) -> None:
        self._path = path
        self._format = file_format
        self._file: BinaryIO | None = None
        self._reader: pa.csv.CSVStreamingReader | None = None
        self._first: pa.RecordBatch | None = None
        self._schema = pa.schema([])

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        with self._translated():
            if self._has_rows():
                reader = self._started(ignores_empty_lines=True)
                if len(reader.schema) == 1:
                    self.close()
                    reader = self._started(ignores_empty_lines=False)
                self._first = next(reader, None)
        names = self._names()
        self._schema = pa.schema([source_field(name, pa.string(), native="text", text_of=FIELDS) for name in names])
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        batch, self._first = self._first, None
        while batch is not None:
            columns = batch.columns[: len(self._schema)]
            columns += [pa.nulls(batch.num_rows, pa.string())] * (len(self._schema) - len(columns))
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)
            assert self._reader is not None
            with self._translated():
                batch = next(self._reader, None)

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        if self._reader is not None:
            self._reader.close()
        if self._file is not None:
            self._file.close()

    def _has_rows(self) -> bool:
        """Whether there is anything but line breaks and a byte order mark. pyarrow takes that for an error."""
        with self._path.open("rb") as file:
            blanks = b"\r\n\0\xef\xbb\xbf\xff\xfe"
            return any(block.strip(blanks) for block in iter(partial(file.read, _BLOCK_BYTE_COUNT), b""))

    def _opened(self) -> tuple[BinaryIO, str]:
        """The file after its byte order mark, and its encoding."""
        file: BinaryIO = self._path.open("rb")
        head = file.read(_BLOCK_BYTE_COUNT)
        marked = ((len(mark), encoding) for mark, encoding in _MARKS if head.startswith(mark))
        mark_byte_count, encoding = next(marked, (0, self._format.encoding))
        line_break = "\n".encode(encoding)
        if len(head) < _BLOCK_BYTE_COUNT and not head.endswith((line_break, "\r".encode(encoding))):
            file.close()  # of a line without an end pyarrow cannot tell the columns
            return io.BytesIO(head[mark_byte_count:] + line_break), encoding
        file.seek(mark_byte_count)
        return file, encoding

    def _started(self, *, ignores_empty_lines: bool) -> pa.csv.CSVStreamingReader:
        self._file, encoding = self._opened()
        reader = self._reader = pa.csv.open_csv(
            self._file,
            read_options=pa.csv.ReadOptions(
                block_size=_BLOCK_BYTE_COUNT, autogenerate_column_names=True, encoding=encoding, use_threads=False
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._format.delimiter,
                newlines_in_values=self._format.has_quoted_line_breaks,
                ignore_empty_lines=ignores_empty_lines,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={f"f{number}": pa.string() for number in range(_COLUMN_COUNT_MAX)},
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
        if len(reader.schema) > _COLUMN_COUNT_MAX:
            raise SourceError(f"file {self._path} has {len(reader.schema)} columns, more than {_COLUMN_COUNT_MAX}")
        return reader

    def _names(self) -> list[str]:
        """The names of the columns; the row that holds them is taken off."""
        given: list[str] = []
        count = 0
        if self._first is not None:
            count = self._first.num_columns
            if self._format.has_header:
                given, self._first = _header(self._first)
        if self._format.column_count is not None:
            count = self._format.column_count
        if self._format.column_names is not None:
            given = list(self._format.column_names)
        return [*given[:count], *(f"Column{number}" for number in range(len(given) + 1, count + 1))]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError as error:
            raise SourceTypeError(
                f"file {self._path} is not in the encoding {self._format.encoding}: {error}"
            ) from None
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"file {self._path} could not be read as CSV: {str(error).splitlines()[0]}") from None


def _header(batch: pa.RecordBatch) -> tuple[list[str], pa.RecordBatch]:
    """The first row that has any text, and the rows after it."""
    texts = batch.column(0)
    row = 0
    while batch.num_columns == 1 and row < len(texts) - 1 and texts[row].as_py() == "":
        row += 1
    return [column[row].as_py() for column in batch.columns], batch.slice(row + 1)
