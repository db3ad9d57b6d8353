"""User hierarchies: by hand from the layout, against every one of the genuine files, and against DuckDB's GROUP BY."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
from genuine_structures import rows, system_table, user_column
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from genuine_columns import database
from tabvault.engine.encoder.user_hierarchy import HierarchyLevel, hierarchy_rows, user_hierarchy
from tabvault.formats.byte_source import pieces
from tabvault.formats.vertipaq import idf, idfmeta

if TYPE_CHECKING:
    from tabvault.formats.byte_source import ByteSource


def level(data_ids: list[int], members: list[int]) -> HierarchyLevel:
    return HierarchyLevel(np.array(data_ids, np.uint32), np.array(members, np.uint32))


def content(body: ByteSource) -> bytes:
    return b"".join(bytes(piece) for piece in pieces(body))


YEARS = level([4, 3, 4, 4, 3], [4, 3])
MONTHS = level([3, 4, 5, 3, 3], [5, 3, 4])
"""Five rows: year 4 with months 3, 5, 3; year 3 with months 4, 3. The order is 4, 3 and 5, 3, 4."""


def test_each_level_is_below_the_one_above_in_the_order_of_the_members() -> None:
    found = hierarchy_rows([YEARS, MONTHS])
    assert {name: values.tolist() for name, values in found.columns.items()} == {
        "MULTI_LEVEL_ID": [4, 3, 5, 3, 3, 4],
        "PARENT_POS": [-1, -1, 0, 0, 1, 1],
        "FIRST_CHILD_POS": [2, 4, -1, -1, -1, -1],
        "CHILD_COUNT": [2, 2, -1, -1, -1, -1],
    }
    assert found.level_starts == (0, 2)


def test_the_columns_are_stored_in_32_bits_as_the_engine_stores_them() -> None:
    """The stored number is one more than the value, but for MULTI_LEVEL_ID."""
    hierarchy = user_hierarchy([level([3], [3]), level([3], [3])], hierarchy_id=9, with_data_offsets=False)
    assert [(column.name, content(column.segments.idf)) for column in hierarchy.columns] == [
        ("MULTI_LEVEL_ID", bytes.fromhex("0200000000000000 03000000 03000000 0000000000000000")),
        ("PARENT_POS", bytes.fromhex("0200000000000000 00000000 01000000 0000000000000000")),
        ("FIRST_CHILD_POS", bytes.fromhex("0200000000000000 02000000 00000000 0000000000000000")),
        ("CHILD_COUNT", bytes.fromhex("0200000000000000 02000000 00000000 0000000000000000")),
    ]
    assert (hierarchy.hierarchy_id, hierarchy.record_count, hierarchy.level_starts) == (9, 2, (0, 1))


def test_a_hierarchy_is_natural_unless_a_member_has_two_parents() -> None:
    assert not hierarchy_rows([YEARS, MONTHS]).is_natural
    quarters = level([3, 4, 5, 3, 4], [3, 4, 5])
    assert hierarchy_rows([YEARS, quarters]).is_natural
    unnatural = user_hierarchy([YEARS, MONTHS], hierarchy_id=1, with_data_offsets=False)
    natural = user_hierarchy([YEARS, quarters], hierarchy_id=1, with_data_offsets=False)
    assert (natural.structure_type, unnatural.structure_type) == (1, 2)


def test_blank_is_a_member_like_others() -> None:
    found = hierarchy_rows([level([2, 3], [2, 3]), level([3, 2], [2, 3])])
    assert found.columns["MULTI_LEVEL_ID"].tolist() == [2, 3, 3, 2]


def test_a_hierarchy_of_one_level_has_leaves_only() -> None:
    found = hierarchy_rows([MONTHS])
    assert found.columns["MULTI_LEVEL_ID"].tolist() == [5, 3, 4]
    assert set(found.columns["PARENT_POS"].tolist() + found.columns["CHILD_COUNT"].tolist()) == {-1}
    assert found.is_natural


def test_a_table_without_rows_has_no_columns() -> None:
    hierarchy = user_hierarchy([level([], []), level([], [])], hierarchy_id=1, with_data_offsets=True)
    assert (hierarchy.record_count, hierarchy.columns, hierarchy.level_starts) == (0, (), (0, 0))


# --- genuine files ---------------------------------------------------


def genuine_level(sample: str, column_id: int) -> HierarchyLevel:
    """The column's ids in row order, and its members as its own H$ table has them."""
    (hierarchy,) = (h["ID"] for h in rows(sample, "AttributeHierarchy").values() if h["ColumnID"] == column_id)
    (storage,) = (
        s for s in rows(sample, "AttributeHierarchyStorage").values() if s["AttributeHierarchyID"] == hierarchy
    )
    by_position = system_table(sample, storage["SystemTableID"]).columns["POS_TO_ID"].values
    members = by_position[: storage["DistinctDataCount"]].astype(np.uint32)
    return HierarchyLevel(user_column(sample, column_id).data_ids, members)


def level_definition(sample: str, column_ids: list[int], starts: tuple[int, ...]) -> str:
    names = [user_column(sample, column_id).column.storage.name for column_id in column_ids]
    return "".join(f"${name}${start}" for name, start in zip(names, starts, strict=True)) + "$"


def test_every_user_hierarchy_of_the_genuine_files_is_rebuilt_byte_for_byte() -> None:
    seen = stored = file_count = 0
    kinds = set()
    for sample in CONTAINER_SAMPLES:
        storages = {cells["HierarchyID"]: cells for cells in rows(sample, "HierarchyStorage").values()}
        hierarchies = [h for table in database(sample).model.tables for h in table.hierarchies]
        for hierarchy in hierarchies:
            storage = storages[hierarchy.id]
            genuine = system_table(sample, storage["SystemTableID"])
            column_ids = [of_level.column_id for of_level in hierarchy.levels]
            ours = user_hierarchy(
                [genuine_level(sample, column_id) for column_id in column_ids],
                hierarchy_id=hierarchy.id,
                with_data_offsets=genuine.columns["PARENT_POS"].has_data_offsets,
            )
            place = f"{sample} {hierarchy.name}"
            assert [column.name for column in ours.columns] == list(genuine.columns), place
            for column in ours.columns:
                assert content(column.segments.idf) == genuine.columns[column.name].idf, place
                assert content(column.segments.idfmeta) == genuine.columns[column.name].idfmeta, place
                file_count += 2
            assert ours.record_count == genuine.table.row_count, place
            assert ours.structure_type == storage["StructureType"], place
            assert level_definition(sample, column_ids, ours.level_starts) == storage["LevelDefinition"], place
            seen += 1
            kinds.add(ours.structure_type)
        stored += len(rows(sample, "HierarchyStorage"))
    print(f"{seen} user hierarchies, {file_count} files")  # noqa: T201 - the counts are to be seen
    assert seen == stored
    assert kinds == {1, 2}


# --- laws ------------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> list[HierarchyLevel]:
    row_count = draw(st.integers(1, 40))
    levels = []
    for _ in range(draw(st.integers(1, 4))):
        data_ids = draw(st.lists(st.integers(2, 6), min_size=row_count, max_size=row_count))
        levels.append(level(data_ids, draw(st.permutations(sorted(set(data_ids))))))
    return levels


@settings(deadline=None, max_examples=50)
@given(levels=tables())
def test_parents_and_children_are_those_of_a_group_by(levels: list[HierarchyLevel]) -> None:
    found = hierarchy_rows(levels)
    ids, parents, first_children, child_counts = (values.tolist() for values in found.columns.values())
    paths = []
    for data_id, parent in zip(ids, parents, strict=True):
        paths.append((*paths[parent], data_id) if parent >= 0 else (data_id,))
    names = [f"l{index}" for index in range(len(levels))]
    with duckdb.connect() as connection:
        connection.register("t", pa.table([pa.array(of_level.data_ids) for of_level in levels], names))
        expected = []
        for depth in range(1, len(levels) + 1):
            keys = ", ".join(names[:depth])
            below = f"count(DISTINCT {names[depth]})" if depth < len(levels) else "-1"
            grouped = connection.sql(f"SELECT {keys}, {below} FROM t GROUP BY {keys}").fetchall()
            grouped.sort(key=lambda row: [levels[n].members.tolist().index(row[n]) for n in range(len(row) - 1)])
            assert found.level_starts[depth - 1] == len(expected)
            expected += grouped
    assert [(*path, count) for path, count in zip(paths, child_counts, strict=True)] == expected
    for row, (first, count) in enumerate(zip(first_children, child_counts, strict=True)):
        if count >= 0:
            children = [child for child, parent in enumerate(parents) if parent == row]
            assert children == list(range(first, first + count))


def test_stored_columns_decode_to_the_rows() -> None:
    hierarchy = user_hierarchy([YEARS, MONTHS], hierarchy_id=1, with_data_offsets=True)
    for column in hierarchy.columns:
        segments = idfmeta.parse(content(column.segments.idfmeta), file=None)
        (values,) = idf.decode_system(content(column.segments.idf), segments, file=None)
        assert values.tolist() == hierarchy_rows([YEARS, MONTHS]).columns[column.name].tolist()


def test_a_million_leaves_have_a_row_each() -> None:
    random = np.random.default_rng(4)
    leaves = random.permutation(1_000_000).astype(np.uint32) + 3
    levels = [
        HierarchyLevel(leaves // 10_000 + 3, np.arange(3, 104, dtype=np.uint32)),
        HierarchyLevel(leaves, random.permutation(leaves)),
    ]
    found = hierarchy_rows(levels)
    assert len(found.columns["PARENT_POS"]) == 1_000_101
