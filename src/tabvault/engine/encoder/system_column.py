"""
A column of a system table: NoSplit segments in one partition, and statistics that say nothing.

What the ``ColumnStorage`` row of such a column keeps is the same in every genuine file: one distinct state, ids from 2
to 2, no row. (Models that came out of Power Pivot workbooks have true numbers in some of their R$ columns; nothing is
read by them.) Segments of an H$ column have as many rows as the hierarchy has members; R$ and U$ columns are one
segment in every genuine file, the largest of 30,009 rows. That they are one whatever their length is a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.errors import ProcessingError
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import idfmeta, no_split
from tabvault.formats.vertipaq.idfmeta import NULL_DATA_ID, RECORDS_MAX
from tabvault.model.processed import ProcessedSegments, ProcessedStatistics, SystemColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STATISTICS = ProcessedStatistics(
    distinct_states=1,
    min_data_id=NULL_DATA_ID,
    max_data_id=NULL_DATA_ID,
    original_min_segment_data_id=NULL_DATA_ID,
    row_count=0,
    has_nulls=False,
    rle_runs=0,
    others_rle_runs=0,
)


def system_column(
    name: str,
    values: NDArray[np.int64],
    *,
    min: int,  # noqa: A002 - the specification's word
    bit_width: int,
    with_data_offsets: bool,
    records_per_segment: int | None = None,
) -> SystemColumn:
    """
    Encode a column of a system table.

    Args:
        name: ``POS_TO_ID``, ``INDEX``, …
        values: of its rows, shape ``(RecordCount,)``, at least one.
        min: subtracted from each value before it is stored.
        bit_width: of a stored value.
        with_data_offsets: whether segment data offsets follow the segment metadata, as in newer builds.
        records_per_segment: rows of each segment but the last; all rows are one segment when None.

    Raises:
        ProcessingError: more rows than a segment may have.
    """
    length = len(values) if records_per_segment is None else records_per_segment
    check_segment_length(name, length)
    segments = [
        no_split.encode(values[start : start + length], min=min, bit_width=bit_width)
        for start in range(0, len(values), length)
    ]
    meta = idfmeta.build([segment.meta for segment in segments], with_data_offsets=with_data_offsets)
    return SystemColumn(
        name=name,
        statistics=_STATISTICS,
        segments=ProcessedSegments(
            segment_count=len(segments),
            idf=MemorySource(b"".join(segment.words for segment in segments)),
            idfmeta=MemorySource(meta),
        ),
    )


def check_segment_length(name: str, record_count: int) -> None:
    """
    Refuse a segment that no reader would read, before anything is allocated for it.

    Raises:
        ProcessingError: it has more rows than a segment may have.
    """
    if record_count > RECORDS_MAX:
        raise ProcessingError(
            f"column {name} of a system table needs a segment of {record_count} rows, over {RECORDS_MAX}",
            hint="a key column whose numbers lie far apart is better hash-encoded",
        )
