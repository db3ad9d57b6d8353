"""Values of a segment are numbered in the order in which they appear, on either way that is taken."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.engine.encoder import segment_values
from tabvault.engine.encoder.segment_values import numbered

INTEGERS = st.integers(-3, 6) | st.integers(-(2**63), 2**63 - 1)
FEW = st.integers(2**63 - 5, 2**63 - 1) | st.integers(-(2**63), -(2**63) + 4)
ROWS = st.one_of(
    st.tuples(st.just(pa.int64()), st.lists(st.integers(-3, 6), min_size=1, max_size=40)),
    st.tuples(st.just(pa.int64()), st.lists(FEW, min_size=1, max_size=40)),
    st.tuples(st.just(pa.int64()), st.lists(st.none() | INTEGERS, min_size=1, max_size=40)),
    st.tuples(st.just(pa.float64()), st.lists(st.none() | st.sampled_from([0.5, 1.5, 1e300]), min_size=1)),
    st.tuples(st.just(pa.large_string()), st.lists(st.none() | st.sampled_from(["a", "b", ""]), min_size=1)),
)


@given(ROWS, st.integers(1, 5))
@settings(deadline=None)
def test_numbers_follow_the_first_appearance(rows: tuple[pa.DataType, list[object]], chunk_count: int) -> None:
    value_type, values = rows
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    expected = [0 if value is None else distinct.index(value) + 1 for value in values]
    bounds = [len(values) * chunk // chunk_count for chunk in range(chunk_count + 1)]
    whole = pa.array(values, value_type)
    found, numbers = numbered([whole[start:end] for start, end in pairwise(bounds)])
    assert (found.type, found.to_pylist()) == (value_type, distinct)
    assert numbers.tolist() == expected


@pytest.mark.parametrize(("count", "number_type"), [(255, np.uint8), (256, np.uint16), (70_000, np.uint32)])
@pytest.mark.parametrize("step", [1, 1_000_003])
def test_numbers_are_as_narrow_as_can_be(count: int, number_type: type, step: int) -> None:
    _, numbers = numbered([pa.array(np.arange(count) * step)])
    assert numbers.dtype == number_type
    assert np.array_equal(numbers, np.arange(1, count + 1))


def test_both_ways_number_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [pa.array(np.random.default_rng(seed).zipf(1.3, 5_000).clip(max=9_000)) for seed in range(3)]
    values, numbers = numbered(rows)
    monkeypatch.setattr(segment_values, "_DENSE_SPAN_MAX", 0)
    again, numbers_again = numbered(rows)
    assert values.equals(again)
    assert np.array_equal(numbers, numbers_again)
