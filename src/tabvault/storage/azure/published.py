"""A published object of a container: a blob, pinned by its ETag, read by ranges."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import IncompleteReadError

from tabvault.storage.azure.refusals import GET_BLOB
from tabvault.storage.contract import ObjectInfo
from tabvault.storage.remote.ranges import CutOff, RangedObject

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobProperties

    from tabvault.storage.azure.caller import Caller, TimeLeft


class Unseen(Enum):
    """Whether an object is there cannot be known: the SAS does not allow to look."""

    UNSEEN = "unseen"


UNSEEN: Final = Unseen.UNSEEN


def object_info(properties: BlobProperties, name: str) -> ObjectInfo:
    """What the service says of a blob. A listing gives tags without quotes, a header with: they are kept without."""
    return ObjectInfo(name, properties.size, properties.last_modified, properties.etag.strip('"'))


def quoted(etag: str) -> str:
    """A tag as a condition takes it."""
    return f'"{etag}"'


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

        def watch(response: Any) -> None:
            """Called by the client library when the head of a response is there; its body comes next."""
            body = response.http_response.internal_response.raw
            if not cut_off.watch(body):
                # The library begins again by itself when a body breaks off; not after our time is over.
                body.close()
                raise IncompleteReadError("the time is over")

        with CutOff(left.seconds) as cut_off:
            download = self._blob.download_blob(
                offset,
                byte_count,
                etag=quoted(self._info.etag),
                match_condition=MatchConditions.IfNotModified,
                raw_response_hook=watch,
                **left.options,
            )
            data: bytes = download.readall()
        total = str(download.properties.content_range).rpartition("/")[2]
        if len(data) != byte_count or total != str(self._info.byte_count):
            raise IncompleteReadError(f"{len(data)} bytes of {total}, not {byte_count} of {self._info.byte_count}")
        return data
