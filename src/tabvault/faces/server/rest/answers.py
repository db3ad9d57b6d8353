"""What answers about the server, its databases and their data sources hold: what is not named here does not get out."""

from __future__ import annotations

from typing import Any, Literal

from tabvault.faces.server.rest.content import Content, Moment
from tabvault.faces.server.rest.storage_answers import Storage, StorageCheck  # noqa: TC001 - pydantic looks at annotations
from tabvault.jobs.listing import BackupState  # noqa: TC001 - likewise
from tabvault.jobs.processing.source_listing import CredentialState  # noqa: TC001 - likewise


class Asker(Content):
    """Whoever asks, as the server knows him."""

    name: str
    kind: str
    is_server_administrator: bool


class Server(Content):
    """
    The server. `storage` and its last check are for server administrators, and null for others.

    The check is null, too, as long as none was made: the first comes shortly after the start, the others hourly. A
    server that is `paused` begins no jobs; since when is null, too, if it was paused already when it started.
    """

    name: str
    version: str
    engine_version: str
    started: Moment
    state: Literal["running", "paused"]
    paused: bool
    paused_since: Moment | None
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


class DetachedDatabase(Content):
    """A database out of service, by whose `folder` it is attached. What is not known of a damaged one is null."""

    folder: str
    name: str | None
    id: str | None
    compatibility_level: int | None
    read_write_mode: str | None
    byte_count: int | None
    committed: Moment | None
    state: str
    problem: str | None


class DetachedDatabases(Content):
    """All databases out of service, by folder."""

    databases: list[DetachedDatabase]


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


class SourceLimits(Content):
    """How much queries may have of data sources: rows for one question to the source of a live table."""

    direct_query_row_count_max: int


class SourceFolders(Content):
    """The folders whose files may be read."""

    folders: list[str]
