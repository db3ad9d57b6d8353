"""
The part of a verification that is about what the files of a database say, wherever they lie: key file, metadata,
columns, hash indexes.

A file whose bytes are known to be damaged is not read again: it was named once, and what it says is worth nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine import scan
from tabvault.errors import FormatError, LimitError, UnsupportedFeatureError
from tabvault.formats.abf import crypt_key
from tabvault.formats.vertipaq import hash_index
from tabvault.jobs.verification import DAMAGE, Condition, fails, holds
from tabvault.model import consistency
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tabvault.formats.byte_source import ByteSource
    from tabvault.jobs.progress import ProgressMeter
    from tabvault.model.file_set import FileSet
    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Model, Table

_HASH_INDEX_BYTE_COUNT_MIN: Final = 16 << 20
"""A hash index takes less than 64 bytes a row; one that is left from a larger table may take this at least."""


def content_conditions(
    files: FileSet, open_metadata: Callable[[], Metadata], broken: set[str], meter: ProgressMeter
) -> Iterator[Condition]:
    """
    Every condition on the contents.

    Args:
        files: of the backup or the database; ``metadata.sqlitedb`` is among them.
        open_metadata: opens it.
        broken: names of the files whose bytes are damaged, each of which is a condition already.
        meter: told about decoding.

    Raises:
        UnsupportedFeatureError: nothing is wrong, and this version cannot read the model.
    """
    sound = _SoundFiles(files, broken)
    yield from _key_files(sound, broken)
    model = None
    if METADATA_FILE in broken:
        yield Condition("FAILED", "metadata", f"{METADATA_FILE} is damaged: no column can be found without it")
    else:
        try:
            with open_metadata() as metadata:
                model = load_model(metadata)
                findings = consistency.check_consistency(metadata, model, sound)
        except UnsupportedFeatureError:
            raise
        except DAMAGE as error:
            yield fails("metadata", error)
        else:
            for finding in findings:
                yield Condition(finding.severity, finding.subject, finding.message)
    if model is not None:
        yield from _columns(model, sound, broken, meter)
    row_count = max((table.row_count for table in model.tables), default=0) if model is not None else None
    yield from _hash_indexes(sound, broken, row_count)


class _SoundFiles:
    """The files but for those that are broken: to read one of them is an error."""

    def __init__(self, files: FileSet, broken: set[str]) -> None:
        self._files = files
        self._broken = broken

    def names(self) -> Collection[str]:
        return self._files.names()

    def byte_count(self, name: str) -> int:
        return self._files.byte_count(name)

    def read(self, name: str) -> bytes | memoryview:
        self._check(name)
        return self._files.read(name)

    def open(self, name: str) -> ByteSource:
        self._check(name)
        return self._files.open(name)

    def _check(self, name: str) -> None:
        if name in self._broken:
            raise FormatError("the file is damaged", file=name)


def _key_files(files: _SoundFiles, broken: set[str]) -> Iterator[Condition]:
    for name in files.names():
        if name.endswith("CryptKey.bin") and name not in broken:
            try:
                byte_count = files.byte_count(name)
                if byte_count != crypt_key.BYTE_COUNT:  # before it is held in memory
                    message = f"key file has {byte_count} bytes, not {crypt_key.BYTE_COUNT}"
                    raise FormatError(message, file=name)  # a condition like what check() finds
                crypt_key.check(files.read(name), file=name)
                yield holds(name, "key file is well-formed")
            except DAMAGE as error:
                yield fails(name, error)


def _columns(model: Model, files: _SoundFiles, broken: set[str], meter: ProgressMeter) -> Iterator[Condition]:
    tables = model.tables + model.system_tables
    meter.step("decoding", sum(len(table.columns) for table in tables), unit="columns")
    for table in tables:
        yield from _table(table, files, broken, meter)


def _table(table: Table, files: _SoundFiles, broken: set[str], meter: ProgressMeter) -> Iterator[Condition]:
    failed = False
    for column in table.columns:
        try:
            for warning in scan.check_column(files, table, column):
                yield Condition("WARNING", f"{table.name}[{column.name}]", warning)
        except DAMAGE as error:
            failed = True
            if getattr(error, "file", None) not in broken:
                yield fails(f"{table.name}[{column.name}]", error)
        meter.advance(1)
    if not failed and not table.is_system:
        count = sum(not column.is_row_number for column in table.columns)
        yield holds(f"table {table.name}", f"{table.row_count} rows, {count} columns decoded")


def _hash_indexes(files: _SoundFiles, broken: set[str], row_count: int | None) -> Iterator[Condition]:
    """*row_count* is of the largest table, or None where the metadata do not tell: a large index is then not read."""
    byte_count_max = _HASH_INDEX_BYTE_COUNT_MIN + 64 * (row_count or 0)
    names = [name for name in files.names() if name.endswith(".hidx") and name not in broken]
    read = failed = 0
    for name in names:
        try:
            byte_count = files.byte_count(name)
            if byte_count > byte_count_max:
                if row_count is None:
                    continue
                message = f"hash index has {byte_count} bytes, over the {byte_count_max} that any table here can need"
                raise LimitError(message, file=name)  # a condition like what parse() finds
            hash_index.parse(files.read(name), file=name)
            read += 1
        except DAMAGE as error:
            failed += 1
            yield fails(name, error)
    if names and not failed:
        left_out = f", {len(names) - read} too large to be read without the metadata" if read < len(names) else ""
        yield holds("hash indexes", f"{read} read{left_out}")
