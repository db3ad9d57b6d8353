"""The ``translations`` of a culture as objects: one ``ObjectTranslation`` for each translated text of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import RequestError
from tabvault.model.object_types import LEVEL_MIN, OBJECT_TYPES, ObjectType
from tabvault.model.tmsl import scalars
from tabvault.model.tmsl.shape import COLLECTIONS, TRANSLATABLE, TRANSLATED
from tabvault.model.tmsl.tree import Reference, TabularObject

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRANSLATION: Final = OBJECT_TYPES["ObjectTranslation"]


def read_translations(value: Any, place: str) -> Iterator[TabularObject]:
    """
    The translations that the tree says.

    Raises:
        RequestError: a member is unknown or of the wrong type.
    """
    for member, inner in scalars.mapping(value, place).items():
        if member != "model":
            raise RequestError(f"translations have no member {member!r}", path=f"{place}.{member}")
        yield from _read(OBJECT_TYPES["Model"], inner, f"{place}.model", {})


def _read(type_: ObjectType, value: Any, place: str, above: dict[str, str]) -> Iterator[TabularObject]:
    members = scalars.mapping(value, place)
    path = dict(above)
    if type_.parent is not None and type_.name != "KPI":
        path[type_.name] = scalars.name(members.get("name"), f"{place}.name")
    for member, inner in members.items():
        where = f"{place}.{member}"
        if member == "name" and type_.name != "KPI":
            scalars.name(inner, where)
        elif member in TRANSLATED and member in TRANSLATABLE[type_.name]:
            yield _translation(type_, path, TRANSLATED[member], scalars.text(inner, where), where)
        elif member == "kpi" and type_.name == "Measure":
            yield from _read(OBJECT_TYPES["KPI"], inner, where, path)
        elif member in COLLECTIONS[type_.name] and COLLECTIONS[type_.name][member].name in TRANSLATABLE:
            for index, item in enumerate(scalars.array(inner, where)):
                yield from _read(COLLECTIONS[type_.name][member], item, f"{where}[{index}]", path)
        else:
            raise RequestError(f"the translation of a {type_.name} has no member {member!r}", path=where)


def _translation(type_: ObjectType, path: dict[str, str], word: str, text: str, place: str) -> TabularObject:
    translated = _TRANSLATION["Property"].enumeration
    assert translated is not None, "a translated property is a word"
    return TabularObject(
        type=_TRANSLATION,
        values={"ObjectType": type_.number, "Property": translated.number(word), "Value": text},
        references={"ObjectID": Reference(type_.name, path)},
        children=(),
        members=frozenset(),
        place=place,
        level_needed=LEVEL_MIN,
    )
