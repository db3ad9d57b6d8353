"""
What a partition asks which source: from its query and its data source, or from its M expression.

A partition of type *query* asks a provider data source of the model, in that source's own SQL. One of type *M* says
everything itself: its expression is recognised, and what the source can do of it is given to the source. A credential
belongs to a data source by its name. What M reaches is the structured data source of the same address, if the model
has one; else it goes by what messages call it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tabvault.errors import ExpressionNotSupportedError, ModelError, SourceError
from tabvault.jobs.processing.partition_definitions import source_expressions
from tabvault.model import ole_date
from tabvault.model.objects import PartitionType
from tabvault.model.power_query.recipe import DatabaseTable, LiteralTable, NativeQuery
from tabvault.model.power_query.recogniser import recognise
from tabvault.sources.data_source import definition_of, parse_definition
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.folding import fold, schema_query
from tabvault.sources.folding_columns import Dialect
from tabvault.sources.folding_files import file_format
from tabvault.sources.folding_literals import literal_rows
from tabvault.sources.literal import literal_source
from tabvault.sources.opening import open_source
from tabvault.sources.source import LocalQuery, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tabvault.jobs.processing.source_access import SourceAccess
    from tabvault.model.objects import Model, Partition, Table
    from tabvault.model.power_query.recipe import DatabaseServer, Recipe
    from tabvault.model.power_query.values import Value
    from tabvault.sources.definition import Credential
    from tabvault.sources.source import SourceColumn

_M_PARTITIONS: Final = frozenset({PartitionType.M, PartitionType.POLICY_RANGE})

_PROTOCOLS: Final = {"postgresql": "postgresql", "sql_server": "tds", "odbc": "odbc"}
_DIALECTS: Final = {
    "postgresql": Dialect.POSTGRESQL,
    "sql_server": Dialect.SQL_SERVER,
    "odbc": Dialect.GENERIC,
}


@dataclass(frozen=True, slots=True)
class PartitionSource:
    """
    Where the rows of a partition come from, as the model says.

    Attributes:
        name: of the data source, by which a credential is bound.
        definition: where it is; None where the rows stand in the expression itself.
        own: the credential that the model itself holds.
        query: in the source's own SQL; None for M.
        recipe: of M.
    """

    name: str
    definition: SourceDefinition | None
    own: Credential | None
    query: str | None
    recipe: Recipe | None


@dataclass(frozen=True, slots=True)
class PartitionQuery:
    """A source, what it is asked, and what is done with the answer before it is a table's rows."""

    source: Source
    query: str
    local: LocalQuery | None


def partition_source(model: Model, table: Table, partition: Partition) -> PartitionSource:
    """
    Where the rows of *partition* come from.

    Raises:
        ExpressionNotSupportedError: its M has a step that is not recognised.
        SourceError: its data source is not understood.
        ModelError: it has none.
    """
    if partition.type == PartitionType.QUERY:
        return _of_data_source(model, table, partition)
    recipe = recognise(
        partition.query_definition or "",
        queries=_queries(model, table),
        parameters=_range(partition),
        culture=model.culture,
    )
    if partition.type == PartitionType.POLICY_RANGE:
        _require_range(recipe)
    source = recipe.source
    if isinstance(source, LiteralTable):
        return PartitionSource("", None, None, None, recipe)
    if isinstance(source, DatabaseTable | NativeQuery):
        definition, own = definition_of(_PROTOCOLS[source.server.kind], _address(source.server))
    else:
        definition = SourceDefinition(kind=SourceKind.FILE, path=source.path, file_format=file_format(recipe))
        own = None
    named = _structured_source(model, definition)
    if named is not None:
        name, definition, own = named
        return PartitionSource(name, definition, own, None, recipe)
    return PartitionSource(str(definition), definition, own, None, recipe)


def partition_query(
    source: PartitionSource,
    access: SourceAccess,
    *,
    columns: Callable[[Source, str], tuple[SourceColumn, ...]] = Source.columns,
) -> PartitionQuery:
    """
    What to ask which source. A database is asked for the columns of what an M expression begins with.

    Args:
        source: where the rows come from.
        access: what it may be asked with.
        columns: asks for the columns of a query.

    Raises:
        SourceAccessError: a file that is not allowed.
        SourceCredentialError: no credential, or one for another address.
        ExpressionNotSupportedError: a step that cannot be done exactly on the columns there are.
        SourceError: what the source has against it.
    """
    recipe = source.recipe
    if source.definition is None:
        assert recipe is not None, "only M holds rows itself"
        assert isinstance(recipe.source, LiteralTable)
        opened, dialect = literal_source(literal_rows(recipe.source)), Dialect.DUCKDB
    else:
        credential = access.credential(source.name, source.definition, source.own)
        opened = open_source(source.definition, credential, allowed_folders=access.allowed_folders)
        dialect = Dialect.DUCKDB
    if recipe is None:
        assert source.query is not None, "a source is asked by a query or by M"
        return PartitionQuery(opened, source.query, None)
    if isinstance(recipe.source, DatabaseTable | NativeQuery):
        dialect = _DIALECTS[recipe.source.server.kind]
    folded = fold(recipe, columns(opened, schema_query(recipe, dialect)), dialect)
    local = LocalQuery(folded.local, folded.unchanged) if folded.local else None
    return PartitionQuery(opened, folded.query, local)


def _of_data_source(model: Model, table: Table, partition: Partition) -> PartitionSource:
    found = next((one for one in model.data_sources if one.id == partition.data_source_id), None)
    if found is None:
        raise ModelError(f"partition {partition.name!r} of table {table.name!r} has no data source")
    definition, own = parse_definition(
        connection_string=found.connection_string,
        provider=found.provider,
        connection_details=found.connection_details,
        credential=found.credential,
    )
    query = (partition.query_definition or "").strip()
    if not query:
        raise SourceError(f"partition {partition.name!r} of table {table.name!r} has no query")
    return PartitionSource(found.name, definition, own, query, None)


def _structured_source(
    model: Model, reached: SourceDefinition
) -> tuple[str, SourceDefinition, Credential | None] | None:
    """The structured data source of that address, with its own credential."""
    for one in model.data_sources:
        if not one.connection_details:
            continue
        try:
            definition, own = parse_definition(connection_details=one.connection_details, credential=one.credential)
        except SourceError:
            continue  # of a kind that is not read here, so not the one that is reached
        definition = replace(definition, file_format=reached.file_format)
        if replace(definition, user=reached.user, tls_mode=reached.tls_mode) == reached:
            return one.name, definition, own
    return None


def _require_range(recipe: Recipe) -> None:
    missing = sorted({"RangeStart", "RangeEnd"} - recipe.parameters)
    if missing:
        raise ExpressionNotSupportedError(
            f"cannot refresh here: the expression of the refresh policy does not use {' and '.join(missing)}, "
            "and every range would hold all rows",
            hint="filter by RangeStart and RangeEnd in the policy's source expression",
        )


def _address(server: DatabaseServer) -> Mapping[str, str]:
    if server.kind == "odbc":
        return {"options": server.connection_string}
    return {"server": server.server, "database": server.database}


def _queries(model: Model, table: Table) -> dict[str, str]:
    """What M may name: structured data sources, other tables of one M partition, shared expressions."""
    queries = {
        other.name: other.partitions[0].query_definition or ""
        for other in model.tables
        if other.id != table.id and len(other.partitions) == 1 and other.partitions[0].type in _M_PARTITIONS
    }
    queries = source_expressions(model.data_sources) | queries
    return queries | {expression.name: expression.expression for expression in model.expressions}


def _range(partition: Partition) -> dict[str, Value]:
    """``RangeStart`` and ``RangeEnd`` of a partition that a refresh policy made."""
    if partition.range_start is None or partition.range_end is None or not partition.range_end:
        return {}
    days = {"RangeStart": partition.range_start, "RangeEnd": partition.range_end}
    try:
        return {name: ole_date.moment(day) for name, day in days.items()}
    except OverflowError:
        raise ModelError(f"partition {partition.name!r} has a range that is no time: {json.dumps(days)}") from None
