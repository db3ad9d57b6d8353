"""
``DISCOVER_STORAGE_*``: tables, columns and segments as the storage engine sees them, system tables included.

What a file can tell is filled in; what only a running server knows (paging, temperature, last access, the state of its
compression) is NULL. Sizes are those of the stored structures, which a server loads as they are:

==================  ===============================================================================================
column              here
==================  ===============================================================================================
DICTIONARY_SIZE     bytes of the ``.dictionary`` file, 0 without one
ALLOCATED_SIZE      bytes of the segment's words in the ``.idf`` file, with those of its subsegment
USED_SIZE           the same, of the run-length words only those in use (StorageUsedSize)
BITS_COUNT          bit width of the packed values; NULL for a row number, which packs none
COMPRESSION_TYPE    NOSPLIT; C123 for a row number
COLUMN_TYPE         BASIC_DATA for all columns of a user table: tools that size a model ask for this type alone and get
                    calculated columns with it
==================  ===============================================================================================

TABLE_ID and COLUMN_ID are the storage names (``Sales (12)``). DIMENSION_NAME and MEASURE_GROUP_NAME are the user
table's name, for a system table that of the table it serves.

Sources: [MS-SSAS] 3.1.4.2.2.1.3.58 to .60 (names and types; PARTITION_NAME of segments from the SQL Server 2012
documentation, GUIDs from that of AdomdSchemaGuid); C123, PARTITION_NAME of tables and the two names of system
tables are guesses from published outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tabvault.engine.rowsets.database import of_database
from tabvault.engine.rowsets.definition import OLAP_GUID, Rowset, restrictions, schema
from tabvault.errors import FormatError, ModelError
from tabvault.formats.byte_source import check_range
from tabvault.formats.cursor import Cursor
from tabvault.formats.vertipaq import idfmeta
from tabvault.model.objects import DataType
from tabvault.model.records import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetSource
    from tabvault.formats.byte_source import ByteSource
    from tabvault.formats.vertipaq.idfmeta import SegmentMeta
    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import Column, ColumnPartitionStorage, Model, Table

TABLES: Final = schema(
    "DATABASE_NAME CUBE_NAME MEASURE_GROUP_NAME PARTITION_NAME DIMENSION_NAME TABLE_ID TABLE_PARTITIONS_COUNT:long"
    " HINT_TABLE_TYPE ROWS_COUNT:long RIVIOLATION_COUNT:long"
)
COLUMNS: Final = schema(
    "DATABASE_NAME CUBE_NAME MEASURE_GROUP_NAME DIMENSION_NAME ATTRIBUTE_NAME TABLE_ID COLUMN_ID COLUMN_TYPE"
    " COLUMN_ENCODING:long DATATYPE ISKEY:boolean ISUNIQUE:boolean ISNULLABLE:boolean ISROWNUMBER:boolean"
    " DICTIONARY_SIZE:unsignedLong DICTIONARY_ISPAGEABLE:boolean DICTIONARY_ISRESIDENT:boolean"
    " DICTIONARY_TEMPERATURE:double DICTIONARY_LAST_ACCESSED:dateTime"
)
SEGMENTS: Final = schema(
    "DATABASE_NAME CUBE_NAME MEASURE_GROUP_NAME PARTITION_NAME DIMENSION_NAME TABLE_ID COLUMN_ID SEGMENT_NUMBER:long"
    " TABLE_PARTITION_NUMBER:long RECORDS_COUNT:unsignedLong ALLOCATED_SIZE:unsignedLong USED_SIZE:unsignedLong"
    " COMPRESSION_TYPE BITS_COUNT:long BOOKMARK_BITS_COUNT:long VERTIPAQ_STATE ISPAGEABLE:boolean ISRESIDENT:boolean"
    " TEMPERATURE:double LAST_ACCESSED:dateTime"
)

_DATA_TYPES: Final[dict[int, str]] = {
    DataType.STRING: "DBTYPE_WSTR",
    DataType.INT64: "DBTYPE_I8",
    DataType.DOUBLE: "DBTYPE_R8",
    DataType.DATETIME: "DBTYPE_DATE",
    DataType.DECIMAL: "DBTYPE_CY",
    DataType.BOOLEAN: "DBTYPE_BOOL",
    DataType.BINARY: "DBTYPE_BYTES",
    DataType.VARIANT: "DBTYPE_VARIANT",
}
_SYSTEM_COLUMN_TYPES: Final = {
    "POS_TO_ID": "HIERARCHY_POSITION_TO_DATAID",
    "ID_TO_POS": "HIERARCHY_DATAID_TO_POSITION",
    "INDEX": "RELATIONSHIP",
}
_WORD_BYTE_COUNT: Final = 8


def storage_tables(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    """``DISCOVER_STORAGE_TABLES``: one row per table that has storage."""
    for table, names in _stored_tables(source):
        partitions = table.partitions
        yield {
            **names,
            "PARTITION_NAME": partitions[0].name if len(partitions) == 1 else None,
            "TABLE_PARTITIONS_COUNT": len(partitions),
            "ROWS_COUNT": table.row_count,
        }


def storage_columns(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    """``DISCOVER_STORAGE_TABLE_COLUMNS``: one row per column that has storage."""
    flags = {record.id: record for record in Records(source.metadata, "Column", ("IsKey", "IsUnique", "IsNullable"))}
    for table, names in _stored_tables(source):
        for column in table.columns:
            if column.storage is None:
                continue
            dictionary = column.storage.dictionary
            file = dictionary.file if dictionary else None
            yield {
                **names,
                "ATTRIBUTE_NAME": column.name,
                "COLUMN_ID": column.storage.name,
                "COLUMN_TYPE": _column_type(table, column),
                "COLUMN_ENCODING": dictionary.type if dictionary else 0,
                "DATATYPE": _DATA_TYPES.get(column.data_type, "N/A"),
                "ISKEY": flags[column.id].flag("IsKey"),
                "ISUNIQUE": flags[column.id].flag("IsUnique"),
                "ISNULLABLE": flags[column.id].flag("IsNullable"),
                "ISROWNUMBER": column.is_row_number,
                "DICTIONARY_SIZE": source.files.byte_count(file) if file else 0,
            }


def storage_segments(_request: RowsetRequest, source: RowsetSource) -> Iterator[Mapping[str, object]]:
    """``DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS``: one row per segment, read from the files of all columns."""
    for table, names in _stored_tables(source):
        partitions = {partition.storage.id: partition for partition in table.partitions if partition.storage}
        for column in table.columns:
            for stored in column.storage.partitions if column.storage else ():
                partition = partitions[stored.partition_storage_id]
                place = {
                    **names,
                    "PARTITION_NAME": partition.name,
                    "TABLE_PARTITION_NUMBER": partition.storage.storage_position if partition.storage else None,
                    "COLUMN_ID": column.storage.name if column.storage else None,
                }
                yield from ({**place, **segment} for segment in _segments(source, stored))


def _stored_tables(source: RowsetSource) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Each table that has storage, with the names that its rows carry in all three rowsets."""
    storages = Records(source.metadata, "TableStorage", ("Name", "RIViolationCount"))
    storage_ids = Records(source.metadata, "Table", ("TableStorageID",))
    storage_of = {record.id: storages.target_or_none(record, "TableStorageID") for record in storage_ids}
    owners = _owners(source.metadata, source.model)
    for table in (*source.model.tables, *source.model.system_tables):
        storage = storage_of[table.id]
        if storage is None:
            continue
        owner = owners.get(table.id, table.name)
        yield (
            table,
            {
                "DATABASE_NAME": source.database.name,
                "CUBE_NAME": source.model.name,
                "MEASURE_GROUP_NAME": owner,
                "DIMENSION_NAME": owner,
                "TABLE_ID": storage.text("Name"),
                "RIVIOLATION_COUNT": storage.integer("RIViolationCount", 0),
            },
        )


def _owners(metadata: Metadata, model: Model) -> dict[int, str]:
    """The user table that each system table serves (its column, hierarchy or relationship), by the latter's id."""
    table_of = {table.id: table.name for table in model.tables}
    table_of |= {column.id: table.name for table in model.tables for column in table.columns}
    table_of |= {hierarchy.id: table.name for table in model.tables for hierarchy in table.hierarchies}
    table_of |= {
        link.id: table_of[link.from_table_id] for link in model.relationships if link.from_table_id in table_of
    }
    hierarchies = Records(metadata, "AttributeHierarchy", ("ColumnID",))
    relationships = Records(metadata, "RelationshipStorage", ("RelationshipID",))
    served: dict[int, int] = {}
    for record in Records(metadata, "AttributeHierarchyStorage", ("AttributeHierarchyID", "SystemTableID")):
        hierarchy = hierarchies.target(record, "AttributeHierarchyID")
        served[record.integer("SystemTableID", 0)] = hierarchy.integer("ColumnID", 0)
    for record in Records(metadata, "HierarchyStorage", ("HierarchyID", "SystemTableID")):
        served[record.integer("SystemTableID", 0)] = record.integer("HierarchyID", 0)
    system_tables = ("SystemTableID", "SecondarySystemTableID")
    for record in Records(metadata, "RelationshipIndexStorage", ("RelationshipStorageID", *system_tables)):
        relationship = relationships.target(record, "RelationshipStorageID")
        for column in system_tables:
            served[record.integer(column, 0)] = relationship.integer("RelationshipID", 0)
    return {system_table: table_of[served_id] for system_table, served_id in served.items() if served_id in table_of}


def _column_type(table: Table, column: Column) -> str:
    return _SYSTEM_COLUMN_TYPES.get(column.name, "UNKNOWN") if table.is_system else "BASIC_DATA"


def _segments(source: RowsetSource, stored: ColumnPartitionStorage) -> Iterator[dict[str, Any]]:
    """The segments of one column in one partition; none where it has no files."""
    if stored.idf_file is None or stored.idfmeta_file is None:
        return
    segments = idfmeta.parse(source.files.read(stored.idfmeta_file), file=stored.idfmeta_file)
    if len(segments) != stored.segment_count:
        raise ModelError(
            f"{stored.idfmeta_file} has {len(segments)} segments, and SegmentCount is {stored.segment_count}"
        )
    words = _word_counts(source.files.open(stored.idf_file), segments, file=stored.idf_file)
    for number, (segment, (word_count, sub_word_count)) in enumerate(zip(segments, words, strict=True)):
        used = _WORD_BYTE_COUNT * word_count
        if segment.storage_used_size is not None:
            used = min(used, 4 * segment.storage_used_size)
        yield {
            "SEGMENT_NUMBER": number,
            "RECORDS_COUNT": segment.records,
            "ALLOCATED_SIZE": _WORD_BYTE_COUNT * (word_count + sub_word_count),
            "USED_SIZE": used + _WORD_BYTE_COUNT * sub_word_count,
            "COMPRESSION_TYPE": "C123" if segment.is_xm123 else "NOSPLIT",
            "BITS_COUNT": None if segment.is_xm123 else segment.bit_width,
            "BOOKMARK_BITS_COUNT": segment.bookmark_bits,
        }


def _word_counts(idf: ByteSource, segments: tuple[SegmentMeta, ...], *, file: str) -> Iterator[tuple[int, int]]:
    """
    Words of each segment and of its subsegment (0 without one), from the counts before them; the words are not read.

    Raises:
        TruncatedError: the file ends inside a segment.
    """
    offset = 0
    for segment in segments:
        counts = [0, 0]
        for part in range(2 if segment.is_hybrid else 1):
            try:
                counts[part] = Cursor(idf.read_at(offset, _WORD_BYTE_COUNT)).u64("word count")
                check_range(offset + _WORD_BYTE_COUNT, _WORD_BYTE_COUNT * counts[part], idf.byte_count)
            except FormatError as error:
                raise error.in_file(file) from None
            offset += _WORD_BYTE_COUNT * (1 + counts[part])
        yield counts[0], counts[1]


ROWSETS: Final = (
    Rowset(
        "DISCOVER_STORAGE_TABLES",
        OLAP_GUID.format(0x43),
        "tables as the storage engine sees them",
        TABLES,
        restrictions("DATABASE_NAME CUBE_NAME MEASURE_GROUP_NAME TABLE_ID", on=TABLES),
        of_database(storage_tables, named_by="DATABASE_NAME", for_administrators=True),
    ),
    Rowset(
        "DISCOVER_STORAGE_TABLE_COLUMNS",
        OLAP_GUID.format(0x44),
        "columns as the storage engine sees them",
        COLUMNS,
        restrictions("DATABASE_NAME CUBE_NAME MEASURE_GROUP_NAME TABLE_ID COLUMN_ID COLUMN_TYPE", on=COLUMNS),
        of_database(storage_columns, named_by="DATABASE_NAME", for_administrators=True),
    ),
    Rowset(
        "DISCOVER_STORAGE_TABLE_COLUMN_SEGMENTS",
        OLAP_GUID.format(0x45),
        "segments of columns",
        SEGMENTS,
        restrictions(
            "DATABASE_NAME CUBE_NAME MEASURE_GROUP_NAME PARTITION_NAME TABLE_ID COLUMN_ID SEGMENT_NUMBER", on=SEGMENTS
        ),
        of_database(storage_segments, named_by="DATABASE_NAME", for_administrators=True),
    ),
)
