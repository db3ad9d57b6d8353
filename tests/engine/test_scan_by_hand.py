"""Every data type and every contradiction, in columns that are written out by hand."""

from __future__ import annotations

import datetime
import warnings
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from columns_by_hand import STRINGS, altered, built, computed, longs, numbers, reals, strings

from genuine_columns import MemoryFiles
from tabvault.engine import scan
from tabvault.errors import FormatError, ModelError, TabvaultError
from tabvault.formats.byte_source import MemorySource
from tabvault.model.objects import DataType, DictionaryDataType, DictionaryStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tabvault.model.objects import ColumnStorage


def test_text_is_a_dictionary_with_the_very_entries_of_the_file() -> None:
    files, table, column = built(
        DataType.STRING, replace(STRINGS, last_id=5), [[5, 3, 2, 4, 3]], dictionary_file=strings("b", "a", "b")
    )
    values = scan.read_column(files, table, column)
    assert values.type == scan.column_type(column) == pa.dictionary(pa.int32(), pa.string())
    assert values.chunk(0).dictionary.to_pylist() == ["b", "a", "b"]
    assert values.to_pylist() == ["b", "b", None, "a", "b"]
    assert np.frombuffer(values.chunk(0).indices.buffers()[1], np.int32).tolist() == [2, 0, 0, 1, 0]


def test_segments_and_partitions_follow_each_other_in_storage_order_and_share_a_dictionary() -> None:
    files, table, column = built(
        DataType.INT64, longs(last_id=5), [[3, 3], [4]], [], [[5, 2], [], [3]], dictionary_file=numbers(70, 80, 90)
    )
    turned = replace(table, partitions=table.partitions[::-1])
    for same in (table, turned):
        values = scan.read_column(files, same, column)
        assert [chunk.to_pylist() for chunk in values.chunks] == [[70, 70], [80], [90, None], [], [70]]
        assert len({chunk.dictionary.buffers()[1].address for chunk in values.chunks}) == 1


@pytest.mark.parametrize(
    ("data_type", "dictionary", "file", "expected", "arrow_type"),
    [
        (
            DataType.INT64,
            longs(last_id=4, narrow=False),
            numbers(-(1 << 62), 7, form="<i8"),
            [-(1 << 62), 7],
            pa.int64(),
        ),
        (DataType.DOUBLE, reals(last_id=4), numbers(0.1, -0.0, form="<f8"), [0.1, -0.0], pa.float64()),
        (
            DataType.DECIMAL,
            longs(last_id=4, narrow=False),
            numbers(-((1 << 63) - 1), 1, form="<i8"),
            [Decimal("-922337203685477.5807"), Decimal("0.0001")],
            pa.decimal128(19, 4),
        ),
        (
            DataType.BINARY,
            replace(STRINGS, last_id=4),
            strings("AP/+", "AA== \n"),
            [b"\0\xff\xfe", b"\0"],
            pa.binary(),
        ),
        (DataType.VARIANT, longs(last_id=4), numbers(1, 2), [1, 2], pa.int64()),
        (DataType.UNKNOWN, replace(STRINGS, last_id=4), strings("p", "q"), ["p", "q"], pa.string()),
    ],
    ids=lambda value: value.name if isinstance(value, DataType) else "",
)
def test_each_data_type_of_a_hash_dictionary_has_its_arrow_type(
    data_type: DataType, dictionary: DictionaryStorage, file: bytes, expected: list[object], arrow_type: pa.DataType
) -> None:
    files, table, column = built(data_type, dictionary, [[4, 2, 3]], dictionary_file=file)
    values = scan.read_column(files, table, column)
    assert values.type == scan.column_type(column) == pa.dictionary(pa.int32(), arrow_type)
    assert values.to_pylist() == [expected[1], None, expected[0]]
    values.validate(full=True)


def test_a_boolean_is_plain() -> None:
    files, table, column = built(
        DataType.BOOLEAN, longs(last_id=4), [[4, 2, 3, 3, 4, 4, 4, 4, 3]], dictionary_file=numbers(1, 0)
    )
    values = scan.read_column(files, table, column)
    assert values.type == scan.column_type(column) == pa.bool_()
    assert values.to_pylist() == [False, None, True, True, False, False, False, False, True]


def test_a_boolean_that_is_neither_is_refused() -> None:
    files, table, column = built(DataType.BOOLEAN, longs(last_id=4), [[3, 4]], dictionary_file=numbers(1, 2))
    with pytest.raises(FormatError, match=r"a boolean is stored as neither 0 nor 1 - at x.dictionary"):
        scan.read_column(files, table, column)


OLE_DATES = {
    0.0: datetime.datetime(1899, 12, 30),  # noqa: DTZ001  # the engine knows no time zones
    1.0: datetime.datetime(1899, 12, 31),  # noqa: DTZ001
    2.25: datetime.datetime(1900, 1, 1, 6),  # noqa: DTZ001
    -1.0: datetime.datetime(1899, 12, 29),  # noqa: DTZ001
    -1.25: datetime.datetime(1899, 12, 29, 6),  # noqa: DTZ001
    -0.75: datetime.datetime(1899, 12, 30, 18),  # noqa: DTZ001
    -657434.0: datetime.datetime(100, 1, 1),  # noqa: DTZ001
    2958465.0: datetime.datetime(9999, 12, 31),  # noqa: DTZ001
    43831.999999988426: datetime.datetime(2020, 1, 1, 23, 59, 59, 999000),  # noqa: DTZ001
    44197.541666666664: datetime.datetime(2021, 1, 1, 13),  # noqa: DTZ001
}
"""The first seven are the examples of Microsoft's documentation of DATE; the others are by the same rule."""


def test_a_date_is_the_nearest_microsecond_of_its_ole_date() -> None:
    ids = list(range(3, 3 + len(OLE_DATES)))
    files, table, column = built(
        DataType.DATETIME, reals(last_id=ids[-1]), [ids], dictionary_file=numbers(*OLE_DATES, form="<f8")
    )
    values = scan.read_column(files, table, column)
    assert values.type == scan.column_type(column) == pa.dictionary(pa.int32(), pa.timestamp("us"))
    assert values.to_pylist() == list(OLE_DATES.values())


@pytest.mark.parametrize("ole_date", [float("nan"), float("inf"), -float("inf"), 1e9, -1e300])
def test_a_date_out_of_range_is_refused(ole_date: float) -> None:
    files, table, column = built(
        DataType.DATETIME, reals(last_id=3), [[3]], dictionary_file=numbers(ole_date, form="<f8")
    )
    with pytest.raises(FormatError, match=r"OLE date .* is out of the range of a timestamp - at x.dictionary"):
        scan.read_column(files, table, column)


def test_text_that_is_not_base64_is_refused() -> None:
    for text in ("AP/", "AP/+é", "=AP/", "AP*+"):
        files, table, column = built(DataType.BINARY, replace(STRINGS, last_id=3), [[3]], dictionary_file=strings(text))
        with pytest.raises(FormatError, match="an entry of a binary column is not base64"):
            scan.read_column(files, table, column)


@pytest.mark.parametrize(
    ("data_type", "dictionary", "expected"),
    [
        (DataType.INT64, computed(-13, 1.0), [-3, None, 90]),
        (DataType.INT64, computed(-13, 0.01), [-300, None, 9000]),
        (DataType.INT64, computed(1 << 60, 1.0), [(1 << 60) + 10, None, (1 << 60) + 103]),
        (DataType.INT64, computed(-10, 93.0), [0, None, 1]),
        (DataType.DECIMAL, computed(-13, 1.0), [Decimal("-0.0003"), None, Decimal("0.0090")]),
        (DataType.DECIMAL, computed(-13, 0.0001), [Decimal("-3.0000"), None, Decimal("90.0000")]),
        (DataType.DOUBLE, computed(-13, 100.0, DictionaryDataType.REAL), [-0.03, None, 0.9]),
        (DataType.DOUBLE, computed(-7, 10.0, DictionaryDataType.REAL), [0.3, None, 9.6]),
        (DataType.BOOLEAN, computed(-10, 93.0), [False, None, True]),
        (
            DataType.DATETIME,
            computed(-9, 4.0, DictionaryDataType.REAL),
            [datetime.datetime(1899, 12, 30, 6), None, datetime.datetime(1900, 1, 22, 12)],  # noqa: DTZ001
        ),
    ],
)
def test_an_id_is_worth_what_base_and_magnitude_make_of_it(
    data_type: DataType, dictionary: DictionaryStorage, expected: list[object]
) -> None:
    files, table, column = built(data_type, dictionary, [[10, 2, 103]])
    values = scan.read_column(files, table, column)
    assert values.type == scan.column_type(column)
    assert not pa.types.is_dictionary(values.type)
    assert values.to_pylist() == expected


@pytest.mark.parametrize(
    ("dictionary", "error", "message"),
    [
        (computed(-13, 10.0), FormatError, "stands for no whole number with Magnitude 10.0 - at 0.idf"),
        (computed(0, 0.3), FormatError, "stands for no 64-bit whole number with Magnitude 0.3"),
        (computed(0, 2.5), FormatError, "stands for no 64-bit whole number with Magnitude 2.5"),
        (computed(0, 1e-18), FormatError, "stands for no 64-bit whole number with Magnitude 1e-18"),
        (computed(0, 0.0), ModelError, "column 'C' has Magnitude 0.0 and BaseId 0"),
        (computed(0, float("nan")), ModelError, "has Magnitude nan"),
        (computed(0, float("inf")), ModelError, "has Magnitude inf"),
        (computed(0, 5e-324), ModelError, "has Magnitude 5e-324"),
        (computed(0, -1.0), ModelError, "has Magnitude -1.0"),
        (computed((1 << 62) + 1, 1.0), ModelError, "BaseId 4611686018427387905"),
        (replace(computed(0, 1.0), file="x"), ModelError, "has a dictionary of type 2, file 'x'"),
        (replace(computed(0, 1.0), type=0), ModelError, "has a dictionary of type 0, file None"),
        (computed(0, 1.0, DictionaryDataType.REAL), ModelError, "data type INT64 has a dictionary of data type 8"),
        (
            replace(longs(last_id=103), is_operating_on_32=False, data_type=19),
            ModelError,
            "no dictionary is of data type 19",
        ),
    ],
)
def test_arithmetic_that_cannot_be_exact_is_refused(
    dictionary: DictionaryStorage, error: type[TabvaultError], message: str
) -> None:
    files, table, column = built(DataType.INT64, dictionary, [[10, 2, 103]])
    with pytest.raises(error, match=message):
        scan.read_column(files, table, column)


def test_a_column_of_nulls_has_no_dictionary_file() -> None:
    for data_type, dictionary in (
        (DataType.STRING, STRINGS),
        (DataType.INT64, longs()),
        (DataType.BOOLEAN, longs()),
        (DataType.DATETIME, reals()),
    ):
        files, table, column = built(data_type, dictionary, [[2, 2, 2]])
        values = scan.read_column(files, table, column)
        assert values.to_pylist() == [None, None, None]
        assert values.type == scan.column_type(column)
        values.validate(full=True)


def test_a_missing_dictionary_file_is_no_sign_of_nulls() -> None:
    files, table, column = built(DataType.STRING, replace(STRINGS, last_id=4), [[3, 4]])
    with pytest.raises(FormatError, match="0 entries, and LastId of column 'C' of table 'T' is 4"):
        scan.read_column(files, table, column)


def test_a_table_without_rows_has_its_types() -> None:
    for partitions in ([], [[[]]]):
        files, table, column = built(DataType.STRING, STRINGS, *partitions)
        empty = scan.read_table(files, table)
        assert empty.num_rows == 0
        assert empty.schema == scan.table_schema(table)
        without_storage = replace(column, storage=None)
        assert scan.read_column(files, table, without_storage).type == pa.string()
    assert scan.column_type(replace(column, storage=None, data_type=DataType.VARIANT)) == pa.null()


def test_rows_without_storage_are_an_error_and_no_nulls() -> None:
    files, table, column = built(DataType.STRING, STRINGS, [[2, 2]])
    with pytest.raises(ModelError, match="column 'C' of table 'T' has no values for 2 rows") as refusal:
        scan.read_column(files, table, replace(column, storage=None))
    assert refusal.value.hint
    no_files = replace(column.storage, partitions=())
    with pytest.raises(ModelError, match="no files for 2 rows of a partition"):
        scan.read_column(files, table, replace(column, storage=no_files))


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda s: {"dictionary": replace(s.dictionary, last_id=4)}, "data id 5 is beyond LastId 4"),
        (lambda s: {"dictionary": replace(s.dictionary, last_id=6)}, "3 entries, and LastId .* is 6"),
        (lambda s: {"dictionary": replace(s.dictionary, is_operating_on_32=False)}, "entries are int32, not int64"),
        (lambda s: {"dictionary": replace(s.dictionary, base_id=3)}, "has BaseId 3, not 2"),
        (lambda s: {"dictionary": replace(s.dictionary, data_type=2, is_operating_on_32=False)}, "int32, not strings"),
        (lambda s: {"partitions": (replace(s.partitions[0], segment_count=2),)}, "segment storage says 2 segments"),
    ],
)
def test_metadata_that_contradict_the_files_are_refused(
    alter: Callable[[ColumnStorage], dict[str, object]], message: str
) -> None:
    files, table, column = built(DataType.INT64, longs(last_id=5), [[5, 2, 3]], dictionary_file=numbers(7, 8, 9))
    assert scan.read_column(files, table, column).to_pylist() == [9, None, 7]
    with pytest.raises(TabvaultError, match=message):
        scan.read_column(files, table, altered(column, **alter(column.storage)))


def test_a_segment_map_that_contradicts_the_segments_is_refused() -> None:
    files, table, column = built(DataType.INT64, longs(last_id=3), [[3, 3]], dictionary_file=numbers(7))
    (partition,) = table.partitions
    for storage in (replace(partition.storage, record_count=3), replace(partition.storage, segment_count=2)):
        other = replace(table, partitions=(replace(partition, storage=storage),))
        with pytest.raises(FormatError, match=r"1 segments of 2 records; .* the segment map [12] of [23] records"):
            scan.read_column(files, other, column)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_data_id": 4}, "the segment has 3 rows of ids 3 to 5 with nulls"),
        ({"max_data_id": 6}, "statistics say 3 rows of ids 3 to 6 with nulls"),
        ({"row_count": 4}, "statistics say 4 rows"),
        ({"has_nulls": False}, "ids 3 to 5 without nulls"),
    ],
)
def test_statistics_are_checked_and_keep_nobody_from_the_values(change: dict[str, object], message: str) -> None:
    files, table, column = built(DataType.INT64, longs(last_id=5), [[5, 2, 3]], dictionary_file=numbers(7, 8, 9))
    assert scan.check_column(files, table, column) == []
    other = altered(column, statistics=replace(column.storage.statistics, **change))
    assert scan.read_column(files, table, other).to_pylist() == [9, None, 7]
    (warning,) = scan.check_column(files, table, other)
    assert message in warning


def test_statistics_of_several_segments_are_nobody_s_error_here() -> None:
    files, table, column = built(DataType.INT64, longs(last_id=5), [[4]], [[5]], dictionary_file=numbers(7, 8, 9))
    other = altered(column, statistics=replace(column.storage.statistics, max_data_id=4, row_count=9))
    assert scan.check_column(files, table, other) == []
    assert scan.read_column(files, table, other).to_pylist() == [8, 9]


def test_the_check_of_a_column_counts_its_different_values() -> None:
    files, table, column = built(DataType.INT64, longs(last_id=4), [[3, 2, 4, 3]], dictionary_file=numbers(7, 8))
    for distinct_states, good in ((1, False), (2, True), (3, True), (4, False)):
        statistics = replace(column.storage.statistics, distinct_states=distinct_states)
        changed = altered(column, statistics=statistics)
        assert scan.read_column(files, table, changed).to_pylist() == [7, None, 8, 7]
        expected = f"3 different data ids are there, and Statistics_DistinctStates is {distinct_states}"
        assert scan.check_column(files, table, changed) == ([] if good else [expected])


def test_different_values_are_counted_over_all_segments_and_partitions() -> None:
    files, table, column = built(
        DataType.INT64, longs(last_id=5), [[3, 2, 3], [4, 3]], [[3, 4]], dictionary_file=numbers(7, 8, 9)
    )
    for distinct_states, good in ((1, False), (2, True), (3, True), (4, False), (5, False)):
        changed = altered(column, statistics=replace(column.storage.statistics, distinct_states=distinct_states))
        expected = f"3 different data ids are there, and Statistics_DistinctStates is {distinct_states}"
        assert scan.check_column(files, table, changed) == ([] if good else [expected])


@pytest.mark.parametrize("base_id", [0, 1 << 24, 1 << 30])
def test_different_values_are_counted_whatever_their_ids_are(base_id: int) -> None:
    ids = [base_id + 4, base_id + 9, base_id + 4, 2]
    files, table, column = built(DataType.INT64, computed(0, 1), [ids], [[base_id + 9]])
    assert scan.check_column(files, table, column) == []
    changed = altered(column, statistics=replace(column.storage.statistics, distinct_states=4))
    expected = "3 different data ids are there, and Statistics_DistinctStates is 4"
    assert scan.check_column(files, table, changed) == [expected]


def test_the_check_of_a_column_never_holds_a_whole_file_of_segments() -> None:
    segments = [[3, 4] * 100_000 for _ in range(8)]
    files, table, column = built(DataType.INT64, longs(last_id=4), segments, dictionary_file=numbers(7, 8))
    longest = 0

    class Ranges(MemorySource):
        def read_at(self, offset: int, byte_count: int) -> memoryview:
            nonlocal longest
            longest = max(longest, byte_count)
            return super().read_at(offset, byte_count)

    class Files(MemoryFiles):
        def read(self, name: str) -> bytes:
            assert not name.endswith(".idf")
            return super().read(name)

        def open(self, name: str) -> MemorySource:
            return Ranges(self.bodies[name])

    assert scan.check_column(Files(files.bodies), table, column) == []
    assert 0 < longest < len(files.bodies["0.idf"]) / 5


def test_a_column_of_an_unknown_type_is_an_error_for_nobody_who_does_not_use_it() -> None:
    files, table, good = built(DataType.INT64, longs(last_id=4), [[3, 4]], dictionary_file=numbers(7, 8))
    bad = replace(good, id=9, name="new", data_type=77)
    table = replace(table, columns=(bad, good))
    assert scan.table_schema(table).names == ["new", "C"]
    assert scan.table_schema(table).field("new").type == pa.null()
    assert scan.type_problem(good) is None
    assert scan.read_table(files, table, ["C"])["C"].to_pylist() == [7, 8]
    for act in (lambda: scan.read_table(files, table), lambda: scan.read_column(files, table, bad)):
        with pytest.raises(ModelError, match="column 'new' has the unknown data type 77"):
            act()


def test_a_lone_surrogate_is_a_replacement_character_and_a_warning() -> None:
    whole = strings("aé", "b")
    cut = whole.replace(b"\xe9\0", b"\x3d\xd8")
    told: list[str] = []
    for file, text, expected in (
        (whole, "aé", []),
        (cut, "a\ufffd", ["lone surrogates in its texts, decoded as U+FFFD: 1"]),
    ):
        files, table, column = built(DataType.STRING, replace(STRINGS, last_id=4), [[3, 4]], dictionary_file=file)
        assert scan.read_column(files, table, column, told.append).to_pylist() == [text, "b"]
        assert told == scan.check_column(files, table, column) == expected


def test_rows_of_an_unknown_mode_or_data_type_are_not_decoded() -> None:
    files, table, column = built(DataType.INT64, longs(last_id=3), [[3]], dictionary_file=numbers(7))
    unknown = replace(table, partitions=(replace(table.partitions[0], mode=6),))
    with pytest.raises(ModelError, match="1 rows of a partition of unknown mode 6"):
        scan.read_column(files, unknown, column)
    with pytest.raises(ModelError, match="unknown data type 21"):
        scan.read_column(files, table, replace(column, data_type=21))


def test_a_column_name_that_is_there_twice_cannot_be_asked_for() -> None:
    files, table, column = built(DataType.INT64, longs(last_id=3), [[3]], dictionary_file=numbers(7))
    twice = replace(table, columns=(column, replace(column, id=9)))
    with pytest.raises(ModelError, match="more than one column 'C'"):
        scan.read_table(files, twice)


def test_nothing_warns_on_hostile_numbers() -> None:
    """Overflow in NumPy is a warning at best: none may be left to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files, table, column = built(DataType.INT64, computed(-(1 << 62), 1e-3), [[3, 0xFFFFFFF0]])
        with pytest.raises(FormatError, match="no 64-bit whole number"):
            scan.read_column(files, table, column)
        files, table, column = built(DataType.DOUBLE, computed(1 << 62, 1e-18, DictionaryDataType.REAL), [[3]])
        assert scan.read_column(files, table, column).to_pylist() == [float((1 << 62) + 3) / 1e-18]
