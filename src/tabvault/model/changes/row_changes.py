"""
From the rows of ``Create``, ``Alter``, ``Delete`` and ``Rename`` commands to changes.

A row holds the columns that are set: properties by name, as text of the XML type that the collection declares; ids of
objects; and names of objects in path columns (``TableID.Table``). A column that is missing is not set, an empty path
column neither; one that is nil is set to nothing. Source: [MS-SSAS-T] 3.1.5.2.2, and the rows of Microsoft's client.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Final

from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.model import filetime, ole_date
from tabvault.model.changes.change import Change, Verb
from tabvault.model.changes.schema_versions import column_types
from tabvault.model.object_types import Role, by_collection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.formats.xmla.commands import Collection, ObjectChanges
    from tabvault.model.object_types import ObjectType, Property
    from tabvault.model.sqlite_file import Value

_VERBS: Final[Mapping[str, Verb]] = {"create": "create", "alter": "alter", "delete": "delete", "rename": "alter"}

_BOOLEANS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_RANGES: Final = {"int": (-(1 << 31), (1 << 31) - 1), "long": (-(1 << 63), (1 << 63) - 1), "unsignedLong": (0, 1 << 62)}
_NO_XML_TEXT: Final = re.compile("[\0\ud800-\udfff]")


def row_changes(command: ObjectChanges) -> Iterator[Change]:
    """
    The changes of a command, in its order.

    Raises:
        RequestError: a collection, a column or a value is not one there is.
        CommandNotSupportedError: the verb changes data, not objects.
    """
    verb = _VERBS.get(command.verb)
    if verb is None:
        raise CommandNotSupportedError(f"{command.verb} of objects is no change of metadata", path=command.verb)
    for collection in command.collections:
        type_ = by_collection(collection.name)
        if type_ is None:
            raise RequestError(f"there is no collection {collection.name!r} of objects", path=command.verb)
        for number, row in enumerate(collection.rows, 1):
            yield _change(verb, type_, collection, row, place=f"{command.verb}.{collection.name}[{number}]")


def _change(verb: Verb, type_: ObjectType, collection: Collection, row: Mapping[str, str | None], place: str) -> Change:
    cells: dict[str, Value] = {}
    paths: dict[str, dict[str, str]] = {}
    for column, text in row.items():
        name, _, part = column.partition(".")
        prop = _property(type_, name, verb=verb, place=place)
        if part:
            if text:
                paths.setdefault(name, {})[part] = text
        elif name != "ID" or text is not None:
            declared = collection.columns.get(column, prop.type)
            cells[name] = cell(type_, prop, text, declared=declared, place=place)
    return Change(verb, type_, cells, paths, place)


def _property(type_: ObjectType, name: str, *, verb: Verb, place: str) -> Property:
    if name not in type_:
        raise RequestError(f"{type_.name} has no property {name!r}", path=place)
    prop = type_[name]
    identifies = prop.role is Role.ID and verb != "create"
    if not identifies and (verb == "delete" or prop.role not in (Role.PARENT, Role.DEFINITION)):
        raise RequestError(f"{type_.name}.{name} cannot be set by {verb}", path=place)
    return prop


def cell(type_: ObjectType, prop: Property, text: str | None, *, declared: str, place: str) -> Value:
    """
    A value as the metadata hold it.

    Args:
        type_: the type of the object.
        prop: the property.
        text: the value as XML has it; None for nil.
        declared: the XML type that the request gives it.
        place: where it stands, for errors.

    Raises:
        RequestError: the text is no value of the type, or the metadata cannot hold it.
    """
    if text is None or (text == "" and prop.type != "string"):
        return None if prop.type == "string" else default_cell(type_, prop)
    try:
        value = _parsed(prop, text)
    except (ValueError, OverflowError, KeyError):
        value = None
    if value is None or declared not in (prop.type, "long" if prop.type == "int" else "int", "string"):
        shown = "a secret" if prop.is_secret else repr(text[:80])
        message = f"{type_.name}.{prop.name} is {shown} of type {declared}, not a value of type {prop.type}"
        raise RequestError(message, path=place)
    if isinstance(value, datetime.datetime):
        if column_types().get((type_.table, prop.name)) == "REAL":
            return ole_date.of(value)
        return filetime.of(value if value.tzinfo else value.replace(tzinfo=datetime.UTC))
    return value


def default_cell(type_: ObjectType, prop: Property) -> Value:
    """What the metadata hold where nobody set the property."""
    if prop.default is not None:
        return int(prop.default) if isinstance(prop.default, bool) else prop.default
    if prop.type == "string":
        return None
    return 0.0 if column_types().get((type_.table, prop.name)) == "REAL" else 0


def _parsed(prop: Property, text: str) -> str | int | datetime.datetime | None:
    """The value, or None where *text* is none of the type. Raises ValueError, OverflowError or KeyError as well."""
    if prop.type == "string":
        return None if _NO_XML_TEXT.search(text) else text
    text = text.strip()
    if prop.type == "boolean":
        return _BOOLEANS[text]
    if prop.type == "dateTime":
        return datetime.datetime.fromisoformat(text)
    lowest, highest = _RANGES[prop.type]
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text)
    return number if lowest <= number <= highest else None
