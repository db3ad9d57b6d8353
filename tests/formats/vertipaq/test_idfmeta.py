"""Segment metadata, against files of real servers written out in hexadecimal."""

from __future__ import annotations

import struct

import pytest
from damage import every_prefix_is_refused, flipped_bits_are_found_or_read

from tabvault.errors import FormatError, LimitError, TruncatedError
from tabvault.formats.vertipaq import idfmeta
from tabvault.formats.vertipaq.idfmeta import SegmentDataOffsets, SegmentMeta, SegmentStatistics

PRODUCT_TYPE_CODE = bytes.fromhex(
    "3c313a435000 0100000000000000 3c313a435300 0f00000000000000 0100000000000000 5aba0a00 38ba0a00"
    "0100000000000000 2000000000000000 0400000000000000 00 03000000"
    "3c313a535300 0000000000000000 03000000 06000000 03000000 ffffffffffffffff 0f00000000000000 00"
    "0000000000000000 0100000000000000 53533a313e00"
    "01 3c313a435300 0f00000000000000 0000000000000000 00 43533a313e00 43533a313e00 43503a313e00"
)
"""``ProductSubtypes (212).ProductTypeCode (217)`` of an SSAS 2016 backup, 180 bytes."""

ROW_NUMBER = bytes.fromhex(
    "3c313a435000 0100000000000000 3c313a435300 1b00000000000000 0000000000000000 5aba0a00 5bba0a00"
    "1800000000000000 2000000000000000 0200000000000000 00 03000000"
    "3c313a535300 0000000000000000 03000000 1d000000 02000000 ffffffffffffffff 1b00000000000000 00"
    "0000000000000000 0000000000000000 53533a313e00"
    "01 3c313a435300 1b00000000000000 0000000000000000 00 43533a313e00 43533a313e00 43503a313e00"
    "3c313a53444f7300 3c313a4353444f7300 0000000000000000 1000000000000000"
    "3c313a4353444f7300 8800000000000000 0000000000000000 4353444f733a313e00 4353444f733a313e00 53444f733a313e00"
)
"""The row number of ``Dim Employee (12)`` of a Power BI cache of 2026, 264 bytes, with segment data offsets."""

_SYSTEM_SEGMENT = (
    "3c313a435300 {records} 0000000000000000 56ba0a00 01000000 00000000"
    "3c313a535300 0000000000000000 02000000 02000000 02000000 ffffffffffffffff 0000000000000000 00"
    "0000000000000000 0000000000000000 53533a313e00 00 43533a313e00"
)
ID_TO_POS = bytes.fromhex(
    "3c313a435000 0200000000000000"
    + _SYSTEM_SEGMENT.format(records="0600000000000000")
    + _SYSTEM_SEGMENT.format(records="0300000000000000")
    + "43503a313e00"
)
"""``H$BatchInfo (827)$MachineNumber (831).ID_TO_POS`` of an SSAS 2016 backup, 232 bytes."""


def parsed(data: bytes) -> tuple[SegmentMeta, ...]:
    return idfmeta.parse(data, file="x.idfmeta")


def changed(data: bytes, offset: int, form: str, value: int) -> bytes:
    patched = bytearray(data)
    struct.pack_into(form, patched, offset, value)
    return bytes(patched)


def test_a_table_column_has_every_field() -> None:
    assert len(PRODUCT_TYPE_CODE) == 180
    (segment,) = parsed(PRODUCT_TYPE_CODE)
    assert segment == SegmentMeta(
        records=15,
        mask=1,
        compression_class=0xABA5A,
        sub_class=0xABA38,
        bookmark_bits=1,
        storage_alloc_size=32,
        storage_used_size=4,
        min=3,
        statistics=SegmentStatistics(
            distinct_states=0,
            min_data_id=3,
            max_data_id=6,
            original_min_segment_data_id=3,
            rle_sort_order=-1,
            row_count=15,
            has_nulls=False,
            rle_runs=0,
            others_rle_runs=1,
        ),
        sub_records=15,
        data_offsets=None,
    )
    assert segment.is_hybrid
    assert not segment.is_xm123
    assert segment.bit_width == 2


def test_a_newer_file_says_where_the_segments_lie() -> None:
    assert len(ROW_NUMBER) == 264
    (segment,) = parsed(ROW_NUMBER)
    assert segment.is_xm123
    assert segment.statistics.max_data_id == 29
    assert segment.data_offsets == SegmentDataOffsets(0, 16, SegmentDataOffsets(0x88, 0, None))


def test_a_system_column_has_segments_without_run_lengths() -> None:
    assert len(ID_TO_POS) == 232
    segments = parsed(ID_TO_POS)
    assert [segment.records for segment in segments] == [6, 3]
    assert [segment.bit_width for segment in segments] == [32, 32]
    assert {(segment.is_hybrid, segment.storage_used_size, segment.sub_records) for segment in segments} == {
        (False, None, None)
    }


@pytest.mark.parametrize("data", [PRODUCT_TYPE_CODE, ROW_NUMBER, ID_TO_POS])
def test_every_prefix_but_the_file_without_offsets_is_refused(data: bytes) -> None:
    whole_without_offsets = 180 if data == ROW_NUMBER else 0
    for end in range(len(data)):
        if end != whole_without_offsets:
            with pytest.raises(FormatError):
                parsed(data[:end])
    assert len(parsed(data)) in {1, 2}


@pytest.mark.parametrize("data", [PRODUCT_TYPE_CODE, ROW_NUMBER, ID_TO_POS])
def test_flipped_bits_are_found_or_read(data: bytes) -> None:
    assert flipped_bits_are_found_or_read(parsed, data, count=2000) > 600


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(FormatError, match="1 bytes follow the end of the segment metadata"):
        parsed(ROW_NUMBER + b"\0")


def test_a_segment_count_of_no_file_is_refused_before_anything_is_made_of_it() -> None:
    with pytest.raises(LimitError, match=f"segment count is {1 << 60}"):
        parsed(changed(PRODUCT_TYPE_CODE, 6, "<Q", 1 << 60))


def test_more_rows_than_a_segment_can_have_are_refused() -> None:
    with pytest.raises(LimitError, match="Records is 134217729, over 134217728"):
        parsed(changed(PRODUCT_TYPE_CODE, 20, "<Q", (1 << 27) + 1))


@pytest.mark.parametrize(
    ("offset", "value"), [(36, 0xABA5B), (36, 0xABA36), (36, 0xABA43), (40, 0xABA41), (40, 1), (40, 0xABA5A)]
)
def test_a_class_whose_layout_is_not_known_is_refused(offset: int, value: int) -> None:
    with pytest.raises(FormatError, match=r"CompressionClass 0x\w+ with SubClass 0x\w+ is not known"):
        parsed(changed(PRODUCT_TYPE_CODE, offset, "<I", value))


@pytest.mark.parametrize(
    ("offset", "form", "value", "message"),
    [
        (20, "<Q", 16, "RowCount is 15, and Records is 16"),
        (60, "<Q", 6, r"StorageUsedSize is 6, and 2 \* \(RLERuns \+ OthersRLERuns \+ 1\) is 4"),
        (68, "<B", 1, "SegmentNeedsResizing is 1, not 0"),
        (69, "<i", 4, "Min is 4, and the lowest data id is 3"),
        (115, "<B", 1, "Min is 3, and the lowest data id is 2"),
        (115, "<B", 2, "HasNulls is 2, neither 0 nor 1"),
        (91, "<I", 7, "MaxDataID 7 does not fit into 2 bits from 3 on"),
        (91, "<I", 2, "MinDataID 3 and MaxDataID 2 are no range of data ids"),
        (138, "<B", 0, "subsegment begins with 00 3c 31 3a 43 53 00, not 01 3c"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(offset: int, form: str, value: int, message: str) -> None:
    with pytest.raises(FormatError, match=message) as refusal:
        parsed(changed(PRODUCT_TYPE_CODE, offset, form, value))
    assert refusal.value.file == "x.idfmeta"


def test_an_id_below_the_first_is_refused() -> None:
    patched = changed(changed(PRODUCT_TYPE_CODE, 69, "<i", 1), 87, "<I", 1)
    with pytest.raises(FormatError, match="MinDataID 1 and MaxDataID 6 are no range"):
        parsed(patched)


def test_an_empty_file_is_truncated() -> None:
    with pytest.raises(TruncatedError):
        parsed(b"")


def test_no_segment_is_a_file_too() -> None:
    assert parsed(bytes.fromhex("3c313a435000 0000000000000000 43503a313e00")) == ()
    every_prefix_is_refused(parsed, bytes.fromhex("3c313a435000 0000000000000000 43503a313e00"))


@pytest.mark.parametrize("data", [PRODUCT_TYPE_CODE, ROW_NUMBER, ID_TO_POS], ids=["hybrid", "row number", "system"])
def test_files_of_real_servers_are_written_back(data: bytes) -> None:
    with_data_offsets = data is ROW_NUMBER
    assert idfmeta.build(parsed(data), with_data_offsets=with_data_offsets) == data


def test_data_offsets_follow_from_the_word_counts_of_all_segments_before() -> None:
    (column,), (row_number,) = parsed(PRODUCT_TYPE_CODE), parsed(ROW_NUMBER)
    hybrid = parsed(idfmeta.build([column, row_number, column], with_data_offsets=True))
    assert [segment.data_offsets for segment in hybrid] == [
        SegmentDataOffsets(0, 16, SegmentDataOffsets(0x88, 1, None)),
        SegmentDataOffsets(0x98, 16, SegmentDataOffsets(0x120, 0, None)),
        SegmentDataOffsets(0x128, 16, SegmentDataOffsets(0x1B0, 1, None)),
    ]
    system = parsed(idfmeta.build(parsed(ID_TO_POS), with_data_offsets=True))
    assert [segment.data_offsets for segment in system] == [
        SegmentDataOffsets(0, 4, None),
        SegmentDataOffsets(40, 2, None),
    ]


def test_no_segment_is_written_too() -> None:
    assert idfmeta.build([], with_data_offsets=False) == b"<1:CP\0" + bytes(8) + b"CP:1>\0"
    assert parsed(idfmeta.build([], with_data_offsets=True)) == ()
