"""
The collation of a model: the order of its strings, and which of them are one value.

These are two questions with two answers. **Order** (attribute hierarchies, MIN, MAX) is that of Windows: letters
first, then accents, then hyphens and apostrophes. **Equality** (the entries of a dictionary) is narrower in the engine:
with the collation that Analysis Services takes by default, strings are one value if they differ only by the case of
ASCII letters. ``Apple`` is ``APPLE``; ``Äpfel`` is not ``äpfel``, and ``Straße`` not ``Strasse``, though the levels of
the order do not tell them apart. Strings that are different and weigh the same are ordered by their code units.

Spaces count, wherever they stand: that Power BI has no trailing spaces comes from its import, which cuts them off.

=============================== ============================== ==========================================
collation                       order                          equality
=============================== ============================== ==========================================
CI_AS, none, unknown            letters, accents, punctuation  code units, small and capital A-Z the same
CS_AS                           … case before punctuation      code units
CI_AI, CS_AI                    … without accents              as the order
BIN, BIN2                       UTF-16 code units              code units
=============================== ============================== ==========================================

Sources: docs/formats/collation.md. That accent-insensitive collations keep one entry for what they hold equal is a
guess, because no file at hand has one, and ASCII case alone could not be accent-insensitive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.collation import levels
from tabvault.engine.collation.naming import sensitivity_of
from tabvault.engine.collation.weights import Weights, weights_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Level = Callable[[levels.Utf8], pa.LargeBinaryArray]

_SLICE_STRING_COUNT = 1 << 16
"""Strings are weighed in slices: what a slice takes in memory is many times its bytes."""


@dataclass(frozen=True, slots=True)
class Collation:
    """
    How the strings of a model compare.

    *name* is the one that was asked for; *locale* is the ICU locale whose alphabet orders the letters.
    """

    name: str | None
    locale: str
    is_case_sensitive: bool
    is_accent_sensitive: bool
    is_binary: bool

    @classmethod
    def of(cls, name: str | None, language: int | None) -> Collation:
        """
        The collation of a model.

        Args:
            name: ``Model.Collation`` or that of ``db.xml``; what is unknown compares as ``Latin1_General_CI_AS``.
            language: LCID, which gives the alphabet where the name does not.
        """
        return cls(name, *sensitivity_of(name, language))

    def sort_order(self, strings: pa.StringArray | pa.LargeStringArray) -> NDArray[np.int64]:
        """
        The order of strings.

        Args:
            strings: without a null.

        Returns:
            Indexes of *strings*, smallest first; those with the same equality key in the order given.
        """
        first, *others = self._levels()
        ranks = _ranks(_keys(strings, first))
        for level in others:
            tied = np.flatnonzero(np.bincount(ranks)[ranks] > 1)
            if len(tied) == 0:
                break
            ranks = _refined(ranks, tied, _ranks(_keys(strings.take(pa.array(tied)), level)))
        return np.argsort(ranks, kind="stable")

    def equality_keys(self, strings: pa.StringArray | pa.LargeStringArray) -> pa.LargeBinaryArray:
        """
        Which strings are one value.

        Args:
            strings: without a null.

        Returns:
            A key for each, the same in every call; two strings have the same key if and only if they are one value.
        """
        if self.is_accent_sensitive:
            level: _Level = partial(levels.stored_keys, is_case_sensitive=self.is_case_sensitive)
        else:
            level = self._weighed_keys
        return pa.concat_arrays(_keys(strings, level).chunks)

    def _levels(self) -> list[_Level]:
        """The levels that this collation compares, the first that differs decides."""
        ordinal = partial(levels.ordinal_keys, is_case_sensitive=self.is_case_sensitive)
        if self.is_binary:
            return [ordinal]
        weights = weights_of(self.locale)
        return [
            partial(_primary_keys, weights=weights),
            lambda text: levels.tail_keys(levels.characters_of(text), weights),
            *([partial(_entry_keys, entries=weights.diacritic)] if self.is_accent_sensitive else []),
            *([partial(_entry_keys, entries=weights.case)] if self.is_case_sensitive else []),
            lambda text: levels.punctuation_keys(levels.characters_of(text), weights),
            *([ordinal] if self.is_accent_sensitive else []),
        ]

    def _weighed_keys(self, text: levels.Utf8) -> pa.LargeBinaryArray:
        """
        All levels in one key; the tail follows from the first and the last.

        No entry begins with 00, and none of the case level holds it, so that the parts cannot be mistaken.
        """
        primary, _, *others = [level(text) for level in self._levels()]
        return pc.binary_join_element_wise(primary, *others, pa.scalar(b"\0", pa.large_binary()))


def _primary_keys(text: levels.Utf8, *, weights: Weights) -> pa.LargeBinaryArray:
    if weights.ascii_primary is not None and levels.is_ascii(text):
        return levels.keys_of_ascii(text, weights.ascii_primary)
    return levels.keys_of(levels.characters_of(text), weights.primary)


def _entry_keys(text: levels.Utf8, *, entries: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return levels.keys_of(levels.characters_of(text), entries)


def _keys(strings: pa.StringArray | pa.LargeStringArray, level: _Level) -> pa.ChunkedArray:
    if strings.null_count:
        raise ValueError(f"{strings.null_count} of {len(strings)} strings are null")
    slices = [strings.slice(start, _SLICE_STRING_COUNT) for start in range(0, len(strings), _SLICE_STRING_COUNT)]
    keys = [level(levels.utf8_of(each)) for each in slices or [strings]]
    return pa.chunked_array(keys, pa.large_binary())


def _ranks(keys: pa.ChunkedArray) -> NDArray[np.int64]:
    """How many keys are less than each."""
    ranks: NDArray[np.int64] = pc.rank(keys, tiebreaker="min").to_numpy().astype(np.int64) - 1
    return ranks


def _refined(ranks: NDArray[np.int64], tied: NDArray[np.int64], next_ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranks by one more level: *next_ranks* are those of the strings *tied* on that level alone."""
    order = np.lexsort((next_ranks, ranks[tied]))
    rank, next_rank = ranks[tied][order], next_ranks[order]
    is_first_of_rank = np.diff(rank, prepend=-1) != 0
    is_first = is_first_of_rank | (np.diff(next_rank, prepend=-1) != 0)
    index = np.arange(len(order))
    start_of_rank = np.maximum.accumulate(np.where(is_first_of_rank, index, 0))
    start = np.maximum.accumulate(np.where(is_first, index, 0))
    refined = ranks.copy()
    refined[tied[order]] = rank + start - start_of_rank
    return refined
