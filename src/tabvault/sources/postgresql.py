"""
PostgreSQL, through ADBC: binary COPY, a batch at a time.

1. The session only reads (``default_transaction_read_only``), and its time zone is UTC.
2. Types that the driver gives in another form are cast by the server, in a query around the query:

   ========================================  ==========  ============================================================
   type                                      cast to     because the driver gives
   ========================================  ==========  ============================================================
   money                                     numeric     whole cents
   oid                                       int8        a signed number: those over 2^31 as negative ones
   uuid, json, jsonb, xml, citext, inet,     text        the bytes of the wire, or a type of its own
   cidr, macaddr, macaddr8, bit, varbit
   ========================================  ==========  ============================================================

3. ``numeric`` comes as text, exactly as the server would write it. Types that are in no table here (arrays, intervals,
   ranges, points, …) come as the driver has them, and no column of a model takes them.
4. ``infinity`` of dates and timestamps comes as some number far out of the years 100 to 9999, which no column takes
   either.
5. Of libpq's settings only those below are used: neither a service file nor ``~/.pgpass`` has a say. A server behind a
   Unix socket has to ask for the password: it could otherwise let in whoever this process runs as.

Sources: the driver's type table, and what it gave for every type of a server of version 15.
"""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Final

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import pyarrow as pa

from tabvault.errors import SourceCredentialError, SourceError, SourceUnreachableError
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import NUMBERS, source_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adbc_driver_manager import dbapi

    from tabvault.sources.definition import Credential, SourceDefinition
    from tabvault.sources.source import Request

_CASTS: Final = {
    "money": "numeric",
    "oid": "int8",
    **dict.fromkeys(
        ("uuid", "json", "jsonb", "xml", "citext", "inet", "cidr", "macaddr", "macaddr8", "bit", "varbit"), "text"
    ),
}

_BATCH_BYTE_COUNT: Final = 1 << 22
"""What the driver is asked to put into one batch: it holds one at a time, and the rows of it as the wire had them."""

_SESSION: Final = ("SET default_transaction_read_only = on", "SET TimeZone = 'UTC'")

_FIXED_SETTINGS: Final = {
    "client_encoding": "UTF8",
    "application_name": "tabvault",
    "gssencmode": "disable",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # milliseconds; a server that fell silent is given up after a minute
}

_CREDENTIAL_STATE: Final = "28"
_LOST_STATES: Final = ("08", "57P01", "57P02", "57P03", "53300")
"""SQLSTATEs of a connection that is gone or not given: class 08, shutdown, crash, starting up, too many connections."""

_CREDENTIAL_TEXT: Final = re.compile(
    r"authentication|no password supplied|no pg_hba\.conf entry|role .* does not exist|not permitted to log in"
)
_REFUSED_TEXT: Final = re.compile(r"database .* does not exist|permission denied for database|does not support SSL")
"""libpq tells no SQLSTATE when it cannot connect, only words; those of a server in another language are told as they
are, as of one that cannot be reached."""


class PostgreSqlReading(Reading):
    """One query, in a session of its own."""

    def __init__(self, definition: SourceDefinition, credential: Credential, request: Request) -> None:
        self._definition = definition
        self._credential = credential
        self._parameters = list(request.parameters)
        self._query = request.query.rstrip(" \t\r\n;") + "\n"  # a comment at its end must not reach further
        self._connection: dbapi.Connection | None = None
        self._cursor: dbapi.Cursor | None = None
        self._cursor_lock = threading.Lock()
        self._reader: pa.RecordBatchReader | None = None
        self._schema = pa.schema([])

    def open(self) -> pa.Schema:
        """Connect, and let the server prepare the query. See :meth:`Reading.open`."""
        self._connect()
        with self._translated():
            given = self._open_cursor().adbc_execute_schema(self._query)
        if not given.names:
            raise SourceError(
                f"the query to {self._definition} gives no columns", hint="a partition's query has to be a SELECT"
            )
        natives = [_type_name(field) for field in given]
        casts = [_CASTS.get(native) for native in natives]
        types = given.types
        if any(casts):
            self._query = _with_casts(self._query, casts)
            with self._translated():
                types = self._open_cursor().adbc_execute_schema(self._query).types
        fields = zip(given.names, types, natives, strict=True)
        self._schema = pa.schema([_plain(name, data_type, native) for name, data_type, native in fields])
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        cursor = self._open_cursor()
        with self._translated():
            cursor.execute(self._query, self._parameters or None)
            self._reader = cursor.fetch_record_batch()
        while True:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                self._reader = None
                return
            except (OSError, pa.ArrowException, adbc_driver_manager.Error) as error:
                raise self._stream_error(error) from None
            columns = [column.storage if _is_number_text(column.type) else column for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def cancel(self) -> None:
        """Ask the server to stop the statement. See :meth:`Reading.cancel`."""
        with self._cursor_lock:
            if self._cursor is not None:
                with contextlib.suppress(adbc_driver_manager.Error, OSError):
                    self._cursor.adbc_cancel()

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        with self._cursor_lock:  # nobody cancels a cursor while it closes
            cursor, self._cursor = self._cursor, None
        for part in (self._reader, cursor, self._connection):
            if part is not None:
                with contextlib.suppress(adbc_driver_manager.Error, OSError, pa.ArrowException):
                    part.close()

    def _open_cursor(self) -> dbapi.Cursor:
        assert self._cursor is not None
        return self._cursor

    def _connect(self) -> None:
        try:
            connection = adbc_driver_postgresql.dbapi.connect(
                _settings(self._definition, self._credential), autocommit=True
            )
        except (adbc_driver_manager.Error, OSError) as error:
            raise self._connect_error(error) from None
        self._connection = connection
        with self._translated(), connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
        self._cursor = connection.cursor()
        option = adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value
        self._cursor.adbc_statement.set_options(**{option: str(_BATCH_BYTE_COUNT)})

    def _connect_error(self, error: Exception) -> SourceError:
        text = self._credential.hidden_in(_plain_text(str(error)))
        if _CREDENTIAL_TEXT.search(text):
            return SourceCredentialError(
                f"{self._definition} refuses user {self._credential.user!r}: {text}",
                hint="bind another credential with `tabvault datasource set-credential`",
            )
        if _REFUSED_TEXT.search(text):
            return SourceError(f"{self._definition} cannot be opened: {text}")
        return SourceUnreachableError(f"{self._definition} cannot be reached: {text}")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (adbc_driver_manager.Error, OSError, pa.ArrowException) as error:
            raise self._statement_error(error) from None

    def _statement_error(self, error: Exception) -> SourceError:
        state = getattr(error, "sqlstate", None) or ""
        details = dict(getattr(error, "details", ()))
        primary: bytes | None = details.get("PG_DIAG_MESSAGE_PRIMARY", details.get(b"PG_DIAG_MESSAGE_PRIMARY"))
        text = primary.decode(errors="replace") if primary is not None else _plain_text(str(error))
        text = self._credential.hidden_in(text)
        if state.startswith(_CREDENTIAL_STATE):
            return SourceCredentialError(f"{self._definition} refuses user {self._credential.user!r}: {text}")
        if state.startswith(_LOST_STATES) or (not state and not self._is_alive()):
            return SourceUnreachableError(f"{self._definition} went away: {text}")
        return SourceError(f"{self._definition} refuses the query: {text}")

    def _stream_error(self, error: Exception) -> SourceError:
        """What is wrong when rows stop coming: the driver says it in words alone, in the server's language."""
        text = self._credential.hidden_in(_plain_text(str(error)))
        if not self._is_alive():
            return SourceUnreachableError(f"{self._definition} went away while its rows were read: {text}")
        return SourceError(f"the query to {self._definition} failed while its rows were read: {text}")

    def _is_alive(self) -> bool:
        """Whether the session still answers."""
        if self._connection is None:
            return False
        try:
            if self._reader is not None:
                self._reader.close()
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
        except (adbc_driver_manager.Error, OSError, pa.ArrowException):
            return False
        return True


def _settings(definition: SourceDefinition, credential: Credential) -> str:
    """A connection string of libpq."""
    assert definition.server is not None
    settings = {
        "host": definition.server,
        "port": str(definition.port),
        "dbname": definition.database or "",
        "user": credential.user or "",
        "password": credential.password,
        "sslmode": definition.tls_mode,
        "connect_timeout": str(definition.connect_timeout_s),
        **_FIXED_SETTINGS,
    }
    if definition.server.startswith(("/", "@")):
        settings["require_auth"] = "!none"
    return " ".join(f"{key}={_quoted(value)}" for key, value in settings.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _with_casts(query: str, casts: Sequence[str | None]) -> str:
    """The rows of *query*, some of whose columns the server casts. Columns need not have names of their own."""
    columns = [f"c{number}" for number in range(len(casts))]
    values = ", ".join(f"{column}::{cast}" if cast else column for column, cast in zip(columns, casts, strict=True))
    return f"SELECT {values} FROM (\n{query}) AS source_rows ({', '.join(columns)})\n"


def _type_name(field: pa.Field) -> str:
    name: bytes = (field.metadata or {}).get(b"POSTGRESQL:type", b"")
    return name.decode()


def _plain(name: str, data_type: pa.DataType, native: str) -> pa.Field:
    if _is_number_text(data_type):
        return source_field(name, pa.string(), native=native, text_of=NUMBERS)
    return source_field(name, data_type, native=native)


def _is_number_text(data_type: pa.DataType) -> bool:
    """NUMERIC is text in a type of its own."""
    return isinstance(data_type, pa.OpaqueType) and pa.types.is_string(data_type.storage_type)


def _plain_text(text: str) -> str:
    """What the driver says, in one line, without its status word and the query."""
    text = text.split("\n\nQuery was:", maxsplit=1)[0].replace("[libpq] ", "")
    text = re.sub(r"^[A-Z_]+: |Failed to connect: |Execution error \[\w+\]: ", "", text)
    return re.sub(r"\s+", " ", text).strip(" .")
