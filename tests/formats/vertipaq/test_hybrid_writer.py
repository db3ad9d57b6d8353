"""Segments of table columns as they are written: bytes of real servers, the rules in plain words, and two readers."""

from __future__ import annotations

from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pbixray.column_data.idfmeta import IdfmetaParser
from pbixray.vertipaq_decoder import VertiPaqDecoder

from tabvault.formats.vertipaq import bit_widths, hybrid_writer, idf, idfmeta
from tabvault.formats.vertipaq.hybrid_writer import BookmarkRule

PRODUCT_TYPE_CODE_IDS = [3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 6]
PRODUCT_TYPE_CODE = (
    bytes.fromhex("1000000000000000 ffffffff 0f000000")
    + bytes(120)
    + bytes.fromhex("0100000000000000 0055ea3f00000000")
)
"""``ProductSubtypes (212).ProductTypeCode (217)`` of an SSAS 2016 backup, 152 bytes; a value-encoded column."""

PRODUCT_TYPE_CODE_META = bytes.fromhex(
    "3c313a435000 0100000000000000 3c313a435300 0f00000000000000 0100000000000000 5aba0a00 38ba0a00"
    "0100000000000000 2000000000000000 0400000000000000 00 03000000"
    "3c313a535300 0000000000000000 03000000 06000000 03000000 ffffffffffffffff 0f00000000000000 00"
    "0000000000000000 0100000000000000 53533a313e00"
    "01 3c313a435300 0f00000000000000 0000000000000000 00 43533a313e00 43533a313e00 43503a313e00"
)

EMPTY_ROW_NUMBER = bytes.fromhex("1000000000000000 ffffffff 00000000") + bytes(120) + bytes(8)
"""The row number of a table without rows, ``fact_dividends (21)`` of a Power BI cache of 2026."""


def encoded(data_ids: list[int], *, bookmark: BookmarkRule = BookmarkRule.ENTRIES, is_value_encoded: bool = False):
    ids = np.array(data_ids, np.uint32)
    return hybrid_writer.encode(ids, bookmark=bookmark, is_value_encoded=is_value_encoded)


def decoded(*segments) -> list[list[int]]:
    """Through the files, as a reader gets them."""
    meta = idfmeta.parse(idfmeta.build([one.meta for one in segments], with_data_offsets=True), file="x.idfmeta")
    data = b"".join(one.words for one in segments)
    return [data_ids.tolist() for data_ids in idf.decode(data, meta, file="x.idf")]


def words_of(segment) -> list[tuple[int, int]]:
    """The entries in the primary words, slack too."""
    word_count = int.from_bytes(segment.words[:8], "little")
    halves = np.frombuffer(segment.words[8 : 8 + 8 * word_count], "<u4").tolist()
    return list(zip(halves[::2], halves[1::2], strict=True))


def test_a_column_of_a_real_server_is_written_as_it_was() -> None:
    segment = encoded(PRODUCT_TYPE_CODE_IDS, bookmark=BookmarkRule.ROWS, is_value_encoded=True)
    assert segment.words == PRODUCT_TYPE_CODE
    assert idfmeta.build([segment.meta], with_data_offsets=False) == PRODUCT_TYPE_CODE_META


def test_sixty_three_equal_ids_are_packed_and_sixty_four_are_a_run() -> None:
    packed = encoded([5] * 63)
    assert words_of(packed) == [(0xFFFFFFFF, 63)] + [(0, 0)] * 15
    assert packed.meta.sub_records == 63
    run = encoded([5] * 64)
    assert words_of(run) == [(5, 64)] + [(0, 0)] * 15
    assert run.words[-16:] == bytes.fromhex("01" + 15 * "00")
    assert (run.meta.sub_records, run.meta.statistics.rle_runs, run.meta.statistics.others_rle_runs) == (0, 1, 0)


def test_marks_count_down_by_what_was_taken() -> None:
    segment = encoded([9] * 70 + [5, 6, 7] + [4] * 65 + [8, 8] + [9] * 64)
    assert words_of(segment)[:6] == [(9, 70), (0xFFFFFFFF, 3), (4, 65), (0xFFFFFFFF - 3, 2), (9, 64), (0, 0)]
    assert segment.meta.storage_used_size == 12
    assert segment.meta.min == 4
    assert decoded(segment) == [[9] * 70 + [5, 6, 7] + [4] * 65 + [8, 8] + [9] * 64]


@pytest.mark.parametrize(("run_count", "word_count"), [(0, 16), (13, 16), (14, 32), (29, 32), (30, 64)])
def test_three_words_of_slack_remain_in_a_power_of_two(run_count: int, word_count: int) -> None:
    data_ids = [3 + index % 2 for index in range(run_count) for _ in range(64)]
    assert len(words_of(encoded(data_ids))) == word_count


def test_nulls_make_two_the_lowest_and_are_left_out_of_the_statistics() -> None:
    segment = encoded([2, 7, 9, 2])
    assert segment.meta.min == 2
    statistics = segment.meta.statistics
    assert (statistics.min_data_id, statistics.max_data_id, statistics.has_nulls) == (7, 9, True)
    assert segment.meta.bit_width == 3
    assert decoded(segment) == [[2, 7, 9, 2]]


def test_nulls_alone_and_no_rows_are_known_by_their_original_minimum() -> None:
    nulls, empty = encoded([2] * 10).meta, encoded([]).meta
    assert nulls.statistics.original_min_segment_data_id == 0x80000000
    assert empty.statistics.original_min_segment_data_id == 2
    assert encoded([3], is_value_encoded=True).meta.statistics.original_min_segment_data_id == 3
    assert (nulls.statistics.min_data_id, nulls.statistics.max_data_id) == (2, 2)
    assert (empty.statistics.min_data_id, empty.statistics.others_rle_runs, empty.storage_used_size) == (2, 1, 2)
    assert (nulls.statistics.has_nulls, empty.statistics.has_nulls) == (True, False)
    assert decoded(encoded([2] * 10), encoded([]), encoded([2] * 100)) == [[2] * 10, [], [2] * 100]


def test_a_row_number_stores_nothing_but_its_count() -> None:
    segment = hybrid_writer.encode_row_number(27)
    assert segment.words == bytes.fromhex("1000000000000000 ffffffff 1b000000") + bytes(120) + bytes(8)
    assert decoded(segment) == [list(range(3, 30))]
    assert hybrid_writer.encode_row_number(0).words == EMPTY_ROW_NUMBER
    assert decoded(hybrid_writer.encode_row_number(0)) == [[]]


def test_the_row_number_of_a_later_segment_goes_on() -> None:
    segments = (hybrid_writer.encode_row_number(10), hybrid_writer.encode_row_number(5, first_data_id=13))
    assert decoded(*segments) == [list(range(3, 13)), list(range(13, 18))]


@pytest.mark.parametrize(
    ("records", "entry_count", "by_rows", "by_entries"),
    [
        (0, 0, 1, 1),
        (3, 1, 1, 5),  # of BrokenColumns[Type], a file of 2024
        (51, 1, 1, 9),
        (64, 1, 0, 9),
        (126, 1, 0, 10),  # 0 in Adventure Works
        (164, 2, 1, 10),
        (1_048_576, 1, 14, 23),
        (1_048_576, 40_000, 14, 9),
        (1_048_576, (10 * 1_048_577 >> 9) - 1, 14, 10),
    ],
)
def test_bookmark_bits_follow_rows_or_entries(records: int, entry_count: int, by_rows: int, by_entries: int) -> None:
    assert BookmarkRule.ROWS.bits(records=records, entry_count=entry_count) == by_rows
    assert BookmarkRule.ENTRIES.bits(records=records, entry_count=entry_count) == by_entries


RUNS = st.lists(st.tuples(st.integers(2, 40), st.sampled_from([1, 1, 2, 3, 63, 64, 200])), max_size=40)


@settings(deadline=None, max_examples=150)
@given(RUNS)
def test_any_column_follows_the_rule_in_plain_words_and_comes_back(runs: list[tuple[int, int]]) -> None:
    data_ids = [data_id for data_id, count in runs for _ in range(count)]
    segment = encoded(data_ids)
    entries, stretch, taken = [], 0, 0
    groups = [(data_id, len(list(group))) for data_id, group in groupby(data_ids)]
    for data_id, count in [*groups, (None, 64)]:
        if count < 64:
            stretch += count
            continue
        if stretch:
            entries.append((0xFFFFFFFF - taken, stretch))
            taken, stretch = taken + stretch, 0
        if data_id is not None:
            entries.append((data_id, count))
    assert words_of(segment)[: len(entries)] == entries
    assert segment.meta.sub_records == taken
    assert decoded(segment) == [data_ids]


@settings(deadline=None, max_examples=60)
@given(st.lists(RUNS.filter(bool), min_size=1, max_size=3), st.integers(0, 1 << 21))
def test_pbixray_reads_the_same_ids(all_runs: list[list[tuple[int, int]]], shift: int) -> None:
    columns = [
        [data_id + shift if data_id > 2 else 2 for data_id, count in runs for _ in range(count)] for runs in all_runs
    ]
    segments = [encoded(data_ids) for data_ids in columns]
    parsed = IdfmetaParser.from_bytes(idfmeta.build([one.meta for one in segments], with_data_offsets=True))
    described = [
        {
            "min_data_id": 2 if one.ss.has_nulls else one.ss.min_data_id,
            "bit_width": one.bit_width,
            "count_bit_packed": one.subsegment.records,
            "records": one.ss.row_count,
        }
        for one in parsed.column_partition.segments
    ]
    decoder = VertiPaqDecoder(SimpleNamespace(), None)
    found = decoder._read_rle_bit_packed_hybrid(b"".join(one.words for one in segments), described)
    assert found.tolist() == [data_id for data_ids in columns for data_id in data_ids]


@pytest.mark.parametrize("span", [1, 5, 1023, 1024, 1 << 20, (1 << 32) - 300])
def test_a_wide_range_of_ids_comes_back(span: int) -> None:
    data_ids = [3, 3 + span, 3 + span // 2]
    segment = encoded(data_ids)
    assert segment.meta.bit_width == bit_widths.width_of(span)
    assert decoded(segment) == [data_ids]


def test_ids_that_stand_for_nothing_are_mistakes_of_ours() -> None:
    with pytest.raises(ValueError, match="data id 1 stands for nothing"):
        encoded([3, 1])
    with pytest.raises(ValueError, match="cannot be told from the marks of 2 rows"):
        encoded([3, 0xFFFFFFFD])


@pytest.mark.parametrize("distinct", [1, 2, 200, 1 << 20])
def test_a_million_ids_come_back(distinct: int) -> None:
    data_ids = np.random.default_rng(1).integers(3, 3 + distinct, 1 << 20, dtype=np.uint32)
    segment = hybrid_writer.encode(data_ids, bookmark=BookmarkRule.ENTRIES)
    (found,) = idf.decode(segment.words, [segment.meta], file=None)
    assert np.array_equal(found, data_ids)
