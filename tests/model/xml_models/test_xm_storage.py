"""``.tbl.xml`` files, written by hand after [MS-XLDM] 2.5."""

from __future__ import annotations

import pytest

from tabvault.errors import FormatError, LimitError, UnsupportedFeatureError
from tabvault.formats.vertipaq.idfmeta import HYBRID_CLASS, NO_SPLIT_CLASS, XM123_CLASS
from tabvault.model.objects import DictionaryDataType, DictionaryType
from tabvault.model.xml_models import storage, xm_object

FILE = "T.0.dim\\T.0.tbl.xml"


def properties(**values: object) -> str:
    return "<Properties>" + "".join(f"<{name}>{value}</{name}>" for name, value in values.items()) + "</Properties>"


def xm(class_: str, body: str = "", name: str = "") -> str:
    class_ = class_.replace("<", "&lt;")
    return f'<XMObject class="{class_}" name="{name}">{body}</XMObject>'


def members(**objects: str) -> str:
    inner = "".join(f"<Member><Name>{name}</Name>{one}</Member>" for name, one in objects.items())
    return f"<Members>{inner}</Members>"


def statistics(class_: str, rows: int, **more: object) -> str:
    return xm(
        class_,
        properties(
            DistinctStates=0,
            MinDataID=3,
            MaxDataID=5,
            OriginalMinSegmentDataID=-2147483648,
            RLESortOrder=-1,
            RowCount=rows,
            HasNulls="false",
            RLERuns=1,
            OthersRLERuns=1,
            **more,
        ),
    )


def segment(rows: int = 10, inner: str = "XMRENoSplitCompressionInfo<2>") -> str:
    run_lengths = xm(
        "XMRLECompressionInfo",
        properties(BookmarkBits=2, StorageAllocSize=32, StorageUsedSize=6, SegmentNeedsResizing="false"),
    )
    compression = xm(
        f"XMHybridRLECompressionInfo<class {inner}>",
        members(RLECompression=run_lengths, SubCompression=xm(inner, properties(Min=3))),
    )
    return xm(
        "XMColumnSegment",
        properties(Records=rows, Mask=1)
        + members(
            SubSegment=xm("XMColumnSegment", properties(Records=4, Mask=0)),
            CompressionInfo=compression,
            ColumnSegmentStats=statistics("XMColumnSegmentStats", rows),
        ),
    )


HASH = xm(
    "XMHashDataDictionary<XM_String>",
    properties(LastId=5, Nullable="false", Unique="true", DictionaryFlags=3),
    "0.T.C.dictionary",
)
VALUE = xm("XMValueDataDictionary<XM_Real>", properties(BaseId=-2, Magnitude="1.E-2"))


def column(
    *, segments: str = "", dictionary: str = HASH, parts: tuple[tuple[int, int], ...] = ((0, 1),), rows: int = 10
) -> str:
    hierarchy = xm(
        "XMHierarchy",
        properties(TypeMaterialization=0, DistinctDataIDs=3, IsProcessed="true", TableStore="H$T$C"),
    )
    data_objects = dictionary + "".join(
        xm("XMRawColumnPartitionDataObject", properties(Partition=place, SegmentCount=count), f"{place}.T.C.0.idf")
        for place, count in parts
    )
    wrapped = data_objects.replace("<XMObject", "<DataObject><XMObject").replace(
        "</XMObject>", "</XMObject></DataObject>"
    )
    return xm(
        "XMRawColumn",
        members(IntrinsicHierarchy=hierarchy, ColumnStats=statistics("XMColumnStats", rows, DBType=130))
        + f"<Collections><Collection><Name>Segments</Name>{segments or segment()}</Collection></Collections>"
        + f"<DataObjects>{wrapped}</DataObjects>",
        "C",
    )


def table(columns: str, partition_count: int = 1) -> bytes:
    partitions = "".join(
        xm("XMPartition", properties(Partition=place), f"P{place}") for place in reversed(range(partition_count))
    )
    return xm(
        "XMSimpleTable",
        f"<Collections><Collection><Name>Partitions</Name>{partitions}</Collection>"
        f"<Collection><Name>Columns</Name>{columns}</Collection></Collections>",
        "T",
    ).encode()


def test_a_segment_has_the_fields_that_an_idfmeta_file_has() -> None:
    (found,) = storage.parse(table(column()), file=FILE).columns
    ((part,),) = ((one,) for one in found.segments)
    (one,) = part.segments
    assert part.file == "T.0.dim\\0.T.C.0.idf"
    assert (one.records, one.mask, one.sub_records) == (10, 1, 4)
    assert (one.compression_class, one.sub_class, one.min) == (HYBRID_CLASS, NO_SPLIT_CLASS + 2, 3)
    assert (one.bookmark_bits, one.storage_alloc_size, one.storage_used_size) == (2, 32, 6)
    assert (one.statistics.min_data_id, one.statistics.max_data_id, one.statistics.rle_sort_order) == (3, 5, -1)
    assert one.statistics.original_min_segment_data_id == 0x80000000


def test_a_row_number_is_compressed_by_counting() -> None:
    found = storage.parse(table(column(segments=segment(inner="XM123CompressionInfo"))), file=FILE)
    assert found.columns[0].segments[0].segments[0].sub_class == XM123_CLASS


def test_a_dictionary_of_texts_lies_beside_the_file() -> None:
    dictionary = storage.parse(table(column()), file=FILE).columns[0].dictionary
    assert dictionary is not None
    assert dictionary.file == "T.0.dim\\0.T.C.dictionary"
    assert (dictionary.type, dictionary.data_type, dictionary.last_id) == (
        DictionaryType.HASH,
        DictionaryDataType.STRING,
        5,
    )
    assert (dictionary.base_id, dictionary.flags, dictionary.is_unique) == (2, 3, True)


def test_value_encoding_has_a_base_and_a_magnitude() -> None:
    dictionary = storage.parse(table(column(dictionary=VALUE)), file=FILE).columns[0].dictionary
    assert dictionary is not None
    assert (dictionary.type, dictionary.data_type) == (DictionaryType.VALUE, DictionaryDataType.REAL)
    assert (dictionary.base_id, dictionary.magnitude, dictionary.file) == (-2, 0.01, None)


def test_segments_follow_their_partitions_and_partitions_their_places() -> None:
    three = segment(1) + segment(2) + segment(3)
    found = storage.parse(table(column(segments=three, parts=((1, 2), (0, 1)), rows=6), 2), file=FILE)
    assert found.partitions == ("P0", "P1")
    assert [(part.partition, [one.records for one in part.segments]) for part in found.columns[0].segments] == [
        (0, [3]),
        (1, [1, 2]),
    ]
    assert found.row_count == 6


REFUSED = {
    "another number of segments": (table(column(parts=((0, 2),))), FormatError, "1 segments, its partitions have 2"),
    "two files in one partition": (
        table(column(segments=segment() + segment(), parts=((0, 1), (0, 1)), rows=20)),
        FormatError,
        "two files in one partition",
    ),
    "rows that the statistics do not have": (table(column(rows=11)), FormatError, "11 rows, its segments have 10"),
    "columns of different lengths": (
        table(column() + column(segments=segment(9), rows=9)),
        FormatError,
        "not the same number",
    ),
    "two dictionaries": (table(column(dictionary=HASH + VALUE)), FormatError, "2 dictionaries"),
    "a kind of dictionary that is not known": (
        table(column(dictionary=HASH.replace("XM_String", "XM_Other"))),
        UnsupportedFeatureError,
        "which is not read",
    ),
    "a width that no class has": (
        table(column(segments=segment(inner="XMRENoSplitCompressionInfo<11>"))),
        UnsupportedFeatureError,
        "XMRENoSplitCompressionInfo<11>",
    ),
    "a magnitude that is no number": (
        table(column(dictionary=VALUE.replace("1.E-2", "nan"))),
        FormatError,
        "not a finite number",
    ),
    "more rows than a segment may have": (
        table(column(segments=segment(1 << 40), rows=1 << 40)),
        FormatError,
        "Records is",
    ),
    "another class": (xm("XMTable", "", "T").encode(), FormatError, "not a named XMSimpleTable"),
    "a property twice": (
        table(column()).replace(b"<Mask>1</Mask>", b"<Mask>1</Mask><Mask>1</Mask>", 1),
        FormatError,
        "twice",
    ),
    "a partition's place twice": (
        table(column(), 2).replace(b"<Partition>1</Partition>", b"<Partition>0</Partition>"),
        FormatError,
        "the places of 2 partitions",
    ),
    "a comment": (
        table(column()).replace(b"<Members>", b"<Members><!-- x -->", 1),
        FormatError,
        "other than an element",
    ),
    "no XML": (b"XMSimpleTable", FormatError, "not well-formed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_contradiction_is_named(case: str) -> None:
    data, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        storage.parse(data, file=FILE)
    assert "T.0.tbl.xml" in str(caught.value)


def test_every_prefix_of_a_file_is_refused() -> None:
    whole = table(column())
    for length in range(0, len(whole), 7):
        with pytest.raises(FormatError):
            storage.parse(whole[:length], file=FILE)


def test_a_file_that_nests_deeply_is_refused() -> None:
    nested = "<XMObject class='A'><Members><Member><Name>M</Name>" * 10_000
    with pytest.raises((FormatError, LimitError)):
        xm_object.parse(nested.encode(), file=FILE)
