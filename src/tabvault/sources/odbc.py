"""
ODBC, through arrow-odbc: for databases that no driver here speaks to.

What is bound for a column is asked for, not taken over: what an ODBC driver says of its types is often wrong, and then
values come out that look right.

========================================  =============================================================================
the driver says                           asked for, because
========================================  =============================================================================
any integer                               int64: unsigned ones come as negative numbers otherwise
float, double                             double: psqlODBC says of float8 that it has 17 digits, which reads as a float
decimal                                   text: precision and scale are guesses, and NaN comes as 0
timestamp of any unit                     microseconds: nanoseconds end in 2262
date of PostgreSQL                        text: ``infinity`` comes as today
========================================  =============================================================================

1. Memory is bounded: a batch is as many rows as have room in :data:`_BUFFER_BYTE_COUNT_MAX`, a text as long as the
   driver says it may be, at most :data:`_TEXT_BYTE_COUNT_MAX`. A longer value is refused, never cut.
2. A driver is named as ``odbcinst.ini`` names it. A path would load any library into this process.
3. A value that names a path has to lie under an allowed folder, as a file does.
4. ODBC has no mode that only reads. A query has to begin with SELECT, WITH or VALUES, and the user it runs as should
   have the right to read alone.

What cannot be helped: psqlODBC gives ``infinity`` of a timestamp as 9999-12-31 23:59:59, and MONEY as a double. Use the
driver of :mod:`tabvault.sources.postgresql` for PostgreSQL.

Sources: the ODBC reference, "Converting data from SQL to C data types"; what psqlODBC 13 gave for every type.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

import arrow_odbc
import pyarrow as pa

from tabvault.errors import SourceAccessError, SourceCredentialError, SourceError, SourceUnreachableError
from tabvault.sources.allowed_folders import allowed_path
from tabvault.sources.connection_string import odbc_text
from tabvault.sources.reading import Reading
from tabvault.sources.source_type import DATES, NUMBERS, source_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tabvault.sources.definition import Credential, SourceDefinition
    from tabvault.sources.source import Request

_BUFFER_BYTE_COUNT_MAX: Final = 1 << 26
_TEXT_BYTE_COUNT_MAX: Final = 1 << 20
_BATCH_ROW_COUNT_MAX: Final = 65_535
"""Some drivers count rows in 16 bits."""

_READS: Final = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*+(?:select|with|values)\b", re.IGNORECASE | re.DOTALL)

_FORBIDDEN_KEYS: Final = frozenset({"filedsn", "savefile"})

_POSTGRESQL_DEFAULTS: Final = {
    "UseDeclareFetch": "1",  # otherwise the driver holds all rows before it gives the first
    "Fetch": "8192",
    "ReadOnly": "1",
    "BoolsAsChar": "0",
    "ConnSettings": "SET TimeZone = 'UTC'",
}

_STATE: Final = re.compile(r"State: (?P<state>\w{5}), Native error: -?\d+, Message: (?P<message>.*)", re.DOTALL)
_CREDENTIAL_TEXT: Final = re.compile(r"authentication failed|login failed|no password|access denied", re.IGNORECASE)
_LOST_TEXT: Final = re.compile(r"terminating connection|server closed|connection (?:reset|lost|refused)", re.IGNORECASE)


class OdbcReading(Reading):
    """One query, over a connection of its own."""

    def __init__(self, definition: SourceDefinition, credential: Credential | None, request: Request) -> None:
        self._definition = definition
        self._credential = credential
        self._request = request
        self._pairs = dict(definition.attributes)
        self._is_postgresql = "postgres" in _value(self._pairs, "driver").lower()
        self._connection: arrow_odbc.Connection | None = None
        self._reader: arrow_odbc.BatchReader | None = None
        self._fields: list[pa.Field] = []

    def open(self) -> pa.Schema:
        """See :meth:`Reading.open`."""
        if not _READS.match(self._request.query):
            raise SourceError(
                f"the query to {self._definition} does not begin with SELECT, WITH or VALUES",
                hint="a partition's query only reads",
            )
        with self._translated():
            self._connection = arrow_odbc.connect(
                self._connection_string(),
                user=self._credential.user if self._credential else None,
                password=self._credential.password if self._credential else None,
                login_timeout_sec=self._definition.connect_timeout_s,
            )
            self._reader = self._connection.read_arrow_batches(
                self._request.query,
                parameters=[None if value is None else str(value) for value in self._request.parameters] or None,
                batch_size=min(self._request.batch_row_count, _BATCH_ROW_COUNT_MAX),
                max_bytes_per_batch=_BUFFER_BYTE_COUNT_MAX,
                max_text_size=_TEXT_BYTE_COUNT_MAX,
                max_binary_size=_TEXT_BYTE_COUNT_MAX,
                falliable_allocations=True,
                fetch_concurrently=False,
                map_schema=self._asked_for,
            )
        if not self._fields:
            raise SourceError(f"the query to {self._definition} gives no columns")
        return pa.schema(self._fields)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See :meth:`Reading.batches`."""
        assert self._reader is not None
        schema = pa.schema(self._fields)
        while True:
            with self._translated():
                batch = next(self._reader, None)
            if batch is None:
                break
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        with self._translated():
            if self._reader.more_results():
                raise SourceError(f"the query to {self._definition} gives more than one result")

    def close(self) -> None:
        """See :meth:`Reading.close`."""
        self._reader = None
        self._connection = None

    def _connection_string(self) -> str:
        pairs = dict(self._pairs)
        if self._is_postgresql:
            given = {key.lower() for key in pairs}
            pairs.update({key: value for key, value in _POSTGRESQL_DEFAULTS.items() if key.lower() not in given})
        return odbc_text(pairs)

    def _asked_for(self, schema: pa.Schema) -> pa.Schema:
        self._fields = [self._field(field) for field in schema]
        return pa.schema([pa.field(field.name, field.type) for field in self._fields])

    def _field(self, field: pa.Field) -> pa.Field:
        given, native = field.type, str(field.type)
        if pa.types.is_integer(given):
            return source_field(field.name, pa.int64(), native=native)
        if pa.types.is_floating(given):
            return source_field(field.name, pa.float64(), native=native)
        if pa.types.is_decimal(given):
            return source_field(field.name, pa.string(), native=native, text_of=NUMBERS)
        if pa.types.is_date(given) and self._is_postgresql:
            return source_field(field.name, pa.string(), native=native, text_of=DATES)
        if pa.types.is_timestamp(given):
            return source_field(field.name, pa.timestamp("us"), native=native)
        return source_field(field.name, given, native=native)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (arrow_odbc.Error, pa.ArrowException) as error:
            raise self._error(str(error)) from None

    def _error(self, text: str) -> SourceError:
        found = _STATE.search(text)
        state, message = (found["state"], found["message"]) if found else ("", text)
        message = " ".join(message.split()).strip(" .;")
        if self._credential is not None:
            message = self._credential.hidden_in(message)
        place = str(self._definition)
        if state.startswith("28") or _CREDENTIAL_TEXT.search(message):
            return SourceCredentialError(f"{place} refuses the credential: {message}")
        if state in {"IM002", "IM003"} or "Can't open lib" in message:
            return SourceError(
                f"{place} cannot be opened: {message}", hint="`odbcinst -q -d` lists the drivers installed"
            )
        if state.startswith("08") or state == "HYT00" or _LOST_TEXT.search(message):
            return SourceUnreachableError(f"{place} cannot be reached: {message}")
        if "too large to be written into the allocated buffer" in message:
            return SourceError(
                f"{place} gives a value longer than its driver said it could be: {message}",
                hint="cast the column to a bounded type in the query (psqlODBC: or set MaxLongVarcharSize)",
            )
        return SourceError(f"{place} refuses the query: {message}")


def check_attributes(definition: SourceDefinition, allowed_folders: Iterable[str | Path]) -> None:
    """
    Refuse what would load a library or read a file that nobody allowed.

    Raises:
        SourceAccessError: the key and why; no value is in the message but that of ``Driver``.
    """
    folders = list(allowed_folders)
    for key, value in definition.attributes:
        if key.lower() in _FORBIDDEN_KEYS:
            raise SourceAccessError(f"{key} in an ODBC connection string is not allowed")
        if key.lower() in {"driver", "setup"} and re.search(r"[/\\]", value):
            raise SourceAccessError(
                f"ODBC driver {value!r} is a path", hint="name it as odbcinst.ini does; `odbcinst -q -d` lists them"
            )
        if re.match(r"(?:file:)?(?:[/~]|\.\.?(?:/|$))|.*/\.\./", value, re.IGNORECASE):
            allowed_path(value, folders, what=f"{key} of an ODBC connection string")


def _value(pairs: dict[str, str], key: str) -> str:
    return next((value for name, value in pairs.items() if name.lower() == key), "")
