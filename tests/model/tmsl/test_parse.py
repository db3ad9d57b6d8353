"""TMSL objects: what is read, what is refused and where, and what the client library refuses too."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import RequestError
from tabvault.model.tmsl.parse import check_level, database_definition, object_tree
from tabvault.model.tmsl.tree import Reference

EVERY_OBJECT = json.loads((Path(__file__).parent / "every_object.json").read_text("utf-8"))


def table(**members):
    return object_tree("Table", {"name": "Sales", **members}, place="table")


def column(**members):
    (only,) = table(columns=[{"name": "c", **members}]).children
    return only


def refused(type_name: str, value: object, **owners: str) -> RequestError:
    with pytest.raises(RequestError) as raised:
        object_tree(type_name, value, place="model", owners=owners)
    return raised.value


def test_values_are_those_of_the_metadata():
    read = column(dataType="dateTime", isHidden=True, tableDetailPosition=3, description=["one", "two"])
    assert read.values == {
        "ExplicitName": "c",
        "ExplicitDataType": 9,
        "IsHidden": True,
        "TableDetailPosition": 3,
        "Description": "one\ntwo",
    }
    assert (read.name, read.place) == ("c", "table.columns[0]")


def test_names_refer_to_objects_of_the_same_table_or_of_the_model():
    assert column(sortByColumn="d").references == {
        "SortByColumnID": Reference("Column", {"Table": "Sales", "Column": "d"})
    }
    partition = table(partitions=[{"name": "p", "queryGroup": "g", "source": {"query": "q", "dataSource": "s"}}])
    assert partition.children[0].references == {
        "QueryGroupID": Reference("QueryGroup", {"QueryGroup": "g"}),
        "DataSourceID": Reference("DataSource", {"DataSource": "s"}),
    }
    assert partition.children[0].values == {"Name": "p", "Type": 1, "QueryDefinition": "q"}


def test_a_relationship_refers_to_columns_of_its_two_tables():
    members = {"fromTable": "a", "fromColumn": "b", "toColumn": "d", "toTable": "c"}
    assert object_tree("Relationship", members, place="r").references == {
        "FromTableID": Reference("Table", {"Table": "a"}),
        "FromColumnID": Reference("Column", {"Table": "a", "Column": "b"}),
        "ToTableID": Reference("Table", {"Table": "c"}),
        "ToColumnID": Reference("Column", {"Table": "c", "Column": "d"}),
    }


def test_what_is_inferred_stands_in_the_columns_for_it():
    read = column(
        type="calculatedTableColumn", dataType="int64", isNameInferred=True, isDataTypeInferred=True, sourceColumn="[c]"
    )
    assert read.values == {
        "InferredName": "c",
        "ExplicitDataType": 1,
        "InferredDataType": 6,
        "Type": 4,
        "SourceColumn": "[c]",
    }
    assert read.name == "c"


def test_what_the_engine_sets_is_read_and_left_out():
    measure = {"name": "m", "expression": "1", "state": "ready", "modifiedTime": "2024-01-01T00:00:00"}
    (read,) = table(measures=[measure]).children
    assert read.values == {"Name": "m", "Expression": "1"}
    assert refused("Measure", {"name": "m", "state": "fine"}).path == "model.state"


def test_times_are_utc():
    source = {"type": "policyRange", "start": "2024-01-01T02:00:00+02:00", "end": "2024-02-01", "granularity": "month"}
    (read,) = table(partitions=[{"name": "p", "source": source}]).children
    assert read.values["RangeStart"] == datetime.datetime(2024, 1, 1)  # noqa: DTZ001
    assert read.values["RangeEnd"] == datetime.datetime(2024, 2, 1)  # noqa: DTZ001
    assert read.values["RangeGranularity"] == 1


def test_translations_are_objects_with_the_path_of_what_they_translate():
    tree = {
        "model": {
            "name": "Model",
            "tables": [{"name": "T", "measures": [{"name": "M", "kpi": {"translatedDescription": "d"}}]}],
        }
    }
    (read,) = object_tree("Culture", {"name": "de-DE", "translations": tree}, place="c").children
    assert read.values == {"ObjectType": 12, "Property": 2, "Value": "d"}
    assert read.references == {"ObjectID": Reference("KPI", {"Table": "T", "Measure": "M"})}


def test_an_empty_array_is_told_from_none():
    assert "measures" in table(measures=[]).members
    assert "measures" not in table().members


def test_passwords_are_not_in_a_repr():
    read = object_tree("DataSource", {"name": "d", "password": "hunter2"}, place="d")
    assert read.values["Password"] == "hunter2"
    assert "hunter2" not in repr(read)


@pytest.mark.parametrize(
    ("type_name", "value", "path", "message"),
    [
        ("Table", {"name": "t", "foo": True}, "model.foo", "a Table has no member 'foo'"),
        ("Table", {"Name": "t"}, "model", "has no name"),
        ("Table", {"name": "t", "isHidden": "true"}, "model.isHidden", "a string stands here, not true or false"),
        ("Table", {"name": "t", "isHidden": 1}, "model.isHidden", "a number stands here, not true or false"),
        ("Table", {"name": "t", "description": None}, "model.description", "null stands here, not a string"),
        ("Table", {"name": 5}, "model.name", "a number stands here, not a string"),
        ("Table", {"name": " "}, "model.name", "a name is empty"),
        ("Table", {"name": "t", "columns": None}, "model.columns", "null stands here, not an array"),
        ("Table", {"name": "t", "columns": {}}, "model.columns", "an object stands here, not an array"),
        ("Table", {"name": "t", "alternateSourcePrecedence": 3.0}, "model.alternateSourcePrecedence", "whole number"),
        ("Table", {"name": "t", "alternateSourcePrecedence": True}, "model.alternateSourcePrecedence", "a boolean"),
        ("Table", {"name": "t", "alternateSourcePrecedence": 1 << 31}, "model.alternateSourcePrecedence", "32 bits"),
        ("Table", {"name": "t", "columns": [{"name": "a"}, {"name": "A"}]}, "model.columns[1]", "'A' is there twice"),
        (
            "Table",
            {"name": "t", "columns": [{"name": "a", "dataType": "INT64"}]},
            "model.columns[0].dataType",
            "'INT64'",
        ),
        (
            "Table",
            {"name": "t", "columns": [{"name": "a", "expression": "1"}]},
            "model.columns[0].expression",
            "type data",
        ),
        ("Table", {"name": "t", "columns": [{"name": "a", "type": "x"}]}, "model.columns[0].type", "none of"),
        (
            "Table",
            {"name": "t", "partitions": [{"name": "p", "source": {"type": "m", "query": "q"}}]},
            "model.partitions[0].source.query",
            "m source",
        ),
        ("DataSource", {"name": "d", "credential": {}}, "model.credential", "type provider"),
        ("DataSource", {"name": "d", "type": "structured", "options": []}, "model.options", "an array stands here"),
        ("Variation", {"name": "v", "defaultHierarchy": {"table": "t"}}, "model.defaultHierarchy", "has no hierarchy"),
        ("Variation", {"name": "v", "defaultColumn": {"table": "t", "x": 1}}, "model.defaultColumn.x", "no member 'x'"),
        ("Relationship", {"fromColumn": "c"}, "model", "no fromTable"),
        ("Level", {"name": "l", "column": "c"}, "model.column", "of which table"),
        ("RefreshPolicy", {"policyType": "basic", "mode": 1}, "model.mode", "a number stands here"),
        ("Culture", {"name": "c", "translations": {"x": {}}}, "model.translations.x", "no member 'x'"),
        (
            "Culture",
            {"name": "c", "translations": {"model": {"tables": [{}]}}},
            "model.translations.model.tables[0].name",
            "null",
        ),
        (
            "Culture",
            {"name": "c", "translations": {"model": {"roles": [{"name": "r", "translatedCaption": ""}]}}},
            "model.translations.model.roles[0].translatedCaption",
            "Role",
        ),
        ("ExtendedProperty", {"name": "e", "type": "json", "value": "x"}, "model.value", "not an object"),
        ("Expression", {"name": "e", "mAttributes": {}}, "model.mAttributes", "an object stands here"),
    ],
)
def test_what_no_object_can_have_is_refused_with_its_place(type_name, value, path, message):
    error = refused(type_name, value)
    assert error.path == path
    assert message in error.message


def test_a_database_needs_a_name_and_a_level_for_what_is_in_it():
    with pytest.raises(RequestError, match="no name") as raised:
        database_definition({"compatibilityLevel": 1600})
    assert raised.value.path == "database"
    model = {"tables": [{"name": "t", "calendars": [{"name": "c"}]}]}
    assert database_definition({"name": "d", "model": model}).model.level_needed == 1701
    with pytest.raises(RequestError, match="needs compatibility level 1701, and the database has 1600") as raised:
        database_definition({"name": "d", "compatibilityLevel": 1600, "model": model})
    assert raised.value.path == "database.model.tables[0].calendars[0]"
    assert database_definition({"name": "d", "compatibilityLevel": 1701, "model": model}).compatibility_level == 1701


def test_a_default_needs_no_level():
    check_level(table(systemManaged=False), 1200)
    with pytest.raises(RequestError, match="1562"):
        check_level(table(systemManaged=True), 1561)


def test_a_database_has_its_own_members():
    database = {
        "name": "d",
        "id": "i",
        "description": "x",
        "readWriteMode": "readOnly",
        "lastUpdate": "2024-01-01T00:00:00Z",
    }
    read = database_definition(database)
    assert (read.id, read.description, read.read_write_mode, read.model) == ("i", "x", "readOnly", None)
    with pytest.raises(RequestError, match="no member 'models'"):
        database_definition({"name": "d", "models": {}})


def places(value: object, at: tuple = ()):
    yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


ALL_PLACES = [place for place in places(EVERY_OBJECT) if place]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(place=st.sampled_from(ALL_PLACES), value=JSON)
@settings(deadline=None, max_examples=300)
def test_anything_anywhere_is_read_or_refused(place, value):
    database = json.loads(json.dumps(EVERY_OBJECT))
    inner = database
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    try:
        outcome = database_definition(database).name
    except RequestError as error:
        outcome = error.path
    assert outcome


@pytest.mark.parametrize(
    "place", [place for place in ALL_PLACES if isinstance(place[-1], str) and "content" not in place]
)
def test_no_member_may_have_another_name(place):
    free = {"connectionDetails", "dataAccessOptions", "measureAnalysisDefinition"}
    if free & set(place[:-1]) or ("extendedProperties" in place and place[-2] == "value"):
        return
    database = json.loads(json.dumps(EVERY_OBJECT))
    inner = database
    for step in place[:-1]:
        inner = inner[step]
    inner[f"{place[-1]}_"] = inner.pop(place[-1])
    with pytest.raises(RequestError):
        database_definition(database)
