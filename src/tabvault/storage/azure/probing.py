"""
A container of Azure Storage while it is probed: why the service refused, its clock, and what lies staged there.

The time of the service stands in the head of each of its answers, refusals included ("Common REST API response
headers": ``Date``). Uncommitted blobs are listed without size and time ("List Blobs", "Uncommitted blobs in the
response"), so their blocks are asked for one by one, and when they came is not known; the service forgets them a week
after the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tabvault.storage.azure.caller import Caller
from tabvault.storage.azure.refusals import GET_BLOCK_LIST, AzureRefusal
from tabvault.storage.azure.store import AzureBlobStore
from tabvault.storage.probing import Explanation, UnfinishedUpload, explanation_of
from tabvault.storage.remote.asking import PATIENCE, SIZED_COUNT_MAX, clock_skew_s, outbound_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob import BlobProperties

    from tabvault.errors import StorageError
    from tabvault.storage.azure.access import ContainerAccess
    from tabvault.storage.azure.caller import TimeLeft
    from tabvault.storage.azure.refusals import Operation
    from tabvault.storage.remote.patience import Patience
    from tabvault.storage.remote.wire import Stop


_T = TypeVar("_T")


class AzureProbing(AzureBlobStore):
    """
    A :class:`~tabvault.storage.probing.ProbedStore`.

    Args:
        access: the container, and by what right.
        patience: how long the service is asked again.
    """

    # Whether a SAS for new objects allows to write, only the call that writes tells.
    _looks_before_creating = False

    def __init__(self, access: ContainerAccess, *, patience: Patience = PATIENCE) -> None:
        super().__init__(access, patience=patience)
        self._caller = self._noting = _NotingCaller(access, patience)
        self._clock_skew_s: float | None = None

    @property
    def clock_skew_s(self) -> float | None:
        """How far this machine's clock is ahead of the service's; None before anything was listed."""
        return self._clock_skew_s

    def explain(self, error: StorageError) -> Explanation:
        """Why the call failed that raised *error*."""
        refusal = self._noting.last
        # A lease of another program has words of its own.
        is_told = refusal is not None and (refusal.error is error or refusal.explanation.reason == "leased")
        return refusal.explanation if refusal is not None and is_told else explanation_of(error)

    def outbound_address(self) -> str | None:
        """See :func:`~tabvault.storage.remote.asking.outbound_address`."""
        return outbound_address(self._access.account_url)

    def unfinished_uploads(self) -> list[UnfinishedUpload]:
        """Uploads that were begun and not published, the first :data:`SIZED_COUNT_MAX` of them with their sizes."""
        names = list(self.unfinished())
        sized = [self._sized(name) for name in names[:SIZED_COUNT_MAX]]
        unsized = [UnfinishedUpload(name, None, None, None) for name in names[SIZED_COUNT_MAX:]]
        return [upload for upload in sized if upload is not None] + unsized

    def _sized(self, name: str) -> UnfinishedUpload | None:
        """The blocks under *name*; None if it was published, or they were forgotten, meanwhile."""
        blob = self._client.get_blob_client(name)
        try:
            _, blocks = self._caller.run(
                GET_BLOCK_LIST, name, lambda left: blob.get_block_list("uncommitted", **left.options)
            )
        except AzureRefusal as refusal:
            if refusal.code in {"BlobNotFound", "ResourceNotFound"}:
                return None
            if refusal.explanation.reason != "permission":
                raise refusal.error from None
            return UnfinishedUpload(name, None, None, None)
        if not blocks:
            return None
        return UnfinishedUpload(name, sum(block.size for block in blocks), len(blocks), None)

    def _page(
        self, prefix: str, include: str, token: str | None, options: dict[str, Any]
    ) -> tuple[tuple[BlobProperties, ...], str | None]:
        return super()._page(prefix, include, token, {**options, "raw_response_hook": self._note_time})

    def _note_time(self, answer: Any) -> None:
        """Called by the client library with the head of each answer to a listing, also when it is a refusal."""
        self._clock_skew_s = clock_skew_s(answer.http_response.headers.get("Date"), self._clock_skew_s)


class _NotingCaller(Caller):
    """Remembers whether the last call was refused, and why."""

    last: AzureRefusal | None = None

    def run(
        self,
        operation: Operation,
        name: str,
        call: Callable[[TimeLeft], _T],
        *,
        stop: Stop | None = None,
        sent_byte_count: int = 0,
    ) -> _T:
        """See :meth:`Caller.run`."""
        try:
            result = super().run(operation, name, call, stop=stop, sent_byte_count=sent_byte_count)
        except AzureRefusal as refusal:
            self.last = refusal
            raise
        self.last = None
        return result
