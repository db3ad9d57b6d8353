"""The model of every genuine database, as Microsoft's object model loads it from the server, against its metadata."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from conftest import CONTAINER_SAMPLES
from model.genuine import genuine_metadata
from tabvault.model.metadata import Metadata
from tabvault.model.tmsl.export import tmsl_of

pytest_plugins = ["clients.fixtures"]

DATA_TYPES = {2: "string", 6: "int64", 8: "double", 9: "dateTime", 10: "decimal", 11: "boolean", 17: "binary"}
PERMISSIONS = {1: None, 2: "read", 3: "readRefresh", 4: "refresh", 5: "administrator"}
"""``ModelPermission`` in metadata and in JSON, where the default is left out."""

OF_POWER_BI_ONLY = {"relatedColumnDetails"}
OF_LEVEL_1400 = {"isPrivate"}
"""Properties that the object model does not load from a server of Analysis Services (of that level)."""


def text(value: object) -> str | None:
    """An expression: one string, or its lines."""
    joined = "\n".join(value) if isinstance(value, list) else value
    return joined.replace("\r\n", "\n") if joined is not None else None


class Truth:
    """What SQLite reads in the metadata as the file has them."""

    def __init__(self, sample: str) -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(genuine_metadata(sample))
            self._connection = connection
            # The oldest schema has other names for the same columns.
            ends = "FromEnd" if "FromEndTableID" in self.columns("Relationship") else "From"
            to_ends = ends.replace("From", "To")
            kind = "BindingType" if "BindingType" in self.columns("Column") else "Type"
            user_tables = "SELECT ID FROM [Table] WHERE SystemFlags & 1 = 0"
            name = "coalesce(c.ExplicitName, c.InferredName)"
            self.tables = self.ask(f"SELECT Name, IsHidden FROM [Table] WHERE ID IN ({user_tables})")
            self.columns_of_tables = {
                (table, column, DATA_TYPES[inferred if explicit == 1 else explicit], bool(hidden), text(expression))
                for table, column, explicit, inferred, hidden, expression in self.ask(
                    f"SELECT t.Name, {name}, ExplicitDataType, InferredDataType, c.IsHidden, c.Expression "
                    f"FROM [Column] c JOIN [Table] t ON t.ID = TableID WHERE t.ID IN ({user_tables}) AND c.{kind} <> 3"
                )
            }
            self.measures = {
                (table, measure, text(expression))
                for table, measure, expression in self.ask(
                    "SELECT t.Name, m.Name, Expression FROM Measure m JOIN [Table] t ON t.ID = TableID"
                )
            }
            self.partitions = {
                (table, partition, text(expression))
                for table, partition, expression in self.ask(
                    "SELECT t.Name, p.Name, QueryDefinition FROM Partition p JOIN [Table] t ON t.ID = TableID "
                    f"WHERE t.ID IN ({user_tables})"
                )
            }
            self.relationships = {
                (*row[:5], bool(row[5]))
                for row in self.ask(
                    f"SELECT r.Name, ft.Name, coalesce(fc.ExplicitName, fc.InferredName), tt.Name, "
                    "coalesce(tc.ExplicitName, tc.InferredName), r.IsActive FROM Relationship r "
                    f"JOIN [Table] ft ON ft.ID = {ends}TableID JOIN [Column] fc ON fc.ID = {ends}ColumnID "
                    f"JOIN [Table] tt ON tt.ID = {to_ends}TableID JOIN [Column] tc ON tc.ID = {to_ends}ColumnID"
                )
            }
            self.roles = {
                (role, PERMISSIONS[value]) for role, value in self.ask("SELECT Name, ModelPermission FROM Role")
            }
            self.filters = {
                (role, table, text(expression))
                for role, table, expression in self.ask(
                    "SELECT r.Name, t.Name, FilterExpression FROM TablePermission p JOIN Role r ON r.ID = RoleID "
                    "JOIN [Table] t ON t.ID = TableID"
                )
            }
            self.levels = {
                tuple(row)
                for row in self.ask(
                    "SELECT t.Name, h.Name, l.Name FROM Level l JOIN Hierarchy h ON h.ID = HierarchyID "
                    "JOIN [Table] t ON t.ID = TableID"
                )
            }
            # The annotations of row numbers go with what they belong to: the library leaves both out.
            self.annotation_count = self.ask(
                "SELECT count(*) FROM Annotation WHERE ObjectType <> 4 "
                f"OR ObjectID NOT IN (SELECT ID FROM [Column] WHERE {kind} = 3)"
            )[0][0]

    def ask(self, sql: str) -> list[tuple]:
        return self._connection.execute(sql).fetchall()

    def columns(self, table: str) -> list[str]:
        return [name for _, name, *_ in self.ask(f"PRAGMA table_info([{table}])")]


def annotations_in(value: object) -> int:
    """How many there are, at any depth."""
    if isinstance(value, list):
        return sum(map(annotations_in, value))
    if isinstance(value, dict):
        own = len(value.get("annotations", ()))
        return own + sum(annotations_in(inner) for key, inner in value.items() if key != "annotations")
    return 0


def without(value: object, names: set[str]) -> object:
    """The same, with these properties left out and connection strings masked."""
    if isinstance(value, list):
        return [without(inner, names) for inner in value]
    if isinstance(value, dict):
        kept = {key: without(inner, names) for key, inner in value.items() if key not in names}
        return kept | {"connectionString": "masked"} if "connectionString" in kept else kept
    return value


@pytest.fixture(scope="module", params=CONTAINER_SAMPLES)
def loaded(request, client, genuine):
    """A sample, and its model as JSON of Microsoft's library."""
    return request.param, client.model_json(genuine(request.param))


def test_the_object_model_loads_what_the_metadata_say(loaded):
    sample, database = loaded
    truth, model = Truth(sample), database["model"]
    tables = model.get("tables", [])
    assert sorted((table["name"], int(table.get("isHidden", False))) for table in tables) == sorted(truth.tables)
    assert {
        (
            table["name"],
            column["name"],
            column["dataType"],
            column.get("isHidden", False),
            text(column.get("expression")),
        )
        for table in tables
        for column in table.get("columns", ())
    } == truth.columns_of_tables
    assert {
        (table["name"], measure["name"], text(measure.get("expression")))
        for table in tables
        for measure in table.get("measures", ())
    } == truth.measures
    assert {
        (table["name"], partition["name"], text(source.get("expression", source.get("query"))))
        for table in tables
        for partition in table["partitions"]
        for source in [partition["source"]]
    } == truth.partitions
    assert {
        (one["name"], one["fromTable"], one["fromColumn"], one["toTable"], one["toColumn"], one.get("isActive", True))
        for one in model.get("relationships", ())
    } == truth.relationships
    assert {
        (table["name"], hierarchy["name"], level["name"])
        for table in tables
        for hierarchy in table.get("hierarchies", ())
        for level in hierarchy["levels"]
    } == truth.levels
    roles = model.get("roles", [])
    assert {(role["name"], role.get("modelPermission")) for role in roles} == truth.roles
    assert {
        (role["name"], permission["name"], text(permission.get("filterExpression")))
        for role in roles
        for permission in role.get("tablePermissions", ())
    } == truth.filters
    assert annotations_in(database) == truth.annotation_count


def test_the_object_model_loads_what_an_export_holds(loaded, client):
    sample, database = loaded
    level, name = database["compatibilityLevel"], database["name"]
    with Metadata.from_bytes(genuine_metadata(sample)) as metadata:
        exported = tmsl_of(metadata, name=name, id=name, compatibility_level=level)
    unknown = OF_POWER_BI_ONLY | (OF_LEVEL_1400 if level < 1400 else set())
    assert without(database, set()) == without(exported, unknown)


def test_the_samples_hold_what_is_compared():
    truths = [Truth(sample) for sample in CONTAINER_SAMPLES]
    for kind in (
        "tables",
        "columns_of_tables",
        "measures",
        "partitions",
        "relationships",
        "roles",
        "filters",
        "levels",
    ):
        assert sum(len(getattr(truth, kind)) for truth in truths) > 5, kind


def test_a_list_of_databases_says_what_the_manifests_say(client, genuine):
    names = {genuine(sample) for sample in CONTAINER_SAMPLES}
    listed = client.databases()
    assert names <= listed.keys()
    assert listed["Sales"] == ["Sales-ID", 1400, "Processed", "ReadWrite"]


def test_a_database_whose_name_the_library_refuses_does_not_hide_the_others(client, served, copy):
    client.restore(served.put("Hugoberry__abc.pbix"), "with.dot")
    try:
        listed = client.databases()
        assert "Sales" in listed
        assert "with.dot" not in listed
        rows = client.query("SELECT [CATALOG_NAME] FROM $SYSTEM.DBSCHEMA_CATALOGS", "Sales")["rows"]
        assert [["str", "with.dot"]] in rows
    finally:
        assert client.execute('{"delete": {"object": {"database": "with.dot"}}}') == []


def test_a_server_says_what_it_is(client):
    facts = client.server_facts()
    assert facts["connected"]
    assert facts["mode"] == "Tabular"
    assert int(facts["version"].partition(".")[0]) >= 16
    assert facts["properties"]["BackupDir"] == "/"
