"""
The parts an object is made of: how large they are, and how a later try recognises them.

A service takes at most 10,000 parts of 5 MiB to 5 GiB (the last may be shorter), and the length of an object is not
known when its first part is sent; so the parts grow on the way: 2,000 of 8 MiB, then 2,000 each of 16, 32, 64 and 128
MiB, 484 GiB in all (the largest server of the product this one follows has 400 GB of memory). The growth depends on
the number alone, which keeps the parts of two tries of one object alike.

The first part holds the head, which is known last; it is kept until then, and sent last.

Every part that is sent is a part of the object: CompleteMultipartUpload lists them all. (Amazon, Google Cloud Storage
and MinIO drop the parts that the list leaves out; Ceph refuses the list then.) So what else is to be known of an upload
in progress is not kept in it, but in a note (:mod:`.upload_notes`).

The tag of a part is the MD5 of its bytes, unless the bucket encrypts with keys of a key service: then no part is
recognised, and a later try sends everything again.

Source: "Amazon S3 multipart upload limits", CompleteMultipartUpload ("concatenates the parts that you provide in the
list"; "ensure that the parts list is complete"), "Common response headers" (ETag); "Complete a multipart upload"
(Google); CompleteMultipartUpload of MinIO, and of Ceph's gateway ("total parts mismatch").
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_BYTE_COUNT: Final = 8 << 20
"""Above the least length a service takes (5 MiB), and where larger parts gain nothing (measured)."""

PART_COUNT_MAX: Final = 10_000

_GROWS_AFTER_PART_COUNT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Part:
    """One part, as a service lists it. *etag* is without quotes."""

    number: int
    byte_count: int
    etag: str


def part_byte_count(number: int, first_byte_count: int) -> int:
    """
    The length of part *number* (from 1), the first being *first_byte_count* long; the last of an object is shorter.

    Raises:
        StorageError: no object has that many.
    """
    if number > PART_COUNT_MAX:
        raise StorageError(f"the object would have over {PART_COUNT_MAX} parts, which S3 does not take")
    return first_byte_count << ((number - 1) // _GROWS_AFTER_PART_COUNT)


def describe_part(data: bytes, number: int) -> Part:
    """The part that *data* are."""
    return Part(number, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())


def digest_of_key(upload_key: str, facts: Mapping[str, str]) -> str:
    """SHA-256 in hexadecimal: the same for two tries that may be continued by each other."""
    return hashlib.sha256(json.dumps([upload_key, sorted(facts.items())]).encode()).hexdigest()
