"""The genuine databases whole: their models, and every file in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from conftest import sample_path
from tabvault.errors import FormatError
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from tabvault.model.objects import Column, Model, Table


@dataclass(frozen=True)
class MemoryFiles:
    """A file set of bodies that a test may replace."""

    bodies: dict[str, bytes]

    def names(self) -> list[str]:
        return list(self.bodies)

    def byte_count(self, name: str) -> int:
        return len(self.read(name))

    def read(self, name: str) -> bytes:
        if name not in self.bodies:
            raise FormatError("no such file", file=name)
        return self.bodies[name]

    def open(self, name: str) -> MemorySource:
        return MemorySource(self.read(name))

    def replacing(self, **changed: bytes) -> MemoryFiles:
        return MemoryFiles(self.bodies | changed)


@dataclass(frozen=True)
class Database:
    files: MemoryFiles
    model: Model

    def table(self, name: str) -> Table:
        return next(table for table in (*self.model.tables, *self.model.system_tables) if table.name == name)

    def column(self, table: str, name: str) -> Column:
        return next(column for column in self.table(table).columns if column.name == name)


@cache
def database(sample: str) -> Database:
    with open_backup(MemorySource(sample_path(sample).read_bytes())) as backup:
        files = ContainerFiles(backup.container)
        bodies = {name: bytes(files.read(name)) for name in files.names()}
    with Metadata.from_bytes(bodies[METADATA_FILE]) as metadata:
        return Database(MemoryFiles(bodies), load_model(metadata))
