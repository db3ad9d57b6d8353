"""
TMSL objects as trees of :class:`~tabvault.model.tmsl.tree.TabularObject`. Strict: each member is known and of its type.

* Names of members and words of enumerations are told by their capitals, as the tabular object model tells them.
* What only the engine sets (``state``, ``modifiedTime``, …) is checked and left out: exported files have it.
  The one exception is the data type of a calculated column, which nobody here could infer.
* Names of siblings differ, whatever their capitals.
* Names that refer to other objects are not looked up: what they mean is known where the tree meets a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import RequestError
from tabvault.model.object_types import LEVEL_MIN, OBJECT_TYPES, ObjectType, Property, Role
from tabvault.model.tmsl import scalars
from tabvault.model.tmsl.shape import COLLECTIONS, KINDS, PARTITION_SOURCES, SELECTION_MEMBERS, WIDE_REFERENCES
from tabvault.model.tmsl.translation_tree import read_translations
from tabvault.model.tmsl.tree import DatabaseDefinition, Reference, TabularObject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.model.tmsl.tree import Value

_NAMELESS: Final = frozenset({"Model", "Relationship", "RoleMembership", "CalendarColumnGroup", "ChangedProperty"})
"""Types whose name an engine makes up, or whose key is no name."""

_DATABASE_TIMES: Final = frozenset({"createdTimestamp", "lastUpdate", "lastSchemaUpdate", "lastProcessed"})

READ_WRITE_MODES: Final = frozenset({"readWrite", "readOnly", "readOnlyExclusive"})
"""Words of ``readWriteMode``."""

Owners = dict[str, str]
"""Names of the objects around the one that is read, by type."""


def database_definition(value: Any, *, place: str = "database", default_name: str | None = None) -> DatabaseDefinition:
    """
    The ``database`` object.

    Args:
        value: of JSON, as :func:`tabvault.model.tmsl.document.load_document` gives it.
        place: where it stands in the request.
        default_name: the name of a database that the text changes and may leave as it is.

    Raises:
        RequestError: a member is unknown or of the wrong type, or needs a higher compatibility level.
    """
    members = scalars.mapping(value, place)
    given: dict[str, Any] = {}
    readers: dict[str, Callable[[Any, str], Any]] = {
        "name": scalars.name,
        "id": scalars.name,
        "description": scalars.text,
        "compatibilityLevel": scalars.whole,
        "readWriteMode": lambda value, place: scalars.word(value, READ_WRITE_MODES, place),
        "unicodeCharacterBehavior": lambda value, place: scalars.word(value, {"codeUnits", "codePoints"}, place),
        "model": lambda value, place: object_tree("Model", value, place=place),
        **dict.fromkeys(_DATABASE_TIMES, scalars.time),
    }
    for member, inner in members.items():
        if member not in readers:
            raise _unknown(member, "Database", f"{place}.{member}")
        given[member] = readers[member](inner, f"{place}.{member}")
    name = given.get("name", default_name)
    if name is None:
        raise RequestError("a database has no name", path=place)
    level, model = given.get("compatibilityLevel"), given.get("model")
    if level is not None and model is not None:
        check_level(model, level)
    return DatabaseDefinition(
        name=name,
        id=given.get("id", name),
        compatibility_level=level,
        description=given.get("description"),
        read_write_mode=given.get("readWriteMode"),
        model=model,
    )


def object_tree(type_name: str, value: Any, *, place: str, owners: Mapping[str, str] | None = None) -> TabularObject:
    """
    One object with everything in it.

    Args:
        type_name: of :data:`~tabvault.model.object_types.OBJECT_TYPES`.
        value: of JSON.
        place: where it stands in the request.
        owners: the names of the objects it belongs to, by type: a partition of a table needs ``{"Table": …}``.

    Raises:
        RequestError: a member is unknown or of the wrong type.
    """
    return _read(OBJECT_TYPES[type_name], value, place, dict(owners or {}))


def check_level(tree: TabularObject, level: int) -> None:
    """
    Check that a model of compatibility level *level* can have everything in *tree*.

    Raises:
        RequestError: something in it needs a higher level; the place is that of the first such object.
    """
    for part in tree.walk():
        if part.level_needed > level and all(child.level_needed <= level for child in part.children):
            needed = f"needs compatibility level {part.level_needed}, and the database has {level}"
            raise RequestError(needed, path=part.place)


@dataclass
class _Draft:
    """An object while its members are read."""

    type: ObjectType
    place: str
    owners: Owners
    members: Mapping[str, Any]
    values: dict[str, Value] = field(default_factory=dict)
    references: dict[str, Reference] = field(default_factory=dict)
    children: list[TabularObject] = field(default_factory=list)
    level_needed: int = LEVEL_MIN

    def at(self, member: str) -> str:
        return f"{self.place}.{member}"

    def need(self, level: int) -> None:
        self.level_needed = max(self.level_needed, level)

    def set(self, prop: Property, value: Value) -> None:
        self.need(prop.minimum_level if value != prop.default else LEVEL_MIN)
        self.values[prop.name] = value

    def refer(self, prop: Property, reference: Reference) -> None:
        self.need(prop.minimum_level)
        self.references[prop.name] = reference

    def path_of(self, type_name: str, name: str, place: str) -> Reference:
        """The object of a type that *name* means here: of this table, where the type belongs to tables."""
        parent = OBJECT_TYPES[type_name].parent
        if parent is None or parent.types != ("Table",):
            return Reference(type_name, {type_name: name})
        table = self.owners.get("Table")
        if table is None:
            raise RequestError(f"of which table {name!r} is cannot be told here", path=place)
        return Reference(type_name, {"Table": table, type_name: name})

    def finish(self) -> TabularObject:
        level = max((self.type.minimum_level, self.level_needed, *(child.level_needed for child in self.children)))
        return TabularObject(
            type=self.type,
            values=self.values,
            references=self.references,
            children=tuple(self.children),
            members=frozenset(self.members),
            place=self.place,
            level_needed=level,
        )


def _read(type_: ObjectType, value: Any, place: str, owners: Owners) -> TabularObject:
    draft = _Draft(type_, place, dict(owners), scalars.mapping(value, place))
    _name(draft)
    kind = _kind(draft)
    for member, inner in draft.members.items():
        kinds = KINDS.get(type_.name, {}).get(member)
        if kinds is not None and kind not in kinds:
            raise RequestError(f"a {type_.name} of type {kind} has no member {member!r}", path=draft.at(member))
        special = _SPECIAL.get((type_.name, member))
        if special is not None:
            special(draft, inner, draft.at(member))
        elif member in type_.by_tmsl:
            _property(draft, type_.by_tmsl[member], inner, draft.at(member))
        elif member in COLLECTIONS[type_.name]:
            _collection(draft, COLLECTIONS[type_.name][member], inner, draft.at(member))
        else:
            raise _unknown(member, type_.name, draft.at(member))
    complete = _COMPLETE.get(type_.name)
    if complete is not None:
        complete(draft)
    return draft.finish()


def _name(draft: _Draft) -> None:
    """Check that it has a name, and let what is inside know it."""
    key = draft.type.key
    member = draft.type[key].tmsl if key else None
    if key is None or member is None:
        return
    given = draft.members.get(member)
    if given is None and draft.type.name in _NAMELESS:
        return
    if member not in draft.members:
        raise RequestError(f"a {draft.type.name} has no {member}", path=draft.place)
    if draft.type[key].enumeration is None:
        owner = draft.type[key].target or draft.type.name
        draft.owners[owner] = scalars.name(given, draft.at(member))


def _kind(draft: _Draft) -> str | None:
    """The word of ``type``, by which members are told."""
    if draft.type.name not in KINDS:
        return None
    prop = draft.type["Type"]
    assert prop.enumeration is not None, "a kind is a word"
    if "type" in draft.members:
        return scalars.word(draft.members["type"], prop.enumeration.words, draft.at("type"))
    assert isinstance(prop.default, int), "a kind has a default"
    return prop.enumeration.word(prop.default)


def _property(draft: _Draft, prop: Property, value: Any, place: str) -> None:
    if prop.role is Role.CHILD:
        assert prop.target is not None, "an only child is of a type"
        child = _read(OBJECT_TYPES[prop.target], value, place, draft.owners)
        draft.need(prop.minimum_level)
        draft.children.append(child)
    elif prop.target is not None:
        draft.refer(prop, _reference(draft, prop, value, place))
    elif prop.role is Role.DEFINITION:
        draft.set(prop, scalars.scalar(prop, value, place))
    else:
        scalars.scalar(prop, value, place)


def _reference(draft: _Draft, prop: Property, value: Any, place: str) -> Reference:
    target = prop.target or ""
    wide = WIDE_REFERENCES.get((draft.type.name, prop.name))
    if wide is None:
        return draft.path_of(target, scalars.name(value, place), place)
    members = scalars.mapping(value, place)
    for member in members:
        if member not in {type_name.lower() for type_name in wide}:
            raise _unknown(member, f"reference to a {target}", f"{place}.{member}")
    path: dict[str, str] = {}
    for type_name in wide:
        member = type_name.lower()
        if member not in members:
            raise RequestError(f"a reference to a {target} has no {member}", path=place)
        path[type_name] = scalars.name(members[member], f"{place}.{member}")
    return Reference(target, path)


def _collection(draft: _Draft, type_: ObjectType, value: Any, place: str) -> None:
    names: set[str] = set()
    for index, item in enumerate(scalars.array(value, place)):
        child = _read(type_, item, f"{place}[{index}]", draft.owners)
        folded = (child.name or "").casefold()
        if folded and folded in names:
            raise RequestError(f"{child.name!r} is there twice", path=child.place)
        names.add(folded)
        draft.children.append(child)


def _inferred_flag(_draft: _Draft, value: Any, place: str) -> None:
    """``isNameInferred`` and ``isDataTypeInferred``: what they mean is said by :func:`_complete_column`."""
    scalars.boolean(value, place)


def _column_origin(_draft: _Draft, value: Any, place: str) -> None:
    """The engine finds the origin of a calculated table's column."""
    scalars.string(value, place)


def _complete_column(draft: _Draft) -> None:
    """Move what is inferred to the columns for it."""
    automatic = draft.type["ExplicitDataType"].enumeration
    assert automatic is not None, "a data type is a word"
    if draft.members.get("isDataTypeInferred") and "ExplicitDataType" in draft.values:
        draft.values["InferredDataType"] = draft.values["ExplicitDataType"]
        draft.values["ExplicitDataType"] = automatic.number("automatic")
    if draft.members.get("isNameInferred"):
        draft.values["InferredName"] = draft.values.pop("ExplicitName")


def _partition_source(draft: _Draft, value: Any, place: str) -> None:
    members = scalars.mapping(value, place)
    kind = scalars.word(members.get("type", "query"), PARTITION_SOURCES, f"{place}.type")
    properties = PARTITION_SOURCES[kind]
    type_ = draft.type["Type"]
    assert type_.enumeration is not None, "the type of a source is a word"
    draft.set(type_, type_.enumeration.number(kind))
    for member, inner in members.items():
        if member == "type":
            continue
        if member not in properties:
            raise _unknown(member, f"{kind} source", f"{place}.{member}")
        _property(draft, draft.type[properties[member]], inner, f"{place}.{member}")


def _extended_value(draft: _Draft, value: Any, place: str) -> None:
    is_json = scalars.word(draft.members.get("type", "string"), {"string", "json"}, draft.at("type")) == "json"
    draft.set(draft.type["Value"], scalars.json_text(value, place) if is_json else scalars.text(value, place))


def _complete_extended_property(draft: _Draft) -> None:
    """Metadata say the type even where it is the usual one."""
    draft.values.setdefault("Type", 0)


def _linguistic_content(draft: _Draft, value: Any, place: str) -> None:
    is_json = scalars.word(draft.members.get("contentType", "xml"), {"xml", "json"}, draft.at("contentType")) == "json"
    draft.set(draft.type["Content"], scalars.json_text(value, place) if is_json else scalars.text(value, place))


def _translations(draft: _Draft, value: Any, place: str) -> None:
    draft.children.extend(read_translations(value, place))


def _selection_expression(draft: _Draft, value: Any, place: str) -> None:
    type_ = OBJECT_TYPES["CalculationExpression"]
    child = _read(type_, value, place, draft.owners)
    mode = type_["SelectionMode"].enumeration
    assert mode is not None, "a selection mode is a word"
    word = SELECTION_MEMBERS[place.rpartition(".")[2]]
    values = {**child.values, "SelectionMode": mode.number(word)}
    draft.children.append(
        TabularObject(type_, values, child.references, child.children, child.members, place, child.level_needed)
    )


def _calendar_columns(draft: _Draft, value: Any, place: str) -> None:
    """``primaryColumn``, ``associatedColumns`` or ``columns``."""
    is_primary = place.endswith(".primaryColumn")
    names = [value] if is_primary else scalars.array(value, place)
    type_ = OBJECT_TYPES["CalendarColumnReference"]
    for index, item in enumerate(names):
        where = place if is_primary else f"{place}[{index}]"
        reference = draft.path_of("Column", scalars.name(item, where), where)
        values: dict[str, Value] = {"IsPrimaryColumn": is_primary}
        draft.children.append(
            TabularObject(type_, values, {"ColumnID": reference}, (), frozenset(), where, type_.minimum_level)
        )


def _from_or_to_column(draft: _Draft, value: Any, place: str) -> None:
    """A column of the table that the relationship names beside it."""
    member = place.rpartition(".")[2]
    table_member = member.replace("Column", "Table")
    if table_member not in draft.members:
        raise RequestError(f"a Relationship has {member} and no {table_member}", path=draft.place)
    table = scalars.name(draft.members[table_member], draft.at(table_member))
    path = {"Table": table, "Column": scalars.name(value, place)}
    draft.refer(draft.type.by_tmsl[member], Reference("Column", path))


_SPECIAL: Final[Mapping[tuple[str, str], Callable[[_Draft, Any, str], None]]] = {
    ("Column", "isNameInferred"): _inferred_flag,
    ("Column", "isDataTypeInferred"): _inferred_flag,
    ("Column", "columnOriginTable"): _column_origin,
    ("Column", "columnOriginColumn"): _column_origin,
    ("Partition", "source"): _partition_source,
    ("ExtendedProperty", "value"): _extended_value,
    ("LinguisticMetadata", "content"): _linguistic_content,
    ("Culture", "translations"): _translations,
    ("CalculationGroup", "multipleOrEmptySelectionExpression"): _selection_expression,
    ("CalculationGroup", "noSelectionExpression"): _selection_expression,
    ("CalendarColumnGroup", "primaryColumn"): _calendar_columns,
    ("CalendarColumnGroup", "associatedColumns"): _calendar_columns,
    ("CalendarColumnGroup", "columns"): _calendar_columns,
    ("Relationship", "fromColumn"): _from_or_to_column,
    ("Relationship", "toColumn"): _from_or_to_column,
}
"""Members that are more than a property (see :mod:`tabvault.model.tmsl.shape`)."""

_COMPLETE: Final[Mapping[str, Callable[[_Draft], None]]] = {
    "Column": _complete_column,
    "ExtendedProperty": _complete_extended_property,
}


def _unknown(member: str, what: str, place: str) -> RequestError:
    return RequestError(f"a {what} has no member {member!r}", path=place, hint="names are told by their capitals")
