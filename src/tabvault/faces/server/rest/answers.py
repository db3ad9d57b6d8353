"""What answers hold: what is not named here does not get out."""

from __future__ import annotations

import datetime  # noqa: TC003 - pydantic looks at annotations
from typing import Any, Literal

from pydantic import RootModel

from tabvault.faces.server.rest.content import Content, Moment
from tabvault.faces.server.rest.storage_answers import Storage, StorageCheck  # noqa: TC001 - pydantic looks at annotations
from tabvault.jobs.file_details import Encryption, FileKind  # noqa: TC001 - pydantic looks at annotations
from tabvault.jobs.listing import BackupState  # noqa: TC001 - likewise
from tabvault.jobs.processing.source_listing import CredentialState  # noqa: TC001 - likewise
from tabvault.jobs.runner.exclusion import JobKind  # noqa: TC001 - likewise
from tabvault.storage.server_state.audit_line import Phase  # noqa: TC001 - likewise
from tabvault.storage.server_state.job import JobState  # noqa: TC001 - likewise

# ---- the server and its databases


class Asker(Content):
    """Whoever asks, as the server knows him."""

    name: str
    kind: str
    is_server_administrator: bool


class Server(Content):
    """
    The server. `storage` and its last check are for server administrators, and null for others.

    The check is null, too, as long as none was made: the first comes shortly after the start, the others hourly. A
    server that is `paused` begins no jobs.
    """

    name: str
    version: str
    engine_version: str
    started: Moment
    paused: bool
    user: Asker
    storage: Storage | None
    storage_check: StorageCheck | None


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


class FileDetails(Content):
    """What a file is, by a look at its beginning. Null is unknown; `remark` says why, or what is wrong."""

    kind: FileKind
    encryption: Encryption | None
    compressed: bool | None
    database: str | None
    id: str | None
    compatibility_level: int | None
    compatible: bool | None
    made_by: str | None
    remark: str | None


class File(Content):
    """A file of the backup storage. `details` is null where nobody asked for it."""

    name: str
    byte_count: int
    last_modified: Moment
    etag: str
    details: FileDetails | None = None


class Folder(Content):
    """A folder of the backup storage, with all that is below it. Its name ends with a slash."""

    name: str
    file_count: int
    byte_count: int
    last_modified: Moment


class Files(Content):
    """Folders and files, each by name. There are more where `next` is not null: ask for those `after` it."""

    folders: list[Folder]
    files: list[File]
    next: str | None


class Upload(Content):
    """An upload that may be cut off and go on; `etag` is that of the file when it is there, null before."""

    id: str
    container: str
    name: str
    byte_count: int
    received_byte_count: int
    created: Moment
    expires: Moment
    etag: str | None


class Uploads(Content):
    """All uploads, the oldest first."""

    uploads: list[Upload]


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


class StorageNetwork(Content):
    """From where files may be put and got; `words` are those of the portal of Azure. The machine itself always may."""

    public_network_access: Literal["Enabled", "Disabled"]
    default_action: Literal["Allow", "Deny"]
    ip_rules: list[str]
    words: str


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
