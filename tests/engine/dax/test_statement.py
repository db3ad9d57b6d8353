"""Which DAX is understood, written out by hand from the DAX reference; and that nothing else is guessed at."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.engine.dax import TableStatement, is_dax, parse_statement
from tabvault.errors import QueryError, QueryNotSupportedError, TabvaultError


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("EVALUATE Sales", TableStatement("Sales", None, 1, 10)),
        ("evaluate 'Sales'", TableStatement("Sales", None, 1, 10)),
        ("EVALUATE 'It''s mine'", TableStatement("It's mine", None, 1, 10)),
        ("EVALUATE\n  Größe_2", TableStatement("Größe_2", None, 2, 3)),
        ("// all\nEVALUATE /* the\ntable */ 'A//B' -- done", TableStatement("A//B", None, 3, 10)),
        ("EVALUATE TOPN(10, 'Sales')", TableStatement("Sales", 10, 1, 19)),
        ("EVALUATE topn ( 0 , Sales )", TableStatement("Sales", 0, 1, 21)),
        ("EVALUATE TOPN(99999999999999999999999, Sales)", TableStatement("Sales", (1 << 63) - 1, 1, 40)),
        ("EVALUATE 'TOPN'", TableStatement("TOPN", None, 1, 10)),
    ],
)
def test_a_table_and_its_first_rows_are_understood(text, statement):
    assert parse_statement(text) == statement


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('EVALUATE ROW("x", 1)', "function ROW"),
        ("EVALUATE TOPN(3, Sales, Sales[Amount])", "TOPN with an order"),
        ("EVALUATE TOPN(1 + 1, Sales)", "syntax error"),
        ("EVALUATE TOPN(1.5, Sales)", "whole number"),
        ("EVALUATE TOPN(-1, Sales)", "whole number"),
        ("EVALUATE Sales ORDER BY Sales[Amount]", "ORDER after the table"),
        ("EVALUATE Sales EVALUATE Sales", "EVALUATE after the table"),
        ("EVALUATE { 1 }", "{"),
        ("EVALUATE [Total]", "a measure, [Total]"),
        ("EVALUATE Sales[Amount]", "column Sales[Amount]"),
        ("EVALUATE FILTER(Sales, TRUE())", "function FILTER"),
        ("DEFINE MEASURE Sales[x] = 1 EVALUATE Sales", "DEFINE"),
        ('EVALUATE "Sales"', "instead of a table"),
    ],
)
def test_other_dax_is_refused_by_name(text, what):
    with pytest.raises(QueryError, match=r"not supported yet|syntax error") as refusal:
        parse_statement(text)
    assert what in refusal.value.message
    assert refusal.value.line == 1


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("EVALUATE 'Sales", 1, 10), ("EVALUATE\n [x", 2, 2), ("EVALUATE /* Sales", 1, 10), ("EVALUATE § Sales", 1, 10)],
)
def test_a_text_that_is_no_dax_is_refused_with_its_place(text, line, column):
    with pytest.raises(QueryError) as refusal:
        parse_statement(text)
    assert not isinstance(refusal.value, QueryNotSupportedError)
    assert (refusal.value.line, refusal.value.column) == (line, column)


def test_dax_is_told_from_other_statements_by_its_first_word():
    assert is_dax("  -- x\n/* y */ evaluate Sales")
    assert is_dax("DEFINE VAR x = 1")
    assert not is_dax("SELECT 'EVALUATE'")
    assert not is_dax("EVALUATED")
    assert not is_dax("")


@settings(deadline=None)
@given(st.text(alphabet="EVALUATE topn('[]\"/*-,) 12\nS", max_size=60))
def test_any_text_gives_a_statement_or_a_named_error(text):
    for attempt in (text, f"EVALUATE {text}"):
        try:
            statement = parse_statement(attempt)
        except TabvaultError:
            continue
        assert statement.table


def test_the_time_for_a_hostile_text_grows_with_its_length_only():
    for text in ("EVALUATE " + "/*" * 500_000, "EVALUATE " + "'" * 999_999, "-" * 1_000_000, " " * 1_048_576):
        with pytest.raises(QueryError):
            parse_statement(text)
        is_dax(text)
