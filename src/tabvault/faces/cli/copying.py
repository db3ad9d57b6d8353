"""
A database copied to another server: backed up where it is, moved, restored there, and compared.

Invariants, each with its tests:

1. At the target the database is the old one or the new one: it is made by a restore, whose commit is one step.
2. The source database is read and never written.
3. What can be refused is refused before anything is written anywhere: the credential of either side, a name that is
   taken, a server that is paused, storage that is not configured.
4. The file in between has a name that says of which version of which database it is, and for where. So a try that was
   cut off is found by the next one, and what is finished is not done again: the backup, what has arrived of the
   upload, the restore. A file under a name that the user chose says nothing of that kind and is never taken over.
5. The file is gone from both sides at the end, also after a failure that another try would meet as well; and so is what
   tries with older versions left behind. It stays while going on makes sense: a connection that broke, a server that
   ended, a credential that expired, Ctrl-C.
6. A copy that differs from what was backed up is an error that says in what.

How the file gets there is found out, not configured: if the target sees in its own storage the file that the source
wrote (same name, length, ETag and time), the two share the container, and nothing goes through this machine. Otherwise
its bytes are read by ranges and uploaded in parts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tabvault.errors import (
    AddressBlockedError,
    CopyDiffersError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    DatabaseReadOnlyError,
    JobCancelledError,
    JobConflictError,
    JobInterruptedError,
    NotAuthenticatedError,
    ObjectExistsError,
    ServerError,
    StorageAccessError,
    StorageNetworkError,
    StoreUnavailableError,
    TabvaultError,
    TooManyAttemptsError,
)
from tabvault.faces.cli.copy_facts import differences, facts_of_backup, facts_of_database, told
from tabvault.faces.cli.copy_file import LastPart, file_prefix, identity, info_if_there, remove_if_there, version_mark
from tabvault.faces.cli.copy_sides import at
from tabvault.jobs.database_name import STORAGE_PREFIX, check_database_name
from tabvault.storage.names import check_object_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.faces.cli.copy_facts import CopyFacts
    from tabvault.faces.cli.copy_sides import Side
    from tabvault.faces.cli.remote.copy_target import CopyTarget
    from tabvault.faces.cli.session import CommandVault
    from tabvault.jobs.landing import Security
    from tabvault.jobs.listing import DatabaseListing
    from tabvault.jobs.progress import Progress
    from tabvault.storage.contract import ObjectInfo

Way = Literal["shared container", "streamed", "none"]
Step = Literal["backup", "upload", "restore"]

_GOING_ON: Final = (
    AddressBlockedError,
    JobCancelledError,
    JobConflictError,
    JobInterruptedError,
    NotAuthenticatedError,
    ServerError,
    StorageAccessError,
    StorageNetworkError,
    StoreUnavailableError,
    TooManyAttemptsError,
)
"""After these another try may go on where this one ended. A full disk is none: a file left there would not help."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """
    What is to be copied.

    Attributes:
        database: name or id at the source.
        new_name: at the target; the same by default.
        overwrite: whether it takes the place of a database there.
        through: name of the file in between; one that is found again by default.
        keep_file: whether that file stays.
        security: whose roles the copy has.
    """

    database: str
    new_name: str | None
    overwrite: bool
    through: str | None
    keep_file: bool
    security: Security


@dataclass(frozen=True, slots=True)
class CopyResult:
    """
    What was copied.

    Attributes:
        version: of the database at the source.
        way: how its file got to the target; ``none`` where an earlier try had brought it all the way.
        taken_over: what an earlier try had done already.
        file: the one in between.
    """

    database: str
    version: int | None
    target: str
    new_name: str
    replaced: bool
    way: Way
    taken_over: tuple[Step, ...]
    file: str
    file_byte_count: int | None
    compatibility_level: int
    table_count: int
    row_count: int
    role_count: int
    warnings: tuple[str, ...]
    seconds: float


def copy_database(
    source: CommandVault,
    target: CopyTarget,
    request: CopyRequest,
    *,
    password: str | None,
    progress: Callable[[Progress], None] | None,
) -> CopyResult:
    """
    Copy a database to a server, or go on with it.

    Args:
        source: where the database is.
        target: where it shall be.
        request: which, and how.
        password: to encrypt the file in between with.
        progress: told how far each step is.

    Raises:
        DatabaseNotFoundError: there is no such database at the source.
        DatabaseExistsError: there is one of the new name at the target, and overwriting was not asked for.
        DatabaseReadOnlyError: it is read-only there.
        CopyDiffersError: the copy differs from what was backed up.
        ServerPausedError, NotAuthenticatedError, StorageNotConfiguredError, DiskFullError: what either side says.
    """
    return _Copy(source, target, request, password, progress).made()


class _Copy:
    def __init__(
        self,
        source: CommandVault,
        target: CopyTarget,
        request: CopyRequest,
        password: str | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._source = source
        self._target = target
        self._request = request
        self._password = password
        self._progress = progress
        self._warnings: list[str] = []
        self._taken_over: list[Step] = []
        self._ours = {"source", "target"} if request.through is None else set[str]()

    def made(self) -> CopyResult:
        begun = time.monotonic()
        request = self._request
        listing = self._found()
        name = check_database_name(request.new_name or listing.name)
        prefix = file_prefix(listing, self._target.url, name)
        mark = version_mark(listing, encrypted=self._password is not None)
        file = check_object_name(request.through) if request.through else f"{prefix}{mark}.abf"
        with at("target"):
            self._target.check_open()
            replaced = self._target.database(name)
            is_there = request.through is None and self._target.is_restored(
                file, name, security=request.security, progress=self._progress
            )
            if not is_there:
                self._check_place(replaced)
        self._check_files(prefix, file)
        info: ObjectInfo | None = None
        way: Way = "none"
        with self._kept_while_useful(prefix, file):
            if is_there:
                self._taken_over.append("restore")
                with at("source"):
                    facts = facts_of_database(self._source, listing.name)
            else:
                info, facts = self._backed_up(listing, file)
                way = self._moved(info)
                self._restored(file, name)
            self._compare(facts, name)
        return CopyResult(
            database=listing.name,
            version=listing.version,
            target=self._target.url,
            new_name=name,
            replaced=replaced is not None and not is_there,
            way=way,
            taken_over=tuple(self._taken_over),
            file=file,
            file_byte_count=None if info is None else info.byte_count,
            compatibility_level=facts.compatibility_level,
            table_count=len(facts.rows),
            row_count=facts.row_count,
            role_count=len(facts.roles),
            warnings=tuple(self._warnings),
            seconds=time.monotonic() - begun,
        )

    # ---- before anything is written

    def _found(self) -> DatabaseListing:
        wanted = self._request.database.casefold()
        with at("source"):
            all_ = self._source.databases()
            found = [one for one in all_ if one.name.casefold() == wanted] or [
                one for one in all_ if one.id.casefold() == wanted
            ]
            if not found:
                raise DatabaseNotFoundError(
                    f"there is no database {self._request.database!r:.200}", hint="tabvault databases lists them"
                )
            return found[0]

    def _check_place(self, replaced: DatabaseListing | None) -> None:
        if replaced is None:
            return
        if not self._request.overwrite:
            raise DatabaseExistsError(
                f"database {replaced.name!r} exists and overwriting was not asked for",
                hint="allow overwriting, or choose another name",
            )
        if replaced.read_write_mode not in ("readWrite", None):
            raise DatabaseReadOnlyError(
                f"database {replaced.name!r} is {replaced.read_write_mode}", hint="drop it, or choose another name"
            )

    def _check_files(self, prefix: str, file: str) -> None:
        """Both containers can be asked; what older versions left there is removed, and a chosen name is free."""
        for place, vault in self._sides():
            with at(place):
                for old in list(vault.store.list(prefix)):
                    if old.name != file:
                        remove_if_there(vault, old.name)
                if self._request.through is not None and info_if_there(vault, file) is not None:
                    raise ObjectExistsError(
                        f"file {file} exists already", hint="choose another name, or leave --through out"
                    )
        with at("target"):
            self._target.cancel_uploads(prefix, but=file)

    # ---- the steps

    def _backed_up(self, listing: DatabaseListing, file: str) -> tuple[ObjectInfo, CopyFacts]:
        with at("source"):
            if info_if_there(self._source, file) is None:
                result = self._source.backup(
                    listing.name,
                    file,
                    overwrite=False,
                    compress=True,
                    password=self._password,
                    progress=self._progress,
                )
                self._warnings += result.warnings
                self._ours.add("source")
                now = self._found()
                if (now.version, now.restored) != (listing.version, listing.restored):
                    self._warnings.append(
                        "the database was changed meanwhile: the copy is of this version or a later one"
                    )
            else:
                self._taken_over.append("backup")
            inspection = self._source.inspect(
                f"{STORAGE_PREFIX}{file}", password=self._password, progress=self._progress
            )
            return self._source.store.info(file), facts_of_backup(inspection)

    def _moved(self, info: ObjectInfo) -> Way:
        with at("target"):
            there = info_if_there(self._target.vault, info.name)
        if there is not None and identity(there) == identity(info):
            return "shared container"
        if there is not None and there.byte_count == info.byte_count and self._request.through is None:
            # A file appears there when it is whole and its SHA-256 was compared, and the name says of what it is.
            self._taken_over.append("upload")
            return "streamed"
        with self._source.store.open(info.name) as stored:
            if identity(stored.info) != identity(info):
                raise StoreUnavailableError(f"file {info.name} was replaced at the source meanwhile")
            with at("target"):
                self._target.vault.upload(
                    info.name,
                    LastPart(stored),
                    replace=self._request.through is None,
                    key=hashlib.sha256(json.dumps(identity(info)).encode()).hexdigest(),
                    progress=self._progress,
                )
        self._ours.add("target")
        return "streamed"

    def _restored(self, file: str, name: str) -> None:
        with at("target"):
            result = self._target.vault.restore(
                file,
                name,
                overwrite=self._request.overwrite,
                password=self._password,
                security=self._request.security,
                progress=self._progress,
            )
        self._warnings += result.warnings

    def _compare(self, facts: CopyFacts, name: str) -> None:
        with at("target"):
            copied = facts_of_database(self._target.vault, name, facts)
        found = list(differences(facts, copied, security=self._request.security))
        if found:
            raise CopyDiffersError(
                f"the copy {name!r} at {self._target.url} differs from what was backed up: {told(found)}",
                hint="nothing was switched to it; was it changed there meanwhile? copy it again",
            )

    # ---- the file in between

    @contextlib.contextmanager
    def _kept_while_useful(self, prefix: str, file: str) -> Iterator[None]:
        try:
            yield
        except _GOING_ON as error:
            error.hint = error.hint or "the same command goes on where it was cut off"
            raise
        except KeyboardInterrupt as interrupt:
            interrupt.add_note("what was moved so far stays: the same command goes on with it")
            raise
        except TabvaultError:
            self._clean(file)
            with contextlib.suppress(TabvaultError):
                self._target.cancel_uploads(prefix if self._request.through is None else file)
            raise
        if not self._request.keep_file:
            self._clean(file)

    def _clean(self, file: str) -> None:
        """The file is gone; where that cannot be, it is said, and no reason to call the copy none."""
        for place, vault in self._sides():
            if place not in self._ours:
                continue  # somebody else's, who came to the chosen name first
            try:
                remove_if_there(vault, file)
            except TabvaultError as error:
                self._warnings.append(f"file {file} could not be removed at the {place}: {error}")

    def _sides(self) -> tuple[tuple[Side, CommandVault], ...]:
        return ("source", self._source), ("target", self._target.vault)
