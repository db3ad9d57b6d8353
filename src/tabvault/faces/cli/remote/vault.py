"""
What commands do with a data folder, done by a server.

Files of this machine are read on this machine: only what is written ``storage:NAME``, and databases, are the server's.
A backup in its storage is looked into and verified by the server, and queried in place, by ranges.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from tabvault.errors import ObjectNotFoundError
from tabvault.faces.cli.remote.backup_storage import probe_of
from tabvault.faces.cli.remote.connection import quoted, unexpected
from tabvault.faces.cli.remote.documents import built, expected, with_times
from tabvault.faces.cli.remote.files import RemoteStore
from tabvault.faces.cli.remote.rows import answer_of
from tabvault.faces.cli.remote.tables import export_database
from tabvault.faces.cli.remote.uploads import upload_file
from tabvault.faces.cli.remote.waiting import result_of_job
from tabvault.formats.byte_source import pieces
from tabvault.jobs.backup import BackupResult
from tabvault.jobs.database_name import STORAGE_PREFIX, check_database_name
from tabvault.jobs.export import export_tables
from tabvault.jobs.file_or_database import default_database_name, is_file
from tabvault.jobs.inspect import Inspection, RoleSummary, TableSummary
from tabvault.jobs.listing import DatabaseListing, DetachedListing
from tabvault.jobs.model_creation import CreationResult, count_of, name_taken
from tabvault.jobs.model_files import definition_of, named_places, read_model_file
from tabvault.jobs.opening import open_backup
from tabvault.jobs.processing.result import FoldedColumn, RefreshedPartition, RefreshResult
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.query import query as query_opened
from tabvault.jobs.reading import OpenDatabase
from tabvault.jobs.restore import RestoreResult
from tabvault.jobs.vault import Vault
from tabvault.jobs.verification import Condition, Verification
from tabvault.storage.file_source import FileSource
from tabvault.storage.settings import BackupStorageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tabvault.faces.cli.remote.connection import ServerConnection
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.export import ExportedFile, ExportFormat
    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.processing.request import RefreshRequest
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.query import Answer
    from tabvault.jobs.storage_probe import Probe
    from tabvault.jobs.stored_folders import DescribedFile, StoredFolder
    from tabvault.storage.contract import ObjectInfo

_Result = TypeVar("_Result")


class RemoteVault:
    """
    The databases and the backup storage of a server; methods as those of :class:`tabvault.jobs.vault.Vault`.

    Args:
        connection: to the server.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.store = RemoteStore(connection)

    @property
    def settings(self) -> BackupStorageSettings:
        """Where the server's backups go."""
        return self._built(BackupStorageSettings, self._connection.get("/storage"))

    def files(self, folder: str | None, *, details: bool) -> tuple[Sequence[StoredFolder], Sequence[DescribedFile]]:
        """What is in a folder of the server's storage; all files for None."""
        return self.store.described(folder, details=details)

    def upload(
        self,
        name: str,
        source: ByteSource,
        *,
        replace: bool,
        key: str,
        progress: Callable[[Progress], None] | None,
    ) -> ObjectInfo:
        """A file of this machine into the server's storage; see :func:`~.uploads.upload_file`."""
        upload_file(self._connection, name, source, replace=replace, key=key, meter=ProgressMeter(progress))
        return self.store.info(name)

    def check_storage(self) -> Probe:
        """What a probe of the server's backup storage finds."""
        return probe_of(self._connection.send("POST", "/storage/check", {}), self._connection.url)

    def databases(self) -> list[DatabaseListing]:
        """Every database that the user may know of."""
        document = self._connection.get("/databases")
        with self._expected():
            return [
                self._built(DatabaseListing, with_times(one, "restored", "last_backup"))
                for one in document["databases"]
            ]

    def detached(self) -> list[DetachedListing]:
        """Every database out of service."""
        document = self._connection.get("/detached-databases")
        with self._expected():
            return [self._built(DetachedListing, with_times(one, "committed")) for one in document["databases"]]

    def database_name(self, database: str) -> str:
        """The name of the database that *database* names."""
        with self._expected():
            return str(self._connection.get(f"/databases/{quoted(database)}")["name"])

    def check_backup(self, database: str) -> None:
        """Raise what is wrong with a backup of *database* without any password."""
        self.database_name(database)

    def backup(
        self,
        database: str,
        file: str | None = None,
        *,
        overwrite: bool = False,
        compress: bool = True,
        password: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> BackupResult:
        """A backup into the server's storage."""
        options = {
            "file": None if file is None else file.removeprefix(STORAGE_PREFIX),
            "overwrite": overwrite,
            "compress": compress,
            "password": password,
        }
        return self._built(BackupResult, self._job(f"/databases/{quoted(database)}/backups", options, progress))

    def restore(
        self,
        file: str,
        database: str | None = None,
        *,
        overwrite: bool = False,
        password: str | None = None,
        security: Security = "copyAll",
        read_write_mode: ReadWriteMode = "readWrite",
        force: bool = False,
        ignore_incompatibilities: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> RestoreResult:
        """A restore from the server's storage."""
        options = {
            "file": file.removeprefix(STORAGE_PREFIX),
            "database": database,
            "overwrite": overwrite,
            "password": password,
            "security": security,
            "read_write_mode": read_write_mode,
            "force": force,
            "ignore_incompatibilities": ignore_incompatibilities,
        }
        return self._built(RestoreResult, self._job("/restores", options, progress))

    def import_file(
        self,
        path: str | Path,
        database: str | None = None,
        *,
        overwrite: bool = False,
        password: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> RestoreResult:
        """
        Make a database of a file of this machine, or of the server's storage.

        A file of this machine lies in the storage meanwhile, under a name that nobody has; it is removed at the end.
        """
        path = str(path)
        name = check_database_name(default_database_name(path) if database is None else database)
        if path.startswith(STORAGE_PREFIX):
            result = self.restore(path, name, overwrite=overwrite, password=password, progress=progress)
            return replace(result, file=path)
        passing = f"import-{secrets.token_hex(8)}{PurePath(path).suffix.lower() or '.abf'}"
        meter = ProgressMeter(progress)
        with FileSource(Path(path)) as source, contextlib.ExitStack() as stack:
            with self.store.create(passing, replace=False) as upload:
                meter.step("copying", source.byte_count)
                for piece in meter.counted(pieces(source)):
                    upload.write(piece)
                stack.callback(self._remove, passing)
                upload.finish()
            result = self.restore(passing, name, overwrite=overwrite, password=password, progress=progress)
        return replace(result, file=path)

    def create(
        self, database: str, model_file: Path, *, overwrite: bool = False, compatibility_level: int | None = None
    ) -> CreationResult:
        """A database of the server, of a model in a file or folder of this machine."""
        check_database_name(database)
        file = str(model_file)
        document = read_model_file(model_file)
        with named_places(file):
            definition = definition_of(document, name=database, compatibility_level=compatibility_level)
        level = definition.compatibility_level
        assert level is not None, "the definition has a level"
        content = {"name": database, "compatibilityLevel": level, "model": document.get("model", {})}
        existing = [one.name for one in self.databases() if one.name.casefold() == database.casefold()]
        if existing and not overwrite:
            raise name_taken(existing[0])
        with named_places(file):
            made = self._job(f"/databases?overwrite={'true' if overwrite else 'false'}", content, None)
        with self._expected():
            return CreationResult(
                database=str(made["database"]),
                id=str(made["id"]),
                compatibility_level=level,
                file=file,
                table_count=count_of(definition, "Table"),
                measure_count=count_of(definition, "Measure"),
                replaced=bool(existing),
                warnings=tuple(str(warning) for warning in made["warnings"]),
            )

    def script(self, database: str) -> dict[str, Any]:
        """The model of a database of the server."""
        document = self._connection.get(f"/databases/{quoted(database)}/model")
        if not isinstance(document, dict):
            raise unexpected(self._connection.url)
        return document

    def drop(self, database: str) -> None:
        """Remove a database; its backups stay."""
        result_of_job(self._connection, "DELETE", f"/databases/{quoted(database)}", None, None)

    def refresh(
        self, database: str, request: RefreshRequest, *, progress: Callable[[Progress], None] | None = None
    ) -> RefreshResult:
        """The rows of a database of the server read anew."""
        options = {
            "type": request.kind.value,
            "objects": [asdict(target) for target in request.targets] or None,
            "keep_calculated": request.keep_calculated,
            "max_parallelism": request.parallelism,
        }
        document = self._job(f"/databases/{quoted(database)}/refreshes", options, progress)
        with self._expected():
            partitions = tuple(self._built(RefreshedPartition, one) for one in document["partitions"])
            folded = tuple(self._built(FoldedColumn, one) for one in document["folded"])
            return self._built(RefreshResult, {**document, "partitions": partitions, "folded": folded})

    def inspect(
        self, path: str, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
    ) -> Inspection:
        """What a backup holds: of the server's storage by the server, of this machine here."""
        if not path.startswith(STORAGE_PREFIX):
            with Vault() as here:
                return here.inspect(path, password=password, progress=progress)
        content = {"file": path.removeprefix(STORAGE_PREFIX), "password": password}
        document = self._connection.send("POST", "/inspections", content)
        with self._expected():
            tables = tuple(self._built(TableSummary, table) for table in document["tables"])
            roles = tuple(self._built(RoleSummary, role) for role in document["roles"])
            return self._built(Inspection, {**document, "tables": tables, "roles": roles})

    def verify(
        self, path_or_database: str, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
    ) -> Verification:
        """Everything of a backup or a database read and checked."""
        if path_or_database.startswith(STORAGE_PREFIX):
            content = {"file": path_or_database.removeprefix(STORAGE_PREFIX), "password": password}
            document = self._job("/verifications", content, progress)
        elif is_file(path_or_database):
            with Vault() as here:
                return here.verify(path_or_database, password=password, progress=progress)
        else:
            document = self._job(f"/databases/{quoted(path_or_database)}/verifications", {}, progress)
        with self._expected():
            conditions = tuple(self._built(Condition, condition) for condition in document["conditions"])
            return Verification(conditions, float(document["seconds"]))

    @contextlib.contextmanager
    def query(
        self, database: str, text: str, *, password: str | None = None, timeout_s: float | None = None
    ) -> Iterator[Answer]:
        """Ask a database of the server, or a backup file, one question."""
        if is_file(database):
            with (
                self._opened(database, password) as opened,
                query_opened(opened, text, catalogs=[opened.entry], timeout_s=timeout_s) as answer,
            ):
                yield answer
            return
        with answer_of(self._connection, database, text, timeout_s=timeout_s) as answer:
            yield answer

    def export(
        self,
        path_or_database: str,
        to: Path | str,
        *,
        format_: ExportFormat = "parquet",
        table: str | None = None,
        password: str | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[ExportedFile]:
        """Tables into files of this machine."""
        if is_file(path_or_database):
            with self._opened(path_or_database, password) as opened:
                return export_tables(opened, Path(to), format_=format_, table=table, progress=progress)
        return export_database(
            lambda text: self.query(path_or_database, text),
            Path(to),
            format_=format_,
            table=table,
            progress=progress,
        )

    @contextlib.contextmanager
    def _opened(self, path: str, password: str | None) -> Iterator[OpenDatabase]:
        with contextlib.ExitStack() as stack:
            source: ByteSource
            if path.startswith(STORAGE_PREFIX):
                source = stack.enter_context(self.store.open(path.removeprefix(STORAGE_PREFIX)))
            else:
                source = stack.enter_context(FileSource(Path(path)))
            opened = stack.enter_context(open_backup(source, password=password))
            yield stack.enter_context(OpenDatabase.of_container(opened.container))

    def _job(self, path: str, options: Mapping[str, object], progress: Callable[[Progress], None] | None) -> Any:
        return result_of_job(self._connection, "POST", path, options, progress)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(ObjectNotFoundError):
            self.store.remove(name)

    def _expected(self) -> AbstractContextManager[None]:
        return expected(self._connection.url)

    def _built(self, kind: type[_Result], document: Any) -> _Result:
        return built(kind, document, self._connection.url)
