"""
The translations of a culture, which TMSL writes as a tree that repeats the names of the model.

::

    "translations": {"model": {"name": "Model", "translatedCaption": …,
        "tables": [{"name": "Sales", "translatedCaption": "Verkauf", "columns": [{"name": …, …}], …}], …}}

An object stands in the tree when it or something below it has a translation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabvault.errors import ModelError
from tabvault.model.object_types import by_number
from tabvault.model.tmsl.shape import TRANSLATABLE, TRANSLATED

if TYPE_CHECKING:
    from tabvault.model.tmsl.rows import ModelRows, ObjectRow


def translations_of(rows: ModelRows, culture: ObjectRow) -> dict[str, Any]:
    """
    The ``translations`` of *culture*; empty when it has none.

    Raises:
        ModelError: a translation refers to what is not there, or to what cannot be translated.
    """
    tree: dict[str, Any] = {}
    nodes: dict[int, dict[str, Any]] = {}
    for row in rows.children(culture, "ObjectTranslation"):
        node = _node(rows, tree, nodes, _translated_object(rows, row))
        prop = row.type["Property"]
        number = row.number("Property")
        word = prop.enumeration.word(number) if prop.enumeration and number is not None else None
        member = next((member for member, translated in TRANSLATED.items() if translated == word), None)
        if member is None:
            raise ModelError(f"ObjectTranslation {row.id}: Property is {number}, which names no property")
        node[member] = row.text("Value") or ""
    return tree


def _translated_object(rows: ModelRows, row: ObjectRow) -> ObjectRow:
    number, type_number = row.number("ObjectID"), row.number("ObjectType")
    type_ = None if type_number is None else by_number(type_number)
    if number is None or type_ is None or type_.name not in TRANSLATABLE:
        raise ModelError(f"ObjectTranslation {row.id}: an object of type {type_number} cannot be translated")
    return rows.object(number, type_.name, because=f"ObjectTranslation {row.id}")


def _node(rows: ModelRows, tree: dict[str, Any], nodes: dict[int, dict[str, Any]], row: ObjectRow) -> dict[str, Any]:
    """The node of *row* in the tree, with the nodes above it; *nodes* has those that are there already, by id."""
    known = nodes.get(row.id)
    if known is not None:
        return known
    node: dict[str, Any] = {}
    if row.type.name != "KPI":
        node["name"] = rows.name(row)
    if row.type.parent is None:
        tree["model"] = node
    else:
        above = _node(rows, tree, nodes, rows.parent(row))
        if row.type.tmsl_collection is None:
            above[row.type.name.lower()] = node
        else:
            above.setdefault(row.type.tmsl_collection, []).append(node)
    nodes[row.id] = node
    return node
