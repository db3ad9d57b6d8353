"""What the tests of this folder share: changes in few words, and a look at the outcome."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from model.genuine import MemoryFiles
from tabvault.engine.dax.inference import inferred_type
from tabvault.formats.xmla.commands import Batch, ObjectChanges
from tabvault.formats.xmla.request import parse_request
from tabvault.model.changes.apply import ChangedMetadata, change_metadata
from tabvault.model.changes.change import Change
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.row_changes import row_changes
from tabvault.model.consistency import check_consistency
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES

if TYPE_CHECKING:
    from tabvault.model.objects import Model

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
EVERYTHING_REQUEST = Path(__file__).with_name("everything.request.xml")
"""
The request by which Microsoft's client (AMO 19.118) creates a model of 32 types of objects, recorded on a connection to
a server of ours; the ids of session and activity are blanked.
"""

Rows = dict[str, dict[int, dict[str, object]]]


def change(verb, type_name, /, path=None, **cells) -> Change:
    """*path* is references by name, by column."""
    return Change(verb, OBJECT_TYPES[type_name], cells, path or {}, f"{verb}.{type_name}")


def changed(content: bytes, *changes: Change, level: int = 1605) -> ChangedMetadata:
    return change_metadata(content, changes, compatibility_level=level, now=NOW, infer=inferred_type)


def everything_changes() -> list[Change]:
    command = parse_request(EVERYTHING_REQUEST.read_bytes()).operation.command
    assert isinstance(command, Batch)
    commands = [inner for inner in command.commands if isinstance(inner, ObjectChanges)]
    return [one for inner in commands for one in row_changes(inner)]


@cache
def everything() -> ChangedMetadata:
    return changed(new_metadata(1605, now=NOW), *everything_changes())


def rows_of(content: bytes) -> Rows:
    """Every row that has an id, by table and id."""
    with Metadata.from_bytes(content) as metadata:
        tables = [table for table in metadata.table_names() if table != "DBPROPERTIES"]
        return {table: {row["ID"]: row for row in metadata.rows(table)} for table in tables}


def model_of(content: bytes) -> Model:
    with Metadata.from_bytes(content) as metadata:
        return load_model(metadata)


def files_after(outcome: ChangedMetadata, before: dict[str, bytes]) -> MemoryFiles:
    bodies = {**before, **outcome.added_files, METADATA_FILE: outcome.content}
    for name in outcome.dropped_files:
        del bodies[name]
    return MemoryFiles(bodies)


def not_ok(outcome: ChangedMetadata, before: dict[str, bytes]) -> list[str]:
    """What the consistency check finds after the changes, warnings included."""
    with Metadata.from_bytes(outcome.content) as metadata:
        findings = check_consistency(metadata, load_model(metadata), files_after(outcome, before))
    return [f"{finding.subject}: {finding.message}" for finding in findings if finding.severity != "OK"]
