"""
What processing made, written into the metadata: metadata in, changed metadata out.

Invariants:

1. All of it is written, or nothing: the file that comes in is never touched.
2. The rows of storage of tables, partitions and columns stay and point to new files; what was derived from their values
   (H$, R$ and U$ tables) goes with its files and is made anew. To write the same twice leaves as many rows as once.
3. What follows from values of a written table and is not written with it goes: calculated columns, relationship
   indexes, user hierarchies. Nothing is older than the values it follows from.
4. Files of one processing of a table have one data version, higher than all before. Partitions that are not written
   keep theirs.
5. What comes out is consistent with the files that the result adds and without those that it drops.

Ready objects have State 1, no ErrorMessage and the time in RefreshedTime; of columns only calculated ones have a time,
as in genuine files. Of ``TableStorage.Settings``, 256 is set unless the table is loaded and has a calculated column;
its RIViolationCount counts the relationships to it that are violated in schema version 31 and is 0 since 60: where
between the two it changed is not known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.errors import ModelError
from tabvault.formats.byte_source import MemorySource
from tabvault.model import filetime
from tabvault.model.changes.processed_indexes import ProcessedIndexes
from tabvault.model.changes.removal import remove
from tabvault.model.changes.requirements import require_consistent
from tabvault.model.changes.rows import Rows
from tabvault.model.changes.storage import SETTINGS, NewStorage
from tabvault.model.changes.storage_rows import text, whole
from tabvault.model.changes.system_table_rows import statistics_cells
from tabvault.model.changes.values import column_storage
from tabvault.model.edit import MetadataEdit
from tabvault.model.load_storage import storage_file_names
from tabvault.model.metadata import Metadata
from tabvault.model.objects import ColumnType, DictionaryType, ObjectState

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping

    from tabvault.formats.byte_source import ByteSource
    from tabvault.model.processed import Processed, ProcessedColumn, ProcessedDictionary, ProcessedTable
    from tabvault.model.sqlite_file import Value

_CHANGED_TIMES: Final = ("LASTCUBEDATACHANGE", "LASTCOMMITTED", "LASTMETADATACHANGEFORSYNCCOMMITTED")
"""Properties of ``DBPROPERTIES`` that say when values changed."""

_INDEXES_OF_COLUMNS: Final = ("ColumnIndexStorage", "StringIndexStorage", "FullTextIndexStorage")
"""What the newest engines derive of a column besides; no genuine file has one, and they make theirs anew."""

_NOT_CALCULATED: Final = 256
"""Bit of ``TableStorage.Settings``."""

_CALCULATED_TABLE: Final = 2
"""``Table.SystemFlags``."""

_READY: Final[dict[str, Value]] = {"State": ObjectState.READY, "ErrorMessage": None}
_TO_BE_CALCULATED: Final[dict[str, Value]] = {"State": ObjectState.CALCULATION_NEEDED}

_VIOLATIONS_COUNTED_UNTIL: Final = 31
"""The newest schema version whose ``RIViolationCount`` is known to count."""


@dataclass(frozen=True, slots=True)
class ProcessedMetadata:
    """
    The outcome.

    Attributes:
        content: the changed ``metadata.sqlitedb``.
        added_files: files that the metadata name and the database does not have yet, by logical name.
        dropped_files: logical names of files that the metadata do not name any more.
    """

    content: bytes
    added_files: Mapping[str, ByteSource]
    dropped_files: frozenset[str]


def write_processed(content: bytes, processed: Processed, *, now: datetime.datetime) -> ProcessedMetadata:
    """
    Write what processing made into the metadata of its database.

    Args:
        content: the ``metadata.sqlitedb`` whose objects were processed.
        processed: every column of every table in it; of relationships and user hierarchies, all that the tables touch
            and that shall be ready.
        now: the time of the processing, with its zone.

    Raises:
        FormatError: *content* is damaged.
        ModelError: *content* contradicts itself; *processed* names what is not there, or leaves a column out.
    """
    with Metadata.from_bytes(content) as metadata:
        require_consistent(metadata)
        old_names = frozenset(storage_file_names(metadata).values())
        edit = MetadataEdit(metadata)
        rows = Rows(metadata, edit)
        time = filetime.of(now)
        writer = _Writer(rows, processed, schema_version=metadata.schema_version, time=time)
        writer.write()
    rows.write()
    for name in _CHANGED_TIMES:
        edit.set_property(name, time)
    changed = edit.content(content)
    with Metadata.from_bytes(changed) as metadata:
        require_consistent(metadata)
        new_names = frozenset(storage_file_names(metadata).values())
    added = {name: body for name, body in writer.files() if name in new_names}
    return ProcessedMetadata(changed, added, old_names - new_names)


class _Writer:
    """Writes *processed* into *rows*."""

    def __init__(self, rows: Rows, processed: Processed, *, schema_version: int, time: int) -> None:
        self._processed = processed
        self._rows = rows
        self._new = NewStorage(rows, schema_version=schema_version)
        self._storage = self._new.storage_rows
        self._indexes = ProcessedIndexes(self._storage, time=time)
        self._time = time
        self._counts_violations = schema_version <= _VIOLATIONS_COUNTED_UNTIL
        self._bodies: dict[str, ByteSource] = {}
        self._versions = _versions(rows)

    def files(self) -> Iterator[tuple[str, ByteSource]]:
        """Logical names and bodies of all files that were made, some of which may have been replaced since."""
        yield from ((name, MemorySource(body)) for name, body in self._new.files.items())
        yield from self._bodies.items()
        yield from self._indexes.files.items()

    def write(self) -> None:
        """Make all changes."""
        _require_objects(self._processed, self._rows, self._storage.columns)
        for table in self._processed.tables:
            self._new.complete(table.table_id)
        self._remove_derived()
        for table in self._processed.tables:
            self._write_table(table)
        for table in self._processed.tables:
            for column in table.columns:
                self._set_order(column.column_id)
                self._indexes.write_attribute_hierarchy(column.column_id, column.hierarchy)
        for relationship in self._processed.relationships:
            self._indexes.write_relationship(relationship)
        self._count_violations()
        levels = self._level_columns()
        for hierarchy in self._processed.user_hierarchies:
            self._indexes.write_user_hierarchy(hierarchy, column_ids=levels[hierarchy.hierarchy_id])
        for column_id in self._processed.stale_column_ids:
            self._rows.update("Column", column_id, _TO_BE_CALCULATED)
        for partition_id in self._processed.stale_partition_ids:
            self._rows.update("Partition", partition_id, _TO_BE_CALCULATED)

    def _remove_derived(self) -> None:
        """Take away what was derived from the values before, of everything that is written and that depends on it."""
        rows, processed = self._rows, self._processed
        tables: set[Value] = {table.table_id for table in processed.tables}
        columns = {column.column_id for table in processed.tables for column in table.columns}
        written = {one.relationship_id for one in processed.relationships}
        written |= {one.hierarchy_id for one in processed.user_hierarchies}
        hierarchies = (row for row in rows["AttributeHierarchy"].values() if row["ColumnID"] in columns)
        roots = [row["AttributeHierarchyStorageID"] for row in hierarchies]
        for row_id, row in rows["Column"].items():
            if row["TableID"] in tables and row_id not in columns and row["ColumnStorageID"]:
                roots += column_storage(rows, row_id)
                rows.update("Column", row_id, _TO_BE_CALCULATED)
                hierarchy = self._storage.row("AttributeHierarchy", row["AttributeHierarchyID"])
                rows.update("AttributeHierarchy", whole(hierarchy["ID"]), _TO_BE_CALCULATED)
        for row_id, row in rows["Relationship"].items():
            if row_id in written or row["FromTableID"] in tables or row["ToTableID"] in tables:
                roots += [row["RelationshipStorageID"], row["RelationshipStorage2ID"]]
                if row["RelationshipStorageID"] and row_id not in written:
                    rows.update("Relationship", row_id, _TO_BE_CALCULATED)
        for row_id, row in rows["Hierarchy"].items():
            if row_id in written or row["TableID"] in tables:
                roots.append(row["HierarchyStorageID"])
                if row["HierarchyStorageID"] and row_id not in written:
                    rows.update("Hierarchy", row_id, _TO_BE_CALCULATED)
        storages = {rows["Column"][column_id]["ColumnStorageID"] for column_id in columns}
        for table in _INDEXES_OF_COLUMNS:
            roots += [row_id for row_id, row in rows[table].items() if row["ColumnStorageID"] in storages]
        remove(rows, [root for root in roots if isinstance(root, int)])

    def _write_table(self, table: ProcessedTable) -> None:
        rows, storage = self._rows, self._storage
        table_storage = storage.table_storage(table.table_id)
        version = 1 + max(whole(table_storage["Version"]), self._versions.get(table.table_id, 0))
        settings = SETTINGS if self._is_loaded_and_calculated(table.table_id) else SETTINGS | _NOT_CALCULATED
        rows.update("TableStorage", whole(table_storage["ID"]), {"Version": version, "Settings": settings})
        rowless = {row_id for row_id in storage.partitions.get(table.table_id, ()) if not storage.record_count(row_id)}
        for partition in table.partitions:
            row_id = partition.partition_id
            partition_storage = storage.row("PartitionStorage", rows["Partition"][row_id]["PartitionStorageID"])
            cells: dict[str, Value] = {
                "RecordCount": partition.record_count,
                "SegmentCount": partition.segment_count,
                "RecordsPerSegment": partition.records_per_segment,
            }
            rows.update("SegmentMapStorage", whole(partition_storage["SegmentMapStorageID"]), cells)
            rows.update("Partition", row_id, {**_READY, "RefreshedTime": self._time})
            rowless.discard(row_id)
        for column in table.columns:
            self._write_column(table.table_id, column, version=version, rowless=rowless)

    def _is_loaded_and_calculated(self, table_id: int) -> bool:
        """Whether a table that is not calculated has a column that is."""
        if self._rows["Table"][table_id]["SystemFlags"] == _CALCULATED_TABLE:
            return False
        columns = (self._rows["Column"][column_id] for column_id in self._storage.columns.get(table_id, ()))
        return any(column["Type"] == ColumnType.CALCULATED for column in columns)

    def _write_column(self, table_id: int, column: ProcessedColumn, *, version: int, rowless: set[int]) -> None:
        rows, storage = self._rows, self._storage
        row = rows["Column"][column.column_id]
        partitions = set(storage.partitions.get(table_id, ()))
        if not row["ColumnStorageID"]:
            if not partitions <= column.segments.keys() | rowless:
                raise ModelError(f"column {column.column_id} has no segments yet, and not for every partition now")
            self._new.add_column(table_id, column.column_id)
        storage_id = whole(row["ColumnStorageID"])
        cells: dict[str, Value] = statistics_cells(column.statistics)
        cells["ColumnFlags"] = self._new.column_flags(column.column_id)
        rows.update("ColumnStorage", storage_id, cells)
        self._write_dictionary(table_id, storage_id, column, version=version)
        table_name = text(storage.table_storage(table_id)["Name"])
        for partition_id, segments in column.segments.items():
            if partition_id not in partitions:
                raise ModelError(f"partition {partition_id} is not of the table of column {column.column_id}")
            idf, idfmeta = storage.put_segments(
                storage_id,
                whole(rows["Partition"][partition_id]["PartitionStorageID"]),
                table_name=table_name,
                version=version,
                segment_count=segments.segment_count,
            )
            self._bodies[idf] = segments.idf
            self._bodies[idfmeta] = segments.idfmeta
        cells = {**_READY, "RefreshedTime": self._time} if row["Type"] == ColumnType.CALCULATED else _READY
        rows.update("Column", column.column_id, cells)

    def _write_dictionary(self, table_id: int, storage_id: int, column: ProcessedColumn, *, version: int) -> None:
        storage, dictionary = self._storage, column.dictionary
        column_storage = storage.row("ColumnStorage", storage_id)
        row_id = whole(storage.row("DictionaryStorage", column_storage["DictionaryStorageID"])["ID"])
        cells = _dictionary_cells(dictionary)
        is_nullable = dictionary.type == DictionaryType.VALUE or column.statistics.has_nulls
        cells |= {"DataVersion": version, "IsNullable": int(is_nullable)}
        self._rows.update("DictionaryStorage", row_id, cells)
        if dictionary.body is None:
            storage.drop_file("DictionaryStorage", row_id)
            return
        table = storage.table_storage(table_id)
        name = f"{version}.{text(table['Name'])}.{text(column_storage['Name'])}.dictionary"
        file = storage.put_file("DictionaryStorage", row_id, table["StorageFolderID"], name)
        self._bodies[file] = dictionary.body

    def _set_order(self, column_id: int) -> None:
        """``ColumnStorage.OrderByColumn`` is the name of the storage of the column that another one is sorted by."""
        row = self._rows["Column"][column_id]
        order = self._storage.of("Column", row["SortByColumnID"])
        storage = self._storage.of("ColumnStorage", order["ColumnStorageID"]) if order else None
        name = storage["Name"] if storage else None
        self._rows.update("ColumnStorage", whole(row["ColumnStorageID"]), {"OrderByColumn": name})

    def _count_violations(self) -> None:
        """``TableStorage.RIViolationCount`` of the tables that the written relationships lead to."""
        rows = self._rows
        written = {one.relationship_id for one in self._processed.relationships}
        counts = {row["ToTableID"]: 0 for row_id, row in rows["Relationship"].items() if row_id in written}
        for row in rows["Relationship"].values() if self._counts_violations else ():
            storage = self._storage.of("RelationshipStorage", row["RelationshipStorageID"])
            index = storage and self._storage.of("RelationshipIndexStorage", storage["RelationshipIndexStorageID"])
            if index and row["ToTableID"] in counts:
                counts[row["ToTableID"]] += whole(index["Flags"]) & 1
        for table_id, count in counts.items():
            storage_id = whole(self._storage.table_storage(whole(table_id))["ID"])
            rows.update("TableStorage", storage_id, {"RIViolationCount": count})

    def _level_columns(self) -> dict[Value, list[int]]:
        """Ids of the columns of the levels of each user hierarchy, from the top."""
        columns: dict[Value, list[int]] = {}
        for level in sorted(self._rows["Level"].values(), key=lambda one: whole(one["Ordinal"])):
            columns.setdefault(level["HierarchyID"], []).append(whole(level["ColumnID"]))
        return columns


def _dictionary_cells(dictionary: ProcessedDictionary) -> dict[str, Value]:
    return {
        "Type": dictionary.type,
        "DataType": dictionary.data_type,
        "BaseId": dictionary.base_id,
        "Magnitude": dictionary.magnitude,
        "LastId": dictionary.last_id,
        "IsUnique": int(dictionary.is_unique),
        "IsOperatingOn32": int(dictionary.is_operating_on_32),
        "DictionaryFlags": dictionary.dictionary_flags,
        "Size": dictionary.body.byte_count if dictionary.body else 0,
    }


def _versions(rows: Rows) -> dict[Value, int]:
    """The highest data version of the hierarchies of each table's columns, whose ``.hidx`` files lie in its folder."""
    versions: dict[Value, int] = {}
    for column in rows["Column"].values():
        hierarchy_id = column["AttributeHierarchyID"]
        if isinstance(hierarchy_id, int) and hierarchy_id in rows["AttributeHierarchy"]:
            storage_id = rows["AttributeHierarchy"][hierarchy_id]["AttributeHierarchyStorageID"]
            if isinstance(storage_id, int) and storage_id in rows["AttributeHierarchyStorage"]:
                version = whole(rows["AttributeHierarchyStorage"][storage_id]["DataVersion"])
                versions[column["TableID"]] = max(version, versions.get(column["TableID"], 0))
    return versions


def _require_objects(processed: Processed, rows: Rows, columns: Mapping[int, list[int]]) -> None:
    """Every object is there, and every column with values is written with its table, unless it is calculated."""
    for table in processed.tables:
        written = [column.column_id for column in table.columns]
        own = columns.get(table.table_id, ())
        if not set(written) <= set(own) or len(set(written)) != len(written):
            raise ModelError(f"the columns written of table {table.table_id} are not those that it has, each once")
        for row_id in set(own) - set(written):
            column = rows["Column"][row_id]
            if column["ColumnStorageID"] and column["Type"] != ColumnType.CALCULATED:
                raise ModelError(f"column {row_id} of table {table.table_id} has values and is not written with it")
        for partition in table.partitions:
            if rows["Partition"].get(partition.partition_id, {}).get("TableID") != table.table_id:
                raise ModelError(f"partition {partition.partition_id} is not of table {table.table_id}")
    for relationship in processed.relationships:
        if relationship.relationship_id not in rows["Relationship"]:
            raise ModelError(f"there is no relationship {relationship.relationship_id}")
    for table_name, stale_ids in (("Column", processed.stale_column_ids), ("Partition", processed.stale_partition_ids)):
        if missing := stale_ids - rows[table_name].keys():
            raise ModelError(f"there is no {table_name.lower()} {min(missing)}")
    counts = Counter(level["HierarchyID"] for level in rows["Level"].values())
    for hierarchy in processed.user_hierarchies:
        if hierarchy.hierarchy_id not in rows["Hierarchy"]:
            raise ModelError(f"there is no hierarchy {hierarchy.hierarchy_id}")
        if counts[hierarchy.hierarchy_id] != len(hierarchy.level_starts):
            found = f"{len(hierarchy.level_starts)} are written"
            raise ModelError(f"hierarchy {hierarchy.hierarchy_id} has {counts[hierarchy.hierarchy_id]} levels, {found}")
