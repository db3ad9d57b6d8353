"""
What each character weighs: the numbers that a collation compares.

Every code point has an entry on each level, a run of bytes which may be empty:

=========== ======================================================================================================
level       entry
=========== ======================================================================================================
primary     letter, digit or symbol. One byte for the characters of ``_CHART`` and all that differ from one of them
            by accent or case only; a byte of a gap between two of them and a 3-byte rank for all others
diacritic   02 for each letter, and behind it a run of bytes above 02 for each accent on it; an accent alone has the
            latter only, so that a letter and a combining accent weigh what the accented letter does
case        02 for each letter, and behind it how it differs from the small one
punctuation a number for the hyphens, the apostrophe and the control characters, which have no entry elsewhere
=========== ======================================================================================================

No primary entry is the beginning of another, so those of a string can be laid end to end and compared as bytes.

The structure (levels, word sort, expansions, the order symbols < digits < letters) is that of [MS-UCODEREF] 3.1.5.2.4.
The weights are not those of Microsoft's table. They come from the Unicode collation algorithm, asked of the ICU inside
DuckDB, which is the same on every platform, and are then put right where Windows differs: the tables below, each with
its source. "Samples" means that hierarchies of genuine files are in that order: docs/formats/collation.md.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.collation.naming import ENGLISH

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODE_POINT_COUNT = 0x110000

_BMP_CODE_POINT_COUNT = 0x10000

_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF

_LETTER = b"\x02"
"""Begins the entry of a letter on the levels below the first; every other byte there is greater."""

_SYMBOLS_BEFORE_CURRENCY = (
    " \u00a0\t\n\x0b\x0c\r"
    '!"#$%&()*,./:;?@[\\]^\u02c6_`{|}~'
    "\u00a1\u00a6\u00a8\u00af\u00b4\u00b8\u00bf\u02dc\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a"
)
_CURRENCY = "\u00a2\u00a3\u00a4\u00a5\u20ac"
_SYMBOLS_BEFORE_DIGITS = (
    "+<=>\u00b1\u00ab\u00bb\u00d7\u00f7\u00a7\u00a9\u00ac\u00ae\u00b0\u00b5\u00b6\u00b7\u2026\u2020\u2021\u2022\u2030"
)
_CHART = _SYMBOLS_BEFORE_CURRENCY + _CURRENCY + _SYMBOLS_BEFORE_DIGITS + "0123456789" + "abcdefghijklmnopqrstuvwxyz"
"""
The characters of code page 1252 in the order of Latin1_General_CI_AS. ASCII: samples. The rest: SQL Server's charts of
its sort orders, which samples with quotation marks, degrees, bullets and trade marks do not contradict.
"""

_PUNCTUATION = (
    *(code_point for code_point in range(1, 0x20) if chr(code_point) not in "\t\n\x0b\x0c\r"),
    0x7F,
    *map(ord, "'-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"),
)
"""
What counts only where two strings are otherwise the same, in its own order. Hyphen, apostrophe and en dash: samples,
and Microsoft Learn, "CompareStringEx". The other dashes: as the en dash. Control characters: as pbix-mcp observed of
Power BI Desktop (its issue 157).
"""

_EXPANSIONS = {
    "\u00df": "ss", "\u1e9e": "SS", "\u00e6": "ae", "\u00c6": "AE", "\u0153": "oe", "\u0152": "OE", "\u00fe": "th",
    "\u00de": "TH", "\u0133": "ij", "\u0132": "IJ", "\u01c6": "dz", "\u01c5": "Dz", "\u01c4": "DZ", "\u01c9": "lj",
    "\u01c8": "Lj", "\u01c7": "LJ", "\u01cc": "nj", "\u01cb": "Nj", "\u01ca": "NJ", "\u01f3": "dz", "\u01f2": "Dz",
    "\u01f1": "DZ", "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st",
    "\ufb06": "st",
}  # fmt: skip
"""
Letters that compare as two or three others: what is published for SQL Server (ß = ss, æ = ae, þ = th), and the other
ligatures of Latin script likewise.
"""

_LETTERS_OF_THEIR_OWN = {"da": "æÆ", "nb": "æÆ", "sv": "æÆ", "is": "æÆðÐþÞ"}
"""What an alphabet does not take apart."""

_VARIANTS = {
    "\u00f0": "d", "\u00d0": "d", "\u0127": "h", "\u0126": "h", "\u0131": "i", "\u0167": "t", "\u0166": "t",
    "\u0622": "\u0627", "\u0623": "\u0627", "\u0625": "\u0627", "\u0624": "\u0648", "\u0626": "\u064a",
}  # fmt: skip
"""
Letters that differ from another by an accent, and have a place of their own in Unicode's order. Alef with hamza or
madda: samples; waw and yeh with hamza: likewise. Latin: code pages 1252 and 1254 in Latin1_General.
"""

_ACCENTS = "\u0301\u0300\u0307\u0302\u0308\u030c\u0306\u0304\u0303\u030a\u0328\u0327\u030b"
"""Combining accents, least first: a á à â ä ă ã å ą, code pages 1250 and 1252 in Latin1_General."""

_PREVOWELS = ((0x0E00, "เแโใไ", "ก"), (0x0E80, "\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4", "\u0e81"))
"""
Vowels written before their consonant: they come before all consonants (Thai: samples; Lao: likewise), where Unicode
exchanges the two. First code point of the script, the vowels, the first consonant.
"""

_IDEOGRAPHS = ((0x4E00, 0xA000), (0x3400, 0x4DC0))
"""Ideographs are in the order of their code points (samples), where ICU has radicals and strokes. Extension A last."""


_SUPPLEMENTARY_PLACE = 0xFF
"""First byte of the primary entry of code points above the basic plane; three with the code point follow."""


class Weights(NamedTuple):
    """
    The entries of all code points on each level.

    *primary*, *diacritic*, *case*: :data:`CODE_POINT_COUNT` entries. *punctuation*: uint8, 0 for all that is none.
    *letter_count*: uint8, how many letters a code point compares as. *ascii_primary*: the first level of the 128 first
    code points as bytes, 0 for none, if one byte is enough for each.
    """

    primary: pa.LargeBinaryArray
    diacritic: pa.LargeBinaryArray
    case: pa.LargeBinaryArray
    punctuation: NDArray[np.uint8]
    letter_count: NDArray[np.uint8]
    ascii_primary: NDArray[np.uint8] | None


class _Entry(NamedTuple):
    """What ICU says of a character, a level each."""

    primary: bytes
    secondary: bytes
    tertiary: bytes


@cache
def weights_of(locale: str) -> Weights:
    """The weights of an alphabet, by its ICU locale; made once in a process, in about half a second."""
    entries = _icu_entries(locale)
    ranks = _ranks(entries)
    primary = _primary_entries(ranks)
    accents = _accent_bytes(entries)
    diacritic = [_below_first(p, _accents_of(e.secondary, accents)) for p, e in zip(primary, entries, strict=True)]
    english = entries if locale == ENGLISH else _icu_entries(ENGLISH)
    case = [_below_first(p, _forms_of(e.tertiary)) for p, e in zip(primary, english, strict=True)]
    own = _LETTERS_OF_THEIR_OWN.get(locale, "")
    for letter, base in _VARIANTS.items():
        if letter not in own:
            primary[ord(letter)] = primary[ord(base)]
            diacritic[ord(letter)] = _LETTER + b"\xff" + ord(letter.lower()).to_bytes(2, "big")
    for code_point in (0, *_PUNCTUATION):
        primary[code_point] = diacritic[code_point] = case[code_point] = b""
    letter_count = np.array([len(entry) > 0 for entry in primary], np.uint8)
    for letter, letters in _EXPANSIONS.items():
        if letter not in own:
            for level in (primary, diacritic, case):
                level[ord(letter)] = b"".join(level[ord(each)] for each in letters)
            letter_count[ord(letter)] = len(letters)
    return Weights(
        _with_supplementary(primary, is_primary=True),
        _with_supplementary(diacritic, is_primary=False),
        _with_supplementary(case, is_primary=False),
        _punctuation(),
        np.concatenate([letter_count, np.ones(CODE_POINT_COUNT - _BMP_CODE_POINT_COUNT, np.uint8)]),
        _ascii_primary(primary),
    )


def _icu_entries(locale: str) -> list[_Entry]:
    """ICU's sort keys of the characters of the basic plane: ``primary 01 secondary 01 tertiary``, in hexadecimal."""
    with duckdb.connect(":memory:") as connection:
        keys = connection.execute(
            "SELECT icu_sort_key(chr(i::INTEGER), $locale) FROM range(1, $end) AS r(i) "
            "WHERE i NOT BETWEEN $first_surrogate AND $last_surrogate ORDER BY i",
            {
                "locale": locale,
                "end": _BMP_CODE_POINT_COUNT,
                "first_surrogate": _FIRST_SURROGATE,
                "last_surrogate": _LAST_SURROGATE,
            },
        ).fetchall()
    entries = [_Entry(*bytes.fromhex(key).split(b"\x01")) for (key,) in keys]
    nothing = _Entry(b"", b"", b"")
    surrogates = [nothing] * (_LAST_SURROGATE - _FIRST_SURROGATE + 1)
    return [nothing, *entries[: _FIRST_SURROGATE - 1], *surrogates, *entries[_FIRST_SURROGATE - 1 :]]


def _ranks(entries: list[_Entry]) -> NDArray[np.int64]:
    """The place of each code point by ICU's first level, with scripts put right; 0 for those without a weight."""
    keys = pa.array([entry.primary for entry in entries], pa.binary())
    ranks: NDArray[np.int64] = pc.rank(keys, tiebreaker="dense").to_numpy().astype(np.int64) - 1
    ideographs = np.concatenate([np.arange(first, end) for first, end in _IDEOGRAPHS])
    _, firsts = np.unique(ranks[ideographs], return_index=True)
    _reorder(ranks, ranks[ideographs[np.sort(firsts)]])
    for block, vowels, first_consonant in _PREVOWELS:
        script = ranks[block : block + 0x80]
        last = max(ranks[ord(vowel)] for vowel in vowels)
        moved = [ranks[ord(vowel)] for vowel in vowels]
        others = np.unique(script[(script >= ranks[ord(first_consonant)]) & (script <= last)])
        _reorder(ranks, np.array([*moved, *others[~np.isin(others, moved)]]))
    return ranks


def _reorder(ranks: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
    """Give the ranks *wanted*, which are all different, to each other so that they ascend in the order given."""
    renamed = np.arange(int(ranks.max()) + 1)
    renamed[wanted] = np.sort(wanted)
    ranks[:] = renamed[ranks]


def _primary_entries(ranks: NDArray[np.int64]) -> list[bytes]:
    """A byte for what is in the chart, a byte of the gap and the rank for what is not."""
    places = {character: 2 * index + 2 for index, character in enumerate(_chart_of(ranks))}
    of_rank = {int(ranks[ord(c)]): places[c] for c in map(chr, range(0x20, 0x7F)) if c in places}
    landmarks = sorted((int(ranks[ord(c)]), places[c]) for c in "0123456789abcdefghijklmnopqrstuvwxyz")
    landmark_ranks = [rank for rank, _ in landmarks]
    gaps = np.array([0, *(place + 1 for _, place in landmarks)])
    gap_of = gaps[np.searchsorted(landmark_ranks, ranks, "right")]
    for first, last in (("`", _SYMBOLS_BEFORE_DIGITS), ("\u00a4", _CURRENCY)):
        gap_of[(ranks >= ranks[ord(first)]) & (ranks < landmark_ranks[0])] = places[last[-1]] + 1
    gap_of[ranks < ranks[ord("\u00b0")]] = places[_SYMBOLS_BEFORE_CURRENCY[-1]] + 1
    gap_of[ranks < ranks[ord("_")]] = places["\r"] + 1
    entries = []
    for code_point, rank in enumerate(ranks.tolist()):
        place = places.get(chr(code_point)) or of_rank.get(rank)
        if rank == 0:
            entries.append(b"")
        elif place is not None:
            entries.append(bytes([place]))
        else:
            entries.append(bytes([gap_of[code_point]]) + rank.to_bytes(3, "big"))
    return entries


def _chart_of(ranks: NDArray[np.int64]) -> str:
    """The chart with its letters in the order of the alphabet: in Estonian z comes before t."""
    letters = sorted(_CHART[-26:], key=lambda letter: int(ranks[ord(letter)]))
    return _CHART[:-26] + "".join(letters)


def _accent_bytes(entries: list[_Entry]) -> dict[int, int]:
    """ICU's byte for each accent of ``_ACCENTS``, and the one that takes its place so that they ascend."""
    found = [entries[ord(accent)].secondary[0] for accent in _ACCENTS]
    return dict(zip(found, sorted(found), strict=True))


def _accents_of(secondary: bytes, renamed: dict[int, int]) -> bytes:
    """
    The accents in ICU's second level.

    A letter without an accent, or a run of them, is a byte below 70 (hexadecimal); an accent is a byte above that, or
    two from E0 up.
    """
    accents = bytearray()
    position = 0
    while position < len(secondary):
        byte = secondary[position]
        byte_count = 2 if byte >= 0xE0 else 1
        if byte_count == 2:
            accents += secondary[position : position + 2]
        elif byte >= 0x70:
            accents.append(renamed.get(byte, byte))
        position += byte_count
    return bytes(accents)


def _forms_of(tertiary: bytes) -> bytes:
    """What is not a plain small letter in ICU's third level: a byte from 80 up. (In Danish, capitals come first.)"""
    return bytes(byte for byte in tertiary if byte >= 0x80)


def _below_first(primary: bytes, entry: bytes) -> bytes:
    return _LETTER + entry if primary else entry


def _punctuation() -> NDArray[np.uint8]:
    numbers = np.zeros(CODE_POINT_COUNT, np.uint8)
    numbers[list(_PUNCTUATION)] = np.arange(1, len(_PUNCTUATION) + 1)
    return numbers


def _ascii_primary(primary: list[bytes]) -> NDArray[np.uint8] | None:
    if any(len(entry) > 1 for entry in primary[:0x80]):
        return None
    return np.array([entry[0] if entry else 0 for entry in primary[:0x80]], np.uint8)


def _with_supplementary(entries: list[bytes], *, is_primary: bool) -> pa.LargeBinaryArray:
    """
    The entries of all planes. Those above the first come behind it, in the order of their code points.

    That is how the collations of version 100 compare them among themselves; that they come last is a guess, because no
    file at hand has one in a hierarchy.
    """
    count = CODE_POINT_COUNT - _BMP_CODE_POINT_COUNT
    width = 4 if is_primary else len(_LETTER)
    table = np.full((count, width), _SUPPLEMENTARY_PLACE if is_primary else _LETTER[0], np.uint8)
    if is_primary:
        code_points = np.arange(_BMP_CODE_POINT_COUNT, CODE_POINT_COUNT).astype(">u4")
        table[:, 1:] = code_points.view(np.uint8).reshape(count, 4)[:, 1:]
    buffers = [None, pa.py_buffer(np.arange(count + 1, dtype=np.int64) * width), pa.py_buffer(table)]
    rest = pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, buffers)
    return pa.concat_arrays([pa.array(entries, pa.large_binary()), rest])
