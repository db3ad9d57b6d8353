"""
``DISCOVER_LOCATIONS``: what a backup file holds, by partition.

The file is named by ``LOCATION_BACKUP_FILE_PATHNAME``, which is required; ``LOCATION_PASSWORD`` opens an encrypted one.
The rowset was made for remote partitions, which tabular models do not have. Here each partition of a user table is a
row: whoever asks wants to know what he would restore. ``LOCATION_PARTITION_FOLDER`` is NULL: the partition lies in the
folder of its database, so a restore needs no mapping for it.

``LOCATION_PARTITION_SIZE`` are the bytes of the files of the partition's columns, without dictionaries, which all
partitions of a table share. Secrets in ``LOCATION_CONNECTION_STRING`` are masked.

Source: [MS-SSAS] 3.1.4.2.2.1.3 and the documentation of the rowset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.engine.rowsets.definition import OLAP_GUID, Match, Restriction, Rowset, schema
from tabvault.errors import RequestError
from tabvault.model.records import Records
from tabvault.model.secrets import masked_connection_string

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tabvault.engine.rowsets.definition import RowsetRequest
    from tabvault.engine.rowsets.source import RowsetSource
    from tabvault.model.objects import Partition, Table

_LOCATIONS: Final = schema(
    "LOCATION_BACKUP_FILE_PATHNAME LOCATION_PARTITION_OBJECTPATH LOCATION_PARTITION_DATASOURCEID"
    " LOCATION_PARTITION_DATASOURCENAME LOCATION_PARTITION_NAME LOCATION_PARTITION_SIZE LOCATION_CONNECTION_STRING"
    " LOCATION_PARTITION_FOLDER"
)


def _locations(request: RowsetRequest) -> Iterator[Mapping[str, object]]:
    context = request.context
    context.require_administrator(request.rowset.name)
    path = request.text("LOCATION_BACKUP_FILE_PATHNAME")
    if context.open_backup is None or path is None:
        raise RequestError("backup files cannot be opened from here", hint="ask a running server")
    with context.open_backup(path, request.text("LOCATION_PASSWORD")) as source:
        sources = {record.id: record for record in Records(source.metadata, "DataSource", ("Name", "ConnectionString"))}
        source_of = {
            record.id: record.integer("DataSourceID", 0)
            for record in Records(source.metadata, "Partition", ("DataSourceID",))
        }
        for table in source.model.tables:
            for partition in table.partitions:
                data_source = sources.get(source_of[partition.id])
                connection = data_source.text_or_none("ConnectionString") if data_source else None
                yield {
                    "LOCATION_BACKUP_FILE_PATHNAME": path,
                    "LOCATION_PARTITION_OBJECTPATH": f"{source.database.name}.{table.name}.{partition.name}",
                    "LOCATION_PARTITION_DATASOURCEID": str(data_source.id) if data_source else None,
                    "LOCATION_PARTITION_DATASOURCENAME": data_source.text("Name") if data_source else None,
                    "LOCATION_PARTITION_NAME": partition.name,
                    "LOCATION_PARTITION_SIZE": str(_byte_count(source, table, partition)),
                    "LOCATION_CONNECTION_STRING": masked_connection_string(connection) if connection else None,
                }


def _byte_count(source: RowsetSource, table: Table, partition: Partition) -> int:
    if partition.storage is None:
        return 0
    files = (
        file
        for column in table.columns
        if column.storage
        for stored in column.storage.partitions
        if stored.partition_storage_id == partition.storage.id
        for file in (stored.idf_file, stored.idfmeta_file)
        if file is not None
    )
    return sum(source.files.byte_count(file) for file in files)


ROWSETS: Final = (
    Rowset(
        "DISCOVER_LOCATIONS",
        OLAP_GUID.format(0x92),
        "the partitions in a backup file",
        _LOCATIONS,
        (
            Restriction("LOCATION_BACKUP_FILE_PATHNAME", "string", Match.OTHER, required=True),
            Restriction("LOCATION_PASSWORD", "string", Match.OTHER),
        ),
        _locations,
    ),
)
