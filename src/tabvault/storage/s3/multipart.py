"""
Uploads in progress, as a service keeps them: begun, found again, completed, ended, and those that nobody ends.

Unlike blocks of other services, the parts of an upload that was neither completed nor ended are kept, and paid for,
until somebody ends it. So whoever begins one here first ends those that are noted (:mod:`.upload_notes`) and in which
nothing has come for a week. Uploads without a note are other people's, and are only listed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tabvault.storage.names import is_object_name
from tabvault.storage.remote.entity_tags import unquoted
from tabvault.storage.remote.patience import Refusal
from tabvault.storage.s3.caller import Listing
from tabvault.storage.s3.parts import Part, describe_part
from tabvault.storage.s3.refusals import (
    ABORT_UPLOAD,
    COMPLETE_UPLOAD,
    CREATE_UPLOAD,
    LIST_PARTS,
    LIST_UPLOADS,
    UPLOAD_PART,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tabvault.storage.remote.wire import Stop
    from tabvault.storage.s3.caller import Caller
    from tabvault.storage.s3.upload_notes import UploadNote, UploadNotes

ABANDONED_AFTER: Final = timedelta(days=7)
"""Without a new part; as long as Azure Storage keeps blocks that nobody commits."""

_UPLOADS: Final = Listing(
    LIST_UPLOADS,
    "Uploads",
    ("Key", "UploadId", "Initiated"),
    {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"},
)
_PARTS: Final = Listing(
    LIST_PARTS, "Parts", ("PartNumber", "Size", "ETag", "LastModified"), {"PartNumberMarker": "NextPartNumberMarker"}
)


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload in progress, as a service lists it."""

    name: str
    id: str
    begun: datetime


class Multipart:
    """
    One upload in progress. Get it from :func:`begin_multipart`; parts may be sent from several threads.

    Args:
        caller: calls the service.
        name: of the object.
        upload_id: the service's.
        note: by which a later try finds it, taken; None where there is none.
        sent_before: parts that an earlier try sent, by number.
    """

    def __init__(
        self, caller: Caller, name: str, upload_id: str, note: UploadNote | None, sent_before: Mapping[int, Part]
    ) -> None:
        self._caller = caller
        self._name = name
        self._upload_id = upload_id
        self._note = note
        self._sent_before = sent_before

    @property
    def sent_before_count(self) -> int:
        """How many parts an earlier try sent."""
        return len(self._sent_before)

    def send(self, data: bytes, number: int, stop: Stop | None = None) -> Part:
        """
        UploadPart, unless the service has it.

        Raises:
            StorageError: the service failed.
        """
        part = describe_part(data, number)
        if self._sent_before.get(number) == part:
            return part
        try:
            answer = self._caller.ask(
                UPLOAD_PART,
                self._name,
                {
                    "UploadId": self._upload_id,
                    "PartNumber": number,
                    "Body": data,
                    "ContentMD5": base64.b64encode(bytes.fromhex(part.etag)).decode(),
                },
                needs=("ETag",),
                stop=stop,
            )
        except Refusal as refusal:
            raise refusal.error from None
        return Part(number, len(data), unquoted(answer["ETag"]))

    def complete(self, parts: Sequence[Part], condition: Mapping[str, str]) -> str:
        """
        CompleteMultipartUpload: publish *parts*, in the order of their numbers; gives the tag of the object.

        Raises:
            Refusal: the service refuses, or its answer was lost.
        """
        listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        answer = self._caller.ask(
            COMPLETE_UPLOAD,
            self._name,
            {"UploadId": self._upload_id, "MultipartUpload": {"Parts": listed}, **condition},
            needs=("ETag",),
        )
        return unquoted(str(answer["ETag"]))

    def settle(self) -> None:
        """It was completed: there is nothing to be known of it any more."""
        if self._note is not None:
            self._note.remove()

    def abort(self) -> None:
        """AbortMultipartUpload: the service forgets the parts. What fails here is done a week later, if it is noted."""
        is_gone = _abort(self._caller, self._name, self._upload_id)
        if self._note is not None:
            if is_gone:
                self._note.remove()
            else:
                self._note.release()

    def leave(self) -> None:
        """Leave what was sent to a later try; where no such try could find it, it is ended."""
        if self._note is None:
            self.abort()
        else:
            self._note.release()


def begin_multipart(
    caller: Caller,
    name: str,
    *,
    metadata: Mapping[str, str],
    notes: UploadNotes | None,
    key_digest: str | None,
    now: datetime,
) -> Multipart:
    """
    An upload to which parts can be sent: an earlier one of this name with this key, or a new one.

    Args:
        caller: calls the service.
        name: of the object.
        metadata: of the object.
        notes: where uploads are noted; None notes and resumes none.
        key_digest: of upload key and facts; None resumes none.
        now: the time, in UTC.

    Raises:
        StorageError: the service failed.
    """
    try:
        if notes is not None and key_digest is not None:
            earlier = _noted(caller, notes, name, key_digest)
            if earlier is not None:
                return earlier
        answer = caller.ask(
            CREATE_UPLOAD,
            name,
            {"Metadata": dict(metadata), "ContentType": "application/octet-stream"},
            needs=("UploadId",),
        )
    except Refusal as refusal:
        raise refusal.error from None
    upload_id = str(answer["UploadId"])
    note = None if notes is None else notes.add(name, upload_id, key_digest=key_digest, begun=now)
    return Multipart(caller, name, upload_id, note, {})


def unfinished_uploads(caller: Caller, prefix: str = "") -> Iterator[UnfinishedUpload]:
    """
    The uploads in progress under names that begin with *prefix* and are objects', in no order.

    Raises:
        Refusal: the service refuses.
    """
    for entry in caller.entries(_UPLOADS, "", {"Prefix": prefix}):
        if is_object_name(entry["Key"]):
            yield UnfinishedUpload(entry["Key"], entry["UploadId"], entry["Initiated"])


def end_abandoned(caller: Caller, notes: UploadNotes, *, now: datetime) -> None:
    """End the uploads of the bucket that are noted and to which nothing has come for a week. Who may not, does not."""
    before = now - ABANDONED_AFTER
    notes.remove_temporary_files(before)
    for note in notes.begun_before(before):
        upload = note.upload
        try:
            is_idle = all(time < before for _, time in sent_parts(caller, upload.name, upload.upload_id))
        except Refusal as refusal:
            if not _is_gone(refusal):
                note.release()
                return
            note.remove()
            continue
        if is_idle and _abort(caller, upload.name, upload.upload_id):
            note.remove()
        else:
            note.release()


def _noted(caller: Caller, notes: UploadNotes, name: str, key_digest: str) -> Multipart | None:
    """
    The upload of this name and key to which most was sent, of those that nobody else is at.

    Raises:
        Refusal: the service cannot be asked.
    """
    found: list[Multipart] = []
    best = None
    try:
        for note in notes.of_key(name, key_digest):
            earlier = _taken_up(caller, note)
            if earlier is not None:
                found.append(earlier)
        best = max(found, key=lambda earlier: earlier.sent_before_count, default=None)
    finally:
        for earlier in found:
            if earlier is not best:
                earlier.leave()
    return best


def _taken_up(caller: Caller, note: UploadNote) -> Multipart | None:
    """
    The upload of a note, with what was sent to it; None where nothing of that can be used.

    Raises:
        Refusal: the service cannot be asked.
    """
    name, upload_id = note.upload.name, note.upload.upload_id
    try:
        parts = {part.number: part for part, _ in sent_parts(caller, name, upload_id)}
    except Refusal as refusal:
        if _is_gone(refusal):
            note.remove()
        else:
            note.release()
        if refusal.is_passing:
            raise
        return None  # who may not look either sends everything
    return Multipart(caller, name, upload_id, note, parts)


def sent_parts(caller: Caller, name: str, upload_id: str) -> Iterator[tuple[Part, datetime]]:
    """
    What was sent to an upload, and when.

    Raises:
        Refusal: the service refuses, or there is no such upload any more.
    """
    for entry in caller.entries(_PARTS, name, {"UploadId": upload_id}):
        yield Part(entry["PartNumber"], entry["Size"], unquoted(entry["ETag"])), entry["LastModified"]


def _is_gone(refusal: Refusal) -> bool:
    """Whether the service does not know the upload: completed, or ended, by whomever."""
    return refusal.code == "NoSuchUpload"


def _abort(caller: Caller, name: str, upload_id: str) -> bool:
    """AbortMultipartUpload; whether the upload is gone then."""
    refusal = caller.clear_up(ABORT_UPLOAD, name, {"UploadId": upload_id})
    return refusal is None or _is_gone(refusal)
