"""
M that no partition says itself, as if it did: what is behind this module knows one kind of it.

======================  =============================================================================================
rows of                 come from
======================  =============================================================================================
a range of a policy     the M expression of the table's refresh policy, bound to this range
a calculation group     the items of the group: their names and ordinals
a partition that names  what its connection details name: ``#"PostgreSQL/localhost;sales"`` is the database itself
a structured source
======================  =============================================================================================
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tabvault.model.objects import PartitionType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tabvault.model.metadata import Metadata
    from tabvault.model.objects import DataSource, Model, Partition

_DATABASES: Final = {"postgresql": "PostgreSQL.Database", "tds": "Sql.Database"}
"""Functions of M, by protocol."""


def with_definitions(model: Model, metadata: Metadata) -> Model:
    """The model, in which partitions of refresh policies and calculation groups have their expressions."""
    policies = {row["TableID"]: row["SourceExpression"] for row in metadata.rows("RefreshPolicy")}
    groups = {row["ID"]: row["TableID"] for row in metadata.rows("CalculationGroup")}
    items: dict[object, list[tuple[str, str]]] = defaultdict(list)
    for row in metadata.rows("CalculationItem"):
        ordinal = row.get("Ordinal")
        items[groups.get(row["CalculationGroupID"])].append(
            (m_text(str(row["Name"])), "null" if ordinal is None else str(ordinal))
        )

    def defined(table_id: int, partition: Partition) -> Partition:
        if partition.type == PartitionType.POLICY_RANGE and not partition.query_definition:
            expression = policies.get(table_id)
            return replace(partition, query_definition=str(expression) if expression else None)
        if partition.type == PartitionType.CALCULATION_GROUP:
            return replace(partition, query_definition=_literal(items[table_id]))
        return partition

    tables = tuple(
        replace(table, partitions=tuple(defined(table.id, partition) for partition in table.partitions))
        for table in model.tables
    )
    return replace(model, tables=tables)


def source_expressions(data_sources: Iterable[DataSource]) -> dict[str, str]:
    """M of structured data sources by their names, of those that a function of M reaches."""
    found = {}
    for source in data_sources:
        try:
            details = json.loads(source.connection_details or "null")
        except (ValueError, RecursionError):
            continue  # whoever asks for it is told that there is no such name
        address = details.get("address") if isinstance(details, dict) else None
        if isinstance(address, dict):
            expression = _expression(str(details.get("protocol", "")).lower(), address)
            if expression is not None:
                found[source.name] = expression
    return found


def m_text(text: str) -> str:
    """*text* as a literal of M."""
    escaped = text.replace("#(", "#(#)(").replace('"', '""')
    for character, name in (("\r", "cr"), ("\n", "lf"), ("\t", "tab")):
        escaped = escaped.replace(character, f"#({name})")
    return f'"{escaped}"'


def _expression(protocol: str, address: Mapping[str, Any]) -> str | None:
    def part(name: str) -> str:
        return m_text(str(address.get(name, "")))

    if protocol in _DATABASES and "server" in address and "database" in address:
        return f"{_DATABASES[protocol]}({part('server')}, {part('database')})"
    if protocol == "file" and "path" in address:
        return f"File.Contents({part('path')})"
    options = address.get("options")
    if protocol == "odbc" and isinstance(options, dict):
        fields = ", ".join(f"#{m_text(str(name))} = {m_text(str(value))}" for name, value in options.items())
        return f"Odbc.DataSource([{fields}])"
    if protocol == "odbc" and isinstance(options, str):
        return f"Odbc.DataSource({m_text(options)})"
    return None


def _literal(items: Iterable[tuple[str, str]]) -> str:
    rows = ", ".join(f"{{{name}, {ordinal}}}" for name, ordinal in items)
    return f"#table(type table [Name = text, Ordinal = Int64.Type], {{{rows}}})"
