"""
A large database from a genuine one, for benchmarks: the segments of its user tables, repeated.

Every ``.idf`` file of a user table becomes *times* copies of its segments one behind the other, its ``.idfmeta`` file
the same segment descriptions as often, and the counts in the metadata follow. Dictionaries, hierarchies and
relationship indexes stay, because the data ids do: bytes, compression ratio and value distribution are the engine's
own. The result passes the consistency check and decodes; an engine would want all segments but the last to have a
power of two rows, and row numbers that count on, which these have not.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from tabvault.formats.abf import db_xml
from tabvault.formats.byte_source import pieces
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tabvault.model.objects import ColumnPartitionStorage, Model
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder
    from tabvault.storage.data_folder.manifest import ManifestFile
    from tabvault.storage.data_folder.staging import StagedVersion
    from tabvault.storage.data_folder.version import VersionReader

_HEAD_BYTE_COUNT: Final = len(b"<1:CP\0") + 8
_END: Final = b"CP:1>\0"
_SEGMENT_AND_END: Final = b"CS:1>\0" + _END


def make_large(folder: DataFolder, database: str, name: str, *, byte_count: int) -> DatabaseInfo:
    """
    Make database *name* of about *byte_count* bytes from *database*, in the same data folder.

    Args:
        folder: the data folder.
        database: a genuine one, imported.
        name: of the new database, and its id.
        byte_count: how large the files of the new one are to be, in all.
    """
    with folder.read(database) as version:
        with Metadata.open(version.path(METADATA_FILE)) as metadata:
            parts = _parts(load_model(metadata))
        idf_files = {part.idf_file for part in parts}
        idfmeta_files = {part.idfmeta_file for part in parts}
        times = max(2, byte_count // sum(version.byte_count(file) for file in idf_files if file))
        with folder.stage() as staged:
            for entry in version.manifest.files:
                if entry.name in idf_files:
                    _add(staged, entry, _repeated(version, entry.name, times), entry.byte_count * times)
                elif entry.name in idfmeta_files:
                    body = _idfmeta(version.read(entry.name), times)
                    _add(staged, entry, iter([body]), len(body))
                elif entry.name.endswith(".db.xml"):
                    body = db_xml.edit(version.read(entry.name), file=entry.name, name=name, id=name)
                    _add(staged, entry, iter([body]), len(body))
                else:
                    staged.link(version, entry.name)
            _multiply(staged.path(METADATA_FILE), parts, times)
            return staged.commit(
                name=name,
                database_id=name,
                compatibility_level=version.manifest.compatibility_level,
                read_write_mode="readWrite",
                container=version.manifest.container,
                replaces=None,
            )


def _parts(model: Model) -> list[ColumnPartitionStorage]:
    """Every column of every partition of the user tables that has files."""
    return [
        part
        for table in model.tables
        for column in table.columns
        if column.storage is not None
        for part in column.storage.partitions
        if part.idf_file is not None and part.idfmeta_file is not None
    ]


def _add(staged: StagedVersion, entry: ManifestFile, body: Iterator[bytes | memoryview], byte_count: int) -> None:
    staged.add(
        entry.name,
        body,
        byte_count=byte_count,
        last_write_time=entry.last_write_time,
        group_class=entry.group_class,
    )


def _repeated(version: VersionReader, name: str, times: int) -> Iterator[bytes | memoryview]:
    for _ in range(times):
        yield from pieces(version.open(name))


def _idfmeta(data: bytes, times: int) -> bytes:
    """The segments *times* over, without the data offsets that newer engines append (readers do without them)."""
    segments = data[_HEAD_BYTE_COUNT : data.index(_SEGMENT_AND_END) + len(_SEGMENT_AND_END) - len(_END)]
    count = int.from_bytes(data[_HEAD_BYTE_COUNT - 8 : _HEAD_BYTE_COUNT], "little")
    return data[: _HEAD_BYTE_COUNT - 8] + (count * times).to_bytes(8, "little") + segments * times + _END


def _multiply(metadata: Path, parts: list[ColumnPartitionStorage], times: int) -> None:
    """Rows and segments of the repeated partitions, in every place where the metadata count them."""
    with contextlib.closing(sqlite3.connect(metadata)) as connection, connection:
        maps = "SELECT SegmentMapStorageID FROM PartitionStorage WHERE ID = ?"
        connection.executemany(
            "UPDATE SegmentMapStorage SET RecordCount = RecordCount * ?, SegmentCount = SegmentCount * ? "
            f"WHERE ID IN ({maps})",
            [(times, times, partition) for partition in {part.partition_storage_id for part in parts}],
        )
        connection.executemany(
            "UPDATE SegmentStorage SET SegmentCount = SegmentCount * ? WHERE ColumnPartitionStorageID = ?",
            [(times, part.id) for part in parts],
        )
        columns = "SELECT ColumnStorageID FROM ColumnPartitionStorage WHERE ID = ?"
        connection.executemany(
            f"UPDATE ColumnStorage SET Statistics_RowCount = Statistics_RowCount * ? WHERE ID IN ({columns})",
            [(times, part.id) for part in parts],
        )
