"""
A SQLite file that an enemy may have written, and what it may do.

- The header is checked before SQLite sees the file (magic, journal mode, length).
- The connection is restricted before it parses the schema: no extension, no trusted function, bounded lengths.
- The schema may hold ordinary tables and indexes only. A view, trigger, virtual table or generated column is an error:
  no genuine file has one, and each would let the file decide what we compute.
- Work, rows and bytes of a statement are bounded by the length of the file: a b-tree that visits a page over and over
  ends in an error, soon.
- A change is made to a copy in memory, never to the file: no journal or write-ahead log beside it can have a say.
- Text that is not UTF-8 is an error, and so is any error of SQLite.

Source of the header: sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from tabvault.errors import DatabaseError, FormatError, LimitError, TruncatedError
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Value: TypeAlias = int | float | str | bytes | None
"""What a cell can hold."""

Authorizer: TypeAlias = Callable[[int, str | None, str | None, str | None, str | None], int]
"""SQLite asks it before each action: action, two arguments, database, and the view or trigger that wants it."""

BYTE_COUNT_MAX: Final = 256 << 20
"""The largest genuine file seen has 1.5 MB; a model at the limit of 16 000 tables and columns stays under 100 MB."""

ROW_COUNT_MAX: Final = 2_000_000
"""Rows of one table. One row per column and partition is the largest table of a genuine model."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTE_COUNT: Final = 100
_ROLLBACK_JOURNAL: Final = 1
_HINT: Final = "the metadata are damaged; take another copy of the backup"
_CREATE_TABLE: Final = re.compile(r"CREATE\s+TABLE\b", re.IGNORECASE)
_CREATE_INDEX: Final = re.compile(r"CREATE\s+(UNIQUE\s+)?INDEX\b", re.IGNORECASE)
_EDITING: Final = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_PROGRESS_STEP: Final = 1000
_SCHEMA_WORK: Final = 50_000
"""Steps of SQLite's virtual machine for the schema: ten thousand tables; genuine files have up to 69."""

_LEAST_WORK: Final = 1_000_000
"""Steps that any statement may take, however small the file."""


class SqliteFile:
    """
    A connection to one file under the rules above. Threads take turns; any may close it.

    Args:
        connection: for any thread, on which no statement was run yet; closed by this object, also when it raises.
        byte_count: length of the file.
        authorizer: decides what may be done once the schema is known.

    Raises:
        FormatError: the schema is damaged or holds more than ordinary tables.
    """

    def __init__(self, connection: sqlite3.Connection, *, byte_count: int, authorizer: Authorizer) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._byte_count = byte_count
        self._work_remaining = 0
        self._bytes_remaining = byte_count
        try:
            with sqlite_errors():
                _restrict(connection, byte_count=byte_count)
            connection.text_factory = self._text
            connection.set_progress_handler(self._work, _PROGRESS_STEP)
            self.column_names: Mapping[str, tuple[str, ...]] = self._read_schema()
            """The columns of every table, by its name, both in the order of the file."""
            connection.set_authorizer(authorizer)
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open_read_only(cls, path: Path) -> SqliteFile:
        """The file at *path*, which nobody may change meanwhile. Raises FormatError as the class does."""
        byte_count = _check_file(path)
        # as_uri() escapes the '?', '#' and '%' that would otherwise begin SQLite's own parameters.
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        with sqlite_errors():
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        return cls(connection, byte_count=byte_count, authorizer=_authorize_reading)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> SqliteFile:
        """The file whose content is *data* (copied), to read. Raises FormatError as the class does."""
        return cls(_in_memory(data), byte_count=len(data), authorizer=_authorize_reading)

    @classmethod
    def to_edit(cls, data: bytes | memoryview, *, added_byte_count: int = 0) -> SqliteFile:
        """
        A copy of the file whose content is *data*, to change. Raises FormatError as the class does.

        What is deleted is overwritten with zeros, because names of people may have stood there.

        Args:
            data: the file.
            added_byte_count: bytes of the values to be written: the limits of the connection go by the file's length.
        """
        return cls(_in_memory(data), byte_count=len(data) + added_byte_count, authorizer=_authorize_editing)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def select(self, columns: str, table: str) -> list[tuple[Value, ...]]:
        """
        All rows of *table*, in the order of the file; wholly or not at all.

        Args:
            columns: result columns as SQL, made of :func:`quoted` names.
            table: its name.

        Raises:
            FormatError: its bytes are damaged, or a text is not UTF-8.
            DatabaseError: the file was closed.
            LimitError: it holds more rows or bytes, or takes more work, than a table of this file can.
        """
        # An index could be at odds with its table; a table speaks for itself.
        rows = self._run(f"SELECT {columns} FROM {quoted(table)} NOT INDEXED LIMIT {ROW_COUNT_MAX + 1}")
        if len(rows) > ROW_COUNT_MAX:
            raise LimitError(f"table {table!a} has more than {ROW_COUNT_MAX} rows", file=METADATA_FILE)
        return rows

    def execute(self, sql: str, values: tuple[Value, ...] = ()) -> None:
        """
        Run a statement that changes rows, in a file :meth:`to_edit`.

        Raises:
            FormatError: the file is damaged, or its schema forbids the change.
        """
        self._run(sql, values)

    def content(self) -> bytes:
        """The file as it is now."""
        with self._lock, sqlite_errors():
            return self._connection.serialize()

    def check_pages(self) -> None:
        """
        Walk every page of the file.

        Raises:
            FormatError: SQLite's own check finds damage, the first of which is in the message.
        """
        for (finding,) in self._run("PRAGMA quick_check(1)"):
            if finding != "ok":
                raise FormatError(f"page structure is damaged: {finding!a}", file=METADATA_FILE, hint=_HINT)

    def _read_schema(self) -> dict[str, tuple[str, ...]]:
        tables: dict[str, tuple[str, ...]] = {}
        for kind, name, root_page, sql in self._run(
            "SELECT type, name, rootpage, sql FROM sqlite_master", work=_SCHEMA_WORK
        ):
            _require_ordinary(kind, name, root_page, sql)
            if kind == "table" and isinstance(name, str) and not name.lower().startswith("sqlite_"):
                # table_xinfo also lists the columns that table_info hides: generated ones and those of virtual tables.
                columns = self._run(f"PRAGMA table_xinfo({quoted(name)})", work=_SCHEMA_WORK)
                tables[name] = tuple(_column_name(name, column[1], hidden=column[6]) for column in columns)
        return tables

    def _run(self, sql: str, values: tuple[Value, ...] = (), *, work: int = 0) -> list[tuple[Value, ...]]:
        with self._lock:
            return self._run_alone(sql, values, work=work)

    def _run_alone(self, sql: str, values: tuple[Value, ...], *, work: int) -> list[tuple[Value, ...]]:
        # A step of SQLite's virtual machine handles one cell, and a cell takes a byte or more in the file, bar those of
        # columns that were added after the row was written.
        self._work_remaining = work or _LEAST_WORK + 16 * self._byte_count
        self._bytes_remaining = self._byte_count
        rows: list[tuple[Value, ...]] = []
        with sqlite_errors():
            for row in self._connection.execute(sql, values):
                if bytes in map(type, row):
                    self._spend(sum(len(cell) for cell in row if isinstance(cell, bytes)))
                rows.append(row)
        return rows

    def _work(self) -> bool:
        """Called by SQLite every :data:`_PROGRESS_STEP` steps; True stops it."""
        self._work_remaining -= _PROGRESS_STEP
        return self._work_remaining < 0

    def _spend(self, byte_count: int) -> None:
        """The texts and blobs of one table are not longer than the file, unless its pages are used twice."""
        self._bytes_remaining -= byte_count
        if self._bytes_remaining < 0:
            raise LimitError(f"values of one table exceed the {self._byte_count} bytes of the file", file=METADATA_FILE)

    def _text(self, data: bytes) -> str:
        self._spend(len(data))
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"text is not UTF-8: {error.reason}", file=METADATA_FILE, hint=_HINT) from error


def check_header(header: bytes | memoryview, *, byte_count: int) -> None:
    """
    Check the SQLite header.

    ======  ====  =====================================================================
    offset  size  field
    ======  ====  =====================================================================
    0       16    magic ``SQLite format 3`` and a NUL
    16      2     page size in bytes, big-endian; 1 means 65 536
    18      1     write version: 1 rollback journal, 2 write-ahead log
    19      1     read version, the same
    24      4     change counter
    28      4     page count, valid when offset 92 equals the change counter
    92      4     change counter when the page count was written
    ======  ====  =====================================================================

    A write-ahead log would have to lie beside the file; genuine files never use one, and their page count is valid.

    Raises:
        FormatError: it is not a SQLite database in rollback mode, or not as long as it says.
        LimitError: the file is over :data:`BYTE_COUNT_MAX` bytes.
    """
    if len(header) < _HEADER_BYTE_COUNT:
        raise TruncatedError(f"header needs {_HEADER_BYTE_COUNT} bytes and there are {len(header)}", file=METADATA_FILE)
    header = bytes(header)
    if header[:16] != _MAGIC:
        raise FormatError(f"magic is {header[:16].hex(' ')}, not that of SQLite 3", file=METADATA_FILE, offset=0)
    for offset, what in ((18, "write version"), (19, "read version")):
        if header[offset] != _ROLLBACK_JOURNAL:
            message = f"{what} is {header[offset]}, not {_ROLLBACK_JOURNAL} (rollback journal)"
            raise FormatError(message, file=METADATA_FILE, offset=offset)
    if byte_count > BYTE_COUNT_MAX:
        raise LimitError(f"file has {byte_count} bytes, over the limit of {BYTE_COUNT_MAX}", file=METADATA_FILE)
    page_byte_count = int.from_bytes(header[16:18], "big")
    page_byte_count = 1 << 16 if page_byte_count == 1 else page_byte_count
    page_count = int.from_bytes(header[28:32], "big")
    if header[24:28] == header[92:96] and page_byte_count * page_count != byte_count:
        kind = TruncatedError if byte_count < page_byte_count * page_count else FormatError
        message = f"page count {page_count} with pages of {page_byte_count} bytes does not make {byte_count} bytes"
        raise kind(message, file=METADATA_FILE, offset=28)


def quoted(name: str) -> str:
    """*name* as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def sqlite_errors() -> Iterator[None]:
    """
    Turn SQLite's errors into ours.

    Raises:
        DatabaseError: the connection was closed.
        LimitError: SQLite was stopped, or met a length over the limits of the connection.
        FormatError: any other error of SQLite.
    """
    try:
        yield
    except sqlite3.ProgrammingError as error:
        hint = "read a database before it is closed, inside its with block"
        raise DatabaseError(f"metadata cannot be read: {error}", hint=hint) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorname", "") in ("SQLITE_INTERRUPT", "SQLITE_TOOBIG"):
            message = f"reading takes more than the file can need: {error}"
            raise LimitError(message, file=METADATA_FILE, hint=_HINT) from error
        raise FormatError(f"SQLite cannot read it: {error}", file=METADATA_FILE, hint=_HINT) from error


def _in_memory(data: bytes | memoryview) -> sqlite3.Connection:
    check_header(data[:_HEADER_BYTE_COUNT], byte_count=len(data))
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with sqlite_errors():
            connection.deserialize(data)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_file(path: Path) -> int:
    """Check the header of the file at *path*; returns its length in bytes."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTE_COUNT)
        byte_count = path.stat().st_size
    except OSError as error:
        raise FormatError(f"file cannot be read: {error.strerror}", file=METADATA_FILE) from error
    check_header(header, byte_count=byte_count)
    return byte_count


def _restrict(connection: sqlite3.Connection, *, byte_count: int) -> None:
    """Limit what the schema can ask for. Extensions need no word here: loading them is off unless asked for."""
    # No value is longer than the file; the schema's own statements need some room in a small file.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(byte_count, 1 << 16))
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 1 << 16)  # the longest genuine CREATE TABLE has 2 KB
    connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 500)  # the widest genuine table has 46
    connection.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 20)
    connection.setlimit(sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 2)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
    for switch in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = OFF", "secure_delete = ON"):
        connection.execute(f"PRAGMA {switch}")


def _require_ordinary(kind: Value, name: Value, root_page: Value, sql: Value) -> None:
    """
    Refuse a row of the schema that makes anything but a table with rows of its own, or an index on one.

    Views, triggers and virtual tables have no root page. SQLite goes by the SQL of the row, not by its type, so the SQL
    is looked at as well.
    """
    named = isinstance(name, str) and "\0" not in name and isinstance(root_page, int) and root_page > 0
    ordinary = {
        "table": isinstance(sql, str) and _CREATE_TABLE.match(sql),
        "index": sql is None or (isinstance(sql, str) and _CREATE_INDEX.match(sql)),
    }
    if not named or not ordinary.get(str(kind)):
        message = f"schema holds the {kind!a} {name!a}, which is no ordinary table"
        raise FormatError(message, file=METADATA_FILE, hint=_HINT)


def _column_name(table: str, column: Value, *, hidden: Value) -> str:
    if not isinstance(column, str) or "\0" in column or hidden:
        message = f"column {table}.{column!a} is generated, hidden or without a proper name"
        raise FormatError(message, file=METADATA_FILE, hint=_HINT)
    return column


def _authorize_reading(
    action: int, first: str | None, _second: str | None, _database: str | None, source: str | None
) -> int:
    """Allow reading columns directly (*source* names the view or trigger that would do it) and one pragma."""
    reads = action == sqlite3.SQLITE_SELECT or (action == sqlite3.SQLITE_READ and source is None)
    checks = action == sqlite3.SQLITE_PRAGMA and first == "quick_check"
    return sqlite3.SQLITE_OK if reads or checks else sqlite3.SQLITE_DENY


def _authorize_editing(
    action: int, _first: str | None, _second: str | None, _database: str | None, source: str | None
) -> int:
    """Allow changing rows directly, and the reading that finding a row takes."""
    direct = action in _EDITING and source is None
    return sqlite3.SQLITE_OK if direct else sqlite3.SQLITE_DENY
