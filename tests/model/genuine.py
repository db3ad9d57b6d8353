"""The metadata of the genuine samples, and copies of them to damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

from conftest import sample_path
from genuine_columns import MemoryFiles
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE

if TYPE_CHECKING:
    from pathlib import Path

RLS = "Hugoberry__rls-sample-report.pbix"
"""Five roles, four row filters, schema version 111."""

OLS = "Hugoberry__ols-sample-report.pbix"
"""Four roles that hide tables and columns, schema version 113."""

OLDEST = "Hugoberry__old-schema17-DataTable.pbix"
"""Schema version 17, whose columns have other names."""

SMALL = "Hugoberry__abc.pbix"
"""Two user tables, schema version 116."""


@cache
def _bodies(sample: str) -> dict[str, bytes]:
    source = MemorySource(sample_path(sample).read_bytes())
    with open_backup(source) as backup:
        files = ContainerFiles(backup.container)
        kept = (METADATA_FILE, ".idfmeta")
        return {name: bytes(files.read(name)) if name.endswith(kept) else b"" for name in files.names()}


def genuine_files(sample: str) -> MemoryFiles:
    return MemoryFiles(dict(_bodies(sample)))


def genuine_metadata(sample: str) -> bytes:
    return _bodies(sample)[METADATA_FILE]


def copied(sample: str, folder: Path, name: str = METADATA_FILE) -> Path:
    path = folder / name
    path.write_bytes(genuine_metadata(sample))
    return path


def change(path: Path, *statements: str) -> Path:
    """Run SQL on the file with SQLite itself, not with the code under test."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What SQLite itself answers."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()
