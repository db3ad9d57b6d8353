"""
The index of a relationship (R$): from data id on the many side to row on the one side.

The table has one column ``INDEX`` with Min -1 and MaxDataID + 1 rows, the highest id being that of the many side's
rows: row n is the number of the row, from 0 in stored order, in which the table on the one side has the value of data
id n; -1 where there is none, and for the ids 0 to 2. Its bit width is the smallest for the number of rows on the one
side. It is one segment.

* An id that no row of the many side uses finds nothing, unless both columns are VALUE-encoded: then every number of the
  range that the one side has is found, as it can be computed. (Models that came out of Power Pivot workbooks leave
  these out too; nothing is looked up by them.)
* ``RelationshipIndexStorage.Flags`` is 1 if a row of the many side, one with BLANK included, has no partner: the one
  side then shows a blank row.
* A value twice on the one side, or BLANK there, cannot be processed.
* An inactive relationship has its index like any other.
* One-to-one: there is an index in each direction, each with a ``RelationshipStorage`` row of its own
  (``Relationship.RelationshipStorage2ID``) that has its own Flags.
* Many-to-many: no index is made. None was seen in a genuine file; only relationships with a unique side can have one.

A relationship between tables without rows has an index of three rows: DirectQuery models keep such.

Sources: [MS-XLDM] 2.4.3 (INDEX); all 127 indexes of the genuine files, of which 8 are of one-to-one relationships.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.encoder.relationship_keys import comparable
from tabvault.engine.encoder.system_column import check_segment_length, system_column
from tabvault.errors import DuplicateKeyError
from tabvault.formats.vertipaq import bit_widths
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID
from tabvault.model.processed import ProcessedRelationship

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tabvault.engine.encoder.relationship_keys import EqualityKeys, KeyColumn
    from tabvault.model.processed import SystemColumn

_NO_ROW = -1

_SHOWN_KEY_LENGTH = 80


class Matches(NamedTuple):
    """*rows[n]* is the row on the one side for data id n of the many side. *has_unmatched*: of a row, there is none."""

    rows: NDArray[np.int64]
    has_unmatched: bool


def relationship_index(
    many: KeyColumn,
    one: KeyColumn,
    *,
    relationship_id: int,
    is_one_to_one: bool,
    is_on_date_part: bool,
    equality_keys: EqualityKeys,
    with_data_offsets: bool,
) -> ProcessedRelationship:
    """
    The index of a relationship, and that of the other direction if it is one-to-one.

    Args:
        many: the column it comes from.
        one: the column it goes to.
        relationship_id: ``Relationship.ID``.
        is_one_to_one: whether the cardinality is one on both sides; else it is many to one.
        is_on_date_part: ``Relationship.JoinOnDateBehavior`` is 2.
        equality_keys: of texts under the model's collation.
        with_data_offsets: whether ``.idfmeta`` files have segment data offsets, as in newer builds.

    Raises:
        DuplicateKeyError: a value is there twice, or is BLANK, on a side that is one.
        ProcessingError: the data types of the columns are not compared, or the many side's ids are too high.
    """
    found = matches(many, one, is_on_date_part=is_on_date_part, equality_keys=equality_keys)
    index = _column(found, one, with_data_offsets=with_data_offsets)
    if not is_one_to_one:
        return ProcessedRelationship(relationship_id, len(found.rows), found.has_unmatched, index)
    back = matches(one, many, is_on_date_part=is_on_date_part, equality_keys=equality_keys)
    return ProcessedRelationship(
        relationship_id=relationship_id,
        record_count=len(found.rows),
        has_unmatched=found.has_unmatched,
        index=index,
        secondary_record_count=len(back.rows),
        secondary=_column(back, many, with_data_offsets=with_data_offsets),
        secondary_has_unmatched=back.has_unmatched,
    )


def matches(many: KeyColumn, one: KeyColumn, *, is_on_date_part: bool, equality_keys: EqualityKeys) -> Matches:
    """
    The row of *one* for each data id of *many*.

    Raises:
        DuplicateKeyError: a value is there twice, or is BLANK, in *one*.
        ProcessingError: the data types of the columns are not compared, or the ids of *many* are too high.
    """
    record_count = max(int(many.data_ids.max(initial=0)), NULL_DATA_ID) + 1
    check_segment_length("INDEX", record_count)
    is_used = np.zeros(record_count, np.bool_)
    is_used[many.data_ids] = True
    has_blank = bool(is_used[NULL_DATA_ID])
    is_used[:FIRST_DATA_ID] = False
    used_ids = np.flatnonzero(is_used).astype(np.uint32)
    _refuse_blank_and_twice(one)
    keys = comparable(one, one.data_ids, many.data_type, equality_keys=equality_keys, is_on_date_part=is_on_date_part)
    _refuse_equal(one, keys)
    wanted = comparable(many, used_ids, one.data_type, equality_keys=equality_keys, is_on_date_part=is_on_date_part)
    rows = np.full(record_count, _NO_ROW, np.int64)
    rows[used_ids] = pc.index_in(wanted, value_set=keys, skip_nulls=True).fill_null(_NO_ROW).to_numpy()
    has_unmatched = has_blank or bool(np.any(rows[used_ids] == _NO_ROW))
    if _are_ids_aligned(many, one):
        ids = one.data_ids.astype(np.int64) + (one.base_id - many.base_id)
        is_in_range = (ids >= FIRST_DATA_ID) & (ids < len(rows))
        rows[ids[is_in_range]] = np.flatnonzero(is_in_range)
    return Matches(rows, has_unmatched)


def _are_ids_aligned(many: KeyColumn, one: KeyColumn) -> bool:
    """Whether an id of one column is that of the other plus a constant."""
    return (
        many.entries is None
        and one.entries is None
        and many.data_type == one.data_type
        and many.magnitude == one.magnitude
    )


def _column(found: Matches, one: KeyColumn, *, with_data_offsets: bool) -> SystemColumn:
    width = bit_widths.width_of(len(one.data_ids))
    return system_column("INDEX", found.rows, min=_NO_ROW, bit_width=width, with_data_offsets=with_data_offsets)


def _refuse_blank_and_twice(one: KeyColumn) -> None:
    """Refuse BLANK, and an id in two rows."""
    if np.any(one.data_ids == NULL_DATA_ID):
        raise DuplicateKeyError(
            f"{one} is on the one side of a relationship, and is BLANK in row "
            f"{int(np.argmax(one.data_ids == NULL_DATA_ID)) + 1}",
            hint="filter rows without a key out, or make the relationship many-to-many",
        )
    in_order = np.sort(one.data_ids)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(twice):
        raise _duplicate(one, twice[:1], len(np.unique(twice)))


def _refuse_equal(one: KeyColumn, keys: pa.Array) -> None:
    """Refuse two ids whose values are equal as they are compared: two times of a day, the texts 50 and 050."""
    different = pc.count_distinct(keys, mode="only_valid").as_py()
    if different == len(keys) - keys.null_count:
        return
    counts = pc.value_counts(keys.drop_null())
    equal = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    first = pc.index(keys, equal[0]).as_py()
    raise _duplicate(one, one.data_ids[first : first + 1], len(equal))


def _duplicate(one: KeyColumn, data_id: NDArray[np.uint32], count: int) -> DuplicateKeyError:
    value = pa.array(one.values(data_id))[0].as_py()
    shown = repr(value)
    if len(shown) > _SHOWN_KEY_LENGTH:
        shown = f"{shown[: _SHOWN_KEY_LENGTH - 3]}..."
    others = "" if count == 1 else f", as are {count - 1} other values"
    return DuplicateKeyError(
        f"{one} is on the one side of a relationship, and {shown} is there more than once{others}",
        hint="remove the duplicates from the source, or make the relationship many-to-many",
    )
