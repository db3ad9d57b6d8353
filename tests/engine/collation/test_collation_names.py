"""What the names of collations and the languages of models say."""

from __future__ import annotations

import pytest

from tabvault.engine.collation import Collation


@pytest.mark.parametrize(
    ("name", "case", "accent", "binary"),
    [
        (None, False, True, False),
        ("", False, True, False),
        ("Latin1_General_CI_AS", False, True, False),
        ("latin1_general_ci_as", False, True, False),
        ("SQL_Latin1_General_CP1_CI_AS", False, True, False),
        ("SQL_Latin1_General_CP1_CS_AS", True, True, False),
        ("Latin1_General_100_CS_AI_KS_WS", True, False, False),
        ("Latin1_General_100_CI_AI_SC_UTF8", False, False, False),
        ("Latin1_General_BIN", True, True, True),
        ("Japanese_XJIS_140_BIN2", True, True, True),
        ("no such collation", False, True, False),
        ("Klingon_AI", False, True, False),
    ],
)
def test_a_name_says_what_is_told_apart(name, case, accent, binary) -> None:
    collation = Collation.of(name, 1033)
    assert collation.name == name
    assert (collation.is_case_sensitive, collation.is_accent_sensitive, collation.is_binary) == (case, accent, binary)


@pytest.mark.parametrize(
    ("name", "language", "locale"),
    [
        (None, None, "en"),
        (None, 1033, "en"),
        (None, 5129, "en"),
        (None, 0x041D, "sv"),
        (None, 0x081D, "sv"),
        (None, 0x041A, "hr"),
        (None, 0x0C1A, "en"),
        (None, 0x7FFFFFFF, "en"),
        (None, -1, "en"),
        ("Latin1_General_CI_AS", 0x041D, "en"),
        ("Danish_Norwegian_CI_AS", 1033, "da"),
        ("SQL_Danish_Pref_CP1_CI_AS", 1033, "da"),
        ("SQL_SwedishStd_Pref_CP1_CI_AS", 1033, "sv"),
        ("Polish_100_CS_AI", None, "pl"),
        ("no such collation", 0x0415, "pl"),
    ],
)
def test_the_alphabet_is_that_of_the_name_else_of_the_language(name, language, locale) -> None:
    assert Collation.of(name, language).locale == locale
