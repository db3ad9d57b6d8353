"""
The files of the backup container, as a caller may list, describe, read, write and remove them.

All of it is for server administrators: a backup holds the whole of a database, and no role of the model in it is asked.
Uploads and removals are in the audit log. An upload leaves :data:`RESERVED_BYTE_COUNT` of the storage free: what the
server writes besides (the audit log, the records of jobs) may lie on the same disk.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Protocol, Self

from tabvault.errors import ChecksumError, DiskFullError, RequestTooLargeError
from tabvault.jobs.access.authorization import require_server_administrator
from tabvault.jobs.database_name import STORAGE_PREFIX
from tabvault.jobs.file_catalogue import FileCatalogue
from tabvault.jobs.operations.task import audit_action
from tabvault.jobs.stored_folders import list_folder
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from tabvault.jobs.inspect import Inspection
    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.stored_folders import DescribedFile, FolderListing
    from tabvault.jobs.vault import Vault
    from tabvault.storage.contract import ObjectInfo, ObjectStore, StoredObject, Upload
    from tabvault.storage.server_state.audit_log import AuditLog

FILE_BYTE_COUNT_MAX: Final = 4 << 40
"""Longer than any backup; an upload that never ends does end."""

RESERVED_BYTE_COUNT: Final = 64 << 20

_CHECK_INTERVAL_BYTE_COUNT: Final = 32 << 20
"""How much is written between two looks at the free space: less than what is reserved."""


class Files:
    """
    The container's files. Threads may share it.

    Every method raises ``NotAuthorizedError`` for a caller who does not administer the server, and
    ``StorageNotConfiguredError`` where there is no container.

    Args:
        vault: its backup storage.
        audit: the audit log.
    """

    def __init__(self, vault: Vault, audit: AuditLog) -> None:
        self._vault = vault
        self._audit = audit
        self._catalogue = FileCatalogue()

    def list(self, caller: Caller, prefix: str = "") -> Iterator[ObjectInfo]:
        """The files whose names begin with *prefix*, ordered by name."""
        require_server_administrator(caller.principal, "browse the backup storage")
        return self._vault.store.list(prefix)

    def folder(self, caller: Caller, folder: str) -> FolderListing:
        """The folders and files in one folder; see :func:`tabvault.jobs.stored_folders.list_folder`."""
        require_server_administrator(caller.principal, "browse the backup storage")
        return list_folder(self._vault.store, folder)

    def describe(self, caller: Caller, files: Sequence[ObjectInfo]) -> Sequence[DescribedFile]:
        """What each of *files* is; see :meth:`FileCatalogue.describe`."""
        require_server_administrator(caller.principal, "look into backup files")
        return self._catalogue.describe(self._vault.store, files)

    def open(self, caller: Caller, name: str) -> StoredObject:
        """
        A file, open for reading.

        Raises:
            ObjectNotFoundError: there is none of that name.
        """
        require_server_administrator(caller.principal, "read backup files")
        return self._vault.store.open(name)

    def create(
        self,
        caller: Caller,
        name: str,
        *,
        overwrite: bool,
        byte_count: int | None,
        if_match: str | None = None,
        sha256: bytes | None = None,
    ) -> FileUpload:
        """
        Begin to write a file.

        Args:
            caller: who asks.
            name: of the file.
            overwrite: whether it takes the place of a file of that name.
            byte_count: its length, where it is known beforehand.
            if_match: ETag of the file that it takes the place of; ``*`` for any.
            sha256: of the whole, where the caller knows it.

        Raises:
            ObjectExistsError: there is one, and it is not to be replaced.
            ObjectChangedError: the one of that name has another ETag, or there is none.
            DiskFullError: it will not fit.
            RequestTooLargeError: it is over :data:`FILE_BYTE_COUNT_MAX`.
        """
        require_server_administrator(caller.principal, "write backup files")
        spelling = check_object_name(name)
        check_byte_count(byte_count or 0)
        store = self._vault.store
        check_room(store, byte_count or 0, "backup storage")
        with ExitStack() as stack:
            stack.enter_context(self._audit.begin(audit_action(caller, "put_file", spelling, {"overwrite": overwrite})))
            upload = stack.enter_context(store.create(spelling, replace=overwrite, if_match=if_match))
            return FileUpload(store, upload, stack.pop_all(), name=spelling, sha256=sha256)

    def remove(self, caller: Caller, name: str, *, if_match: str | None = None) -> None:
        """
        Remove a file.

        Args:
            caller: who asks.
            name: of the file.
            if_match: the only ETag that it may have.

        Raises:
            ObjectNotFoundError: there is none of that name.
            ObjectChangedError: it has another ETag.
        """
        require_server_administrator(caller.principal, "remove backup files")
        spelling = check_object_name(name)
        with self._audit.begin(audit_action(caller, "remove_file", spelling)):
            self._vault.store.remove(spelling, if_match=if_match)

    def inspect(self, caller: Caller, name: str, password: str | None) -> Inspection:
        """
        What is in a backup file; see :func:`tabvault.jobs.inspect.inspect_backup`.

        Raises:
            ObjectNotFoundError: there is none of that name.
            PasswordError: missing, wrong or superfluous.
            FormatError, ModelError: it is no backup, or damaged.
        """
        require_server_administrator(caller.principal, "look into backup files")
        return self._vault.inspect(f"{STORAGE_PREFIX}{check_object_name(name)}", password=password or None)


class FileUpload:
    """A file on its way; a context manager that leaves nothing behind where it is left without :meth:`finish`."""

    def __init__(
        self, store: ObjectStore, upload: Upload, resources: ExitStack, *, name: str, sha256: bytes | None
    ) -> None:
        self._store = store
        self._name = name
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._upload = upload
        self._resources = resources
        self._byte_count = 0
        self._checked_byte_count = 0

    def write(self, data: bytes | memoryview) -> None:
        """
        Append *data*.

        Raises:
            DiskFullError: no room.
            RequestTooLargeError: the file is over :data:`FILE_BYTE_COUNT_MAX`.
            StorageError: the storage failed.
        """
        self._byte_count += len(data)
        check_byte_count(self._byte_count)
        if self._byte_count - self._checked_byte_count >= _CHECK_INTERVAL_BYTE_COUNT:
            self._checked_byte_count = self._byte_count
            check_room(self._store, len(data), "backup storage")
        if self._sha256 is not None:
            self._digest.update(data)
        self._upload.write(data)

    def finish(self) -> ObjectInfo:
        """
        Publish the file; see :meth:`tabvault.storage.contract.Upload.finish`.

        Raises:
            ObjectChangedError: another file has come to the name meanwhile.
            ChecksumError: it is not the file that the caller meant.
        """
        if self._sha256 is not None and self._digest.digest() != self._sha256:
            raise ChecksumError(
                f"the SHA-256 of what has come is {self._digest.hexdigest()}, and {self._sha256.hex()} was announced",
                file=self._name,
                hint="upload it again from the beginning",
            )
        return self._upload.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._resources.__exit__(kind, error, traceback)


def check_byte_count(byte_count: int) -> None:
    """Raise ``RequestTooLargeError`` for a file over :data:`FILE_BYTE_COUNT_MAX`."""
    if byte_count > FILE_BYTE_COUNT_MAX:
        raise RequestTooLargeError(f"the file has {byte_count} bytes or more, and {FILE_BYTE_COUNT_MAX} are allowed")


class Room(Protocol):
    """What has an end."""

    def free_byte_count(self) -> int | None:
        """How many bytes can still be written; None where nobody knows."""
        ...


def check_room(room: Room, byte_count: int, what: str, *, promised_byte_count: int = 0) -> None:
    """
    Refuse what leaves too little room.

    Args:
        room: where it is to be written.
        byte_count: how much.
        what: is meant by *room*, for people.
        promised_byte_count: what others will write there besides.

    Raises:
        DiskFullError: less than :data:`RESERVED_BYTE_COUNT` would be left.
    """
    free_byte_count = room.free_byte_count()
    if free_byte_count is not None and byte_count + promised_byte_count + RESERVED_BYTE_COUNT > free_byte_count:
        promised = f"the {promised_byte_count} that unfinished uploads will need and " if promised_byte_count else ""
        raise DiskFullError(
            f"the {what} has {free_byte_count} bytes free, and {byte_count} are to be written besides {promised}the "
            f"{RESERVED_BYTE_COUNT} that stay free",
            hint="make room there, or cancel uploads that nobody goes on with" if promised else "make room there",
        )
