"""
Every error that Tabvault raises on purpose.

::

    TabvaultError              code (stable, documented), exit_status, http_status
      FormatError              file, offset: the bytes do not say what the format demands
        TruncatedError         fewer bytes than the format promises
        ChecksumError          a stored checksum or authentication tag does not match
        LimitError             a number in the file is over what we are willing to allocate
        UnsupportedFeatureError  readable, recognised, and not ours to read (yet)
          ServerEncryptedError   password-protected by a Microsoft server
          XmlMetadataError       compatibility level 1100/1103 model
          NoModelError           a report file without a model in it
      PasswordError
        PasswordRequiredError  the file is encrypted and no password was given
        PasswordWrongError     the password does not open the file
        PasswordSuperfluousError  a password was given for a file that is not encrypted
      ModelError               metadata contradicts itself
        ConsistencyError       the consistency check of a restore failed
        CompatibilityError     compatibility level or engine version not supported
      QueryError               line, column
        UnknownRowsetError
        QueryNotSupportedError
      StorageError             retryable
        ObjectNotFoundError
        ObjectExistsError
        InvalidNameError
        StoreUnavailableError
        StorageNotConfiguredError
        DiskFullError
      DatabaseError
        DatabaseNotFoundError
        DatabaseExistsError
        DatabaseReadOnlyError
        DataFolderLockedError
        DataFolderDamagedError
      JobError
        JobCancelledError

A message is lower case, without a full stop, with both values and the place; the way out goes into ``hint``.
Builtins (``ValueError``, ``AssertionError``) mean a mistake of ours. Only ``faces`` turns these into exit statuses.
"""

from __future__ import annotations

from typing import ClassVar


class TabvaultError(Exception):
    """
    The root of the tree.

    Args:
        message: what is wrong and where, lower case, no full stop.
        hint: the way out, shown on a line of its own.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FormatError(TabvaultError):
    """
    Bytes that do not say what the format demands.

    Args:
        message: both values and the specification's word for the place.
        file: logical name of the file inside the backup or database, where known.
        offset: byte offset inside *file*, where known.
        hint: the way out.
    """

    code = "format_damaged"
    http_status = 422

    def __init__(
        self, message: str, *, file: str | None = None, offset: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.offset = offset

    def __str__(self) -> str:
        """The message with its place: ``… - at <file> byte 0x1f0``."""
        if self.file is None and self.offset is None:
            return self.message
        place = self.file if self.file is not None else ""
        if self.offset is not None:
            place = f"{place} byte {self.offset:#x}".lstrip()
        return f"{self.message} - at {place}"

    def in_file(self, file: str) -> FormatError:
        """Name the file, when the raiser did not know it. Returns itself, for ``raise error.in_file(name)``."""
        if self.file is None:
            self.file = file
        return self


class TruncatedError(FormatError):
    """Fewer bytes than the format promises."""

    code = "format_truncated"


class ChecksumError(FormatError):
    """A stored checksum or an authentication tag does not match the bytes."""

    code = "format_checksum"


class LimitError(FormatError):
    """A number in the file is over what we are willing to allocate by."""

    code = "format_limit"


class UnsupportedFeatureError(FormatError):
    """Recognised, and not ours to read."""

    code = "format_unsupported"


class ServerEncryptedError(UnsupportedFeatureError):
    """A backup that a Microsoft server protected with a password. Its cipher is not public."""

    code = "format_server_encrypted"


class XmlMetadataError(UnsupportedFeatureError):
    """A model of compatibility level 1100/1103, whose metadata are XML files."""

    code = "format_xml_metadata"


class NoModelError(UnsupportedFeatureError):
    """A report file that carries no model (a live connection, for instance)."""

    code = "format_no_model"


class PasswordError(TabvaultError):
    """The password does not fit the file."""

    code = "password"
    http_status = 403


class PasswordRequiredError(PasswordError):
    """The file is encrypted and no password was given."""

    code = "password_required"


class PasswordWrongError(PasswordError):
    """The password does not open the file."""

    code = "password_wrong"


class PasswordSuperfluousError(PasswordError):
    """A password was given for a file that is not encrypted."""

    code = "password_superfluous"


class ModelError(TabvaultError):
    """The metadata of a model contradict themselves or the files beside them."""

    code = "model_damaged"
    http_status = 422


class ConsistencyError(ModelError):
    """The consistency check before the commit of a restore failed."""

    code = "model_inconsistent"


class CompatibilityError(ModelError):
    """The compatibility level is not one we serve."""

    code = "model_compatibility"


class QueryError(TabvaultError):
    """
    A query that cannot be answered.

    Args:
        message: what is wrong.
        line: 1-based line in the query text, where known.
        column: 1-based column in the line, where known.
        hint: the way out.
    """

    code = "query"
    http_status = 400

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class UnknownRowsetError(QueryError):
    """No such schema rowset."""

    code = "query_unknown_rowset"


class QueryNotSupportedError(QueryError):
    """Well-formed, and not answered by this version."""

    code = "query_not_supported"


class StorageError(TabvaultError):
    """
    The backup storage could not do what it was asked.

    ``retryable`` says whether the same call may succeed later without anybody changing anything.
    """

    code = "storage"
    http_status = 502
    retryable: ClassVar[bool] = False


class ObjectNotFoundError(StorageError):
    """No object of that name in the container."""

    code = "storage_not_found"
    http_status = 404


class ObjectExistsError(StorageError):
    """An object of that name exists and overwriting was not asked for."""

    code = "storage_exists"
    http_status = 409


class InvalidNameError(StorageError):
    """A name that cannot denote an object of the container."""

    code = "storage_invalid_name"
    http_status = 400


class StoreUnavailableError(StorageError):
    """The storage cannot be reached or answers with a failure of its own."""

    code = "storage_unavailable"
    http_status = 503
    retryable = True


class StorageNotConfiguredError(StorageError):
    """Backup storage is disabled or was never set."""

    code = "storage_not_configured"
    http_status = 409


class DiskFullError(StorageError):
    """Not enough room, found before or while writing."""

    code = "storage_disk_full"
    http_status = 507


class DatabaseError(TabvaultError):
    """Something about a database of this data folder."""

    code = "database"
    http_status = 409


class DatabaseNotFoundError(DatabaseError):
    """No database of that name or id."""

    code = "database_not_found"
    http_status = 404


class DatabaseExistsError(DatabaseError):
    """A database of that name exists and overwriting was not asked for."""

    code = "database_exists"


class DatabaseReadOnlyError(DatabaseError):
    """The database is read-only: it cannot be restored over."""

    code = "database_read_only"


class DataFolderLockedError(DatabaseError):
    """Another process owns the data folder."""

    code = "data_folder_locked"


class DataFolderDamagedError(DatabaseError):
    """The data folder does not hold what its manifests promise."""

    code = "data_folder_damaged"
    http_status = 500


class JobError(TabvaultError):
    """A job did not come to its end."""

    code = "job"


class JobCancelledError(JobError):
    """A job was cancelled by the one who asked for it."""

    code = "job_cancelled"
    http_status = 409
