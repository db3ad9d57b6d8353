"""
Changes to the objects of a database: metadata in, changed metadata out.

Invariants:

1. All changes of a sequence are made, or none: the file that comes in is never touched.
2. What comes out is consistent by the conditions of :mod:`tabvault.model.consistency` that ask the metadata alone, and
   loads as a model. With the files that the result adds, and without those that it drops, the others hold as well.
3. A row, cell, table or column that no change is about stays as it is.
4. Values that are there stay readable. What has no values yet has no storage in a table with rows, and reading it is a
   named error; a table without rows reads as no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabvault.model import filetime
from tabvault.model.changes.application import Application
from tabvault.model.changes.inferred_types import set_inferred_types
from tabvault.model.changes.refusals import refuse
from tabvault.model.changes.requirements import require_consistent
from tabvault.model.changes.resolution import is_system_table
from tabvault.model.changes.rows import Rows
from tabvault.model.changes.states import States
from tabvault.model.changes.storage import NewStorage
from tabvault.model.edit import MetadataEdit
from tabvault.model.load_storage import storage_file_names
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping, Sequence

    from tabvault.model.changes.change import Change
    from tabvault.model.changes.inferred_types import Infer

_COMMIT_TIMES = ("LASTCOMMITTED", "LASTMETADATACHANGEFORSYNCCOMMITTED")
_SCHEMA_TIME = "LASTCUBESCHEMACHANGE"
_DATA_TIME = "LASTCUBEDATACHANGE"
"""Properties of ``DBPROPERTIES`` that say when metadata or values changed."""


@dataclass(frozen=True, slots=True)
class Affected:
    """An object that a change created, altered or deleted along with what belongs to it: *verb* says which."""

    verb: str
    type: str
    id: int


@dataclass(frozen=True, slots=True)
class ChangedMetadata:
    """
    The outcome of a sequence of changes.

    Attributes:
        content: the changed ``metadata.sqlitedb``.
        added_files: files that the metadata name and the database does not have yet, or has with another content, by
            logical name.
        dropped_files: logical names of files that the metadata do not name any more.
        affected: objects in the order of their ids.
    """

    content: bytes
    added_files: Mapping[str, bytes]
    dropped_files: frozenset[str]
    affected: tuple[Affected, ...]


def change_metadata(
    content: bytes, changes: Sequence[Change], *, compatibility_level: int, now: datetime.datetime, infer: Infer
) -> ChangedMetadata:
    """
    Make changes to the objects of a database.

    Args:
        content: its ``metadata.sqlitedb``.
        changes: what to do, in order; references among them may lead forward.
        compatibility_level: of the database, which its metadata do not say.
        now: the time of the changes, with its zone.
        infer: tells the data type of an expression of a calculated column.

    Raises:
        RequestError: a change that an engine refuses; object and reason are in the message.
        CompatibilityError: a change that the database's compatibility level or schema version has no place for.
        FormatError: *content* is damaged.
        ModelError: *content* contradicts itself.
    """
    if not changes:
        return ChangedMetadata(content, {}, frozenset(), ())
    with Metadata.from_bytes(content) as metadata:
        require_consistent(metadata)
        old_names = frozenset(storage_file_names(metadata).values())
        edit = MetadataEdit(metadata)
        rows = Rows(metadata, edit)
        types_before = _types_of_objects(rows)
        time = filetime.of(now)
        application = Application(rows, compatibility_level=compatibility_level, time=time)
        application.run(changes)
        refuse(application)
        set_inferred_types(application, infer)
        added_files = _complete(application, schema_version=metadata.schema_version)
    rows.write()
    verbs = {change.verb for change in changes}
    times = {*_COMMIT_TIMES, *(_DATA_TIME if verb == "clear" else _SCHEMA_TIME for verb in verbs)}
    for name in sorted(times):
        edit.set_property(name, time)
    changed = edit.content(content)
    with Metadata.from_bytes(changed) as metadata:
        require_consistent(metadata)
        new_names = frozenset(storage_file_names(metadata).values())
    return ChangedMetadata(changed, added_files, old_names - new_names, _affected(application, types_before))


def _complete(application: Application, *, schema_version: int) -> dict[str, bytes]:
    """Give storage and states to what was created or lost its values; returns the new files."""
    rows = application.rows
    storage = NewStorage(rows, schema_version=schema_version)
    states = States(rows, storage)
    for table_id in application.incomplete_tables:
        if table_id in rows["Table"]:
            storage.complete(table_id)
            states.set_for_table(table_id)
    states.set_for_relationships()
    return storage.files


def _types_of_objects(rows: Rows) -> dict[int, str]:
    """The types of the objects that clients know of: not of storage, nor of system tables."""
    system = {key for key, row in rows["Table"].items() if is_system_table(row)}
    return {
        row_id: name
        for name, type_ in OBJECT_TYPES.items()
        for row_id, row in rows[type_.table].items()
        if row_id not in system and row.get("TableID") not in system
    }


def _affected(application: Application, types_before: Mapping[int, str]) -> tuple[Affected, ...]:
    affected = [Affected("create", type_.name, row_id) for row_id, type_ in application.created.items()]
    affected += [Affected("alter", type_.name, row_id) for row_id, type_ in application.altered.items()]
    affected += [
        Affected("delete", types_before[row_id], row_id) for row_id in application.removed if row_id in types_before
    ]
    return tuple(sorted(affected, key=lambda one: one.id))
