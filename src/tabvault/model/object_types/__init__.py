"""
The types of objects of a tabular model, described once.

:data:`OBJECT_TYPES` has every type of compatibility levels 1200 and up that metadata have a table for. Not in it are
types that clients of preview level ask for and no metadata known to us holds: packages, string and full-text indexes.
Which columns a file really has is decided by its schema version: ask :class:`tabvault.model.metadata.Metadata`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tabvault.model.object_types.calculations import CALCULATION_TYPES
from tabvault.model.object_types.columns import COLUMN_TYPES
from tabvault.model.object_types.definition import (
    LEVEL_MIN,
    PREVIEW_LEVEL,
    Form,
    ObjectType,
    Parent,
    Property,
    Role,
    XsdType,
)
from tabvault.model.object_types.enumerations import Enumeration
from tabvault.model.object_types.presentation import PRESENTATION_TYPES
from tabvault.model.object_types.security import SECURITY_TYPES
from tabvault.model.object_types.sources import SOURCE_TYPES
from tabvault.model.object_types.structure import STRUCTURE_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECT_TYPES: Final[Mapping[str, ObjectType]] = MappingProxyType(
    {
        type_.name: type_
        for type_ in sorted(
            (*STRUCTURE_TYPES, *COLUMN_TYPES, *SOURCE_TYPES, *CALCULATION_TYPES, *PRESENTATION_TYPES, *SECURITY_TYPES),
            key=lambda type_: type_.number,
        )
    }
)
"""By name, in the order of their numbers."""

_BY_NUMBER: Final = {type_.number: type_ for type_ in OBJECT_TYPES.values()}
_BY_ROWSET: Final = {type_.rowset: type_ for type_ in OBJECT_TYPES.values()}
_BY_COLLECTION: Final = {type_.collection.casefold(): type_ for type_ in OBJECT_TYPES.values()}

RETIRED_COLUMNS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Model": frozenset({"FastCombine"}),
        "Table": frozenset({"DefaultDetailRowsExpression"}),
        "Column": frozenset({"EvaluationBehavior"}),
        "Partition": frozenset({"CubeName", "PartitioningHintID"}),
        "Measure": frozenset({"DetailRowsExpression", "DetailRowsExpressionState", "DetailRowsExpressionErrorMessage"}),
        "CalculationGroup": frozenset({"DefaultExpressionID"}),
        "CalendarColumnReference": frozenset({"TimeUnitColumnAssociationID"}),
    }
)
"""Columns that some older schema versions have and the newest does not, by table."""

RETIRED_TABLES: Final = frozenset({"PartitioningHint", "TimeUnitColumnAssociation"})
"""Tables of objects that some older schema versions have: the forerunners of DataCoverageDefinition and
CalendarColumnGroup."""


def by_number(number: int) -> ObjectType | None:
    """The type that ``ObjectType`` columns call *number*."""
    return _BY_NUMBER.get(number)


def by_rowset(rowset: str) -> ObjectType | None:
    """The type whose objects the schema rowset lists. Case does not matter."""
    return _BY_ROWSET.get(rowset.upper())


def by_collection(collection: str) -> ObjectType | None:
    """The type whose rows the element *collection* of a command holds. Case does not matter."""
    return _BY_COLLECTION.get(collection.casefold())


__all__ = [
    "LEVEL_MIN",
    "OBJECT_TYPES",
    "PREVIEW_LEVEL",
    "RETIRED_COLUMNS",
    "RETIRED_TABLES",
    "Enumeration",
    "Form",
    "ObjectType",
    "Parent",
    "Property",
    "Role",
    "XsdType",
    "by_collection",
    "by_number",
    "by_rowset",
]
