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

from tabvault.errors import FormatError, TruncatedError
from tabvault.formats.byte_source import MemorySource, ReadAheadSource, pieces
from tabvault.formats.vertipaq import bitpack, hybrid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tabvault.formats.byte_source import ByteSource
    from tabvault.formats.vertipaq.idfmeta import SegmentDataOffsets, SegmentMeta


_WORD_BYTE_COUNT = 8


class _Frame(NamedTuple):
    """The words of one segment, and where they begin."""

    offset: int
    words: NDArray[np.uint64]
    sub_offset: int
    sub_words: NDArray[np.uint64]


def decode(
    data: bytes | memoryview | ByteSource, segments: Sequence[SegmentMeta], *, file: str | None
) -> Iterator[NDArray[np.uint32]]:
    """
    Decode the segments of a table column.

    Args:
        data: the ``.idf`` file; read from front to back, a segment at a time.
        segments: what the ``.idfmeta`` file says about it, all of them hybrid.
        file: its logical name, for errors.

    Returns:
        An iterator over the data ids of each segment, shape ``(Records,)``, each a copy. Id 2 is BLANK, and occurs
        exactly if HasNulls says so; every other id lies between MinDataID and MaxDataID, both of which occur. A segment
        is checked when it is asked for, and together with the last one what follows it.

    Raises:
        TruncatedError: the file ends inside a segment.
        FormatError: the words contradict the segment metadata, or other bytes than zeros follow the last segment.
    """
    for frame, segment in _frames(data, segments, is_hybrid=True, file=file):
        yield hybrid.decode(
            frame.words, frame.sub_words, segment, offset=frame.offset, sub_offset=frame.sub_offset, file=file
        )


def decode_system(
    data: bytes | memoryview | ByteSource, segments: Sequence[SegmentMeta], *, file: str | None
) -> Iterator[NDArray[np.int64]]:
    """
    Decode the segments of a column of a system table (attribute hierarchy, relationship index, user hierarchy).

    Args:
        data: the ``.idf`` file; read from front to back, a segment at a time.
        segments: what the ``.idfmeta`` file says about it, all of them NoSplit.
        file: its logical name, for errors.

    Returns:
        An iterator over the values of each segment, shape ``(Records,)``: stored value plus Min, so that -1 is
        possible.

    Raises:
        TruncatedError: the file ends inside a segment.
        FormatError: the words contradict the segment metadata, or other bytes than zeros follow the last segment.
    """
    for frame, segment in _frames(data, segments, is_hybrid=False, file=file):
        values = bitpack.unpack_counted(
            frame.words, bit_width=segment.bit_width, count=segment.records, offset=frame.offset, file=file
        )
        yield values.astype(np.int64) + segment.min


def _frames(
    data: bytes | memoryview | ByteSource, segments: Sequence[SegmentMeta], *, is_hybrid: bool, file: str | None
) -> Iterator[tuple[_Frame, SegmentMeta]]:
    """Where each segment lies: they fill the file, and are where the metadata say, if they do."""
    source = MemorySource(data) if isinstance(data, bytes | memoryview) else ReadAheadSource(data)
    offset = 0
    for segment_index, segment in enumerate(segments, 1):
        if segment.is_hybrid != is_hybrid:
            raise FormatError(
                f"CompressionClass is {segment.compression_class:#x} in a column of a "
                + ("table" if is_hybrid else "system table"),
                file=file,
                offset=offset,
            )
        stated = segment.data_offsets
        words = _words(source, offset, stated, "segment", file=file)
        sub_offset = offset + _WORD_BYTE_COUNT * (1 + len(words))
        end = sub_offset
        sub_words = words[:0]
        if is_hybrid:
            sub_words = _words(source, sub_offset, stated and stated.sub, "subsegment", file=file)
            end += _WORD_BYTE_COUNT * (1 + len(sub_words))
        if segment_index == len(segments) and end < source.byte_count:
            _expect_padding(source, end, file=file)
        yield _Frame(offset, words, sub_offset, sub_words), segment
        offset = end
    if not segments:
        _expect_padding(source, 0, file=file)


def _words(
    source: ByteSource, offset: int, stated: SegmentDataOffsets | None, what: str, *, file: str | None
) -> NDArray[np.uint64]:
    head = _read(source, offset, _WORD_BYTE_COUNT, f"{what} word count", file=file)
    word_count = int.from_bytes(head, "little")
    if stated is not None and (stated.offset, stated.word_count) != (offset, word_count):
        raise FormatError(
            f"{what} has {word_count} words, and the segment data offsets say {stated.word_count} "
            f"at byte {stated.offset:#x}",
            file=file,
            offset=offset,
        )
    body = _read(source, offset + _WORD_BYTE_COUNT, _WORD_BYTE_COUNT * word_count, f"{what} words", file=file)
    return np.frombuffer(body, "<u8")


def _read(source: ByteSource, offset: int, byte_count: int, what: str, *, file: str | None) -> bytes | memoryview:
    remaining = source.byte_count - offset
    if byte_count > remaining:
        raise TruncatedError(f"{what} needs {byte_count} bytes and {remaining} remain", file=file, offset=offset)
    return source.read_at(offset, byte_count)


def _expect_padding(source: ByteSource, offset: int, *, file: str | None) -> None:
    """Demand that nothing but zeros stands behind the last segment."""
    position = offset
    for piece in pieces(source, offset=offset):
        padding_byte_count = len(piece) - len(bytes(piece).lstrip(b"\0"))
        position += padding_byte_count
        if padding_byte_count < len(piece):
            raise FormatError(
                f"{source.byte_count - offset} bytes follow the end of the last segment, and not all are zeros",
                file=file,
                offset=position,
            )
