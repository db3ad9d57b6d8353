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
          XmlMetadataError       metadata in XML that are not those of a tabular model
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
        ObjectChangedError     somebody replaced it while we read or wrote it
        InvalidNameError
        StoreUnavailableError
        StorageAccessError     the storage does not let this server in, or not do this
        StorageNotConfiguredError
        StorageAccountInUseError  backups go to it, so it stays
        DiskFullError
      DatabaseError
        DatabaseNotFoundError
        DatabaseExistsError
        DatabaseReadOnlyError
        DataFolderLockedError
        DataFolderDamagedError
        CopyDiffersError       a copy on another server is not what was backed up
      JobError
        JobCancelledError
        JobConflictError       a job of that kind is running on the database
        JobNotFoundError
        JobInterruptedError    the server ended before the job did
      SourceError              where the rows of a partition come from could not give them
        SourceUnreachableError retryable: it does not answer, or went away in the middle
        SourceCredentialError  it wants a credential that it was not given, or refuses the one it got
        SourceAccessError      a file outside the folders that an administrator allowed
        SourceTypeError        a value does not fit the data type of its column
        ExpressionNotSupportedError  an M expression with a step that is not recognised
      ProcessingError          rows were read, and no consistent tables can be made of them
        DuplicateKeyError      a value twice on the one side of a relationship
        CalculationNotSupportedError  a DAX expression would have to be computed anew
      RequestError             a request that does not say what the protocol demands
        RequestTooLargeError
        CommandNotSupportedError  well-formed, and not done by this version
        SessionNotFoundError
      AccessError              who asks, and what he may do
        NotAuthenticatedError  no credential, or one that does not hold
        NotAuthorizedError     known, and not permitted
          StorageNetworkError  the network rules of the storage do not let the address in
          RowFilterError       permitted some rows only, by a filter that cannot be evaluated
        AddressBlockedError    the server's firewall does not let the address in
        TooManyAttemptsError   log-ins of that name or address failed too often
      ServerError
        ServerUnreachableError  the server cannot be reached, or answers what no server of ours answers
        ServerNotSecuredError  it would serve passwords to a network in the clear
        ServerEndingError      it drains, and begins nothing new
        ServerPausedError      an administrator paused it
        AuditChainError        the lines of the audit log are not those that were written

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
    """Metadata in XML files that are not those of a tabular model of compatibility level 1100 or 1103."""

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


class ObjectChangedError(StorageError):
    """Somebody else replaced the object while it was read, or since an upload that is to replace it began."""

    code = "storage_changed"
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


class StorageAccessError(StorageError):
    """The storage refuses this server: its key, signature or identity, a permission it lacks, or the network rules."""

    code = "storage_access"


class StorageNotConfiguredError(StorageError):
    """Backup storage is disabled or was never set."""

    code = "storage_not_configured"
    http_status = 409


class StorageAccountInUseError(StorageError):
    """Backups go to the storage account, so it cannot be removed."""

    code = "storage_account_in_use"
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


class CopyDiffersError(DatabaseError):
    """A copy of a database on another server is not what was backed up."""

    code = "database_copy_differs"


class JobError(TabvaultError):
    """A job did not come to its end."""

    code = "job"


class JobCancelledError(JobError):
    """A job was cancelled by the one who asked for it."""

    code = "job_cancelled"
    http_status = 409


class JobConflictError(JobError):
    """Another job has the database, or as many run as may."""

    code = "job_conflict"
    http_status = 409


class JobNotFoundError(JobError):
    """No job of that id."""

    code = "job_not_found"
    http_status = 404


class JobInterruptedError(JobError):
    """The server ended before the job did."""

    code = "job_interrupted"


class SourceError(TabvaultError):
    """The source of a partition's rows could not give them. Its words are told without its connection string."""

    code = "source"
    http_status = 502


class SourceUnreachableError(SourceError):
    """The source does not answer, or went away in the middle."""

    code = "source_unreachable"


class SourceCredentialError(SourceError):
    """The source wants a credential and none is bound, or it refuses the one that is."""

    code = "source_credential"
    http_status = 409


class SourceAccessError(SourceError):
    """A file, or a kind of source, that no administrator allowed."""

    code = "source_access"
    http_status = 403


class SourceTypeError(SourceError):
    """A value or a column of the source does not fit the data type of the model's column."""

    code = "source_type"
    http_status = 422


class ExpressionNotSupportedError(SourceError):
    """An M expression with a step that is not recognised: its partition cannot be refreshed here."""

    code = "source_expression"
    http_status = 501


class ProcessingError(TabvaultError):
    """Rows were read, and no consistent tables can be made of them. The database is as it was."""

    code = "processing"
    http_status = 422


class DuplicateKeyError(ProcessingError):
    """A value stands twice in the column on the one side of a relationship, or is blank there."""

    code = "processing_duplicate_key"


class CalculationNotSupportedError(ProcessingError):
    """A DAX expression would have to be computed anew, and this version computes none."""

    code = "processing_calculation"
    http_status = 501


class RequestError(TabvaultError):
    """
    A request that does not say what its protocol demands.

    Args:
        message: what is wrong.
        path: place in the request, such as ``backup.allowOverwrite``, where known.
        line: 1-based line, where known.
        column: 1-based column, where known.
        hint: the way out.
    """

    code = "request"
    http_status = 400

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.column = column


class RequestTooLargeError(RequestError):
    """More bytes, elements or levels than a request may have."""

    code = "request_too_large"
    http_status = 413


class CommandNotSupportedError(RequestError):
    """Well-formed, and not done by this version."""

    code = "command_not_supported"
    http_status = 501


class SessionNotFoundError(RequestError):
    """No session of that id: it has ended, or another user began it."""

    code = "session_not_found"
    http_status = 404


class AccessError(TabvaultError):
    """Who asks, or what he may do, is not enough."""

    code = "access"
    http_status = 403


class NotAuthenticatedError(AccessError):
    """No credential, or one that does not hold."""

    code = "access_not_authenticated"
    http_status = 401


class NotAuthorizedError(AccessError):
    """The user is known, and not permitted to do this."""

    code = "access_not_authorized"


class StorageNetworkError(NotAuthorizedError):
    """The network rules of the server's own storage do not let the client's address put and get files."""

    code = "access_storage_network"


class RowFilterError(NotAuthorizedError):
    """The user may see some rows only, by a row filter that this version cannot evaluate."""

    code = "access_row_filter"


class AddressBlockedError(AccessError):
    """The server's firewall does not let the client's address in."""

    code = "access_address_blocked"
    http_status = 401


class TooManyAttemptsError(AccessError):
    """
    Log-ins of that name or from that address failed too often.

    Args:
        message: what is wrong.
        retry_after_s: seconds after which the next attempt is looked at.
        hint: the way out.
    """

    code = "access_too_many_attempts"
    http_status = 429

    def __init__(self, message: str, *, retry_after_s: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ServerError(TabvaultError):
    """Something about the server itself."""

    code = "server"


class ServerUnreachableError(ServerError):
    """The server cannot be reached, or answers what no server of ours answers."""

    code = "server_unreachable"
    http_status = 502


class ServerNotSecuredError(ServerError):
    """It would take passwords from a network in the clear."""

    code = "server_not_secured"


class ServerEndingError(ServerError):
    """The server drains: it begins nothing new."""

    code = "server_ending"
    http_status = 503


class ServerPausedError(ServerError):
    """The server was paused: no XMLA and no jobs until it is resumed."""

    code = "server_paused"
    http_status = 409


class AuditChainError(ServerError):
    """The chain of the audit log is broken: lines are not, or no longer, those that were written."""

    code = "server_audit_chain"
