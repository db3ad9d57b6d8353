"""New metadata have the tables of a genuine schema version, and are a model without tables."""

from __future__ import annotations

import datetime
import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from model.genuine import MemoryFiles, genuine_metadata
from tabvault.errors import CompatibilityError
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.schema_versions import LEVEL_MAX, LEVEL_MIN, schema_version_of, tables_of
from tabvault.model.consistency import check_consistency
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.load import load_model
from tabvault.model.metadata import Metadata

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=datetime.UTC)
GENUINE = {48: "microsoft__2018SU04_Blog_Demo_-_April.pbix", 73: "Hugoberry__Adventure_Works_Internet_Sales.pbix"}
GENUINE |= {92: "Hugoberry__ABF.bin"}


def schema(content: bytes) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        return connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()


@pytest.mark.parametrize(("version", "level"), [(48, 1400), (73, 1520), (92, 1550)])
def test_the_schema_is_that_of_a_genuine_file_to_the_character(version, level):
    assert schema_version_of(level) == version
    expected = schema(genuine_metadata(GENUINE[version]))
    found = schema(new_metadata(level, now=NOW))

    # Columns that a schema version added to a table that was there have other blanks before them in genuine files.
    def bare(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, re.sub(r"\s+", "", sql)) for name, sql in rows]

    assert bare(found) == bare(expected)


def test_every_column_of_a_genuine_file_of_a_version_between_is_known():
    newest = tables_of(123)
    with Metadata.from_bytes(genuine_metadata("rkapp22__Dashboard.SemanticModel_.pbi_cache.abf")) as metadata:
        for table in metadata.table_names():
            if table != "DBPROPERTIES":
                assert tuple(newest[table])[: len(metadata.column_names(table)) - 1] == metadata.column_names(table)[1:]
    assert set(newest) - set(metadata.table_names()) == {"FullTextIndexStorage"}


def test_a_level_gets_the_oldest_schema_that_has_a_place_for_it():
    expected = {1200: 19, 1201: 48, 1400: 48, 1455: 73, 1500: 73, 1520: 73, 1550: 92, 1567: 123, 1600: 123, 1708: 123}
    assert {level: schema_version_of(level) for level in expected} == expected


@pytest.mark.parametrize("level", [-1, 0, 1103, LEVEL_MIN - 1, LEVEL_MAX + 1, 1_000_000])
def test_a_level_without_a_schema_is_refused(level):
    with pytest.raises(CompatibilityError, match=f"compatibility level is {level}, not one from 1200 to 1708"):
        new_metadata(level, now=NOW)


def test_new_metadata_hold_one_model_and_nothing_else():
    with Metadata.from_bytes(
        new_metadata(1605, now=NOW, culture="de-DE", collation="Latin1_General_CS_AS")
    ) as metadata:
        rows = {table: list(metadata.rows(table)) for table in metadata.table_names() if table != "DBPROPERTIES"}
        model = load_model(metadata)
        assert {table for table, found in rows.items() if found} == {"Model"}
        assert metadata.properties()["MAXID"] == rows["Model"][0]["ID"] == 1
        assert rows["Model"][0]["DataSourceDefaultMaxConnections"] == 10
    assert (model.name, model.culture, model.collation) == ("Model", "de-DE", "Latin1_General_CS_AS")
    assert model.last_update == NOW
    assert model.tables == model.roles == ()


@pytest.mark.parametrize("version", [48, 73, 92])
def test_the_properties_are_those_of_a_genuine_file(version):
    level = {48: 1400, 73: 1520, 92: 1550}[version]
    with (
        Metadata.from_bytes(genuine_metadata(GENUINE[version])) as genuine,
        Metadata.from_bytes(new_metadata(level, now=NOW)) as new,
    ):
        assert new.properties().keys() == genuine.properties().keys()
        assert new.schema_version == genuine.schema_version


def test_pages_are_as_long_as_in_genuine_files():
    for level, name in ((1400, GENUINE[48]), (1520, GENUINE[73]), (1550, GENUINE[92])):
        assert new_metadata(level, now=NOW)[16:18] == genuine_metadata(name)[16:18]


@settings(deadline=None, max_examples=25)
@given(
    level=st.integers(LEVEL_MIN, LEVEL_MAX),
    now=st.datetimes(timezones=st.just(datetime.UTC)).filter(lambda time: time.year > 1601),
)
def test_new_metadata_are_consistent_for_every_level(level, now):
    content = new_metadata(level, now=now)
    with Metadata.from_bytes(content) as metadata:
        findings = check_consistency(metadata, load_model(metadata), MemoryFiles({METADATA_FILE: content}))
    assert {finding.severity for finding in findings} == {"OK"}


def test_the_genuine_samples_span_the_versions_that_are_made():
    versions = set()
    for name in CONTAINER_SAMPLES:
        with Metadata.from_bytes(genuine_metadata(name)) as metadata:
            versions.add(metadata.schema_version)
    assert versions >= GENUINE.keys()
    assert min(versions) < 19
    assert max(versions) == 122
