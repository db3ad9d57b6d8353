"""
The row number of a table: ids that count up over all its segments, and of which none is stored (XM123).

It is written anew for every partition whenever a table is encoded: where a partition's ids begin depends on the rows of
those before it, and the files have some hundred bytes. Value-encoded with BaseId -3: the first row is 0.

Source: genuine files of one segment. That ids go on from segment to segment is a guess: no file at hand has two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import hybrid_writer, idfmeta
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID
from tabvault.model.objects import DictionaryDataType, DictionaryType
from tabvault.model.processed import ProcessedDictionary, ProcessedSegments, ProcessedStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabvault.engine.encoder.specification import EncoderOptions

_DICTIONARY = ProcessedDictionary(
    type=DictionaryType.VALUE,
    data_type=DictionaryDataType.LONG,
    base_id=-FIRST_DATA_ID,
    magnitude=1.0,
    last_id=NULL_DATA_ID,
    is_unique=False,
    is_operating_on_32=False,
    dictionary_flags=0,
    body=None,
)


@dataclass(frozen=True, slots=True)
class EncodedRowNumber:
    """The row number, all but its hierarchy."""

    dictionary: ProcessedDictionary
    statistics: ProcessedStatistics
    segments: Mapping[int, ProcessedSegments]


def encode_row_number(row_counts: Mapping[int, Sequence[int]], options: EncoderOptions) -> EncodedRowNumber:
    """
    Encode the row number.

    Args:
        row_counts: rows of each segment, by partition, in the order of their storage positions.
        options: how files are written.
    """
    segments, first_data_id = {}, FIRST_DATA_ID
    for partition_id, counts in row_counts.items():
        encoded = []
        for count in counts or [0]:
            encoded.append(hybrid_writer.encode_row_number(count, first_data_id=first_data_id))
            first_data_id += count
        metas = [segment.meta for segment in encoded]
        segments[partition_id] = ProcessedSegments(
            len(encoded),
            MemorySource(b"".join(segment.words for segment in encoded)),
            MemorySource(idfmeta.build(metas, with_data_offsets=options.with_data_offsets)),
        )
    row_count = first_data_id - FIRST_DATA_ID
    statistics = ProcessedStatistics(
        distinct_states=row_count,
        min_data_id=FIRST_DATA_ID if row_count else NULL_DATA_ID,
        max_data_id=first_data_id - 1 if row_count else NULL_DATA_ID,
        original_min_segment_data_id=NULL_DATA_ID,
        row_count=row_count,
        has_nulls=False,
        rle_runs=0,
        others_rle_runs=0,
    )
    return EncodedRowNumber(_DICTIONARY, statistics, segments)
