"""Where the rows of a database come from, and which of these places still want a credential: after a restore, all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tabvault.engine.suggestion import all_names
from tabvault.errors import FormatError, RequestError, TabvaultError
from tabvault.jobs.processing.partition_query import partition_source
from tabvault.jobs.processing.plan import is_loadable
from tabvault.jobs.processing.source_access import address_of
from tabvault.model.objects import PartitionType
from tabvault.storage.server_state.source_credentials import find_credential

if TYPE_CHECKING:
    from tabvault.jobs.processing.partition_query import PartitionSource
    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.model.objects import Model

CredentialState = Literal["not needed", "in the model", "set", "missing", "set for another address"]


@dataclass(frozen=True, slots=True)
class SourceListing:
    """
    One place that rows come from.

    Attributes:
        name: by which a credential is set.
        kind: ``postgresql``, ``sqlite``, …; None where it is not understood.
        address: for a person.
        tables: names of the tables whose partitions read it.
        credential: whether there is one.
        problem: why partitions cannot be refreshed from it, as far as that shows without asking it.
    """

    name: str
    kind: str | None
    address: str
    tables: tuple[str, ...]
    credential: CredentialState
    problem: str | None


def list_sources(model: Model, access: SourceAccess) -> list[SourceListing]:
    """Every source of the partitions of *model*, by name; partitions that are not understood come under their own."""
    sources: dict[str, PartitionSource] = {}
    tables: dict[str, list[str]] = {}
    listings: list[SourceListing] = []
    for table in model.tables:
        for partition in table.partitions:
            if not is_loadable(partition) or partition.type == PartitionType.CALCULATION_GROUP:
                continue
            try:
                source = partition_source(model, table, partition)
            except TabvaultError as error:
                listings.append(_not_understood(f"{table.name}/{partition.name}", table.name, error))
                continue
            if source.definition is not None:
                sources.setdefault(source.name, source)
                tables.setdefault(source.name, []).append(table.name)
    found = [_listing(source, tuple(dict.fromkeys(tables[name])), access) for name, source in sources.items()]
    return sorted([*found, *listings], key=lambda listing: listing.name.casefold())


def find_source(model: Model, name: str, access: SourceAccess) -> PartitionSource:
    """
    The source of that name, in any case of letters.

    Raises:
        RequestError: no partition reads one of that name; those there are stand in the hint.
    """
    for table in model.tables:
        for partition in table.partitions:
            if not is_loadable(partition) or partition.type == PartitionType.CALCULATION_GROUP:
                continue
            try:
                source = partition_source(model, table, partition)
            except TabvaultError:
                continue  # what is not understood has no name to set a credential for
            if source.definition is not None and source.name.casefold() == name.casefold():
                return source
    names = [listing.name for listing in list_sources(model, access) if listing.kind is not None]
    raise RequestError(f"no partition reads a data source {name!r}", hint=all_names(names) or "it has none")


def _listing(source: PartitionSource, tables: tuple[str, ...], access: SourceAccess) -> SourceListing:
    definition = source.definition
    assert definition is not None
    problem: str | None = None
    state: CredentialState
    try:
        bound = find_credential(access.data, database_id=access.database_id, data_source=source.name)
    except FormatError as error:
        bound, problem = None, str(error)
    if bound is not None:
        state = "set" if bound.address == address_of(definition) else "set for another address"
    elif source.own is not None:
        state = "in the model"
    else:
        state = "missing" if definition.needs_credential else "not needed"
    if problem is None and state in ("missing", "set for another address"):
        problem = f"credential {state}"
    return SourceListing(source.name, definition.kind.value, str(definition), tables, state, problem)


def _not_understood(name: str, table: str, error: TabvaultError) -> SourceListing:
    return SourceListing(name, None, "", (table,), "not needed", str(error))
