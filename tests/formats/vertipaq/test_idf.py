"""Segments of data ids, against words written out by hand and against a slow encoder of the same rules."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from damage import every_prefix_is_refused, flipped_bits_are_found_or_read
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError
from tabvault.formats.vertipaq import bit_widths, idf
from tabvault.formats.vertipaq.idfmeta import (
    HYBRID_CLASS,
    NO_SPLIT_CLASS,
    XM123_CLASS,
    SegmentDataOffsets,
    SegmentMeta,
    SegmentStatistics,
)

SLACK = b"\xfe" * 8


def frame(*words: bytes, of: int | None = None) -> bytes:
    """A count of words, and words; *of* so many, the rest slack."""
    count = len(words) if of is None else of
    return struct.pack("<Q", count) + b"".join(words) + SLACK * (count - len(words))


def entry(value: int, count: int) -> bytes:
    return struct.pack("<II", value, count)


def packed(values: list[int], bit_width: int) -> bytes:
    per_word = 64 // bit_width
    words = [0] * (len(values) // per_word + 1)
    for index, value in enumerate(values):
        words[index // per_word] |= value << (index % per_word * bit_width)
    return frame(*(word.to_bytes(8, "little") for word in words))


def hybrid(
    *,
    records: int,
    ids: tuple[int, int],
    entries: tuple[int, int],
    bit_width: int = 2,
    sub_records: int = 0,
    nulls: bool = False,
    alloc: int = 16,
) -> SegmentMeta:
    """The metadata of a table column's segment with so many runs and bit-packed stretches."""
    return SegmentMeta(
        records=records,
        mask=1,
        compression_class=HYBRID_CLASS,
        sub_class=NO_SPLIT_CLASS + bit_width,
        bookmark_bits=1,
        storage_alloc_size=2 * alloc,
        storage_used_size=2 * (sum(entries) + 1) if records else 2,
        min=2 if nulls else ids[0],
        statistics=SegmentStatistics(
            distinct_states=0,
            min_data_id=ids[0],
            max_data_id=ids[1],
            original_min_segment_data_id=2,
            rle_sort_order=-1,
            row_count=records,
            has_nulls=nulls,
            rle_runs=entries[0],
            others_rle_runs=entries[1],
        ),
        sub_records=sub_records,
        data_offsets=None,
    )


def system(records: int, *, bit_width: int = 32, minimum: int = 0) -> SegmentMeta:
    return SegmentMeta(
        records=records,
        mask=0,
        compression_class=NO_SPLIT_CLASS + bit_width,
        sub_class=1,
        bookmark_bits=None,
        storage_alloc_size=None,
        storage_used_size=None,
        min=minimum,
        statistics=SegmentStatistics(0, 2, 2, 2, -1, 0, has_nulls=False, rle_runs=0, others_rle_runs=0),
        sub_records=None,
        data_offsets=None,
    )


def decoded(data: bytes, *segments: SegmentMeta) -> list[list[int]]:
    return [data_ids.tolist() for data_ids in idf.decode(data, segments, file="x.idf")]


PRODUCT_TYPE_CODE = (
    bytes.fromhex("1000000000000000 ffffffff 0f000000")
    + bytes(120)
    + bytes.fromhex("0100000000000000 0055ea3f00000000")
)
"""``ProductSubtypes (212).ProductTypeCode (217)`` of an SSAS 2016 backup, 152 bytes."""
PRODUCT_TYPE_CODE_META = hybrid(records=15, ids=(3, 6), entries=(0, 1), sub_records=15)

MIXED = frame(entry(9, 70), entry(0xFFFFFFFF, 3), entry(4, 65), entry(0xFFFFFFFF - 3, 2), of=16) + packed(
    [1, 2, 3, 0, 1], 3
)
MIXED_META = hybrid(records=140, ids=(4, 9), entries=(2, 2), bit_width=3, sub_records=5)
"""Two runs and two stretches; what follows the entries is slack, and no zeros."""
MIXED_IDS = [9] * 70 + [5, 6, 7] + [4] * 65 + [4, 5]


def test_a_column_of_a_real_server_decodes() -> None:
    assert len(PRODUCT_TYPE_CODE) == 152
    assert decoded(PRODUCT_TYPE_CODE, PRODUCT_TYPE_CODE_META) == [[3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6]]


def test_runs_and_stretches_alternate_and_slack_is_not_read() -> None:
    assert decoded(MIXED, MIXED_META) == [MIXED_IDS]


def test_runs_alone_leave_one_word_in_the_subsegment() -> None:
    data = frame(entry(4, 26579), entry(3, 125), entry(5, 304), of=16) + frame(bytes(8))
    (data_ids,) = decoded(data, hybrid(records=27008, ids=(3, 5), entries=(3, 0)))
    assert data_ids == [4] * 26579 + [3] * 125 + [5] * 304


def test_nulls_are_packed_from_two_on() -> None:
    data = frame(entry(0xFFFFFFFF, 4), of=16) + packed([0, 5, 4, 0], 3)
    assert decoded(data, hybrid(records=4, ids=(6, 7), entries=(0, 1), bit_width=3, sub_records=4, nulls=True)) == [
        [2, 7, 6, 2]
    ]


def test_a_segment_of_nothing_but_nulls_decodes() -> None:
    data = frame(entry(2, 100), of=16) + frame(bytes(8))
    assert decoded(data, hybrid(records=100, ids=(2, 2), entries=(1, 0), bit_width=1, nulls=True)) == [[2] * 100]


def test_an_empty_segment_decodes() -> None:
    data = frame(of=16) + frame(bytes(8))
    assert decoded(data, hybrid(records=0, ids=(2, 2), entries=(0, 1), bit_width=1)) == [[]]


def test_a_row_number_counts_up_from_its_first_id() -> None:
    meta = hybrid(records=5, ids=(103, 107), entries=(0, 0), sub_records=5)
    meta = replace(meta, sub_class=XM123_CLASS, min=3)
    data = frame(entry(0xFFFFFFFF, 5), of=16) + frame()
    assert decoded(data, meta) == [[103, 104, 105, 106, 107]]
    with pytest.raises(FormatError, match="MinDataID to MaxDataID are 6 ids, and Records is 5"):
        decoded(data, replace(meta, statistics=replace(meta.statistics, max_data_id=108)))
    with pytest.raises(FormatError, match="is not the mark of 5 rows"):
        decoded(frame(entry(0xFFFFFFFF, 4), of=16) + frame(), meta)
    with pytest.raises(FormatError, match="row number of 5 rows has 5 rows and 1 words in its subsegment"):
        decoded(frame(entry(0xFFFFFFFF, 5), of=16) + frame(bytes(8)), meta)


def test_segments_follow_one_another_where_the_metadata_say() -> None:
    places = SegmentDataOffsets(0, 16, SegmentDataOffsets(0x88, 1, None))
    later = SegmentDataOffsets(0x98, 16, SegmentDataOffsets(0x120, 1, None))
    metas = (replace(PRODUCT_TYPE_CODE_META, data_offsets=places), replace(MIXED_META, data_offsets=later))
    both = PRODUCT_TYPE_CODE + MIXED
    assert decoded(both, *metas)[1] == MIXED_IDS
    wrong = replace(later, sub=SegmentDataOffsets(0x121, 1, None))
    with pytest.raises(FormatError, match="segment data offsets say 1 at byte 0x121"):
        decoded(both, metas[0], replace(MIXED_META, data_offsets=wrong))


def test_each_segment_may_be_asked_for_later() -> None:
    segments = idf.decode(PRODUCT_TYPE_CODE + MIXED, (PRODUCT_TYPE_CODE_META, MIXED_META), file=None)
    assert len(next(segments)) == 15
    assert next(segments).tolist() == MIXED_IDS


def test_a_system_column_of_a_real_server_decodes() -> None:
    pos_to_id = bytes.fromhex(  # H$BatchInfo (827)$MachineNumber (831), 6 values in segments of 6 and 3
        "0400000000000000 03000000 04000000 05000000 06000000 07000000 08000000 0000000000000000"
        "0200000000000000 00000000 00000000 0000000000000000"
    )
    assert len(pos_to_id) == 64
    segments = idf.decode_system(pos_to_id, (system(6), system(3)), file="x.idf")
    assert [values.tolist() for values in segments] == [[3, 4, 5, 6, 7, 8], [0, 0, 0]]


def test_a_relationship_index_holds_minus_one_for_no_match() -> None:
    (values,) = idf.decode_system(packed([0, 0, 0, 2, 1], 2), (system(5, bit_width=2, minimum=-1),), file=None)
    assert values.tolist() == [-1, -1, -1, 1, 0]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(2, 40), st.sampled_from([1, 1, 2, 3, 64, 200])), min_size=1, max_size=40),
)
def test_any_column_comes_back(runs: list[tuple[int, int]]) -> None:
    """Against the encoder's rule in plain words: runs of 64 and more are entries, all between them one stretch."""
    data_ids = [data_id for data_id, count in runs for _ in range(count)]
    values = [data_id for data_id in data_ids if data_id != 2]
    lowest, highest, nulls = min(values, default=2), max(values, default=2), 2 in data_ids
    base = 2 if nulls else lowest
    entries, stretch, stored = [], 0, []
    for data_id, group in groupby(data_ids):
        count = len(list(group))
        if count >= 64:
            entries += [("stretch", stretch)] * bool(stretch) + [(data_id, count)]
            stretch = 0
        else:
            stretch += count
            stored += [data_id - base] * count
    entries += [("stretch", stretch)] * bool(stretch)
    taken, words = 0, []
    for value, count in entries:
        words.append(entry(0xFFFFFFFF - taken if value == "stretch" else value, count))
        taken += count if value == "stretch" else 0
    stretches = sum(value == "stretch" for value, _ in entries)
    bit_width = next(width for width in bit_widths.BIT_WIDTHS if highest - base < 1 << width)
    meta = hybrid(
        records=len(data_ids),
        ids=(lowest, highest),
        entries=(len(entries) - stretches, stretches),
        bit_width=bit_width,
        sub_records=len(stored),
        nulls=nulls,
        alloc=64,
    )
    assert decoded(frame(*words, of=64) + packed(stored, bit_width), meta) == [data_ids]


def mixed(**changed: object) -> SegmentMeta:
    return replace(MIXED_META, **changed)  # type: ignore[arg-type]


def with_statistics(**changed: object) -> SegmentMeta:
    return replace(MIXED_META, statistics=replace(MIXED_META.statistics, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (mixed(records=141), "are 140, 5, 2; Records, Records of the subsegment and OthersRLERuns say 141, 5, 2"),
        (mixed(records=4), "Records of the subsegment is 5, over 4 of the segment"),
        (mixed(storage_alloc_size=30), "16 primary words, with StorageAllocSize 30 and StorageUsedSize 10"),
        (mixed(storage_used_size=34), "StorageUsedSize 34"),
        (mixed(storage_used_size=8), "are 138, 3, 1; "),
        (mixed(sub_records=4), "are 140, 5, 2; "),
        (mixed(sub_records=64), "1 words for 64 values of 3 bits, not 4"),
        (with_statistics(others_rle_runs=1), "OthersRLERuns say 140, 5, 1"),
        (with_statistics(max_data_id=8), "are 140, 75, 3; "),
        (with_statistics(max_data_id=10), "data ids run from 4 to 9, nulls: False; .* say 4, 10, False"),
        (with_statistics(min_data_id=5), "data ids run from 4 to 9, nulls: False; .* say 5, 9, False"),
        (with_statistics(has_nulls=True), "data ids run from 4 to 9, nulls: False; .* say 4, 9, True"),
        (with_statistics(max_data_id=0xFFFFFFFC), "cannot be told from the marks of 5 bit-packed values"),
        (system(140), "CompressionClass is 0xaba56 in a column of a table"),
    ],
)
def test_metadata_that_contradict_the_words_are_refused(meta: SegmentMeta, message: str) -> None:
    with pytest.raises(FormatError, match=message) as refusal:
        decoded(MIXED, meta)
    assert refusal.value.file == "x.idf"
    assert refusal.value.offset is not None


@pytest.mark.parametrize("stretches", [[(0, 4)], [(0, 6)], [(1, 5)], [(0, 3), (3, 1)], [(0, 3), (2, 2)]])
def test_one_stretch_has_to_be_for_all_rows(stretches: list[tuple[int, int]]) -> None:
    packed_ids = packed([0, 1, 2, 3, 0], 2)
    meta = hybrid(records=5, ids=(3, 6), entries=(0, len(stretches)), sub_records=5)
    words = [entry(0xFFFFFFFF - taken, count) for taken, count in stretches]
    with pytest.raises(FormatError, match=r"OthersRLERuns say 5, 5|mark of its place"):
        decoded(frame(*words, of=16) + packed_ids, meta)


def test_two_stretches_side_by_side_are_read_too() -> None:
    """The engine writes one; nothing but its habit forbids two."""
    meta = hybrid(records=5, ids=(3, 6), entries=(0, 2), sub_records=5)
    words = (entry(0xFFFFFFFF, 3), entry(0xFFFFFFFF - 3, 2))
    assert decoded(frame(*words, of=16) + packed([0, 1, 2, 3, 0], 2), meta) == [[3, 4, 5, 6, 3]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((entry(9, 70), entry(0xFFFFFFFF, 3), entry(4, 65), entry(0xFFFFFFFF, 2)), "nor the mark of its place"),
        ((entry(9, 70), entry(0xFFFFFFFF, 3), entry(4, 65), entry(10, 2)), "nor the mark of its place"),
        ((entry(9, 67), entry(0xFFFFFFFF, 3), entry(4, 68), entry(0xFFFFFFFF - 3, 2)), None),
        ((entry(9, 135), entry(0xFFFFFFFF, 3), entry(4, 0), entry(0xFFFFFFFF - 3, 2)), "an entry is for no row"),
        ((entry(1, 70), entry(0xFFFFFFFF, 3), entry(4, 65), entry(0xFFFFFFFF - 3, 2)), "data id 1 stands for nothing"),
        ((entry(2, 70), entry(0xFFFFFFFF, 3), entry(4, 65), entry(0xFFFFFFFF - 3, 2)), "nulls: True"),
        ((entry(8, 70), entry(0xFFFFFFFF, 3), entry(4, 65), entry(0xFFFFFFFF - 3, 2)), "run from 4 to 8"),
    ],
)
def test_words_that_contradict_the_metadata_are_refused(words: tuple[bytes, ...], message: str | None) -> None:
    data = frame(*words, of=16) + packed([1, 2, 3, 0, 1], 3)
    if message is None:
        assert len(decoded(data, MIXED_META)[0]) == 140
        return
    with pytest.raises(FormatError, match=message):
        decoded(data, MIXED_META)


def test_a_packed_value_over_the_highest_id_is_refused_even_where_its_sum_wraps() -> None:
    meta = hybrid(records=2, ids=(5, 0xFFFFFFF0), entries=(0, 1), bit_width=32, sub_records=2)
    assert decoded(frame(entry(0xFFFFFFFF, 2), of=16) + packed([0, 0xFFFFFFEB], 32), meta) == [[5, 0xFFFFFFF0]]
    for stored in (0xFFFFFFEC, 0xFFFFFFFB, 0xFFFFFFFD, 0xFFFFFFFF):
        with pytest.raises(FormatError):
            decoded(frame(entry(0xFFFFFFFF, 2), of=16) + packed([0, stored], 32), meta)


def test_only_zeros_may_follow_the_last_segment() -> None:
    assert np.array_equal(decoded(MIXED + bytes(8), MIXED_META), decoded(MIXED, MIXED_META))
    with pytest.raises(FormatError, match="9 bytes follow the end of the last segment"):
        decoded(MIXED + bytes(8) + b"\1", MIXED_META)
    every_prefix_is_refused(lambda data: decoded(data, MIXED_META), MIXED)


def test_no_length_of_a_file_makes_us_allocate_by_it() -> None:
    started = time.monotonic()
    for word_count in (1 << 61, (1 << 64) - 1, 1 << 40):
        with pytest.raises(FormatError, match="needs"):
            decoded(struct.pack("<Q", word_count) + MIXED[8:], MIXED_META)
    data = frame(*[entry(9, 0xFFFFFFFF)] * 14, of=16) + frame(bytes(8))
    with pytest.raises(FormatError, match="Records"):
        decoded(data, hybrid(records=140, ids=(4, 9), entries=(14, 0), bit_width=3))
    assert time.monotonic() - started < 1


def test_flipped_bits_are_found_or_read() -> None:
    refused = flipped_bits_are_found_or_read(lambda data: decoded(data, MIXED_META), MIXED, count=2000)
    assert refused > 500  # 12 of 16 primary words are slack


def test_a_segment_is_a_copy() -> None:
    data = bytearray(PRODUCT_TYPE_CODE)
    (data_ids,) = idf.decode(memoryview(data), (PRODUCT_TYPE_CODE_META,), file=None)
    data[:] = bytes(len(data))
    assert np.array_equal(data_ids[:5], [3, 3, 3, 3, 4])
