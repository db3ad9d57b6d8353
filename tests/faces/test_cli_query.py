"""A question on the command line: a sign of life, a limit in time, and the place of what is wrong in it."""

from __future__ import annotations

import json

import pytest
from program import Terminal, call

from conftest import sample_path

SAMPLE = "Hugoberry__DataModel.abf"
ENDLESS = "SELECT max(hash(a.range * b.range)) FROM range(1000000) a, range(1000000) b"


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    return lambda sql, *options: call(
        "query", sample_path(SAMPLE), sql, *options, data=tmp_path, monkeypatch=monkeypatch, capsys=capsys
    )


def test_a_query_that_takes_long_shows_that_it_runs_and_ends_at_its_timeout(tmp_path):
    with Terminal("query", sample_path(SAMPLE), ENDLESS, "--timeout", "2.5", data=tmp_path) as terminal:
        terminal.expect("asking  ")
        assert terminal.end() == 1
    assert terminal.screen == "error[query]: query took longer than 2.5 s\n"


def test_rows_are_shown_when_the_sign_of_life_is_gone(tmp_path):
    slow = "SELECT max(hash(a.range * b.range)) > 0 AS done FROM range(40000) a, range(12000) b"
    with Terminal("query", sample_path(SAMPLE), slow, data=tmp_path) as terminal:
        terminal.expect("asking  ")
        assert terminal.end() == 0
    assert [line.strip() for line in terminal.screen.splitlines()] == ["done", "────", "true", "(1 row)"]


def test_ctrl_c_ends_a_query(tmp_path):
    with Terminal("query", sample_path(SAMPLE), ENDLESS, data=tmp_path) as terminal:
        terminal.expect("asking  ")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert terminal.screen == "^C\ncancelled\n"


def test_a_timeout_is_an_error_in_json_too(ask):
    outcome = ask(ENDLESS, "--timeout", "0.5", "--json")
    assert (outcome.status, json.loads(outcome.out)["error"]["code"]) == (1, "query")
    assert outcome.err == ""


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "86401", "soon"])
def test_a_timeout_is_some_seconds_of_a_day(ask, timeout):
    outcome = ask("SELECT 1", "--timeout", timeout)
    assert outcome.status == 2
    assert outcome.err.startswith("error[usage]: invalid value for '--timeout': ")
    assert ask("SELECT 1", "--timeout", "86400").status == 0


def test_the_place_of_an_error_is_shown_with_its_line_and_a_caret(ask):
    outcome = ask('SELECT count(*)\n  FROM "Vendor"\n WHERE Vendorr = 1')
    assert outcome.err.splitlines()[:4] == [
        'error[query]: referenced column "Vendorr" not found in FROM clause',
        "line 3, column 8:",
        "   WHERE Vendorr = 1",
        "         ^",
    ]
    assert all(line.startswith("hint: ") for line in outcome.err.splitlines()[4:])
    assert json.loads(ask("SELECT nope", "--json").out)["error"]["column"] == 8


@pytest.mark.parametrize(
    ("sql", "line", "caret_at"),
    [
        ("SELECT '売上' AS x, nope", "  SELECT '売上' AS x, nope", 22),
        ("SELECT\t'\x1b[2J', nope", r"  SELECT\t'\x1b[2J', nope", 21),
        ("SELECT 1,\r\n nope", "   nope", 3),
        ("SELECT [Nope] FROM $SYSTEM.TMSCHEMA_TABLES", "  SELECT [Nope] FROM $SYSTEM.TMSCHEMA_TABLES", 9),
    ],
    ids=["wide characters", "escapes", "line end of Windows", "DMV"],
)
def test_the_caret_stands_under_what_is_wrong(ask, sql, line, caret_at):
    _, _, shown, caret, *_ = ask(sql).err.splitlines()
    assert (shown, caret) == (line, " " * caret_at + "^")


def test_of_a_long_line_the_part_around_the_place_is_shown(ask):
    outcome = ask(f"SELECT {'1 + ' * 100}nope{' + 1' * 100}")
    _, place, shown, caret, *_ = outcome.err.splitlines()
    assert place == "line 1, column 408:"
    assert shown[caret.index("^") :].startswith("nope + 1")
    assert len(shown) <= 79
    assert shown.startswith("  …")
    assert shown.endswith("…")


def test_an_error_without_a_place_shows_none(ask):
    assert len(ask("").err.splitlines()) <= 2
