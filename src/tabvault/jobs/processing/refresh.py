"""
Refresh: rows are read from their sources, tables are made of them, and one commit puts them in the place of the old.

Invariants:

1. The database is as it was until the commit: readers keep the old version, and whatever is raised leaves it.
2. All that was asked for is done, or nothing. Sources are read at different moments: rows of several tables are those
   of no common instant, as in Analysis Services.
3. Values that follow from rows (hierarchies, indexes of relationships) are made with them; what cannot be computed is
   refused by name, or kept and said to be out of date.
4. Rows wait in files without a name on the disk of the databases: they are gone with the alteration or the process.
5. In memory are the distinct values of each column, the rows of one segment for each partition that is read at the
   time, and, while hierarchies with levels and relationships are made, a data id (4 bytes) for each row of the columns
   that such a one needs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tabvault.engine.collation import Collation
from tabvault.engine.encoder.existing import ExistingTable
from tabvault.engine.encoder.specification import (
    STORED_TYPES,
    ColumnSpecification,
    EncoderOptions,
    TableSpecification,
)
from tabvault.engine.encoder.table_encoder import TableEncoder
from tabvault.errors import ModelError, StorageError
from tabvault.formats.vertipaq.hybrid_writer import BookmarkRule
from tabvault.jobs.alteration import Alteration
from tabvault.jobs.processing.kept_columns import KeptColumns, kept_columns
from tabvault.jobs.processing.partition_definitions import with_definitions
from tabvault.jobs.processing.plan import Plan, plan_refresh
from tabvault.jobs.processing.relationships import processed_relationships
from tabvault.jobs.processing.result import FoldedColumn, RefreshedPartition, RefreshResult
from tabvault.jobs.processing.stoppable import Stoppable
from tabvault.jobs.processing.table_load import LoadedPartition, Loading
from tabvault.jobs.processing.table_structures import TableStructures
from tabvault.jobs.progress import ProgressMeter
from tabvault.model.changes.change import Change
from tabvault.model.changes.empty_segment import DATA_OFFSETS_SINCE
from tabvault.model.load import load_model
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.objects import Cardinality, ColumnType, ObjectState
from tabvault.model.processed import Processed
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tabvault.engine.encoder.table_encoder import EncodedTable
    from tabvault.jobs.processing.plan import TableLoad
    from tabvault.jobs.processing.request import RefreshRequest
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.jobs.progress import Progress
    from tabvault.model.objects import Model, Table
    from tabvault.model.processed import ProcessedTable, ProcessedUserHierarchy
    from tabvault.storage.data_folder.folder import DatabaseInfo, DataFolder

_BOOKMARKS_BY_ENTRIES_SINCE: Final = 96
"""Schema version about which BookmarkBits, a hint, began to be found another way."""


def refresh_database(
    folder: DataFolder,
    database: str | DatabaseInfo,
    request: RefreshRequest,
    access: Callable[[DatabaseInfo], SourceAccess],
    *,
    progress: Callable[[Progress], None] | None = None,
) -> RefreshResult:
    """
    Refresh a database, and commit.

    Args:
        folder: the data folder.
        database: which one.
        request: what is to be done.
        access: gives what the sources of the database may be asked with.
        progress: told of rows and tables; raising from it cancels.

    Raises:
        DatabaseNotFoundError, DatabaseReadOnlyError, DataFolderDamagedError: as :class:`Alteration`.
        TabvaultError: as :func:`process`, and as :meth:`Alteration.commit`.
    """
    with Alteration(folder, database) as alteration:
        result = process(alteration, request, access(alteration.info), progress=progress)
        alteration.commit()
        return result


def process(
    alteration: Alteration,
    request: RefreshRequest,
    access: SourceAccess,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> RefreshResult:
    """
    Refresh in an alteration, which is committed by whoever began it.

    Args:
        alteration: of the database; it may have changed objects before.
        request: what is to be done.
        access: what the sources may be asked with.
        progress: told of rows and tables; raising from it cancels.

    Raises:
        RequestError: a table or partition is not there.
        CommandNotSupportedError: a partition whose rows do not come from a query.
        CalculationNotSupportedError: a calculated column or table would have to be computed.
        SourceError: a source; the partition is in the message.
        ProcessingError: no consistent tables can be made of the rows.
        StorageError: no room for the rows.
    """
    begun = time.monotonic()
    with alteration.metadata() as metadata:
        model = with_definitions(load_model(metadata), metadata)
    plan = plan_refresh(model, request)
    if plan.cleared:
        alteration.change(list(_clearing_changes(model, plan)))
    work = _Work(alteration, model, plan, ProgressMeter(progress))
    with storage_errors("temporary files of the refresh", missing=StorageError):
        loaded = work.load(access, request.parallelism)
        tables, folded = work.process()
    return RefreshResult(
        database=alteration.info.name,
        type=request.kind.value,
        partitions=tuple(_refreshed(one) for one in loaded),
        tables=tables,
        folded=folded,
        kept=tuple(one.name for one in plan.kept),
        byte_count=alteration.added_byte_count,
        warnings=tuple(_warnings(loaded, plan)),
        seconds=time.monotonic() - begun,
    )


class _Work:
    """One refresh on its way: encoders by table, and what is made with them."""

    def __init__(self, alteration: Alteration, model: Model, plan: Plan, meter: ProgressMeter) -> None:
        self._alteration = alteration
        self._model = model
        self._plan = plan
        self._meter = meter
        self._files = alteration.files
        definition = alteration.definition
        language = int(definition.language) if definition.language.isdigit() else None
        self._collation = Collation.of(model.collation or definition.collation or None, language)
        self._with_data_offsets = model.schema_version >= DATA_OFFSETS_SINCE
        self._encoders: dict[int, TableEncoder] = {}
        self._stoppable = Stoppable(alteration.folder.scratch_file, self._check)

    def load(self, access: SourceAccess, parallelism: int) -> list[LoadedPartition]:
        """Read what the plan reads."""
        if not self._plan.loads:
            return []
        loads: list[tuple[TableLoad, TableEncoder, KeptColumns | None]] = []
        for load in self._plan.loads:
            whole = not load.appends and len(load.partitions) == len(load.table.partitions)
            encoder = self._encoder(load.table, keeps_rows=not whole)
            calculated = kept_columns(load.table)
            kept = None
            if calculated:
                kept = KeptColumns(load.table, calculated, self._files, self._collation.equality_keys)
                self._alteration.resources.callback(kept.close)
            loads.append((load, encoder, kept))
        return Loading(self._model, access, self._meter, parallelism=parallelism).run(loads)

    def process(self) -> tuple[tuple[str, ...], tuple[FoldedColumn, ...]]:
        """Encode, make what follows, and write it down; names of the tables, and what was folded."""
        for table in self._plan.defragmented:
            if table.row_count:
                self._encoder(table, keeps_rows=True, defragment=True)
        for table in self._incomplete():
            if table.id not in self._encoders:
                self._encoder(table, keeps_rows=True)
        if not self._encoders:
            return (), ()
        tables = [table for table in self._model.tables if table.id in self._encoders]
        self._meter.step("encoding tables", len(tables), unit="tables")
        encoded: dict[int, EncodedTable] = {}
        structures: list[TableStructures] = []
        for table in tables:
            encoded[table.id] = self._stoppable.run(self._encoders[table.id].finish)
            structures.append(
                TableStructures(
                    table,
                    encoded[table.id],
                    collation=self._collation,
                    with_data_offsets=self._with_data_offsets,
                    check=self._check,
                )
            )
            self._meter.advance(1)
        self._alteration.process(self._processed(encoded, structures))
        return tuple(table.name for table in tables), tuple(_folded(tables, encoded))

    def _processed(self, encoded: dict[int, EncodedTable], structures: list[TableStructures]) -> Processed:
        self._meter.step("building hierarchies", len(structures), unit="tables")
        tables: list[ProcessedTable] = []
        user_hierarchies: list[ProcessedUserHierarchy] = []
        for one in structures:
            tables.append(one.processed())
            user_hierarchies += one.user_hierarchies()
            self._meter.advance(1)
        relationships = processed_relationships(
            self._model,
            self._files,
            encoded,
            collation=self._collation,
            with_data_offsets=self._with_data_offsets,
            check=self._check,
        )
        return Processed(
            tuple(tables),
            relationships,
            tuple(user_hierarchies),
            frozenset(one.column.id for one in self._plan.kept if one.column is not None),
            frozenset(one.partition.id for one in self._plan.kept if one.partition is not None),
        )

    def _check(self) -> None:
        self._meter.advance(0)

    def _encoder(self, table: Table, *, keeps_rows: bool, defragment: bool = False) -> TableEncoder:
        encoder = self._alteration.resources.enter_context(
            TableEncoder(
                _specification(self._model, table),
                equality_keys=self._collation.equality_keys,
                scratch=self._stoppable.scratch_file,
                options=EncoderOptions(
                    bookmark=(
                        BookmarkRule.ENTRIES
                        if self._model.schema_version >= _BOOKMARKS_BY_ENTRIES_SINCE
                        else BookmarkRule.ROWS
                    ),
                    with_data_offsets=self._with_data_offsets,
                    defragment=defragment,
                ),
                existing=ExistingTable(self._files, table) if keeps_rows else None,
            )
        )
        self._encoders[table.id] = encoder
        return encoder

    def _incomplete(self) -> list[Table]:
        """Tables whose rows stay, and whose hierarchies or relationships are missing."""
        completed = {table.id: table for table in self._plan.completed if table.row_count}
        if not completed:
            return []
        missing: set[int] = set()
        with self._alteration.metadata() as metadata:
            for row in metadata.rows("Hierarchy", ("TableID", "State")):
                if row["State"] != ObjectState.READY:
                    missing.add(int(row["TableID"] or 0))
            for row in metadata.rows("Relationship", ("FromTableID", "ToTableID", "State")):
                if row["State"] != ObjectState.READY:
                    missing.add(int(row["FromTableID"] or 0))
        return [table for table_id, table in completed.items() if table_id in missing]


def _specification(model: Model, table: Table) -> TableSpecification:
    ends = [
        (column_id, cardinality)
        for one in model.relationships
        for column_id, cardinality in (
            (one.from_column_id, one.from_cardinality),
            (one.to_column_id, one.to_cardinality),
        )
    ]
    related = {column_id for column_id, _ in ends}
    ones = {column_id for column_id, cardinality in ends if cardinality == Cardinality.ONE}
    kept = {column.id for column in kept_columns(table)}
    encoded = [
        column
        for column in table.columns
        if not column.is_row_number and (column.type != ColumnType.CALCULATED or column.id in kept)
    ]
    for column in encoded:
        if column.data_type not in STORED_TYPES:
            raise ModelError(
                f"column {column.name!r} of table {table.name!r} has no data type that can be stored",
                hint="give the column a data type",
            )
    sorting = {column.sort_by_column_id for column in table.columns} | {
        column.id for column in table.columns if column.sort_by_column_id is not None
    }
    columns = tuple(
        ColumnSpecification(
            column.id,
            column.name,
            column.data_type,
            is_key=column.is_key or column.id in ones,
            needs_dictionary=column.is_key or column.id in related or column.id in sorting,
            mask=0 if column.type == ColumnType.CALCULATED else 1,
        )
        for column in encoded
    )
    row_number = next(column.id for column in table.columns if column.is_row_number)
    return TableSpecification(table.id, row_number, columns, tuple(partition.id for partition in table.partitions))


def _clearing_changes(model: Model, plan: Plan) -> Iterator[Change]:
    if all(len(partitions) == len(table.partitions) for table, partitions in plan.cleared) and len(plan.cleared) == len(
        model.tables
    ):
        yield Change("clear", OBJECT_TYPES["Model"], {}, {}, "refresh")
        return
    for table, partitions in plan.cleared:
        for partition in partitions:
            path = {"Table": table.name, "Partition": partition.name}
            yield Change("clear", OBJECT_TYPES["Partition"], {}, {"ID": path}, "refresh")


def _refreshed(loaded: LoadedPartition) -> RefreshedPartition:
    return RefreshedPartition(loaded.table.name, loaded.partition.name, loaded.row_count, loaded.seconds)


def _folded(tables: list[Table], encoded: dict[int, EncodedTable]) -> Iterator[FoldedColumn]:
    for table in tables:
        for column in encoded[table.id].columns:
            if column.folded_count:
                yield FoldedColumn(table.name, column.specification.name, column.folded_count)


def _warnings(loaded: list[LoadedPartition], plan: Plan) -> Iterator[str]:
    for one in loaded:
        for column, count in one.rounded.items():
            yield (
                f"table {one.table.name!r}, partition {one.partition.name!r}: {count} values of column {column!r} have "
                "more decimals than its data type and were rounded"
            )
    if plan.kept:
        names = ", ".join(one.name for one in plan.kept)
        yield f"not computed anew, so that values may be out of date or missing: {names}"
