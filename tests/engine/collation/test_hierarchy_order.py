"""The order of strings in genuine files, and what their dictionaries keep apart."""

from __future__ import annotations

import pyarrow as pa
import pytest
from genuine_hierarchies import StringHierarchy, string_hierarchies, workbook_hierarchies

from conftest import CONTAINER_SAMPLES, XML_SAMPLES
from tabvault.engine.collation import Collation

REQUIRED_SHARE = 0.99


@pytest.fixture(scope="module")
def hierarchies() -> list[StringHierarchy]:
    return [
        *(hierarchy for sample in CONTAINER_SAMPLES for hierarchy in string_hierarchies(sample)),
        *(hierarchy for sample in XML_SAMPLES for hierarchy in workbook_hierarchies(sample)),
    ]


def test_hierarchies_are_in_the_order_of_the_collation(hierarchies) -> None:
    own_order = [h for h in hierarchies if not h.is_sorted_by_another]
    exceptions = []
    for hierarchy in own_order:
        used = hierarchy.used
        order = Collation.of(None, hierarchy.locale).sort_order(used)
        if used.take(pa.array(order)).to_pylist() != hierarchy.in_order:
            exceptions.append(hierarchy.place)
    matched = len(own_order) - len(exceptions)
    strings = sum(len(h.order) for h in own_order)
    print(f"{matched} of {len(own_order)} hierarchies with {strings} strings; not: {exceptions}")  # noqa: T201 - the counts are what a reader wants
    assert len(own_order) > 400, "the samples have that many, or the test reads too few"
    assert matched >= REQUIRED_SHARE * len(own_order), exceptions


def test_what_a_genuine_dictionary_keeps_apart_has_different_keys(hierarchies) -> None:
    folded = []
    for hierarchy in hierarchies:
        keys = Collation.of(None, hierarchy.locale).equality_keys(hierarchy.strings)
        if len(keys.unique()) < len(hierarchy.strings):
            folded.append(hierarchy.place)
    print(f"{len(hierarchies)} dictionaries with {sum(len(h.strings) for h in hierarchies)} entries")  # noqa: T201 - the counts are what a reader wants
    assert folded == []


def test_no_genuine_dictionary_has_two_entries_that_differ_by_case_only(hierarchies) -> None:
    """What makes the test above say something: keys that tell case apart would hold as well."""
    letters = 0
    for hierarchy in hierarchies:
        strings = hierarchy.strings.to_pylist()
        assert len({string.lower() for string in strings}) == len(strings), hierarchy.place
        letters += sum(string != string.lower() for string in strings)
    assert letters > 10_000
