"""What Microsoft's client sends gives the rows that it expects to read back."""

from __future__ import annotations

import pytest

from model.changes.model_changes import EVERYTHING_REQUEST, NOW, change, changed, everything, not_ok, rows_of
from tabvault.errors import CommandNotSupportedError, CompatibilityError, RequestError
from tabvault.formats.xmla.commands import Collection, ObjectChanges
from tabvault.model.changes.new_metadata import new_metadata
from tabvault.model.changes.row_changes import row_changes


def only(rows, table, **cells):
    (found,) = [row for row in rows[table].values() if all(row[name] == value for name, value in cells.items())]
    return found


@pytest.fixture(scope="module")
def rows():
    return rows_of(everything().content)


def test_every_object_of_the_request_is_there(rows):
    counts = {
        "DataSource": 2, "Table": 3, "Partition": 4, "Relationship": 1, "Measure": 2, "Hierarchy": 2, "Level": 3,
        "Annotation": 3, "KPI": 1, "Culture": 1, "ObjectTranslation": 1, "LinguisticMetadata": 1, "Perspective": 1,
        "PerspectiveTable": 1, "PerspectiveColumn": 1, "PerspectiveHierarchy": 1, "PerspectiveMeasure": 1, "Role": 1,
        "RoleMembership": 2, "TablePermission": 1, "Variation": 1, "ExtendedProperty": 1, "Expression": 1,
        "ColumnPermission": 1, "DetailRowsDefinition": 1, "CalculationGroup": 1, "CalculationItem": 1,
        "FormatStringDefinition": 2, "QueryGroup": 1, "ChangedProperty": 1, "Model": 1,
        "Column": 9 + 3, "AttributeHierarchy": 9 + 3,
    }  # fmt: skip
    assert {table: len(rows[table]) for table in counts} == counts


def test_the_outcome_is_consistent_with_its_files():
    assert not_ok(everything(), {}) == []


def test_references_by_name_become_ids_also_forward(rows):
    sales, dates = only(rows, "Table", Name="Sales")["ID"], only(rows, "Table", Name="Dates")["ID"]
    sales_date = only(rows, "Column", TableID=sales, ExplicitName="Date")["ID"]
    key = only(rows, "Column", ExplicitName="ProdKey")["ID"]
    assert only(rows, "Column", ExplicitName="Product")["SortByColumnID"] == key
    relationship = only(rows, "Relationship", Name="r1")
    assert (relationship["FromTableID"], relationship["FromColumnID"]) == (sales, sales_date)
    assert relationship["ToColumnID"] == only(rows, "Column", TableID=dates, ExplicitName="Date")["ID"]
    variation = only(rows, "Variation", Name="v1")
    assert variation["RelationshipID"] == relationship["ID"]
    assert variation["DefaultHierarchyID"] == only(rows, "Hierarchy", Name="H")["ID"]
    assert only(rows, "Expression", Name="E1")["QueryGroupID"] == only(rows, "QueryGroup", Folder="QG")["ID"]
    assert only(rows, "Partition", Name="P2")["DataSourceID"] == only(rows, "DataSource", Name="ds1")["ID"]
    permission = only(rows, "TablePermission", TableID=sales)
    assert only(rows, "ColumnPermission", TablePermissionID=permission["ID"])["MetadataPermission"] == 1
    assert only(rows, "ObjectTranslation", Value="Verkauf")["ObjectID"] == sales


def test_objects_of_any_type_carry_the_number_of_that_type(rows):
    product = only(rows, "Column", ExplicitName="Product")["ID"]
    assert only(rows, "Annotation", Name="a1")["ObjectID"] == product
    assert only(rows, "Annotation", Name="a1")["ObjectType"] == 4
    assert only(rows, "Annotation", Name="m")["ObjectID"] == 1
    assert only(rows, "ExtendedProperty", Name="xp")["ObjectID"] == product
    item = only(rows, "CalculationItem", Name="ci")
    assert only(rows, "FormatStringDefinition", Expression='"x"')["ObjectID"] == item["ID"]


def test_a_parent_names_its_only_children(rows):
    total, dyn = only(rows, "Measure", Name="Total"), only(rows, "Measure", Name="Dyn")
    assert total["KPIID"] == only(rows, "KPI", MeasureID=total["ID"])["ID"]
    assert total["DetailRowsDefinitionID"] == only(rows, "DetailRowsDefinition", Expression="Sales")["ID"]
    assert dyn["FormatStringDefinitionID"] == only(rows, "FormatStringDefinition", ObjectID=dyn["ID"])["ID"]
    group = only(rows, "Table", Name="CG")
    assert group["CalculationGroupID"] == only(rows, "CalculationGroup", TableID=group["ID"])["ID"]
    culture = only(rows, "Culture", Name="de-DE")
    assert culture["LinguisticMetadataID"] == only(rows, "LinguisticMetadata", CultureID=culture["ID"])["ID"]
    for column in rows["Column"].values():
        assert rows["AttributeHierarchy"][column["AttributeHierarchyID"]]["ColumnID"] == column["ID"]


def test_discriminators_and_defaults_are_in_the_rows(rows):
    assert [row["Type"] for row in rows["DataSource"].values()] == [1, 2]
    assert {row["Name"]: row["Type"] for row in rows["Partition"].values()} == {"P1": 4, "P2": 1, "PD": 2, "pcg": 7}
    assert only(rows, "Relationship", Name="r1")["Type"] == 1
    assert only(rows, "ExtendedProperty", Name="xp")["Type"] == 1
    calculated = only(rows, "Column", ExplicitName="Calc")
    assert (calculated["Type"], calculated["ExplicitDataType"], calculated["InferredDataType"]) == (2, 1, 8)
    amount = only(rows, "Column", ExplicitName="Amount")
    assert (amount["Alignment"], amount["TableDetailPosition"], amount["IsNullable"]) == (1, -1, 1)
    assert (amount["SummarizeBy"], amount["IsAvailableInMDX"], amount["IsHidden"]) == (3, 1, 0)
    model = rows["Model"][1]
    assert (model["Description"], model["DefaultPowerBIDataSourceVersion"], model["DisableAutoExists"]) == ("md", 2, -1)


def test_every_table_gets_the_row_number_of_genuine_files(rows):
    for table_id in rows["Table"]:
        number = only(rows, "Column", TableID=table_id, Type=3)
        assert number["ExplicitName"] == "RowNumber-2662979B-1795-4F74-8F37-6A1BA8059B61"
        assert (number["IsHidden"], number["IsUnique"], number["IsKey"], number["IsNullable"]) == (1, 1, 1, 0)
        assert rows["ColumnStorage"][number["ColumnStorageID"]]["StoragePosition"] == 0
        assert rows["ColumnStorage"][number["ColumnStorageID"]]["ColumnFlags"] == 31


def test_states_say_what_is_to_be_done(rows):
    states = {row["ExplicitName"]: row["State"] for row in rows["Column"].values() if row["TableID"] == 2}
    assert states.pop("Calc") == 4
    assert set(states.values()) == {3}
    assert {row["Name"]: row["State"] for row in rows["Partition"].values()} == {"P1": 3, "P2": 3, "PD": 4, "pcg": 3}
    assert only(rows, "Table", Name="Dates")["SystemFlags"] == 2


def test_times_are_those_of_the_change(rows):
    filetime = int(NOW.timestamp() + 11_644_473_600) * 10_000_000
    times = {row[name] for table in rows.values() for row in table.values() for name in row if name == "ModifiedTime"}
    assert times == {filetime}
    assert {row["RefreshedTime"] for row in rows["Partition"].values()} == {31_240_512_000_000_000}


def test_affected_objects_are_told():
    outcome = everything()
    assert [one.id for one in outcome.affected] == sorted(one.id for one in outcome.affected)
    told = {(one.verb, one.type) for one in outcome.affected}
    assert ("alter", "Model") in told
    assert ("create", "Measure") in told
    assert not outcome.dropped_files


def rows_command(verb, collection, *rows, **columns):
    return ObjectChanges(verb, "Every", (Collection(collection, columns, rows),))


def test_a_measure_is_created_altered_and_deleted_by_id():
    base = everything().content
    columns = {"TableID": "unsignedLong", "Name": "string", "Expression": "string", "ID": "unsignedLong"}
    create = rows_command("create", "Measures", {"TableID": "2", "Name": "M2", "Expression": "1"}, **columns)
    created = changed(base, *row_changes(create))
    (new,) = created.affected
    assert (new.verb, new.type) == ("create", "Measure")
    alter = rows_command("alter", "Measures", {"ID": str(new.id), "Expression": "2"}, **columns)
    altered = changed(created.content, *row_changes(alter))
    measure = rows_of(altered.content)["Measure"][new.id]
    assert (measure["Name"], measure["Expression"], measure["TableID"]) == ("M2", "2", 2)
    deleted = changed(altered.content, *row_changes(rows_command("delete", "Measures", {"ID": str(new.id)}, **columns)))
    assert rows_of(deleted.content)["Measure"] == rows_of(base)["Measure"]
    assert deleted.affected[0].verb == "delete"


def test_an_object_is_altered_by_its_path_in_any_case():
    row = {"ID.Table": "sales", "ID.Measure": "TOTAL", "Name": "Sum", "ID": None}
    outcome = changed(everything().content, *row_changes(rows_command("rename", "Measures", row)))
    assert only(rows_of(outcome.content), "Measure", Name="Sum")["Expression"] == "SUM(Sales[Amount])"


@pytest.mark.parametrize(
    ("verb", "collection", "row", "message"),
    [
        ("create", "Measurs", {}, "there is no collection 'Measurs'"),
        ("create", "Measures", {"Nam": "x"}, "Measure has no property 'Nam'"),
        ("create", "Measures", {"TableID": "2", "Name": "x", "IsHidden": "maybe"}, "IsHidden is 'maybe'"),
        ("create", "Measures", {"TableID": "9" * 30, "Name": "x"}, "TableID is '9999"),
        ("create", "Measures", {"TableID": "-2", "Name": "x"}, "TableID is '-2'"),
        ("create", "Measures", {"TableID": "²", "Name": "x"}, "TableID is '²'"),
        ("create", "Measures", {"TableID": "2", "Name": "x\0"}, "not a value of type string"),
        ("create", "Measures", {"TableID": "2", "Name": "x\ud800"}, "not a value of type string"),
        ("create", "Measures", {"ID": "7", "TableID": "2", "Name": "x"}, "Measure.ID cannot be set by create"),
        ("alter", "Measures", {"ID": "26", "State": "1"}, "Measure.State cannot be set by alter"),
        ("alter", "Measures", {"ID": "26", "KPIID": "1"}, "Measure.KPIID cannot be set by alter"),
        ("alter", "Columns", {"ID": "13", "ColumnStorageID": "1"}, "Column.ColumnStorageID cannot be set"),
        ("delete", "Measures", {"ID": "26", "Name": "x"}, "Measure.Name cannot be set by delete"),
        ("create", "Partitions", {"TableID": "2", "RangeStart": "soon"}, "RangeStart is 'soon'"),
    ],
)
def test_a_row_that_says_nothing_sensible_is_refused(verb, collection, row, message):
    with pytest.raises(RequestError, match=message):
        changed(everything().content, *row_changes(rows_command(verb, collection, row)))


def test_a_column_declared_with_a_type_of_another_kind_is_refused():
    command = rows_command("create", "Measures", {"TableID": "2", "Name": "x"}, TableID="boolean")
    with pytest.raises(RequestError, match="'2' of type boolean, not a value of type unsignedLong"):
        list(row_changes(command))


def test_a_refresh_is_no_change_of_metadata():
    with pytest.raises(CommandNotSupportedError, match="refresh of objects"):
        list(row_changes(rows_command("refresh", "Model", {"RefreshType": "1"})))


def test_a_range_of_a_partition_is_a_date_in_days():
    columns = {"TableID": "unsignedLong", "RangeStart": "dateTime"}
    row = {"TableID": "2", "Name": "R", "Type": "6", "RangeStart": "2024-01-02T12:00:00", "RangeGranularity": "1"}
    outcome = changed(everything().content, *row_changes(rows_command("create", "Partitions", row, **columns)))
    assert only(rows_of(outcome.content), "Partition", Name="R")["RangeStart"] == 45293.5


def test_what_the_compatibility_level_does_not_have_is_refused():
    base = new_metadata(1200, now=NOW)
    assert changed(base, change("create", "Table", Name="T"), level=1200).affected
    with pytest.raises(CompatibilityError, match="level 1200 has no Expression"):
        changed(base, change("create", "Expression", Name="E", Expression="1"), level=1200)
    with pytest.raises(CompatibilityError, match=r"level 1500 has no Table\.LineageTag"):
        changed(new_metadata(1605, now=NOW), change("create", "Table", Name="T", LineageTag="x"), level=1500)


def test_a_default_that_an_old_schema_has_no_column_for_says_nothing():
    outcome = changed(new_metadata(1200, now=NOW), change("create", "Table", Name="T", SystemManaged=0), level=1200)
    assert "SystemManaged" not in rows_of(outcome.content)["Table"][2]


def test_the_recorded_request_names_nobody():
    text = EVERYTHING_REQUEST.read_text("utf-8")
    assert "00000000-0000-0000-0000-000000000000" in text
    assert "SessionId=" in text
