"""
An upload into a bucket: one request for a small object, else parts that nobody sees and one call that publishes them.

What a crash, or the loss of the network, leaves after each step:

====  ==================================================  =========================================================
step  what was done                                       what is left
====  ==================================================  =========================================================
1     CreateMultipartUpload                               an upload in progress under the name, without parts: not
                                                          listed, not read, and nobody's
2     the note of it (:mod:`.upload_notes`), durable      the same; ended by a later writer, after a week
3     parts from the second on, several at a time, each   the same
      with its MD5 for the service to check
4     the first part, with the head                       the same
5     CompleteMultipartUpload, with its condition         the object, whole, or what was there before
6     the note removed                                    the object
====  ==================================================  =========================================================

An object that fits into one part is published by PutObject with the same condition.

The condition makes of several uploads of one name the winner: ``If-None-Match: *`` when nothing may be replaced (or
nothing was there), ``If-Match`` with the tag of what ``create`` saw when it may.

The answer of step 5 may be lost, and its repetition meets what the first attempt published. So every object carries
the token of its upload (``tabvault-upload``), and after a refusal that follows a lost answer the token decides. It is
random; where there is an upload key it comes from key and facts, since it is written down when an upload is begun and
a later try has to know it.

An upload key makes a later try go on with the upload of an earlier one: a part that the service has (number, length
and MD5) is not sent. So an upload that has a key and a note, and fails, is not ended; unless the service says that its
parts do not make the object, as Ceph does when an earlier try with other bytes sent more of them.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tabvault.errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.remote.entity_tags import quoted, unquoted
from tabvault.storage.remote.in_flight import InFlight
from tabvault.storage.remote.metadata import quoted_facts
from tabvault.storage.remote.patience import HURRIED_S, PUBLISHING_S, Refusal
from tabvault.storage.remote.wire import outlasting_stops
from tabvault.storage.s3.multipart import begin_multipart, end_abandoned
from tabvault.storage.s3.parts import Part, describe_part, digest_of_key, part_byte_count
from tabvault.storage.s3.published import HEAD_FIELDS, info_of_head
from tabvault.storage.s3.refusals import HEAD_OBJECT, PUT_OBJECT
from tabvault.storage.upload import UploadInPieces, object_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.storage.s3.caller import Caller
    from tabvault.storage.s3.multipart import Multipart
    from tabvault.storage.s3.upload_notes import UploadNotes

_SECOND: Final = 2
"""The first part that is sent before the end."""

UPLOAD_TOKEN: Final = "tabvault-upload"  # noqa: S105 - it tells uploads apart, it opens nothing

_METADATA_BYTE_COUNT_MAX: Final = 2048
"""Names and values together; a service takes no more."""


class S3Upload(UploadInPieces):
    """
    An :class:`~tabvault.storage.contract.Upload` in parts. Get it from :meth:`S3BucketStore.create`.

    Args:
        name: the object's name, checked and spelled out.
        caller: calls the service.
        replace: whether an object of that name gives way.
        condition: of the publication, as arguments of the client library.
        head_byte_count: bytes at the front that :meth:`finish` fills in.
        first_part_byte_count: length of the first parts.
        upload_key: names the try, or None.
        facts: what to keep beside the object.
        notes: where uploads in parts are noted; None notes and resumes none.
        now: the time, in UTC.
    """

    def __init__(
        self,
        name: str,
        caller: Caller,
        *,
        replace: bool,
        condition: Mapping[str, str],
        head_byte_count: int,
        first_part_byte_count: int,
        upload_key: str | None,
        facts: Mapping[str, str],
        notes: UploadNotes | None,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(name, head_byte_count=head_byte_count)
        self._caller = caller
        self._replace = replace
        self._condition = condition
        self._first_part_byte_count = first_part_byte_count
        self._notes = notes
        self._now = now
        self._key_digest = None if upload_key is None else digest_of_key(upload_key, facts)
        self._is_for_later = upload_key is not None
        self._token = self._key_digest or secrets.token_hex(16)
        self._metadata = _metadata(facts, self._token)
        self._number = 1
        self._first = b""
        self._multipart: Multipart | None = None
        self._in_flight: InFlight[Part] = InFlight()

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """Fill in the head and publish; see the contract."""
        self._check_open()
        self._check_head(head, is_written=bool(self._number > 1 or self._gathered))
        is_small = self._number == 1 or (self._number == _SECOND and not self._gathered)
        try:
            return self._put(b"".join((head, self._first, *self._gathered))) if is_small else self._complete(head)
        except ObjectExistsError:
            # What was sent is of no use to a later try.
            self._is_for_later = False
            raise
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go of everything; see the contract. With an upload key, what was sent is left for a later try."""
        if not self._is_open:
            return
        self._is_open = False
        # Waited for: a part that arrives after its upload was ended would stay, and be paid for.
        self._in_flight.end(wait=True)
        self._forget_gathered()
        self._first = b""
        if self._multipart is not None:
            if self._is_for_later:
                self._multipart.leave()
            else:
                self._multipart.abort()

    def _piece_byte_count(self) -> int:
        if self._number == 1:
            # The head is not in the buffer: the first part is so much shorter until the end.
            return max(self._first_part_byte_count - self._head_byte_count, 0)
        return part_byte_count(self._number, self._first_part_byte_count)

    def _take(self, data: bytes) -> None:
        """The first part is kept, the others are sent."""
        number = self._number
        self._number += 1
        if number == 1:
            self._first = data
            return
        if self._multipart is None:
            self._multipart = self._begin()
        multipart, stop = self._multipart, self._in_flight.stop
        self._in_flight.begin(lambda: multipart.send(data, number, stop))

    def _begin(self) -> Multipart:
        now = self._now()
        if self._notes is not None:
            end_abandoned(self._caller, self._notes, now=now)
        return begin_multipart(
            self._caller,
            self._name,
            metadata=self._metadata,
            notes=self._notes,
            key_digest=self._key_digest,
            now=now,
        )

    def _put(self, data: bytes) -> ObjectInfo:
        """PutObject."""
        md5 = bytes.fromhex(describe_part(data, 1).etag)
        try:
            answer = self._caller.ask(
                PUT_OBJECT,
                self._name,
                {
                    "Body": data,
                    "ContentMD5": base64.b64encode(md5).decode(),
                    "Metadata": self._metadata,
                    "ContentType": "application/octet-stream",
                    **self._condition,
                },
                needs=("ETag",),
            )
        except Refusal as refusal:
            return self._after_refusal(refusal, len(data))
        return self._published(unquoted(str(answer["ETag"])), len(data))

    def _complete(self, head: bytes) -> ObjectInfo:
        """The last part, then the first one, then CompleteMultipartUpload."""
        if self._gathered:
            self._take_gathered()
        assert self._multipart is not None
        others = self._in_flight.results()
        parts = [self._multipart.send(head + self._first, 1), *others]
        byte_count = sum(part.byte_count for part in parts)
        try:
            with outlasting_stops(PUBLISHING_S):
                etag = self._multipart.complete(parts, self._condition)
        except Refusal as refusal:
            if refusal.code == "InvalidPart":
                # They would not make the object the next time either.
                self._is_for_later = False
            info = self._after_refusal(refusal, byte_count)
        else:
            info = self._published(etag, byte_count)
        self._multipart.settle()
        self._multipart = None
        return info

    def _published(self, etag: str, byte_count: int) -> ObjectInfo:
        """What the service says of the object now; by another's replacement, or silence, it is not unpublished."""
        seen = self._look()
        if seen is None or seen[0].etag != etag:
            return ObjectInfo(self._name, byte_count, datetime.now(UTC).replace(microsecond=0), etag)
        return seen[0]

    def _after_refusal(self, refusal: Refusal, byte_count: int) -> ObjectInfo:
        """
        What the refusal of the publication means: our own one whose answer was lost, or somebody else's.

        Raises:
            StorageError: not ours.
        """
        is_conflict = isinstance(refusal.error, ObjectChangedError | ObjectNotFoundError)
        seen = self._look() if is_conflict or refusal.may_have_happened else None
        if seen is not None and refusal.may_have_happened and self._is_ours(*seen, byte_count):
            return seen[0]
        if not self._replace and (refusal.code == "PreconditionFailed" or (is_conflict and seen is not None)):
            raise object_exists(self._name) from None
        if isinstance(refusal.error, ObjectNotFoundError):
            # If-Match on what somebody removed meanwhile.
            raise ObjectChangedError(refusal.error.message, hint="begin again") from None
        raise refusal.error from None

    def _is_ours(self, info: ObjectInfo, token: str, byte_count: int) -> bool:
        """Whether that is what this upload published, and not what an earlier one with the same key left there."""
        is_old = self._key_digest is not None and quoted(info.etag) == self._condition.get("IfMatch")
        return token == self._token and info.byte_count == byte_count and not is_old

    def _look(self) -> tuple[ObjectInfo, str] | None:
        """What is published under the name, and its token, as far as that can be found out."""
        try:
            with outlasting_stops(HURRIED_S, even_set=True):
                answer = self._caller.ask(HEAD_OBJECT, self._name, needs=HEAD_FIELDS)
        except Refusal:
            return None
        return info_of_head(answer, self._name), answer.get("Metadata", {}).get(UPLOAD_TOKEN, "")


def _metadata(facts: Mapping[str, str], token: str) -> dict[str, str]:
    """
    *facts* as metadata, with the token; facts that do not fit are left out.

    In their names a hyphen stands for ``_``, which proxies drop from headers.
    """
    metadata = {UPLOAD_TOKEN: token}
    room = _METADATA_BYTE_COUNT_MAX - len(UPLOAD_TOKEN) - len(token)
    for name, text in quoted_facts(facts).items():
        room -= len(name) + len(text)
        if room < 0:
            break
        metadata[name.replace("_", "-")] = text
    return metadata
