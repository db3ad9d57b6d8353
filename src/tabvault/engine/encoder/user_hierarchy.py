"""
The table of a user hierarchy (U$): the members of each level below the members of the level above.

One row for each combination of values that some row of the table has in the first level, then one for each
combination in the first two, and so on; within a level in the order of the values of the first level, then of the
second, … So the children of a row are rows that follow one another.

===================== ===== =================================================================
column                Min   value
===================== ===== =================================================================
``MULTI_LEVEL_ID``    0     data id in the column of the level
``PARENT_POS``        -1    row of the parent, -1 on the first level
``FIRST_CHILD_POS``   -1    row of the first child, -1 on the last level
``CHILD_COUNT``       -1    number of children, -1 on the last level
===================== ===== =================================================================

All are of 32 bits and one segment. BLANK is a member like others. ``HideMembers`` changes nothing of it: a guess, for
what clients show is decided when they ask, and every genuine file at hand has the default.

The hierarchy is *natural* (``HierarchyStorage.StructureType`` 1) if no value below the first level has two parents,
else *unnatural* (2): that holds for all 37 of the genuine files.

Sources: [MS-XLDM] 2.4.4 (columns); genuine files (order, Min, BLANK, StructureType). That a table without rows gets no
U$ table is a guess by analogy with H$.
"""

from __future__ import annotations

import enum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvault.engine.encoder.attribute_hierarchy import sort_keys
from tabvault.engine.encoder.system_column import system_column
from tabvault.model.processed import ProcessedUserHierarchy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BIT_WIDTH = 32

_NONE = -1
"""No parent, no child."""


class StructureType(enum.IntEnum):
    """``HierarchyStorage.StructureType``."""

    NATURAL = 1
    UNNATURAL = 2


class HierarchyLevel(NamedTuple):
    """
    A level: the data ids of its column in the order of the table's rows, and the column's members in sort order.

    The members are those of the attribute hierarchy, :mod:`tabvault.engine.encoder.attribute_hierarchy`.
    """

    data_ids: NDArray[np.uint32]
    members: NDArray[np.uint32]


class HierarchyRows(NamedTuple):
    """
    The rows of a U$ table.

    *columns* are the values of its four columns by name. *level_starts* is the first row of each level; *is_natural*
    that no member below the first level has two parents.
    """

    columns: dict[str, NDArray[np.int64]]
    level_starts: tuple[int, ...]
    is_natural: bool


def user_hierarchy(
    levels: Sequence[HierarchyLevel], *, hierarchy_id: int, with_data_offsets: bool
) -> ProcessedUserHierarchy:
    """
    The table of a user hierarchy.

    Args:
        levels: from the top, at least one, of the same table.
        hierarchy_id: ``Hierarchy.ID``.
        with_data_offsets: whether ``.idfmeta`` files have segment data offsets, as in newer builds.

    Returns:
        The hierarchy; without columns when the table has no rows.

    Raises:
        ProcessingError: more rows than a segment may have.
    """
    rows = hierarchy_rows(levels)
    record_count = len(rows.columns["MULTI_LEVEL_ID"])
    columns = [
        system_column(
            name,
            values,
            min=0 if name == "MULTI_LEVEL_ID" else _NONE,
            bit_width=_BIT_WIDTH,
            with_data_offsets=with_data_offsets,
        )
        for name, values in rows.columns.items()
        if record_count
    ]
    return ProcessedUserHierarchy(
        hierarchy_id=hierarchy_id,
        record_count=record_count,
        structure_type=StructureType.NATURAL if rows.is_natural else StructureType.UNNATURAL,
        level_starts=rows.level_starts,
        columns=tuple(columns),
    )


def hierarchy_rows(levels: Sequence[HierarchyLevel]) -> HierarchyRows:
    """The rows of the table of a user hierarchy, of *levels* from the top, at least one."""
    combinations = _sorted_combinations(levels)
    firsts = _first_of_each_member(combinations)
    counts = [len(first) for first in firsts]
    starts = np.cumsum([0, *counts])
    parents = [np.full(counts[0], _NONE, np.int64)]
    first_children, child_counts = [], []
    for level, (above, below) in enumerate(pairwise(firsts)):
        parents.append(np.searchsorted(above, below, side="right") - 1 + starts[level])
        children = np.searchsorted(below, above)
        first_children.append(children + starts[level + 1])
        child_counts.append(np.diff(children, append=len(below)))
    leaves = np.full(counts[-1], _NONE, np.int64)
    ids = [ids[first].astype(np.int64) for ids, first in zip(combinations, firsts, strict=True)]
    return HierarchyRows(
        columns={
            "MULTI_LEVEL_ID": np.concatenate(ids),
            "PARENT_POS": np.concatenate(parents),
            "FIRST_CHILD_POS": np.concatenate([*first_children, leaves]),
            "CHILD_COUNT": np.concatenate([*child_counts, leaves]),
        },
        level_starts=tuple(starts[:-1].tolist()),
        is_natural=all(pc.count_distinct(of_level).as_py() == len(of_level) for of_level in ids[1:]),
    )


def _sorted_combinations(levels: Sequence[HierarchyLevel]) -> list[NDArray[np.uint32]]:
    """The data ids of each level in the different combinations of the rows, which are sorted by their values."""
    names = [str(index) for index in range(len(levels))]
    rows = pa.table([pa.array(level.data_ids) for level in levels], names)
    different = rows.group_by(names, use_threads=False).aggregate([])
    ids = [different[name].to_numpy() for name in names]
    keys = [sort_keys(level.members, of_level) for level, of_level in zip(levels, ids, strict=True)]
    order = np.lexsort(keys[::-1])
    return [of_level[order] for of_level in ids]


def _first_of_each_member(combinations: Sequence[NDArray[np.uint32]]) -> list[NDArray[np.int64]]:
    """For each level, the indexes of sorted *combinations* at which another member of it begins."""
    begins = np.zeros(len(combinations[0]), np.bool_)
    begins[:1] = True
    firsts = []
    for ids in combinations:
        begins[1:] |= ids[1:] != ids[:-1]
        firsts.append(np.flatnonzero(begins))
    return firsts
