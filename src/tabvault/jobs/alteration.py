"""
Changing the objects of a database.

An alteration works on a copy of the metadata that nobody else sees; a commit makes a new version of the database with
it, in which every file that did not change is shared with the old one. Invariants:

1. Until the commit the database is as it was, for everybody but the owner of the alteration.
2. A commit is all or nothing, and only on the version that the alteration began with: if another one was committed
   meanwhile, nothing is lost by either side, and this one is refused.
3. What is committed passed the same consistency check as a restore.
4. A password that a data source brings is bound on the server, and is not in what is committed.
"""

from __future__ import annotations

import datetime
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal, Self

from tabvault.engine.dax.inference import inferred_type
from tabvault.errors import DatabaseReadOnlyError
from tabvault.formats.abf import backup_log, db_xml
from tabvault.formats.byte_source import MemorySource, pieces
from tabvault.jobs.altered_files import AlteredFiles
from tabvault.jobs.data_source_secrets import bound_secrets, take_secrets
from tabvault.jobs.database_name import check_database_name
from tabvault.jobs.landing import check_staged
from tabvault.model import filetime
from tabvault.model.changes.apply import change_metadata
from tabvault.model.changes.processed_storage import write_processed
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from types import TracebackType

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.data_source_secrets import TakenSecret
    from tabvault.model.changes.apply import Affected
    from tabvault.model.changes.change import Change, Verb
    from tabvault.model.file_set import FileSet
    from tabvault.model.processed import Processed
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.data_folder.staging import StagedVersion
    from tabvault.storage.data_folder.version import VersionReader


class Alteration:
    """
    Changes to one database; a context manager. For one thread at a time.

    Args:
        folder: the data folder.
        database: which one.

    Raises:
        DatabaseNotFoundError: there is none.
        DatabaseReadOnlyError: it is read-only.
        DataFolderDamagedError: it is damaged.

    Attributes:
        folder: the data folder.
        resources: what lives as long as the alteration.
    """

    def __init__(self, folder: DataFolder, database: str | DatabaseInfo) -> None:
        self.folder = folder
        self.resources = ExitStack()
        with ExitStack() as stack:
            self._reader: VersionReader = stack.enter_context(folder.read(database))
            _require_writable(self.info)
            self._original = self._content = bytes(self._reader.read(METADATA_FILE))
            self.resources = stack.pop_all()
        self._name = self.info.name
        self._verbs: set[Verb | Literal["process"]] = set()
        self._added: dict[str, ByteSource] = {}
        self._secrets: list[TakenSecret] = []
        self._dropped: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def info(self) -> DatabaseInfo:
        """The version that is changed."""
        return self._reader.info

    @property
    def files(self) -> FileSet:
        """Its files, with the changes made so far; without those of the metadata, see :meth:`metadata`."""
        return AlteredFiles(self._reader, dropped=self._dropped, added=self._added)

    @property
    def definition(self) -> db_xml.DatabaseDefinition:
        """
        What ``db.xml`` says.

        Raises:
            FormatError: it is not there, or damaged.
        """
        name = next((name for name in self._reader.names() if _is_definition(name)), "db.xml")
        return db_xml.parse(self._reader.read(name), file=name)

    @property
    def added_byte_count(self) -> int:
        """Bytes of the files that a commit would add, the metadata aside."""
        return sum(body.byte_count for body in self._added.values())

    @property
    def is_changed(self) -> bool:
        """Whether a commit would change anything."""
        return self._content is not self._original or self._name != self.info.name

    @property
    def is_refresh(self) -> bool:
        """Whether it is about values and leaves every object as it is."""
        return self._verbs <= {"clear", "process"} and self._name == self.info.name

    @contextmanager
    def metadata(self) -> Iterator[Metadata]:
        """The metadata with the changes made so far."""
        with Metadata.from_bytes(self._content) as metadata:
            yield metadata

    def change(self, changes: Sequence[Change]) -> tuple[Affected, ...]:
        """Make changes; all or none. Errors as :func:`tabvault.model.changes.apply.change_metadata`."""
        changed = change_metadata(
            self._content,
            changes,
            compatibility_level=self.info.compatibility_level,
            now=datetime.datetime.now(datetime.UTC),
            infer=inferred_type,
        )
        self._verbs |= {change.verb for change in changes}
        self._content, secrets = take_secrets(changed.content, before=self._content)
        self._secrets += secrets
        added = {name: MemorySource(body) for name, body in changed.added_files.items()}
        self._replace_files(changed.dropped_files, added)
        return changed.affected

    def process(self, processed: Processed) -> None:
        """
        Write down what a processing made of tables; the bodies have to be there until the commit.

        Raises:
            ModelError: it is not about the objects of this database.
        """
        written = write_processed(self._content, processed, now=datetime.datetime.now(datetime.UTC))
        self._verbs.add("process")
        self._content = written.content
        self._replace_files(written.dropped_files, written.added_files)

    def _replace_files(self, dropped: Collection[str], added: Mapping[str, ByteSource]) -> None:
        """A file that is both dropped and added has a new body."""
        self._dropped.update(dropped)
        for name in dropped:
            self._added.pop(name, None)
        self._added.update(added)

    def rename(self, name: str) -> None:
        """
        Give the database another name; its id stays.

        Raises:
            InvalidNameError: no database can have that name.
        """
        self._name = check_database_name(name)

    def commit(self) -> DatabaseInfo:
        """
        Make the changes those of the database.

        Raises:
            ConsistencyError: the files and the metadata would contradict each other.
            DatabaseError: the database changed meanwhile, or another one has the new name.
            StorageError: it cannot be written.
        """
        if not self.is_changed:
            return self.info
        with ExitStack() as stack:
            staged = stack.enter_context(self.folder.stage())
            for name in self._reader.names():
                if name == METADATA_FILE:
                    continue
                if _is_definition(name) and self._name != self.info.name:
                    definition = db_xml.edit(self._reader.read(name), file=name, name=self._name)
                    _add(staged, name, definition, backup_log.DATABASE_CLASS)
                elif name not in self._dropped and name not in self._added:
                    staged.link(self._reader, name)
            for name, body in self._added.items():
                _add_body(staged, name, body, backup_log.TABULAR_CLASS)
            # Last, as in every backup of an engine.
            if self._content is self._original:
                staged.link(self._reader, METADATA_FILE)
            else:
                _add(staged, METADATA_FILE, self._content, backup_log.TABULAR_CLASS)
            check_staged(staged)
            stack.enter_context(bound_secrets(self.folder.path, self.info.id, self._secrets))
            return staged.commit(
                name=self._name,
                database_id=self.info.id,
                compatibility_level=self.info.compatibility_level,
                read_write_mode=self.info.read_write_mode,
                container=self._reader.manifest.container,
                replaces=self.info,
            )

    def close(self) -> None:
        """Forget the changes that were not committed. Twice is allowed."""
        self.resources.close()


def _is_definition(name: str) -> bool:
    return name.endswith(".db.xml") and "\\" not in name


def _require_writable(info: DatabaseInfo) -> None:
    if info.read_write_mode != "readWrite":
        raise DatabaseReadOnlyError(
            f"database {info.name!r} is {info.read_write_mode}",
            hint="detach it and attach it for reading and writing",
        )


def _add(staged: StagedVersion, name: str, body: bytes, group_class: int) -> None:
    _add_body(staged, name, MemorySource(body), group_class)


def _add_body(staged: StagedVersion, name: str, body: ByteSource, group_class: int) -> None:
    staged.add(name, pieces(body), byte_count=body.byte_count, last_write_time=filetime.now(), group_class=group_class)
