"""
What a request may ask for: one value class per command of XML for Analysis.

The words are those of [MS-SSAS] 3.1.4.3.2 and [MS-SSAS-T] 3.1.5; an element that a client may leave out has its default
here. ``None`` means that the element was absent, where absent and empty differ. What has passwords is kept
out of ``repr``, and so out of logs and tracebacks. How the elements lie in the XML is the subject of
:mod:`.command_parser` and :mod:`.object_changes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Security: TypeAlias = Literal["CopyAll", "SkipMembership", "IgnoreSecurity"]
ReadWriteMode: TypeAlias = Literal["ReadWrite", "ReadOnly", "ReadOnlyExclusive"]
Verb: TypeAlias = Literal["create", "alter", "delete", "rename", "refresh"]


@dataclass(frozen=True, slots=True)
class Statement:
    """Text in a language of its own: DAX, a schema-rowset query, TMSL (JSON). Exactly as sent, CDATA and all."""

    text: str = field(repr=False)
    """A TMSL command has its passwords in here."""


@dataclass(frozen=True, slots=True)
class Discover:
    """
    A request for a schema rowset; also legal inside a :class:`Batch`.

    A restriction or property given twice with one value counts once; with several values it is refused.
    """

    request_type: str
    restrictions: Mapping[str, str] = field(repr=False)
    """``LOCATION_PASSWORD`` is one."""
    properties: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a remote partition lies; only multidimensional databases have any. The last three are of Restore only."""

    file: str | None
    data_source_id: str | None
    data_source_type: str | None = None
    connection_string: str | None = field(default=None, repr=False)
    folders: tuple[tuple[str, str], ...] = ()
    """Pairs of ``Original`` and ``New``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Write a database into a backup file. An empty password is none."""

    database_id: str
    file: str
    allow_overwrite: bool = False
    apply_compression: bool = True
    backup_remote_partitions: bool = False
    locations: tuple[Location, ...] = ()
    security: Security | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Make a database of a backup file. An empty password is none."""

    file: str
    database_name: str | None = None
    database_id: str | None = None
    allow_overwrite: bool = False
    read_write_mode: ReadWriteMode | None = None
    locations: tuple[Location, ...] = ()
    security: Security | None = None
    db_storage_location: str | None = None
    ignore_incompatibilities: bool = False
    force_restore: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Take a detached database folder into service."""

    folder: str
    read_write_mode: ReadWriteMode | None = None
    allow_overwrite: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take a database out of service; its folder stays."""

    database_id: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Drop a database or a trace: exactly one of the two is given."""

    database_id: str | None = None
    trace_id: str | None = None
    ignore_failures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseDefinition:
    """The ``Database`` element of an ``ObjectDefinition``, as far as a tabular database has such properties."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    compatibility_level: int | None = None
    storage_engine_used: str | None = None
    read_write_mode: ReadWriteMode | None = None
    db_storage_location: str | None = None
    direct_query_mode: str | None = None
    language: int | None = None
    collation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterDatabase(DatabaseDefinition):
    """Change the properties of a database, or create it (``allow_create``). ``None`` leaves a property as it is."""

    database_id: str
    allow_create: bool = False
    object_expansion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDatabase(DatabaseDefinition):
    """Create a database."""

    allow_overwrite: bool = False


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event class that a trace asks for, with the numbers of the columns it wants of it."""

    event_id: int
    column_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TraceComparison:
    """``Equal``, ``NotEqual``, ``Less``, ``LessOrEqual``, ``Greater``, ``GreaterOrEqual``, ``Like`` or ``NotLike``."""

    operator: str
    column_id: int
    value: str


@dataclass(frozen=True, slots=True)
class TraceCombination:
    """``And``, ``Or`` or ``Not`` of other conditions."""

    operator: str
    operands: tuple[TraceCondition, ...]


TraceCondition: TypeAlias = TraceComparison | TraceCombination


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceDefinition:
    """The ``Trace`` element of an ``ObjectDefinition``."""

    id: str | None = None
    name: str | None = None
    stop_time: str | None = None
    auto_restart: bool = False
    events: tuple[TraceEvent, ...] = ()
    filter: TraceCondition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterTrace(TraceDefinition):
    """Change a trace, or create it (``allow_create``)."""

    trace_id: str
    allow_create: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTrace(TraceDefinition):
    """Create a trace."""

    allow_overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ask for the events of a trace as rows, until it is unsubscribed. The session's own trace has no ``trace_id``."""

    subscription_id: str | None
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """End a subscription."""

    subscription_id: str | None
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class BeginTransaction:
    """Begin a transaction in the session."""


@dataclass(frozen=True, slots=True)
class CommitTransaction:
    """Commit the transaction of the session."""


@dataclass(frozen=True, slots=True)
class RollbackTransaction:
    """Undo the transaction of the session."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the commands of another session, or of the own one if nothing is named."""

    session_id: str | None = None
    connection_id: int | None = None
    spid: int | None = None
    cancel_associated: bool = False


@dataclass(frozen=True, slots=True)
class SequencePoint:
    """Closes a group of object changes: what depends on them is worked out here."""

    database_id: str


@dataclass(frozen=True, slots=True)
class Collection:
    """
    Rows of one kind of object in an :class:`ObjectChanges`.

    Attributes:
        name: the collection, such as ``Measures``; ``Model`` for the model itself.
        columns: every column that the inline schema declares, with the local name of its XSD type (``unsignedLong``).
        rows: the columns that a row has; ``None`` for ``xsi:nil``. Path columns (``TableID.Table``) as they are. Those
            of data sources may have passwords.
    """

    name: str
    columns: Mapping[str, str]
    rows: tuple[Mapping[str, str | None], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ObjectChanges:
    """Create, alter, delete, rename or refresh objects of a tabular model ([MS-SSAS-T] 3.1.5.2)."""

    verb: Verb
    database_id: str
    collections: tuple[Collection, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands in order, in one transaction if so asked. Those inside ``Parallel`` stand where they are written."""

    transaction: bool
    commands: tuple[BatchedCommand, ...]


BatchedCommand: TypeAlias = (
    Statement
    | Discover
    | Backup
    | Restore
    | Attach
    | Detach
    | Delete
    | AlterDatabase
    | CreateDatabase
    | AlterTrace
    | CreateTrace
    | Subscribe
    | Unsubscribe
    | BeginTransaction
    | CommitTransaction
    | RollbackTransaction
    | Cancel
    | SequencePoint
    | ObjectChanges
)
Command: TypeAlias = BatchedCommand | Batch
