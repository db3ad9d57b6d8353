"""
SQLite files, opened for reading alone.

A column of SQLite has no type: each value has one of four (integer, real, text, blob), whatever the table was declared
to hold. A driver that guesses from the first rows fails at the first value that is otherwise, hours later perhaps. So
the query is run twice. First over it goes a question which kinds of values each column has; then it is read, every
column as the one form that holds them all:

=====================================  ================================================================================
kinds in a column, beside NULL         read as
=====================================  ================================================================================
integer                                int64
real                                   double
integer and real                       double; as numbers in text where an integer is beyond 2^53
text                                   text
text and numbers                       text, reals with the digits that give them back
blob                                   binary
blob and others                        refused, by the name of the column
none                                   text
=====================================  ================================================================================

Of two columns of one name SQLite calls the second ``name:1``. If somebody writes in between, a value may not fit the
form any more: then the driver refuses it. Dates are text or numbers like any other: what they mean is decided where
they meet a column of the model.

Safe because: the first question is asked with an authorizer that lets through nothing but reading, so a query that
passes it only reads; the file is opened read-only; extensions cannot be loaded.

Source: "Datatypes In SQLite"; the driver takes the first rows of a result for the type of its columns.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import adbc_driver_manager
import adbc_driver_sqlite.dbapi
import pyarrow as pa

from tabvault.errors import SourceError, SourceTypeError
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import NUMBERS, source_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adbc_driver_manager import dbapi

    from tabvault.sources.source import Request

_EXACT_MAX: Final = 1 << 53
"""Whole numbers up to here are exact as doubles."""

_LOCK_TIMEOUT_S: Final = 5.0

_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)

_INEXACT: Final = f"typeof({{0}}) = 'integer' AND {{0}} NOT BETWEEN {-_EXACT_MAX} AND {_EXACT_MAX}"
_NUMBER: Final = "typeof({0}) = 'integer'"

_TEXT_OF: Final = "CASE typeof({0}) WHEN 'real' THEN printf('%!.17g', {0}) ELSE CAST({0} AS TEXT) END"


class SqliteReading(Reading):
    """One query to the database in *path*, which was found to be allowed."""

    def __init__(self, path: Path, request: Request) -> None:
        self._path = path
        self._request = request
        self._query = request.query.rstrip(" \t\r\n;")
        self._inspection: sqlite3.Connection | None = None
        self._inspection_lock = threading.Lock()
        self._connection: dbapi.Connection | None = None
        self._cursor: dbapi.Cursor | None = None
        self._reader: pa.RecordBatchReader | None = None
        self._schema = pa.schema([])

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        text = self._inspected(row_count_max=None)
        with self._translated():
            self._connection = adbc_driver_sqlite.dbapi.connect(self._uri(), autocommit=True)
            self._cursor = self._connection.cursor()
            option = adbc_driver_sqlite.StatementOptions.BATCH_ROWS.value
            self._cursor.adbc_statement.set_options(**{option: str(self._request.batch_row_count)})
            self._cursor.execute(text, list(self._request.parameters) or None)
            self._reader = self._cursor.fetch_record_batch()
        return self._schema

    def describe(self) -> pa.Schema:
        """What the first rows show. See :meth:`Reading.describe`."""
        self._inspected(row_count_max=1000)
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        assert self._reader is not None
        first_row = 1  # the row that tells the driver the types
        while True:
            with self._translated():
                batch = next(self._reader, None)
            if batch is None:
                return
            yield pa.RecordBatch.from_arrays(batch.slice(first_row).columns, schema=self._schema)
            first_row = 0

    def cancel(self) -> None:
        """The first pass can be told to stop, the second cannot. See :meth:`Reading.cancel`."""
        with self._inspection_lock:
            if self._inspection is not None:
                self._inspection.interrupt()

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        self._close_inspection()
        with contextlib.suppress(adbc_driver_manager.Error, OSError, pa.ArrowException):
            for part in (self._reader, self._cursor, self._connection):
                if part is not None:
                    part.close()

    def _uri(self) -> str:
        return f"{self._path.as_uri()}?mode=ro"

    def _inspected(self, *, row_count_max: int | None) -> str:
        """Find out the kinds of the columns, set the schema, and give the query that reads them so."""
        limit = "" if row_count_max is None else f"\nLIMIT {row_count_max}"
        try:
            # The thread that closes it is another one only when Python ends.
            self._inspection = sqlite3.connect(
                self._uri(), uri=True, timeout=_LOCK_TIMEOUT_S, check_same_thread=False, isolation_level=None
            )
            self._inspection.set_authorizer(_authorized)
            named = self._inspection.execute(f"SELECT * FROM (\n{self._query}\n) LIMIT 0", self._request.parameters)
            names = [str(column[0]) for column in named.description]
            columns = [f"c{number}" for number in range(len(names))]
            rows = f"WITH source_rows ({', '.join(columns)}) AS (\nSELECT * FROM (\n{self._query}\n){limit})\n"
            kinds = self._kinds(rows, columns)
        except sqlite3.Error as error:
            raise self._inspection_error(error) from None
        finally:
            self._close_inspection()
        forms = [self._form(*one) for one in zip(names, kinds, strict=True)]
        self._schema = pa.schema([form.field for form in forms])
        typing_row = ", ".join(form.example for form in forms)
        values = ", ".join(form.value.format(column) for form, column in zip(forms, columns, strict=True))
        return f"{rows}SELECT {typing_row} UNION ALL SELECT {values} FROM source_rows"

    def _kinds(self, rows: str, columns: list[str]) -> list[_Kinds]:
        found = self._aggregates(rows, [f"{end}(typeof({column}))" for column in columns for end in ("min", "max")])
        pairs = list(zip(found[::2], found[1::2], strict=True))
        # Two questions are left open by the first and the last of the names of kinds; few columns raise them.
        asked = {
            column: _INEXACT if pair == ("integer", "real") else _NUMBER
            for column, pair in zip(columns, pairs, strict=True)
            if pair in {("integer", "real"), ("blob", "null")}
        }
        answers = self._aggregates(rows, [f"max({question.format(column)})" for column, question in asked.items()])
        flags = dict(zip(asked, answers, strict=True))
        kinds = zip(columns, pairs, strict=True)
        return [_Kinds(first, last, is_flagged=bool(flags.get(column))) for column, (first, last) in kinds]

    def _aggregates(self, rows: str, expressions: list[str]) -> tuple[Any, ...]:
        assert self._inspection is not None
        if not expressions:
            return ()
        text = f"{rows}SELECT {', '.join(expressions)} FROM source_rows"
        [found] = self._inspection.execute(text, self._request.parameters)
        return tuple(found)

    def _form(self, name: str, kinds: _Kinds) -> _Form:
        if kinds.first == "blob":
            if kinds.last not in {"blob", "null"} or kinds.is_flagged:
                raise SourceTypeError(f"column {name!r} of file {self._path} holds blobs and values of other kinds")
            return _Form(source_field(name, pa.binary(), native="blob"), "x'00'", "{0}")
        if kinds.first == "integer" and kinds.last in {"integer", "null"}:
            return _Form(source_field(name, pa.int64(), native="integer"), "0", "{0}")
        if kinds.last == "real":
            if kinds.is_flagged:
                return _Form(source_field(name, pa.string(), native="number", text_of=NUMBERS), "''", _TEXT_OF)
            return _Form(source_field(name, pa.float64(), native="real"), "0.5", "CAST({0} AS REAL)")
        is_text_alone = kinds.first == kinds.last
        return _Form(source_field(name, pa.string(), native="text"), "''", "{0}" if is_text_alone else _TEXT_OF)

    def _inspection_error(self, error: sqlite3.Error) -> SourceError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
            return SourceError(
                f"the query to file {self._path} does more than read", hint="a partition's query is a SELECT"
            )
        return SourceError(f"file {self._path} refuses the query: {error}")

    def _close_inspection(self) -> None:
        with self._inspection_lock:
            if self._inspection is not None:
                self._inspection.close()
            self._inspection = None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (adbc_driver_manager.Error, OSError, pa.ArrowException) as error:
            raise SourceError(f"file {self._path} could not be read: {' '.join(str(error).split())}") from None


@dataclass(frozen=True)
class _Kinds:
    """
    What stands in a column.

    Attributes:
        first: of ``blob``, ``integer``, ``null``, ``real``, ``text``, in this order, the first one that is there;
            None without rows.
        last: the last one.
        is_flagged: an integer that is not exact as a double, or one beside blobs.
    """

    first: str | None
    last: str | None
    is_flagged: bool


@dataclass(frozen=True)
class _Form:
    """How a column is read: its field, a value that tells the driver so, and the expression of its values."""

    field: pa.Field
    example: str
    value: str


def _authorized(
    action: int, _first: str | None, _second: str | None, _database: str | None, _trigger: str | None
) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
