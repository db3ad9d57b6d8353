"""
The words of TMDL: which properties and objects each type of object has, taken from the registry of types.

A property is called as in TMSL. An object of a collection is called as its type, with a small first letter; an only
child as in TMSL. Not in TMDL: what only the engine sets, ``description`` (which stands in ``///`` lines), the property
that is the object's name, and types that no document has (named sets). What departs from this is in the tables here.

Source: the schema of TMDL that the public tabular object model publishes; a test compares each word with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tabvault.model.object_types import OBJECT_TYPES, ObjectType, Property, Role
from tabvault.model.tmsl.shape import COLLECTIONS, SELECTION_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPE_WORDS: Final = MappingProxyType({"Culture": "cultureInfo", "RoleMembership": "member"})
_ABSENT_TYPES: Final = frozenset({"Set", "PerspectiveSet", "AttributeHierarchy", "GroupByColumn"})
_ABSENT_PROPERTIES: Final = MappingProxyType(
    {
        "Relationship": frozenset({"fromTable", "toTable"}),
        "RoleMembership": frozenset({"memberId"}),
    }
)
_ENGINE_PROPERTIES: Final = frozenset(
    {"state", "errorMessage", "modifiedTime", "structureModifiedTime", "refreshedTime", "description"}
)

_DEFAULT_PROPERTIES: Final = MappingProxyType(
    {
        "Annotation": "value",
        "CalendarColumnGroup": "timeUnit",
        "ChangedProperty": "property",
        "ColumnPermission": "metadataPermission",
        "DataSource": "type",
        "ExtendedProperty": "value",
        "LinguisticMetadata": "content",
        "Partition": "sourceType",
        "RoleMembership": "memberType",
        "TablePermission": "filterExpression",
    }
)
"""What follows ``=`` behind an object, where that is not ``expression``."""

_KEYLESS: Final = frozenset({"CalendarColumnGroup", "ChangedProperty", "CalculationExpression"})
"""Types whose key is a property as any other."""

_SPECIAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "CalendarColumnGroup": ("primaryColumn", "associatedColumn", "column"),
        "Column": ("isNameInferred", "isDataTypeInferred", "columnOrigin"),
        "Culture": ("translations",),
        "Partition": ("sourceType", "source"),
        "RelatedColumnDetails": ("groupByColumn",),
    }
)
"""Words that are neither a property of the registry nor a type."""


@dataclass(frozen=True, slots=True)
class Word:
    """
    What a word means below an object of one type.

    Attributes:
        text: as TMDL spells it.
        property: the property it is, where it is one of the registry.
        type: the type of the object it declares, where it declares one.
        collection: the array of TMSL that such objects belong to; None for an only child, which is the member *text*.
    """

    text: str
    property: Property | None = None
    type: ObjectType | None = None
    collection: str | None = None


@cache
def words_of(type_name: str) -> Mapping[str, Word]:
    """The words below an object of a type, by their text in small letters: capitals do not matter."""
    type_ = OBJECT_TYPES[type_name]
    words = [*_properties(type_), *_objects(type_), *(Word(text) for text in _SPECIAL.get(type_.name, ()))]
    return MappingProxyType({word.text.casefold(): word for word in words})


def default_property(type_: ObjectType) -> str | None:
    """The word of the property that follows ``=`` behind an object; None where none may."""
    word = _DEFAULT_PROPERTIES.get(type_.name)
    return word or ("expression" if "expression" in type_.by_tmsl else None)


def name_member(type_: ObjectType) -> str | None:
    """The member of TMSL that is an object's name; None where objects of the type have none."""
    if type_.key is None or type_.name in _KEYLESS:
        return None
    return type_[type_.key].tmsl


def _properties(type_: ObjectType) -> list[Word]:
    absent = {name_member(type_), *_ENGINE_PROPERTIES, *_ABSENT_PROPERTIES.get(type_.name, ())}
    return [
        Word(text, property=prop)
        for text, prop in type_.by_tmsl.items()
        if prop.role is not Role.CHILD and text not in absent
    ]


def _objects(type_: ObjectType) -> list[Word]:
    words = [
        Word(_type_word(child), type=child, collection=collection)
        for collection, child in COLLECTIONS[type_.name].items()
        if child.name not in _ABSENT_TYPES
    ]
    words.extend(
        Word(prop.tmsl, type=OBJECT_TYPES[prop.target])
        for prop in type_.children
        if prop.tmsl is not None and prop.target is not None and prop.target not in _ABSENT_TYPES
    )
    if type_.name == "CalculationGroup":
        words.extend(Word(member, type=OBJECT_TYPES["CalculationExpression"]) for member in SELECTION_MEMBERS)
    return words


def _type_word(type_: ObjectType) -> str:
    return _TYPE_WORDS.get(type_.name, type_.name[0].lower() + type_.name[1:])
