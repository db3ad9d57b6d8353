"""
What the name of a collation says.

``Latin1_General_100_CI_AS_KS_WS``: an alphabet, a version, and what is told apart.

========== =============================================================================
part       meaning
========== =============================================================================
CI, CS     upper and lower case are told apart (CS) or not (CI)
AI, AS     accents are told apart (AS) or not (AI)
BIN, BIN2  nothing of the above: the code units are compared
KS, WS     hiragana from katakana, full from half width: without effect on what is done here
SQL_, CPn  a SQL Server collation and its code page: Unicode strings compare as in Windows
100, 140   version of the sorting weights: without effect here
SC, UTF8   how SQL Server stores strings: without effect here
========== =============================================================================

A name without ``CI``, ``CS`` or ``BIN``, whatever else it says, and none at all compare as ``CI_AS``, which is what
genuine files without a collation do. The alphabet comes from the name, else from the language (LCID) of the model; one
that is not known is that of English (Latin1_General).

Only alphabets of Latin script that put letters elsewhere than English does are told apart; ICU's rules for single
letters stand in for those of Windows, a guess, because no file at hand has such a language. All other languages are
ordered as English: Greek, Cyrillic, Arabic, … have their order there already. Not done: digraphs that are letters
(Czech *ch*, Hungarian *sz*), Turkish *i*, and the pinyin, stroke and JIS orders of ideographs.

Source: Microsoft Learn, "Windows collation name (Transact-SQL)", "Languages and collations (Analysis Services)";
language identifiers: [MS-LCID] 2.2.
"""

from __future__ import annotations

from typing import NamedTuple

ENGLISH = "en"

_LOCALES_BY_ALPHABET = {
    "croatian": "hr",
    "czech": "cs",
    "danish": "da",
    "danish_greenlandic": "da",
    "danish_norwegian": "da",
    "estonian": "et",
    "finnish_swedish": "sv",
    "hungarian": "hu",
    "icelandic": "is",
    "latvian": "lv",
    "lithuanian": "lt",
    "modern_spanish": "es",
    "norwegian": "nb",
    "polish": "pl",
    "romanian": "ro",
    "slovak": "sk",
    "slovenian": "sl",
    "swedishphone": "sv",
    "swedishstd": "sv",
    "traditional_spanish": "es",
}
"""First part of a name, in lower case, and the ICU locale with the same alphabet."""

_LOCALES_BY_LANGUAGE = {
    0x05: "cs",
    0x06: "da",
    0x0A: "es",
    0x0B: "sv",
    0x0E: "hu",
    0x0F: "is",
    0x14: "nb",
    0x15: "pl",
    0x18: "ro",
    0x1B: "sk",
    0x1D: "sv",
    0x24: "sl",
    0x25: "et",
    0x26: "lv",
    0x27: "lt",
}
"""Primary language of an LCID, and its alphabet. 0x1A is Croatian, Bosnian or Serbian, by the rest of the LCID."""

_CROATIAN_LCIDS = frozenset({0x041A, 0x101A, 0x141A})
"""Croatia; Bosnia, Croatian; Bosnia, Bosnian in Latin script."""

_PRIMARY_LANGUAGE_MASK = 0x3FF


class Sensitivity(NamedTuple):
    """What a collation tells apart, and the ICU locale that has its alphabet."""

    locale: str
    is_case_sensitive: bool
    is_accent_sensitive: bool
    is_binary: bool


def sensitivity_of(name: str | None, language: int | None) -> Sensitivity:
    """
    What a collation is, by its name and the language of the model.

    Args:
        name: as in ``Model.Collation`` or ``db.xml``; case does not matter.
        language: LCID of the model, as in ``ColumnStorage.Locale`` or ``db.xml``.
    """
    words = (name or "").lower().removeprefix("sql_").split("_")
    if not {"bin", "bin2"}.isdisjoint(words):
        return Sensitivity(ENGLISH, is_case_sensitive=True, is_accent_sensitive=True, is_binary=True)
    if {"ci", "cs"}.isdisjoint(words):
        words = []
    return Sensitivity(
        _locale_of(words, language),
        is_case_sensitive="cs" in words,
        is_accent_sensitive="ai" not in words,
        is_binary=False,
    )


def _locale_of(words: list[str], language: int | None) -> str:
    if words:
        two_words, one_word = "_".join(words[:2]), words[0]
        return _LOCALES_BY_ALPHABET.get(two_words) or _LOCALES_BY_ALPHABET.get(one_word, ENGLISH)
    if language is None:
        return ENGLISH
    if language in _CROATIAN_LCIDS:
        return "hr"
    return _LOCALES_BY_LANGUAGE.get(language & _PRIMARY_LANGUAGE_MASK, ENGLISH)
