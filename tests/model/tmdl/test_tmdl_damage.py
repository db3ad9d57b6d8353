"""TMDL that is damaged, or made to do harm: a value or a named error, in bounded time."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from model.tmdl.folders import SALES
from tabvault.errors import RequestError
from tabvault.model.tmdl.reading import read_tmdl
from tabvault.model.tmsl.parse import database_definition

PIECES = [
    "\n",
    "\t",
    " ",
    "=",
    ":",
    "'",
    '"',
    "```",
    "///",
    "ref ",
    "\r",
    "\x00",
    "\u2028",
    "{",
    "}",
    ".",
    "\n\n\t\t\t\t",
]
FILES = sorted(SALES)


def reads(files: dict[str, str]) -> bool:
    """Whether it is TMDL, and then TMSL: nothing but a named error may say no."""
    try:
        database_definition(read_tmdl(files), default_name="d")
    except RequestError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_changed_documents_give_a_value_or_a_named_error(data):
    file = data.draw(st.sampled_from(FILES))
    text = SALES[file]
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 30)))
        piece = data.draw(st.sampled_from(PIECES) | st.text(max_size=5) | st.sampled_from(text.split() or [""]))
        text = text[:begin] + piece + text[end:]
    reads({**SALES, file: text})


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab \t\n'\"=:./`{}[]", max_size=200))
def test_any_text_gives_a_value_or_a_named_error(text):
    reads({"x.tmdl": text})
    reads({"x.tmdl": f"table T\n\tmeasure m =\n{text}"})


def test_every_prefix_of_a_document_gives_a_value_or_a_named_error():
    outcomes = set()
    for file, text in SALES.items():
        for length in range(0, len(text), 7):
            outcomes.add(reads({**SALES, file: text[:length]}))
    assert outcomes == {True, False}


def test_long_lines_and_names_take_no_longer_than_their_length():
    hostile = [
        "table " + "'" * 1_000_001,
        "table " + "a" * 1_000_000 + ".",
        "table T\n\tcolumn c\n\t\tsortByColumn: " + "''" * 500_000,
        "a" * 1_000_000,
        "ref " * 250_000,
        "table T\n\tmeasure m =" + "\n\t\t\t" * 200_000,
        "table T\n\tmeasure m = ```\n" + "\t\t\t\t\n" * 200_000 + "```",
        "/// x\n" * 200_000,
        "table T\n" + "".join(f"\tannotation a{i} = 1\n" for i in range(50_000)),
        "\t" * 1_000_000 + "table T",
        " \t" * 500_000,
    ]
    for text in hostile:
        began = time.monotonic()
        reads({"x.tmdl": text})
        assert time.monotonic() - began < 5, text[:40]
