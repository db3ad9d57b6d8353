"""
The attribute hierarchy (H$) of a column: its members in sort order, and from data id to place in that order.

Members are the data ids that rows use, BLANK (id 2) among them if a row has it, smallest value first: BLANK, then
numbers by value, texts by the collation of the model, binary values by their base64
texts. D is how many there are (``DistinctDataCount``).

============================ ================= ===============================================================
column                       MaterializationType   H$ table
============================ ================= ===============================================================
with a hash dictionary       0                 ``POS_TO_ID`` and ``ID_TO_POS``, MaxDataID + 1 rows
VALUE-encoded                1                 ``POS_TO_ID`` of D + 3 rows (D + 2 with BLANK), and a ``.hidx``
without rows                 2                 none, D is 0
the row number               3                 none, D is its rows
not available in MDX         -1                none, D is -1
============================ ================= ===============================================================

``POS_TO_ID``: row p is the data id of the p-th member, 0 behind the last. ``ID_TO_POS``: row n is the position of data
id n, row 1 is D, and every id that is no member has 0. Segments have D rows, values are of 32 bits with Min 0.

A column that is sorted by another one (``SortByColumnID``) has its members in the order of that column's values.
Genuine files have only hash-encoded ones, and ``.hidx`` positions are the ranks of the ids, so a column with a sort-by
column has to be hash-encoded.

An entry of the dictionary that no row uses any more (after rows were replaced and the dictionary kept) is no member:
no genuine file at hand has one, so that is a decision. A client does not see a value that is nowhere, D is the number
of distinct values, and 0 in ``ID_TO_POS`` is what the files have for BLANK where no row is blank.

Sources: [MS-XLDM] 2.4.1, 2.4.2 (columns); all 1,417 hierarchies of the genuine files (counts, segments, order).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.encoder.system_column import system_column
from tabvault.engine.encoder.value_range import ValueRange
from tabvault.errors import ProcessingError
from tabvault.formats.byte_source import MemorySource
from tabvault.formats.vertipaq import hash_index
from tabvault.formats.vertipaq.idfmeta import FIRST_DATA_ID, NULL_DATA_ID
from tabvault.model.processed import ProcessedAttributeHierarchy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from tabvault.formats.vertipaq.dictionary import Entries
    from tabvault.model.processed import SystemColumn

    SortOrder = Callable[[pa.StringArray | pa.LargeStringArray], NDArray[np.int64]]
    """Indexes of texts, smallest first; texts that the collation holds equal stay in the order given."""

_BIT_WIDTH = 32


class Materialization(enum.IntEnum):
    """``AttributeHierarchyStorage.MaterializationType``."""

    NOT_AVAILABLE = -1
    BOTH_COLUMNS = 0
    HASH_INDEX = 1
    NO_DATA = 2
    ROW_NUMBER = 3


def sorted_members(used_ids: NDArray[np.uint32], entries: Entries | None, sort_order: SortOrder) -> NDArray[np.uint32]:
    """
    The members of a column in the order of its own values.

    Args:
        used_ids: the data ids that rows use, ascending, each once; 2 among them if a row is BLANK.
        entries: of the dictionary, entry i of data id i + 3; None for VALUE encoding, whose ids ascend as its values
            do.
        sort_order: the order of texts under the model's collation; of a binary column :func:`base64_order`.

    Returns:
        The same ids, that of BLANK first, then smallest value first.
    """
    if entries is None:
        return used_ids
    blank_count = int(np.searchsorted(used_ids, FIRST_DATA_ID))
    ids = used_ids[blank_count:]
    indexes = ids.astype(np.int64) - FIRST_DATA_ID
    if isinstance(entries, np.ndarray):
        order = np.argsort(entries[indexes], kind="stable")
    else:
        order = sort_order(entries.take(pa.array(indexes)))
    return np.concatenate((used_ids[:blank_count], ids[order]))


def base64_order(texts: pa.StringArray | pa.LargeStringArray) -> NDArray[np.int64]:
    """The order of binary values, which is that of the base64 texts they are stored as, by code unit."""
    order: NDArray[np.int64] = pc.array_sort_indices(texts).to_numpy().astype(np.int64)
    return order


def sort_keys(members: NDArray[np.uint32], data_ids: NDArray[np.uint32]) -> NDArray[np.int64]:
    """
    Numbers that compare as the values of *data_ids* do.

    Args:
        members: of the column, in order.
        data_ids: any of them, in any order and number.

    Returns:
        An array of the shape of *data_ids*: the positions of the ids, or the ids themselves where they ascend with the
        values (as in VALUE encoding, whose ids may be too far apart for a table of positions).
    """
    if np.all(members[1:] > members[:-1]):
        return data_ids.astype(np.int64)
    return positions(members)[data_ids]


def members_sorted_by(
    members: NDArray[np.uint32], data_ids: NDArray[np.uint32], keys: NDArray[np.int64], *, column: str, by: str
) -> NDArray[np.uint32]:
    """
    The members of a column that is sorted by another one.

    BLANK stands where its value in the other column puts it, and members whose values there are equal stay in their own
    order: guesses, for no genuine file at hand has either.

    Args:
        members: the members in the order of their own values.
        data_ids: of the column, in the order of the rows.
        keys: the other column's :func:`sort_keys`, in the order of the rows.
        column: the column as errors name it.
        by: the other column as errors name it.

    Raises:
        ProcessingError: a value of the column stands beside two values of the other one.
    """
    key_of = np.zeros(int(members.max(initial=0)) + 1, np.int64)
    key_of[data_ids] = keys
    conflict_count = int(np.count_nonzero(key_of[data_ids] != keys))
    if conflict_count:
        raise ProcessingError(
            f"{column} cannot be sorted by {by}: {conflict_count} rows have another value there than a row with the "
            "same value of the sorted column",
            hint="each value needs one value to be sorted by",
        )
    return members[np.argsort(key_of[members], kind="stable")]


def positions(members: NDArray[np.uint32]) -> NDArray[np.int64]:
    """
    The position of each data id from 0 to the highest member's, or to 2; 0 for ids that are no members.

    An array as long as the ids are high: for hash encoding, whose ids are dense.
    """
    by_id = np.zeros(max(int(members.max(initial=0)), NULL_DATA_ID) + 1, np.int64)
    by_id[members] = np.arange(len(members))
    return by_id


def attribute_hierarchy(
    members: NDArray[np.uint32],
    *,
    is_value_encoded: bool,
    is_available_in_mdx: bool,
    value_range: ValueRange,
    with_data_offsets: bool,
    with_hash_index_statistics: bool = False,
) -> ProcessedAttributeHierarchy:
    """
    The hierarchy of a column that is not the row number.

    Args:
        members: in sort order, see :func:`sorted_members` and :func:`members_sorted_by`; none if there are no rows.
        is_value_encoded: VALUE encoding, else a hash dictionary.
        is_available_in_mdx: ``Column.IsAvailableInMDX``.
        value_range: of the column's values.
        with_data_offsets: whether ``.idfmeta`` files have segment data offsets, as in newer builds.
        with_hash_index_statistics: whether a ``.hidx`` file has its statistics filled in, as in builds until 2023.
    """
    if not is_available_in_mdx:
        return _hierarchy(Materialization.NOT_AVAILABLE, -1, value_range)
    if not len(members):
        return _hierarchy(Materialization.NO_DATA, 0, value_range)
    count = len(members)
    if is_value_encoded:
        ranks = np.arange(count, dtype=np.uint32)
        index = MemorySource(hash_index.build(members, ranks, with_statistics=with_hash_index_statistics))
        has_blank = int(members[0] == NULL_DATA_ID)
        record_count = count + FIRST_DATA_ID - has_blank
        columns = _columns({"POS_TO_ID": _padded(members, record_count)}, count, with_data_offsets=with_data_offsets)
        return _hierarchy(
            Materialization.HASH_INDEX, count, value_range, record_count=record_count, columns=columns, index=index
        )
    by_id = positions(members)
    by_id[1] = count
    values = {"POS_TO_ID": _padded(members, len(by_id)), "ID_TO_POS": by_id}
    columns = _columns(values, count, with_data_offsets=with_data_offsets)
    return _hierarchy(Materialization.BOTH_COLUMNS, count, value_range, record_count=len(by_id), columns=columns)


def row_number_hierarchy(row_count: int) -> ProcessedAttributeHierarchy:
    """The hierarchy of the row number of a table with *row_count* rows."""
    if not row_count:
        return _hierarchy(Materialization.NO_DATA, 0, ValueRange(None, None, 0))
    return _hierarchy(Materialization.ROW_NUMBER, row_count, ValueRange("0", str(row_count - 1), 0))


def _padded(members: NDArray[np.uint32], record_count: int) -> NDArray[np.int64]:
    """POS_TO_ID: the members, and 0 behind them."""
    by_position = np.zeros(record_count, np.int64)
    by_position[: len(members)] = members
    return by_position


def _columns(
    values: Mapping[str, NDArray[np.int64]], count: int, *, with_data_offsets: bool
) -> tuple[SystemColumn, ...]:
    """The columns of the H$ table of *count* members, by name."""
    return tuple(
        system_column(
            name,
            of_column,
            min=0,
            bit_width=_BIT_WIDTH,
            with_data_offsets=with_data_offsets,
            records_per_segment=count,
        )
        for name, of_column in values.items()
    )


def _hierarchy(
    kind: Materialization,
    distinct_data_count: int,
    value_range: ValueRange,
    *,
    record_count: int = 0,
    columns: tuple[SystemColumn, ...] = (),
    index: MemorySource | None = None,
) -> ProcessedAttributeHierarchy:
    return ProcessedAttributeHierarchy(
        materialization_type=kind,
        distinct_data_count=distinct_data_count,
        record_count=record_count,
        segment_count=columns[0].segments.segment_count if columns else 0,
        columns=columns,
        hash_index=index,
        min_value=value_range.lowest,
        max_value=value_range.highest,
        string_value_max_length=value_range.string_max_length,
    )
