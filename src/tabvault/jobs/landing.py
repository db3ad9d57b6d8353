"""
From an opened backup to a committed database version: what restore and import share.

Invariants:

1. Everything that can be refused is refused before the first byte is written (:func:`preflight`).
2. The staged version is checked as a whole before it is committed, and committing is the data folder's one atomic
   step: a landing that fails at any point leaves the database that was there, and it goes on serving.
3. A file that is not edited is stored bit for bit. Edited are at most ``db.xml`` (name and ids) and
   ``metadata.sqlitedb`` (roles), and only where the caller asked for what they say to change.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from tabvault.errors import (
    CompatibilityError,
    ConsistencyError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    DatabaseReadOnlyError,
    FormatError,
    LimitError,
    XmlMetadataError,
)
from tabvault.formats.abf import backup_log, db_xml
from tabvault.formats.xmla.database_names import NOT_IN_DATABASE_NAME
from tabvault.jobs.database_name import check_database_name, id_problem
from tabvault.jobs.definition_file import definition_file
from tabvault.jobs.origin import Origin
from tabvault.model import consistency, security
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.storage.data_folder.manifest import FILE_COUNT_MAX

if TYPE_CHECKING:
    from tabvault.formats.abf.container import Container, StoredFile
    from tabvault.formats.abf.db_xml import DatabaseDefinition
    from tabvault.jobs.opening import OpenedBackup
    from tabvault.jobs.progress import ProgressMeter
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.data_folder.staging import StagedVersion
    from tabvault.storage.data_folder.version import VersionReader

Security = Literal["copyAll", "skipMembership", "ignoreSecurity"]
ReadWriteMode = Literal["readWrite", "readOnly", "readOnlyExclusive"]

MODE_WORDS: Final[dict[str, str]] = {
    "readWrite": "ReadWrite",
    "readOnly": "ReadOnly",
    "readOnlyExclusive": "ReadOnlyExclusive",
}
"""How XML spells a :data:`ReadWriteMode`: backup logs, XMLA and the rowsets."""

COMPATIBILITY_LEVEL_MIN: Final = 1200
COMPATIBILITY_LEVEL_MAX: Final = 1799
"""The documented levels with sqlite metadata begin with 12 to 17; a later one may mean what we do not know."""


@dataclass(frozen=True, slots=True)
class Landing:
    """A landing that :func:`preflight` found possible."""

    container: Container
    definition: DatabaseDefinition
    definition_name: str
    name: str
    id: str
    replaces: DatabaseInfo | None

    @property
    def raw_byte_count(self) -> int:
        """Bytes of all files, uncompressed."""
        return sum(file.byte_count for file in self.container.files.values())


@dataclass(frozen=True, slots=True)
class LandingOptions:
    """What may be asked of a landing; the defaults are those of Analysis Services."""

    overwrite: bool = False
    security: Security = "copyAll"
    read_write_mode: ReadWriteMode = "readWrite"
    ignore_incompatibilities: bool = False

    def __post_init__(self) -> None:
        # Whose roles a database gets must never depend on a word that was misspelt.
        if self.security not in get_args(Security):
            raise ValueError(f"security is {self.security!r}, not one of {', '.join(get_args(Security))}")
        if self.read_write_mode not in get_args(ReadWriteMode):
            raise ValueError(
                f"read_write_mode is {self.read_write_mode!r}, not one of {', '.join(get_args(ReadWriteMode))}"
            )


@dataclass(frozen=True, slots=True)
class Landed:
    """A committed landing. *warnings* are about roles, members and the model, for a person to read."""

    info: DatabaseInfo
    warnings: tuple[str, ...]


def preflight(folder: DataFolder, opened: OpenedBackup, name: str | None, options: LandingOptions) -> Landing:
    """
    Refuse what cannot be landed, before anything changes.

    Args:
        folder: the data folder.
        opened: the backup.
        name: name of the database, or None for the one in the backup.
        options: overwriting is looked at here.

    Raises:
        CompatibilityError: a compatibility level that is not supported.
        InvalidNameError: *name* cannot be a database's name.
        DatabaseExistsError: it exists and overwriting was not asked for.
        DatabaseReadOnlyError: it exists and is read-only.
        DiskFullError: not enough room in the data folder.
    """
    container = opened.container
    if len(container.files) > FILE_COUNT_MAX:
        raise LimitError(f"the backup has {len(container.files)} files, over the limit of {FILE_COUNT_MAX}")
    definition_name, definition = read_definition(container)
    target = check_database_name(name if name is not None else definition.name)
    replaces = _existing(folder, target)
    if replaces is not None:
        if not options.overwrite:
            raise DatabaseExistsError(
                f"database {replaces.name!r} exists and overwriting was not asked for",
                hint="allow overwriting, or choose another name",
            )
        if replaces.read_write_mode != "readWrite":
            raise DatabaseReadOnlyError(
                f"database {replaces.name!r} is {replaces.read_write_mode}",
                hint="drop it, or choose another name",
            )
    landing = Landing(
        container=container,
        definition=definition,
        definition_name=definition_name,
        name=target,
        id=_database_id(folder, definition, target, replaces),
        replaces=replaces,
    )
    folder.check_free_space(landing.raw_byte_count)
    return landing


def read_definition(container: Container) -> tuple[str, DatabaseDefinition]:
    """
    Name and content of ``db.xml``, when the model is one that we serve.

    Raises:
        XmlMetadataError: its compatibility level is one of models with XML metadata, and it has none.
        CompatibilityError: its compatibility level is not supported.
        FormatError: the backup has no such file, or it and the log disagree.
    """
    name, definition = definition_file(container)
    level = definition.compatibility_level
    if level < COMPATIBILITY_LEVEL_MIN:
        raise XmlMetadataError(
            f"the model has compatibility level {level}, whose metadata are XML files, and there are none",
            file=name,
        )
    if level > COMPATIBILITY_LEVEL_MAX:
        raise CompatibilityError(
            f"the model has compatibility level {level}, newer than {COMPATIBILITY_LEVEL_MAX}",
            hint="a newer tabvault may read it",
        )
    classes = {file.group_class for file in container.files.values()}
    if METADATA_FILE not in container.files or classes != {backup_log.DATABASE_CLASS, backup_log.TABULAR_CLASS}:
        raise FormatError(
            f"the log lists file groups of classes {sorted(classes)}, not 100002 and 100069", file="backup log"
        )
    log = container.log
    if (log.object_name, log.object_id) != (definition.name, definition.id):
        raise FormatError(
            f"the log is of {log.object_name!r} ({log.object_id!r}), db.xml of {definition.name!r} ({definition.id!r})",
            file=name,
        )
    return name, definition


def _existing(folder: DataFolder, name: str) -> DatabaseInfo | None:
    try:
        found = folder.find(name)
    except DatabaseNotFoundError:
        return None
    # find() also takes ids; a restore replaces by name only.
    return found if found.name.casefold() == name.casefold() else None


def _database_id(folder: DataFolder, definition: DatabaseDefinition, name: str, replaces: DatabaseInfo | None) -> str:
    """
    The id under which the database lands: the one in the file when it keeps its name, else one made from the new name.

    An id that another database already has gets a random tail; an id never moves from one database to another.
    """
    if id_problem(definition.id):
        raise FormatError(f"the database's id {definition.id[:80]!r} cannot be one", file="db.xml")
    wanted = definition.id if name == definition.name else "".join("_" if c in '\\/:*?"<>|' else c for c in name)
    taken = {info.id.casefold() for info in folder.databases() if replaces is None or info.key != replaces.key}
    return wanted if wanted.casefold() not in taken else f"{wanted[:400]}_{uuid.uuid4()}"


def land(folder: DataFolder, landing: Landing, options: LandingOptions, meter: ProgressMeter) -> Landed:
    """
    Write, check and commit.

    Raises:
        FormatError: a body is damaged.
        ConsistencyError: the files contradict each other.
        DatabaseError: the database that is replaced changed meanwhile.
        DiskFullError: no room after all.
        JobCancelledError: raised by the progress callback.
    """
    container = landing.container
    with contextlib.ExitStack() as stack:
        replaced = stack.enter_context(folder.read(landing.replaces)) if landing.replaces is not None else None
        staged = stack.enter_context(folder.stage())
        meter.step("restoring", landing.raw_byte_count)
        for file in container.files.values():
            _stage_file(landing, file, staged, replaced, meter)
        warnings = _apply_security(staged, replaced, options)
        meter.step("checking", None)
        warnings += check_staged(staged)
        info = staged.commit(
            name=landing.name,
            database_id=landing.id,
            compatibility_level=landing.definition.compatibility_level,
            read_write_mode=options.read_write_mode,
            container=Origin.of_container(container).to_json(),
            replaces=landing.replaces,
        )
    return Landed(info, (*warnings, *_name_warnings(info.name)))


def _name_warnings(name: str) -> list[str]:
    """Microsoft's clients refuse a whole server for one name that they do not like, so it is left out of their list."""
    disliked = sorted(set(NOT_IN_DATABASE_NAME.findall(name)))
    if not disliked:
        return []
    return [f"a database whose name has {' '.join(disliked)} is not shown to AMO and TOM, which refuse such names"]


def _stage_file(
    landing: Landing, file: StoredFile, staged: StagedVersion, replaced: VersionReader | None, meter: ProgressMeter
) -> None:
    """One file of the backup; where the database that is replaced has the same bytes, the two versions share them."""
    body = meter.counted(landing.container.body(file.name))
    moved = landing.name != landing.definition.name or landing.id != landing.definition.id
    name, byte_count = file.name, file.byte_count
    if moved and name == landing.definition_name:
        definition = _moved_definition(landing, b"".join(body))
        body, byte_count = iter([definition]), len(definition)
        name = f"{landing.id}.{landing.definition.object_version}.db.xml"
    about = {"byte_count": byte_count, "last_write_time": file.last_write_time, "group_class": file.group_class}
    if replaced is None:
        staged.add(name, body, **about)
    else:
        staged.add_or_share(replaced, name, body, **about)


def _moved_definition(landing: Landing, body: bytes) -> bytes:
    """``db.xml`` under the new name and id. A copy beside the original is another object with unique ids of its own."""
    return db_xml.edit(
        body,
        file=landing.definition_name,
        name=landing.name,
        id=landing.id,
        object_id=str(uuid.uuid4()).upper(),
        unique_id=str(uuid.uuid4()).upper(),
    )


def _apply_security(staged: StagedVersion, replaced: VersionReader | None, options: LandingOptions) -> list[str]:
    if options.security == "copyAll" and not options.ignore_incompatibilities:
        return []
    metadata = staged.path(METADATA_FILE)
    target = replaced.path(METADATA_FILE) if replaced is not None else None
    changes = []
    if options.security == "skipMembership":
        changes.append(security.skip_membership(metadata, target))
    elif options.security == "ignoreSecurity":
        changes.append(security.ignore_security(metadata, target))
    if options.ignore_incompatibilities:
        changes.append(security.drop_roles_without_read(metadata))
    staged.seal(METADATA_FILE)
    return [warning for change in changes for warning in change.warnings]


def check_staged(staged: StagedVersion) -> list[str]:
    """
    The consistency check before a commit.

    Returns:
        The warnings.

    Raises:
        ConsistencyError: the first thing that is wrong, and how many more there are.
    """
    with Metadata.open(staged.reading_path(METADATA_FILE)) as metadata:
        findings = consistency.check_consistency(metadata, load_model(metadata), staged)
    failed = [finding for finding in findings if finding.severity == "FAILED"]
    if failed:
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise ConsistencyError(
            f"{failed[0].subject}: {failed[0].message}{more}", hint="`tabvault verify` lists every finding"
        )
    return [f"{finding.subject}: {finding.message}" for finding in findings if finding.severity == "WARNING"]
