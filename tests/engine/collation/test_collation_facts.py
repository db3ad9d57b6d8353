"""What is published about the order and equality of strings in Windows, SQL Server and Power BI, by hand."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest

from tabvault.engine.collation import Collation

DEFAULT = Collation.of(None, 1033)

ASCII_SYMBOLS_IN_ORDER = ' !"#$%&()*,./:;?@[\\]^_`{|}~+<=>'

IN_ORDER = {
    "word sort: Microsoft Learn, CompareStringEx and .NET CompareOptions": [
        "co_op", "coat", "comb", "coop", "co-op", "cork", "went", "were", "we're", "west",
    ],
    "letters before accents, accents before the next letter": ["resume", "resumé", "résumé", "resumed"],
    "accents of a, code pages 1252 and 1250": ["a", "á", "à", "â", "ä", "ă", "ã", "å", "ą", "aa", "b"],
    "symbols, digits, letters; digits one by one": ["_x", "+x", "1x", "a10", "a2", "Americas", "APAC", "apple"],
    "accented capitals among their letters": ["Oland", "Ölund", "Zeta", "β", "Ω", "Дом"],
    "expansions: between their neighbours": ["straso", "Strasse", "Straße", "Strassf"],
    "ligatures": ["adz", "ae", "æ", "aeb", "af", "oe", "œ", "of", "tg", "th", "þ", "ti"],
    "earlier hyphens first, apostrophe before hyphen": ["coop", "-coop", "c'oop", "c-oop", "co-op"],
    "hyphens at the end: Power BI Desktop, observed by pbix-mcp, issue 157": [
        "ae", "a-e", "aé", "a-é", "-ae-", "a-e-", "ae'", "ae-", "ae\u2013", "ae--",
    ],
    "the empty string, white space": ["", " ", "  ", "\u00a0", "\t", "\n", "!", "0"],
    "full width and katakana as half width and hiragana": ["\uff210", "a1", "\uff212", "あ0", "ア1", "あ2"],
    "scripts": ["z", "ω", "я", "א", "ي", "ก", "한", "あ", "一", "丁", "龠"],
    "above the basic plane": ["a", "龠", "😀", "😁"],
}  # fmt: skip


@pytest.mark.parametrize("strings", IN_ORDER.values(), ids=IN_ORDER.keys())
def test_published_order(strings) -> None:
    reverse = pa.array(strings[::-1])
    assert reverse.take(pa.array(DEFAULT.sort_order(reverse))).to_pylist() == strings


def test_ascii_is_in_the_order_of_windows() -> None:
    letters = "".join(a + b for a, b in zip("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=True))
    expected = "'-" + ASCII_SYMBOLS_IN_ORDER + "0123456789" + letters
    printable = pa.array([chr(code_point) for code_point in range(0x7E, 0x1F, -1)])
    order = printable.take(pa.array(DEFAULT.sort_order(printable))).to_pylist()
    assert "".join(order).lower() == expected.lower()


ONE_VALUE = [("Apple", "aPPLE"), ("a-B", "A-b"), ("straße", "STRAßE")]

TWO_VALUES = [
    ("Äpfel", "äpfel"),
    ("Øl", "øl"),
    ("Éa", "éa"),
    ("Σίγμα", "σίγμα"),
    ("Дом", "дом"),
    ("Straße", "Strasse"),
    ("résumé", "resume"),
    ("coop", "co-op"),
    ("ab", "ab "),
    ("ab", " ab"),
    ("a", "\uff21"),
    ("あ", "ア"),
    ("é", "e\u0301"),
    ("i", "\u0131"),
]
"""The first six: what Power BI Desktop's import kept apart, observed by pbix-mcp, issue 109."""


@pytest.mark.parametrize(("one", "other"), ONE_VALUE)
def test_strings_that_differ_by_the_case_of_ascii_letters_are_one_value(one, other) -> None:
    assert len(DEFAULT.equality_keys(pa.array([one, other])).unique()) == 1
    assert DEFAULT.sort_order(pa.array([one, other])).tolist() == [0, 1]
    assert DEFAULT.sort_order(pa.array([other, one])).tolist() == [0, 1]


@pytest.mark.parametrize(("one", "other"), TWO_VALUES)
def test_strings_that_differ_otherwise_are_two_values(one, other) -> None:
    assert len(DEFAULT.equality_keys(pa.array([one, other])).unique()) == 2
    assert sorted(DEFAULT.sort_order(pa.array([one, other])).tolist()) == [0, 1]


def test_a_case_sensitive_collation_has_small_letters_first_and_apart() -> None:
    collation = Collation.of("Latin1_General_CS_AS", None)
    strings = pa.array(["B", "A", "b", "aB", "ab", "a", "Á", "á"])
    order = strings.take(pa.array(collation.sort_order(strings))).to_pylist()
    assert order == ["a", "A", "á", "Á", "ab", "aB", "b", "B"]
    assert len(collation.equality_keys(strings).unique()) == len(strings)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("Latin1_General_CI_AI", [["e", "E", "é", "É", "e\u0301"], ["ss", "ß"], ["e-"], ["-e"], ["\u0131", "i"], [""]]),
        ("Latin1_General_CS_AI", [["e", "é", "e\u0301"], ["E", "É"], ["ss", "ß"], ["e-"]]),
    ],
)
def test_an_accent_insensitive_collation_holds_equal_what_weighs_the_same(name, classes) -> None:
    collation = Collation.of(name, 1033)
    strings = [string for each in classes for string in each]
    keys = dict(zip(strings, collation.equality_keys(pa.array(strings)).to_pylist(), strict=True))
    for one, other in itertools.combinations(strings, 2):
        together = any(one in each and other in each for each in classes)
        assert (keys[one] == keys[other]) == together, (one, other)


def test_a_binary_collation_compares_code_units() -> None:
    in_order = ["", "A", "B", "a", "a\u0300", "é", "\ud7ff", "\U00010000", "\U0010ffff", "\ue000", "\uffff"]
    collation = Collation.of("Latin1_General_100_BIN2", 1033)
    assert sorted(in_order, key=lambda string: string.encode("utf-16-be")) == in_order
    assert collation.sort_order(pa.array(in_order[::-1])).tolist() == list(range(len(in_order)))[::-1]
    assert len(collation.equality_keys(pa.array(in_order)).unique()) == len(in_order)


@pytest.mark.parametrize(
    ("name", "language", "in_order"),
    [
        (None, 0x041D, ["a", "o", "z", "å", "ä", "ö"]),
        ("Finnish_Swedish_CI_AS", 1033, ["a", "z", "å", "ä", "æ", "ö"]),
        (None, 0x0406, ["a", "ae", "z", "æ", "ø", "å"]),
        ("Danish_Norwegian_CI_AS", None, ["a", "z", "æ", "ø", "å"]),
        ("Latin1_General_CI_AS", 0x041D, ["a", "ä", "å", "o", "ö", "z"]),
        (None, 0x0425, ["s", "š", "z", "ž", "t", "u", "õ"]),
        (None, 0x0415, ["l", "lz", "ł", "m"]),
        (None, 0x0405, ["c", "cz", "č", "d"]),
        (None, 0x040F, ["d", "dz", "ð", "e", "t", "þ", "æ"]),
        (None, 0x0407, ["a", "ä", "az", "o", "ö", "z"]),
    ],
)
def test_letters_have_the_place_of_the_alphabet(name, language, in_order) -> None:
    collation = Collation.of(name, language)
    reverse = pa.array(in_order[::-1])
    assert reverse.take(pa.array(collation.sort_order(reverse))).to_pylist() == in_order
