"""
Uploads into the backup container that may be cut off and go on, as a caller may begin, feed, finish and cancel them.

The bytes gather in the data folder (:mod:`tabvault.storage.server_state.upload_spool`) and go into the container when
they are whole, under the conditions that the upload began with. All of it is for server administrators. In the audit
log are the beginning, the publishing (``put_file``) and the cancelling.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tabvault.errors import (
    ChecksumError,
    DiskFullError,
    JobConflictError,
    ObjectNotFoundError,
    TruncatedError,
)
from tabvault.formats.byte_source import pieces
from tabvault.jobs.access.authorization import require_server_administrator
from tabvault.jobs.operations.files import check_byte_count, check_room
from tabvault.jobs.operations.task import audit_action
from tabvault.storage.names import check_object_name
from tabvault.storage.upload import check_match, object_exists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.jobs.operations.caller import Caller
    from tabvault.jobs.operations.files import Files
    from tabvault.jobs.vault import Vault
    from tabvault.storage.contract import ObjectInfo, ObjectStore
    from tabvault.storage.server_state.audit_log import AuditLog
    from tabvault.storage.server_state.upload_spool import SpooledUpload, UploadRecord, UploadSpool

UPLOAD_COUNT_MAX: Final = 1000
"""Unfinished ones, of everybody."""

_ACT: Final = "upload backup files"
_CHECK_INTERVAL_BYTE_COUNT: Final = 32 << 20


class Transfers:
    """
    The uploads of a server. Threads may share it.

    Every method raises ``NotAuthorizedError`` for a caller who does not administer the server, and
    ``StorageNotConfiguredError`` where there is no container.

    Args:
        vault: its backup storage.
        audit: the audit log.
        files: what publishes.
        spool: where the bytes gather.
    """

    def __init__(self, vault: Vault, audit: AuditLog, files: Files, spool: UploadSpool) -> None:
        self._vault = vault
        self._audit = audit
        self._files = files
        self._spool = spool
        self._lock = threading.Lock()
        self._publishing: set[str] = set()

    def check_container(self, caller: Caller, container: str) -> None:
        """
        Whether *container* is the one that backups are in: no other can be reached.

        Raises:
            ObjectNotFoundError: it is another one.
        """
        require_server_administrator(caller.principal, "use the backup storage")
        _ = self._vault.store  # says it if there is none
        if container != self._vault.settings.container:
            raise ObjectNotFoundError(
                f"there is no container {container!r:.80} here", hint="GET /api/storage names the one that there is"
            )

    def begin(
        self,
        caller: Caller,
        container: str,
        name: str,
        *,
        byte_count: int,
        key: str | None,
        overwrite: bool,
        if_match: str | None,
    ) -> UploadRecord:
        """
        Begin an upload, or go on with the one that the caller began under the same *key* for the same file.

        Args:
            caller: who asks.
            container: where to.
            name: of the file.
            byte_count: its length.
            key: names the try.
            overwrite: whether it takes the place of a file of that name.
            if_match: ETag of the file that it takes the place of.

        Raises:
            ObjectExistsError, ObjectChangedError: as :meth:`Files.create`; the end of the upload decides.
            DiskFullError: it will not fit, or there are too many unfinished ones.
            RequestTooLargeError: it is too long.
        """
        self.check_container(caller, container)
        spelling = check_object_name(name)
        check_byte_count(byte_count)
        store = self._vault.store
        _check_target(store, spelling, overwrite=overwrite, if_match=if_match)
        owner = caller.principal.label
        with self._lock:
            wanted = (container, spelling, byte_count, owner, key, overwrite, if_match)
            uploads = [upload for upload in self._spool.all() if not upload.record.is_complete]
            known = next((upload for upload in uploads if key is not None and _wish(upload.record) == wanted), None)
            if known is not None:
                return known.checkpoint()
            if len(uploads) >= UPLOAD_COUNT_MAX:
                raise DiskFullError(
                    f"{len(uploads)} uploads are unfinished", hint="cancel those that nobody goes on with"
                )
            self._check_room(store, byte_count, [upload.record for upload in uploads])
            with self._audit.begin(audit_action(caller, "begin_upload", spelling, {"overwrite": overwrite})):
                return self._spool.create(
                    container=container,
                    name=spelling,
                    byte_count=byte_count,
                    owner=owner,
                    key=key,
                    overwrite=overwrite,
                    if_match=if_match,
                ).record

    def _check_room(self, store: ObjectStore, byte_count: int, promised: Sequence[UploadRecord]) -> None:
        """Whether one more upload fits, besides what those that are unfinished will still bring."""
        unsent_byte_count = sum(record.byte_count - record.received_byte_count for record in promised)
        check_room(self._spool, byte_count, "data folder", promised_byte_count=unsent_byte_count)
        promised_byte_count = sum(record.byte_count for record in promised)
        # The bytes stay in the data folder until the copy of them in the storage is whole.
        if self._vault.storage.shares_disk:
            byte_count *= 2
            promised_byte_count += unsent_byte_count
        check_room(store, byte_count, "backup storage", promised_byte_count=promised_byte_count)

    def remove_expired(self) -> None:
        """
        Remove uploads that nobody has gone on with for long.

        Raises:
            StorageError: they cannot be read.
        """
        self._spool.all()

    def all(self, caller: Caller) -> list[UploadRecord]:
        """All uploads, the oldest first."""
        require_server_administrator(caller.principal, _ACT)
        return [upload.record for upload in self._spool.all()]

    def check_caller(self, caller: Caller) -> None:
        """Refuse who may not: before anything of his request is looked at."""
        require_server_administrator(caller.principal, _ACT)

    def get(self, caller: Caller, upload_id: str) -> UploadRecord:
        """
        An upload, with what of it would survive a crash now.

        Raises:
            ObjectNotFoundError: there is none of that id.
        """
        require_server_administrator(caller.principal, _ACT)
        return self._spool.get(upload_id).checkpoint()

    def append(self, caller: Caller, upload_id: str, offset: int) -> PartUpload | None:
        """
        Go on with an upload at *offset*; None where it has got to another one.

        Whoever wrote to it before may not any more.

        Raises:
            ObjectNotFoundError: there is none of that id.
            JobConflictError: it is being published.
        """
        require_server_administrator(caller.principal, _ACT)
        upload = self._spool.get(upload_id)
        with self._lock:
            if upload_id in self._publishing:
                raise JobConflictError(f"the upload of {upload.record.name} is being published")
            turn = upload.take_turn()
        if upload.record.received_byte_count != offset:
            return None
        return PartUpload(self._spool, upload, turn)

    def publish(self, caller: Caller, upload_id: str, sha256: bytes | None) -> ObjectInfo:
        """
        Put the file, whose bytes are all here, into the container. Again, for one that was, tells what it told.

        Args:
            caller: who asks.
            upload_id: of the upload.
            sha256: of the whole, where the client knows it.

        Raises:
            TruncatedError: bytes are missing.
            ChecksumError: they are not those that the client meant; the upload is gone.
            ObjectExistsError, ObjectChangedError: another file has come to the name meanwhile.
        """
        require_server_administrator(caller.principal, _ACT)
        upload = self._spool.get(upload_id)
        with self._lock:
            if upload_id in self._publishing:
                raise JobConflictError(f"the upload of {upload.record.name} is being published")
            self._publishing.add(upload_id)
        try:
            upload.take_turn()
            record = upload.checkpoint()
            if record.is_complete:
                return self._vault.store.info(record.name)
            if record.received_byte_count != record.byte_count:
                raise TruncatedError(
                    f"{record.received_byte_count} of {record.byte_count} bytes have come", file=record.name
                )
            info = self._published(caller, upload, record, sha256)
            upload.complete(info.etag)
            return info
        finally:
            with self._lock:
                self._publishing.discard(upload_id)

    def cancel(self, caller: Caller, upload_id: str) -> None:
        """
        Forget an upload; of one that was published only that it was.

        Raises:
            ObjectNotFoundError: there is none of that id.
            JobConflictError: it is being published.
        """
        require_server_administrator(caller.principal, _ACT)
        record = self._spool.get(upload_id).record
        with self._lock:
            if upload_id in self._publishing:
                raise JobConflictError(f"the upload of {record.name} is being published")
            with self._audit.begin(audit_action(caller, "cancel_upload", record.name)):
                self._spool.remove(upload_id)

    def _published(
        self, caller: Caller, upload: SpooledUpload, record: UploadRecord, sha256: bytes | None
    ) -> ObjectInfo:
        self.check_container(caller, record.container)
        with (
            upload.source() as source,
            self._files.create(
                caller,
                record.name,
                overwrite=record.overwrite,
                byte_count=record.byte_count,
                if_match=record.if_match,
                sha256=sha256,
            ) as file,
        ):
            for piece in pieces(source, byte_count=record.byte_count):
                file.write(piece)
            try:
                return file.finish()
            except ChecksumError:
                self._spool.remove(record.id)
                raise


class PartUpload:
    """The part of an upload that one request brings."""

    def __init__(self, spool: UploadSpool, upload: SpooledUpload, turn: int) -> None:
        self._spool = spool
        self._upload = upload
        self._turn = turn
        self._checked_byte_count = upload.record.received_byte_count

    def write(self, data: bytes | memoryview) -> None:
        """
        Append *data*.

        Raises:
            RequestTooLargeError: it is more than the upload was to have.
            DiskFullError: no room.
            JobConflictError: another request goes on with the upload.
        """
        end = self._upload.record.received_byte_count + len(data)
        if end - self._checked_byte_count >= _CHECK_INTERVAL_BYTE_COUNT:
            self._checked_byte_count = end
            check_room(self._spool, len(data), "data folder")
        self._upload.append(self._turn, data)

    def end(self) -> UploadRecord:
        """Make durable what has come, also where the request was cut off."""
        return self._upload.checkpoint()


def _wish(record: UploadRecord) -> tuple[object, ...]:
    return (
        record.container,
        record.name,
        record.byte_count,
        record.owner,
        record.key,
        record.overwrite,
        record.if_match,
    )


def _check_target(store: ObjectStore, name: str, *, overwrite: bool, if_match: str | None) -> None:
    """The early answer, before gigabytes are sent."""
    if overwrite and if_match is None:
        return
    try:
        seen = store.info(name)
    except ObjectNotFoundError:
        seen = None
    check_match(name, seen, if_match)
    if seen is not None and not overwrite:
        raise object_exists(name)
