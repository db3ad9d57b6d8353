"""Databases of TMSL whose tables are in DirectQuery mode, and the same rows as a truth of their own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tabvault.jobs.creation import create_database
from tabvault.jobs.evaluation import evaluate
from tabvault.jobs.processing.partition_query import partition_source
from tabvault.jobs.processing.source_access import SourceAccess
from tabvault.jobs.query import query
from tabvault.jobs.vault import Vault
from tabvault.model.tmsl.parse import object_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sources.postgresql import PostgreSqlServer
    from tabvault.jobs.query import Answer


def column(name: str, data_type: str, source_column: str | None = None) -> dict[str, Any]:
    return {"name": name, "dataType": data_type, "sourceColumn": source_column or name}


def query_partition(text: str, *, source: str = "Warehouse", mode: str = "directQuery") -> dict[str, Any]:
    return {"name": f"{mode} part", "mode": mode, "source": {"type": "query", "query": text, "dataSource": source}}


def m_partition(text: str, *, mode: str = "directQuery") -> dict[str, Any]:
    return {"name": f"{mode} part", "mode": mode, "source": {"type": "m", "expression": text}}


def table(name: str, columns: list[dict[str, Any]], *partitions: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "columns": columns, "partitions": list(partitions)}


def warehouse(postgresql: PostgreSqlServer, name: str = "Warehouse", **changes: str) -> dict[str, Any]:
    """A data source over the server of the tests, without a password."""
    facts = {"Host": "127.0.0.1", "Port": str(postgresql.port), "Database": "postgres", "Username": postgresql.user}
    text = ";".join(f"{key}={value}" for key, value in {**facts, **changes}.items())
    return {"name": name, "connectionString": text, "provider": "Npgsql"}


def database_file(path: Path, name: str = "Warehouse", provider: str = "DuckDB") -> dict[str, Any]:
    """A data source over a file of DuckDB or SQLite."""
    return {"name": name, "connectionString": f"Data Source={path}", "provider": provider}


class LiveDatabase:
    """A data folder, one database in it, and questions to it."""

    def __init__(self, folder: Path, name: str = "live") -> None:
        self.vault = Vault(folder / "data")
        self.name = name

    def create(self, tables: list[dict[str, Any]], *sources: dict[str, Any], level: int = 1550, **more: Any) -> None:
        tree = object_tree("Model", {"tables": tables, "dataSources": list(sources), **more}, place="model")
        create_database(self.vault.own_folder, self.name, compatibility_level=level, model=tree)

    @property
    def access(self) -> SourceAccess:
        return SourceAccess(self.vault.data, self.vault.folder.find(self.name).id)

    def bind(self, user: str, password: str) -> None:
        """Bind a credential to the source of every partition that is asked live."""
        with self.vault.open(self.name) as opened:
            for one in opened.model.tables:
                place = partition_source(opened.model, one, one.partitions[-1])
                if place.definition is not None:
                    self.access.bind(place.name, place.definition, user=user, password=password)

    @contextlib.contextmanager
    def asked(self, text: str, **options: Any) -> Iterator[Answer]:
        with (
            self.vault.open(self.name) as opened,
            query(opened, text, catalogs=[], sources=self.access, **options) as answer,
        ):
            yield answer

    def sql(self, text: str, **options: Any) -> pa.Table:
        with self.asked(text, **options) as answer:
            return pa.Table.from_batches(answer.batches, answer.schema)

    def dax(self, text: str, **options: Any) -> pa.Table:
        with self.vault.open(self.name) as opened:
            answer = evaluate(opened, text, sources=self.access, **options)
            return pa.Table.from_batches(answer.batches, answer.schema)


@contextlib.contextmanager
def live_database(folder: Path, name: str = "live") -> Iterator[LiveDatabase]:
    made = LiveDatabase(folder, name)
    with made.vault:
        yield made
