"""
The column data of every Power Pivot sample, decoded and written again.

A workbook has its segment metadata as XML ([MS-XLDM] 2.5.2): what the encoder says about a segment is compared with
that, field by field, and its words with the ``.idf`` file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from lxml import etree

from conftest import XML_SAMPLES, sample_path
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import hybrid_writer, idf, no_split
from tabvault.formats.vertipaq.hybrid_writer import BookmarkRule
from tabvault.formats.vertipaq.idfmeta import (
    HYBRID_CLASS,
    NO_SPLIT_CLASS,
    XM123_CLASS,
    SegmentMeta,
    SegmentStatistics,
)
from tabvault.jobs.opening import unwrap
from tabvault.model.container_files import ContainerFiles


def objects(parent: etree._Element, class_prefix: str) -> list[etree._Element]:
    """The objects of a class right below *parent*, however its lists are nested; not those inside other objects."""
    found = parent.xpath("./*[local-name()='Members' or local-name()='Collections' or local-name()='DataObjects']")
    inside = (one for group in found for one in group.iter("{*}XMObject"))
    nested = [one for one in inside if next(one.iterancestors("{*}XMObject")) is parent]
    return [one for one in nested if one.get("class").startswith(class_prefix)]


def number(parent: etree._Element, name: str) -> int:
    (text,) = parent.xpath(f"./*[local-name()='Properties']/*[local-name()='{name}']/text()")
    return int(text) if text not in {"true", "false"} else int(text == "true")


def segment_meta(segment: etree._Element) -> SegmentMeta:
    """A segment's XML in the shape of the binary twin."""
    (compression,) = objects(segment, "XMHybrid") or objects(segment, "XMRENoSplit")
    (stats,) = objects(segment, "XMColumnSegmentStats")
    names = ("DistinctStates", "MinDataID", "MaxDataID", "OriginalMinSegmentDataID", "RLESortOrder", "RowCount")
    state, lowest, highest, original, *order_and_rows = (number(stats, name) for name in names)
    ids = (value & 0xFFFFFFFF for value in (lowest, highest, original))
    flags = (bool(number(stats, "HasNulls")), number(stats, "RLERuns"), number(stats, "OthersRLERuns"))
    width = re.search(r"NoSplitCompressionInfo<(\d+)>", compression.get("class"))
    packed_class = NO_SPLIT_CLASS + int(width[1]) if width else XM123_CLASS
    meta = SegmentMeta(
        records=number(segment, "Records"),
        mask=number(segment, "Mask"),
        compression_class=packed_class,
        sub_class=1,
        bookmark_bits=None,
        storage_alloc_size=None,
        storage_used_size=None,
        min=0,
        statistics=SegmentStatistics(state, *ids, *order_and_rows, *flags),
        sub_records=None,
        data_offsets=None,
    )
    if not compression.get("class").startswith("XMHybrid"):
        return replace(meta, min=number(compression, "Min"))
    ((rle,), (sub,)) = objects(compression, "XMRLE"), objects(compression, "XMRENo") or objects(compression, "XM123")
    return replace(
        meta,
        compression_class=HYBRID_CLASS,
        sub_class=packed_class,
        bookmark_bits=number(rle, "BookmarkBits"),
        storage_alloc_size=number(rle, "StorageAllocSize"),
        storage_used_size=number(rle, "StorageUsedSize"),
        min=number(sub, "Min"),
        sub_records=number(objects(segment, "XMColumnSegment")[0], "Records"),
    )


def reencoded(ids, segment: SegmentMeta, *, is_value_encoded: bool):
    if not segment.is_hybrid:
        rows = segment.statistics.distinct_states - 1 if segment.statistics.row_count else None
        return no_split.encode(ids, min=segment.min, bit_width=segment.bit_width, one_side_row_count=rows)
    if segment.is_xm123:
        return hybrid_writer.encode_row_number(segment.records)
    return hybrid_writer.encode(ids, mask=segment.mask, bookmark=BookmarkRule.ROWS, is_value_encoded=is_value_encoded)


def without_slack(words: bytes, segment: SegmentMeta) -> bytes:
    """The words of a segment with zeros behind its entries."""
    if not segment.is_hybrid:
        return words
    used = 8 + 8 * (1 if segment.is_xm123 else segment.storage_used_size // 2 - 1)
    end = 8 + 4 * segment.storage_alloc_size
    return words[:used] + bytes(end - used) + words[end:]


@pytest.mark.parametrize("sample", XML_SAMPLES)
def test_every_column_of_a_workbook_is_written_as_the_engine_wrote_it(sample: str, capsys) -> None:
    counts: Counter[str] = Counter()
    with unwrap(MemorySource(sample_path(sample).read_bytes())) as workbook:
        files = ContainerFiles(Container.open(workbook.source))
        bodies = {name.rpartition("\\")[2]: partial(files.read, name) for name in files.names()}
    for body in [bytes(read()) for name, read in bodies.items() if name.endswith(".tbl.xml")]:
        for column in etree.fromstring(body).iter("{*}XMObject"):
            if column.get("class") != "XMRawColumn":
                continue
            segments = [segment_meta(one) for one in objects(column, "XMColumnSegment")]
            (data_object,) = objects(column, "XMRawColumnPartitionDataObject")
            name = data_object.get("name")
            is_value_encoded = bool(objects(column, "XMValueDataDictionary"))
            genuine = bytes(bodies.pop(name)())
            decode = idf.decode if segments[0].is_hybrid else idf.decode_system
            offset, slack = 0, 0
            for ids, segment in zip(decode(genuine, segments, file=name), segments, strict=True):
                encoded = reencoded(ids, segment, is_value_encoded=is_value_encoded)
                words = genuine[offset : offset + len(encoded.words)]
                assert encoded.words == without_slack(words, segment), name
                assert encoded.meta == segment, name
                slack += encoded.words != words
                offset += len(encoded.words)
            assert offset == len(genuine), name
            counts["equal but for slack" if slack else "equal"] += 1
    assert not [name for name in bodies if name.endswith(".idf")]
    with capsys.disabled():
        print(f"\n.idf of {sample}: " + ", ".join(f"{n} {how}" for how, n in counts.items()))  # noqa: T201
    assert counts
