"""
What rowsets are made from: one database, the names of all others, and the state of the server that shows them.

Times are in UTC. Nothing here holds a secret: the text of a command is without its passwords.
"""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from tabvault.errors import DatabaseNotFoundError, NotAuthorizedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from tabvault.model.file_set import FileSet
    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Model

COMPATIBILITY_LEVELS: Final = (1200, 1400, 1500, 1550, 1600, 1601, 1603, 1604, 1605, 1606, 1700, 1702)
"""What a server says it supports: the levels of tabular metadata that tools know by number."""

ENGINE_VERSION: Final = "16.0.43.220"
"""The version told to clients, who choose by it what to ask: SQL Server 2022, whose rowsets these are."""

DEFAULT_COMPATIBILITY_LEVEL: Final = 1600
"""The level of SQL Server 2022, for a client that makes a database and leaves it to the server."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """
    A database as a list of databases shows it.

    Attributes:
        name: its name.
        id: its id, by which commands name it.
        description: for people.
        compatibility_level: 1200, 1550, …
        modified: when its metadata last changed, in UTC.
        version: that of its metadata.
        created: when the database came to be.
        processed: when data last came into it.
        byte_count: of all its files.
        read_write_mode: ``ReadWrite``, ``ReadOnly`` or ``ReadOnlyExclusive``.
        language: LCID, None when its collation does not say.
        collation: as in the model.
        roles: the roles by which the caller may read it; None for one who may do everything.
    """

    name: str
    id: str
    description: str | None
    compatibility_level: int
    modified: datetime.datetime | None
    version: int
    created: datetime.datetime | None = None
    processed: datetime.datetime | None = None
    byte_count: int = 0
    read_write_mode: str = "ReadWrite"
    language: int | None = None
    collation: str | None = None
    roles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RowsetSource:
    """
    One version of a database, for as long as a question lasts.

    Attributes:
        database: its own entry.
        catalogs: all databases there are, its own among them.
        metadata: its metadata as tables.
        model: the same as objects.
        files: its files.
        hidden_table_ids: tables that object-level security hides from the caller.
        hidden_column_ids: columns that it hides, besides those of hidden tables.
        hidden_measure_ids: measures that it hides, besides those of hidden tables.
        is_administrator: whether the caller may see all metadata and storage of this database.
        kept: metadata tables as their rowsets show them, by table and version, where several questions share them; not
            more than the metadata, and the same for whoever asks.
    """

    database: CatalogEntry
    catalogs: Sequence[CatalogEntry]
    metadata: Metadata
    model: Model
    files: FileSet
    hidden_table_ids: frozenset[int] = frozenset()
    hidden_column_ids: frozenset[int] = frozenset()
    hidden_measure_ids: frozenset[int] = frozenset()
    is_administrator: bool = True
    kept: MutableMapping[tuple[str, int], pa.Table] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """
    A session. Its last command may still run: then *last_command_ended* is None.

    Attributes:
        id: as in the Session header.
        spid: its number.
        connection_id: of the connection that began it.
        user_name: whose it is.
        database: its current catalog.
        started: when it began.
        command_count: commands begun in it.
        last_command: their last one's text, without passwords.
        last_command_started: when that one began.
        last_command_ended: when it ended.
        last_command_cpu_time_ms: processor time it took.
        cpu_time_ms: processor time that all took.
    """

    id: str
    spid: int
    user_name: str
    started: datetime.datetime
    connection_id: int | None = None
    database: str | None = None
    command_count: int = 0
    last_command: str | None = None
    last_command_started: datetime.datetime | None = None
    last_command_ended: datetime.datetime | None = None
    last_command_cpu_time_ms: int = 0
    cpu_time_ms: int = 0

    @property
    def is_active(self) -> bool:
        """Whether a command runs in it."""
        return self.last_command_started is not None and self.last_command_ended is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFacts:
    """A connection of a client: who, from where, since when, and how many bytes went over it."""

    id: int
    user_name: str
    started: datetime.datetime
    host_name: str | None = None
    application: str | None = None
    last_command_started: datetime.datetime | None = None
    last_command_ended: datetime.datetime | None = None
    sent_byte_count: int = 0
    received_byte_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """A running job. *id* is a number made for the rowset; *spid* is None when no session waits for it."""

    id: int
    description: str
    created: datetime.datetime
    started: datetime.datetime | None = None
    spid: int | None = None
    user_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFacts:
    """A trace that a client made."""

    id: str
    name: str
    created: datetime.datetime
    stops: datetime.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """
    The server at one moment.

    Attributes:
        name: as clients call it.
        version: :data:`ENGINE_VERSION`.
        edition: as AMO spells it, such as ``Developer64``.
        started: when the process began.
        now: the moment; elapsed times are counted up to it.
        port: that it listens on.
        sessions, connections, jobs, traces: all there are, whoever asks.
        properties: server properties by name: ``BackupDir``, ``DataDir``, …
        compatibility_levels: those it restores.
        default_compatibility_level: that of a database whose maker names none.
    """

    name: str
    version: str
    started: datetime.datetime
    now: datetime.datetime
    edition: str = "Developer64"
    port: int | None = None
    sessions: Sequence[SessionFacts] = ()
    connections: Sequence[ConnectionFacts] = ()
    jobs: Sequence[JobFacts] = ()
    traces: Sequence[TraceFacts] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    compatibility_levels: Sequence[int] = COMPATIBILITY_LEVELS
    default_compatibility_level: int = DEFAULT_COMPATIBILITY_LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsetContext:
    """
    Who asks, what of, and what he may see.

    Attributes:
        server: the state of the server.
        catalogs: the databases that the caller may see.
        open_database: one of them by its name (spelt as in *catalogs*), for as long as it is read.
        open_backup: a backup file by its name and password; raises what opening a backup raises. None where there is
            no way to a file.
        catalog: name of the session's current database, None when it has none.
        properties: XMLA properties of the session and of the request, by name.
        user_name: who asks.
        is_administrator: whether he administers the server.
    """

    server: ServerFacts
    catalogs: Sequence[CatalogEntry]
    open_database: Callable[[str], AbstractContextManager[RowsetSource]]
    open_backup: Callable[[str, str | None], AbstractContextManager[RowsetSource]] | None = None
    catalog: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    user_name: str = ""
    is_administrator: bool = False

    @classmethod
    def of_database(cls, source: RowsetSource) -> Self:
        """One opened database and its owner, without a server."""
        now = datetime.datetime.now(datetime.UTC)
        return cls(
            server=ServerFacts(name="localhost", version=ENGINE_VERSION, started=now, now=now),
            catalogs=source.catalogs,
            open_database=lambda _: contextlib.nullcontext(source),
            catalog=source.database.name,
            is_administrator=True,
        )

    def entry(self, name: str) -> CatalogEntry:
        """
        The database of *name*, in any case of letters.

        Raises:
            DatabaseNotFoundError: there is none, or the caller may not see it.
        """
        for entry in self.catalogs:
            if entry.name.casefold() == name.casefold():
                return entry
        raise DatabaseNotFoundError(f"either the database {name!r} does not exist, or you have no access to it")

    def require_administrator(self, rowset: str) -> None:
        """
        Raise unless the caller administers the server.

        Raises:
            NotAuthorizedError: he does not.
        """
        if not self.is_administrator:
            raise NotAuthorizedError(f"rowset {rowset} is for administrators of the server, not for {self.user_name!r}")
