"""Models made from TMSL, as a client would create them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from tabvault.engine.dax.inference import inferred_type
from tabvault.model.changes.apply import change_metadata
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.tree_changes import ExistingObjects
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata
from tabvault.model.tmsl.parse import object_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tabvault.model.objects import Model


def column(name: str, data_type: str = "string", **more: Any) -> dict[str, Any]:
    """A column of the source."""
    return {"name": name, "dataType": data_type, "sourceColumn": name, **more}


def calculated_column(name: str, expression: str, data_type: str = "double") -> dict[str, Any]:
    """A column of DAX."""
    return {"type": "calculated", "name": name, "dataType": data_type, "expression": expression}


def query_partition(name: str, query: str = "SELECT 1", source: str = "Warehouse") -> dict[str, Any]:
    """A partition of a provider data source."""
    return {"name": name, "mode": "import", "source": {"type": "query", "query": query, "dataSource": source}}


def m_partition(name: str, expression: str = "let a = 1 in a") -> dict[str, Any]:
    """A partition of Power Query."""
    return {"name": name, "mode": "import", "source": {"type": "m", "expression": expression}}


def table(
    name: str, *columns: dict[str, Any], partitions: Sequence[dict[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    """A table; one M partition of its name, if none is given."""
    given = list(partitions) or [m_partition(name)]
    return {"name": name, "columns": list(columns), "partitions": given, **more}


def calculated_table(name: str, expression: str, *columns: dict[str, Any]) -> dict[str, Any]:
    """A table of DAX."""
    return {
        "name": name,
        "columns": [{"type": "calculatedTableColumn", "name": one["name"], "dataType": one["dataType"],
                     "isNameInferred": True, "sourceColumn": f"[{one['name']}]"} for one in columns],
        "partitions": [{"name": name, "source": {"type": "calculated", "expression": expression}}],
    }  # fmt: skip


WAREHOUSE = {"name": "Warehouse", "connectionString": "Data Source=db;Initial Catalog=dwh", "provider": "Npgsql"}


def metadata_of(*tables: dict[str, Any], level: int = 1500, **more: Any) -> bytes:
    """``metadata.sqlitedb`` of a new model with these tables."""
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    content = new_metadata(level, now=now)
    tree = object_tree("Model", {"dataSources": [WAREHOUSE], "tables": list(tables), **more}, place="model")
    with Metadata.from_bytes(content) as metadata:
        changes = ExistingObjects(metadata).replace_changes(tree)
    return change_metadata(content, changes, compatibility_level=level, now=now, infer=inferred_type).content


def model_of(*tables: dict[str, Any], level: int = 1500, **more: Any) -> Model:
    """The model of :func:`metadata_of`."""
    with Metadata.from_bytes(metadata_of(*tables, level=level, **more)) as metadata:
        return load_model(metadata)
