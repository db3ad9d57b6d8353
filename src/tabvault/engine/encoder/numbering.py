"""
Which data id every value of a column gets, and whether there is a dictionary.

Where partitions stay, their ids do: new values get the ids behind the last one. All ids are given out anew if

(1) the column is value-encoded and a new value has no id in that encoding, or the column needs a dictionary by now;
(2) the dictionary has entries that no row uses, and these are to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from tabvault.engine.encoder import value_encoding
from tabvault.engine.encoder.stored_values import stored_arrow_type
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID
from tabvault.model.objects import DataType, DictionaryDataType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from tabvault.engine.encoder.existing import ExistingColumn
    from tabvault.engine.encoder.partition_writer import SegmentKey
    from tabvault.engine.encoder.specification import ColumnSpecification
    from tabvault.engine.encoder.value_encoding import ValueEncoding
    from tabvault.engine.encoder.vocabulary import Vocabulary

    EqualityKeys = Callable[[pa.Array], pa.Array]

_KEPT = "kept"
"""Under this name a vocabulary has the values of the rows that stay."""


class Numbering(NamedTuple):
    """
    Ids of values.

    *entries* of the dictionary (as they are compared: binary values not as text), or the *encoding* without one.
    *new_ids*: the ids of each new segment's values. *kept_ids*: the new id of each old one; None where nothing changes.
    *used_ids*: all ids that rows have, ascending, without BLANK. *folded_count*: as in
    :class:`~tabvault.engine.encoder.vocabulary.Numbered`.
    """

    entries: pa.Array | None
    encoding: ValueEncoding | None
    new_ids: Mapping[SegmentKey, NDArray[np.uint32]]
    kept_ids: IdMap | None
    used_ids: NDArray[np.uint32]
    folded_count: int


@dataclass(frozen=True, slots=True)
class IdMap:
    """Old ids that rows have, ascending, and the new id of each. (Of all ids there may be too many for a table.)"""

    old: NDArray[np.uint32]
    new: NDArray[np.uint32]

    def of(self, data_ids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The new ids."""
        return self.new[np.searchsorted(self.old, data_ids)]


def fresh(
    column: ColumnSpecification,
    vocabulary: Vocabulary,
    keys: Sequence[SegmentKey],
    equality_keys: EqualityKeys | None,
    *,
    row_count: int,
) -> Numbering:
    """
    Number a column of which no row stays.

    Args:
        column: the column.
        vocabulary: the values of its segments.
        keys: the segments in the order of the table.
        equality_keys: of texts, by the model's collation.
        row_count: of the table.
    """
    nothing = np.empty(0, np.uint32)
    no_values = pa.array([], stored_arrow_type(column.data_type))
    return _anew(column, vocabulary, keys, equality_keys, nothing, no_values, row_count=row_count)


def continued(
    column: ColumnSpecification,
    vocabulary: Vocabulary,
    keys: Sequence[SegmentKey],
    equality_keys: EqualityKeys | None,
    existing: ExistingColumn,
    kept: NDArray[np.uint32],
    *,
    row_count: int,
    defragment: bool,
) -> Numbering:
    """
    Number a column of which rows stay.

    Args:
        column, vocabulary, keys, equality_keys, row_count: as :func:`fresh`.
        existing: the column as it is.
        kept: the ids that rows which stay have, ascending, BLANK too.
        defragment: whether unused entries go.
    """
    kept_values = kept[kept > NULL_DATA_ID]
    encoding = existing.value_encoding
    if encoding is None:
        return _appended(vocabulary, keys, equality_keys, existing, kept, defragment=defragment)
    is_real = column.stored_type.dictionary == DictionaryDataType.REAL
    if not _needs_dictionary(column):
        numbered = vocabulary.numbered(keys, None)
        ids = encoding.data_ids(numbered.entries.to_numpy())
        if ids is not None:
            new_ids = {key: ids[numbers] for key, numbers in numbered.numbers.items()}
            return Numbering(None, encoding, new_ids, None, np.union1d(kept_values, ids), 0)
    values = pa.array(encoding.values(kept_values, is_real=is_real))
    return _anew(column, vocabulary, keys, equality_keys, kept, values, row_count=row_count)


def _appended(
    vocabulary: Vocabulary,
    keys: Sequence[SegmentKey],
    equality_keys: EqualityKeys | None,
    existing: ExistingColumn,
    kept: NDArray[np.uint32],
    *,
    defragment: bool,
) -> Numbering:
    """New entries behind those of a dictionary."""
    values, kept_ids = existing.values, None
    assert values is not None
    places = kept[kept > NULL_DATA_ID].astype(np.int64) - FIRST_DATA_ID
    if defragment and len(places) < len(values):
        kept_ids = _moved_together(kept)
        kept, values = kept_ids.new, values.take(pa.array(places))
    vocabulary.add(_KEPT, values)
    numbered = vocabulary.numbered([_KEPT, *keys], equality_keys, fixed_count=len(values))
    new_ids = {key: _data_ids(numbered.numbers[key]) for key in keys}
    is_used = np.zeros(len(numbered.entries) + FIRST_DATA_ID, np.bool_)
    for ids in (kept, *new_ids.values()):
        is_used[ids] = True
    used_ids = _data_ids(is_used[FIRST_DATA_ID:].nonzero()[0])
    return Numbering(numbered.entries, None, new_ids, kept_ids, used_ids, numbered.folded_count)


def _moved_together(kept: NDArray[np.uint32]) -> IdMap:
    """Ids without gaps, in the same order."""
    first = NULL_DATA_ID if len(kept) and kept[0] == NULL_DATA_ID else FIRST_DATA_ID
    return IdMap(kept, np.arange(first, first + len(kept), dtype=np.uint32))


def _anew(
    column: ColumnSpecification,
    vocabulary: Vocabulary,
    keys: Sequence[SegmentKey],
    equality_keys: EqualityKeys | None,
    kept: NDArray[np.uint32],
    kept_values: pa.Array,
    *,
    row_count: int,
) -> Numbering:
    """Decide how the column is encoded. *kept_values* are those of *kept* without BLANK."""
    vocabulary.add(_KEPT, kept_values)
    numbered = vocabulary.numbered([_KEPT, *keys], equality_keys)
    entries = numbered.entries
    encoding = None
    if not _needs_dictionary(column):
        encoding = value_encoding.choose(entries.to_numpy(), row_count=row_count)
    ids = _data_ids(np.arange(len(entries))) if encoding is None else encoding.data_ids(entries.to_numpy())
    assert ids is not None, "the encoding was chosen for these values"
    new_ids = {key: ids[numbers] for key, numbers in numbered.numbers.items()}
    blank = kept[kept == NULL_DATA_ID]
    kept_ids = IdMap(kept, np.concatenate((blank, new_ids.pop(_KEPT)))) if len(kept) else None
    if encoding is None:
        return Numbering(entries, None, new_ids, kept_ids, ids, numbered.folded_count)
    return Numbering(None, encoding, new_ids, kept_ids, np.sort(ids), numbered.folded_count)


def _needs_dictionary(column: ColumnSpecification) -> bool:
    is_text = column.stored_type.dictionary == DictionaryDataType.STRING
    return is_text or column.data_type == DataType.BOOLEAN or column.needs_dictionary or column.is_key


def _data_ids(entry_numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
    return (entry_numbers + FIRST_DATA_ID).astype(np.uint32)
