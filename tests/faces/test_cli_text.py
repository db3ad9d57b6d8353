"""What reaches a terminal or a pipe of names and numbers that a backup may hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.faces.text import byte_size, duration, field, printable, quantity


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Größe 大 🙂", "Größe 大 🙂"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nOK  forged: line", r"a\nOK  forged: line"),
        ("\x9b31m", r"\x9b31m"),
        ("txt.\u202egpj.exe", r"txt.\u202egpj.exe"),
        ("\udcff", r"\udcff"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_text_for_people_shows_what_a_terminal_would_act_on(raw, shown):
    assert printable(raw) == shown


@pytest.mark.parametrize(("raw", "shown"), [("a\tb", r"a\tb"), (r"a\tb", r"a\\tb"), ("a\r\n", r"a\r\n"), ("", "")])
def test_a_field_of_a_tab_separated_line_tells_a_tab_from_a_backslash_and_a_t(raw, shown):
    assert field(raw) == shown


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(codec=None)))
def test_a_field_can_be_turned_back_and_holds_nothing_that_acts_on_a_terminal(text):
    shown = field(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    short = {r"\\": "\\", r"\n": "\n", r"\r": "\r", r"\t": "\t"}

    def raw(match: re.Match[str]) -> str:
        return short.get(match[0]) or chr(int(f"0{match[0][1:].replace('u', 'x')}", base=0))

    assert re.sub(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4})", raw, shown) == text


def test_sizes_counts_and_times_are_short_and_have_a_unit():
    assert [byte_size(n) for n in (0, 1023, 1024, 1536, 200 << 20, 5 << 40, 5 << 50)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "200 MiB",
        "5.0 TiB",
        "5120 TiB",
    ]
    assert [quantity(n, "row") for n in (0, 1, 12345)] == ["0 rows", "1 row", "12,345 rows"]
    assert [duration(s) for s in (0.04, 9.94, 75, 200)] == ["0.0 s", "9.9 s", "75 s", "3 min 20 s"]
