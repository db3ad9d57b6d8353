"""
From the UTF-16 units of a string store to an Arrow string array.

Whole pages at a time: the text is transcoded in one piece, and where each string begins in it follows from the number
of UTF-8 bytes that each unit takes (1, 2 or 3; 2 for each half of a surrogate pair).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRING_BYTE_COUNT_MAX = (1 << 31) - 1
"""What the 32-bit offsets of an Arrow string array reach; text over that becomes a large string array."""


_REPLACEMENT = 0xFFFD
"""What Unicode has in place of what is no character."""


class Utf16Strings(NamedTuple):
    """String i is ``units[starts[i]:starts[i + 1]]``. Units that are all below 256 may come as bytes."""

    units: NDArray[np.uint16] | NDArray[np.uint8]
    starts: NDArray[np.int64]


class Utf8Strings(NamedTuple):
    """String i is ``text[starts[i]:starts[i + 1]]``. Of lone surrogates, so many became U+FFFD."""

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lone_surrogate_count: int = 0


def to_utf8(strings: Utf16Strings) -> Utf8Strings:
    """
    Transcode the strings of a page. NUL is a character like others.

    A surrogate that is not one half of a pair in one string becomes U+FFFD, and is counted: UTF-8 has none, and the
    engine has those of a text that its source cut through a pair.
    """
    starts = strings.starts
    if len(strings.units) == 0 or strings.units.max() < 0x80:
        return Utf8Strings(strings.units.astype(np.uint8, copy=False), starts)
    if strings.units.dtype == np.uint8:
        text = strings.units.tobytes().decode("latin-1").encode()
        return Utf8Strings(np.frombuffer(text, np.uint8), starts + _count_before(starts, strings.units >= 0x80))
    units: NDArray[np.uint16] = strings.units.astype("<u2", copy=False)
    is_surrogate = (units & 0xF800) == 0xD800
    lone = _lone_surrogates(units, starts) if is_surrogate.any() else ()
    if len(lone):
        units = units.copy()
        units[lone] = _REPLACEMENT
        is_surrogate[lone] = False
    text = units.tobytes().decode("utf-16-le").encode()
    two_bytes = _count_before(starts, units >= 0x80)
    three_bytes = _count_before(starts, units >= 0x800)
    halves = _count_before(starts, is_surrogate)
    return Utf8Strings(np.frombuffer(text, np.uint8), starts + two_bytes + three_bytes - halves, len(lone))


def _count_before(starts: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many are true before each of *starts*."""
    (places,) = which.nonzero()
    return places.searchsorted(starts) if len(places) else np.zeros(len(starts), np.int64)


def _lone_surrogates(units: NDArray[np.uint16], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where surrogates are that have no other half in their string."""
    is_high = (units & 0xFC00) == 0xD800
    is_low = (units & 0xFC00) == 0xDC00
    follows_high = np.zeros(len(units) + 1, np.bool_)
    follows_high[1:] = is_high
    follows_high[starts] = False
    precedes_low = np.zeros(len(units), np.bool_)
    precedes_low[:-1] = (is_low & follows_high[:-1])[1:]
    return np.flatnonzero((is_high & ~precedes_low) | (is_low & ~follows_high[:-1]))


def join(parts: Sequence[Utf8Strings]) -> pa.StringArray | pa.LargeStringArray:
    """One array of the strings of all pages; a large one if their text is over :data:`STRING_BYTE_COUNT_MAX`."""
    byte_starts = list(itertools.accumulate((len(part.text) for part in parts), initial=0))
    is_large = byte_starts[-1] > STRING_BYTE_COUNT_MAX
    start_type, arrow_type = (np.int64, pa.large_string()) if is_large else (np.int32, pa.string())
    if len(parts) == 1:
        starts, text = parts[0].starts.astype(start_type), parts[0].text
    else:
        shifted = [part.starts[:-1] + start for part, start in zip(parts, byte_starts, strict=False)]
        starts = np.concatenate([*shifted, byte_starts[-1:]]).astype(start_type)
        text = np.concatenate([np.empty(0, np.uint8), *(part.text for part in parts)])
    return pa.Array.from_buffers(arrow_type, len(starts) - 1, [None, pa.py_buffer(starts), pa.py_buffer(text)])
