"""
A second reader: pbix-mcp has the weights that Microsoft published, and we have not.

It agrees about the strings of all samples. Of scripts, the share of pairs of characters on which both agree is known,
and must not get worse.
"""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from genuine_hierarchies import string_hierarchies
from pbix_mcp.dax.collation import column_order_key, sort_key

from conftest import CONTAINER_SAMPLES
from tabvault.engine.collation import Collation

COLLATION = Collation.of(None, 1033)


def places(order: list[int]) -> np.ndarray:
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


@pytest.mark.parametrize(
    ("first", "last", "share"),
    [
        pytest.param(0x20, 0x7E, 1.0, id="ASCII"),
        pytest.param(0xA0, 0xFF, 0.999, id="Latin-1"),
        pytest.param(0x100, 0x17F, 0.98, id="Latin Extended-A"),
        pytest.param(0x386, 0x3CE, 1.0, id="Greek"),
        pytest.param(0x400, 0x45F, 1.0, id="Cyrillic"),
        pytest.param(0x5D0, 0x5EA, 1.0, id="Hebrew"),
        pytest.param(0xE01, 0xE45, 1.0, id="Thai"),
        pytest.param(0x3041, 0x30FA, 0.96, id="kana"),
        pytest.param(0x4E00, 0x4FFF, 1.0, id="ideographs"),
        pytest.param(0xAC00, 0xADFF, 1.0, id="Hangul"),
    ],
)
def test_the_second_reader_agrees_about_a_script(first, last, share) -> None:
    characters = [chr(each) for each in range(first, last + 1) if unicodedata.name(chr(each), "")]
    ours = places(COLLATION.sort_order(pa.array(characters)).tolist())
    theirs = places(sorted(range(len(characters)), key=lambda index: column_order_key(characters[index])))
    pairs = np.triu_indices(len(characters), 1)
    agreed = ((ours[pairs[0]] < ours[pairs[1]]) == (theirs[pairs[0]] < theirs[pairs[1]])).mean()
    print(f"{agreed:.2%} of {len(pairs[0])} pairs")  # noqa: T201 - the counts are what a reader wants
    assert agreed >= share


def test_the_second_reader_agrees_about_the_strings_of_the_samples() -> None:
    longest = 200
    texts = {
        text
        for sample in CONTAINER_SAMPLES
        for hierarchy in string_hierarchies(sample)
        for text in hierarchy.strings.slice(0, 300).to_pylist()
        if len(text) <= longest
    }
    in_our_order = sorted(texts)
    array = pa.array(in_our_order)
    in_our_order = array.take(pa.array(COLLATION.sort_order(array))).to_pylist()
    keys = [sort_key(text) for text in in_our_order]
    broken = sum(later < earlier for earlier, later in itertools.pairwise(keys))
    print(f"{broken} of {len(keys)} neighbours are the other way round")  # noqa: T201 - the counts are what a reader wants
    assert broken <= len(keys) // 1000
