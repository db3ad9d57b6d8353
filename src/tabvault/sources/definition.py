"""What a source is: where it lies, and who asks it. A password is in a :class:`Credential` and nowhere else."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tabvault.model.secrets import MASK

if TYPE_CHECKING:
    from tabvault.sources.file_formats import FileFormat

CONNECT_TIMEOUT_S: Final = 15
"""Seconds to wait for a connection unless the data source says otherwise: what ADO.NET waits."""


class SourceKind(enum.StrEnum):
    """The drivers there are."""

    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"
    DUCKDB = "duckdb"
    ODBC = "odbc"
    FILE = "file"
    LITERAL = "literal"


@dataclass(frozen=True)
class Credential:
    """Who asks. *password* never shows."""

    user: str | None = None
    password: str = field(default="", repr=False)

    def with_user(self, user: str | None) -> Credential:
        """This credential, of *user* where it names none itself."""
        return Credential(self.user if self.user is not None else user, self.password)

    def hidden_in(self, text: str) -> str:
        """*text*, the password masked wherever it stands in it."""
        return text.replace(self.password, MASK) if self.password else text


@dataclass(frozen=True, kw_only=True)
class SourceDefinition:
    """
    Where rows come from, without a secret.

    Attributes:
        kind: which driver reads it.
        server: name, address or folder of a Unix socket (PostgreSQL).
        port: of *server* (PostgreSQL).
        database: on *server*.
        path: of the file, for SQLite, DuckDB and files.
        file_format: how the file is read; None where a partition's expression says it later.
        user: whom the data source names; a credential may name another.
        tls_mode: PostgreSQL's ``sslmode``.
        attributes: pairs of an ODBC connection string without user and password. They never show: a driver's own
            attribute may be a secret that only the driver knows as one.
        connect_timeout_s: seconds to wait for a connection.
    """

    kind: SourceKind
    server: str | None = None
    port: int | None = None
    database: str | None = None
    path: str | None = None
    file_format: FileFormat | None = None
    user: str | None = None
    tls_mode: str = "prefer"
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    connect_timeout_s: int = CONNECT_TIMEOUT_S

    @property
    def needs_credential(self) -> bool:
        """Whether nothing can be read without a user and a password."""
        if self.kind is SourceKind.ODBC:
            keys = {key.lower() for key, _value in self.attributes}
            return self.user is not None or bool(keys & {"server", "servername", "host"})
        return self.kind is SourceKind.POSTGRESQL

    def __str__(self) -> str:
        """What messages call it."""
        if self.kind is SourceKind.POSTGRESQL:
            return f"PostgreSQL database {self.database!r} at {self.server}:{self.port}"
        if self.kind is SourceKind.ODBC:
            shown = {key.lower(): value for key, value in self.attributes}
            return f"ODBC source {shown.get('dsn') or shown.get('driver')!r}"
        return "the expression itself" if self.kind is SourceKind.LITERAL else f"file {self.path}"
