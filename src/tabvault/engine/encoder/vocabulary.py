"""
The distinct values of a column over all its segments.

Each segment numbers its own values. Here they come together: values that were in a segment before get the number they
have, others the next one. That takes time for all values known so far, so it is only done when as many have come in
since as are known: each value is looked at a few times, however many segments there are.

Texts go through a hash table. Numbers are kept sorted: Arrow's hash table of seven million integers grows by three
quarters of a GiB at once, and merging them takes a seventh of that. Keys that count up come in sorted, as it is.

Segments come in from several threads in any order. The numbers that are given out in the end follow the order of the
table: a value's place is that of its first appearance, partition by partition, segment by segment.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from numpy.typing import NDArray

_PENDING_MIN = 1 << 20
"""Values are brought together at the earliest when so many came in: less is not worth a hash table."""


class Numbered(NamedTuple):
    """
    Entries, and the number of each value of each segment among them.

    Attributes:
        entries: distinct under the equality that was asked for, each spelled as it first appeared.
        numbers: for each segment, the entry of each of its values.
        folded_count: spellings that are no entry, because they equal one that appeared before.
    """

    entries: pa.Array
    numbers: Mapping[Any, NDArray[np.int64]]
    folded_count: int


class Vocabulary:
    """
    Collects the values of a column.

    Args:
        value_type: of the values.
    """

    def __init__(self, value_type: pa.DataType) -> None:
        is_text = pa.types.is_large_string(value_type) or pa.types.is_large_binary(value_type)
        self._known: _Hashed | _Sorted = _Hashed(value_type) if is_text else _Sorted(value_type)
        self._pending: list[tuple[Hashable, pa.Array]] = []
        self._pending_count = 0
        self._places: dict[Hashable, NDArray[np.int32]] = {}
        self._lock = threading.Lock()

    def add(self, segment: Hashable, values: pa.Array) -> None:
        """Take the values of a segment, none of them null. They may repeat."""
        with self._lock:
            self._pending.append((segment, values))
            self._pending_count += len(values)
            if self._pending_count >= max(_PENDING_MIN, len(self._known)):
                self._bring_together()

    def numbered(
        self,
        segments: Sequence[Hashable],
        equality_keys: Callable[[pa.Array], pa.Array] | None,
        *,
        fixed_count: int = 0,
    ) -> Numbered:
        """
        Number all values.

        Args:
            segments: every segment that was added, in the order of the table.
            equality_keys: the same key for values that are one entry; None if only the same values are.
            fixed_count: so many values of the first segment are entries already, repeated ones too, and keep their
                places.

        Returns:
            The entries, of which the first *fixed_count* are those.
        """
        with self._lock:
            self._bring_together()
            spellings, places = self._known.values(), [self._places[segment] for segment in segments]
        if not places:
            return Numbered(spellings, {}, 0)
        appearances = np.concatenate(places)
        classes = None if equality_keys is None else _codes(equality_keys(spellings))
        classes_there = appearances if classes is None else classes[appearances]
        numbers_of, first_spellings = _numbers(classes_there, fixed_count)
        entries = spellings.take(pa.array(appearances[first_spellings]))
        ends = np.cumsum([len(place) for place in places])
        numbers = dict(zip(segments, np.split(numbers_of, ends[:-1]), strict=True))
        class_count = len(spellings) if classes is None else len(np.unique(classes))
        return Numbered(entries, numbers, len(spellings) - class_count)

    def _bring_together(self) -> None:
        chunks = [values for _, values in self._pending]
        ends = np.cumsum([len(values) for values in chunks], dtype=np.int64)
        places = self._known.numbers(chunks) if chunks else np.empty(0, np.int32)
        for (segment, _), found in zip(self._pending, np.split(places, ends), strict=False):
            self._places[segment] = found
        self._pending, self._pending_count = [], 0


class _Hashed:
    """Distinct values of any type, numbered as they come."""

    def __init__(self, value_type: pa.DataType) -> None:
        self._values = pa.array([], value_type)

    def __len__(self) -> int:
        return len(self._values)

    def values(self) -> pa.Array:
        """The values by number."""
        return self._values

    def numbers(self, chunks: Sequence[pa.Array]) -> NDArray[np.int32]:
        """The numbers of more values, which become known."""
        known_count = len(self._values)
        encoded = pa.chunked_array([self._values, *chunks]).dictionary_encode()
        if encoded.num_chunks:  # empty ones are left out; the others have one dictionary, of all
            self._values = encoded.chunk(0).dictionary
        numbers: list[NDArray[np.int32]] = [chunk.indices.to_numpy() for chunk in encoded.chunks]
        return np.concatenate([np.empty(0, np.int32), *numbers])[known_count:]


class _Sorted:
    """Distinct values of 64 bits, numbered in any order. They are the same if their bits are."""

    def __init__(self, value_type: pa.DataType) -> None:
        self._type = value_type
        self._bits = np.empty(0, np.int64)  # ascending
        self._numbers = np.empty(0, np.int32)  # of each of them

    def __len__(self) -> int:
        return len(self._bits)

    def values(self) -> pa.Array:
        """The values by number."""
        bits = np.empty_like(self._bits)
        bits[self._numbers] = self._bits
        return pa.array(bits).view(self._type)

    def numbers(self, chunks: Sequence[pa.Array]) -> NDArray[np.int32]:
        """The numbers of more values, which become known."""
        appearances = np.concatenate([chunk.to_numpy().view(np.int64) for chunk in chunks])
        bits, _, places = np.unique(appearances, return_index=True, return_inverse=True)  # an index: sorts by merging
        at = np.searchsorted(self._bits, bits)
        is_new = np.ones(len(bits), np.bool_)
        if len(self._bits):
            is_new = self._bits.take(at, mode="clip") != bits
        numbers = np.empty(len(bits), np.int32)
        numbers[is_new] = np.arange(len(self), len(self) + np.count_nonzero(is_new))
        numbers[~is_new] = self._numbers[at[~is_new]]
        self._bits = np.insert(self._bits, at[is_new], bits[is_new])
        self._numbers = np.insert(self._numbers, at[is_new], numbers[is_new])
        return numbers.take(places)


def _codes(keys: pa.Array) -> NDArray[np.int32]:
    """A number for each key, the same for the same."""
    codes: NDArray[np.int32] = keys.dictionary_encode().indices.to_numpy()
    return codes


def _first_places(appearances: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Where each number first appears; -1 where it never does."""
    places = np.full(count, -1, np.int64)
    places[appearances[::-1]] = np.arange(len(appearances) - 1, -1, -1)  # of several assignments the last one holds
    return places


def _numbers(classes: NDArray[np.int32], fixed_count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Number classes by first appearance, behind *fixed_count* appearances that are numbers of their own.

    Returns:
        The number of each appearance, and for each number an appearance of it.
    """
    count = int(classes.max()) + 1 if len(classes) else 0
    number_of = _first_places(classes, count)  # a class that is among the fixed has the number of its first place
    is_first = np.zeros(len(classes), np.bool_)
    is_first[number_of[number_of >= fixed_count]] = True
    (first,) = is_first.nonzero()
    number_of[classes[first]] = np.arange(fixed_count, fixed_count + len(first))
    numbers = number_of.take(classes)
    numbers[:fixed_count] = np.arange(fixed_count)
    return numbers, np.concatenate((np.arange(fixed_count), first))
