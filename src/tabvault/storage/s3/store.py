"""
Backup storage in a bucket of a service that speaks S3: every object is an object of that name.

1. Objects whose name is none of a store's (:mod:`tabvault.storage.names`) are not listed. An object that another
   program put there is an object.
2. An object is published by one conditional call; see :mod:`~tabvault.storage.s3.upload`. The service has to honour
   conditions on PutObject and CompleteMultipartUpload; one that ignores them lets the last of several writers win.
3. Replacing means: what was there when the upload began. When somebody else published under the name meanwhile, the
   upload is refused and that object stays.
4. In a bucket with object lock every version is kept as long as the bucket says. Replacing puts a new version before
   the old one. Removing would only hide it, and is refused until then.
5. Every failure is a ``StorageError`` that names the call of the service and its code; neither it nor anything chained
   to it holds the key or a signature.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import (
    InvalidNameError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageError,
)
from tabvault.storage.names import check_object_name, is_object_name
from tabvault.storage.remote.entity_tags import quoted
from tabvault.storage.remote.patience import Patience, Refusal
from tabvault.storage.remote.store import RemoteStore
from tabvault.storage.s3.caller import Caller, Listing
from tabvault.storage.s3.multipart import unfinished_uploads
from tabvault.storage.s3.parts import PART_BYTE_COUNT
from tabvault.storage.s3.published import HEAD_FIELDS, S3Object, info_of_head, info_of_listing
from tabvault.storage.s3.refusals import DELETE_OBJECT, GET_OBJECT, HEAD_BUCKET, HEAD_OBJECT, LIST_OBJECTS
from tabvault.storage.s3.upload import S3Upload
from tabvault.storage.s3.upload_notes import UploadNotes
from tabvault.storage.upload import check_match, object_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tabvault.storage.contract import ObjectInfo
    from tabvault.storage.probing import ProbedStore
    from tabvault.storage.s3.access import S3Access

_NAME_BYTE_COUNT_MAX: Final = 1024
_OBJECTS: Final = Listing(
    LIST_OBJECTS, "Contents", ("Key", "Size", "ETag", "LastModified"), {"ContinuationToken": "NextContinuationToken"}
)
_PATIENCE = Patience()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class S3BucketStore(RemoteStore):
    """
    A :class:`~tabvault.storage.contract.ObjectStore` over one bucket. Nothing is asked of the service before the first
    call.

    Args:
        access: the bucket, and the key.
        notes_folder: where uploads in parts are noted, by which they are resumed, or ended after a week; without one,
            this store does neither.
        patience: how long the service is asked again.
        part_byte_count: length of the first parts of an upload.
        now: the time, in UTC.
        caller: calls the service, in place of one with that patience.
    """

    def __init__(
        self,
        access: S3Access,
        *,
        notes_folder: Path | None = None,
        patience: Patience = _PATIENCE,
        part_byte_count: int = PART_BYTE_COUNT,
        now: Callable[[], datetime] = _utc_now,
        caller: Caller | None = None,
    ) -> None:
        super().__init__(access.place)
        self._access = access
        self._part_byte_count = part_byte_count
        self._now = now
        self._caller = caller or Caller(access, patience)
        self._notes_folder = notes_folder
        self._notes = None
        if notes_folder is not None:
            self._notes = UploadNotes(notes_folder, service=access.url, bucket=access.bucket)
        self._bucket_is_there = False

    def close(self) -> None:
        """Close the connections; what was opened or begun is of no use afterwards."""
        self._caller.close()

    def create(
        self,
        name: str,
        *,
        replace: bool,
        head_byte_count: int = 0,
        upload_key: str | None = None,
        facts: Mapping[str, str] | None = None,
        if_match: str | None = None,
    ) -> S3Upload:
        """
        Begin an object; see the contract.

        Raises:
            ValueError: a name of *facts* is none that metadata can have.
        """
        spelling = _spelling(name)
        condition = {"IfNoneMatch": "*"}
        try:
            answer = self._head(spelling)
        except StorageAccessError:
            # Who may write but not look is taken at his word.
            if replace:
                condition = {} if if_match is None else {"IfMatch": _tag(if_match)}
        else:
            seen = None if answer is None else info_of_head(answer, spelling)
            if seen is not None and not replace:
                raise object_exists(spelling)
            check_match(spelling, seen, if_match)
            if seen is not None:
                condition = {"IfMatch": quoted(seen.etag)}
        return S3Upload(
            spelling,
            self._caller,
            replace=replace,
            condition=condition,
            head_byte_count=head_byte_count,
            first_part_byte_count=self._part_byte_count,
            upload_key=upload_key,
            facts=facts or {},
            notes=self._notes,
            now=self._now,
        )

    def open(self, name: str) -> S3Object:
        """Open an object for reading; see the contract."""
        return S3Object(self.info(name), self._caller)

    def info(self, name: str) -> ObjectInfo:
        """What the service says of an object; see the contract."""
        spelling = _spelling(name)
        return info_of_head(self._found(spelling), spelling)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """
        The objects, ordered by name; see the contract.

        All pages are read at the call: not every service orders names by code point.
        """
        try:
            entries = self._caller.entries(_OBJECTS, "", {"Prefix": prefix})
            objects = [info_of_listing(entry) for entry in entries if is_object_name(entry["Key"])]
        except Refusal as refusal:
            raise refusal.error from None
        return iter(sorted(objects, key=lambda info: info.name))

    def remove(self, name: str, *, if_match: str | None = None) -> None:
        """
        Remove an object, durably; see the contract.

        A service that does not know the condition may remove what came between the look and the call.

        Raises:
            StorageError: object lock keeps it; the message says until when.
        """
        spelling = _spelling(name)
        # Looked for first: DeleteObject also takes a name that is not there, and hides a version that is locked.
        found = self._found(spelling)
        check_match(spelling, info_of_head(found, spelling), if_match)
        self._check_not_locked(found, spelling)
        try:
            self._caller.ask(DELETE_OBJECT, spelling, {} if if_match is None else {"IfMatch": _tag(if_match)})
        except Refusal as refusal:
            raise refusal.error from None

    def unfinished(self, prefix: str = "") -> Iterator[str]:
        """
        Names under which an upload was begun and neither published nor ended, ordered.

        They may be anybody's. Those that are noted are ended by a later upload, after a week without a part.

        Raises:
            StorageError: the service failed.
        """
        try:
            return iter(sorted({upload.name for upload in unfinished_uploads(self._caller, prefix)}))
        except Refusal as refusal:
            raise refusal.error from None

    def probing(self) -> ProbedStore:
        """The same bucket, for a probe; see :class:`tabvault.storage.probing.Probeable`."""
        from tabvault.storage.s3.probing import S3Probing  # noqa: PLC0415 - it is a store of this kind

        return S3Probing(self._access, notes_folder=self._notes_folder)

    def _found(self, spelling: str) -> dict[str, Any]:
        """The answer to HeadObject about an object that has to be there."""
        answer = self._head(spelling)
        if answer is None:
            raise ObjectNotFoundError(f"{spelling} is not in {self._access.place}")
        return answer

    def _head(self, spelling: str) -> dict[str, Any] | None:
        """
        HeadObject, or None if there is no object of that name.

        Raises:
            StorageAccessError: the service refuses to say.
            StorageError: it failed, or the bucket is not there.
        """
        try:
            answer = self._caller.ask(HEAD_OBJECT, spelling, needs=HEAD_FIELDS)
        except Refusal as refusal:
            error = refusal.error
        else:
            self._bucket_is_there = True
            return answer
        if isinstance(error, ObjectNotFoundError):
            self._check_bucket()
            return None
        raise self._reason(spelling, error) if isinstance(error, StorageAccessError) else error

    def _check_bucket(self) -> None:
        """A HEAD does not tell a missing object from a missing bucket; asked once in the life of a store."""
        if self._bucket_is_there:
            return
        try:
            self._caller.ask(HEAD_BUCKET)
        except Refusal as refusal:
            if not isinstance(refusal.error, StorageAccessError):
                raise refusal.error from None
        self._bucket_is_there = True

    def _reason(self, spelling: str, error: StorageError) -> StorageError:
        """Why a HEAD was refused, whose answer has no room for it: the first byte is asked for in its place."""
        try:
            self._caller.ask(GET_OBJECT, spelling, {"Range": "bytes=0-0"})["Body"].close()
        except Refusal as refusal:
            if isinstance(refusal.error, StorageAccessError):
                return refusal.error
        return error

    def _check_not_locked(self, answer: Mapping[str, Any], spelling: str) -> None:
        until = answer.get("ObjectLockRetainUntilDate")
        if until is not None and until > self._now():
            mode = answer.get("ObjectLockMode", "")
            raise StorageError(
                f"object lock keeps {spelling} until {until:%Y-%m-%d %H:%M} UTC ({mode})",
                hint="remove it after that time",
            )
        if answer.get("ObjectLockLegalHoldStatus") == "ON":
            raise StorageError(f"a legal hold keeps {spelling}", hint="have it lifted first")


def _tag(if_match: str) -> str:
    return if_match if if_match == "*" else quoted(if_match)


def _spelling(name: str) -> str:
    """
    The one spelling of *name*.

    Raises:
        InvalidNameError: it is none, or longer than S3 takes.
    """
    spelling = check_object_name(name)
    byte_count = len(spelling.encode())
    if byte_count > _NAME_BYTE_COUNT_MAX:
        raise InvalidNameError(
            f"the name has {byte_count} bytes in UTF-8, and S3 takes {_NAME_BYTE_COUNT_MAX}",
            hint="use a shorter name, or fewer letters beyond ASCII",
        )
    return spelling
