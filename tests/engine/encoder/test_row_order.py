"""How long the runs become, beside the engine's own files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from genuine_columns import database
from tabvault.engine.column_files import checked_parts
from tabvault.engine.encoder import row_order as row_order_module
from tabvault.formats.vertipaq import bit_widths, hybrid_writer, idf
from tabvault.formats.vertipaq.hybrid_writer import BookmarkRule


def row_order(columns: list[np.ndarray], bit_widths: list[int], *, worker_count: int = 2) -> np.ndarray | None:
    with ThreadPoolExecutor(worker_count) as workers:
        return row_order_module.row_order(columns, bit_widths, workers)


def run_count(values: np.ndarray) -> int:
    return int(np.count_nonzero(np.diff(values))) + 1


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(0, 3000), st.sampled_from([1 << 16, 1 << 8]))
@settings(deadline=None, max_examples=40)
def test_every_row_is_there_once(seed: int, column_count: int, row_count: int, sampled: int) -> None:
    random = np.random.default_rng(seed)
    columns = [random.zipf(1.3, row_count).clip(max=2000).astype(np.uint32) for _ in range(column_count)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_order_module, "_SAMPLED_ROW_COUNT_MAX", sampled)
        order = row_order(columns, [11] * column_count)
        again = row_order(columns, [11] * column_count, worker_count=5)
    if order is None:
        return
    assert np.array_equal(np.sort(order), np.arange(row_count))
    assert np.array_equal(order, again)


def test_rows_of_two_columns_fall_into_few_runs() -> None:
    random = np.random.default_rng(1)
    first, second = random.integers(0, 4, 4000), random.integers(0, 5, 4000)
    order = row_order([first, second], [2, 3])
    assert order is not None
    assert run_count(second[order]) == 5
    assert run_count(first[order]) <= 20


def test_rare_values_do_not_tear_apart_what_another_column_joins() -> None:
    random = np.random.default_rng(1)
    rare, common = random.permutation(4000) // 60, random.integers(0, 10, 4000)
    order = row_order([rare, common], [7, 4])
    assert order is not None
    assert run_count(common[order]) == 10


@pytest.mark.parametrize("columns", [[], [np.zeros(5000, np.int64)], [np.arange(5000)], [np.zeros(0, np.int64)]])
def test_rows_that_no_order_helps_stay_as_they_are(columns: list[np.ndarray]) -> None:
    assert row_order(columns, [1] * len(columns)) is None


def test_shuffled_genuine_tables_come_out_as_small_as_the_engine_made_them() -> None:
    engine, unordered, ours = 0, 0, 0
    for sample in CONTAINER_SAMPLES:
        genuine = database(sample)
        for table in genuine.model.tables:
            columns, stored = [], 0
            for column in table.columns:
                if column.is_row_number or column.storage is None or column.storage.dictionary is None:
                    continue
                for part in checked_parts(genuine.files, table, column, column.storage):
                    content = genuine.files.read(part.idf_file)
                    columns += idf.decode(content, part.segments, file=None)
                    stored += len(content)
            if not columns or len({len(ids) for ids in columns}) > 1:
                continue
            shuffled = np.random.default_rng(len(columns[0])).permutation(len(columns[0]))
            columns = [ids[shuffled] for ids in columns]
            widths = [bit_widths.width_of(int(ids.max(initial=2)) - int(ids.min(initial=2))) for ids in columns]
            order = row_order(columns, widths)
            engine += stored
            unordered += byte_count(columns)
            ours += byte_count(columns if order is None else [ids[order] for ids in columns])
    print(f"engine {engine:,} bytes, unordered {unordered / engine:.3f} times that, ours {ours / engine:.3f} times")  # noqa: T201 - what was found
    assert engine > 0
    assert ours <= 1.01 * engine < unordered


def byte_count(columns: list[np.ndarray]) -> int:
    return sum(len(hybrid_writer.encode(ids, bookmark=BookmarkRule.ENTRIES).words) for ids in columns)
