"""
The commands of XML for Analysis as XML ([MS-SSAS] 3.1.4.3.2).

One function per command, found by local name: one ``Restore`` has elements of five namespaces, by the release in which
each came. Children may stand in any order; an unknown one, or one twice, is an error, because a command that is done
without what it says is worse than one that is not done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar, get_args

from tabvault.errors import CommandNotSupportedError
from tabvault.formats.xmla import commands as c
from tabvault.formats.xmla.discover_parser import parse_discover
from tabvault.formats.xmla.object_changes import VERBS, is_object_changes, parse_object_changes
from tabvault.formats.xmla.trace_parser import parse_trace
from tabvault.formats.xmla.xml_tree import (
    Fields,
    boolean,
    child_elements,
    echo,
    leaf_text,
    local_name,
    only_child,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

_SECURITIES: tuple[c.Security, ...] = get_args(c.Security)
_READ_WRITE_MODES: tuple[c.ReadWriteMode, ...] = get_args(c.ReadWriteMode)
"""Also the words that the documentation gives them; clients send exactly these."""


def parse_command(element: etree._Element) -> c.Command:
    """
    Read the one child of ``Command``.

    Raises:
        CommandNotSupportedError: a command of the protocol that this version does not do.
        RequestError: no command of the protocol, or not as the protocol has it.
    """
    return _batch(element) if local_name(element) == "Batch" else _batched(element)


def _batched(element: etree._Element) -> c.BatchedCommand:
    name = local_name(element)
    if is_object_changes(element):
        return parse_object_changes(element)
    parser = _PARSERS.get(name)
    if parser is not None:
        return parser(element)
    if name == "Batch":
        raise wrong(element, "stands inside another Batch")
    if name in _NOT_SUPPORTED or name in VERBS:
        raise CommandNotSupportedError(f"command {name} is not supported", line=element.sourceline)
    raise wrong(element, "is no command")


def _batch(element: etree._Element) -> c.Batch:
    found: list[c.BatchedCommand] = []
    for child in child_elements(element):
        if local_name(child) == "Parallel":  # how many at a time is a permission, not an order
            found += [_batched(inside) for inside in child_elements(child)]
        else:
            found.append(_batched(child))
    return c.Batch(_attribute(element, "Transaction", default=True), tuple(found))


def _attribute(element: etree._Element, name: str, *, default: bool) -> bool:
    text = element.get(name)
    return default if text is None else boolean(text, element)


_Word = TypeVar("_Word", bound=str)


def _choice(fields: Fields, name: str, words: tuple[_Word, ...]) -> _Word | None:
    text = (fields.text(name) or "").strip()
    if not text:
        return None
    found = next((word for word in words if word == text), None)
    if found is None:
        raise wrong(fields.require(name), f"is {echo(text)}, not one of {', '.join(words)}")
    return found


def _statement(element: etree._Element) -> c.Statement:
    return c.Statement(leaf_text(element))


def _object_id(fields: Fields, kind: str) -> str:
    return Fields(fields.require("Object"), (kind,)).required_text(kind)


def _backup(element: etree._Element) -> c.Backup:
    fields = Fields(
        element,
        (
            "Object",
            "File",
            "AllowOverwrite",
            "ApplyCompression",
            "BackupRemotePartitions",
            "Locations",
            "Security",
            "Password",
        ),
    )
    return c.Backup(
        database_id=_object_id(fields, "DatabaseID"),
        file=fields.required_text("File"),
        allow_overwrite=fields.boolean("AllowOverwrite", default=False),
        apply_compression=fields.boolean("ApplyCompression", default=True),
        backup_remote_partitions=fields.boolean("BackupRemotePartitions", default=False),
        locations=_locations(fields),
        security=_choice(fields, "Security", _SECURITIES),
        password=fields.text("Password") or None,
    )


def _restore(element: etree._Element) -> c.Restore:
    fields = Fields(
        element,
        (
            "File",
            "DatabaseName",
            "DatabaseID",
            "AllowOverwrite",
            "ReadWriteMode",
            "Locations",
            "Security",
            "DbStorageLocation",
            "IgnoreIncompatibilities",
            "ForceRestore",
            "Password",
        ),
    )
    return c.Restore(
        file=fields.required_text("File"),
        database_name=fields.text("DatabaseName") or None,
        database_id=fields.text("DatabaseID") or None,
        allow_overwrite=fields.boolean("AllowOverwrite", default=False),
        read_write_mode=_choice(fields, "ReadWriteMode", _READ_WRITE_MODES),
        locations=_locations(fields),
        security=_choice(fields, "Security", _SECURITIES),
        db_storage_location=fields.text("DbStorageLocation") or None,
        ignore_incompatibilities=fields.boolean("IgnoreIncompatibilities", default=False),
        force_restore=fields.boolean("ForceRestore", default=False),
        password=fields.text("Password") or None,
    )


def _locations(fields: Fields) -> tuple[c.Location, ...]:
    container = fields.get("Locations")
    return () if container is None else tuple(_location(child) for child in child_elements(container))


def _location(element: etree._Element) -> c.Location:
    fields = Fields(element, ("File", "DataSourceID", "DataSourceType", "ConnectionString", "Folders"))
    folders = fields.get("Folders")
    pairs = () if folders is None else tuple(_folder(child) for child in child_elements(folders))
    return c.Location(
        fields.text("File"),
        fields.text("DataSourceID"),
        fields.text("DataSourceType"),
        fields.text("ConnectionString"),
        pairs,
    )


def _folder(element: etree._Element) -> tuple[str, str]:
    fields = Fields(element, ("Original", "New"))
    return fields.text("Original") or "", fields.text("New") or ""


def _attach(element: etree._Element) -> c.Attach:
    fields = Fields(element, ("Folder", "Password", "ReadWriteMode", "AllowOverwrite"))
    return c.Attach(
        folder=fields.required_text("Folder"),
        read_write_mode=_choice(fields, "ReadWriteMode", _READ_WRITE_MODES),
        allow_overwrite=fields.boolean("AllowOverwrite", default=False),
        password=fields.text("Password") or None,
    )


def _detach(element: etree._Element) -> c.Detach:
    fields = Fields(element, ("Object", "Password"))
    return c.Detach(database_id=_object_id(fields, "DatabaseID"), password=fields.text("Password") or None)


def _delete(element: etree._Element) -> c.Delete:
    reference = only_child(Fields(element, ("Object",)).require("Object"))
    kind = local_name(reference)
    if kind not in ("DatabaseID", "TraceID"):
        raise CommandNotSupportedError(f"Delete of a {echo(kind)} is not supported", line=reference.sourceline)
    found = leaf_text(reference)
    if not found.strip():
        raise wrong(element, f"has an empty {kind}")
    ignore_failures = _attribute(element, "IgnoreFailures", default=False)
    if kind == "TraceID":
        return c.Delete(trace_id=found, ignore_failures=ignore_failures)
    return c.Delete(database_id=found, ignore_failures=ignore_failures)


def _alter(element: etree._Element) -> c.AlterDatabase | c.AlterTrace:
    fields = Fields(element, ("Object", "ObjectDefinition"))
    definition = only_child(fields.require("ObjectDefinition"))
    allow_create = _attribute(element, "AllowCreate", default=False)
    kind = _definition_kind(definition)
    if kind == "Trace":
        trace_id = _object_id(fields, "TraceID")
        return c.AlterTrace(trace_id=trace_id, allow_create=allow_create, **parse_trace(definition))
    return c.AlterDatabase(
        database_id=_object_id(fields, "DatabaseID"),
        allow_create=allow_create,
        object_expansion=element.get("ObjectExpansion"),
        **_database(definition),
    )


def _create(element: etree._Element) -> c.CreateDatabase | c.CreateTrace:
    fields = Fields(element, ("ParentObject", "ObjectDefinition"))
    parent = fields.get("ParentObject")
    if parent is not None and len(parent):
        raise CommandNotSupportedError("Create of an object inside a database is not supported", line=parent.sourceline)
    definition = only_child(fields.require("ObjectDefinition"))
    allow_overwrite = _attribute(element, "AllowOverwrite", default=False)
    if _definition_kind(definition) == "Trace":
        return c.CreateTrace(allow_overwrite=allow_overwrite, **parse_trace(definition))
    return c.CreateDatabase(allow_overwrite=allow_overwrite, **_database(definition))


def _definition_kind(definition: etree._Element) -> str:
    kind = local_name(definition)
    if kind not in ("Database", "Trace"):
        raise CommandNotSupportedError(f"a definition of {echo(kind)} is not supported", line=definition.sourceline)
    return kind


class _DatabaseProperties(TypedDict):
    id: str | None
    name: str | None
    description: str | None
    compatibility_level: int | None
    storage_engine_used: str | None
    read_write_mode: c.ReadWriteMode | None
    db_storage_location: str | None
    direct_query_mode: str | None
    language: int | None
    collation: str | None


_DATABASE_FIELDS = (
    "ID",
    "Name",
    "Description",
    "CompatibilityLevel",
    "StorageEngineUsed",
    "ReadWriteMode",
    "DbStorageLocation",
    "DirectQueryMode",
    "Language",
    "Collation",
)
_DATABASE_STATE = (
    "CreatedTimestamp",
    "LastSchemaUpdate",
    "LastUpdate",
    "LastProcessed",
    "State",
    "EstimatedSize",
    "Visible",
    "Version",
    "ModelType",
    "ProcessingMode",
    "ProcessingPriority",
    "CompatibilityMode",
    "AggregationPrefix",
    "DataSourceImpersonationInfo",
    "MasterDataSourceID",
)
"""What a server says of a database, and what only multidimensional ones have: sent back, without effect."""


def _database(definition: etree._Element) -> _DatabaseProperties:
    for child in child_elements(definition):
        if local_name(child) not in (*_DATABASE_FIELDS, *_DATABASE_STATE) and len(child):
            raise CommandNotSupportedError(
                f"a database with {echo(local_name(child))} is not supported",
                line=child.sourceline,
                hint="objects of a tabular model are created by TMSL or by rows",
            )
    fields = Fields(definition, (*_DATABASE_FIELDS, *_DATABASE_STATE))
    return _DatabaseProperties(
        id=fields.text("ID"),
        name=fields.text("Name"),
        description=fields.text("Description"),
        compatibility_level=fields.integer("CompatibilityLevel"),
        storage_engine_used=fields.text("StorageEngineUsed"),
        read_write_mode=_choice(fields, "ReadWriteMode", _READ_WRITE_MODES),
        db_storage_location=fields.text("DbStorageLocation") or None,
        direct_query_mode=fields.text("DirectQueryMode"),
        language=fields.integer("Language"),
        collation=fields.text("Collation"),
    )


def _trace_reference(element: etree._Element) -> tuple[str | None, str | None]:
    fields = Fields(element, ("Object", "SubscriptionId"))
    subscription_id = fields.text("SubscriptionId") or None
    trace_id = _object_id(fields, "TraceID") if "Object" in fields else None
    return subscription_id, trace_id


def _subscribe(element: etree._Element) -> c.Subscribe:
    return c.Subscribe(*_trace_reference(element))


def _unsubscribe(element: etree._Element) -> c.Unsubscribe:
    return c.Unsubscribe(*_trace_reference(element))


def _begin(element: etree._Element) -> c.BeginTransaction:
    Fields(element, ())
    return c.BeginTransaction()


def _commit(element: etree._Element) -> c.CommitTransaction:
    # Whether the transaction is also one of other connections makes no difference here.
    Fields(element, ("DurabilityGuarantee",))
    return c.CommitTransaction()


def _rollback(element: etree._Element) -> c.RollbackTransaction:
    Fields(element, ())
    return c.RollbackTransaction()


def _cancel(element: etree._Element) -> c.Cancel:
    fields = Fields(element, ("ConnectionID", "SessionID", "SPID", "CancelAssociated"))
    return c.Cancel(
        session_id=fields.text("SessionID") or None,
        connection_id=fields.integer("ConnectionID"),
        spid=fields.integer("SPID"),
        cancel_associated=fields.boolean("CancelAssociated", default=False),
    )


def _sequence_point(element: etree._Element) -> c.SequencePoint:
    return c.SequencePoint(Fields(element, ("DatabaseID",)).required_text("DatabaseID"))


_PARSERS: dict[str, Callable[[etree._Element], c.BatchedCommand]] = {
    "Statement": _statement,
    "Discover": parse_discover,
    "Backup": _backup,
    "Restore": _restore,
    "Attach": _attach,
    "Detach": _detach,
    "Delete": _delete,
    "Alter": _alter,
    "Create": _create,
    "Subscribe": _subscribe,
    "Unsubscribe": _unsubscribe,
    "BeginTransaction": _begin,
    "CommitTransaction": _commit,
    "RollbackTransaction": _rollback,
    "Cancel": _cancel,
    "SequencePoint": _sequence_point,
}

_NOT_SUPPORTED = frozenset(
    {
        "AuthenticateRequest",
        "ClearCache",
        "CloneDatabase",
        "CommitOverride",
        "DBCC",
        "DesignAggregations",
        "Drop",
        "ImageLoad",
        "ImageSave",
        "Insert",
        "Lock",
        "MergePartitions",
        "NotifyTableChange",
        "Process",
        "SetAuthContext",
        "SetPasswordEncryptionKey",
        "Synchronize",
        "Unlock",
        "Update",
        "UpdateCells",
        "Upgrade",
    }
)
"""Commands of [MS-SSAS] and [MS-SSAS-T] that are well known and not done by this version."""
