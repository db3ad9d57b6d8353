"""
A DuckDB of our own, in memory, that can reach nothing but what it is given.

A query that a model brings is run in it. Before its text is seen, every way out is shut and the settings are locked:
no file, no network, no extension, no secret, no variable of this process. What has to be opened is opened before.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from tabvault.errors import SourceError, SourceTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY_BYTE_COUNT_MAX: Final = 1 << 30

_OFFLINE: Final = (
    "autoload_known_extensions = false",
    "autoinstall_known_extensions = false",
    "allow_community_extensions = false",
    "allow_persistent_secrets = false",
    "python_enable_replacements = false",
    "temp_directory = ''",
    f"memory_limit = '{_MEMORY_BYTE_COUNT_MAX}B'",
    "errors_as_json = true",
)
"""Set before anything is opened: a file of another kind would make DuckDB fetch an extension for it."""

_SHUT: Final = (
    "enable_external_access = false",
    "disabled_filesystems = 'LocalFileSystem'",
    "lock_configuration = true",  # last
)

_TYPE_ERRORS: Final = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.TypeMismatchException)


def new_session() -> duckdb.DuckDBPyConnection:
    """A session that fetches nothing by itself, and is still open to what its maker opens in it."""
    session = duckdb.connect()
    for setting in _OFFLINE:
        session.execute(f"SET {setting}")
    return session


def shut(session: duckdb.DuckDBPyConnection) -> None:
    """From here on *session* reaches nothing outside."""
    for setting in _SHUT:
        session.execute(f"SET {setting}")


def check_query(session: duckdb.DuckDBPyConnection, query: str) -> None:
    """
    Let through one SELECT alone.

    Raises:
        SourceError: it is another statement, or more than one.
        duckdb.Error: it does not parse.
    """
    statements = session.extract_statements(query)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise SourceError("the query is not one SELECT", hint="a partition's query only reads")


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """
    Raise DuckDB's errors as ours.

    Args:
        place: what was asked, for the message.

    Raises:
        SourceTypeError: a value does not become what the query casts it to.
        SourceError: every other failure of DuckDB.
    """
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # from a stream it comes through pyarrow
        text = str(error)
        kind, message = _parts(text)
        is_type = isinstance(error, _TYPE_ERRORS) or kind in {"Conversion", "Out of Range", "Mismatch Type"}
        raise (SourceTypeError if is_type else SourceError)(f"{place}: {message}") from None


def _parts(text: str) -> tuple[str, str]:
    kind, _, rest = text.partition(" Error: ")
    if rest.startswith("{"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            details = json.loads(rest)
            return str(details["exception_type"]), _one_line(str(details["exception_message"]))
    return kind, _one_line(rest or text)


def _one_line(message: str) -> str:
    """The first line: further ones repeat the query and advise settings that are locked."""
    first = (message.splitlines() or [""])[0].strip(" .!")
    return first[:1].lower() + first[1:] if not first[1:2].isupper() else first
