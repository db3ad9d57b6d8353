"""
An upload into a container: blocks that nobody sees, then one block list that publishes them.

What a crash, or the loss of the network, leaves after each step:

====  ==================================================  =========================================================
step  what was done                                       what is left
====  ==================================================  =========================================================
1     blocks staged, several at a time, each with its     uncommitted blocks under the name: not listed, not read,
      MD5 for the service to check                        forgotten by the service a week after the last of them
2     the head staged, as the first block of the list     the same
3     Put Block List, with its condition                  the object, whole, or what was there before
====  ==================================================  =========================================================

The condition of step 3 makes of several uploads of one name the winner: ``If-None-Match: *`` when nothing may be
replaced (or nothing was there), ``If-Match`` with the tag of what :meth:`AzureBlobStore.create` saw when it may.
A published block list discards the blocks of all other uploads of that name, whose own lists then are refused.

The answer of step 3 may be lost, and its repetition meets what the first attempt published. So every object carries
the random token of its upload (``tabvault_upload``), and after a refusal that follows a lost answer the token decides.

An upload that replaces holds a lease on what is there (:mod:`~tabvault.storage.azure.lease`) from before step 1 until
it has ended, so that nobody deletes or replaces it meanwhile.

An upload key makes a later try take over the blocks of an earlier one: a block whose id (position, SHA-256, key) and
length the service has already is not sent. Without a key the ids are unlike all others, so nothing is taken over.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, ContentSettings

from tabvault.storage.azure.blocks import block_byte_count, describe_block, key_tag
from tabvault.storage.azure.lease import LOST_CODES, BlobLease
from tabvault.storage.azure.published import Unseen, object_info
from tabvault.storage.azure.refusals import GET_BLOCK_LIST, GET_PROPERTIES, PUT_BLOCK, PUT_BLOCK_LIST
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.remote.entity_tags import quoted, unquoted
from tabvault.storage.remote.in_flight import InFlight
from tabvault.storage.remote.patience import HURRIED_S, PUBLISHING_S, Refusal
from tabvault.storage.remote.wire import outlasting_stops
from tabvault.storage.upload import UploadInPieces, object_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.storage.blob import BlobClient, BlobProperties

    from tabvault.storage.azure.blocks import Block
    from tabvault.storage.azure.caller import Caller, TimeLeft
    from tabvault.storage.azure.refusals import Operation
    from tabvault.storage.remote.wire import Stop

_T = TypeVar("_T")

_PROCESS_TOKEN: Final = secrets.token_hex(16)

UPLOAD_TOKEN: Final = "tabvault_upload"  # noqa: S105 - it tells uploads apart, it opens nothing
_CONFLICTS: Final = frozenset({"BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList", "UnauthorizedBlobOverwrite"})


class AzureUpload(UploadInPieces):
    """
    An :class:`~tabvault.storage.contract.Upload` of staged blocks. Get it from :meth:`AzureBlobStore.create`.

    Args:
        blob: the blob of that name.
        name: the object's name, checked and spelled out.
        caller: calls the service.
        replace: whether an object of that name gives way.
        condition: of the block list, as options of the client library.
        head_byte_count: bytes at the front that :meth:`finish` fills in.
        first_block_byte_count: length of the first blocks.
        upload_key: names the try, or None.
        facts: metadata of the object, in ASCII.

    Raises:
        StorageError: somebody else holds a lease on what is to be replaced, or the service failed.
    """

    def __init__(
        self,
        blob: BlobClient,
        name: str,
        caller: Caller,
        *,
        replace: bool,
        condition: dict[str, Any],
        head_byte_count: int,
        first_block_byte_count: int,
        upload_key: str | None,
        facts: Mapping[str, str],
    ) -> None:
        super().__init__(name, head_byte_count=head_byte_count)
        self._blob = blob
        self._caller = caller
        self._replace = replace
        self._condition = condition
        self._first_block_byte_count = first_block_byte_count
        self._facts = facts
        self._token = secrets.token_hex(16)
        key = self._token if upload_key is None else upload_key
        self._key_tag = key_tag(key)
        self._lease = self._leased(upload_key) if replace and "etag" in condition else None
        try:
            self._staged_before = {} if upload_key is None else self._staged()
        except BaseException:  # Ctrl-C
            if self._lease is not None:
                self._lease.release()
            raise
        # The head has position 0, whether there is one or not.
        self._position = 1
        self._in_flight: InFlight[Block] = InFlight()
        self._md5 = None if head_byte_count else hashlib.md5(usedforsecurity=False)

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """Stage the head and publish; see the contract."""
        self._check_open()
        self._check_head(head, is_written=bool(self._position > 1 or self._gathered))
        try:
            if self._gathered:
                self._take_gathered()
            others = self._in_flight.results()
            blocks = [*([self._stage(head, 0)] if head else []), *others]
            with outlasting_stops(PUBLISHING_S):
                return self._publish(blocks)
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go of everything; see the contract. Staged blocks stay with the service until it forgets them."""
        self._is_open = False
        # Not waited for: what is on the wire only adds a block that nobody sees.
        self._in_flight.end(wait=False)
        if self._lease is not None:
            self._lease.release()
        self._forget_gathered()

    def _piece_byte_count(self) -> int:
        return block_byte_count(self._position, self._first_block_byte_count)

    def _take(self, data: bytes) -> None:
        position = self._position
        self._position += 1
        self._in_flight.begin(lambda: self._stage(data, position))
        # Behind its beginning: while this thread makes the sum, another one sends.
        if self._md5 is not None:
            self._md5.update(data)

    def _stage(self, data: bytes, position: int) -> Block:
        """Put Block, unless the service has it."""
        block = describe_block(data, position=position, key_tag=self._key_tag)
        if self._staged_before.get(block.id) == block.byte_count:
            return block
        try:
            self._change(
                PUT_BLOCK,
                lambda options: self._blob.stage_block(block.id, data, validate_content=True, **options),
                stop=self._in_flight.stop,
            )
        except Refusal as refusal:
            raise refusal.error from None
        return block

    def _change(self, operation: Operation, call: Callable[[dict[str, Any]], _T], *, stop: Stop | None = None) -> _T:
        """
        A call that changes the blob, under the lease where there is one; *call* gets its options.

        Raises:
            Refusal: it failed for good, or the lease was lost and cannot be had again.
        """
        lease = self._lease
        if lease is None:
            return self._caller.run(operation, self._name, lambda left: call(left.options), stop=stop)

        def leased(left: TimeLeft) -> _T:
            return call({"lease": lease.id, **left.options})

        try:
            return self._caller.run(operation, self._name, leased, stop=stop)
        except Refusal as refusal:
            if refusal.code not in LOST_CODES:
                raise
        lease.take()
        return self._caller.run(operation, self._name, leased, stop=stop)

    def _leased(self, upload_key: str | None) -> BlobLease | None:
        whose = f"process {_PROCESS_TOKEN} {os.getpid()}" if upload_key is None else f"upload {upload_key}"
        try:
            return BlobLease.acquire(
                self._blob, self._name, self._caller, key=hashlib.sha256(f"lease of {whose}".encode()).digest()[:16]
            )
        except Refusal as refusal:
            raise refusal.error from None

    def _staged(self) -> dict[str, int]:
        """Ids and lengths of the blocks that lie uncommitted under the name."""
        try:
            _, uncommitted = self._caller.run(
                GET_BLOCK_LIST, self._name, lambda left: self._blob.get_block_list("uncommitted", **left.options)
            )
        except Refusal as refusal:
            # Nothing was staged, or this SAS may not look: then everything is sent.
            if refusal.code in {"BlobNotFound", "ResourceNotFound", "AuthorizationPermissionMismatch"}:
                return {}
            raise refusal.error from None
        return {block.id: block.size for block in uncommitted if block.id is not None}

    def _publish(self, blocks: list[Block]) -> ObjectInfo:
        """Put Block List."""
        byte_count = sum(block.byte_count for block in blocks)
        md5 = bytearray(self._md5.digest()) if self._md5 is not None else None
        metadata = {
            **self._facts,
            UPLOAD_TOKEN: self._token,
            "tabvault_blocks_sha256": hashlib.sha256(b"".join(block.digest for block in blocks)).hexdigest(),
        }
        try:
            answer = self._change(
                PUT_BLOCK_LIST,
                lambda options: self._blob.commit_block_list(
                    [BlobBlock(block.id) for block in blocks],
                    content_settings=ContentSettings(content_type="application/octet-stream", content_md5=md5),
                    metadata=metadata,
                    **self._condition,
                    **options,
                ),
            )
        except Refusal as refusal:
            return self._after_refusal(refusal)
        return _committed(self._name, byte_count, answer)

    def _after_refusal(self, refusal: Refusal) -> ObjectInfo:
        """
        What the refusal of the block list means: our own publication whose answer was lost, or somebody else's.

        Raises:
            StorageError: not ours.
        """
        is_conflict = refusal.code in _CONFLICTS
        if not is_conflict and not refusal.may_have_happened:
            raise refusal.error from None
        properties = self._look()
        if properties is not None and (properties.metadata or {}).get(UPLOAD_TOKEN) == self._token:
            return object_info(properties, self._name)
        if not is_conflict or self._replace or (properties is None and refusal.code == "InvalidBlockList"):
            raise refusal.error from None
        raise object_exists(self._name) from None

    def _look(self) -> BlobProperties | None:
        """What is published under the name, as far as that can be found out."""
        try:
            with outlasting_stops(HURRIED_S, even_set=True):
                return self._caller.run(
                    GET_PROPERTIES, self._name, lambda left: self._blob.get_blob_properties(**left.options)
                )
        except Refusal:
            return None


def publishing_condition(
    seen: ObjectInfo | Unseen | None, *, replace: bool, if_match: str | None = None
) -> dict[str, Any]:
    """The condition of the block list: nothing is replaced, or what was seen; where nobody may look, what is asked."""
    if not replace or seen is None:
        return {"match_condition": MatchConditions.IfMissing}
    return matching(if_match if isinstance(seen, Unseen) else seen.etag)


def matching(etag: str | None) -> dict[str, Any]:
    """The condition that the blob has that ETag; ``*`` is any."""
    if etag is None:
        return {}
    if etag == "*":
        return {"match_condition": MatchConditions.IfPresent}
    return {"etag": quoted(etag), "match_condition": MatchConditions.IfNotModified}


def _committed(name: str, byte_count: int, answer: Mapping[str, Any]) -> ObjectInfo:
    """What the answer to Put Block List says of the object."""
    return ObjectInfo(name, byte_count, answer["last_modified"], unquoted(answer["etag"]))
