"""Segments of system tables as they are written, against bytes of real servers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.formats.vertipaq import bit_widths, idf, idfmeta, no_split

POS_TO_ID = bytes.fromhex(
    "0400000000000000 03000000 04000000 05000000 06000000 07000000 08000000 0000000000000000"
    "0200000000000000 00000000 00000000 0000000000000000"
)
"""``H$BatchInfo (827)$MachineNumber (831)`` of an SSAS 2016 backup: 6 values in segments of 6 and 3."""


def decoded(*segments) -> list[list[int]]:
    meta = idfmeta.parse(idfmeta.build([one.meta for one in segments], with_data_offsets=True), file="x.idfmeta")
    data = b"".join(one.words for one in segments)
    return [values.tolist() for values in idf.decode_system(data, meta, file="x.idf")]


def test_a_hierarchy_of_a_real_server_is_written_as_it_was() -> None:
    segments = [no_split.encode(np.array(values), min=0, bit_width=32) for values in ([3, 4, 5, 6, 7, 8], [0, 0, 0])]
    assert b"".join(segment.words for segment in segments) == POS_TO_ID
    assert decoded(*segments) == [[3, 4, 5, 6, 7, 8], [0, 0, 0]]


def test_a_relationship_index_of_a_real_server_is_written_as_it_was() -> None:
    """``R$Metrics (19)$… (37)`` of DataModel_uncompressed, where three rows of the one side make two bits."""
    index = no_split.encode(np.array([-1, -1, -1, 1, 0, 2]), min=-1, bit_width=bit_widths.width_of(3))
    assert index.words == bytes.fromhex("0100000000000000 800d000000000000")
    assert decoded(index) == [[-1, -1, -1, 1, 0, 2]]


def test_statistics_of_older_builds_are_those_of_the_one_side() -> None:
    values = np.array([-1, -1, -1, 0])
    index = no_split.encode(values, min=-1, bit_width=5, one_side_row_count=28)
    statistics = index.meta.statistics
    assert (statistics.distinct_states, statistics.min_data_id, statistics.max_data_id) == (29, 0xFFFFFFFF, 27)
    assert statistics.row_count == 4
    plain = no_split.encode(values, min=-1, bit_width=5).meta.statistics
    assert (plain.distinct_states, plain.min_data_id, plain.max_data_id, plain.row_count) == (0, 2, 2, 0)
    assert no_split.encode(values, min=-1, bit_width=5, one_side_row_count=0).meta.statistics.max_data_id == 0xFFFFFFFF


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(-1, (1 << 32) - 2), max_size=70), max_size=4))
def test_any_values_come_back(columns: list[list[int]]) -> None:
    segments = [no_split.encode(np.array(values, np.int64), min=-1, bit_width=32) for values in columns]
    assert decoded(*segments) == columns


def test_values_that_do_not_fit_are_mistakes_of_ours() -> None:
    for values in ([-1, 0], [0, 4]):
        with pytest.raises(ValueError, match="do not fit into 2 bits from 0 on"):
            no_split.encode(np.array(values), min=0, bit_width=2)
