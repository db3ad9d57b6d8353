"""What answers hold: what is not named here does not get out."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, RootModel

from tabvault.jobs.listing import BackupState  # noqa: TC001 - pydantic looks at annotations
from tabvault.jobs.processing.source_listing import CredentialState  # noqa: TC001 - likewise
from tabvault.jobs.runner.exclusion import JobKind  # noqa: TC001 - likewise
from tabvault.storage.server_state.audit_line import Phase  # noqa: TC001 - likewise
from tabvault.storage.server_state.job import JobState  # noqa: TC001 - likewise

Moment = Annotated[
    datetime.datetime,
    PlainSerializer(lambda moment: moment.isoformat(), return_type=str),
    Field(json_schema_extra={"format": "date-time"}),
]


class Content(BaseModel):
    """A JSON object in an answer; made from any object with attributes of its members' names."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


# ---- the server and its databases


class Storage(Content):
    """Where backups go."""

    enabled: bool
    account: str | None
    container: str | None


class Asker(Content):
    """Whoever asks, as the server knows him."""

    name: str
    kind: str
    is_server_administrator: bool


class Server(Content):
    """The server. `storage` is for server administrators, and null for others."""

    name: str
    version: str
    engine_version: str
    started: Moment
    user: Asker
    storage: Storage | None


class Database(Content):
    """
    A database. What is not known, or not for the caller to know, is null.

    How many rows and tables there are is for those who may read all of them, what is wrong with the database and
    where its last backup is for its administrators.
    """

    name: str
    id: str
    compatibility_level: int | None
    mode: str | None
    read_write_mode: str | None
    byte_count: int | None
    row_count: int | None
    table_count: int | None
    state: str
    problem: str | None
    version: int | None
    restored: Moment | None
    last_backup: Moment | None
    last_backup_file: str | None
    last_backup_state: BackupState | None


class Databases(Content):
    """All databases that the caller may know of, by name."""

    databases: list[Database]


class ResultColumn(Content):
    """A column of a result; its type in the words of Arrow."""

    name: str
    type: str


class ResultRows(Content):
    """
    Rows. Dates and times are ISO 8601, binary values base64, NaN and infinity texts.

    `error` is there when the question failed after the first rows: the rows are then not all.
    """

    columns: list[ResultColumn]
    rows: list[list[Any]]
    row_count: int
    error: dict[str, Any] | None = None


# ---- jobs


class Progress(Content):
    """How far a job is."""

    step: str
    step_number: int
    done: int
    total: int | None
    unit: str


class Failure(Content):
    """Why a job did not succeed."""

    code: str
    message: str
    hint: str | None


class Job(Content):
    """A job. `result` is what it made, once it has succeeded; `options` never holds a password."""

    id: str
    kind: JobKind
    database: str | None
    state: JobState
    requested_by: str
    origin: str | None
    interface: str
    options: dict[str, Any]
    progress: Progress | None
    result: Any
    error: Failure | None
    created: Moment
    started: Moment | None
    finished: Moment | None
    duration_s: float | None


class Jobs(Content):
    """Jobs, the latest first."""

    jobs: list[Job]


RefreshStatus = Literal["notStarted", "inProgress", "succeeded", "failed", "cancelled"]


class RefreshObject(Content):
    """A table or a partition of a refresh."""

    table: str
    partition: str | None
    status: RefreshStatus


class RefreshMessage(Content):
    """What there is to say of a refresh."""

    message: str
    type: Literal["Error", "Warning"]
    code: str | None


class Refresh(Job):
    """
    A refresh: a job, and the same in the words of the asynchronous refresh of Azure Analysis Services.

    `objects` are those that were asked for, and once it has succeeded the partitions that were read.
    """

    refreshId: str  # noqa: N815 - the word of that service
    startTime: Moment  # noqa: N815 - the word of that service
    endTime: Moment | None  # noqa: N815 - the word of that service
    type: str
    currentRefreshType: str  # noqa: N815 - the word of that service
    status: RefreshStatus
    objects: list[RefreshObject]
    messages: list[RefreshMessage]


class Refreshes(RootModel[list[Refresh]]):
    """Refreshes, the latest first."""


# ---- data sources


class DataSource(Content):
    """
    A place that rows come from.

    `credential` says whether there is one for its address; what it is, nobody is shown. `problem` is why partitions
    cannot be refreshed from it, as far as that shows without asking it.
    """

    name: str
    kind: str | None
    address: str
    tables: list[str]
    credential: CredentialState
    problem: str | None


class DataSources(Content):
    """All data sources of a database, by name."""

    data_sources: list[DataSource]


class SourceFolders(Content):
    """The folders whose files may be read."""

    folders: list[str]


# ---- files


class File(Content):
    """A file of the backup storage."""

    name: str
    byte_count: int
    last_modified: Moment
    etag: str


class Files(Content):
    """Files, by name. There are more of them where `next` is not null: ask for those `after` it."""

    files: list[File]
    next: str | None


class InspectedTable(Content):
    """A table in a backup."""

    name: str
    is_hidden: bool
    mode: str
    row_count: int
    column_count: int
    partition_count: int
    measure_count: int
    byte_count: int


class InspectedRole(Content):
    """A role in a backup."""

    name: str
    permission: str
    members: list[str]


class Inspected(Content):
    """What is in a backup, without a column being decoded."""

    database: str
    id: str
    compatibility_level: int
    schema_version: int
    mode: str
    culture: str | None
    collation: str | None
    encrypted: bool
    envelope: str
    package_member: str | None
    compressed: bool
    has_checksums: bool
    directory_encoding: str
    file_byte_count: int
    raw_byte_count: int
    file_count: int
    row_count: int
    tables: list[InspectedTable]
    roles: list[InspectedRole]
    relationship_count: int
    measure_count: int
    data_sources: list[str]


# ---- administration


class AuditLine(Content):
    """A line of the audit log."""

    sequence: int
    time: Moment
    phase: Phase
    begin: int | None
    who: str | None
    authentication: str | None
    address: str | None
    interface: str
    operation: str
    object: str | None
    options: dict[str, Any]
    result: Literal["success", "failure"] | None
    code: str | None
    job: str | None
    duration_s: float | None
    previous: str


class AuditLines(Content):
    """Lines of the audit log, the latest first."""

    lines: list[AuditLine]


class User(Content):
    """A user."""

    name: str
    is_server_administrator: bool
    created: Moment


class Users(Content):
    """All users."""

    users: list[User]


class Key(Content):
    """An API key, without its secret."""

    id: str
    name: str
    owner: str
    scopes: list[str]
    databases: list[str] | None
    created: Moment
    expires: Moment | None
    last_used: datetime.date | None


class Keys(Content):
    """API keys."""

    keys: list[Key]


class NewKey(Content):
    """An API key that was just made. `secret` is the whole key, and is never shown again."""

    key: Key
    secret: str


class Rule(Content):
    """A firewall rule: a range of addresses that are let in, both ends included."""

    name: str
    start: str
    end: str


class Firewall(Content):
    """The firewall. Switched on it lets in these ranges, and the machine itself."""

    enabled: bool
    rules: list[Rule]


class Provider(Content):
    """An identity provider. The keys that were given with it are not shown, only that there are some."""

    issuer: str
    audiences: list[str]
    tenant: str | None
    jwks_uri: str | None
    has_jwks: bool
    administrators: list[str]


class Providers(Content):
    """All identity providers."""

    providers: list[Provider]
