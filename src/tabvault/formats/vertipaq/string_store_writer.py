"""
Write string stores: what :mod:`tabvault.formats.vertipaq.string_store` reads.

=============================== ====================================================================================
what                            what the engine does
=============================== ====================================================================================
a page ends                     before the string with which it would have over 2^19 UTF-16 units, each string counted
                                with a NUL; a longer string is a page of its own
a page is compressed            when it has over 8,192 of these units and the empty string is not on it
one character set               when every unit of the page has the same high byte
pages of binary columns         are not cut at 2^19 (genuine ones of up to 1,450,026 units are one page)
=============================== ====================================================================================

Source: read off genuine files. That the empty string keeps its own page alone from being compressed is a guess: each
page says for itself whether it has it. So is where we cut the pages of binary columns.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.formats.vertipaq import huffman_writer
from tabvault.formats.vertipaq.string_store import (
    COMPRESSED_HEAD,
    END_MARK,
    HANDLE_BYTE_COUNT,
    HANDLES_HEAD,
    HEAD,
    MULTIPLE_CHARACTER_SETS,
    PAGE_HEAD,
    SINGLE_CHARACTER_SET,
    STORE_COMPRESSED,
    UNCOMPRESSED_HEAD,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAGE_UNIT_COUNT_MAX = 1 << 19
"""UTF-16 units of a page's strings, with a NUL after each."""

BINARY_PAGE_UNIT_COUNT_MAX = 1 << 26
"""Pages of binary columns have to end somewhere: bit offsets are 32 bits wide."""

_UNCOMPRESSED_UNIT_COUNT_MAX = 8192

_COMPRESSED_UNIT_COUNT_MAX = 1 << 27
"""A page over that is one string, and stays uncompressed: its codes could take more bits than 32 bits count."""


class _Text(NamedTuple):
    """The UTF-8 text of all strings; string i is ``text[starts[i]:starts[i + 1]]`` and has ``unit_counts[i]`` units."""

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    unit_counts: NDArray[np.int64]


def build(strings: pa.StringArray | pa.LargeStringArray, *, page_unit_count_max: int) -> Iterator[bytes]:
    """
    Write a string store.

    Args:
        strings: in the order of their data ids, without a null. Any character, and the empty string, may occur.
        page_unit_count_max: where pages end.

    Returns:
        The bytes in order: a piece for each page, of which one at a time is in memory.

    Raises:
        ValueError: a null is among *strings*.
    """
    if strings.null_count:
        raise ValueError(f"{strings.null_count} of the strings are null: BLANK is no entry of a dictionary")
    count = len(strings)
    text = _text(strings)
    page_bounds = _page_bounds(text.unit_counts, page_unit_count_max)
    yield HEAD.pack(count, STORE_COMPRESSED, int(text.unit_counts.max(initial=0)), len(page_bounds) - 1)
    handles = np.empty((count, 2), "<u4")
    for page_id, (first, end) in enumerate(pairwise(page_bounds)):
        page, offsets = _page(text, first=first, end=end)
        handles[first:end, 0], handles[first:end, 1] = offsets, page_id
        yield page
    yield HANDLES_HEAD.pack(count, HANDLE_BYTE_COUNT) + handles.tobytes()


def _text(strings: pa.StringArray | pa.LargeStringArray) -> _Text:
    start_type = np.int64 if pa.types.is_large_string(strings.type) else np.int32
    _, start_buffer, text_buffer = strings.buffers()
    starts = np.zeros(1, np.int64)
    if len(strings):
        first = strings.offset
        starts = np.frombuffer(start_buffer, start_type)[first : first + len(strings) + 1].astype(np.int64)
    text = np.frombuffer(text_buffer or b"", np.uint8)[: starts[-1]]
    unit_counts = pc.utf8_length(strings).to_numpy().astype(np.int64)
    (pairs,) = (text >= 0xF0).nonzero()  # each begins a character that is two units
    if len(pairs):
        unit_counts += np.diff(pairs.searchsorted(starts))
    return _Text(text, starts, unit_counts)


def _page_bounds(unit_counts: NDArray[np.int64], page_unit_count_max: int) -> list[int]:
    """The first string of each page, and the number of strings behind them."""
    ends = (unit_counts + 1).cumsum()
    bounds, unit_count = [0], 0
    while bounds[-1] < len(ends):
        end = int(ends.searchsorted(unit_count + page_unit_count_max, side="right"))
        bounds.append(max(end, bounds[-1] + 1))
        unit_count = int(ends[bounds[-1] - 1])
    return bounds


def _page(text: _Text, *, first: int, end: int) -> tuple[bytes, NDArray[np.uint32]]:
    """The page of some of the strings, and the offset of each in it."""
    unit_counts = text.unit_counts[first:end]
    has_empty = not unit_counts.all()
    unit_count = int(unit_counts.sum()) + len(unit_counts)
    compressed = _UNCOMPRESSED_UNIT_COUNT_MAX < unit_count <= _COMPRESSED_UNIT_COUNT_MAX and not has_empty
    # of the text of one page; Python's own codecs are faster than anything that could be made of array operations
    encoded = text.text[text.starts[first] : text.starts[end]].tobytes().decode().encode("utf-16-le")
    write = _compressed_store if compressed else _uncompressed_store
    store, offsets = write(np.frombuffer(encoded, "<u2"), unit_counts)
    head = PAGE_HEAD.bytes_of(compressed, has_empty, first, end - first, compressed)
    return head + store + END_MARK, offsets


def _uncompressed_store(units: NDArray[np.uint16], unit_counts: NDArray[np.int64]) -> tuple[bytes, NDArray[np.uint32]]:
    """The strings with a NUL after each; offsets count units."""
    ends = (unit_counts + 1).cumsum()
    used = len(units) + len(unit_counts)
    is_text = np.ones(used, np.bool_)
    is_text[ends - 1] = False
    terminated = np.zeros(used, "<u2")
    terminated[is_text] = units
    offsets = (ends - unit_counts - 1).astype(np.uint32)
    return UNCOMPRESSED_HEAD.pack(0, used, 2 * used) + terminated.tobytes(), offsets


def _compressed_store(units: NDArray[np.uint16], unit_counts: NDArray[np.int64]) -> tuple[bytes, NDArray[np.uint32]]:
    """The codes of the strings; offsets count bits."""
    starts = unit_counts.cumsum() - unit_counts
    high_byte = int(units[0]) >> 8
    if int(units.min()) >> 8 == int(units.max()) >> 8 == high_byte:
        page = huffman_writer.encode(units.astype(np.uint8), starts)
        character_set, high_bytes = SINGLE_CHARACTER_SET, bytes([high_byte])
    else:
        page = huffman_writer.encode(units.view(np.uint8), 2 * starts)
        character_set, high_bytes = MULTIPLE_CHARACTER_SETS, b""
    store = (
        COMPRESSED_HEAD.pack(page.total_bits, character_set, len(page.stream))
        + high_bytes
        + page.decode_bits.to_bytes(4, "little")
        + page.packed_lengths
        + len(page.stream).to_bytes(8, "little")
        + page.stream
    )
    return store, page.bit_offsets
