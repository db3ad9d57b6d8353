"""The registry against genuine metadata, against rows that Microsoft's client sends, and against itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import CONTAINER_SAMPLES
from model.genuine import genuine_metadata
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import (
    OBJECT_TYPES,
    RETIRED_COLUMNS,
    RETIRED_TABLES,
    Role,
    by_collection,
    by_number,
    by_rowset,
)

COMMAND_COLUMNS = json.loads((Path(__file__).parent / "command_columns.json").read_text("utf-8"))
"""Columns and XML types of the rows that the client library 19.118 sends at compatibility level 1000000."""

UNSEEN_COLUMNS = {("Column", "FullTextIndexingBehavior")}
"""Known from a list of a newer schema version; no genuine file here has them."""


def columns_of(sample: str) -> dict[str, set[str]]:
    with Metadata.from_bytes(genuine_metadata(sample)) as metadata:
        return {table: set(metadata.column_names(table)) for table in metadata.table_names()}


@pytest.mark.parametrize("sample_name", CONTAINER_SAMPLES)
def test_every_column_of_genuine_metadata_is_a_property(sample_name):
    for table, columns in columns_of(sample_name).items():
        if "Storage" in table or table == "DBPROPERTIES" or table in RETIRED_TABLES:
            continue
        known = {prop.name for prop in OBJECT_TYPES[table].properties} | RETIRED_COLUMNS.get(table, frozenset())
        assert columns <= known, table


def test_every_property_is_a_column_of_some_genuine_metadata():
    seen: dict[str, set[str]] = {}
    for name in CONTAINER_SAMPLES:
        for table, columns in columns_of(name).items():
            seen.setdefault(table, set()).update(columns)
    unseen = {
        (type_.name, prop.name)
        for type_ in OBJECT_TYPES.values()
        for prop in type_.properties
        if prop.is_stored and prop.name not in seen[type_.table]
    }
    assert unseen == UNSEEN_COLUMNS


def test_properties_stand_in_the_order_of_the_newest_metadata():
    with Metadata.from_bytes(genuine_metadata("rkapp22__Dashboard.SemanticModel_.pbi_cache.abf")) as metadata:
        for type_ in OBJECT_TYPES.values():
            order = metadata.column_names(type_.table)
            known = [prop.name for prop in type_.properties if prop.name in order]
            assert known == [column for column in order if column not in RETIRED_COLUMNS.get(type_.name, ())]


@pytest.mark.parametrize("collection", COMMAND_COLUMNS)
def test_what_may_be_set_is_what_the_client_sends(collection):
    type_ = by_collection(collection)
    settable = {prop.name: prop.type for prop in type_.properties if prop.role in {Role.PARENT, Role.DEFINITION}}
    if type_.parent and type_.parent.types == ("Model",):
        del settable["ModelID"]  # there is one model, so the rows do not say which
    assert settable == COMMAND_COLUMNS[collection]


def test_only_what_nobody_sets_is_missing_in_the_rows_of_the_client():
    sent = {by_collection(collection).name for collection in COMMAND_COLUMNS}
    assert set(OBJECT_TYPES) - sent == {"AttributeHierarchy", "ExcludedArtifact"}


def test_types_are_found_by_number_rowset_and_collection():
    for type_ in OBJECT_TYPES.values():
        assert by_number(type_.number) is type_
        assert by_rowset(type_.rowset.lower()) is type_
        assert by_collection(type_.collection.upper()) is type_
    assert (by_number(0), by_rowset("TMSCHEMA_NOTHING"), by_collection("Nothings")) == (None, None, None)
    assert by_rowset("TMSCHEMA_KPIS").name == "KPI"
    assert by_collection("Kpis").number == 12


@pytest.mark.parametrize("type_", OBJECT_TYPES.values(), ids=OBJECT_TYPES)
def test_references_and_parents_are_types(type_):
    for prop in type_.properties:
        assert prop.target is None or prop.target in OBJECT_TYPES
        if prop.role is Role.CHILD:
            assert type_.name in OBJECT_TYPES[prop.target].parent.types
    assert type_.parent is not None or type_.name == "Model"
    assert all(parent in OBJECT_TYPES for parent in (type_.parent.types if type_.parent else ()))


def test_secrets_are_marked():
    secrets = {(type_.name, p.name) for type_ in OBJECT_TYPES.values() for p in type_.properties if p.is_secret}
    assert secrets == {("DataSource", "Password"), ("DataSource", "Credential")}


def test_numbers_have_words_and_words_numbers():
    data_type = OBJECT_TYPES["Column"]["ExplicitDataType"].enumeration
    assert data_type.number("dateTime") == 9
    assert data_type.word(9) == "dateTime"
    assert data_type.word(99) is None
    assert "ExplicitName" in OBJECT_TYPES["Column"]
    assert "ColumnName" not in OBJECT_TYPES["Column"]
