"""
Column data: the data ids of the rows of one column in one partition.

The file is one segment after the other, and at most zeros behind them; what the words mean stands in the ``.idfmeta``
file beside it.

========= ======================================================================
bytes     a segment
========= ======================================================================
8         u64 n
8 * n     words
8         u64 m, in hybrid segments only
8 * m     words of the subsegment
========= ======================================================================

Segments of table columns are hybrid, see :mod:`tabvault.formats.vertipaq.hybrid`. Those of system tables are
NoSplit<N>: the words are bit-packed, value = stored + Min.

Source: [MS-XLDM] 2.3.1; genuine files at hand have no zeros behind the last segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.errors import FormatError
from tabvault.formats.cursor import Cursor
from tabvault.formats.vertipaq import bitpack, hybrid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.idfmeta import SegmentDataOffsets, SegmentMeta


class _Frame(NamedTuple):
    """The words of one segment, and where they begin."""

    offset: int
    words: NDArray[np.uint64]
    sub_offset: int
    sub_words: NDArray[np.uint64]


def decode(
    data: bytes | memoryview, segments: Sequence[SegmentMeta], *, file: str | None
) -> Iterator[NDArray[np.uint32]]:
    """
    Decode the segments of a table column.

    The framing of the whole file is checked at once, each segment when it is asked for.

    Args:
        data: the ``.idf`` file.
        segments: what the ``.idfmeta`` file says about it, all of them hybrid.
        file: its logical name, for errors.

    Returns:
        An iterator over the data ids of each segment, shape ``(Records,)``, each a copy. Id 2 is BLANK, and occurs
        exactly if HasNulls says so; every other id lies between MinDataID and MaxDataID, both of which occur.

    Raises:
        TruncatedError: the file ends inside a segment.
        FormatError: the words contradict the segment metadata, or other bytes than zeros follow the last segment.
    """
    frames = _frames(data, segments, is_hybrid=True, file=file)
    return (
        hybrid.decode(
            frame.words, frame.sub_words, segment, offset=frame.offset, sub_offset=frame.sub_offset, file=file
        )
        for frame, segment in zip(frames, segments, strict=True)
    )


def decode_system(
    data: bytes | memoryview, segments: Sequence[SegmentMeta], *, file: str | None
) -> Iterator[NDArray[np.int64]]:
    """
    Decode the segments of a column of a system table (attribute hierarchy, relationship index, user hierarchy).

    Args:
        data: the ``.idf`` file.
        segments: what the ``.idfmeta`` file says about it, all of them NoSplit.
        file: its logical name, for errors.

    Returns:
        An iterator over the values of each segment, shape ``(Records,)``: stored value plus Min, so that -1 is
        possible.

    Raises:
        TruncatedError: the file ends inside a segment.
        FormatError: the words contradict the segment metadata, or other bytes than zeros follow the last segment.
    """
    frames = _frames(data, segments, is_hybrid=False, file=file)
    return (
        bitpack.unpack_counted(
            frame.words, bit_width=segment.bit_width, count=segment.records, offset=frame.offset, file=file
        ).astype(np.int64)
        + segment.min
        for frame, segment in zip(frames, segments, strict=True)
    )


def _frames(
    data: bytes | memoryview, segments: Sequence[SegmentMeta], *, is_hybrid: bool, file: str | None
) -> list[_Frame]:
    """Where each segment lies: they fill the file, and are where the metadata say, if they do."""
    cursor = Cursor(data, file=file)
    frames = []
    for segment in segments:
        if segment.is_hybrid != is_hybrid:
            raise FormatError(
                f"CompressionClass is {segment.compression_class:#x} in a column of a "
                + ("table" if is_hybrid else "system table"),
                file=file,
                offset=cursor.offset,
            )
        stated = segment.data_offsets
        offset, words = _words(cursor, stated, "segment")
        sub_offset, sub_words = _words(cursor, stated and stated.sub, "subsegment") if is_hybrid else (0, words[:0])
        frames.append(_Frame(offset, words, sub_offset, sub_words))
    cursor.expect_padding("the last segment")
    return frames


def _words(cursor: Cursor, stated: SegmentDataOffsets | None, what: str) -> tuple[int, NDArray[np.uint64]]:
    offset = cursor.offset
    word_count = cursor.u64(f"{what} word count")
    if stated is not None and (stated.offset, stated.word_count) != (offset, word_count):
        raise FormatError(
            f"{what} has {word_count} words, and the segment data offsets say {stated.word_count} "
            f"at byte {stated.offset:#x}",
            file=cursor.file,
            offset=offset,
        )
    return offset, np.frombuffer(cursor.take(8 * word_count, f"{what} words"), "<u8")
