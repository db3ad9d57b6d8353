"""
Do the rows of storage agree on which file is whose, where it lies and what it has to hold?

- A file belongs to one row: the owner that ``StorageFile.OwnerID`` and ``OwnerType`` say, and no other, names it.
- Segments lie in the folder of their partition, which is in that of its table; dictionaries and hash indexes lie in the
  folder of the table.
- A hash dictionary (Type 1) starts at data id 2 (BaseId) and has a file if and only if it has entries: LastId is over
  2. A column whose values are encoded (Type 2) has none, and a Magnitude to divide by.
- Segments hold ``RecordsPerSegment`` rows but for the last one: as many as there are, where there is one segment.
- Columns of a table have storage positions of their own.
- Levels are of columns of their hierarchy's table, and the column that another one is sorted by is of its table. (A
  model whose relationships join columns of other tables than theirs is not loaded at all.)

Source: read off genuine files of schema versions 17 to 122, in which no row is otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.model.objects import DictionaryType
from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Model

_FIRST_ID: Final = 2
"""``BaseId`` of every hash dictionary: the data id of BLANK, before that of the first entry."""

_FILE_OWNERS: Final = (
    "DictionaryStorage",
    "ColumnPartitionStorage",
    "SegmentStorage",
    "AttributeHierarchyStorage",
)


def shared_violations(metadata: Metadata) -> Iterator[str]:
    """
    Files that two rows name.

    Raises:
        ModelError: a cell is none of its type.
    """
    names: dict[int, str] = {}
    for table in _FILE_OWNERS:
        for row_id, file_id in _cells(metadata, table, "StorageFileID").items():
            if file_id in names:
                yield f"StorageFile {file_id} is named by {names[file_id]} and by {table} {row_id}"
            if file_id:
                names[file_id] = f"{table} {row_id}"


def place_violations(metadata: Metadata) -> Iterator[str]:
    """
    Files and folders that lie elsewhere than their owners.

    Raises:
        ModelError: a cell is none of its type.
    """
    folders = _folders(metadata)
    files = _cells(metadata, "StorageFile", "StorageFolderID")
    for table in _FILE_OWNERS:
        for row_id, file_id in _cells(metadata, table, "StorageFileID").items():
            expected = folders[table].get(row_id)
            if expected and file_id in files and files[file_id] != expected:
                owner = f"{table} {row_id}"
                yield f"StorageFile {file_id} of {owner} lies in folder {files[file_id]}, its owner in {expected}"
    yield from _nesting_violations(metadata)


def _folders(metadata: Metadata) -> dict[str, dict[int, int]]:
    """The id of the folder in which the file of each row must lie, by the row's table and id."""
    table_folders = _cells(metadata, "TableStorage", "StorageFolderID")
    of_table = {key: table_folders.get(value, 0) for key, value in _cells(metadata, "Table", "TableStorageID").items()}
    of_column = {key: of_table.get(value, 0) for key, value in _cells(metadata, "Column", "TableID").items()}
    storages = _joined(_cells(metadata, "ColumnStorage", "ColumnID"), of_column)
    partitions = _cells(metadata, "PartitionStorage", "StorageFolderID")
    parts = _joined(_cells(metadata, "ColumnPartitionStorage", "PartitionStorageID"), partitions)
    hierarchies = _joined(_cells(metadata, "AttributeHierarchy", "ColumnID"), of_column)
    return {
        "DictionaryStorage": _joined(_cells(metadata, "DictionaryStorage", "ColumnStorageID"), storages),
        "ColumnPartitionStorage": parts,
        "SegmentStorage": _joined(_cells(metadata, "SegmentStorage", "ColumnPartitionStorageID"), parts),
        "AttributeHierarchyStorage": _joined(
            _cells(metadata, "AttributeHierarchyStorage", "AttributeHierarchyID"), hierarchies
        ),
    }


def _nesting_violations(metadata: Metadata) -> Iterator[str]:
    """Folders of partitions that are not in that of their table, and paths that two folders have."""
    paths: dict[int, str] = {}
    owners: dict[str, int] = {}
    for record in Records(metadata, "StorageFolder", ("Path",)):
        path = record.text("Path")
        if path in owners:
            yield f"StorageFolder {record.id} has path {path!r}, which is that of StorageFolder {owners[path]}"
        owners[path] = record.id
        paths[record.id] = path
    of_storage = _joined_texts(_cells(metadata, "TableStorage", "StorageFolderID"), paths)
    of_table = _joined_texts(_cells(metadata, "Table", "TableStorageID"), of_storage)
    of_partition = _joined_texts(_cells(metadata, "Partition", "TableID"), of_table)
    for record in Records(metadata, "PartitionStorage", ("PartitionID", "StorageFolderID")):
        folder = of_partition.get(record.integer("PartitionID", 0))
        own = paths.get(record.integer("StorageFolderID", 0))
        if folder is not None and own is not None and not own.startswith(f"{folder}\\"):
            yield f"{record.table} {record.id} lies in {own!r}, not in the folder {folder!r} of its table"


def dictionary_violations(metadata: Metadata) -> Iterator[str]:
    """
    Dictionaries with entries and no file, or the other way round, and those that no data id can be decoded by.

    Raises:
        ModelError: a cell is none of its type.
    """
    columns = ("Type", "BaseId", "Magnitude", "LastId", "StorageFileID")
    for record in Records(metadata, "DictionaryStorage", columns):
        kind, last_id = record.integer("Type"), record.integer("LastId", 0)
        has_file = record.integer("StorageFileID", 0) != 0
        what = f"{record.table} {record.id} of Type {kind}"
        if kind == DictionaryType.HASH:
            if record.integer("BaseId", 0) != _FIRST_ID:
                yield f"{what}: BaseId is {record.integer('BaseId', 0)}, not {_FIRST_ID}"
            if has_file != (last_id > _FIRST_ID):
                yield f"{what}: LastId is {last_id}, and there is {'a' if has_file else 'no'} file"
        elif has_file:
            yield f"{what} has a file, and needs none"
        elif kind == DictionaryType.VALUE and not record.real("Magnitude", 0.0):
            yield f"{what}: Magnitude is 0"


def segment_map_violations(model: Model) -> Iterator[str]:
    """Segment maps whose counts contradict each other, and columns in one place."""
    for table in (*model.tables, *model.system_tables):
        for partition in table.partitions:
            storage = partition.storage
            if storage is None:
                continue
            counts = storage.record_count, storage.segment_count, storage.records_per_segment
            if not _is_map(*counts):
                shown = "RecordCount, SegmentCount and RecordsPerSegment are {}, {} and {}".format(*counts)
                yield f"partition {partition.name!r} of table {table.name!r}: {shown}"


def _is_map(record_count: int, segment_count: int, records_per_segment: int) -> bool:
    """Whether so many records fill so many segments of that length, the last of which may be shorter."""
    if not record_count:
        return True
    return (segment_count - 1) * records_per_segment < record_count <= segment_count * records_per_segment


def position_violations(metadata: Metadata) -> Iterator[str]:
    """
    Columns of a table in one storage position.

    Raises:
        ModelError: a cell is none of its type.
    """
    tables = _cells(metadata, "Column", "TableID")
    taken: dict[tuple[int, int], int] = {}
    for record in Records(metadata, "ColumnStorage", ("ColumnID", "StoragePosition")):
        table_id, position = tables.get(record.integer("ColumnID", 0), 0), record.integer("StoragePosition", 0)
        other = taken.setdefault((table_id, position), record.id)
        if other != record.id:
            yield f"{record.table} {record.id}: StoragePosition is {position}, as of {record.table} {other}"


def table_violations(metadata: Metadata) -> Iterator[str]:
    """
    Columns of another table than the one they must be of.

    Raises:
        ModelError: a cell is none of its type.
    """
    tables = _cells(metadata, "Column", "TableID")
    for row_id, sorted_by in _cells(metadata, "Column", "SortByColumnID").items():
        found = tables.get(sorted_by)
        if found is not None and found != tables[row_id]:
            yield f"Column {row_id}: SortByColumnID {sorted_by} is of table {found}"
    hierarchies = _cells(metadata, "Hierarchy", "TableID")
    for record in Records(metadata, "Level", ("HierarchyID", "ColumnID")):
        found = tables.get(record.integer("ColumnID", 0))
        if found != hierarchies.get(record.integer("HierarchyID", 0)):
            yield f"Level {record.id}: ColumnID {record.integer('ColumnID', 0)} is of table {found}"


def _cells(metadata: Metadata, table: str, column: str) -> dict[int, int]:
    """The references in a column, by the id of the row."""
    return {record.id: record.integer(column, 0) for record in Records(metadata, table, (column,))}


def _joined(references: dict[int, int], values: dict[int, int]) -> dict[int, int]:
    return {row_id: values.get(reference, 0) for row_id, reference in references.items()}


def _joined_texts(references: dict[int, int], values: dict[int, str]) -> dict[int, str]:
    return {row_id: values[reference] for row_id, reference in references.items() if reference in values}
