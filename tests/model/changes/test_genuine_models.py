"""Changes to genuine models: the outcome is consistent, nothing else changes, and values stay readable."""

from __future__ import annotations

import pytest

from conftest import CONTAINER_SAMPLES, sample_path
from model.changes.model_changes import change, changed, files_after, model_of, not_ok, rows_of
from model.genuine import OLDEST, RLS, SMALL, genuine_files, genuine_metadata
from tabvault.engine.scan import read_table
from tabvault.errors import ConsistencyError, ModelError, RequestError
from tabvault.formats.byte_source import MemorySource
from tabvault.jobs.opening import open_backup
from tabvault.model.changes.application import Application
from tabvault.model.changes.refusals import refuse
from tabvault.model.changes.rows import Rows
from tabvault.model.container_files import ContainerFiles
from tabvault.model.edit import MetadataEdit
from tabvault.model.file_set import METADATA_FILE
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES

VARIED = (
    OLDEST,
    "Hugoberry__DataModel.abf",
    "Hugoberry__directquery-parameters.pbix",
    "Hugoberry__empty-schema-calc-only.pbix",
    RLS,
    "rkapp22__Dashboard.SemanticModel_.pbi_cache.abf",
    "sql-bi__Contoso.pbix",
)
"""Schema versions 17, 31, 55, 56, 96, 111 and 122; imported, DirectQuery, calculated and empty tables."""


def widest(content):
    """The user table with the most columns."""
    return max(model_of(content).tables, key=lambda table: len(table.columns))


@pytest.mark.parametrize("name", VARIED)
def test_a_long_sequence_leaves_every_condition_true(name):
    content, files = genuine_metadata(name), genuine_files(name)
    table = widest(content)
    first = next(column for column in table.columns if not column.is_row_number)
    outcome = changed(
        content,
        change("create", "Table", Name="New table"),
        change("create", "Column", {"TableID": {"Table": "New table"}}, ExplicitName="Key", ExplicitDataType=6),
        change("create", "Partition", {"TableID": {"Table": "New table"}}, Name="P", Type=4, QueryDefinition="x"),
        change("create", "Column", TableID=table.id, ExplicitName="Added", ExplicitDataType=2),
        change("create", "Partition", TableID=table.id, Name="Added partition", Type=4, QueryDefinition="x"),
        change("create", "Measure", TableID=table.id, Name="New measure", Expression="1"),
        change("create", "Role", Name="New role", ModelPermission=2),
        change("create", "RoleMembership", {"RoleID": {"Role": "New role"}}, MemberName="a@b"),
        change("create", "TablePermission", {"RoleID": {"Role": "New role"}}, TableID=table.id),
        change(
            "create",
            "Relationship",
            {
                "FromTableID": {"Table": table.name},
                "FromColumnID": {"Table": table.name, "Column": "Added"},
                "ToTableID": {"Table": "New table"},
                "ToColumnID": {"Table": "New table", "Column": "Key"},
            },
            Name="r",
        ),
        change("alter", "Table", ID=table.id, Name="Renamed"),
        change("delete", "Column", ID=first.id),
    )
    assert not_ok(outcome, files.bodies) == []
    after = model_of(outcome.content)
    renamed = next(found for found in after.tables if found.id == table.id)
    assert renamed.name == "Renamed"
    assert renamed.row_count == table.row_count
    assert {column.id for column in renamed.columns} >= {column.id for column in table.columns} - {first.id}
    assert first.id not in {column.id for column in renamed.columns}
    assert next(found for found in after.tables if found.name == "New table").row_count == 0
    assert {role.name: [member.name for member in role.members] for role in after.roles}["New role"] == ["a@b"]


@pytest.mark.parametrize("name", VARIED)
def test_without_tables_no_storage_and_no_data_file_is_left(name):
    content, files = genuine_metadata(name), genuine_files(name)
    outcome = changed(content, *(change("delete", "Table", ID=table.id) for table in model_of(content).tables))
    assert not_ok(outcome, files.bodies) == []
    rows = rows_of(outcome.content)
    left = {table for table, found in rows.items() if found}
    assert left <= {"Model", "DataSource", "Annotation", "Culture", "LinguisticMetadata", "Expression", "Role"}
    assert not [name for name in files_after(outcome, files.bodies).names() if "\\" in name]


@pytest.mark.parametrize("name", [OLDEST, RLS, SMALL, "Hugoberry__DataModel.abf"])
def test_rows_that_no_change_is_about_stay_as_they_are(name):
    content = genuine_metadata(name)
    table = widest(content)
    outcome = changed(content, change("create", "Measure", TableID=table.id, Name="New measure", Expression="1"))
    before, after = rows_of(content), rows_of(outcome.content)
    differing = {
        (kind, row_id)
        for kind in before
        for row_id in before[kind].keys() | after[kind].keys()
        if before[kind].get(row_id) != after[kind].get(row_id)
    }
    (measure,) = outcome.affected
    assert differing == {("Measure", measure.id), ("Table", table.id), ("Model", 1)}
    for kind, row_id in (("Table", table.id), ("Model", 1)):
        old, new = before[kind][row_id], after[kind][row_id]
        assert {column for column in old if old[column] != new[column]} == {"StructureModifiedTime"}
    assert outcome.added_files == {}
    assert outcome.dropped_files == frozenset()


def test_a_rename_keeps_id_and_files():
    content = genuine_metadata(RLS)
    table = widest(content)
    column = table.columns[1]
    outcome = changed(
        content,
        change("alter", "Table", ID=table.id, Name="T2"),
        change("alter", "Column", {"ID": {"Table": "T2", "Column": column.name}}, ExplicitName="C2"),
    )
    rows = rows_of(outcome.content)
    assert rows["Column"][column.id]["ExplicitName"] == "C2"
    assert rows["ColumnStorage"] == rows_of(content)["ColumnStorage"]
    assert rows["StorageFile"] == rows_of(content)["StorageFile"]
    assert (outcome.added_files, outcome.dropped_files) == ({}, frozenset())


def test_a_deleted_role_takes_all_that_hung_on_it():
    content = genuine_metadata(RLS)
    before = rows_of(content)
    role_id = next(row["RoleID"] for row in before["TablePermission"].values())
    outcome = changed(content, change("delete", "Role", ID=role_id))
    after = rows_of(outcome.content)
    assert role_id not in after["Role"]
    told = {(one.verb, one.type) for one in outcome.affected}
    assert told - {("delete", "RoleMembership"), ("delete", "Annotation")} == {
        ("delete", "Role"),
        ("delete", "TablePermission"),
    }
    for table in ("RoleMembership", "TablePermission"):
        assert after[table] == {key: row for key, row in before[table].items() if row["RoleID"] != role_id}


def test_a_column_that_is_sorted_by_a_deleted_one_stays_unsorted():
    content = genuine_metadata(RLS)
    before = rows_of(content)["Column"]
    sorted_id, by_id = next((key, row["SortByColumnID"]) for key, row in before.items() if row["SortByColumnID"])
    after = rows_of(changed(content, change("delete", "Column", ID=by_id)).content)["Column"]
    assert by_id not in after
    assert after[sorted_id]["SortByColumnID"] == 0


class Overlay:
    """The files of a container with those that changes add, and without those that they drop."""

    def __init__(self, files, outcome):
        self._files, self._outcome = files, outcome

    def names(self):
        kept = [name for name in self._files.names() if name not in self._outcome.dropped_files]
        return [*kept, *self._outcome.added_files]

    def byte_count(self, name):
        return len(self.read(name))

    def read(self, name):
        if name == METADATA_FILE:
            return self._outcome.content
        assert name not in self._outcome.dropped_files
        return self._outcome.added_files.get(name) or self._files.read(name)

    def open(self, name):
        return MemorySource(bytes(self.read(name)))


@pytest.mark.parametrize("name", [SMALL, RLS])
def test_values_stay_readable_and_what_has_none_is_a_named_error(name):
    content = genuine_metadata(name)
    table = next(found for found in model_of(content).tables if found.row_count)
    names = [column.name for column in table.columns if not column.is_row_number]
    outcome = changed(
        content,
        change("create", "Column", TableID=table.id, ExplicitName="Added", ExplicitDataType=6),
        change("create", "Column", TableID=table.id, ExplicitName="Calc", Type=2, Expression="1"),
        change("create", "Partition", TableID=table.id, Name="Added", Type=4, QueryDefinition="x"),
        change("alter", "Table", ID=table.id, Name="T2"),
    )
    with open_backup(MemorySource(sample_path(name).read_bytes())) as backup:
        files = ContainerFiles(backup.container)
        expected = read_table(files, table, names)
        renamed = next(found for found in model_of(outcome.content).tables if found.id == table.id)
        found = read_table(Overlay(files, outcome), renamed, names)
        for added in ("Added", "Calc"):
            with pytest.raises(ModelError, match=f"column {added!r} of table 'T2' has no values"):
                read_table(Overlay(files, outcome), renamed, [added])
    assert found.combine_chunks().equals(expected.combine_chunks())


def test_a_new_table_reads_as_no_rows():
    content = genuine_metadata(SMALL)
    owner = {"TableID": {"Table": "Ümläut [1]/2"}}
    types = (2, 6, 8, 9, 10, 11, 17)
    outcome = changed(
        content,
        change("create", "Table", Name="Ümläut [1]/2"),
        change("create", "Partition", owner, Name="P", Type=4, QueryDefinition="x"),
        *(change("create", "Column", owner, ExplicitName=f"c{kind}", ExplicitDataType=kind) for kind in types),
    )
    table = next(found for found in model_of(outcome.content).tables if found.name.startswith("Ü"))
    files = files_after(outcome, genuine_files(SMALL).bodies)
    read = read_table(files, table)
    assert (read.num_rows, read.column_names) == (0, [f"c{kind}" for kind in types])
    assert all(name.startswith(f"Ümläut  1  2 ({table.id}).tbl\\") for name in outcome.added_files)
    assert not_ok(outcome, genuine_files(SMALL).bodies) == []


def test_values_of_another_definition_are_dropped():
    content = genuine_metadata(RLS)
    before = rows_of(content)
    relationship = next(iter(before["Relationship"].values()))
    column_id = relationship["FromColumnID"]
    outcome = changed(content, change("alter", "Column", ID=column_id, ExplicitDataType=2))
    after = rows_of(outcome.content)
    assert (after["Column"][column_id]["ColumnStorageID"], after["Column"][column_id]["State"]) == (0, 3)
    assert after["Relationship"][relationship["ID"]]["RelationshipStorageID"] == 0
    assert after["Relationship"][relationship["ID"]]["State"] == 4
    assert not_ok(outcome, genuine_files(RLS).bodies) == []
    assert any(".idf" in name for name in outcome.dropped_files)
    assert [(one.verb, one.type, one.id) for one in outcome.affected] == [("alter", "Column", column_id)]


def test_of_a_partition_that_goes_the_rows_are_not_counted_any_more():
    content = genuine_metadata(RLS)
    table = next(found for found in model_of(content).tables if found.row_count)
    outcome = changed(
        content,
        change("create", "Partition", TableID=table.id, Name="Rest", Type=4, QueryDefinition="x"),
        change("delete", "Partition", ID=table.partitions[0].id),
    )
    after = next(found for found in model_of(outcome.content).tables if found.id == table.id)
    assert (after.row_count, len(after.partitions)) == (0, 1)
    assert not_ok(outcome, genuine_files(RLS).bodies) == []


@pytest.mark.parametrize("name", CONTAINER_SAMPLES)
def test_no_rule_is_broken_by_a_genuine_model(name):
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        application = Application(Rows(metadata, MetadataEdit(metadata)), compatibility_level=1600, time=1)
        system = {key for key, row in application.rows["Table"].items() if row["SystemFlags"] == 1}
        for type_ in OBJECT_TYPES.values():
            for row_id, row in application.rows[type_.table].items():
                if row_id not in system and row.get("TableID") not in system:
                    application.created[row_id] = type_
        assert application.created
        refuse(application)


def test_without_changes_the_file_is_the_same():
    content = genuine_metadata(SMALL)
    assert changed(content).content is content


def test_a_change_that_changes_nothing_keeps_every_row():
    content = genuine_metadata(SMALL)
    table = widest(content)
    outcome = changed(content, change("alter", "Table", ID=table.id, Name=table.name))
    assert rows_of(outcome.content) == rows_of(content)


def test_a_value_longer_than_the_file_has_room():
    content = genuine_metadata(OLDEST)
    text = "ä" * len(content)
    outcome = changed(content, change("create", "Measure", TableID=widest(content).id, Name="M", Expression=text))
    assert rows_of(outcome.content)["Measure"][outcome.affected[0].id]["Expression"] == text


@pytest.mark.parametrize(
    ("type_name", "table_has"),
    [("Table", lambda row: row["SystemFlags"] == 1), ("Column", lambda row: row["Type"] == 3)],
)
@pytest.mark.parametrize("verb", ["alter", "delete"])
def test_what_is_the_engines_own_is_not_changed(type_name, table_has, verb):
    content = genuine_metadata(SMALL)
    row_id = next(key for key, row in rows_of(content)[type_name].items() if table_has(row))
    with pytest.raises(RequestError, match="is the engine's own"):
        changed(content, change(verb, type_name, ID=row_id, **({"Description": "x"} if verb == "alter" else {})))


def test_metadata_that_contradict_themselves_are_not_changed():
    content = genuine_metadata(SMALL)
    with Metadata.from_bytes(content) as metadata:
        edit = MetadataEdit(metadata)
    edit.set_property("MAXID", 1)
    with pytest.raises(ConsistencyError, match=r"metadata contradict themselves: .* is above MAXID 1"):
        changed(edit.content(content), change("create", "Table", Name="T"))
