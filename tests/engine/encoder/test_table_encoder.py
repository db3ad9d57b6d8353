"""Rows to columns and back through our own reader: the same rows, in any order within a segment."""

from __future__ import annotations

import datetime
import math
import threading
from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from encoded_tables import (
    content,
    encode,
    encoder,
    specification,
    store,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.engine.encoder.specification import EncoderOptions
from tabvault.engine.scan import check_column
from tabvault.errors import ProcessingError, SourceTypeError
from tabvault.model.objects import DictionaryType

SEGMENT = EncoderOptions(records_per_segment=64)

_SECONDS = st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2078, 12, 31))  # noqa: DTZ001
VALUES = {
    pa.string(): st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    pa.binary(): st.binary(max_size=80),
    pa.int64(): st.one_of(
        st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1), st.sampled_from([100, 2000, -(2**63), 2**63 - 1])
    ),
    pa.bool_(): st.booleans(),
    pa.decimal128(19, 4): st.integers(-(2**63), 2**63 - 1).map(lambda number: Decimal(number).scaleb(-4)),
    pa.float64(): st.one_of(st.floats(), st.integers(-1000, 1000).map(lambda cents: cents / 100)),
    pa.timestamp("us"): _SECONDS,
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Of any types; rows repeat, so that there are runs; few rows or some segments."""
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(*(st.none() | VALUES[kind] for kind in types)), max_size=12))
    repeated = draw(st.lists(st.sampled_from(rows), max_size=20)) if rows else []
    times = draw(st.sampled_from([1, 1, 7, 64]))
    cells = list(zip(*(repeated * times + rows), strict=True)) or [()] * len(types)
    return pa.table({f"c{i}": pa.array(cells[i], kind) for i, kind in enumerate(types)})


def _comparable(value: object) -> object:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    return value.lower() if isinstance(value, str) else value


def multiset(rows: pa.Table) -> Counter[tuple[object, ...]]:
    columns = [[_comparable(value) for value in column.to_pylist()] for column in rows.columns]
    return Counter(zip(*columns, strict=True))


@given(tables())
@settings(deadline=None, max_examples=120)
def test_any_table_comes_back_row_by_row(rows: pa.Table) -> None:
    stored = encode({1: rows}, rows.schema, options=SEGMENT)
    assert multiset(stored.rows()) == multiset(rows)
    assert stored.row_numbers() == list(range(rows.num_rows))
    for column in stored.table.columns:
        assert check_column(stored.files, stored.table, column) == []


@given(tables(), st.integers(0, 200))
@settings(deadline=None, max_examples=40)
def test_partitions_keep_their_rows_apart(rows: pa.Table, at: int) -> None:
    parts = {1: rows.slice(0, at), 2: rows.slice(at)}
    stored = encode(parts, rows.schema, options=SEGMENT)
    found, count = stored.rows(), parts[1].num_rows
    assert multiset(found.slice(0, count)) == multiset(parts[1])
    assert multiset(found.slice(count)) == multiset(parts[2])


@pytest.mark.parametrize("row_count", [0, 1, 63, 64, 65, 127, 128, 129])
def test_a_table_is_cut_at_the_segment_boundaries(row_count: int) -> None:
    rows = pa.table({"n": pa.array(range(row_count), pa.int64())})
    stored = encode({1: rows}, rows.schema, options=SEGMENT)
    (partition,) = stored.processed.partitions
    counts = stored.segment_row_counts
    assert counts == ([64] * (row_count // 64) + [row_count % 64] * (row_count % 64 > 0) or [0])
    assert (partition.record_count, partition.segment_count) == (row_count, len(counts))
    assert sorted(stored.rows().column("n").to_pylist()) == list(range(row_count))


def test_all_columns_of_a_segment_have_the_same_order() -> None:
    numbers = np.random.default_rng(5).integers(0, 9, 5000)
    rows = pa.table({"a": numbers, "b": numbers * 7, "c": [f"x{number}" for number in numbers]})
    found = encode({1: rows}, rows.schema, options=EncoderOptions(records_per_segment=1024)).rows()
    assert [a * 7 for a in found["a"].to_pylist()] == found["b"].to_pylist()
    assert [f"x{a}" for a in found["a"].to_pylist()] == found["c"].to_pylist()


def test_ids_follow_the_first_appearance_over_partitions_and_segments() -> None:
    parts = {
        2: pa.table({"s": ["z", "y", "z"] * 40 + ["b"]}),
        1: pa.table({"s": ["a", "b", "z", "c"]}),
    }
    stored = encode(parts, parts[1].schema, options=SEGMENT)
    assert stored.encoded.column(100).entries.to_pylist() == ["z", "y", "b", "a", "c"]


def test_of_spellings_that_are_equal_the_first_stays_and_the_others_are_counted() -> None:
    rows = pa.table({"s": ["Straße", "ab", "AB", "Ab", None, "c", "STRAßE", "ab"]})
    stored = encode({1: rows}, rows.schema)
    column = stored.encoded.column(100)
    assert column.entries.to_pylist() == ["Straße", "ab", "c"]
    assert column.folded_count == 3


def test_threads_that_write_in_any_order_make_the_same_bytes() -> None:
    random = np.random.default_rng(2)
    parts = {
        number: pa.table({"k": random.integers(0, 900, 3000), "s": [f"t{n}" for n in random.integers(0, 50, 3000)]})
        for number in (1, 2, 3, 4)
    }
    schema = parts[1].schema
    one_by_one = encode(parts, schema, options=EncoderOptions(records_per_segment=512))
    with encoder(specification(schema, list(parts)), EncoderOptions(records_per_segment=512)) as encoding:
        threads = [threading.Thread(target=write, args=(encoding, number, parts[number])) for number in (4, 2, 3, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        together = store(encoding.finish())
    assert together.files.bodies == one_by_one.files.bodies


@given(tables(), st.integers(0, 40))
@settings(deadline=None, max_examples=30)
def test_a_partition_is_replaced_and_the_others_stay(rows: pa.Table, at: int) -> None:
    first, second = rows.slice(0, at), rows.slice(at)
    before = encode({1: first, 2: second}, rows.schema, options=SEGMENT)
    with encoder(specification(rows.schema, (1, 2)), SEGMENT, before.existing) as encoding:
        write(encoding, 1, second)
        after = store(encoding.finish(), before)
    assert [partition.partition_id for partition in after.processed.partitions] == [1]
    count = second.num_rows
    assert multiset(after.rows().slice(0, count)) == multiset(second)
    assert multiset(after.rows().slice(count)) == multiset(second)
    assert after.row_numbers() == list(range(2 * count))
    for column in after.table.columns:
        assert check_column(after.files, after.table, column) == []


def test_files_of_a_partition_that_stays_are_not_written() -> None:
    parts = {1: pa.table({"s": ["a", "b"]}), 2: pa.table({"s": ["b", "c"]})}
    before = encode(parts, parts[1].schema)
    with encoder(specification(parts[1].schema, (1, 2)), None, before.existing) as encoding:
        write(encoding, 2, pa.table({"s": ["d", "C", "a"]}))
        after = store(encoding.finish(), before)
    column = after.encoded.column(100)
    assert list(column.segments) == [2]
    assert column.entries.to_pylist() == ["a", "b", "c", "d"]
    assert column.used_ids.tolist() == [3, 4, 5, 6]
    assert after.rows()["s"].to_pylist() == ["a", "b", "d", "c", "a"]


def test_an_entry_that_no_row_uses_is_not_used() -> None:
    parts = {1: pa.table({"s": ["a", None]}), 2: pa.table({"s": ["b", "c"]})}
    before = encode(parts, parts[1].schema)
    with encoder(specification(parts[1].schema, (1, 2)), None, before.existing) as encoding:
        write(encoding, 2, pa.table({"s": ["c"]}))
        column = encoding.finish().column(100)
    assert column.entries.to_pylist() == ["a", "b", "c"]
    assert column.used_ids.tolist() == [2, 3, 5]
    assert (column.statistics.distinct_states, column.statistics.max_data_id, column.dictionary.last_id) == (2, 5, 5)


def test_a_value_that_does_not_fit_encodes_the_column_anew_in_every_partition() -> None:
    parts = {1: pa.table({"n": [10, 12, None, 11]}), 2: pa.table({"n": [13, 14]})}
    before = encode(parts, parts[1].schema)
    assert before.encoded.column(100).dictionary.type == DictionaryType.VALUE
    with encoder(specification(parts[1].schema, (1, 2)), None, before.existing) as encoding:
        write(encoding, 2, pa.table({"n": [9, 2**62]}))
        after = store(encoding.finish(), before)
    column = after.encoded.column(100)
    assert column.dictionary.type == DictionaryType.HASH
    assert sorted(column.segments) == [1, 2]
    assert after.rows()["n"].to_pylist() == [10, 12, None, 11, 9, 2**62]
    assert column.entries.tolist() == [10, 11, 12, 9, 2**62]


def test_a_column_that_needs_a_dictionary_by_now_gets_one_in_every_partition() -> None:
    parts = {1: pa.table({"n": [10, None, 12]}), 2: pa.table({"n": [11]})}
    before = encode(parts, parts[1].schema)
    with encoder(specification(parts[1].schema, (1, 2), needs_dictionary=True), None, before.existing) as encoding:
        write(encoding, 2, pa.table({"n": [12, 11]}))
        after = store(encoding.finish(), before)
    column = after.encoded.column(100)
    assert (column.entries.tolist(), sorted(column.segments)) == ([10, 12, 11], [1, 2])
    assert after.rows()["n"].to_pylist() == [10, None, 12, 12, 11]


def test_a_value_that_fits_keeps_the_encoding() -> None:
    parts = {1: pa.table({"n": [10.25, 12.5, None]}), 2: pa.table({"n": [13.75]})}
    before = encode(parts, parts[1].schema)
    with encoder(specification(parts[1].schema, (1, 2)), None, before.existing) as encoding:
        write(encoding, 2, pa.table({"n": [99.01, 10.25]}))
        after = store(encoding.finish(), before)
    column = after.encoded.column(100)
    assert (column.value_encoding, list(column.segments)) == (before.encoded.column(100).value_encoding, [2])
    assert after.rows()["n"].to_pylist() == [10.25, 12.5, None, 99.01, 10.25]


@given(tables(), st.integers(0, 40))
@settings(deadline=None, max_examples=30)
def test_rows_are_added_behind_those_that_are_there(rows: pa.Table, at: int) -> None:
    before = encode({1: rows.slice(0, at)}, rows.schema, options=SEGMENT)
    with encoder(specification(rows.schema), SEGMENT, before.existing) as encoding:
        write(encoding, 1, rows.slice(at), append=True)
        after = store(encoding.finish(), before)
    assert multiset(after.rows()) == multiset(rows)
    assert after.segment_row_counts[:-1] == [64] * ((rows.num_rows - 1) // 64)


def test_defragmenting_drops_the_entries_that_no_row_uses() -> None:
    parts = {1: pa.table({"s": ["a", None, "d", "a"]}), 2: pa.table({"s": ["b", "c", "d"]})}
    before = encode(parts, parts[1].schema)
    table = specification(parts[1].schema, (1, 2))
    with encoder(table, None, before.existing) as encoding:
        write(encoding, 1, pa.table({"s": ["x", None, "d"]}))
        replaced = store(encoding.finish(), before)
    with encoder(table, EncoderOptions(defragment=True), replaced.existing) as encoding:
        after = store(encoding.finish(), replaced)
    assert replaced.encoded.column(100).entries.to_pylist() == ["a", "d", "b", "c", "x"]
    assert after.encoded.column(100).entries.to_pylist() == ["d", "b", "c", "x"]
    assert after.rows().equals(replaced.rows())
    assert after.processed.partitions == ()


def test_rows_cannot_stay_where_a_column_has_no_values() -> None:
    rows = pa.table({"s": ["a"]})
    before = encode({1: rows, 2: rows}, rows.schema)
    wider = pa.schema([*rows.schema, pa.field("new", pa.int64())])
    with encoder(specification(wider, (1, 2)), None, before.existing) as encoding:
        write(encoding, 1, pa.table({"s": ["b"], "new": [1]}))
        with pytest.raises(ProcessingError, match="'new' has no values for the rows of 'T' that stay"):
            encoding.finish()


@pytest.mark.parametrize(
    ("given_rows", "message"),
    [
        (pa.table({"n": ["1"]}), "column 'n' of data type INT64 got values of type string, not int64"),
        (pa.table({"n": pa.array([1], pa.int32())}), "values of type int32, not int64"),
        (pa.table({"m": [1]}), r"columns of the rows are \['m'\], not \['n'\]"),
        (pa.table({"n": [1], "m": [1]}), r"columns of the rows are \['n', 'm'\], not \['n'\]"),
    ],
)
def test_rows_of_another_kind_are_refused(given_rows: pa.Table, message: str) -> None:
    table = specification(pa.schema([("n", pa.int64())]))
    with encoder(table) as encoding, pytest.raises(SourceTypeError, match=message):
        write(encoding, 1, given_rows)


def test_dictionary_arrays_and_large_texts_are_taken_as_what_they_hold() -> None:
    texts = ["b", None, "a", "b"]
    table = specification(pa.schema([("s", pa.string())]))
    with encoder(table) as encoding:
        writer = encoding.begin_partition(1)
        for kind in (pa.array(texts).dictionary_encode(), pa.array(texts, pa.large_string()), pa.array(texts)):
            writer.write(pa.record_batch([kind], ["s"]))
        writer.close()
        stored = store(encoding.finish())
    assert stored.rows()["s"].to_pylist() == texts * 3


def test_a_body_is_the_same_when_it_is_asked_again() -> None:
    rows = pa.table({"s": [f"{n}" for n in range(500)]})
    with encoder(specification(rows.schema)) as encoding:
        write(encoding, 1, rows)
        column = encoding.finish().column(100)
        assert content(column.dictionary.body) == content(column.dictionary.body)
        assert content(column.segments[1].idf) == content(column.segments[1].idf)
