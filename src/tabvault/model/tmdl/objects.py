"""
Declarations as objects of TMSL: one function for every type, and those whose shape departs from the rule.

The rule, from the registry: a word below an object is a property of its type, an only child, or an object of one of its
collections; each is written under its name in TMSL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import RequestError
from tabvault.model.object_types import OBJECT_TYPES, Form, ObjectType, Property
from tabvault.model.tmdl import values
from tabvault.model.tmdl.declaration import Declaration
from tabvault.model.tmdl.json_objects import json_object
from tabvault.model.tmdl.translations import read_translations
from tabvault.model.tmdl.vocabulary import Word, default_property, name_member, words_of
from tabvault.model.tmsl.document import load_document
from tabvault.model.tmsl.shape import KINDS, PARTITION_SOURCES, WIDE_REFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Owners = dict[str, str]
"""Names of the objects around the one that is read, by type."""
TmslObject = dict[str, Any]


def read_object(declaration: Declaration, type_: ObjectType, owners: Owners) -> TmslObject:
    """
    One object with everything in it.

    Args:
        declaration: of the object.
        type_: its type.
        owners: the names of the objects it belongs to.

    Raises:
        RequestError: a word below it is unknown or has a wrong value.
    """
    written: TmslObject = {}
    member = name_member(type_)
    if (member is None) != (declaration.name is None) and type_.name != "Model":
        has = "no name" if member is None else "a name"
        raise declaration.error(f"{declaration.word} is an object with {has}")
    if member is not None and declaration.name is not None:
        written[member] = declaration.name
    if type_.key is not None and declaration.name is not None:
        owners = {**owners, type_[type_.key].target or type_.name: declaration.name}
    if declaration.is_property:
        raise declaration.error(f"{declaration.word} is an object, : stands behind properties")
    if declaration.description is not None:
        if "Description" not in type_:
            raise declaration.error(f"{declaration.word} has no description")
        written["description"] = declaration.description
    if type_.name == "Table":
        _type_columns(declaration)
    for child in _with_default(declaration, type_):
        _read_child(child, type_, written, owners)
    complete = _COMPLETE.get(type_.name)
    if complete is not None:
        complete(declaration, written)
    _check_kind(declaration, type_, written)
    return written


def _type_columns(table: Declaration) -> None:
    """Say the type of columns that say none: in a table with a calculated partition it follows from that."""
    children = [(child.word.casefold(), child) for child in table.children]
    kinds = {said for word, child in children if word == "partition" for said in _said(child, "sourceType")}
    if "calculated" not in kinds:
        return
    for word, column in children:
        if word == "column" and column.value is None and not _said(column, "type"):
            column.children.append(Declaration("type", column.file, column.line, value="calculatedTableColumn"))


def _said(declaration: Declaration, word: str) -> list[str]:
    """What an object says in its default property or in property *word*, in small letters."""
    said = [
        declaration.value,
        *(child.value for child in declaration.children if child.word.casefold() == word.casefold()),
    ]
    return [value.casefold() for value in said if value is not None]


def _with_default(declaration: Declaration, type_: ObjectType) -> list[Declaration]:
    """What belongs to an object; its default property as if it were a line of its own."""
    if declaration.value is None:
        return declaration.children
    word = default_property(type_)
    if word is None:
        raise declaration.error(f"nothing can follow = behind {declaration.word}")
    default = Declaration(word, declaration.file, declaration.line, value=declaration.value)
    return [default, *declaration.children]


def _read_child(child: Declaration, type_: ObjectType, written: TmslObject, owners: Owners) -> None:
    word = words_of(type_.name).get(child.word.casefold())
    if word is None:
        raise child.error(f"a {type_.name} has no {child.word!r}")
    special = _SPECIAL.get((type_.name, word.text))
    if special is not None:
        special(child, written, owners)
    elif word.type is not None:
        _add_object(child, word, word.type, written, owners)
    else:
        assert word.property is not None, f"{word.text} is a property"
        _add(child, word.text, _value(child, type_, word.property, owners), written)


def _add(child: Declaration, member: str, value: Any, written: TmslObject) -> None:
    if member in written:
        raise child.error(f"{child.word} is there twice")
    written[member] = value


def _add_object(child: Declaration, word: Word, type_: ObjectType, written: TmslObject, owners: Owners) -> None:
    made = read_object(child, type_, owners)
    if word.collection is None:
        _add(child, word.text, made, written)
        return
    collection = written.setdefault(word.collection, [])
    if "Ordinal" in type_:
        made["ordinal"] = len(collection)
    collection.append(made)


def _value(child: Declaration, type_: ObjectType, prop: Property, owners: Owners) -> Any:
    """The value of a property, as TMSL has it."""
    if prop.form is Form.JSON and type_.name not in {"ExtendedProperty", "LinguisticMetadata"}:
        return json_object(_nameless(child), prop.tmsl or prop.name)
    if _nameless(child).children:
        raise child.children[0].error(f"{child.word} is a property, nothing belongs to it")
    if prop.target is None:
        return values.scalar(child, prop)
    wide = WIDE_REFERENCES.get((type_.name, prop.name))
    if wide is not None:
        outer, inner = (type_name.lower() for type_name in wide)
        table, name = _qualified(child)
        return {outer: table, inner: name}
    names = values.reference(child, name_count=2)
    if len(names) > 1 and names[0] != owners.get("Table"):
        raise child.error(f"{child.word} refers to {names[0]!r}, which is not the table it stands in")
    return names[-1]


def _qualified(child: Declaration) -> tuple[str, str]:
    names = values.reference(_nameless(child), name_count=2)
    if len(names) == 1:
        raise child.error(f"{child.word} names no table: it is of the form Table.Name")
    return names[0], names[1]


def _nameless(child: Declaration) -> Declaration:
    """*child*, which is a property."""
    if child.name is not None:
        raise child.error(f"{child.word} is a property, no name stands behind it", hint="its value stands behind :")
    if child.description is not None:
        raise child.error(f"{child.word} is a property and has no description")
    return child


def _check_kind(declaration: Declaration, type_: ObjectType, written: TmslObject) -> None:
    """Members that only objects of some ``type`` have."""
    if type_.name not in KINDS:
        return
    enumeration, default = type_["Type"].enumeration, type_["Type"].default
    assert enumeration is not None, "a kind is a word"
    assert isinstance(default, int), "a kind has a default"
    kind = written.get("type", enumeration.word(default))
    for member, kinds in KINDS[type_.name].items():
        if member in written and kind not in kinds:
            raise declaration.error(f"a {type_.name} of type {kind} has no {member}")


def _flag(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    _add(child, _text_of("Column", child), values.boolean(_nameless(child)), written)


def _text_of(type_name: str, child: Declaration) -> str:
    return words_of(type_name)[child.word.casefold()].text


def _column_origin(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    table, column = _qualified(child)
    _add(child, "columnOriginTable", table, written)
    written["columnOriginColumn"] = column


def _relationship_end(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    """``fromColumn`` or ``toColumn``."""
    member = _text_of("Relationship", child)
    table, column = _qualified(child)
    _add(child, member.replace("Column", "Table"), table, written)
    written[member] = column


def _group_by_column(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    name = values.reference(_nameless(child), name_count=1)[0]
    written.setdefault("groupByColumns", []).append({"groupingColumn": name})


def _calendar_column(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    """``primaryColumn``, or one of ``associatedColumns`` or ``columns``."""
    word = _text_of("CalendarColumnGroup", child)
    name = values.reference(_nameless(child), name_count=1)[0]
    if word == "primaryColumn":
        _add(child, word, name, written)
    else:
        written.setdefault(f"{word}s", []).append(name)


def _source_type(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    enumeration = OBJECT_TYPES["Partition"]["Type"].enumeration
    assert enumeration is not None, "the type of a source is a word"
    _add(child, "sourceType", values.word(_nameless(child), enumeration), written)


def _partition_source(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    """Kept as it is until the partition is read: its type may be said below it."""
    _add(child, "source", child, written)


def _complete_partition(declaration: Declaration, written: TmslObject) -> None:
    kind = written.pop("sourceType", "query")
    source: Declaration | None = written.pop("source", None)
    if kind not in PARTITION_SOURCES:
        raise declaration.error(f"a partition of type {kind} is none that TMSL has")
    members: TmslObject = {} if source is None else _source_members(source, kind)
    if kind != "none":
        written["source"] = {"type": kind, **members}


def _source_members(source: Declaration, kind: str) -> TmslObject:
    type_, properties = OBJECT_TYPES["Partition"], PARTITION_SOURCES[kind]
    by_text = {member.casefold(): member for member in properties}
    members: TmslObject = {}
    children = source.children
    if source.value is not None:
        if "expression" not in properties:
            raise source.error(f"nothing can follow = behind the source of a {kind} partition")
        children = [Declaration("expression", source.file, source.line, value=source.value), *children]
    if source.name is not None or source.is_property:
        raise source.error("source is an object without a name, its expression stands behind =")
    for child in children:
        member = by_text.get(child.word.casefold())
        if member is None:
            raise child.error(f"the source of a {kind} partition has no {child.word!r}")
        _add(child, member, _value(child, type_, type_[properties[member]], {}), members)
    return members


def _complete_extended_property(declaration: Declaration, written: TmslObject) -> None:
    value = written.get("value")
    if value is None or written.get("type") == "string":
        return
    try:
        written["value"] = load_document(value)
    except RequestError as error:
        if "type" in written:
            raise declaration.error(f"the value is not JSON: {error.message}") from None
        return
    written["type"] = "json"


def _complete_linguistic_metadata(declaration: Declaration, written: TmslObject) -> None:
    if written.get("contentType") == "json" and "content" in written:
        try:
            written["content"] = load_document(written["content"])
        except RequestError as error:
            raise declaration.error(f"the content is not JSON: {error.message}") from None


def _complete_column(declaration: Declaration, written: TmslObject) -> None:
    if declaration.value is not None:
        written.setdefault("type", "calculated")


def _complete_data_source(_declaration: Declaration, written: TmslObject) -> None:
    written.setdefault("type", "structured")


def _complete_member(declaration: Declaration, written: TmslObject) -> None:
    kind = written.setdefault("memberType", "user")
    if kind != "activeDirectory":
        written.setdefault("identityProvider", "AzureAD")
        return
    if "identityProvider" in written:
        raise declaration.error("a member of type activeDirectory has no identityProvider")
    del written["memberType"]


def _member_type(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    prop = OBJECT_TYPES["RoleMembership"]["MemberType"]
    is_windows = _nameless(child).value is not None and values.text(child).casefold() == "activedirectory"
    _add(child, "memberType", "activeDirectory" if is_windows else values.scalar(child, prop), written)


def _complete_expression(_declaration: Declaration, written: TmslObject) -> None:
    written.setdefault("kind", "m")


def _complete_refresh_policy(_declaration: Declaration, written: TmslObject) -> None:
    written.setdefault("policyType", "basic")


def _translations(child: Declaration, written: TmslObject, _owners: Owners) -> None:
    _add(child, "translations", read_translations(child), written)


_SPECIAL: Final[Mapping[tuple[str, str], Callable[[Declaration, TmslObject, Owners], None]]] = {
    ("CalendarColumnGroup", "primaryColumn"): _calendar_column,
    ("CalendarColumnGroup", "associatedColumn"): _calendar_column,
    ("CalendarColumnGroup", "column"): _calendar_column,
    ("Column", "isNameInferred"): _flag,
    ("Column", "isDataTypeInferred"): _flag,
    ("Column", "columnOrigin"): _column_origin,
    ("Culture", "translations"): _translations,
    ("Partition", "sourceType"): _source_type,
    ("Partition", "source"): _partition_source,
    ("RelatedColumnDetails", "groupByColumn"): _group_by_column,
    ("Relationship", "fromColumn"): _relationship_end,
    ("Relationship", "toColumn"): _relationship_end,
    ("RoleMembership", "memberType"): _member_type,
}
"""Words that are more than a property or an object."""

_COMPLETE: Final[Mapping[str, Callable[[Declaration, TmslObject], None]]] = {
    "Column": _complete_column,
    "DataSource": _complete_data_source,
    "Expression": _complete_expression,
    "ExtendedProperty": _complete_extended_property,
    "LinguisticMetadata": _complete_linguistic_metadata,
    "Partition": _complete_partition,
    "RefreshPolicy": _complete_refresh_policy,
    "RoleMembership": _complete_member,
}
"""What is to be done when everything of an object is read."""
