"""
A bucket while it is probed: why the service refused, its clock, and what lies unfinished there.

The time of the service stands in the head of each of its answers, refusals included ("Common response headers":
``Date``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from tabvault.storage.probing import Explanation, UnfinishedUpload, explanation_of
from tabvault.storage.remote.asking import PATIENCE, SIZED_COUNT_MAX, clock_skew_s, outbound_address
from tabvault.storage.remote.patience import Refusal
from tabvault.storage.s3.caller import Caller
from tabvault.storage.s3.multipart import sent_parts, unfinished_uploads
from tabvault.storage.s3.refusals import S3Refusal
from tabvault.storage.s3.store import S3BucketStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tabvault.errors import StorageError
    from tabvault.storage.remote.patience import Patience
    from tabvault.storage.remote.wire import Stop
    from tabvault.storage.s3 import multipart
    from tabvault.storage.s3.access import S3Access
    from tabvault.storage.s3.refusals import Operation

_T = TypeVar("_T")


class S3Probing(S3BucketStore):
    """
    A :class:`~tabvault.storage.probing.ProbedStore`.

    Args:
        access: the bucket, and the key.
        notes_folder: as for the store.
        patience: how long the service is asked again.
    """

    def __init__(self, access: S3Access, *, notes_folder: Path | None = None, patience: Patience = PATIENCE) -> None:
        self._noting = _NotingCaller(access, patience)
        super().__init__(access, notes_folder=notes_folder, caller=self._noting)

    @property
    def clock_skew_s(self) -> float | None:
        """How far this machine's clock is ahead of the service's; None before it has answered anything."""
        return self._noting.clock_skew_s

    def explain(self, error: StorageError) -> Explanation:
        """Why the call failed that raised *error*."""
        refusal = self._noting.last
        return refusal.explanation if refusal is not None and refusal.error is error else explanation_of(error)

    def outbound_address(self) -> str | None:
        """See :func:`~tabvault.storage.remote.asking.outbound_address`."""
        return outbound_address(self._access.url)

    def unfinished_uploads(self) -> list[UnfinishedUpload]:
        """
        Uploads that were begun and not published, the first :data:`SIZED_COUNT_MAX` of them with their sizes.

        Ours are those that are noted; without a place for notes nobody can tell.
        """
        try:
            uploads = sorted(unfinished_uploads(self._noting), key=lambda upload: (upload.name, upload.begun))
            sizes = [self._size(upload) for upload in uploads[:SIZED_COUNT_MAX]]
        except Refusal as refusal:
            raise refusal.error from None
        sizes += [(None, None)] * (len(uploads) - len(sizes))
        ours = None if self._notes is None else self._notes.upload_ids()
        return [
            UnfinishedUpload(upload.name, size[0], size[1], upload.begun, None if ours is None else upload.id in ours)
            for upload, size in zip(uploads, sizes, strict=True)
            if size is not None
        ]

    def _size(self, upload: multipart.UnfinishedUpload) -> tuple[int, int] | tuple[None, None] | None:
        """Bytes and parts, where that may be asked; None if the upload was published or ended meanwhile."""
        try:
            parts = [part for part, _ in sent_parts(self._noting, upload.name, upload.id)]
        except S3Refusal as refusal:
            if refusal.code == "NoSuchUpload":
                return None
            if refusal.explanation.reason != "permission":
                raise
            return None, None
        return sum(part.byte_count for part in parts), len(parts)


class _NotingCaller(Caller):
    """Remembers whether the last call was refused, and why; and the service's time."""

    last: S3Refusal | None = None
    clock_skew_s: float | None = None

    def run(
        self,
        operation: Operation,
        name: str,
        call: Callable[[Any], _T],
        *,
        stop: Stop | None = None,
    ) -> _T:
        """See :meth:`Caller.run`."""
        try:
            result = super().run(operation, name, call, stop=stop)
        except S3Refusal as refusal:
            self.last = refusal
            raise
        self.last = None
        return result

    def _asked(self, client: Any, operation: Operation, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        try:
            answer = super()._asked(client, operation, name, arguments)
        except ClientError as error:
            self._note_time(error.response)
            raise
        self._note_time(answer)
        return answer

    def _note_time(self, answer: Mapping[str, Any]) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        self.clock_skew_s = clock_skew_s(date, self.clock_skew_s)
