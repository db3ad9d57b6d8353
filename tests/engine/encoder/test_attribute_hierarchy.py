"""
Attribute hierarchies: by hand from the layout, against every one of the genuine files, and by laws.

The order of texts is taken from the genuine ``POS_TO_ID`` where a sort is not asked about: the collation has tests of
its own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from genuine_structures import UserColumn, file_names, rows, system_table, user_column
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from genuine_columns import database
from tabvault.engine.encoder.attribute_hierarchy import (
    attribute_hierarchy,
    base64_order,
    members_sorted_by,
    positions,
    row_number_hierarchy,
    sort_keys,
    sorted_members,
)
from tabvault.engine.encoder.relationship_keys import KeyColumn
from tabvault.engine.encoder.value_range import ValueRange, value_range
from tabvault.errors import ProcessingError
from tabvault.formats.byte_source import pieces
from tabvault.formats.vertipaq import hash_index, idf, idfmeta
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.processed import ProcessedAttributeHierarchy

NO_RANGE = ValueRange(None, None, 0)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint32)


def made(
    members: np.ndarray, *, is_value_encoded: bool = False, is_available_in_mdx: bool = True
) -> ProcessedAttributeHierarchy:
    return attribute_hierarchy(
        members,
        is_value_encoded=is_value_encoded,
        is_available_in_mdx=is_available_in_mdx,
        value_range=NO_RANGE,
        with_data_offsets=True,
    )


def content(body: ByteSource) -> bytes:
    return b"".join(bytes(piece) for piece in pieces(body))


def decoded(hierarchy: ProcessedAttributeHierarchy) -> dict[str, list[list[int]]]:
    """The rows of each column, segment by segment."""
    found = {}
    for column in hierarchy.columns:
        segments = idfmeta.parse(content(column.segments.idfmeta), file=None)
        found[column.name] = [s.tolist() for s in idf.decode_system(content(column.segments.idf), segments, file=None)]
    return found


def rows_of(hierarchy: ProcessedAttributeHierarchy) -> dict[str, list[int]]:
    """The rows of each column."""
    return {name: [value for segment in segments for value in segment] for name, segments in decoded(hierarchy).items()}


def test_six_numbers_are_stored_in_two_segments_as_the_engine_stores_them() -> None:
    """The bytes of a hierarchy of a genuine file of 2016, read from its hexadecimal dump."""
    hierarchy = made(ids(3, 4, 5, 6, 7, 8))
    to_id, to_position = (content(column.segments.idf) for column in hierarchy.columns)
    words = np.array([4, 3 | 4 << 32, 5 | 6 << 32, 7 | 8 << 32, 0, 2, 0, 0], "<u8")
    assert to_id == words.tobytes()
    words = np.array([4, 6 << 32, 0, 1 | 2 << 32, 0, 2, 3 | 4 << 32, 5], "<u8")
    assert to_position == words.tobytes()
    assert (hierarchy.distinct_data_count, hierarchy.record_count, hierarchy.segment_count) == (6, 9, 2)


def test_members_of_a_hash_column_are_in_the_order_of_their_values_with_blank_first() -> None:
    entries = np.array([30, 10, 20], np.int64)
    members = sorted_members(ids(2, 3, 4, 5), entries, base64_order)
    assert members.tolist() == [2, 4, 5, 3]
    hierarchy = made(members)
    assert hierarchy.materialization_type == 0
    assert decoded(hierarchy) == {"POS_TO_ID": [[2, 4, 5, 3], [0, 0]], "ID_TO_POS": [[0, 4, 0, 3], [1, 2]]}


def test_texts_are_in_the_order_that_the_collation_gives() -> None:
    entries = pa.array(["b", "B", "a", "unused"])
    assert sorted_members(ids(3, 4, 5), entries, base64_order).tolist() == [4, 5, 3]


def test_entries_that_no_row_uses_are_no_members() -> None:
    entries = np.array([5.5, 1.5, 3.5, 0.5])
    members = sorted_members(ids(3, 5), entries, base64_order)
    assert members.tolist() == [5, 3]
    assert decoded(made(members)) == {"POS_TO_ID": [[5, 3], [0, 0], [0, 0]], "ID_TO_POS": [[0, 2], [0, 1], [0, 0]]}


def test_a_column_of_nothing_but_blank_has_one_member() -> None:
    hierarchy = made(sorted_members(ids(2), np.empty(0, np.int64), base64_order))
    assert decoded(hierarchy) == {"POS_TO_ID": [[2], [0], [0]], "ID_TO_POS": [[0], [1], [0]]}


@pytest.mark.parametrize(("blanks", "padding"), [([], 3), ([2], 2)])
def test_a_value_encoded_column_has_a_hash_index_in_place_of_the_positions(blanks: list[int], padding: int) -> None:
    members = sorted_members(ids(*blanks, 3, 103, 2_000_000_003), None, base64_order)
    hierarchy = made(members, is_value_encoded=True)
    assert hierarchy.materialization_type == 1
    stored = rows_of(hierarchy)["POS_TO_ID"]
    assert stored == [*members.tolist(), *[0] * padding]
    found = hash_index.parse(content(hierarchy.hash_index), file=None)
    assert found.data_ids.tolist() == members.tolist()
    assert found.positions.tolist() == list(range(len(members)))


def test_a_column_without_rows_or_without_a_place_in_mdx_has_no_table() -> None:
    empty, hidden = made(ids()), made(ids(3), is_available_in_mdx=False)
    assert (empty.materialization_type, empty.distinct_data_count) == (2, 0)
    assert (hidden.materialization_type, hidden.distinct_data_count) == (-1, -1)
    assert empty.columns == hidden.columns == ()


def test_the_row_number_has_as_many_members_as_rows_and_no_table() -> None:
    row_number, empty = row_number_hierarchy(7), row_number_hierarchy(0)
    assert (row_number.materialization_type, row_number.distinct_data_count) == (3, 7)
    assert (row_number.min_value, row_number.max_value, row_number.string_value_max_length) == ("0", "6", 0)
    assert (empty.materialization_type, empty.distinct_data_count, empty.min_value) == (2, 0, None)


def test_a_sort_by_column_decides_and_equal_values_there_keep_their_own_order() -> None:
    months = sorted_members(ids(3, 4, 5), pa.array(["Jan", "Feb", "Apr"]), base64_order)
    assert months.tolist() == [5, 4, 3]
    by = np.array([1, 2, 4, 1])
    assert members_sorted_by(months, ids(3, 4, 5, 3), by, column="'D'[M]", by="'D'[N]").tolist() == [3, 4, 5]
    by = np.array([1, 2, 2, 1])
    assert members_sorted_by(months, ids(3, 4, 5, 3), by, column="'D'[M]", by="'D'[N]").tolist() == [3, 5, 4]


def test_a_value_beside_two_values_of_its_sort_by_column_is_refused_by_name() -> None:
    with pytest.raises(ProcessingError, match=r"'D'\[M\] cannot be sorted by 'D'\[N\]: 1 rows"):
        members_sorted_by(ids(3, 4), ids(3, 4, 3), np.array([1, 2, 3]), column="'D'[M]", by="'D'[N]")


# --- genuine files ---------------------------------------------------


def genuine_hierarchies(sample: str) -> Iterator[tuple[UserColumn, dict]]:
    """Each column with a storage of its attribute hierarchy."""
    storages = {cells["AttributeHierarchyID"]: cells for cells in rows(sample, "AttributeHierarchyStorage").values()}
    user_columns = {column.id for table in database(sample).model.tables for column in table.columns}
    for cells in rows(sample, "AttributeHierarchy").values():
        if cells["ColumnID"] in user_columns and cells["ID"] in storages:
            yield user_column(sample, cells["ColumnID"]), storages[cells["ID"]]


def stored_range(column: UserColumn, members: np.ndarray) -> ValueRange:
    data_type = DataType(column.column.data_type)
    key = KeyColumn("", "", data_type, column.data_ids, column.entries, column.base_id, column.magnitude)
    return value_range(members, data_type, key.values)


def genuine_order(sample: str, storage: dict) -> np.ndarray:
    """The members as the engine has them in ``POS_TO_ID``."""
    genuine = system_table(sample, storage["SystemTableID"]).columns["POS_TO_ID"].values
    return genuine[: storage["DistinctDataCount"]].astype(np.uint32)


def rebuilt(sample: str, column: UserColumn, storage: dict) -> ProcessedAttributeHierarchy:
    """The hierarchy from the column's ids and entries; the order of texts, and of sort-by columns, as it is there."""
    if column.column.is_row_number:
        return row_number_hierarchy(len(column.data_ids))
    has_table = storage["SystemTableID"] != 0
    sort_by = rows(sample, "Column")[column.column.id]["SortByColumnID"]
    is_binary = column.column.data_type == DataType.BINARY
    is_given = has_table and (sort_by or (isinstance(column.entries, pa.Array) and not is_binary))
    members = sorted_members(column.used_ids, column.entries, base64_order)
    if is_given:
        assert sorted(genuine_order(sample, storage)) == sorted(members)
        members = genuine_order(sample, storage)
    genuine = system_table(sample, storage["SystemTableID"]).columns["POS_TO_ID"] if has_table else None
    index_file = file_names(sample).get(storage["StorageFileID"])
    index = database(sample).files.read(index_file) if index_file else bytes(49)
    return attribute_hierarchy(
        members,
        is_value_encoded=column.is_value_encoded,
        is_available_in_mdx=column.column.is_available_in_mdx,
        value_range=stored_range(column, members) if has_table else NO_RANGE,
        with_data_offsets=genuine is not None and genuine.has_data_offsets,
        with_hash_index_statistics=any(index[41:49]),
    )


def test_every_hierarchy_of_the_genuine_files_is_rebuilt_byte_for_byte() -> None:
    seen: Counter[str] = Counter()
    stored: Counter[str] = Counter()
    for sample in CONTAINER_SAMPLES:
        for column, storage in genuine_hierarchies(sample):
            ours = rebuilt(sample, column, storage)
            place = f"{sample} {column.table.name} {column.column.name}"
            assert ours.materialization_type == storage["MaterializationType"], place
            assert ours.distinct_data_count == storage["DistinctDataCount"], place
            names = [column.name for column in ours.columns]
            assert storage["ColumnPositionToData"] == (0 if "POS_TO_ID" in names else -1), place
            assert storage["ColumnDataToPosition"] == (1 if "ID_TO_POS" in names else -1), place
            seen[f"hierarchies of type {ours.materialization_type}"] += 1
            if not storage["SystemTableID"]:
                assert not names, place
                continue
            genuine = system_table(sample, storage["SystemTableID"])
            assert names == list(genuine.columns), place
            (partition,) = genuine.table.partitions
            assert partition.storage.record_count == ours.record_count, place
            assert partition.storage.segment_count == ours.segment_count, place
            assert partition.storage.records_per_segment == ours.distinct_data_count, place
            for made_column in ours.columns:
                theirs = genuine.columns[made_column.name]
                assert content(made_column.segments.idf) == theirs.idf, place
                assert content(made_column.segments.idfmeta) == theirs.idfmeta, place
                seen["idf and idfmeta files"] += 1
            if ours.hash_index is not None:
                assert content(ours.hash_index) == database(sample).files.read(
                    file_names(sample)[storage["StorageFileID"]]
                ), place
                seen["hidx files"] += 1
        stored["hierarchies"] += len(rows(sample, "AttributeHierarchyStorage"))
        stored["H$ columns"] += sum(
            len(table.columns) for table in database(sample).model.system_tables if table.name.startswith("H$")
        )
        stored["hidx files"] += sum(name.endswith(".hidx") for name in database(sample).files.names())
    print(dict(seen), dict(stored))  # noqa: T201 - the counts are to be seen
    assert sum(count for name, count in seen.items() if name.startswith("hierarchies")) == stored["hierarchies"]
    assert seen["idf and idfmeta files"] == stored["H$ columns"]
    assert seen["hidx files"] == stored["hidx files"]


def test_the_statistics_of_every_genuine_h_column_are_those_that_are_made() -> None:
    (column,) = made(ids(3), is_value_encoded=True).columns
    for sample in CONTAINER_SAMPLES:
        for table in database(sample).model.system_tables:
            for storage in (c.storage for c in table.columns if table.name.startswith("H$")):
                cells = rows(sample, "ColumnStorage")[storage.id]
                assert {
                    "distinct_states": cells["Statistics_DistinctStates"],
                    "min_data_id": cells["Statistics_MinDataID"],
                    "max_data_id": cells["Statistics_MaxDataID"],
                    "original_min_segment_data_id": cells["Statistics_OriginalMinSegmentDataID"],
                    "row_count": cells["Statistics_RowCount"],
                    "has_nulls": bool(cells["Statistics_HasNulls"]),
                    "rle_runs": cells["Statistics_RLERuns"],
                    "others_rle_runs": cells["Statistics_OthersRLERuns"],
                } == {name: getattr(column.statistics, name) for name in column.statistics.__slots__}


def test_every_genuine_column_with_a_sort_by_column_follows_it() -> None:
    seen = 0
    for sample in CONTAINER_SAMPLES:
        metadata = rows(sample, "Column")
        for column, storage in genuine_hierarchies(sample):
            by = metadata[column.column.id]["SortByColumnID"]
            if not by or not storage["SystemTableID"]:
                continue
            other = user_column(sample, by)
            own = sorted_members(column.used_ids, column.entries, base64_order)
            by_own = sorted_members(other.used_ids, other.entries, base64_order)
            keys = sort_keys(by_own, other.data_ids)
            ours = members_sorted_by(own, column.data_ids, keys, column="", by="")
            assert ours.tolist() == genuine_order(sample, storage).tolist(), (sample, column.column.name)
            seen += 1
    print(f"{seen} columns are sorted by another one")  # noqa: T201 - the counts are to be seen
    assert seen == sum(
        bool(rows(sample, "Column")[column.id]["SortByColumnID"])
        for sample in CONTAINER_SAMPLES
        for table in database(sample).model.tables
        for column in table.columns
        if table.row_count
    )


def test_every_genuine_minimum_and_maximum_is_the_text_that_is_made() -> None:
    seen = with_values = 0
    for sample in CONTAINER_SAMPLES:
        for column, storage in genuine_hierarchies(sample):
            if not storage.get("HasStatistics"):
                continue
            ours = rebuilt(sample, column, storage)
            found = (ours.min_value, ours.max_value, ours.string_value_max_length)
            assert found == (storage["MinValue"], storage["MaxValue"], storage["StringValueMaxLength"])
            seen += 1
            with_values += ours.min_value is not None
    print(f"{seen} columns with statistics, {with_values} with values")  # noqa: T201 - the counts are to be seen
    assert seen == sum(
        bool(cells.get("HasStatistics"))
        for sample in CONTAINER_SAMPLES
        for cells in rows(sample, "AttributeHierarchyStorage").values()
    )
    assert with_values


# --- laws ------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=40),
    is_used=st.lists(st.booleans(), min_size=40, max_size=40),
    has_nulls=st.booleans(),
)
def test_positions_and_ids_are_each_others_inverse(values: list[int], is_used: list[bool], *, has_nulls: bool) -> None:
    used = ids(*[2] * has_nulls, *[n + 3 for n in range(len(values)) if is_used[n]])
    members = sorted_members(used, np.array(values, np.int64), base64_order)
    in_order = [values[n - 3] for n in members.tolist() if n > 2]
    assert in_order == sorted(values[n - 3] for n in used.tolist() if n > 2)
    assert positions(members)[members].tolist() == list(range(len(members)))
    if len(members):
        stored = rows_of(made(members))
        for position, data_id in enumerate(members.tolist()):
            assert stored["POS_TO_ID"][position] == data_id
            assert stored["ID_TO_POS"][data_id] == position
        assert stored["ID_TO_POS"][1] == len(members)


@pytest.mark.parametrize(
    ("stored", "data_type", "text"),
    [
        (-12_345, DataType.DECIMAL, "-1.2345"),
        (120_000, DataType.DECIMAL, "12"),
        (0, DataType.DECIMAL, "0"),
        (1e20, DataType.DOUBLE, "1E+20"),
        (0.1, DataType.DOUBLE, "0.1"),
        (45672.75, DataType.DATETIME, "1/15/2025 6:00:00 PM"),
        (45672.0, DataType.DATETIME, "1/15/2025"),
        (-1.25, DataType.DATETIME, "12/29/1899 6:00:00 AM"),
        (45672.999999, DataType.DATETIME, "1/16/2025"),
        (2958465.999999, DataType.DATETIME, "12/31/9999 11:59:59 PM"),
        (9e9, DataType.DATETIME, "9000000000"),
        (1, DataType.BOOLEAN, "TRUE"),
        (-5, DataType.INT64, "-5"),
    ],
)
def test_a_number_is_told_as_text(stored: float, data_type: DataType, text: str) -> None:
    values = np.array([stored, stored])
    assert value_range(ids(3), data_type, lambda _ids: values) == (text, text, 0)


def test_the_length_of_a_text_counts_utf16_units() -> None:
    entries = pa.array(["ab", "\U0001f600\U0001f600", ""])
    found = value_range(ids(5, 3, 4), DataType.STRING, lambda data_ids: entries.take(pa.array(data_ids - 3)))
    assert found == ("", "\U0001f600\U0001f600", 4)


def test_a_million_numbers_take_two_segments() -> None:
    entries = np.random.default_rng(4).permutation(1_000_000).astype(np.int64)
    members = sorted_members(np.arange(3, 1_000_003, dtype=np.uint32), entries, base64_order)
    hierarchy = made(members)
    assert hierarchy.segment_count == 2
