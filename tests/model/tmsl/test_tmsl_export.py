"""
Export against Microsoft's client library.

``client_models.json`` holds, for each genuine sample, the SHA-256 of the model as the tabular object model of client
library 19.118 writes it (times, inferred properties and inferred objects ignored, texts split) after it loaded the
sample's rows through ``TMSCHEMA_*`` rowsets; connection strings, encrypted in those files, are masked. The JSON is
canonical: members sorted, no spaces. ``every_object.json`` was written by the same library from a model made by hand
that has an object of each type.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from conftest import CONTAINER_SAMPLES
from model.genuine import genuine_metadata
from model.tmsl.built_metadata import built, metadata_bytes
from tabvault.errors import ModelError
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.parse import database_definition

HERE = Path(__file__).parent
CLIENT_MODELS = json.loads((HERE / "client_models.json").read_text("utf-8"))
EVERY_OBJECT = json.loads((HERE / "every_object.json").read_text("utf-8"))


def exported(metadata, *, level: int = 1_000_000) -> dict:
    return tmsl_of(metadata, name="Every Object", id="every-object", compatibility_level=level)


def model_tree(change_model=None):
    database = copy.deepcopy(EVERY_OBJECT)
    if change_model is not None:
        change_model(database["model"])
    return database_definition(database).model


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_a_genuine_model_is_written_as_the_client_library_writes_it(name):
    client = CLIENT_MODELS[name]
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        model = tmsl_of(metadata, name=name, id=name, compatibility_level=client["compatibilityLevel"])["model"]
    canonical = json.dumps(model, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(canonical.encode()).hexdigest() == client["sha256"]


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_what_was_written_is_read_and_written_again_the_same(name):
    level = CLIENT_MODELS[name]["compatibilityLevel"]
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        first = tmsl_of(metadata, name=name, id=name, compatibility_level=level)
    tree = database_definition(first).model
    with built(tree) as metadata:
        assert tmsl_of(metadata, name=name, id=name, compatibility_level=level) == first


def test_every_type_of_object_is_written_as_the_client_library_writes_it():
    tree = model_tree()
    assert {part.type.name for part in tree.walk()} == set(OBJECT_TYPES) - {"AttributeHierarchy", "ExcludedArtifact"}
    with built(tree) as metadata:
        assert exported(metadata) == EVERY_OBJECT


def test_the_id_is_left_out_when_it_is_the_name():
    with built(model_tree()) as metadata:
        assert "id" not in tmsl_of(metadata, name="Sales", id="Sales", compatibility_level=1600)


def test_what_a_lower_level_does_not_have_is_left_out():
    with built(model_tree()) as metadata:
        model = exported(metadata, level=1500)["model"]
    assert "functions" not in model
    assert "maxParallelismPerQuery" not in model
    assert not any("calendars" in table for table in model["tables"])
    assert "queryGroups" in model


def test_passwords_and_credentials_are_not_written():
    def with_secrets(model):
        provider, structured = model["dataSources"][:2]
        provider |= {"password": "hunter2", "connectionString": "Data Source=x;Password=hunter2;User ID=u"}
        structured["credential"] = {"Username": "u", "Password": "hunter2"}

    with built(model_tree(with_secrets)) as metadata:
        written = exported(metadata)["model"]["dataSources"]
    assert "hunter2" not in json.dumps(written)
    assert written[0]["connectionString"] == "Data Source=x;Password=********;User ID=u"
    assert not {"password", "credential"} & {member for source in written for member in source}


def test_system_tables_and_row_numbers_are_not_written():
    with built(model_tree(), change="UPDATE \"Table\" SET SystemFlags = 1 WHERE Name = 'CG'") as metadata:
        assert "CG" not in [table["name"] for table in exported(metadata)["model"]["tables"]]
    with built(model_tree(), change="UPDATE \"Column\" SET Type = 3 WHERE ExplicitName = 'Year'") as metadata:
        tables = {table["name"]: table for table in exported(metadata)["model"]["tables"]}
    assert [column["name"] for column in tables["Dates"]["columns"]] == ["Date"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            'UPDATE "Column" SET SortByColumnID = 99999 WHERE SortByColumnID > 0',
            "refers to Column 99999, which is nothing",
        ),
        ('UPDATE "Column" SET SortByColumnID = 1 WHERE SortByColumnID > 0', "refers to Column 1, which is a Model"),
        ('UPDATE "Column" SET Alignment = 77', "Alignment is 77, for which Alignment has no word"),
        ("UPDATE \"Column\" SET Alignment = 'left'", "Alignment is text, not a whole number"),
        ('UPDATE "Table" SET Name = NULL WHERE ID = (SELECT min(ID) FROM "Table")', "Name is NULL"),
        ('UPDATE "Table" SET IsHidden = 2', "IsHidden is 2, not 0 or 1"),
        ("UPDATE Measure SET Expression = x'00ff'", "not a text"),
        ("UPDATE Partition SET RangeStart = 1e300 WHERE RangeStart > 0", "not a time"),
        ("UPDATE Partition SET Type = 9", "TMSL has no source of Type parquet"),
        ("UPDATE DataSource SET Password = 5, Type = 1", None),
        ("UPDATE DataSource SET ConnectionDetails = '{' WHERE Type = 2", "ConnectionDetails is not JSON"),
        ("UPDATE Model SET DataAccessOptions = '{\"a\": NaN}'", "NaN is not a JSON number"),
        (f"UPDATE Model SET DataAccessOptions = '{{\"a\":{'[' * 900}{']' * 900}}}'", "more than 64 levels"),
        ("UPDATE ObjectTranslation SET Property = 9", "Property is 9, which names no property"),
        ("UPDATE ObjectTranslation SET ObjectType = 11", "type 11 cannot be translated"),
        ("UPDATE CalendarColumnReference SET IsPrimaryColumn = 1", "2 primary columns, not 1"),
        ("DELETE FROM Model", "0 rows, not 1"),
        ("UPDATE Role SET ID = 1 WHERE Name = 'Reader'", "has the same ID"),
    ],
)
def test_metadata_that_contradict_themselves_are_refused(change, message):
    with built(model_tree(), change=change) as metadata:
        if message is None:
            exported(metadata)
            return
        with pytest.raises(ModelError, match=message):
            exported(metadata)


def test_a_secret_is_not_shown_by_an_error():
    change = "UPDATE DataSource SET ConnectionString = CAST('Password=hunter2' AS BLOB)"
    with built(model_tree(), change=change) as metadata, pytest.raises(ModelError, match="ConnectionString") as raised:
        exported(metadata)
    assert "hunter2" not in str(raised.value)


def test_any_cell_of_another_type_is_a_value_or_an_error():
    """Each column of each table in turn holds what it never holds."""
    data = metadata_bytes(model_tree())
    refused = 0
    for type_ in OBJECT_TYPES.values():
        for prop in type_.properties[1:]:
            if not prop.is_stored:
                continue
            change = f'UPDATE "{type_.table}" SET "{prop.name}" = -7.25'
            refused += _is_refused(data, change)
    assert refused > 150


def _is_refused(data: bytes, change: str) -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        connection.execute(change)
        connection.commit()
        changed = connection.serialize()
    with Metadata.from_bytes(changed) as metadata:
        try:
            json.dumps(exported(metadata))
        except ModelError:
            return True
    return False
