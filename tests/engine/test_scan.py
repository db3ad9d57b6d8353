"""
The columns of genuine databases as Arrow.

The truth is pbixray's for every value of every user table. It returns nothing but nulls for a value-encoded column
that has no hash index; there the engine's own statistics decide.
"""

from __future__ import annotations

import base64
import time
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pbixray import PBIXRay

from conftest import CONTAINER_SAMPLES, sample_path
from genuine_columns import MemoryFiles, database
from tabvault.engine import scan
from tabvault.errors import QueryError, TabvaultError
from tabvault.model.objects import DataType, DictionaryType

if TYPE_CHECKING:
    import pandas as pd

AI_SAMPLE = "microsoft__Artificial_Intelligence_Sample.pbix"
SMALL = "Hugoberry__abc.pbix"

NULLS_OF_PBIXRAY = {(AI_SAMPLE, "Opportunity Calendar", "DaySeq"): 1096}
"""Value-encoded columns without a hash index, and how many values pbixray takes for nulls in each."""


@cache
def peer(sample: str) -> PBIXRay:
    return PBIXRay(str(sample_path(sample)))


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def comparable(column: pa.ChunkedArray, other: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """
    Both columns' values that are not null, in one form and without any tolerance.

    Dates are compared as microseconds, to which ours are rounded from the start and pbixray's here.
    """
    ours = plain(column).drop_null()
    theirs = other[other.notna()]
    if pa.types.is_timestamp(ours.type):
        as_microseconds = theirs.astype("datetime64[ns]").dt.round("us").astype("datetime64[us]")
        return ours.cast(pa.int64()).to_numpy(), as_microseconds.astype("int64").to_numpy()
    if pa.types.is_decimal(ours.type):
        return np.array(ours.to_pylist(), object), np.array([Decimal(value) for value in theirs], object)
    if pa.types.is_binary(ours.type):
        return np.array(ours.to_pylist(), object), np.array([base64.b64decode(text) for text in theirs], object)
    if pa.types.is_string(ours.type):
        return np.array(ours.to_pylist(), object), np.array(theirs.tolist(), object)
    return ours.to_numpy(), theirs.to_numpy().astype(ours.type.to_pandas_dtype())


@pytest.mark.slow
@pytest.mark.parametrize("sample", CONTAINER_SAMPLES)
def test_every_value_of_every_user_column_equals_pbixray(sample: str) -> None:
    genuine = database(sample)
    nulls_of_pbixray = {}
    for table in genuine.model.tables:
        ours = scan.read_table(genuine.files, table)
        theirs = peer(sample).get_table(table.name)
        assert ours.num_rows == table.row_count
        assert ours.schema == scan.table_schema(table)
        assert set(ours.column_names) == set(theirs.columns) - {"RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61"}
        for column in table.columns:
            if column.is_row_number or table.row_count == 0:
                continue
            values, other = ours.column(column.name), theirs[column.name]
            values.validate(full=True)
            place = f"{table.name}[{column.name}]"
            if column.storage.dictionary.type == DictionaryType.VALUE and other.isna().all():
                nulls_of_pbixray[sample, table.name, column.name] = len(other) - values.null_count
                continue
            assert np.array_equal(values.is_null().to_numpy(), other.isna().to_numpy()), place
            left, right = comparable(values, other)
            assert np.array_equal(left, right), place
    assert nulls_of_pbixray == {key: count for key, count in NULLS_OF_PBIXRAY.items() if key[0] == sample}


@pytest.mark.slow
@pytest.mark.parametrize("sample", CONTAINER_SAMPLES)
def test_the_statistics_that_the_engine_stored_are_those_of_the_values(sample: str) -> None:
    """
    Row count, presence of nulls, distinct values and, where ids are computed, the extremes: from the values alone.
    """
    genuine = database(sample)
    for table in genuine.model.tables:
        for column in table.columns:
            values = plain(scan.read_column(genuine.files, table, column))
            stated, dictionary = column.storage.statistics, column.storage.dictionary
            place = f"{table.name}[{column.name}]"
            assert (len(values), values.null_count > 0) == (stated.row_count, stated.has_nulls), place
            if not len(values):
                continue
            distinct = pc.count_distinct(values, mode="only_valid").as_py()
            assert distinct in {stated.distinct_states, stated.distinct_states - stated.has_nulls}, place
            if dictionary.type == DictionaryType.HASH:
                assert dictionary.last_id == 2 + distinct, place
            elif column.data_type == DataType.INT64 and dictionary.magnitude == 1:
                extremes = pc.min_max(values).as_py()
                assert extremes["min"] == stated.min_data_id + dictionary.base_id, place
                assert extremes["max"] == stated.max_data_id + dictionary.base_id, place
            else:
                assert dictionary.type == DictionaryType.VALUE


@pytest.mark.slow
@pytest.mark.parametrize("sample", CONTAINER_SAMPLES)
def test_every_column_of_every_table_passes_its_checks(sample: str) -> None:
    genuine = database(sample)
    for table in (*genuine.model.tables, *genuine.model.system_tables):
        for column in table.columns:
            scan.check_column(genuine.files, table, column)


def test_a_value_encoded_column_without_a_hash_index_has_its_values() -> None:
    """
    A column that is hidden from MDX has no hierarchy and no ``.hidx`` file, which says nothing about its values.

    pbixray reads such a column as nulls. These are the 1096 days of three years, and the statistics agree.
    """
    genuine = database(AI_SAMPLE)
    column = genuine.column("Opportunity Calendar", "DaySeq")
    assert not column.is_available_in_mdx
    values = scan.read_column(genuine.files, genuine.table("Opportunity Calendar"), column)
    assert (len(values), values.null_count) == (1096, 0)
    assert sorted(values.to_pylist()) == list(range(1, 1097))
    assert column.storage.statistics.distinct_states == 1096


def test_a_row_number_counts_its_rows() -> None:
    genuine = database(SMALL)
    for table in genuine.model.tables:
        (column,) = (column for column in table.columns if column.is_row_number)
        assert scan.read_column(genuine.files, table, column).to_pylist() == list(range(table.row_count))


def test_columns_come_in_the_order_wanted_and_by_default_in_that_of_the_model() -> None:
    genuine = database(AI_SAMPLE)
    table = genuine.table("Opportunity Calendar")
    names = [column.name for column in table.columns if not column.is_row_number]
    assert scan.read_table(genuine.files, table).column_names == names
    assert scan.read_table(genuine.files, table, names[::-2]).column_names == names[::-2]
    assert scan.read_table(genuine.files, table, []).column_names == []
    with pytest.raises(QueryError, match="no column 'dayseq' in table 'Opportunity Calendar'") as caught:
        scan.read_table(genuine.files, table, ["dayseq"])
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("there is 'DaySeq'")
    with pytest.raises(QueryError, match="no column '~'") as caught:
        scan.read_table(genuine.files, table, ["~"])
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("there are '")
    assert "'DaySeq'" in caught.value.hint


@pytest.mark.parametrize("suffix", [".idf", ".idfmeta", ".dictionary"])
def test_a_genuine_column_with_flipped_bits_or_a_lost_end_has_values_or_a_named_error(suffix: str) -> None:
    genuine = database(SMALL)
    chosen = np.random.default_rng(7)
    refused = tried = 0
    started = time.monotonic()
    for table in genuine.model.tables:
        for column in table.columns:
            if column.is_row_number:
                continue
            part = column.storage.partitions[0]
            name = {".idf": part.idf_file, ".idfmeta": part.idfmeta_file}.get(suffix, column.storage.dictionary.file)
            if name is None:
                continue
            body = genuine.files.read(name)
            damaged = [body[: chosen.integers(len(body))] for _ in range(5)]
            for _ in range(25):
                flipped = bytearray(body)
                flipped[chosen.integers(len(body))] ^= 1 << chosen.integers(8)
                damaged.append(bytes(flipped))
            for bad in damaged:
                tried += 1
                try:
                    scan.read_column(MemoryFiles(genuine.files.bodies | {name: bad}), table, column)
                except TabvaultError:
                    refused += 1
    assert tried >= 90
    assert refused > tried / 6
    assert time.monotonic() - started < 30
