"""
Reading everything of a backup, and saying of each condition whether it holds.

In order: the file opens (envelope, password, header, directory and log agree); every byte of the container is read,
which proves the encryption tags, and re-emitting it gives the same bytes; every file's CRC and length; the key
file; the metadata against the files (the same check as before a restore's commit); and every column of every table
is decoded under the hard checks, its statistics compared (as a WARNING, for no value is read by them), its hierarchies
and hash indexes read. A condition that
fails does not hide those behind it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tabvault.engine import scan
from tabvault.errors import FormatError, LimitError, ModelError, TabvaultError, UnsupportedFeatureError
from tabvault.formats.abf import crypt_key
from tabvault.formats.byte_source import pieces
from tabvault.formats.vertipaq import hash_index
from tabvault.jobs.inspect import metadata_of
from tabvault.jobs.landing import read_definition
from tabvault.jobs.opening import open_backup
from tabvault.jobs.progress import ProgressMeter
from tabvault.model import consistency
from tabvault.model.container_files import ContainerFiles
from tabvault.model.load import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from tabvault.formats.abf.container import Container
    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.opening import OpenedBackup
    from tabvault.jobs.progress import Progress
    from tabvault.model.file_set import FileSet
    from tabvault.model.objects import Model, Table

Severity = Literal["OK", "WARNING", "FAILED"]

_DAMAGE: Final = (FormatError, ModelError)
"""What a backup can have. Any other error is of the caller, the disk or the storage, and is raised."""

_HASH_INDEX_BYTE_COUNT_MIN: Final = 16 << 20
"""A hash index takes less than 64 bytes a row; one that is left from a larger table may take this at least."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, for one line."""

    severity: Severity
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Every condition in the order checked; *ok* is whether none FAILED."""

    conditions: tuple[Condition, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the backup can be trusted."""
        return all(condition.severity != "FAILED" for condition in self.conditions)


def verify_backup(
    source: ByteSource, *, password: str | None = None, progress: Callable[[Progress], None] | None = None
) -> Verification:
    """
    Verify a backup, encrypted or not, or a Power BI file.

    Args:
        source: the file's bytes.
        password: of an encrypted one.
        progress: told after each piece; raising from it cancels.

    Raises:
        PasswordError: required, wrong or superfluous. Everything else that is wrong with the file is a condition.
        UnsupportedFeatureError: nothing is wrong with the file, and this version cannot read its model.
        StorageError: the file cannot be read.
        JobCancelledError: raised by *progress*.
    """
    begun = time.monotonic()
    meter = ProgressMeter(progress)
    conditions: list[Condition] = []
    try:
        with open_backup(source, password=password, meter=meter) as opened:
            conditions.append(_ok("envelope", _envelope(opened)))
            conditions.extend(_container(opened, meter))
            conditions.extend(_contents(opened.container, meter))
    except UnsupportedFeatureError:
        raise
    except _DAMAGE as error:
        conditions.append(_failed("file", error))
    return Verification(tuple(conditions), time.monotonic() - begun)


def _ok(subject: str, message: str) -> Condition:
    return Condition("OK", subject, message)


def _failed(subject: str, error: TabvaultError) -> Condition:
    return Condition("FAILED", subject, str(error))


def _envelope(opened: OpenedBackup) -> str:
    parts = ["encrypted (age v1), opened with the password"] if opened.encrypted else []
    if opened.package_member:
        parts.append(f"member {opened.package_member} of a package")
    parts.append({"NONE": "plain stream storage"}.get(opened.envelope.name, f"XPress9, {opened.envelope.name.lower()}"))
    return ", ".join(parts)


def _container(opened: OpenedBackup, meter: ProgressMeter) -> Iterator[Condition]:
    container = opened.container
    yield _ok(
        "header, directory and log",
        f"{len(container.entries)} stored files, {len(container.files)} of the database "
        f"{container.log.object_name!r}; they agree",
    )
    try:
        meter.step("reading", opened.source.byte_count)
        same = _equal(container.reemit(), meter.counted(pieces(opened.source)))
    except _DAMAGE as error:
        yield _failed("every byte", error)
        return
    if same:
        yield _ok("every byte", f"{opened.source.byte_count} bytes read; written anew the container is identical")
    else:
        yield Condition(
            "WARNING", "every byte", "written anew the container differs: no Analysis Services engine lays it out so"
        )


def _equal(one: Iterable[bytes | memoryview], other: Iterable[bytes | memoryview]) -> bool:
    """Whether two runs of pieces hold the same bytes. Both are read to their ends."""
    left, equal, iterator = memoryview(b""), True, iter(one)
    for piece in other:
        right = memoryview(piece)
        while right:
            if not left:
                left = memoryview(next(iterator, b""))
                if not left:
                    return False
            common = min(len(left), len(right))
            equal = equal and left[:common] == right[:common]
            left, right = left[common:], right[common:]
    return equal and not len(left) and not any(iterator)


def _contents(container: Container, meter: ProgressMeter) -> Iterator[Condition]:
    broken = yield from _bodies(container, meter)
    try:
        _, definition = read_definition(container)
        yield _ok("db.xml", f"database {definition.name!r}, compatibility level {definition.compatibility_level}")
        yield from _key_files(container)
        with metadata_of(container) as metadata:
            model = load_model(metadata)
            files = ContainerFiles(container)
            findings = consistency.check_consistency(metadata, model, files)
    except UnsupportedFeatureError:
        raise
    except _DAMAGE as error:
        yield _failed("metadata", error)
        return
    for finding in findings:
        yield Condition(finding.severity, finding.subject, finding.message)
    yield from _columns(model, files, broken, meter)


def _bodies(container: Container, meter: ProgressMeter) -> Generator[Condition, None, set[str]]:
    """Yields conditions and returns the names of the files that cannot be read."""
    broken: set[str] = set()
    meter.step("checking files", sum(file.byte_count for file in container.files.values()))
    for name in container.files:
        try:
            for _ in meter.counted(container.body(name)):
                pass
        except _DAMAGE as error:
            broken.add(name)
            yield _failed(name, error)
    if not broken:
        checked = "every CRC matches" if container.header.error_code else "lengths match"
        yield _ok("file bodies", f"{len(container.files)} files read, {checked}")
    if not container.header.error_code:
        yield Condition(
            "WARNING", "file bodies", "the backup was written without CRCs; a backup made by tabvault will have them"
        )
    return broken


def _key_files(container: Container) -> Iterator[Condition]:
    for name, file in container.files.items():
        if name.endswith("CryptKey.bin"):
            try:
                if file.byte_count != crypt_key.BYTE_COUNT:  # before it is held in memory
                    message = f"key file has {file.byte_count} bytes, not {crypt_key.BYTE_COUNT}"
                    raise FormatError(message, file=name)  # a condition like what check() finds
                crypt_key.check(container.read(name), file=name)
                yield _ok(name, "key file is well-formed")
            except _DAMAGE as error:
                yield _failed(name, error)


def _columns(model: Model, files: FileSet, broken: set[str], meter: ProgressMeter) -> Iterator[Condition]:
    tables = model.tables + model.system_tables
    meter.step("decoding", sum(len(table.columns) for table in tables), unit="columns")
    for table in tables:
        yield from _table(table, files, broken, meter)
    record_count = max((table.row_count for table in model.tables), default=0)
    yield from _hash_indexes(files, broken, byte_count_max=_HASH_INDEX_BYTE_COUNT_MIN + 64 * record_count)


def _table(table: Table, files: FileSet, broken: set[str], meter: ProgressMeter) -> Iterator[Condition]:
    failed = False
    for column in table.columns:
        try:
            for warning in scan.check_column(files, table, column):
                yield Condition("WARNING", f"{table.name}[{column.name}]", warning)
        except _DAMAGE as error:
            failed = True
            if getattr(error, "file", None) not in broken:
                yield _failed(f"{table.name}[{column.name}]", error)
        meter.advance(1)
    if not failed and not table.is_system:
        count = sum(not column.is_row_number for column in table.columns)
        yield _ok(f"table {table.name}", f"{table.row_count} rows, {count} columns decoded")


def _hash_indexes(files: FileSet, broken: set[str], *, byte_count_max: int) -> Iterator[Condition]:
    names = [name for name in files.names() if name.endswith(".hidx") and name not in broken]
    failed = False
    for name in names:
        try:
            byte_count = files.byte_count(name)
            if byte_count > byte_count_max:
                message = f"hash index has {byte_count} bytes, over the {byte_count_max} that any table here can need"
                raise LimitError(message, file=name)  # a condition like what parse() finds
            hash_index.parse(files.read(name), file=name)
        except _DAMAGE as error:
            failed = True
            yield _failed(name, error)
    if names and not failed:
        yield _ok("hash indexes", f"{len(names)} read")
