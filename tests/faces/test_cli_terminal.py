"""What happens only on a terminal: questions, the progress bar, tables for the eye."""

from __future__ import annotations

import pytest
from program import Terminal, call

from conftest import sample_path

SAMPLE = "Hugoberry__DataModel.abf"


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


@pytest.fixture
def terminal(tmp_path):
    return lambda *arguments: Terminal(*arguments, data=tmp_path / "data")


def test_drop_asks_and_takes_only_a_yes(here, terminal):
    here("import", sample_path(SAMPLE), "Sales")
    with terminal("drop", "Sales") as screen:
        screen.expect("Drop database Sales? Its backups stay. [y/N] ")
        screen.type("\n")
        assert screen.end() == 1
        assert "error[job_cancelled]: database 'Sales' was not dropped" in screen.text
    assert "Sales" in here("databases").out
    with terminal("drop", "Sales") as screen:
        screen.expect("[y/N] ")
        screen.type("y\n")
        assert screen.end() == 0
        assert screen.text.endswith("dropped Sales\n")
    assert "Sales" not in here("databases").out


def test_tables_on_a_terminal_are_aligned_and_have_units(here, terminal):
    here("import", sample_path(SAMPLE), "Sales")
    with terminal("databases") as screen:
        assert screen.end() == 0
    header, _, row = (line.split() for line in screen.text.splitlines())
    assert header == ["name", "id", "level", "mode", "size", "rows", "state", "last", "backup"]
    assert row == ["Sales", "Sales", "1400", "import", "552", "KiB", "9,026", "ready", "-"]


def test_a_query_on_a_terminal_shows_the_first_rows_and_says_how_to_get_the_rest(terminal):
    with terminal("query", sample_path(SAMPLE), "SELECT range AS n, NULL AS b FROM range(250) ORDER BY 1") as screen:
        assert screen.end() == 0
    lines = screen.screen.splitlines()
    assert lines[0].split() == ["n", "b"]
    assert lines[-2].split() == ["99", "NULL"]
    assert lines[-1] == "note: the first 100 rows; a pipe, a file or --json gets them all"
    assert b"\x1b[2mNULL" in screen.raw, "NULL is dim, the text NULL is not"


def test_a_row_too_wide_for_the_terminal_is_shown_as_a_record(terminal):
    sql = f"SELECT {', '.join(f'{n} AS column_number_{n}' for n in range(20))}"
    with terminal("query", sample_path(SAMPLE), sql) as screen:
        assert screen.end() == 0
    lines = [line.split() for line in screen.screen.splitlines()]
    assert lines[0] == ["--", "row", "1"]
    assert lines[20] == ["column_number_19", "19"]
    assert lines[21] == ["(1", "row)"]
