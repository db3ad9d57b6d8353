"""What every command begins with: the vault it works on, here or on a server, and the progress it shows meanwhile."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from tabvault.errors import DatabaseNotFoundError, FormatError, ObjectNotFoundError, StorageError, TabvaultError
from tabvault.faces.cli import memory
from tabvault.faces.cli.progress_bar import ProgressBar
from tabvault.jobs.database_name import STORAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tabvault.faces.cli.remote.connection import ServerConnection
    from tabvault.faces.cli.remote.vault import RemoteVault
    from tabvault.faces.cli.target import Server, Target
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.backup import BackupResult
    from tabvault.jobs.export import ExportedFile, ExportFormat
    from tabvault.jobs.inspect import Inspection
    from tabvault.jobs.landing import ReadWriteMode, Security
    from tabvault.jobs.listing import DatabaseListing, DetachedListing
    from tabvault.jobs.model_creation import CreationResult
    from tabvault.jobs.processing.request import RefreshRequest
    from tabvault.jobs.processing.result import RefreshResult
    from tabvault.jobs.progress import Progress
    from tabvault.jobs.query import Answer
    from tabvault.jobs.restore import RestoreResult
    from tabvault.jobs.storage_probe import Probe
    from tabvault.jobs.stored_folders import DescribedFile, StoredFolder
    from tabvault.jobs.verification import Verification
    from tabvault.storage.contract import ObjectInfo, StoredObject
    from tabvault.storage.settings import BackupStorageSettings


class CommandUpload(Protocol):
    """A file on its way into the backup storage; see :class:`tabvault.storage.contract.Upload`."""

    def write(self, data: bytes | memoryview) -> None:
        """Append *data*."""
        ...

    def finish(self) -> ObjectInfo:
        """Publish it."""
        ...


class CommandStore(Protocol):
    """What commands do with the backup storage; see :class:`tabvault.storage.contract.ObjectStore`."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The files whose names begin with *prefix*, by name."""
        ...

    def info(self, name: str) -> ObjectInfo:
        """What is known of a file."""
        ...

    def create(self, name: str, *, replace: bool) -> AbstractContextManager[CommandUpload]:
        """Begin a file."""
        ...

    def open(self, name: str) -> StoredObject:
        """Open a file for reading."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...


class CommandVault(Protocol):
    """What commands do with databases and backups, here (:class:`tabvault.jobs.vault.Vault`) or on a server."""

    @property
    def settings(self) -> BackupStorageSettings:
        """Where backups go."""
        ...

    @property
    def store(self) -> CommandStore:
        """The backup storage."""
        ...

    def files(self, folder: str | None, *, details: bool) -> tuple[Sequence[StoredFolder], Sequence[DescribedFile]]:
        """What is in a folder of the backup storage; all files for None."""
        ...

    def upload(
        self,
        name: str,
        source: ByteSource,
        *,
        replace: bool,
        key: str,
        progress: Callable[[Progress], None] | None,
    ) -> ObjectInfo:
        """A file of this machine into the backup storage; *key* names it, so that what was cut off may go on."""
        ...

    def check_storage(self) -> Probe:
        """What a probe of the backup storage finds."""
        ...

    def databases(self) -> list[DatabaseListing]:
        """Every database."""
        ...

    def detached(self) -> list[DetachedListing]:
        """Every database out of service."""
        ...

    def database_name(self, database: str) -> str:
        """The name of the database that *database*, its name or id, names."""
        ...

    def check_backup(self, database: str) -> None:
        """Raise what is wrong with a backup of *database* without any password."""
        ...

    def backup(
        self,
        database: str,
        file: str | None,
        *,
        overwrite: bool,
        compress: bool,
        password: str | None,
        progress: Callable[[Progress], None] | None,
    ) -> BackupResult:
        """A backup of a database."""
        ...

    def restore(
        self,
        file: str,
        database: str | None,
        *,
        overwrite: bool,
        password: str | None,
        security: Security,
        read_write_mode: ReadWriteMode,
        force: bool,
        ignore_incompatibilities: bool,
        progress: Callable[[Progress], None] | None,
    ) -> RestoreResult:
        """A database of a backup in the storage."""
        ...

    def import_file(
        self,
        path: str,
        database: str | None,
        *,
        overwrite: bool,
        password: str | None,
        progress: Callable[[Progress], None] | None,
    ) -> RestoreResult:
        """A database of a file anywhere."""
        ...

    def create(
        self, database: str, model_file: Path, *, overwrite: bool, compatibility_level: int | None
    ) -> CreationResult:
        """A database of a model in a file or folder of this machine."""
        ...

    def script(self, database: str) -> dict[str, Any]:
        """The model of a database, as the ``database`` object of TMSL."""
        ...

    def drop(self, database: str) -> None:
        """Remove a database."""
        ...

    def refresh(
        self, database: str, request: RefreshRequest, *, progress: Callable[[Progress], None] | None
    ) -> RefreshResult:
        """The rows of a database read anew."""
        ...

    def inspect(self, path: str, *, password: str | None, progress: Callable[[Progress], None] | None) -> Inspection:
        """What a backup holds."""
        ...

    def verify(
        self, path_or_database: str, *, password: str | None, progress: Callable[[Progress], None] | None
    ) -> Verification:
        """Everything of a backup or a database read and checked."""
        ...

    def query(
        self, database: str, text: str, *, password: str | None, timeout_s: float | None
    ) -> AbstractContextManager[Answer]:
        """One question to a database or a backup."""
        ...

    def export(
        self,
        path_or_database: str,
        to: Path,
        *,
        format_: ExportFormat,
        table: str | None,
        password: str | None,
        progress: Callable[[Progress], None] | None,
    ) -> list[ExportedFile]:
        """Tables into files of this machine."""
        ...


@contextlib.contextmanager
def open_vault(target: Target, *, file: str | None = None) -> Iterator[CommandVault]:
    """
    The vault that *target* names; of a data folder nothing is locked or made yet.

    A data folder that a server of the same user owns is worked on through that server.

    Args:
        target: a data folder or a server.
        file: what the command line names to be read. If it is not found, the hint says where such files are.
    """
    with contextlib.ExitStack() as stack:
        vault: CommandVault
        if target.server is not None:
            vault = _remote_vault(connected(target.server))
        else:
            # It loads pyarrow and numpy, and --help needs neither.
            from tabvault.faces.cli.local_vault import LocalVault  # noqa: PLC0415

            memory.keep_what_is_freed()

            local = stack.enter_context(LocalVault(target.data))
            served = connected_to_owner(local.data)
            vault = local if served is None else _remote_vault(served)
        try:
            yield vault
        except (ObjectNotFoundError, DatabaseNotFoundError) as error:
            if file is not None:
                error.hint = _where_it_is(vault, file) or error.hint
            raise


def connected(server: Server) -> ServerConnection:
    """
    The way to a server; nothing is sent yet.

    Raises:
        ServerError: its address cannot be one.
        PasswordError, NotAuthenticatedError: the credential cannot be had.
    """
    from tabvault.faces.cli.remote.connection import ServerConnection  # noqa: PLC0415 - --help needs no HTTP
    from tabvault.faces.cli.remote.credentials import authorization  # noqa: PLC0415

    return ServerConnection(server.url, authorization(server), ca_file=server.ca_file)


def connected_to_owner(data: Path) -> ServerConnection | None:
    """The way to the server that owns the data folder *data*, as its local owner; None if there is none of ours."""
    from tabvault.faces.cli.remote.connection import ServerConnection  # noqa: PLC0415 - as above
    from tabvault.storage.server_state.endpoint import live_endpoint  # noqa: PLC0415

    try:
        endpoint = live_endpoint(data)
    except (FormatError, StorageError):  # whoever has the folder then is told by its lock
        return None
    if endpoint is None:
        return None
    return ServerConnection(endpoint.url, f"Bearer {endpoint.local_token}", certificate=endpoint.certificate)


def _remote_vault(connection: ServerConnection) -> RemoteVault:
    from tabvault.faces.cli.remote.vault import RemoteVault  # noqa: PLC0415 - pyarrow and numpy

    return RemoteVault(connection)


def _where_it_is(vault: CommandVault, file: str) -> str | None:
    if file.startswith(STORAGE_PREFIX):
        return "tabvault storage list shows what is there"
    try:
        return f"did you mean {STORAGE_PREFIX}{vault.store.open(file).info.name}?"
    except TabvaultError:
        return None


def shown_progress(*, as_json: bool) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """The progress bar as a callback for a job; None where nobody would see it."""
    if as_json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return contextlib.nullcontext()
    return ProgressBar()
