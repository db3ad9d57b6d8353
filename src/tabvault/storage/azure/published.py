"""A published object of a container: a blob, pinned by its ETag, read by ranges."""

from __future__ import annotations

from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING, Final

from azure.core import MatchConditions
from azure.core.exceptions import IncompleteReadError

from tabvault.storage.azure.refusals import GET_BLOB
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.remote.entity_tags import quoted, unquoted
from tabvault.storage.remote.ranges import RangedObject

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobProperties

    from tabvault.storage.azure.caller import Caller, TimeLeft


class Unseen(Enum):
    """Whether an object is there cannot be known: the SAS does not allow to look."""

    UNSEEN = "unseen"


UNSEEN: Final = Unseen.UNSEEN


def object_info(properties: BlobProperties, name: str) -> ObjectInfo:
    """What the service says of a blob. A listing gives tags without quotes, a header with: they are kept without."""
    return ObjectInfo(name, properties.size, properties.last_modified, unquoted(properties.etag))


class _Body(BytesIO):
    """Takes what the client library writes as it is: its own ``readall`` copies it into a file in memory first."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:  # type: ignore[override]  # the library hands over nothing else
        self.parts.append(data)
        return len(data)


class AzureObject(RangedObject):
    """
    A :class:`~tabvault.storage.contract.StoredObject` over ranged GETs with ``If-Match``.

    When the object is replaced or removed, reading raises: the service keeps nothing of the old one.

    Args:
        blob: the blob of that name.
        info: the object as it is to be read.
        caller: calls the service.
    """

    def __init__(self, blob: BlobClient, info: ObjectInfo, caller: Caller) -> None:
        super().__init__(info)
        self._blob = blob
        self._caller = caller

    def _asked(self, offset: int, byte_count: int) -> bytes:
        return self._caller.run(
            GET_BLOB, self._info.name, lambda left: self._get(offset, byte_count, left), stop=self.stop
        )

    def _get(self, offset: int, byte_count: int, left: TimeLeft) -> bytes:
        """One GET. What is short, or of an object of another length, counts as a lost answer."""
        download = self._blob.download_blob(
            offset,
            byte_count,
            etag=quoted(self._info.etag),
            match_condition=MatchConditions.IfNotModified,
            **left.options,
        )
        body = _Body()
        download.readinto(body)
        data = b"".join(body.parts)
        total = str(download.properties.content_range).rpartition("/")[2]
        if len(data) != byte_count or total != str(self._info.byte_count):
            raise IncompleteReadError(f"{len(data)} bytes of {total}, not {byte_count} of {self._info.byte_count}")
        return data
