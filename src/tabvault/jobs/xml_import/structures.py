"""What follows from the values of an XML model and is not stored in a form that fits: made by the engine, as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tabvault.engine.encoder.attribute_hierarchy import (
    attribute_hierarchy,
    base64_order,
    members_sorted_by,
    sort_keys,
    sorted_members,
)
from tabvault.engine.encoder.relationship_index import relationship_index
from tabvault.engine.encoder.relationship_keys import KeyColumn
from tabvault.engine.encoder.user_hierarchy import HierarchyLevel, user_hierarchy
from tabvault.engine.encoder.value_range import ValueRange
from tabvault.model.objects import Cardinality, DataType, DictionaryType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tabvault.engine.collation import Collation
    from tabvault.jobs.xml_import.table_values import TableValues
    from tabvault.model.objects import Column, Hierarchy, Relationship
    from tabvault.model.processed import ProcessedAttributeHierarchy, ProcessedRelationship, ProcessedUserHierarchy
    from tabvault.model.xml_models.tables import Dimension, RelationshipEnd, UserHierarchy

_NO_RANGE = ValueRange(None, None, 0)
"""Smallest and largest value have no place in the metadata of level 1200."""

_ON_DATE_PART = 2


class Structures:
    """
    Args:
        dimensions: definitions of all tables, by id.
        values: their columns, by id.
        columns: what was made of the attributes, by the ids of dimension and attribute.
        collation: of the model.
    """

    def __init__(
        self,
        dimensions: Mapping[str, Dimension],
        values: Mapping[str, TableValues],
        columns: Mapping[tuple[str, str], Column],
        *,
        collation: Collation,
    ) -> None:
        self._dimensions = dimensions
        self._values = values
        self._columns = columns
        self._collation = collation

    def hierarchy(self, dimension_id: str, attribute_id: str) -> ProcessedAttributeHierarchy:
        """
        The attribute hierarchy of a column.

        Raises:
            FormatError: its files are damaged.
            ProcessingError: it cannot be sorted by the column that it shall be sorted by.
        """
        values = self._values[dimension_id]
        return attribute_hierarchy(
            self._members(dimension_id, attribute_id),
            is_value_encoded=values.dictionary(attribute_id).type == DictionaryType.VALUE,
            is_available_in_mdx=self._columns[dimension_id, attribute_id].is_available_in_mdx,
            value_range=_NO_RANGE,
            with_data_offsets=False,
            with_hash_index_statistics=True,
        )

    def user_hierarchy(
        self, dimension_id: str, definition: UserHierarchy, hierarchy: Hierarchy
    ) -> ProcessedUserHierarchy:
        """
        A user hierarchy of a table with rows.

        Raises:
            FormatError: the files of a column are damaged.
            ProcessingError: a column cannot be sorted, or there are too many rows.
        """
        values = self._values[dimension_id]
        levels = [
            HierarchyLevel(values.data_ids(attribute_id), self._members(dimension_id, attribute_id))
            for _, attribute_id in definition.levels
        ]
        return user_hierarchy(levels, hierarchy_id=hierarchy.id, with_data_offsets=False)

    def relationship(
        self, start: RelationshipEnd, end: RelationshipEnd, relationship: Relationship
    ) -> ProcessedRelationship:
        """
        The index of a relationship.

        Raises:
            FormatError: the files of a column are damaged.
            ProcessingError: a value is there twice on the one side, or the types are not compared.
        """
        return relationship_index(
            self._key_column(start),
            self._key_column(end),
            relationship_id=relationship.id,
            is_one_to_one=relationship.from_cardinality == Cardinality.ONE,
            is_on_date_part=relationship.join_on_date_behavior == _ON_DATE_PART,
            equality_keys=self._collation.equality_keys,
            with_data_offsets=False,
        )

    def _key_column(self, end: RelationshipEnd) -> KeyColumn:
        values = self._values[end.dimension_id]
        column = self._columns[end.dimension_id, end.attribute_id]
        dictionary = values.dictionary(end.attribute_id)
        return KeyColumn(
            self._dimensions[end.dimension_id].name,
            column.name,
            DataType(column.data_type),
            values.data_ids(end.attribute_id),
            values.entries(end.attribute_id),
            dictionary.base_id,
            dictionary.magnitude,
        )

    def _members(self, dimension_id: str, attribute_id: str) -> NDArray[np.uint32]:
        """The data ids of a column in the order of its values, or of those of the column it is sorted by."""
        own = self._own_order(dimension_id, attribute_id)
        column = self._columns[dimension_id, attribute_id]
        attributes = {one.id: one for one in self._dimensions[dimension_id].attributes}
        by = attributes[attribute_id].order_by_id
        if not by or by == attribute_id:
            return own
        values = self._values[dimension_id]
        keys = sort_keys(self._own_order(dimension_id, by), values.data_ids(by))
        table = self._dimensions[dimension_id].name
        return members_sorted_by(
            own,
            values.data_ids(attribute_id),
            keys,
            column=f"'{table}'[{column.name}]",
            by=f"'{table}'[{attributes[by].name}]",
        )

    def _own_order(self, dimension_id: str, attribute_id: str) -> NDArray[np.uint32]:
        values = self._values[dimension_id]
        is_binary = self._columns[dimension_id, attribute_id].data_type == DataType.BINARY
        order = base64_order if is_binary else self._collation.sort_order
        used = np.unique(values.data_ids(attribute_id))
        return sorted_members(used, values.entries(attribute_id), order)
