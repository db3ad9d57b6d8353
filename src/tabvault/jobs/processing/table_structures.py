"""What follows from the rows of one table: the hierarchies of its columns, and its user hierarchies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tabvault.engine.encoder.attribute_hierarchy import (
    attribute_hierarchy,
    base64_order,
    members_sorted_by,
    row_number_hierarchy,
    sort_keys,
    sorted_members,
)
from tabvault.engine.encoder.user_hierarchy import HierarchyLevel, user_hierarchy
from tabvault.engine.encoder.value_range import value_range
from tabvault.errors import DuplicateKeyError, ProcessingError
from tabvault.model.objects import DataType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tabvault.engine.collation import Collation
    from tabvault.engine.encoder.column_encoder import EncodedColumn
    from tabvault.engine.encoder.table_encoder import EncodedTable
    from tabvault.model.objects import Column, Table
    from tabvault.model.processed import ProcessedTable, ProcessedUserHierarchy

_KEY_HINT: Final = "let the source give each key once, or take the mark off the column (isKey)"


class TableStructures:
    """
    Args:
        table: of the model.
        encoded: its columns.
        collation: of the model.
        with_data_offsets: whether ``.idfmeta`` files have segment data offsets.
        check: raises when the work shall stop; asked between columns.
    """

    def __init__(
        self,
        table: Table,
        encoded: EncodedTable,
        *,
        collation: Collation,
        with_data_offsets: bool,
        check: Callable[[], None],
    ) -> None:
        self._table = table
        self._encoded = encoded
        self._collation = collation
        self._with_data_offsets = with_data_offsets
        self._check = check
        self._columns = {column.id: column for column in table.columns}
        self._members: dict[int, NDArray[np.uint32]] = {}

    def processed(self) -> ProcessedTable:
        """
        The table with the hierarchies of its columns.

        Raises:
            DuplicateKeyError: a value is there twice, or is BLANK, in the key of the table.
            ProcessingError: a column cannot be sorted by the one that it shall be sorted by.
        """
        hierarchies = {self._encoded.specification.row_number_id: row_number_hierarchy(self._encoded.row_count)}
        for column in self._encoded.columns:
            self._check()
            column_id = column.specification.column_id
            if self._columns[column_id].is_key:
                self._require_unique(column)
            members = self.members(column_id)
            hierarchies[column_id] = attribute_hierarchy(
                members,
                is_value_encoded=column.value_encoding is not None,
                is_available_in_mdx=self._columns[column_id].is_available_in_mdx,
                value_range=value_range(members, DataType(column.specification.data_type), column.values),
                with_data_offsets=self._with_data_offsets,
            )
        return self._encoded.processed(hierarchies)

    def user_hierarchies(self) -> tuple[ProcessedUserHierarchy, ...]:
        """Those of the table that have values at every level; none of a table without rows."""
        if not self._encoded.row_count:
            return ()
        found = []
        encoded = {column.specification.column_id for column in self._encoded.columns}
        for hierarchy in self._table.hierarchies:
            self._check()
            if not encoded.issuperset(level.column_id for level in hierarchy.levels):
                continue
            levels = [
                HierarchyLevel(self.data_ids(level.column_id), self.members(level.column_id))
                for level in hierarchy.levels
            ]
            found.append(user_hierarchy(levels, hierarchy_id=hierarchy.id, with_data_offsets=self._with_data_offsets))
        return tuple(found)

    def members(self, column_id: int) -> NDArray[np.uint32]:
        """The data ids of a column in sort order, BLANK among them."""
        if column_id not in self._members:
            self._members[column_id] = self._sorted(column_id)
        return self._members[column_id]

    def data_ids(self, column_id: int) -> NDArray[np.uint32]:
        """The data ids of a column, in the order of all rows."""
        segments = list(self._encoded.data_ids(column_id))
        return np.concatenate(segments) if segments else np.zeros(0, np.uint32)

    def _sorted(self, column_id: int) -> NDArray[np.uint32]:
        own = self._own_order(self._encoded.column(column_id))
        column = self._columns[column_id]
        by = column.sort_by_column_id
        if by is None or by == column_id:
            return own
        if all(column.specification.column_id != by for column in self._encoded.columns):
            raise ProcessingError(
                f"{self._name(column)} is sorted by {self._name(self._columns[by])}, which has no values",
                hint="sort it by a column that comes from the source",
            )
        # The own order of the other column: what that is sorted by does not count here.
        keys = sort_keys(self._own_order(self._encoded.column(by)), self.data_ids(by))
        return members_sorted_by(
            own, self.data_ids(column_id), keys, column=self._name(column), by=self._name(self._columns[by])
        )

    def _require_unique(self, column: EncodedColumn) -> None:
        name = self._name(self._columns[column.specification.column_id])
        if column.statistics.has_nulls:
            raise DuplicateKeyError(f"{name} is the key of its table, and is BLANK in some row", hint=_KEY_HINT)
        if len(column.used_ids) == self._encoded.row_count:
            return
        counts = np.bincount(self.data_ids(column.specification.column_id))
        twice = np.flatnonzero(counts > 1)
        value = column.values(twice[:1].astype(np.uint32))[0]
        raise DuplicateKeyError(
            f"{name} is the key of its table, and {value} stands in {int(counts[twice[0]])} rows"
            + (f"; {len(twice) - 1} more values stand in several" if len(twice) > 1 else ""),
            hint=_KEY_HINT,
        )

    def _own_order(self, column: EncodedColumn) -> NDArray[np.uint32]:
        is_binary = column.specification.data_type == DataType.BINARY
        order = base64_order if is_binary else self._collation.sort_order
        return sorted_members(column.used_ids, column.entries, order)

    def _name(self, column: Column) -> str:
        return f"'{self._table.name}'[{column.name}]"
