"""
The distinct values of a column over all its segments.

Each segment numbers its own values. Here they come together: values that were in a segment before get the number they
have, others the next one. To that end a hash table is built over all values known so far, which is only done when as
many have come in since as are known: so each value is hashed a few times, however many segments there are.

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
        self._known = pa.array([], value_type)
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
            spellings, places = self._known, [self._places[segment] for segment in segments]
        if not places:
            return Numbered(spellings, {}, 0)
        appearances = np.concatenate(places).astype(np.int64)
        classes = None if equality_keys is None else _codes(equality_keys(spellings))
        classes_there = appearances if classes is None else classes[appearances]
        numbers_of, first_spellings = _numbers(classes_there, fixed_count)
        entries = spellings.take(pa.array(appearances[first_spellings]))
        ends = np.cumsum([len(place) for place in places])
        numbers = dict(zip(segments, np.split(numbers_of, ends[:-1]), strict=True))
        class_count = len(spellings) if classes is None else len(np.unique(classes))
        return Numbered(entries, numbers, len(spellings) - class_count)

    def _bring_together(self) -> None:
        chunks = [self._known, *(values for _, values in self._pending)]
        encoded = pa.chunked_array(chunks).dictionary_encode()
        if encoded.num_chunks:  # empty ones are left out; the others have one dictionary, of all
            self._known = encoded.chunk(0).dictionary
        places = np.concatenate([np.empty(0, np.int32), *(chunk.indices.to_numpy() for chunk in encoded.chunks)])
        ends = np.cumsum([len(chunk) for chunk in chunks])
        for (segment, _), found in zip(self._pending, np.split(places, ends)[1:], strict=False):
            self._places[segment] = found
        self._pending, self._pending_count = [], 0


def _codes(keys: pa.Array) -> NDArray[np.int64]:
    """A number for each key, the same for the same."""
    codes: NDArray[np.int32] = keys.dictionary_encode().indices.to_numpy()
    return codes.astype(np.int64)


def _first_places(appearances: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Where each number first appears; -1 where it never does."""
    places = np.full(count, -1, np.int64)
    places[appearances[::-1]] = np.arange(len(appearances) - 1, -1, -1)  # of several assignments the last one holds
    return places


def _numbers(classes: NDArray[np.int64], fixed_count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Number classes by first appearance, behind *fixed_count* appearances that are numbers of their own.

    Returns:
        The number of each appearance, and for each number an appearance of it.
    """
    count = int(classes.max()) + 1 if len(classes) else 0
    first = _first_places(classes, count)
    (is_there,) = (first >= fixed_count).nonzero()
    fresh = is_there[np.argsort(first[is_there])]
    number_of = first.copy()  # a class that is among the fixed has the number of its first place
    number_of[fresh] = fixed_count + np.arange(len(fresh))
    numbers = number_of[classes]
    numbers[:fixed_count] = np.arange(fixed_count)
    return numbers, np.concatenate((np.arange(fixed_count), first[fresh]))
