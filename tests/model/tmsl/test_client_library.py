"""The registry and export against Microsoft's client library itself, where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import CONTAINER_SAMPLES, REPOSITORY, missing
from model.genuine import genuine_metadata
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES, enumerations
from tabvault.model.object_types.enumerations import Enumeration
from tabvault.model.secrets import MASK
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.shape import COLLECTIONS, PARTITION_SOURCES

HERE = Path(__file__).parent
LEVELS = {
    name: made["compatibilityLevel"] for name, made in json.loads((HERE / "client_models.json").read_text()).items()
}
EVERY_OBJECT = json.loads((HERE / "every_object.json").read_text("utf-8"))
UNKNOWN_TO_METADATA = {"packages", "stringIndex", "fullTextIndex"}
"""Preview objects that no metadata known to us has a table for."""


def exported(name: str) -> dict:
    """The sample; what a database of another name could not have is left out."""
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        return tmsl_of(metadata, name="d", id="d", compatibility_level=LEVELS[name])


@pytest.fixture(scope="module")
def client() -> dict:
    python = Path(os.environ.get("TABVAULT_MS_CLIENTS", REPOSITORY / ".venv-clients" / "bin" / "python"))
    if not python.exists():
        missing(f"Microsoft's clients are not at {python} (set TABVAULT_MS_CLIENTS)")
    databases = [exported(name) for name in CONTAINER_SAMPLES] + [EVERY_OBJECT]
    command = [python, HERE / "client_library.py"]
    answer = subprocess.run(command, input=json.dumps(databases).encode(), capture_output=True, check=True, timeout=120)
    return json.loads(answer.stdout)


@pytest.mark.parametrize("index", range(len(CONTAINER_SAMPLES)), ids=CONTAINER_SAMPLES)
def test_the_client_library_reads_an_export_and_writes_it_the_same(client, index):
    assert client["databases"][index] == exported(CONTAINER_SAMPLES[index])


def test_the_client_library_writes_every_type_of_object_as_the_file_has_it(client):
    assert client["databases"][-1] == EVERY_OBJECT


def test_enumerations_have_the_numbers_of_the_client_library(client):
    ours = [value for value in vars(enumerations).values() if isinstance(value, Enumeration)]
    assert len(ours) == 42
    for enumeration in ours:
        theirs = client["enumerations"][enumeration.name]
        assert enumeration.words == {word[0].lower() + word[1:]: number for word, number in theirs.items()}


def test_objects_have_the_numbers_of_the_client_library(client):
    numbers = client["enumerations"]["ObjectType"]
    assert {type_.name: type_.number for type_ in OBJECT_TYPES.values()}.items() <= numbers.items()


CLASSES = {
    "BindingInfo": ["BindingInfo", "DataBindingHint"],
    "CalculationExpression": ["CalculationGroupExpression"],
    "Column": ["Column", "DataColumn", "CalculatedColumn", "CalculatedTableColumn"],
    "DataSource": ["DataSource", "ProviderDataSource", "StructuredDataSource"],
    "Expression": ["NamedExpression"],
    "RefreshPolicy": ["BasicRefreshPolicy"],
    "Relationship": ["SingleColumnRelationship"],
    "Role": ["ModelRole"],
    "RoleMembership": ["ModelRoleMember", "ExternalModelRoleMember"],
}
"""Classes of the library whose names are not those of the types."""

NOT_PUBLIC = {("Model", "DiscourageReportMeasures")}
"""Marked as internal, without a level."""


def test_levels_are_those_of_the_client_library(client):
    compared = 0
    for type_ in OBJECT_TYPES.values():
        classes = [client["levels"].get(name, {}) for name in CLASSES.get(type_.name, [type_.name])]
        for prop in type_.properties:
            public = {prop.name, prop.name.removesuffix("ID")} - {""}
            levels = [{levels[""], levels[name]} for levels in classes for name in public if name in levels]
            if levels and (type_.name, prop.name) not in NOT_PUBLIC:
                assert max(type_.minimum_level, prop.minimum_level) == max(levels[0]), (type_.name, prop.name)
                compared += 1
    assert compared > 370


def objects_of(schema: dict) -> list[dict]:
    """The alternatives of a schema, as lists of members."""
    return [inner for inner in schema.get("anyOf", [schema]) if "properties" in inner]


def check(type_name: str, schema: dict) -> int:
    """Compare the members of a type with those of the schema, and what is below it. Returns the types compared."""
    type_ = OBJECT_TYPES[type_name]
    alternatives = objects_of(schema)
    theirs = {member for alternative in alternatives for member in alternative["properties"]} - UNKNOWN_TO_METADATA
    special = {
        "Column": {"isNameInferred", "isDataTypeInferred", "columnOriginTable", "columnOriginColumn"},
        "Partition": {"source"},
        "Culture": {"translations"},
        "CalculationGroup": {"multipleOrEmptySelectionExpression", "noSelectionExpression"},
        "CalendarColumnGroup": {"primaryColumn", "associatedColumns", "columns"},
    }.get(type_name, set())
    assert set(type_.by_tmsl) | set(COLLECTIONS[type_name]) | special == theirs, type_name
    compared = 1
    for alternative in alternatives[:1]:
        for member, inner in alternative["properties"].items():
            if member in type_.by_tmsl and type_.by_tmsl[member].enumeration is not None:
                words = set(type_.by_tmsl[member].enumeration.words)
                assert set(inner["enum"]) == words, (type_name, member)
            if member in COLLECTIONS[type_name]:
                compared += check(COLLECTIONS[type_name][member].name, inner["items"])
            elif member in {prop.tmsl for prop in type_.children}:
                compared += check(type_.by_tmsl[member].target, inner)
    return compared


def test_members_of_tmsl_are_those_of_the_published_schema(client):
    assert check("Model", client["schema"]["properties"]["model"]) > 100


def test_sources_of_partitions_are_those_of_the_published_schema(client):
    table = client["schema"]["properties"]["model"]["properties"]["tables"]["items"]
    sources = table["properties"]["partitions"]["items"]["properties"]["source"]["anyOf"]
    ours = sorted(sorted({"type", *members}) for members in PARTITION_SOURCES.values())
    theirs = sorted([*(sorted(source["properties"]) for source in sources), ["type"]])
    assert ours == theirs


def test_a_mask_is_what_the_client_library_writes(client):
    masked = [source["connectionString"] for source in client["databases"][2]["model"]["dataSources"]]
    assert set(masked) == {MASK}
