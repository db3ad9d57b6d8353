"""The type of a formula is told where the operator tables of DAX decide it, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from model.genuine import genuine_metadata
from tabvault.engine.dax.inference import inferred_type
from tabvault.model.metadata import Metadata
from tabvault.model.objects import ColumnType, DataType

INTEGER, REAL, UNKNOWN = DataType.INT64, DataType.DOUBLE, DataType.UNKNOWN
COLUMNS = {"i": INTEGER, "r": REAL, "t": DataType.STRING, "c": DataType.DECIMAL, "d": DataType.DATETIME}
WORDS = ["[i]", "[r]", "[t]", "7", "0.5", "+", "-", "*", "/", "(", ")", "^", "F", ","]


def column_type(table, column):
    return COLUMNS.get(column.lower()) if table is None or table.lower() in ("sales", "my table") else None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("120", INTEGER),
        (".90", REAL),
        ("3.75", REAL),
        ("[i]", INTEGER),
        ("[R]", REAL),
        ("Sales[i]", INTEGER),
        ("'My Table'[r]", REAL),
        ("[i] + [i]", INTEGER),
        ("[i] - 2", INTEGER),
        ("[i] * [i]", INTEGER),
        ("[i] / [i]", REAL),
        ("[i] + [r]", REAL),
        ("[r] - [i]", REAL),
        ("[r] * 2", REAL),
        ("[i] * 1.5", REAL),
        ("-[i]", INTEGER),
        ("+(-(-[i])) * ((2))", INTEGER),
        ("([i] + 1) / 2", REAL),
        ("[i] // + [r]\n + 1 /* [t] */", INTEGER),
        ("9223372036854775807", INTEGER),
        # What no table says, or is no column of the same table, or no expression at all.
        ("9223372036854775808", UNKNOWN),
        ("1e3", UNKNOWN),
        ("1.", UNKNOWN),
        ("", UNKNOWN),
        ("[t]", UNKNOWN),
        ("[i] + [t]", UNKNOWN),
        ("[c] * 2", UNKNOWN),
        ("[d] + 1", UNKNOWN),
        ("[none]", UNKNOWN),
        ("Other[i]", UNKNOWN),
        ("Sales", UNKNOWN),
        ("[i] ^ 2", UNKNOWN),
        ("[i] & [i]", UNKNOWN),
        ("[i] = 1", UNKNOWN),
        ("SUM([i])", UNKNOWN),
        ('"1"', UNKNOWN),
        ("TRUE", UNKNOWN),
        ("([i]", UNKNOWN),
        ("[i])", UNKNOWN),
        (")[i](", UNKNOWN),
        ("[i] [i]", UNKNOWN),
        ("[i] +", UNKNOWN),
        ("* [i]", UNKNOWN),
        ("()", UNKNOWN),
        ("[i", UNKNOWN),
        ("[i] § 1", UNKNOWN),
        ("VAR x = 1 RETURN x", UNKNOWN),
    ],
)
def test_the_type_is_that_of_the_operator_tables_or_unknown(expression, expected):
    assert inferred_type(expression, column_type) == expected


def test_depth_and_length_cost_no_more_than_their_words():
    assert inferred_type("(" * 200_000 + "[i]" + ")" * 200_000, column_type) == INTEGER
    assert inferred_type("-" + " -" * 200_000 + "[r]", column_type) == REAL
    assert inferred_type("1" * 5_000, column_type) == UNKNOWN
    assert inferred_type("1+" * 1_000_000 + "1", column_type) == UNKNOWN


@given(st.lists(st.sampled_from(WORDS), max_size=12))
@settings(deadline=None, max_examples=300)
def test_whatever_the_words_a_known_type_is_that_of_the_same_expression_in_python(words):
    found = inferred_type(" ".join(words), column_type)
    if found == UNKNOWN:
        return
    names = {"[i]": "3", "[r]": "2.5"}
    try:
        value = eval(" ".join(names.get(word, word) for word in words), {"__builtins__": {}})  # noqa: S307 - numbers and operators alone
    except ZeroDivisionError:
        return
    assert isinstance(value, float) == (found == REAL)


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_what_is_told_of_genuine_columns_is_what_the_engine_inferred(name):
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        columns = list(metadata.rows("Column"))
    names = ("TableID", "ExplicitName", "ExplicitDataType", "InferredDataType", "Type", "Expression")
    rows = [[column[name] for name in names] for column in columns]
    types = {(row[0], row[1]): row[3] if row[2] in (1, 19) else row[2] for row in rows}
    for table_id, _, explicit, inferred, kind, expression in rows:
        if kind == ColumnType.CALCULATED and explicit == DataType.AUTOMATIC:
            found = inferred_type(expression, lambda table, column: None if table else types.get((table_id, column)))  # noqa: B023 - called at once
            assert found in (UNKNOWN, inferred), expression


def test_genuine_numbers_have_the_types_that_the_engine_gave_them():
    with Metadata.from_bytes(genuine_metadata("microsoft__Artificial_Intelligence_Sample.pbix")) as metadata:
        columns = [column for column in metadata.rows("Column") if column["Type"] == ColumnType.CALCULATED]
    numbers = (".90", ".2", "3.75", "120")
    rows = {(column["Expression"], column["InferredDataType"]) for column in columns if column["Expression"] in numbers}
    assert {(expression, inferred_type(expression, column_type)) for expression, _ in rows} == rows
    assert len(rows) == 4
