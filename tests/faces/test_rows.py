"""Values of a query result as text: for a pipe, as JSON, on a terminal."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.faces import rows

_DAY = datetime.datetime(2020, 1, 2)  # noqa: DTZ001 - a model's dates have no zone

_CASES = [
    (pa.array([None, 7]), [r"\N", "7"], ["null", "7"]),
    (pa.array([None, None]), [r"\N", r"\N"], ["null", "null"]),
    (pa.array(["", None, "NULL", r"\N"]), ["", r"\N", "NULL", r"\\N"], ['""', "null", '"NULL"', r'"\\N"']),
    (pa.array(["\x1b[2J\t\n"]), [r"\x1b[2J\t\n"], [r'"\u001b[2J\t\n"']),
    (pa.array(["a", None, "a"]).dictionary_encode(), ["a", r"\N", "a"], ['"a"', "null", '"a"']),
    (pa.array(["view"], pa.string_view()), ["view"], ['"view"']),
    (pa.array([True, False]), ["true", "false"], ["true", "false"]),
    (pa.array([2**63 - 1]), ["9223372036854775807"], ["9223372036854775807"]),
    (pa.array([0.1, 1e300, None]), ["0.1", "1e+300", r"\N"], ["0.1", "1e+300", "null"]),
    (pa.array([float("nan"), float("-inf")]), ["nan", "-inf"], ['"nan"', '"-inf"']),
    (
        pa.array([Decimal("922337203685477.5807"), None], pa.decimal128(19, 4)),
        ["922337203685477.5807", r"\N"],
        ["922337203685477.5807", "null"],
    ),
    (pa.array([_DAY, None]), ["2020-01-02T00:00:00", r"\N"], ['"2020-01-02T00:00:00"', "null"]),
    (pa.array([_DAY.replace(microsecond=500)]), ["2020-01-02T00:00:00.000500"], ['"2020-01-02T00:00:00.000500"']),
    (
        pa.DictionaryArray.from_arrays(pa.array([0, None], pa.uint32()), pa.array([_DAY])),
        ["2020-01-02T00:00:00", r"\N"],
        ['"2020-01-02T00:00:00"', "null"],
    ),
    (pa.array([_DAY.date()]), ["2020-01-02"], ['"2020-01-02"']),
    (pa.array([_DAY.time()]), ["00:00:00"], ['"00:00:00"']),
    (pa.array([b"\x00\xff", None]), ["AP8=", r"\N"], ['"AP8="', "null"]),
    (pa.array([[1, None], None]), ["[1, null]", r"\N"], ["[1, null]", "null"]),
    (pa.array([{"a": "\x1b"}]), [r'{"a": "\\u001b"}'], [r'{"a": "\u001b"}']),
]


@pytest.mark.parametrize(("column", "piped", "as_json"), _CASES, ids=[str(case[0].type) for case in _CASES])
def test_each_type_is_spelled_as_the_module_says(column, piped, as_json):
    batch = pa.record_batch([column], ["c"])
    assert rows.lines(batch, rows.TAB_SEPARATED, separator="\t") == piped
    assert rows.lines(batch, rows.JSON, separator=",") == as_json


def test_a_terminal_keeps_null_apart_so_that_it_can_be_shown_differently():
    assert rows.spelled(pa.array(["NULL", None, ""]), rows.TERMINAL).to_pylist() == ["NULL", None, ""]


def test_a_result_without_columns_has_as_many_empty_lines_as_rows():
    batch = pa.record_batch([pa.array([1, 2])], ["c"]).select([])
    assert rows.lines(batch, rows.JSON, separator=",") == [""] * batch.num_rows


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=8))
def test_json_rows_are_read_back_by_json(values):
    texts, numbers = [text for text, _ in values], [number for _, number in values]
    batch = pa.record_batch([pa.array(texts, pa.string()), pa.array(numbers, pa.int64())], ["t", "n"])
    lines = rows.lines(batch, rows.JSON, separator=", ")
    assert [json.loads(f"[{line}]") for line in lines] == [list(value) for value in values]
    assert all(line.isascii() for line in lines)
