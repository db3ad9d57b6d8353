"""Objects of TMSL make the rows that a client's rows make; what is replaced keeps its id and its values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.changes.model_changes import NOW, change, changed, everything, model_of, not_ok, rows_of
from model.genuine import OLDEST, OLS, RLS, SMALL, genuine_files, genuine_metadata
from tabvault.errors import RequestError
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.tree_changes import ExistingObjects, create_changes, delete_changes
from tabvault.model.metadata import Metadata
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.parse import database_definition, object_tree

EVERYTHING = json.loads(Path(__file__).with_name("everything.tmsl.json").read_text("utf-8"))
TIMES = {"modifiedTime", "structureModifiedTime", "refreshedTime", "state"}


def model_tree():
    model = database_definition(EVERYTHING).model
    assert model is not None
    return model


def existing(content):
    with Metadata.from_bytes(content) as metadata:
        return ExistingObjects(metadata)


def exported(content, level=1605):
    """The model as TMSL, without what the engine says of it."""

    def said(value):
        if isinstance(value, dict):
            return {name: said(inner) for name, inner in value.items() if name not in TIMES}
        return [said(inner) for inner in value] if isinstance(value, list) else value

    with Metadata.from_bytes(content) as metadata:
        return said(tmsl_of(metadata, name="Every", id="Every", compatibility_level=level)["model"])


@pytest.fixture(scope="module")
def created():
    base = new_metadata(1605, now=NOW)
    return changed(base, *existing(base).replace_changes(model_tree()))


def test_a_model_comes_back_as_it_was_said(created):
    expected = json.loads(json.dumps(EVERYTHING["model"]))
    del expected["dataSources"][1]["credential"]  # secrets are not handed out
    assert exported(created.content) == expected
    assert not_ok(created, {}) == []


def test_rows_and_tmsl_make_the_same_model(created):
    assert exported(everything().content) == exported(created.content)


def test_a_model_replaced_by_itself_keeps_every_id(created):
    outcome = changed(created.content, *existing(created.content).replace_changes(model_tree()))
    before, after = rows_of(created.content), rows_of(outcome.content)
    # A translation has no name to be known again by.
    assert before.pop("ObjectTranslation").keys() != after.pop("ObjectTranslation").keys()
    assert after == before
    assert (outcome.added_files, outcome.dropped_files) == ({}, frozenset())


@pytest.mark.parametrize("name", [OLDEST, RLS, OLS, SMALL, "Hugoberry__directquery-parameters.pbix"])
def test_a_genuine_model_replaced_by_its_own_export_keeps_its_values(name):
    content = genuine_metadata(name)
    with Metadata.from_bytes(content) as metadata:
        definition = database_definition(tmsl_of(metadata, name="m", id="m", compatibility_level=1601))
    outcome = changed(content, *existing(content).replace_changes(definition.model), level=1601)
    before, after = rows_of(content), rows_of(outcome.content)
    assert exported(outcome.content, 1601) == exported(content, 1601)
    for table in ("Column", "Table", "Measure", "Partition", "ColumnStorage", "StorageFile", "RelationshipStorage"):
        assert after[table].keys() == before[table].keys(), table
    assert outcome.dropped_files == frozenset()
    assert not_ok(outcome, genuine_files(name).bodies) == []


def test_a_replaced_table_loses_what_is_not_said_and_keeps_the_rest(created):
    table = {
        "name": "Sales",
        "columns": [
            {"name": "Date", "dataType": "dateTime", "sourceColumn": "Date"},
            {"name": "New", "dataType": "int64", "sourceColumn": "New"},
        ],
        "partitions": [{"name": "P1", "source": {"type": "m", "expression": "x"}}],
        "measures": [{"name": "Total", "expression": "1"}],
    }
    tree = object_tree("Table", table, place="createOrReplace.table")
    outcome = changed(created.content, *existing(created.content).replace_changes(tree))
    before, after = rows_of(created.content), rows_of(outcome.content)
    (sales,) = [row for row in after["Table"].values() if row["Name"] == "Sales"]
    assert before["Table"][sales["ID"]]["Description"] == "d"
    assert sales["Description"] is None
    names = {row["ExplicitName"]: key for key, row in after["Column"].items() if row["TableID"] == sales["ID"]}
    assert names.keys() == {"Date", "New", "RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61"}
    assert before["Column"][names["Date"]]["ExplicitName"] == "Date"
    (total,) = [row for row in after["Measure"].values() if row["TableID"] == sales["ID"]]
    assert (before["Measure"][total["ID"]]["Name"], total["Expression"], total["KPIID"]) == ("Total", "1", 0)
    assert not after["KPI"]
    assert after["Relationship"].keys() == before["Relationship"].keys()
    assert not_ok(outcome, dict(created.added_files)) == []


def test_an_altered_object_keeps_what_is_not_said(created):
    tree = object_tree("Table", {"name": "Sold", "isHidden": True}, place="alter.table")
    outcome = changed(created.content, *existing(created.content).alter_changes(tree, {"Table": "Sales"}))
    before, after = rows_of(created.content), rows_of(outcome.content)
    (sold,) = [row for row in after["Table"].values() if row["Name"] == "Sold"]
    assert (sold["Description"], sold["IsHidden"]) == ("d", 1)
    assert after["Column"] == before["Column"]
    with pytest.raises(RequestError, match="there is no Table of Table 'Nowhere'"):
        existing(created.content).alter_changes(tree, {"Table": "Nowhere"})


def test_a_collection_that_an_alter_says_is_replaced(created):
    table = {"name": "Sold", "measures": [{"name": "Dyn", "expression": "2"}, {"name": "More", "expression": "3"}]}
    tree = object_tree("Table", table, place="alter.table")
    outcome = changed(created.content, *existing(created.content).alter_changes(tree, {"Table": "Sales"}))
    measures = {row["Name"]: row["Expression"] for row in rows_of(outcome.content)["Measure"].values()}
    assert measures == {"Dyn": "2", "More": "3"}
    empty = object_tree("Table", {"name": "Sales", "measures": []}, place="alter.table")
    outcome = changed(created.content, *existing(created.content).alter_changes(empty, {"Table": "Sales"}))
    assert not rows_of(outcome.content)["Measure"]


def test_one_object_is_created_below_another_and_deleted_again(created):
    owner = {"Table": "Dates"}
    measure = {"name": "M", "expression": ["1", "+ 1"], "annotations": [{"name": "a", "value": "v"}]}
    tree = object_tree("Measure", measure, place="create.measure", owners=owner)
    outcome = changed(created.content, *create_changes(tree, owner_type="Table", owner=owner))
    (found,) = [row for row in rows_of(outcome.content)["Measure"].values() if row["Name"] == "M"]
    assert found["Expression"] == "1\n+ 1"
    assert rows_of(outcome.content)["Table"][found["TableID"]]["Name"] == "Dates"
    annotations = rows_of(outcome.content)["Annotation"].values()
    assert [row["Name"] for row in annotations if row["ObjectID"] == found["ID"]] == ["a"]
    path = {"Table": "dates", "Measure": "m"}
    again = changed(outcome.content, *delete_changes("Measure", path, place="delete"))
    assert rows_of(again.content)["Measure"] == rows_of(created.content)["Measure"]
    with pytest.raises(RequestError, match="there is no Measure of Table 'dates', Measure 'm'"):
        changed(again.content, *delete_changes("Measure", path, place="delete"))


def test_a_relationship_without_a_name_gets_one(created):
    tree = object_tree(
        "Relationship",
        {"fromTable": "Sales", "fromColumn": "ProdKey", "toTable": "CG", "toColumn": "Ordinal"},
        place="create.relationship",
    )
    outcome = changed(created.content, *create_changes(tree))
    names = {row["Name"] for row in rows_of(outcome.content)["Relationship"].values()}
    assert len(names - {"r1"}) == 1
    assert all(names)


def test_a_large_model_takes_seconds():
    columns = [{"name": f"c{index}", "dataType": "int64", "sourceColumn": "x"} for index in range(400)]
    measures = [{"name": f"m{index}", "expression": "1"} for index in range(2000)]
    partition = {"name": "p", "source": {"type": "m", "expression": "x"}}
    table = {"name": "T", "columns": columns, "measures": measures, "partitions": [partition]}
    tree = object_tree("Table", table, place="create.table")
    base = new_metadata(1605, now=NOW)
    outcome = changed(base, *create_changes(tree))
    assert len(model_of(outcome.content).tables[0].measures) == 2000
    again = existing(outcome.content).replace_changes(tree)
    assert rows_of(changed(outcome.content, *again).content) == rows_of(outcome.content)
    deletions = [change("delete", "Measure", {"ID": {"Table": "T", "Measure": f"m{index}"}}) for index in range(2000)]
    gone = changed(outcome.content, *deletions)
    assert not rows_of(gone.content)["Measure"]
