"""What answers about the files of the backup storage hold."""

from __future__ import annotations

from tabvault.faces.server.rest.content import Content, Moment
from tabvault.jobs.file_details import Encryption, FileKind  # noqa: TC001 - pydantic looks at annotations


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
