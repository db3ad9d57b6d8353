"""Relationship indexes: by hand from the layout, against every one of the genuine files, and against DuckDB's joins."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from genuine_structures import rows, system_table, user_column
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from genuine_columns import database
from tabvault.engine.encoder.relationship_index import matches, relationship_index
from tabvault.engine.encoder.relationship_keys import KeyColumn
from tabvault.errors import DuplicateKeyError, ProcessingError
from tabvault.formats.byte_source import pieces
from tabvault.formats.vertipaq import bit_widths, idf, idfmeta, no_split
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.processed import ProcessedRelationship, SystemColumn


def folded(texts: pa.StringArray) -> pa.BinaryArray:
    """Equality without regard to case, as far as the keys of the genuine files need it."""
    return pc.utf8_lower(texts).cast(pa.binary())


def key_column(
    values: list, data_type: DataType, *, data_ids: list[int] | None = None, table: str = "T", name: str = "K"
) -> KeyColumn:
    """A hash-encoded column, each value of which is in one row unless *data_ids* say otherwise."""
    if data_type == DataType.STRING:
        entries = pa.array(values, pa.string())
    else:
        entries = np.array(values, np.float64 if data_type in {DataType.DOUBLE, DataType.DATETIME} else np.int64)
    rows_of = range(3, len(values) + 3) if data_ids is None else data_ids
    return KeyColumn(table, name, data_type, np.array(rows_of, np.uint32), entries)


def value_column(data_ids: list[int], *, base_id: int = 0, magnitude: float = 1.0) -> KeyColumn:
    return KeyColumn("T", "K", DataType.INT64, np.array(data_ids, np.uint32), None, base_id, magnitude)


def found_rows(many: KeyColumn, one: KeyColumn, *, is_on_date_part: bool = False) -> list[int]:
    """The row found by each id from 3 on."""
    return matches(many, one, is_on_date_part=is_on_date_part, equality_keys=folded).rows[3:].tolist()


def made(many: KeyColumn, one: KeyColumn, *, is_one_to_one: bool = False) -> ProcessedRelationship:
    return relationship_index(
        many,
        one,
        relationship_id=7,
        is_one_to_one=is_one_to_one,
        is_on_date_part=False,
        equality_keys=folded,
        with_data_offsets=False,
    )


def content(body: ByteSource) -> bytes:
    return b"".join(bytes(piece) for piece in pieces(body))


def decoded(column: SystemColumn) -> list[int]:
    segments = idfmeta.parse(content(column.segments.idfmeta), file=None)
    (values,) = idf.decode_system(content(column.segments.idf), segments, file=None)
    return values.tolist()


def test_three_keys_are_stored_in_two_bits_each_as_the_engine_stores_them() -> None:
    """The bytes of an index of a genuine file: ids 3, 4, 5 find the rows 1, 0, 2."""
    relationship = made(key_column([20, 10, 30], DataType.INT64), key_column([10, 20, 30], DataType.INT64))
    assert content(relationship.index.segments.idf) == bytes.fromhex("0100000000000000 800d000000000000")
    assert decoded(relationship.index) == [-1, -1, -1, 1, 0, 2]
    assert (relationship.record_count, relationship.has_unmatched, relationship.secondary) == (6, False, None)


def test_a_value_without_a_partner_finds_no_row_and_is_told() -> None:
    many, one = key_column([10, 99], DataType.INT64), key_column([10, 20], DataType.INT64)
    relationship = made(many, one)
    assert decoded(relationship.index)[3:] == [0, -1]
    assert relationship.has_unmatched


def test_a_blank_on_the_many_side_has_no_partner() -> None:
    relationship = made(key_column([10], DataType.INT64, data_ids=[3, 2]), key_column([10], DataType.INT64))
    assert decoded(relationship.index) == [-1, -1, -1, 0]
    assert relationship.has_unmatched


def test_an_entry_that_no_row_uses_finds_nothing_and_is_not_told() -> None:
    relationship = made(key_column([10, 99, 20], DataType.INT64, data_ids=[3, 5]), key_column([20, 10], DataType.INT64))
    assert decoded(relationship.index)[3:] == [1, -1, 0]
    assert not relationship.has_unmatched


def test_two_value_encoded_columns_find_every_number_of_the_range() -> None:
    many, one = value_column([3, 7], base_id=97), value_column([5, 3, 4, 9], base_id=98)
    assert found_rows(many, one) == [-1, 1, 2, 0, -1]
    relationship = made(many, one)
    assert relationship.has_unmatched


def test_value_encoded_columns_of_two_magnitudes_find_equal_numbers() -> None:
    many, one = value_column([4, 104], base_id=-3), value_column([4, 3], base_id=-3, magnitude=0.01)
    assert found_rows(many, one)[:2] == [-1, -1]
    assert found_rows(many, one)[101] == -1
    assert found_rows(value_column([3, 103], base_id=-3), one)[0] == 1
    assert found_rows(value_column([3, 103], base_id=-3), one)[100] == 0


def test_what_is_no_number_equals_nothing_that_is_none_either() -> None:
    assert found_rows(key_column(["x"], DataType.STRING), key_column([np.nan], DataType.DOUBLE)) == [-1]
    assert found_rows(key_column([np.nan], DataType.DOUBLE), key_column([np.nan], DataType.DOUBLE)) == [-1]


def test_a_value_encoded_many_side_finds_nothing_for_ids_between_those_in_use() -> None:
    assert found_rows(value_column([3, 5], base_id=97), key_column([102, 101, 100], DataType.INT64)) == [2, -1, 0]


def test_tables_without_rows_have_an_index_of_three_rows() -> None:
    none = key_column([], DataType.INT64)
    relationship = made(none, none)
    assert (decoded(relationship.index), relationship.record_count) == ([-1, -1, -1], 3)
    assert not relationship.has_unmatched
    assert content(relationship.index.segments.idf) == bytes.fromhex("0100000000000000 0000000000000000")


def test_a_one_to_one_relationship_has_an_index_each_way() -> None:
    left, right = key_column(["a", "B"], DataType.STRING), key_column(["c", "b", "A"], DataType.STRING)
    relationship = made(left, right, is_one_to_one=True)
    assert decoded(relationship.index)[3:] == [2, 1]
    assert decoded(relationship.secondary)[3:] == [-1, 1, 0]
    assert (relationship.record_count, relationship.secondary_record_count) == (5, 6)
    assert (relationship.has_unmatched, relationship.secondary_has_unmatched) == (False, True)


def test_a_duplicate_on_the_one_side_is_refused_by_its_value() -> None:
    one = key_column(["x", "EU"], DataType.STRING, data_ids=[3, 4, 4], table="Regions", name="Code")
    with pytest.raises(DuplicateKeyError, match=r"^'Regions'\[Code\] .*'EU' is there more than once$"):
        made(key_column(["EU"], DataType.STRING), one)


def test_a_duplicate_on_either_side_of_a_one_to_one_relationship_is_refused() -> None:
    twice = key_column([1, 2], DataType.INT64, data_ids=[3, 4, 3], table="Left")
    with pytest.raises(DuplicateKeyError, match=r"^'Left'\[K\] .* 1 is there more than once"):
        made(twice, key_column([1, 2], DataType.INT64), is_one_to_one=True)


def test_a_long_duplicate_is_not_told_at_length() -> None:
    one = key_column(["x" * 1_000, "y"], DataType.STRING, data_ids=[3, 3, 4, 4])
    with pytest.raises(DuplicateKeyError, match=r"xxx\.\.\. is there more than once, as are 1 other") as raised:
        made(one, one)
    assert len(str(raised.value)) < 250


def test_a_blank_on_the_one_side_is_refused() -> None:
    with pytest.raises(DuplicateKeyError, match=r"is BLANK in row 2$"):
        made(key_column([1], DataType.INT64), key_column([1], DataType.INT64, data_ids=[3, 2]))


def test_values_that_are_equal_only_as_they_are_compared_are_duplicates_too() -> None:
    dates = key_column([45000.25, 45000.75], DataType.DATETIME)
    with pytest.raises(DuplicateKeyError, match=r"45000\.25 is there more than once"):
        found_rows(dates, dates, is_on_date_part=True)
    assert found_rows(dates, dates) == [0, 1]
    with pytest.raises(DuplicateKeyError, match="'50' is there more than once"):
        found_rows(key_column([50], DataType.INT64), key_column(["50", "050"], DataType.STRING))


def test_dates_joined_on_their_date_part_find_their_day() -> None:
    many, one = key_column([45000.75, 0.5, -1.25], DataType.DATETIME), key_column([45000, -1, 0], DataType.DATETIME)
    assert found_rows(many, one, is_on_date_part=True) == [0, 2, 1]
    assert found_rows(many, one) == [-1, -1, -1]


@pytest.mark.parametrize(
    ("many", "one", "expected"),
    [
        (key_column(["50", " 7 ", "7.0", "x", "", "+1e1"], DataType.STRING), [7, 10, 50], [2, 0, 0, -1, -1, 1]),
        (key_column(["9007199254740993"], DataType.STRING), [2**53, 2**53 + 1], [1]),
        (key_column(["9223372036854775807", "9223372036854775808"], DataType.STRING), [2**63 - 1], [0, -1]),
        (key_column([2.5, 3.0, -0.0, 1e300, np.nan], DataType.DOUBLE), [3, 0], [-1, 0, 1, -1, -1]),
        (key_column([30_000, 30_001], DataType.DECIMAL), [3], [0, -1]),
        (key_column([45000.0, 45000.5], DataType.DATETIME), [45000], [0, -1]),
    ],
)
def test_keys_of_another_type_find_the_whole_number_that_they_are(
    many: KeyColumn, one: list[int], expected: list[int]
) -> None:
    assert found_rows(many, key_column(one, DataType.INT64)) == expected


@pytest.mark.parametrize(
    ("many", "one", "expected"),
    [
        (key_column([3, 5], DataType.INT64), key_column(["5", "3.5", "3.0"], DataType.STRING), [2, 0]),
        (key_column(["2.5", "x"], DataType.STRING), key_column([2.5], DataType.DOUBLE), [0, -1]),
        (key_column([25_000], DataType.DECIMAL), key_column([2.5], DataType.DOUBLE), [0]),
        (key_column(["2.5"], DataType.STRING), key_column([25_000], DataType.DECIMAL), [0]),
        (key_column([-0.0], DataType.DOUBLE), key_column([0.0], DataType.DOUBLE), [0]),
        (key_column(["-0"], DataType.STRING), key_column([0.0], DataType.DOUBLE), [0]),
        (key_column([1, 0], DataType.BOOLEAN), key_column([0, 1], DataType.BOOLEAN), [1, 0]),
    ],
)
def test_keys_of_two_types_are_compared_as_numbers(many: KeyColumn, one: KeyColumn, expected: list[int]) -> None:
    assert found_rows(many, one) == expected


@pytest.mark.parametrize(
    ("many", "one"),
    [
        (DataType.STRING, DataType.DATETIME),
        (DataType.BOOLEAN, DataType.INT64),
        (DataType.STRING, DataType.BOOLEAN),
        (DataType.BINARY, DataType.BINARY),
    ],
)
def test_types_that_are_not_compared_are_refused_by_name(many: DataType, one: DataType) -> None:
    with pytest.raises(ProcessingError, match=f"is of data type {one.name}.* of data type {many.name}"):
        found_rows(key_column([], many), key_column([], one))


def test_an_index_of_more_rows_than_a_segment_may_have_is_refused() -> None:
    with pytest.raises(ProcessingError, match="needs a segment of 134217730 rows, over 134217728"):
        made(value_column([(1 << 27) + 1]), value_column([(1 << 27) + 1]))


# --- genuine files ---------------------------------------------------


def genuine_relationships(sample: str) -> Iterator[tuple[KeyColumn, KeyColumn, dict, dict]]:
    """Many side, one side, relationship and index storage of each index; one-to-one relationships have two."""
    storages, indexes = rows(sample, "RelationshipStorage"), rows(sample, "RelationshipIndexStorage")
    for cells in rows(sample, "Relationship").values():
        ends = [key_of(sample, cells["FromColumnID"]), key_of(sample, cells["ToColumnID"])]
        for column, order in (("RelationshipStorageID", ends), ("RelationshipStorage2ID", ends[::-1])):
            if cells[column]:
                yield *order, cells, indexes[storages[cells[column]]["RelationshipIndexStorageID"]]


def key_of(sample: str, column_id: int) -> KeyColumn:
    user = user_column(sample, column_id)
    data_type = DataType(user.column.data_type)
    return KeyColumn(
        user.table.name, user.column.name, data_type, user.data_ids, user.entries, user.base_id, user.magnitude
    )


def of_workbook(found: np.ndarray, many: KeyColumn, one: KeyColumn, *, with_data_offsets: bool) -> tuple[bytes, bytes]:
    """The index as it is in models that came out of workbooks: true statistics, and nothing for ids without rows."""
    is_used = np.isin(np.arange(len(found)), many.data_ids)
    row_count = len(one.data_ids)
    width = bit_widths.width_of(row_count)
    segment = no_split.encode(np.where(is_used, found, -1), min=-1, bit_width=width, one_side_row_count=row_count)
    return segment.words, idfmeta.build([segment.meta], with_data_offsets=with_data_offsets)


def test_every_index_of_the_genuine_files_is_rebuilt_byte_for_byte() -> None:
    seen: Counter[str] = Counter()
    stored = 0
    for sample in CONTAINER_SAMPLES:
        for many, one, cells, storage in genuine_relationships(sample):
            genuine = system_table(sample, storage["SystemTableID"])
            ((name, theirs),) = genuine.columns.items()
            is_one_to_one = (cells["FromCardinality"], cells["ToCardinality"]) == (1, 1)
            ours = relationship_index(
                many,
                one,
                relationship_id=cells["ID"],
                is_one_to_one=is_one_to_one,
                is_on_date_part=cells["JoinOnDateBehavior"] == 2,
                equality_keys=folded,
                with_data_offsets=theirs.has_data_offsets,
            )
            place = f"{sample} {many} {one}"
            assert ours.index.name == name, place
            assert ours.record_count == storage["RecordCount"] == genuine.table.row_count, place
            assert ours.has_unmatched == bool(storage["Flags"]), place
            kind = "one-to-one" if is_one_to_one else "many-to-one"
            if theirs.segments[0].statistics.row_count:
                found = np.array(decoded(ours.index))
                ours_there = of_workbook(found, many, one, with_data_offsets=theirs.has_data_offsets)
                assert ours_there == (theirs.idf, theirs.idfmeta), place
                kind += " of a workbook"
            else:
                assert content(ours.index.segments.idf) == theirs.idf, place
                assert content(ours.index.segments.idfmeta) == theirs.idfmeta, place
            seen[kind] += 1
        stored += sum(table.name.startswith("R$") for table in database(sample).model.system_tables)
    print(dict(seen), stored)  # noqa: T201 - the counts are to be seen
    assert sum(seen.values()) == stored
    assert len(seen) >= 3


# --- laws ------------------------------------------------------------


numbers = st.lists(st.integers(-50, 50), unique=True, max_size=30)


@settings(deadline=None, max_examples=60)
@given(many=numbers, one=numbers, is_used=st.lists(st.booleans(), min_size=30, max_size=30), has_blank=st.booleans())
def test_the_index_finds_what_a_join_finds(
    many: list[int], one: list[int], is_used: list[bool], *, has_blank: bool
) -> None:
    data_ids = [n + 3 for n in range(len(many)) if is_used[n]] + [2] * has_blank
    of_rows = pa.array([None if n == 2 else many[n - 3] for n in data_ids], pa.int64())
    from_table = pa.table({"id": pa.array(data_ids, pa.int64()), "k": of_rows})
    to_table = pa.table({"row": pa.array(range(len(one)), pa.int64()), "k": pa.array(one, pa.int64())})
    with duckdb.connect() as connection:
        connection.register("f", from_table)
        connection.register("t", to_table)
        joined = connection.sql("SELECT id, coalesce(row, -1) FROM f LEFT JOIN t USING (k)").fetchall()
    found = matches(
        key_column(many, DataType.INT64, data_ids=data_ids),
        key_column(one, DataType.INT64),
        is_on_date_part=False,
        equality_keys=folded,
    )
    assert {n: int(found.rows[n]) for n in data_ids} == dict(joined)
    assert found.has_unmatched == any(row < 0 for _, row in joined)
    others = np.setdiff1d(np.arange(len(found.rows)), data_ids)
    assert np.all(found.rows[others] == -1)


@settings(deadline=None, max_examples=60)
@given(
    many=st.lists(st.integers(3, 60), max_size=20),
    one=st.lists(st.integers(3, 60), unique=True, max_size=20),
    base_ids=st.tuples(st.integers(-60, 60), st.integers(-60, 60)),
)
def test_value_encoded_columns_find_the_same_rows_as_hash_encoded_ones(
    many: list[int], one: list[int], base_ids: tuple[int, int]
) -> None:
    from_values = [n + base_ids[0] for n in many]
    to_values = [n + base_ids[1] for n in one]
    by_value = matches(
        value_column(many, base_id=base_ids[0]),
        value_column(one, base_id=base_ids[1]),
        is_on_date_part=False,
        equality_keys=folded,
    )
    by_hash = matches(
        key_column(from_values, DataType.INT64),
        key_column(to_values, DataType.INT64),
        is_on_date_part=False,
        equality_keys=folded,
    )
    assert by_value.rows[np.array(many, int)].tolist() == by_hash.rows[3:].tolist()
    assert by_value.has_unmatched == by_hash.has_unmatched


def test_a_million_keys_find_their_rows() -> None:
    shuffled = np.random.default_rng(4).permutation(1_000_000)
    all_ids = np.arange(3, 1_000_003, dtype=np.uint32)
    many = KeyColumn("T", "K", DataType.INT64, all_ids, shuffled)
    one = KeyColumn("T", "K", DataType.INT64, all_ids, np.arange(1_000_000))
    relationship = made(many, one)
    assert relationship.record_count == 1_000_003
    assert not relationship.has_unmatched
