"""
One column, when all its rows are known: its segments and its dictionary are written.

Partitions that stay keep their files. Where ids are given out anew, they are written again, with the rows in the same
order (see :mod:`~tabvault.engine.encoder.numbering`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.encoder.numbering import continued, fresh
from tabvault.engine.encoder.scratch import ScratchBody
from tabvault.engine.encoder.stored_values import texts_of
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import dictionary, hybrid_writer, idf, idfmeta
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID
from tabvault.model.objects import DataType, DictionaryDataType, DictionaryType
from tabvault.model.processed import ProcessedDictionary, ProcessedSegments, ProcessedStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tabvault.engine.encoder.existing import ExistingColumn
    from tabvault.engine.encoder.numbering import Numbering
    from tabvault.engine.encoder.partition_writer import PutAside, SegmentKey
    from tabvault.engine.encoder.scratch import ScratchFile
    from tabvault.engine.encoder.specification import ColumnSpecification, EncoderOptions
    from tabvault.engine.encoder.value_encoding import ValueEncoding
    from tabvault.engine.encoder.vocabulary import Vocabulary
    from tabvault.formats.byte_source import ByteSource
    from tabvault.formats.vertipaq.encoded_segment import EncodedSegment
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta, SegmentStatistics

    StoredEntries: TypeAlias = NDArray[np.int64] | NDArray[np.float64] | pa.LargeStringArray

_HASH_BASE_ID = 2
_LAST_ID_OF_NONE = 2

_BINARY_HASH_ALGORITHM = 2

_ORIGINAL_MIN_OF_NULLS = -(1 << 31)
"""``Statistics_OriginalMinSegmentDataID`` of a column of nulls alone."""


class PartitionRows(NamedTuple):
    """
    Where the rows of a partition come from.

    *kept_count* segments that are stored, then new ones. *is_written*: its files are new even if no id changes.
    """

    partition_id: int
    kept_count: int
    new: Sequence[tuple[SegmentKey, PutAside]]
    is_written: bool


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """
    A column that is encoded.

    Attributes:
        specification: what it is.
        dictionary: facts and body of its dictionary.
        entries: of the dictionary, as they are in the file; None with value encoding.
        value_encoding: what ids stand for without a dictionary.
        used_ids: the ids that rows have, ascending; 2 among them if a row is blank.
        statistics: over all segments.
        segments: the partitions whose files are new.
        folded_count: spellings among the new values that the collation holds equal to another, and that are not kept.
    """

    specification: ColumnSpecification
    dictionary: ProcessedDictionary
    entries: StoredEntries | None
    value_encoding: ValueEncoding | None
    used_ids: NDArray[np.uint32]
    statistics: ProcessedStatistics
    segments: Mapping[int, ProcessedSegments]
    folded_count: int
    new_segments: Mapping[int, tuple[SegmentMeta, ...]] = field(repr=False)
    existing: ExistingColumn | None = field(repr=False)

    def data_ids(self, partition_id: int) -> Iterator[NDArray[np.uint32]]:
        """The ids of each segment of a partition, in the order of its rows."""
        if partition_id in self.segments:
            body = self.segments[partition_id].idf
            assert isinstance(body, ScratchBody)
            yield from idf.decode(body, self.new_segments[partition_id], file=None)
        elif self.existing is not None:
            yield from self.existing.data_ids(partition_id)

    def values(self, data_ids: NDArray[np.uint32]) -> StoredEntries:
        """What ids from 3 on stand for, as the dictionary has it or would have it."""
        if self.value_encoding is not None:
            is_real = self.specification.stored_type.dictionary == DictionaryDataType.REAL
            return self.value_encoding.values(data_ids, is_real=is_real)
        assert self.entries is not None
        places = data_ids.astype(np.int64) - FIRST_DATA_ID
        return self.entries[places] if isinstance(self.entries, np.ndarray) else self.entries.take(pa.array(places))


class ColumnEncoder:
    """
    Encodes a column.

    Args:
        specification: the column.
        vocabulary: the values of its new segments.
        existing: what it has, if partitions stay.
        equality_keys: of texts, by the model's collation.
        options: how files are written.
        scratch: where they are written.
    """

    def __init__(
        self,
        specification: ColumnSpecification,
        vocabulary: Vocabulary,
        existing: ExistingColumn | None,
        equality_keys: Callable[[pa.Array], pa.Array],
        options: EncoderOptions,
        scratch: ScratchFile,
    ) -> None:
        self._specification = specification
        self._vocabulary = vocabulary
        self._existing = existing
        self._equality_keys = equality_keys if specification.data_type == DataType.STRING else None
        self._options = options
        self._scratch = scratch

    def encode(self, partitions: Sequence[PartitionRows], *, row_count: int) -> EncodedColumn:
        """
        Encode the column.

        Args:
            partitions: all of them, in the order of their storage positions.
            row_count: of the table.
        """
        kept = self._kept_ids(partitions)
        keys = [key for partition in partitions for key, _ in partition.new]
        numbering = self._numbering(keys, kept, row_count=row_count)
        segments, metas, statistics = {}, {}, []
        for partition in partitions:
            if not partition.is_written and numbering.kept_ids is None:
                statistics += self._kept_statistics(partition.partition_id)
                continue
            idf_body, written = self._write(partition, numbering)
            segments[partition.partition_id] = ProcessedSegments(
                len(written),
                idf_body,
                MemorySource(idfmeta.build(written, with_data_offsets=self._options.with_data_offsets)),
            )
            metas[partition.partition_id] = tuple(written)
            statistics += [meta.statistics for meta in written]
        has_nulls = any(segment.has_nulls for segment in statistics)
        blank = np.full(int(has_nulls), NULL_DATA_ID, np.uint32)
        used_ids = np.concatenate((blank, numbering.used_ids))
        entries = self._file_entries(numbering.entries)
        return EncodedColumn(
            specification=self._specification,
            dictionary=self._dictionary(numbering, entries),
            entries=entries,
            value_encoding=numbering.encoding,
            used_ids=used_ids,
            statistics=_statistics(statistics, used_ids, is_value_encoded=numbering.encoding is not None),
            segments=segments,
            folded_count=numbering.folded_count,
            new_segments=metas,
            existing=self._existing,
        )

    def _kept_ids(self, partitions: Sequence[PartitionRows]) -> NDArray[np.uint32]:
        """The ids that rows which stay have, ascending."""
        found = pa.array([], pa.uint32())
        if self._existing is not None:
            for partition in partitions:
                if partition.kept_count:
                    for data_ids in self._kept(partition):
                        found = pc.unique(pa.chunked_array([found, pc.unique(pa.array(data_ids))]))
        return np.sort(found.to_numpy())

    def _kept(self, partition: PartitionRows) -> Iterator[NDArray[np.uint32]]:
        if self._existing is not None and partition.kept_count:
            found = self._existing.data_ids(partition.partition_id)
            yield from islice(found, partition.kept_count)

    def _kept_statistics(self, partition_id: int) -> list[SegmentStatistics]:
        return [] if self._existing is None else self._existing.statistics(partition_id)

    def _numbering(self, keys: Sequence[SegmentKey], kept: NDArray[np.uint32], *, row_count: int) -> Numbering:
        column, vocabulary, equality_keys = self._specification, self._vocabulary, self._equality_keys
        if self._existing is None or len(kept) == 0:
            return fresh(column, vocabulary, keys, equality_keys, row_count=row_count)
        return continued(
            column,
            vocabulary,
            keys,
            equality_keys,
            self._existing,
            kept,
            row_count=row_count,
            defragment=self._options.defragment,
        )

    def _write(self, partition: PartitionRows, numbering: Numbering) -> tuple[ByteSource, list[SegmentMeta]]:
        offset, byte_count, metas = None, 0, []
        for data_ids in self._ids_of(partition, numbering):
            segment = self._encoded(data_ids, numbering)
            at = self._scratch.append(segment.words)
            offset = at if offset is None else offset
            byte_count += len(segment.words)
            metas.append(segment.meta)
        assert offset is not None, "a partition has a segment, be it empty"
        return ScratchBody(self._scratch, offset, byte_count), metas

    def _ids_of(self, partition: PartitionRows, numbering: Numbering) -> Iterator[NDArray[np.uint32]]:
        """The ids of each segment of a partition; one segment without rows if there are none."""
        for data_ids in self._kept(partition):
            yield data_ids if numbering.kept_ids is None else numbering.kept_ids.of(data_ids)
        for key, put_aside in partition.new:
            ids = np.concatenate((np.array([NULL_DATA_ID], np.uint32), numbering.new_ids[key]))
            yield ids.take(put_aside.read())
        if not partition.kept_count and not partition.new:
            yield np.empty(0, np.uint32)

    def _encoded(self, data_ids: NDArray[np.uint32], numbering: Numbering) -> EncodedSegment:
        return hybrid_writer.encode(
            data_ids,
            mask=self._specification.mask,
            bookmark=self._options.bookmark,
            is_value_encoded=numbering.encoding is not None,
        )

    def _file_entries(self, entries: pa.Array | None) -> StoredEntries | None:
        if entries is None:
            return None
        if pa.types.is_large_binary(entries.type):
            return texts_of(entries)
        return entries if pa.types.is_large_string(entries.type) else entries.to_numpy()

    def _dictionary(self, numbering: Numbering, entries: StoredEntries | None) -> ProcessedDictionary:
        column, encoding = self._specification, numbering.encoding
        data_type = column.stored_type.dictionary
        if entries is None:
            assert encoding is not None
            return ProcessedDictionary(
                type=DictionaryType.VALUE,
                data_type=data_type,
                base_id=encoding.base_id,
                magnitude=encoding.magnitude,
                last_id=_LAST_ID_OF_NONE,
                is_unique=False,
                is_operating_on_32=False,
                dictionary_flags=0,
                body=None,
            )
        is_long = data_type == DictionaryDataType.LONG and isinstance(entries, np.ndarray)
        return ProcessedDictionary(
            type=DictionaryType.HASH,
            data_type=data_type,
            base_id=_HASH_BASE_ID,
            magnitude=0.0,
            last_id=len(entries) + NULL_DATA_ID,
            is_unique=column.is_key and len(entries) > 0,
            is_operating_on_32=is_long and dictionary.is_operating_on_32(entries),
            dictionary_flags=column.stored_type.flags,
            body=self._dictionary_body(entries) if len(entries) else None,
        )

    def _dictionary_body(self, entries: StoredEntries) -> ByteSource:
        if isinstance(entries, np.ndarray):
            return MemorySource(dictionary.build_numbers(entries))
        is_binary = self._specification.data_type == DataType.BINARY
        algorithm = _BINARY_HASH_ALGORITHM if is_binary else self._options.string_hash_algorithm
        return self._scratch.append_all(dictionary.build_strings(entries, hash_algorithm=algorithm))


def _statistics(
    segments: Sequence[SegmentStatistics], used_ids: NDArray[np.uint32], *, is_value_encoded: bool
) -> ProcessedStatistics:
    """
    Of a column over its segments. DistinctStates counts BLANK only with value encoding, and is never 0 in a column with
    a dictionary: read off genuine files.
    """
    row_count = sum(segment.row_count for segment in segments)
    values = used_ids[used_ids > NULL_DATA_ID]
    is_blank = len(values) == 0
    return ProcessedStatistics(
        distinct_states=len(used_ids) if is_value_encoded else max(1, len(values)),
        min_data_id=NULL_DATA_ID if is_blank else int(values[0]),
        max_data_id=NULL_DATA_ID if is_blank else int(values[-1]),
        original_min_segment_data_id=_ORIGINAL_MIN_OF_NULLS if is_blank and row_count else NULL_DATA_ID,
        row_count=row_count,
        has_nulls=any(segment.has_nulls for segment in segments),
        rle_runs=sum(segment.rle_runs for segment in segments),
        others_rle_runs=sum(segment.others_rle_runs for segment in segments),
    )
