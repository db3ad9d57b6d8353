"""Values that are cleared are gone with their files; whatever else there is stays to the bit."""

from __future__ import annotations

import pytest

from model.changes.model_changes import change, changed, files_after, model_of, not_ok, rows_of
from model.genuine import OLDEST, RLS, SMALL, genuine_files, genuine_metadata
from tabvault.engine.scan import read_table
from tabvault.errors import RequestError
from tabvault.model.filetime import NEVER
from tabvault.model.load_storage import storage_file_names
from tabvault.model.metadata import Metadata

VARIED = (
    OLDEST,
    SMALL,
    RLS,
    "Hugoberry__DataModel.abf",
    "Hugoberry__directquery-parameters.pbix",
    "Hugoberry__empty-schema-calc-only.pbix",
    "sql-bi__Contoso.pbix",
)
OWN = ("Table", "Column", "Partition", "Hierarchy", "AttributeHierarchy", "Relationship")
"""Objects of a model whose rows hold the state of their values."""

VALUE_CELLS = {"State", "RefreshedTime"}


def definition(rows):
    """What the modeller made: rows of objects without what says where their values are."""
    system = {key for key, row in rows["Table"].items() if row["SystemFlags"] & 1}
    return {
        kind: {
            row_id: {name: cell for name, cell in row.items() if name not in VALUE_CELLS and "Storage" not in name}
            for row_id, row in found.items()
            if row_id not in system and row.get("TableID") not in system
        }
        for kind, found in rows.items()
        if "Storage" not in kind
    }


def names_of(content):
    with Metadata.from_bytes(content) as metadata:
        return set(storage_file_names(metadata).values())


@pytest.mark.parametrize("name", VARIED)
def test_a_cleared_model_has_its_objects_and_no_rows(name):
    content, files = genuine_metadata(name), genuine_files(name)
    outcome = changed(content, change("clear", "Model"))
    assert not_ok(outcome, files.bodies) == []
    assert {table.name: table.row_count for table in model_of(outcome.content).tables} == {
        table.name: 0 for table in model_of(content).tables
    }
    assert not model_of(outcome.content).system_tables
    assert definition(rows_of(outcome.content)) == definition(rows_of(content))
    # Every file that is left is one of an empty table.
    assert names_of(outcome.content) == set(outcome.added_files)


@pytest.mark.parametrize("name", [RLS, "Hugoberry__DataModel.abf"])
def test_a_cleared_table_is_as_one_that_was_never_processed(name):
    content, files = genuine_metadata(name), genuine_files(name)
    table = max(model_of(content).tables, key=lambda one: one.row_count)
    outcome = changed(content, change("clear", "Table", {"ID": {"Table": table.name}}))
    assert not_ok(outcome, files.bodies) == []
    after = next(one for one in model_of(outcome.content).tables if one.id == table.id)
    names = [column.name for column in table.columns if not column.is_row_number and column.storage]
    read = read_table(files_after(outcome, files.bodies), after, names)
    assert (read.num_rows, read.column_names) == (0, names)
    rows = rows_of(outcome.content)
    for kind in ("Column", "Partition"):
        mine = [row for row in rows[kind].values() if row["TableID"] == table.id]
        calculated = [row for row in mine if row["Type"] in ((2, 4) if kind == "Column" else (2,))]
        assert {row["State"] for row in mine if row not in calculated} <= {3}
        assert {row["State"] for row in calculated} <= {4}
        assert {row["RefreshedTime"] for row in mine} == {NEVER}
    for relationship in rows["Relationship"].values():
        if table.id in (relationship["FromTableID"], relationship["ToTableID"]):
            assert (relationship["RelationshipStorageID"], relationship["State"]) == (0, 3)


@pytest.mark.parametrize("name", [RLS, "Hugoberry__DataModel.abf", "sql-bi__Contoso.pbix"])
def test_of_the_other_tables_every_row_and_file_stays(name):
    content = genuine_metadata(name)
    table = max(model_of(content).tables, key=lambda one: one.row_count)
    outcome = changed(content, change("clear", "Table", ID=table.id))
    before, after = rows_of(content), rows_of(outcome.content)
    folder = next(row for row in before["TableStorage"].values() if row["TableID"] == table.id)["Name"] + ".tbl"
    relationships = {
        key for key, row in before["Relationship"].items() if table.id in (row["FromTableID"], row["ToTableID"])
    }
    own_columns = {key for key, row in before["Column"].items() if row["TableID"] == table.id}
    for kind in OWN:
        for row_id in before[kind].keys() & after[kind].keys():
            row = before[kind][row_id]
            is_own = table.id in (row.get("TableID"), row_id) or row.get("ColumnID") in own_columns
            if not is_own and row_id not in relationships:
                assert after[kind][row_id] == row, (kind, row_id)
    for file in outcome.dropped_files:
        assert file.startswith((f"{folder}\\", "R$")) or f"({table.id})" in file, file
    assert names_of(content) - outcome.dropped_files - outcome.added_files.keys() == names_of(outcome.content) - set(
        outcome.added_files
    )


def test_a_cleared_partition_leaves_the_rows_of_the_others():
    """One is cleared beside an empty one, and the last: no genuine sample has two with rows in a table."""
    content, files = genuine_metadata(RLS), genuine_files(RLS)
    table = next(one for one in model_of(content).tables if one.row_count)
    added = changed(content, change("create", "Partition", TableID=table.id, Name="More", Type=4, QueryDefinition="x"))
    (more,) = added.affected
    outcome = changed(added.content, change("clear", "Partition", ID=more.id))
    assert not_ok(outcome, files_after(added, files.bodies).bodies) == []
    after = next(one for one in model_of(outcome.content).tables if one.id == table.id)
    assert after.row_count == table.row_count
    assert rows_of(outcome.content)["ColumnStorage"] == rows_of(content)["ColumnStorage"]
    path = {"ID": {"Table": table.name, "Partition": table.partitions[0].name}}
    outcome = changed(added.content, change("clear", "Partition", path))
    assert not_ok(outcome, files_after(added, files.bodies).bodies) == []
    after = next(one for one in model_of(outcome.content).tables if one.id == table.id)
    assert (after.row_count, len(after.partitions)) == (0, 2)
    assert not [name for name in names_of(outcome.content) if name.endswith(".dictionary") and f"({table.id})" in name]


def test_clearing_twice_is_clearing_once():
    content, files = genuine_metadata(SMALL), genuine_files(SMALL)
    once = changed(content, change("clear", "Model"))
    twice = changed(once.content, change("clear", "Model"))
    assert definition(rows_of(twice.content)) == definition(rows_of(once.content))
    assert not_ok(twice, files_after(once, files.bodies).bodies) == []
    assert twice.added_files == once.added_files
    assert twice.dropped_files == frozenset()


def test_a_clearing_is_a_change_of_data_and_of_no_definition():
    content = genuine_metadata(RLS)
    outcome = changed(content, change("clear", "Model"))
    assert outcome.affected == ()
    with Metadata.from_bytes(content) as old, Metadata.from_bytes(outcome.content) as new:
        before, after = old.properties(), new.properties()
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {"MAXID", "LASTCUBEDATACHANGE", "LASTCOMMITTED", "LASTMETADATACHANGEFORSYNCCOMMITTED"}


@pytest.mark.parametrize(
    ("type_name", "path", "message"),
    [
        ("Table", {"Table": "Nowhere"}, "there is no Table of Table 'Nowhere'"),
        ("Measure", None, "there is no Measure None"),
    ],
)
def test_what_is_not_there_is_not_cleared(type_name, path, message):
    with pytest.raises(RequestError, match=message):
        changed(genuine_metadata(SMALL), change("clear", type_name, {"ID": path} if path else {}))


def test_what_has_no_values_or_is_the_engines_own_is_not_cleared():
    rows = rows_of(genuine_metadata(SMALL))
    system = next(key for key, row in rows["Table"].items() if row["SystemFlags"] == 1)
    column = next(key for key, row in rows["Column"].items() if row["Type"] == 1)
    with pytest.raises(RequestError, match="is the engine's own"):
        changed(genuine_metadata(SMALL), change("clear", "Table", ID=system))
    with pytest.raises(RequestError, match="a Column has no values to be cleared"):
        changed(genuine_metadata(SMALL), change("clear", "Column", ID=column))
