"""A published object of a bucket, pinned by its tag, read by ranges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tabvault.storage.contract import ObjectInfo
from tabvault.storage.remote.entity_tags import quoted, unquoted
from tabvault.storage.remote.ranges import RangedObject
from tabvault.storage.s3.refusals import GET_OBJECT, AnswerError

if TYPE_CHECKING:
    from tabvault.storage.s3.caller import Caller

HEAD_FIELDS: Final = ("ETag", "ContentLength", "LastModified")
"""What an answer to HeadObject has to have."""


def info_of_head(answer: dict[str, Any], name: str) -> ObjectInfo:
    """What an answer to HeadObject says of an object."""
    return ObjectInfo(name, answer["ContentLength"], _time(answer["LastModified"]), unquoted(answer["ETag"]))


def info_of_listing(entry: dict[str, Any]) -> ObjectInfo:
    """What a listing says of an object."""
    return ObjectInfo(entry["Key"], entry["Size"], _time(entry["LastModified"]), unquoted(entry["ETag"]))


def _time(time: datetime) -> datetime:
    """In UTC and whole seconds: some services give parts of them in listings, none in headers."""
    return time.astimezone(UTC).replace(microsecond=0)


class S3Object(RangedObject):
    """
    A :class:`~tabvault.storage.contract.StoredObject` over ranged GETs with ``If-Match``.

    When the object is replaced or removed, reading raises.

    Args:
        info: the object as it is to be read.
        caller: calls the service.
    """

    def __init__(self, info: ObjectInfo, caller: Caller) -> None:
        super().__init__(info)
        self._caller = caller

    def _asked(self, offset: int, byte_count: int) -> bytes:
        return self._caller.run(
            GET_OBJECT,
            self._info.name,
            lambda client: self._get(client, offset, byte_count),
            stop=self.stop,
        )

    def _get(self, client: Any, offset: int, byte_count: int) -> bytes:
        """One GET. What is short, or of an object of another length, counts as a lost answer."""
        answer = client.get_object(
            Bucket=self._caller.access.bucket,
            Key=self._info.name,
            Range=f"bytes={offset}-{offset + byte_count - 1}",
            IfMatch=quoted(self._info.etag),
        )
        with answer["Body"] as body:
            data: bytes = body.read()
        expected = f"bytes {offset}-{offset + byte_count - 1}/{self._info.byte_count}"
        if len(data) != byte_count or answer.get("ContentRange") != expected:
            raise AnswerError
        return data
