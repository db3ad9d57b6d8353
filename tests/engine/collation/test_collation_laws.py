"""What holds for every collation and every string."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.engine.collation import Collation
from tabvault.engine.collation.collation import _SLICE_STRING_COUNT

COLLATIONS = [
    Collation.of(name, language)
    for name, language in [
        (None, 1033),
        (None, 0x041D),
        ("Latin1_General_CS_AS", None),
        ("Latin1_General_CI_AI", None),
        ("Latin1_General_CS_AI", None),
        ("Latin1_General_BIN", None),
    ]
]

close = st.text(alphabet="aAáÁb-'\u2013 ß\u0301é\u00e6e1\uff12一ア\U0001f600\uffff\x00\x01", max_size=6)
strings = st.lists(close | st.text(max_size=8), max_size=24)
types = st.sampled_from([pa.string(), pa.large_string()])


def ranks_of(collation: Collation, array: pa.Array) -> list[int]:
    """The place of each string among the different values, by order and by key."""
    keys = collation.equality_keys(array).to_pylist()
    ranks = [0] * len(keys)
    rank, before = -1, None
    for index in collation.sort_order(array).tolist():
        rank += keys[index] != before
        ranks[index], before = rank, keys[index]
    return ranks


@pytest.mark.parametrize("collation", COLLATIONS, ids=lambda each: f"{each.name} {each.locale}")
@given(strings, types)
@settings(deadline=None, max_examples=60)
def test_equal_strings_stand_together_in_the_order_given(collation, texts, array_type) -> None:
    array = pa.array(texts, array_type)
    order = collation.sort_order(array)
    keys = collation.equality_keys(array).to_pylist()
    assert sorted(order.tolist()) == list(range(len(texts)))
    assert max(ranks_of(collation, array), default=-1) + 1 == len(set(keys))
    for earlier, later in itertools.pairwise(order):
        assert keys[earlier] != keys[later] or earlier < later


@pytest.mark.parametrize("collation", COLLATIONS, ids=lambda each: f"{each.name} {each.locale}")
@given(strings, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_two_strings_does_not_depend_on_others(collation, texts, random) -> None:
    """With it the order is transitive: every pair agrees with one list."""
    array = pa.array(texts, pa.string())
    ranks = ranks_of(collation, array)
    for _ in range(10):
        one, other = (random.randrange(len(texts)) for _ in range(2)) if texts else (0, 0)
        if ranks and ranks[one] != ranks[other]:
            pair = pa.array([texts[one], texts[other]], pa.string())
            assert (collation.sort_order(pair)[0] == 0) == (ranks[one] < ranks[other]), (texts[one], texts[other])


@given(close, close)
@settings(deadline=None, max_examples=300)
def test_keys_are_the_same_in_every_call(one, other) -> None:
    for collation in COLLATIONS:
        together = collation.equality_keys(pa.array([one, other])).to_pylist()
        alone = [collation.equality_keys(pa.array([each]))[0].as_py() for each in (one, other)]
        assert together == alone


@given(close)
@settings(deadline=None, max_examples=100)
def test_a_letter_and_a_combining_accent_weigh_what_the_accented_letter_does(text) -> None:
    insensitive = Collation.of("Latin1_General_CI_AI", None)
    assert len(insensitive.equality_keys(pa.array([text + "é", text + "e\u0301", text + "E"])).unique()) == 1
    order = COLLATIONS[0].sort_order(pa.array([text + "é", text + "e\u0301", text + "f", text + "e"])).tolist()
    assert order in ([3, 0, 1, 2], [3, 1, 0, 2])


def test_every_code_point_can_be_ordered_and_is_a_value_of_its_own() -> None:
    everything = pa.array([chr(each) for each in range(0x110000) if not 0xD800 <= each <= 0xDFFF])
    order = COLLATIONS[0].sort_order(everything)
    assert np.array_equal(np.sort(order), np.arange(len(everything)))
    assert len(COLLATIONS[0].equality_keys(everything).unique()) == len(everything) - 26


def test_slices_are_ordered_as_one_array() -> None:
    count = _SLICE_STRING_COUNT + 10
    texts = [f"{each % 1000}é" if each % 3 else f"{each % 1000}-E" for each in range(count)]
    array = pa.array(["", *texts]).slice(1)
    order = COLLATIONS[0].sort_order(array)
    expected = sorted(range(count), key=lambda each: (f"{each % 1000}e", "é" in texts[each]))
    assert order.tolist() == expected
    assert COLLATIONS[0].equality_keys(array).to_pylist() == [text.replace("E", "e").encode() for text in texts]


def test_no_string_has_no_order() -> None:
    empty = pa.array([], pa.string())
    for collation in COLLATIONS:
        assert collation.sort_order(empty).tolist() == []
        assert len(collation.equality_keys(empty)) == 0


def test_a_null_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="1 of 2 strings are null"):
        COLLATIONS[0].sort_order(pa.array(["a", None]))
