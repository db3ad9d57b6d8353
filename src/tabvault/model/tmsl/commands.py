"""
TMSL commands: JSON text as frozen dataclasses. Strict, like the objects in them (:mod:`tabvault.model.tmsl.parse`).

A script is an object with one member, the command. What is let pass beyond the published schema, because its
documentation's examples have it: ``"true"`` and ``"false"`` as texts where a *command* has a boolean,
``storageLocation`` for ``dbStorageLocation``, and empty ``locations``.

Sources: the JSON schema of commands that the public tabular object model publishes; the TMSL reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.errors import CommandNotSupportedError, RequestError, RequestTooLargeError
from tabvault.model.object_types.enumerations import REFRESH_TYPE
from tabvault.model.tmsl import scalars
from tabvault.model.tmsl.command_objects import (
    Alter,
    Attach,
    Backup,
    Command,
    Create,
    CreateOrReplace,
    Delete,
    Detach,
    ObjectPath,
    Operation,
    Refresh,
    Restore,
    Sequence,
)
from tabvault.model.tmsl.document import load_document
from tabvault.model.tmsl.parse import READ_WRITE_MODES, database_definition, object_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.model.tmsl.tree import DatabaseDefinition, TabularObject

UNSUPPORTED: Final = frozenset({"synchronize", "mergePartitions", "applyAutomaticAggregations", "updateCulture"})
"""Commands that TMSL has and we do not."""

SECURITY_WORDS: Final = frozenset({"copyAll", "skipMembership", "ignoreSecurity"})
OPERATION_COUNT_MAX: Final = 10_000
"""Operations of a sequence, objects of a refresh."""

_TYPES: Final = {"dataSource": "DataSource", "table": "Table", "partition": "Partition", "role": "Role"}
"""Members of an object's path, beside ``database``, and what they name. A partition stands in a table."""

_PATHS: Final[tuple[list[str], ...]] = ([], ["dataSource"], ["table"], ["table", "partition"], ["role"])
"""Which of them stand together."""


def parse_command(text: str) -> Command:
    """
    The command that a script says.

    Raises:
        RequestError: the text is not JSON, or says what no command can.
        RequestTooLargeError: more characters, levels or operations than a request may have.
        CommandNotSupportedError: a command, or a part of it, that this version does not do.
    """
    command: Command = _command(load_document(text), "", _COMMANDS)
    return command


def is_command(text: str) -> bool:
    """Whether a statement is meant to be TMSL: it begins with a brace, which no query does."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def _command(document: Mapping[str, Any], place: str, known: Mapping[str, Callable[[Any, str], Any]]) -> Any:
    if len(document) != 1:
        raise RequestError(f"{len(document)} members stand here, not one command", path=place or None)
    ((name, body),) = document.items()
    where = f"{place}.{name}" if place else name
    if name in UNSUPPORTED:
        raise CommandNotSupportedError(f"the command {name} is not supported", path=where)
    reader = known.get(name)
    if reader is None:
        raise RequestError(f"{name!r} is no command", path=where, hint=f"commands: {', '.join(sorted(known))}")
    return reader(body, where)


def _fields(body: Any, place: str, readers: Mapping[str, Callable[[Any, str], Any]], *required: str) -> dict[str, Any]:
    """The members of a command by their names, each read."""
    members = scalars.mapping(body, place)
    for member in required:
        if member not in members:
            raise RequestError(f"{place.rpartition('.')[2]} has no {member}", path=place)
    read: dict[str, Any] = {}
    for member, value in members.items():
        if member not in readers:
            raise RequestError(f"there is no member {member!r} here", path=f"{place}.{member}")
        read[member] = readers[member](value, f"{place}.{member}")
    return read


def _flag(value: Any, place: str) -> bool:
    return scalars.boolean(value, place, or_text=True)


def _password(value: Any, place: str) -> str | None:
    return scalars.string(value, place) or None


def _read_write_mode(value: Any, place: str) -> str:
    return scalars.word(value, READ_WRITE_MODES, place)


def _no_locations(value: Any, place: str) -> None:
    if scalars.array(value, place):
        raise CommandNotSupportedError("a tabular database has no remote locations", path=place)


def _backup(body: Any, place: str) -> Backup:
    readers = {
        "database": scalars.name,
        "file": scalars.name,
        "password": _password,
        "allowOverwrite": _flag,
        "applyCompression": _flag,
    }
    read = _fields(body, place, readers, "database", "file")
    return Backup(
        database=read["database"],
        file=read["file"],
        password=read.get("password"),
        allow_overwrite=read.get("allowOverwrite", False),
        apply_compression=read.get("applyCompression", True),
    )


def _restore(body: Any, place: str) -> Restore:
    readers = {
        "database": scalars.name,
        "file": scalars.name,
        "password": _password,
        "dbStorageLocation": scalars.string,
        "storageLocation": scalars.string,
        "locations": _no_locations,
        "allowOverwrite": _flag,
        "ignoreIncompatibilities": _flag,
        "forceRestore": _flag,
        "readWriteMode": _read_write_mode,
        "security": lambda value, place: scalars.word(value, SECURITY_WORDS, place),
    }
    read = _fields(body, place, readers, "database", "file")
    return Restore(
        database=read["database"],
        file=read["file"],
        password=read.get("password"),
        db_storage_location=read.get("dbStorageLocation") or read.get("storageLocation") or None,
        allow_overwrite=read.get("allowOverwrite", False),
        ignore_incompatibilities=read.get("ignoreIncompatibilities", False),
        force_restore=read.get("forceRestore", False),
        read_write_mode=read.get("readWriteMode"),
        security=read.get("security"),
    )


def _attach(body: Any, place: str) -> Attach:
    readers = {"folder": scalars.name, "password": _password, "readWriteMode": _read_write_mode}
    read = _fields(body, place, readers, "folder")
    return Attach(read["folder"], read.get("password"), read.get("readWriteMode"))


def _detach(body: Any, place: str) -> Detach:
    read = _fields(body, place, {"database": scalars.name, "password": _password}, "database")
    return Detach(read["database"], read.get("password"))


def _object_path(value: Any, place: str) -> ObjectPath:
    members = scalars.mapping(value, place)
    names = {member: scalars.name(inner, f"{place}.{member}") for member, inner in members.items()}
    for member in names:
        if member != "database" and member not in _TYPES:
            raise RequestError(f"an object is not named by {member!r} here", path=f"{place}.{member}")
    inner = [member for member in _TYPES if member in names]
    if "database" not in names or inner not in _PATHS:
        raise RequestError(f"{', '.join(members) or 'nothing'} does not name one object", path=place)
    return ObjectPath(names["database"], {_TYPES[member]: names[member] for member in inner})


def _definition(body: Any, place: str, path: ObjectPath | None) -> tuple[str, Any]:
    """The one member of a command that describes an object."""
    expected = {"database", *_TYPES}
    described = [member for member in scalars.mapping(body, place) if member in expected]
    if len(described) != 1:
        raise RequestError(f"{len(described)} objects are described here, not one", path=place)
    member = described[0]
    if path is not None and path.type != _TYPES.get(member, "Database"):
        raise RequestError(f"a {member} is described, and the object is a {path.type}", path=f"{place}.{member}")
    return member, body[member]


def _tree(member: str, value: Any, place: str, owners: Mapping[str, str]) -> DatabaseDefinition | TabularObject:
    where = f"{place}.{member}"
    if member == "database":
        return database_definition(value, place=where)
    return object_tree(_TYPES[member], value, place=where, owners=owners)


def _create(body: Any, place: str) -> Create:
    members = scalars.mapping(body, place)
    parent = _object_path(members["parentObject"], f"{place}.parentObject") if "parentObject" in members else None
    member, value = _definition(body, place, None)
    _only(members, {"parentObject", member}, place)
    wanted = {"database": None, "partition": "Table"}.get(member, "Database")
    if wanted != (parent.type if parent else None):
        raise RequestError(f"a {member} is created in a {wanted or 'server'}", path=f"{place}.parentObject")
    return Create(parent, _tree(member, value, place, parent.path if parent else {}))


def _create_or_replace(body: Any, place: str) -> CreateOrReplace:
    path, member, value = _object_and_definition(body, place)
    return CreateOrReplace(path, _tree(member, value, place, _owners(path)))


def _alter(body: Any, place: str) -> Alter:
    path, member, value = _object_and_definition(body, place)
    where = f"{place}.{member}"
    if member == "database":
        return Alter(path, database_definition(value, place=where, default_name=path.database))
    named = {"name": path.path[path.type], **scalars.mapping(value, where)}
    return Alter(path, object_tree(path.type, named, place=where, owners=_owners(path)))


def _object_and_definition(body: Any, place: str) -> tuple[ObjectPath, str, Any]:
    members = scalars.mapping(body, place)
    if "object" not in members:
        raise RequestError(f"{place.rpartition('.')[2]} has no object", path=place)
    path = _object_path(members["object"], f"{place}.object")
    member, value = _definition(body, place, path)
    _only(members, {"object", member}, place)
    return path, member, value


def _owners(path: ObjectPath) -> Mapping[str, str]:
    return {type_: name for type_, name in path.path.items() if type_ != path.type}


def _only(members: Mapping[str, Any], known: set[str], place: str) -> None:
    for member in members:
        if member not in known:
            raise RequestError(f"there is no member {member!r} here", path=f"{place}.{member}")


def _delete(body: Any, place: str) -> Delete:
    return Delete(_fields(body, place, {"object": _object_path}, "object")["object"])


def _refresh(body: Any, place: str) -> Refresh:
    readers = {
        "type": lambda value, place: scalars.word(value, REFRESH_TYPE.words, place),
        "applyRefreshPolicy": _flag,
        "effectiveDate": scalars.time,
        "keepCalculated": _flag,
        "objects": _objects,
        "overrides": _no_overrides,
    }
    read = _fields(body, place, readers, "type", "objects")
    return Refresh(
        read["type"],
        read["objects"],
        read.get("applyRefreshPolicy"),
        read.get("effectiveDate"),
        keep_calculated=bool(read.get("keepCalculated")),
    )


def _objects(value: Any, place: str) -> tuple[ObjectPath, ...]:
    paths = tuple(_object_path(item, f"{place}[{index}]") for index, item in enumerate(_limited(value, place)))
    for index, path in enumerate(paths):
        if path.type not in {"Database", "Table", "Partition"}:
            raise RequestError(f"a {path.type} cannot be refreshed", path=f"{place}[{index}]")
    return paths


def _no_overrides(value: Any, place: str) -> None:
    if scalars.array(value, place):
        raise CommandNotSupportedError("a refresh with overrides is not supported", path=place)


def _sequence(body: Any, place: str) -> Sequence:
    readers = {"maxParallelism": scalars.whole, "operations": _operations}
    read = _fields(body, place, readers, "operations")
    limit = read.get("maxParallelism")
    if limit is not None and limit < 0:
        raise RequestError(f"{limit} is no number of threads", path=f"{place}.maxParallelism")
    return Sequence(read["operations"], limit or None)


def _operations(value: Any, place: str) -> tuple[Operation, ...]:
    operations = enumerate(_limited(value, place))
    return tuple(
        _command(scalars.mapping(item, f"{place}[{index}]"), f"{place}[{index}]", _OPERATIONS)
        for index, item in operations
    )


def _limited(value: Any, place: str) -> list[Any]:
    items = scalars.array(value, place)
    if len(items) > OPERATION_COUNT_MAX:
        raise RequestTooLargeError(f"{len(items)} stand here, not at most {OPERATION_COUNT_MAX}", path=place)
    return items


_OPERATIONS: Final[Mapping[str, Callable[[Any, str], Operation]]] = {
    "backup": _backup,
    "restore": _restore,
    "create": _create,
    "createOrReplace": _create_or_replace,
    "alter": _alter,
    "delete": _delete,
    "refresh": _refresh,
    "attach": _attach,
    "detach": _detach,
}
_COMMANDS: Final[Mapping[str, Callable[[Any, str], Command]]] = {**_OPERATIONS, "sequence": _sequence}

__all__ = [
    "Alter",
    "Attach",
    "Backup",
    "Command",
    "Create",
    "CreateOrReplace",
    "Delete",
    "Detach",
    "ObjectPath",
    "Operation",
    "Refresh",
    "Restore",
    "Sequence",
    "is_command",
    "parse_command",
]
