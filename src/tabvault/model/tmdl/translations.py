"""The ``translations`` of a culture: a tree that repeats the model's objects, with what is translated of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.tmdl import values
from tabvault.model.tmdl.merging import merged
from tabvault.model.tmdl.vocabulary import words_of
from tabvault.model.tmsl.shape import TRANSLATABLE, TRANSLATED

if TYPE_CHECKING:
    from tabvault.model.object_types import ObjectType
    from tabvault.model.tmdl.declaration import Declaration

_MEMBERS: Final = {word.casefold(): member for member, word in TRANSLATED.items()}


def read_translations(declaration: Declaration) -> dict[str, Any]:
    """
    The tree of TMSL.

    Raises:
        RequestError: a word is unknown, or stands twice.
    """
    if declaration.name is not None or declaration.value is not None:
        raise declaration.error("translations is an object without a name and a value")
    tree: dict[str, Any] = {}
    for child in merged(declaration.children):
        if child.word.casefold() != "model":
            raise child.error(f"translations have no {child.word!r}, they begin with a model")
        if tree:
            raise child.error("translations have a second model")
        tree["model"] = _read(child, OBJECT_TYPES["Model"])
    return tree


def _read(declaration: Declaration, type_: ObjectType) -> dict[str, Any]:
    if (declaration.name is None) != (type_.name == "KPI"):
        raise declaration.error(f"the translation of a {type_.name} has {'no' if type_.name == 'KPI' else 'a'} name")
    if declaration.value is not None:
        raise declaration.error(f"the translation of a {type_.name} has no value")
    written: dict[str, Any] = {} if declaration.name is None else {"name": declaration.name}
    for child in declaration.children:
        word = child.word.casefold()
        member = _MEMBERS.get(word)
        if member is not None and member in TRANSLATABLE[type_.name]:
            if child.name is not None or child.children or member in written:
                raise child.error(f"{child.word} is a property, and there once")
            written[member] = values.text(child)
            continue
        known = words_of(type_.name).get(word)
        if known is None or known.type is None or known.type.name not in TRANSLATABLE:
            raise child.error(f"the translation of a {type_.name} has no {child.word!r}")
        made = _read(child, known.type)
        if known.collection is not None:
            written.setdefault(known.collection, []).append(made)
        elif written.setdefault(known.text, made) is not made:
            raise child.error(f"{child.word} is there twice")
    return written
