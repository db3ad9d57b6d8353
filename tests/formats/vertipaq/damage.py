"""What any bytes must lead to: a value, or an error of ours."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tabvault.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable


def every_prefix_is_refused(read: Callable[[bytes], Any], data: bytes, *, step: int = 1) -> None:
    read(data)
    for end in range(0, len(data), step):
        with pytest.raises(FormatError):
            read(data[:end])


def flipped_bits_are_found_or_read(read: Callable[[bytes], Any], data: bytes, *, count: int) -> int:
    """How many of *count* flips were refused; the others gave values, and nothing else may happen."""
    chosen = random.Random(1)
    refused = 0
    for _ in range(count):
        damaged = bytearray(data)
        damaged[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        try:
            read(bytes(damaged))
        except FormatError:
            refused += 1
    return refused
