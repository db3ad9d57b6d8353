"""
Uploads in progress, as a service keeps them: begun, found again, completed, ended, and those that nobody ends.

Unlike blocks of other services, the parts of an upload that was neither completed nor ended are kept, and paid for,
until somebody ends it. So whoever begins one here first ends those in which nothing has come for a week.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tabvault.errors import StorageAccessError
from tabvault.storage.names import is_object_name
from tabvault.storage.remote.patience import Refusal
from tabvault.storage.s3.caller import Listing
from tabvault.storage.s3.parts import MARK_NUMBER, Part, describe_part
from tabvault.storage.s3.refusals import (
    ABORT_UPLOAD,
    COMPLETE_UPLOAD,
    CREATE_UPLOAD,
    LIST_PARTS,
    LIST_UPLOADS,
    UPLOAD_PART,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from tabvault.storage.s3.caller import Caller

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
        sent_before: parts that an earlier try sent, by number.
    """

    def __init__(self, caller: Caller, name: str, upload_id: str, sent_before: Mapping[int, Part]) -> None:
        self._caller = caller
        self._name = name
        self._upload_id = upload_id
        self._sent_before = sent_before

    def send(self, data: bytes, number: int, stop: threading.Event | None = None) -> Part:
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
        return Part(number, len(data), answer["ETag"].strip('"'))

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
        return str(answer["ETag"]).strip('"')

    def abort(self) -> None:
        """AbortMultipartUpload: the service forgets the parts. What fails here is done a week later."""
        _abort(self._caller, UnfinishedUpload(self._name, self._upload_id, datetime.now(UTC)))


def begin_multipart(caller: Caller, name: str, *, metadata: Mapping[str, str], mark: bytes | None) -> Multipart:
    """
    An upload to which parts can be sent: an earlier one of this name with this *mark*, or a new one.

    Raises:
        StorageError: the service failed.
    """
    try:
        if mark is not None:
            earlier = _marked(caller, name, mark)
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
    multipart = Multipart(caller, name, answer["UploadId"], {})
    if mark is not None:
        multipart.send(mark, MARK_NUMBER)
    return multipart


def unfinished_uploads(caller: Caller, prefix: str = "") -> Iterator[UnfinishedUpload]:
    """
    The uploads in progress under names that begin with *prefix* and are objects', in no order.

    Raises:
        Refusal: the service refuses.
    """
    for entry in caller.entries(_UPLOADS, "", {"Prefix": prefix}):
        if is_object_name(entry["Key"]):
            yield UnfinishedUpload(entry["Key"], entry["UploadId"], entry["Initiated"])


def end_abandoned(caller: Caller, *, now: datetime) -> None:
    """End the uploads of the bucket to which nothing has come for a week. Who may not, does not."""
    before = now - ABANDONED_AFTER
    try:
        for upload in unfinished_uploads(caller):
            if upload.begun < before and all(time < before for _, time in _parts(caller, upload)):
                _abort(caller, upload)
    except Refusal:
        return


def _marked(caller: Caller, name: str, mark: bytes) -> Multipart | None:
    """The upload of this name and mark to which most was sent."""
    expected = describe_part(mark, MARK_NUMBER)
    best: tuple[int, Multipart] | None = None
    try:
        for upload in unfinished_uploads(caller, name):
            if upload.name != name:
                continue
            parts = {part.number: part for part, _ in _parts(caller, upload)}
            if parts.pop(MARK_NUMBER, None) == expected and (best is None or len(parts) > best[0]):
                best = len(parts), Multipart(caller, name, upload.id, parts)
    except Refusal as refusal:
        # Who may not look sends everything.
        if not isinstance(refusal.error, StorageAccessError):
            raise
    return None if best is None else best[1]


def _parts(caller: Caller, upload: UnfinishedUpload) -> Iterator[tuple[Part, datetime]]:
    """What was sent to an upload, and when."""
    for entry in caller.entries(_PARTS, upload.name, {"UploadId": upload.id}):
        yield Part(entry["PartNumber"], entry["Size"], entry["ETag"].strip('"')), entry["LastModified"]


def _abort(caller: Caller, upload: UnfinishedUpload) -> None:
    try:
        caller.ask(ABORT_UPLOAD, upload.name, {"UploadId": upload.id}, attempt_count_max=2)
    except Refusal:
        return
