"""
A new database with a model that has no tables yet.

It consists of what the smallest genuine database has: ``db.xml``, the key file and ``metadata.sqlitedb``.
"""

from __future__ import annotations

import datetime
import secrets
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tabvault.engine.dax.inference import inferred_type
from tabvault.formats.abf import backup_log, crypt_key, db_xml, writer
from tabvault.formats.abf.desktop_writer import LOG_FIELDS
from tabvault.jobs.data_source_secrets import bound_secrets, take_secrets
from tabvault.jobs.database_name import check_database_name
from tabvault.jobs.landing import check_staged
from tabvault.jobs.origin import Origin
from tabvault.model import filetime
from tabvault.model.changes.apply import change_metadata
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.tree_changes import ExistingObjects
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.secrets import SECRET_COLUMNS, kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.model.changes.change import Change
    from tabvault.model.tmsl.tree import TabularObject
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder

LANGUAGE: Final = 1033
"""LCID of English (United States): the language of a database whose maker names none."""


def create_database(
    folder: DataFolder,
    name: str,
    *,
    id: str | None = None,  # noqa: A002 - the word of the protocol
    compatibility_level: int,
    model: TabularObject | None = None,
    language: int = LANGUAGE,
    collation: str = "",
    replaces: DatabaseInfo | None = None,
) -> DatabaseInfo:
    """
    Make a database.

    Args:
        folder: the data folder.
        name: of the database.
        id: of the database; its name by default.
        compatibility_level: from 1200.
        model: what its model is; one without tables by default.
        language: LCID.
        collation: empty for the server's.
        replaces: a database that it takes the place of, in one step.

    Raises:
        InvalidNameError: no database can have that name or id.
        CompatibilityError: no schema is known for the level.
        RequestError: such a model cannot be made.
        DatabaseExistsError: another database has the name or the id.
        StorageError: it cannot be written.
    """
    check_database_name(name)
    database_id = check_database_name(id) if id else name
    now = datetime.datetime.now(datetime.UTC)
    content = new_metadata(compatibility_level, now=now)
    with Metadata.from_bytes(content) as metadata:
        changes = ExistingObjects(metadata).replace_changes(model) if model is not None else []
    if replaces is not None:
        changes = _with_secrets(changes, folder, replaces)
    changed = change_metadata(content, changes, compatibility_level=compatibility_level, now=now, infer=inferred_type)
    content, secrets_taken = take_secrets(changed.content, before=None)
    definition = db_xml.build(
        name=name,
        id=database_id,
        object_id=str(uuid.uuid4()).upper(),
        unique_id=str(uuid.uuid4()).upper(),
        compatibility_level=compatibility_level,
        language=language,
        collation=collation,
        created=now,
    )
    files = [
        (f"{database_id}.0.db.xml", definition, backup_log.DATABASE_CLASS),
        ("0.CryptKey.bin", _new_key_file(), backup_log.DATABASE_CLASS),
        *((added, body, backup_log.TABULAR_CLASS) for added, body in changed.added_files.items()),
        (METADATA_FILE, content, backup_log.TABULAR_CLASS),
    ]
    origin = Origin(dict(LOG_FIELDS), (), (str(language),), writer.EMPTY_PARTITIONS, None)
    with folder.stage() as staged:
        for file, body, group_class in files:
            staged.add(file, [body], byte_count=len(body), last_write_time=filetime.now(), group_class=group_class)
        check_staged(staged)
        with bound_secrets(folder.path, database_id, secrets_taken):
            return staged.commit(
                name=name,
                database_id=database_id,
                compatibility_level=compatibility_level,
                read_write_mode="readWrite",
                container=origin.to_json(),
                replaces=replaces,
            )


def _with_secrets(changes: Sequence[Change], folder: DataFolder, replaces: DatabaseInfo) -> list[Change]:
    """
    The same changes, with the secrets that data sources of the same name have in the database that is replaced.

    No export says them. A mask in their place means the stored one, and a password that is not said is not forgotten.

    Raises:
        RequestError: a mask means a secret that is not stored.
    """
    type_ = OBJECT_TYPES["DataSource"]
    columns = [column for type_name, column in SECRET_COLUMNS if type_name == type_.name]
    unsaid = [prop.name for prop in type_.properties if prop.is_secret]
    with folder.read(replaces) as version, Metadata.open(version.path(METADATA_FILE)) as metadata:
        stored = {row["Name"]: row for row in metadata.rows(type_.name, ["Name", *{*columns, *unsaid}])}

    def with_secrets(change: Change) -> Change:
        row = stored.get(change.cells.get("Name"))
        if row is None or change.type is not type_ or change.verb != "create":
            return change
        cells = {**{column: row[column] for column in unsaid if row[column]}, **change.cells}
        for column in columns:
            given, secret = cells.get(column), row[column]
            if isinstance(given, str) and isinstance(secret, str):
                cells[column] = kept(type_.name, column, given, stored=secret, place=change.place)
        return replace(change, cells=cells)

    return [with_secrets(change) for change in changes]


def _new_key_file() -> bytes:
    """A key of this database alone."""
    padding = bytes(secrets.choice(range(1, 256)) for _ in range(37))
    return crypt_key.build(secrets.token_bytes(24), padding)
