"""The M expressions of the genuine samples, read with SQLite itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.container_files import ContainerFiles
from tabvault.model.file_set import METADATA_FILE

M_PARTITION = 4


@dataclass(frozen=True)
class GenuineExpression:
    sample: str
    name: str
    text: str
    is_partition: bool
    queries: dict[str, str]


def _rows(connection: sqlite3.Connection, sql: str) -> list[tuple[str, str]]:
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:  # older schema versions have no such table or column
        return []


@cache
def genuine_expressions() -> tuple[GenuineExpression, ...]:
    found: list[GenuineExpression] = []
    for sample in CONTAINER_SAMPLES:
        with open_backup(MemorySource(sample_path(sample).read_bytes())) as backup:
            metadata = bytes(ContainerFiles(backup.container).read(METADATA_FILE))
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(metadata)
            partitions = _rows(
                connection,
                "SELECT t.Name, p.QueryDefinition FROM Partition p JOIN [Table] t ON t.ID = p.TableID"
                f" WHERE p.Type = {M_PARTITION}",
            )
            shared = _rows(connection, "SELECT Name, Expression FROM Expression")
        queries = dict(partitions) | dict(shared)
        found += [GenuineExpression(sample, name, text, True, queries) for name, text in partitions]
        found += [GenuineExpression(sample, name, text, False, queries) for name, text in shared]
    return tuple(found)
