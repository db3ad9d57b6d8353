"""
The blocks an object is made of: how large they are, and what they are called.

A block's name (its *block id*) says what it holds, so that a second try can tell which blocks the service has already,
and anybody can check a published object against its committed block list:

=======  =============  ==============================================================================
offset   length         meaning
=======  =============  ==============================================================================
0        5              position in the object, decimal; 0 is the head
5        1              ``.``
6        43             SHA-256 of the block, Base64 for URLs without ``=``
49       1              ``.``
50       8              first 48 bits of the SHA-256 of the upload key, likewise
=======  =============  ==============================================================================

All ids of a blob must be equally long, and not over 64 bytes (Put Block). A block list holds 50,000 entries, and the
length of an object is not known when its first block is sent; so the blocks grow on the way: 12,500 of 8 MiB, then
12,500 each of 16, 32 and 64 MiB, 1.4 TiB in all. The growth depends on the position alone, which keeps the blocks of
two tries of one object alike.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from tabvault.errors import StorageError

BLOCK_BYTE_COUNT: Final = 8 << 20
"""With four on their way at once this is where larger blocks gain nothing (measured)."""

BLOCK_COUNT_MAX: Final = 50_000
"""Put Block List takes no more."""

_GROWS_AFTER_BLOCK_COUNT: Final = 12_500


@dataclass(frozen=True, slots=True)
class Block:
    """One block of an object. *digest* is its SHA-256."""

    id: str
    byte_count: int
    digest: bytes


def block_byte_count(position: int, first_byte_count: int) -> int:
    """
    The length of the block at *position*, the first being *first_byte_count* long; the last of an object is shorter.

    Raises:
        StorageError: no block list holds that many.
    """
    if position >= BLOCK_COUNT_MAX:
        raise StorageError(f"the object would have over {BLOCK_COUNT_MAX} blocks, which Azure block blobs cannot have")
    return first_byte_count << (position // _GROWS_AFTER_BLOCK_COUNT)


def describe_block(data: bytes, *, position: int, key_tag: str) -> Block:
    """The block that *data* are at *position* of the upload with *key_tag*."""
    digest = hashlib.sha256(data).digest()
    return Block(f"{position:05d}.{_text(digest)}.{key_tag}", len(data), digest)


def key_tag(upload_key: str) -> str:
    """What an upload key is called in block ids: 8 characters."""
    return _text(hashlib.sha256(upload_key.encode()).digest()[:6])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
