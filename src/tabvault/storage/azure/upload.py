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

An upload key makes a later try take over the blocks of an earlier one: a block whose id (position, SHA-256, key) and
length the service has already is not sent. Without a key the ids are unlike all others, so nothing is taken over.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, ContentSettings

from tabvault.errors import ObjectExistsError, StorageError
from tabvault.storage.azure.blocks import block_byte_count, describe_block, key_tag
from tabvault.storage.azure.published import Unseen, object_info, quoted
from tabvault.storage.azure.refusals import GET_BLOCK_LIST, GET_PROPERTIES, PUT_BLOCK, PUT_BLOCK_LIST, Refusal
from tabvault.storage.contract import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from types import TracebackType

    from azure.storage.blob import BlobClient, BlobProperties

    from tabvault.storage.azure.blocks import Block
    from tabvault.storage.azure.patience import Caller

IN_FLIGHT_COUNT_MAX: Final = 4
"""Blocks on their way at once; with the one being filled, that is what an upload holds in memory."""

UPLOAD_TOKEN: Final = "tabvault_upload"  # noqa: S105 - it tells uploads apart, it opens nothing
_CONFLICTS: Final = frozenset({"BlobAlreadyExists", "ConditionNotMet", "InvalidBlockList", "UnauthorizedBlobOverwrite"})


class AzureUpload:
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
        self._blob = blob
        self._name = name
        self._caller = caller
        self._replace = replace
        self._condition = condition
        self._head_byte_count = head_byte_count
        self._first_block_byte_count = first_block_byte_count
        self._facts = facts
        self._token = secrets.token_hex(16)
        self._key_tag = key_tag(self._token if upload_key is None else upload_key)
        self._staged_before = {} if upload_key is None else self._staged()
        # The head has position 0, whether there is one or not.
        self._position = 1
        self._buffer = bytearray()
        self._blocks: list[Block] = []
        self._in_flight: deque[Future[Block]] = deque()
        self._md5 = None if head_byte_count else hashlib.md5(usedforsecurity=False)
        self._is_open = True
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(IN_FLIGHT_COUNT_MAX, thread_name_prefix="azure-upload")

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*; see the contract."""
        self._check_open()
        rest = memoryview(data).cast("B")
        try:
            while len(rest):
                wanted_byte_count = block_byte_count(self._position, self._first_block_byte_count)
                piece = rest[: wanted_byte_count - len(self._buffer)]
                self._buffer += piece
                rest = rest[len(piece) :]
                if len(self._buffer) == wanted_byte_count:
                    self._send_buffer()
        except StorageError:
            self.abort()
            raise

    def finish(self, head: bytes = b"") -> ObjectInfo:
        """Stage the head and publish; see the contract."""
        self._check_open()
        is_written = bool(self._position > 1 or self._buffer)
        if len(head) != self._head_byte_count and (is_written or len(head) > self._head_byte_count):
            raise ValueError(f"the head has {len(head)} bytes, and {self._head_byte_count} were left for it")
        try:
            if self._buffer:
                self._send_buffer()
            while self._in_flight:
                self._take_block()
            blocks = [*([self._stage(head, 0)] if head else []), *self._blocks]
            return self._publish(blocks)
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go of everything; see the contract. Staged blocks stay with the service until it forgets them."""
        self._is_open = False
        self._stop.set()
        # Not waited for: what is on the wire only adds a block that nobody sees.
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._in_flight.clear()
        self._buffer = bytearray()

    def _send_buffer(self) -> None:
        """Hand the filled buffer to the pool, and wait until no more than the allowed number is on its way."""
        while len(self._in_flight) >= IN_FLIGHT_COUNT_MAX:
            self._take_block()
        data = bytes(self._buffer)
        self._buffer = bytearray()
        if self._md5 is not None:
            self._md5.update(data)
        self._in_flight.append(self._pool.submit(self._stage, data, self._position))
        self._position += 1

    def _take_block(self) -> None:
        """Wait for the oldest block on its way; they come in the order of their positions."""
        self._blocks.append(self._in_flight.popleft().result())

    def _stage(self, data: bytes, position: int) -> Block:
        """Put Block, unless the service has it."""
        block = describe_block(data, position=position, key_tag=self._key_tag)
        if self._staged_before.get(block.id) == block.byte_count:
            return block
        try:
            self._caller.run(
                PUT_BLOCK,
                self._name,
                lambda left: self._blob.stage_block(block.id, data, validate_content=True, **left.options),
                stop=self._stop,
            )
        except Refusal as refusal:
            raise refusal.error from None
        return block

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
            answer = self._caller.run(
                PUT_BLOCK_LIST,
                self._name,
                lambda left: self._blob.commit_block_list(
                    [BlobBlock(block.id) for block in blocks],
                    content_settings=ContentSettings(content_type="application/octet-stream", content_md5=md5),
                    metadata=metadata,
                    **self._condition,
                    **left.options,
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
        error = ObjectExistsError(f"{self._name} exists already", hint="choose another name, or ask for overwriting")
        raise error from None

    def _look(self) -> BlobProperties | None:
        """What is published under the name, as far as that can be found out."""
        try:
            return self._caller.run(
                GET_PROPERTIES, self._name, lambda left: self._blob.get_blob_properties(**left.options)
            )
        except Refusal:
            return None

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError(f"the upload of {self._name} has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


def publishing_condition(seen: ObjectInfo | Unseen | None, *, replace: bool) -> dict[str, Any]:
    """The condition of the block list: nothing is replaced, or what was seen; or, where nobody may look, anything."""
    if not replace or seen is None:
        return {"match_condition": MatchConditions.IfMissing}
    if isinstance(seen, Unseen):
        return {}
    return {"etag": quoted(seen.etag), "match_condition": MatchConditions.IfNotModified}


def _committed(name: str, byte_count: int, answer: Mapping[str, Any]) -> ObjectInfo:
    """What the answer to Put Block List says of the object."""
    return ObjectInfo(name, byte_count, answer["last_modified"], answer["etag"].strip('"'))
