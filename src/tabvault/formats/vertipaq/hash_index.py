"""
Hash index: from data id to sort position, beside the attribute hierarchy of a value-encoded column.

============= =====================================================================================
type          field
============= =====================================================================================
i32           hashAlgorithm, -1
u32           hashEntrySize, 8
u32           hashBinSize, 64
u32           localEntryCount, 6
u64           cBins: the smallest power of two, from 16 on, with records <= 4.5 * cBins
i64           records
i64           mask, cBins - 1
u8            1: statistics follow
u64           records | in newer builds, these seven are 0
u64           cBins
u64           bins in use
u64           entries in their bin
u64           localEntryCount, 6
u64           entries of the fullest bin
u64           length of the histogram, at least 10
u32           size of its elements, 8
              u64 for k = 1, 2, …: how many bins have k entries
cBins * 64    bins: u64 0, u32 count, 6 * (u32 data id, u32 position), u32 0
u64           overflow count
              the entries after the sixth of each bin, in the order of the bins: u32 data id, u32 position
============= =====================================================================================

The bin of a data id is the upper ``log2(cBins)`` bits of ``id * 0x12B9B6A5 mod 2^32``. Inside a bin, ids ascend. The
position is the rank of the id, from 0 on.

Source: [MS-XLDM] 2.3.3.1; the limits of cBins, the order inside a bin and the histogram were read off genuine files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabvault.errors import FormatError, LimitError
from tabvault.formats.cursor import Cursor
from tabvault.formats.vertipaq.record import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAD = Record("head of the hash index", "QQQ", begin=bytes.fromhex("ffffffff 08000000 40000000 06000000"))


_MULTIPLIER = 0x12B9B6A5

_BIN_COUNT_MIN = 16
_BIN_BYTE_COUNT = 64
_LOCAL_ENTRY_COUNT = 6
_HISTOGRAM_LENGTH_MIN = 10
_HISTOGRAM_ELEMENT_SIZE = (8).to_bytes(4, "little")

_STATISTICS_COUNT = 7
"""Numbers of the statistics before the histogram, the last of them its length."""

_BIN = np.dtype([("zero", "<u8"), ("count", "<u4"), ("entries", "<u4", (_LOCAL_ENTRY_COUNT, 2)), ("end", "<u4")])


class HashIndex(NamedTuple):
    """*data_ids[i]* is at *positions[i]*. Shapes ``(records,)``, both ascending."""

    data_ids: NDArray[np.uint32]
    positions: NDArray[np.uint32]


def parse(data: bytes | memoryview, *, file: str | None) -> HashIndex:
    """
    Read a whole ``.hidx`` file.

    Args:
        data: the file.
        file: its logical name, for errors.

    Returns:
        Its entries, in the order of the data ids.

    Raises:
        TruncatedError: the file ends too early.
        LimitError: there are more bins than the file can hold.
        FormatError: a relation of the format does not hold.
    """
    cursor = Cursor(data, file=file)
    bin_count, records, mask = _HEAD.take(cursor)
    if bin_count * _BIN_BYTE_COUNT > cursor.remaining:
        raise LimitError(f"{bin_count} bins do not fit into {cursor.remaining} bytes", file=file, offset=16)
    if bin_count != _bin_count(records) or mask != bin_count - 1:
        raise FormatError(
            f"cBins is {bin_count} and mask {mask}; {records} records demand {_bin_count(records)} bins",
            file=file,
            offset=16,
        )
    cursor.expect(b"\1", "statistics flag")
    statistics = _statistics(cursor)
    bins_offset = cursor.offset
    bins = np.frombuffer(cursor.take(bin_count * _BIN_BYTE_COUNT, "bins"), _BIN)
    overflow_count = cursor.u64("overflow count")
    overflow = np.frombuffer(cursor.take(8 * overflow_count, "overflow entries"), "<u4").reshape(-1, 2)
    cursor.expect_padding("the overflow entries")

    counts = bins["count"].astype(np.int64)
    found = (int(counts.sum()), int(_overflow(counts).sum()), int(bins["zero"].max()), int(bins["end"].max()))
    if found != (records, overflow_count, 0, 0):
        raise FormatError(
            "entries, overflow entries and the fields around each bin are {}, {}, {}, {}".format(*found)
            + f", not {records}, {overflow_count}, 0, 0",
            file=file,
            offset=bins_offset,
        )
    if any(statistics) and statistics != _statistics_of(counts):
        raise FormatError(
            f"statistics say {statistics}, and the bins {_statistics_of(counts)}", file=file, offset=bins_offset
        )
    return _in_order(bins, overflow, counts, offset=bins_offset, file=file)


def build(data_ids: NDArray[np.uint32], positions: NDArray[np.uint32], *, with_statistics: bool) -> bytes:
    """
    Write a whole ``.hidx`` file.

    Args:
        data_ids: shape ``(records,)``, each once, in any order.
        positions: of each of them.
        with_statistics: whether they are filled in, as in older builds, or 0.
    """
    bin_count = _bin_count(len(data_ids))
    bin_of = _hashed(data_ids, bin_count)
    order = np.lexsort((data_ids, bin_of))
    bin_of = bin_of[order]
    entries = np.stack((data_ids, positions), axis=1).astype("<u4")[order]
    counts = np.bincount(bin_of, minlength=bin_count)
    index_in_bin = np.arange(len(order)) - (counts.cumsum() - counts)[bin_of]
    is_local = index_in_bin < _LOCAL_ENTRY_COUNT
    bins = np.zeros(bin_count, _BIN)
    bins["count"] = counts
    bins["entries"][bin_of[is_local], index_in_bin[is_local]] = entries[is_local]
    overflow = entries[~is_local]
    numbers = _statistics_of(counts) if with_statistics else (0,) * _STATISTICS_COUNT
    return (
        _HEAD.bytes_of(bin_count, len(data_ids), bin_count - 1)
        + b"\1"
        + np.array(numbers[:_STATISTICS_COUNT], "<u8").tobytes()
        + _HISTOGRAM_ELEMENT_SIZE
        + np.array(numbers[_STATISTICS_COUNT:], "<u8").tobytes()
        + bins.tobytes()
        + len(overflow).to_bytes(8, "little")
        + overflow.tobytes()
    )


def _hashed(data_ids: NDArray[np.uint32], bin_count: int) -> NDArray[np.int64]:
    """The bin of each id."""
    bin_bits = bin_count.bit_length() - 1
    products = data_ids.astype(np.uint64) * np.uint64(_MULTIPLIER) & np.uint64(0xFFFFFFFF)
    return (products >> np.uint64(32 - bin_bits)).astype(np.int64)


def _bin_count(records: int) -> int:
    """The smallest power of two, from 16 on, whose 4.5-fold *records* do not exceed."""
    return max(_BIN_COUNT_MIN, 1 << (max(-(-2 * records // 9), 1) - 1).bit_length())


def _overflow(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(counts - _LOCAL_ENTRY_COUNT, 0)


def _statistics(cursor: Cursor) -> tuple[int, ...]:
    """The seven numbers of the statistics and the histogram, as they stand."""
    numbers = [cursor.u64("hash index statistics") for _ in range(_STATISTICS_COUNT)]
    cursor.expect(_HISTOGRAM_ELEMENT_SIZE, "size of the histogram's elements")
    histogram = np.frombuffer(cursor.take(8 * numbers[-1], "histogram"), "<u8")
    return (*numbers, *histogram.tolist())


def _statistics_of(counts: NDArray[np.int64]) -> tuple[int, ...]:
    """What the statistics of bins with these counts are."""
    fullest = int(counts.max())
    length = max(_HISTOGRAM_LENGTH_MIN, fullest)
    histogram = np.bincount(counts, minlength=length + 1)[1:]
    in_bins = int(np.minimum(counts, _LOCAL_ENTRY_COUNT).sum())
    records, used = int(counts.sum()), int(np.count_nonzero(counts))
    return (records, len(counts), used, in_bins, _LOCAL_ENTRY_COUNT, fullest, length, *histogram.tolist())


def _in_order(
    bins: NDArray[np.void], overflow: NDArray[np.uint32], counts: NDArray[np.int64], *, offset: int, file: str | None
) -> HashIndex:
    """
    Bring the entries of the bins and of the overflow together, bin by bin, and check where and in what order they
    are.
    """
    local_counts = np.minimum(counts, _LOCAL_ENTRY_COUNT)
    is_local = np.arange(_LOCAL_ENTRY_COUNT) < local_counts[:, np.newaxis]
    indexes = np.arange(len(bins))
    bin_of = np.concatenate((np.repeat(indexes, local_counts), np.repeat(indexes, _overflow(counts))))
    entries = np.concatenate((bins["entries"][is_local], overflow))

    by_bin = np.argsort(bin_of, kind="stable")
    bin_of, data_ids, positions = bin_of[by_bin], entries[by_bin, 0], entries[by_bin, 1]
    if not np.array_equal(_hashed(data_ids, len(bins)), bin_of):
        raise FormatError("a data id is not in the bin of its hash", file=file, offset=offset)
    if np.any((np.diff(bin_of) == 0) & (data_ids[1:] <= data_ids[:-1])):
        raise FormatError("data ids do not ascend inside a bin", file=file, offset=offset)

    by_id = np.argsort(data_ids)
    data_ids, positions = data_ids[by_id], positions[by_id]
    if not np.array_equal(positions, np.arange(len(positions))):
        raise FormatError("positions are not the ranks of the data ids", file=file, offset=offset)
    return HashIndex(data_ids, positions)
