"""
From a request to what is done with each partition.

==============  =====================================================================================================
kind            what it does here
==============  =====================================================================================================
full, dataOnly  the rows of every partition asked for are read anew
automatic       those of the partitions that are not up to date, or lack the values of a column
add             rows are read and put behind those that the partition has
calculate       no row is read; what follows from rows that are there is made where it is missing
defragment      no row is read; dictionary entries that no row uses any more are taken out
clearValues     rows are taken away
==============  =====================================================================================================

Hierarchies and relationship indexes are made with the rows, so that ``dataOnly`` leaves none behind. Calculated columns
and tables (DAX) cannot be computed: a plan that would leave one of them out of date is refused with its name, unless
they are to be kept. Partitions in DirectQuery mode have no rows here, and are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabvault.engine.suggestion import close_names
from tabvault.errors import CalculationNotSupportedError, CommandNotSupportedError, RequestError
from tabvault.jobs.processing.dependencies import calculations, dependent_calculations
from tabvault.jobs.processing.request import PARALLELISM_MAX, RefreshKind
from tabvault.model.objects import ColumnType, ObjectState, PartitionMode, PartitionType

if TYPE_CHECKING:
    from tabvault.jobs.processing.dependencies import Calculation
    from tabvault.jobs.processing.request import RefreshRequest, RefreshTarget
    from tabvault.model.objects import Model, Partition, Table

_LOADABLE: Final = frozenset(
    {PartitionType.QUERY, PartitionType.M, PartitionType.POLICY_RANGE, PartitionType.CALCULATION_GROUP}
)

_SHOWN_COUNT_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class TableLoad:
    """A table of which partitions are read. *appends*: their rows come behind those that are there."""

    table: Table
    partitions: tuple[Partition, ...]
    appends: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a refresh does.

    Attributes:
        loads: by table.
        defragmented: tables whose dictionaries are made anew.
        cleared: tables and partitions (None: all) that lose their rows.
        completed: tables whose rows stay, and whose hierarchies and relationships are made where they are missing.
        kept: calculations that keep values which may be out of date.
    """

    loads: tuple[TableLoad, ...] = ()
    defragmented: tuple[Table, ...] = ()
    cleared: tuple[tuple[Table, tuple[Partition, ...]], ...] = ()
    completed: tuple[Table, ...] = ()
    kept: tuple[Calculation, ...] = ()


def is_loadable(partition: Partition) -> bool:
    """Whether its rows come from a query or an M expression, and are stored here."""
    return partition.type in _LOADABLE and partition.mode not in (PartitionMode.DIRECT_QUERY, PartitionMode.DIRECT_LAKE)


def plan_refresh(model: Model, request: RefreshRequest) -> Plan:
    """
    What *request* does to the database of *model*.

    Raises:
        RequestError: a table or partition is not there, ``add`` does not say which partition, or as many partitions at
            a time as cannot be.
        CommandNotSupportedError: a partition whose rows do not come from a query.
        CalculationNotSupportedError: a calculated column or table would have to be computed.
    """
    if not 1 <= request.parallelism <= PARALLELISM_MAX:
        raise RequestError(f"{request.parallelism} partitions at a time, and it can be from 1 to {PARALLELISM_MAX}")
    asked = _asked(model, request.targets)
    tables = tuple(table for table, _ in asked)
    match request.kind:
        case RefreshKind.CLEAR_VALUES:
            return Plan(cleared=tuple(asked))
        case RefreshKind.DEFRAGMENT:
            return Plan(defragmented=tables)
        case RefreshKind.CALCULATE:
            stale = [one for one in calculations(model) if one.is_stale and one.table in tables]
            return Plan(completed=tables, kept=_kept(stale, request))
    loads = tuple(load for load in (_load(table, partitions, request) for table, partitions in asked) if load)
    loaded_ids = {load.table.id for load in loads}
    affected = dependent_calculations(model, loaded_ids)
    if request.kind is not RefreshKind.DATA_ONLY:
        known = {one.key for one in affected}
        whole = request.kind is RefreshKind.FULL
        affected += [
            one
            for one in calculations(model)
            if one.key not in known and one.table in tables and (one.is_stale or (whole and one.column is None))
        ]
    completed = tuple(table for table in tables if table.id not in loaded_ids)
    return Plan(loads=loads, completed=completed, kept=_kept(affected, request))


def _asked(model: Model, targets: tuple[RefreshTarget, ...]) -> list[tuple[Table, tuple[Partition, ...]]]:
    """The tables with the partitions that are meant; each table once."""
    if not targets:
        return [(table, table.partitions) for table in model.tables]
    by_name = {table.name.casefold(): table for table in model.tables}
    asked: dict[int, tuple[Table, dict[int, Partition]]] = {}
    for target in targets:
        table = by_name.get(target.table.casefold())
        if table is None:
            raise RequestError(
                f"there is no table {target.table!r}", hint=close_names(target.table, [t.name for t in model.tables])
            )
        _, partitions = asked.setdefault(table.id, (table, {}))
        for partition in _named(table, target.partition):
            partitions[partition.id] = partition
    return [(table, tuple(partitions.values())) for table, partitions in asked.values()]


def _named(table: Table, name: str | None) -> tuple[Partition, ...]:
    if name is None:
        return table.partitions
    found = tuple(partition for partition in table.partitions if partition.name.casefold() == name.casefold())
    if not found:
        raise RequestError(
            f"table {table.name!r} has no partition {name!r}",
            hint=close_names(name, [partition.name for partition in table.partitions]),
        )
    return found


def _load(table: Table, partitions: tuple[Partition, ...], request: RefreshRequest) -> TableLoad | None:
    loaded = []
    is_complete = all(column.state == ObjectState.READY for column in table.columns if column.type == ColumnType.DATA)
    for partition in partitions:
        if partition.mode == PartitionMode.DIRECT_QUERY or partition.type == PartitionType.CALCULATED:
            continue
        if request.kind is RefreshKind.AUTOMATIC and is_complete and partition.state == ObjectState.READY:
            continue
        if not is_loadable(partition):
            raise CommandNotSupportedError(
                f"partition {partition.name!r} of table {table.name!r} cannot be refreshed here: "
                "its rows come from no query and no M expression",
                hint="name the tables that can be refreshed",
            )
        loaded.append(partition)
    if not loaded:
        return None
    appends = request.kind is RefreshKind.ADD
    if appends and len(loaded) > 1:
        raise RequestError(
            f"table {table.name!r} has {len(loaded)} partitions, and rows are added to one", hint="name the partition"
        )
    return TableLoad(table, tuple(loaded), appends)


def _kept(affected: list[Calculation], request: RefreshRequest) -> tuple[Calculation, ...]:
    """The calculations that keep their values; refused, unless that was asked for."""
    if affected and not request.keep_calculated:
        names = [one.name for one in affected]
        shown = ", ".join(names[:_SHOWN_COUNT_MAX])
        more = f" and {len(names) - _SHOWN_COUNT_MAX} more" if len(names) > _SHOWN_COUNT_MAX else ""
        raise CalculationNotSupportedError(
            f"{len(names)} DAX expression{'s' if len(names) > 1 else ''} would have to be computed anew, "
            f"and this version computes none: {shown}{more}",
            hint="keep their present values (--keep-calculated; keepCalculated in a TMSL refresh), or refresh tables "
            "on which they do not depend",
        )
    return tuple(affected)
