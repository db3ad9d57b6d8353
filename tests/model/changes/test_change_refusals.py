"""What is no model is refused, with the object and the reason; what is one is not, in whatever order it is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.changes.model_changes import NOW, change, changed, everything, not_ok, rows_of
from tabvault.errors import RequestError, TabvaultError
from tabvault.model.changes.new_metadata import new_metadata

SALES, DATES, CG = 2, 3, 4
IN_SALES = {"TableID": {"Table": "Sales"}}


def ids(table):
    """Ids by name in the model of every type of object."""
    key = "ExplicitName" if table == "Column" else "Name"
    return {row[key]: row_id for row_id, row in rows_of(everything().content)[table].items() if row["TableID"] == SALES}


def column(name):
    return {"Table": "Sales", "Column": name}


def joined(name, start, end, **cells):
    path = {"FromColumnID": start, "ToColumnID": end}
    path |= {"FromTableID": {"Table": start["Table"]}, "ToTableID": {"Table": end["Table"]}}
    return change("create", "Relationship", path, Name=name, **cells)


REFUSED = {
    "two tables of a name, whatever the capitals": (
        [change("create", "Table", Name="sALES")], "there are two of Table 'sALES'",
    ),
    "two measures of a name in two tables": (
        [change("create", "Measure", TableID=DATES, Name="total", Expression="1")], "there are two of Measure 'total'",
    ),
    "a measure with the name of a column": (
        [change("create", "Measure", IN_SALES, Name="amount", Expression="1")],
        "Measure 'amount' of Table 'Sales' has the name of Column 'Amount' of Table 'Sales'",
    ),
    "a rename to a name that is taken": (
        [change("alter", "Table", ID=DATES, Name="Sales")], "there are two of Table 'Sales'",
    ),
    "two columns of a name in one sequence": (
        [change("create", "Column", IN_SALES, ExplicitName=name) for name in ("x", "X")],
        "there are two of Column 'X' of Table 'Sales'",
    ),
    "an object without a name": ([change("create", "Table", Name="")], "Table has no Name"),
    "a name taken away": ([change("alter", "Table", ID=DATES, Name=None)], "Table has no Name"),
    "a parent that is not there": (
        [change("create", "Measure", {"TableID": {"Table": "Nowhere"}}, Name="x")],
        "there is no Table of Table 'Nowhere'",
    ),
    "a parent that is something else": (
        [change("create", "Measure", TableID=13, Name="x")], "Measure.TableID 13 is no Table",
    ),
    "no parent at all": ([change("create", "Measure", Name="x")], "Measure has no TableID"),
    "an object that is not there": ([change("alter", "Measure", ID=9999, Name="x")], "there is no Measure 9999"),
    "an object of another type": ([change("delete", "Measure", ID=SALES)], f"there is no Measure {SALES}"),
    "a second model": ([change("create", "Model", Name="x")], "cannot be created"),
    "no model": ([change("delete", "Model", ID=1)], "a Model cannot be deleted"),
    "a second KPI of a measure": (
        [change("create", "KPI", {"MeasureID": {"Table": "Sales", "Measure": "Total"}}, TargetExpression="1")],
        "Measure 'Total' of Table 'Sales' has a KPI already",
    ),
    "a column sorted by one of another table": (
        [change("alter", "Column", {"ID": column("Amount"), "SortByColumnID": {"Table": "Dates", "Column": "Year"}})],
        "Column 'Amount' of Table 'Sales' refers to Column 'Year' of Table 'Dates', which is not of its table",
    ),
    "a column sorted by itself": (
        [change("alter", "Column", {"ID": column("Amount"), "SortByColumnID": column("Amount")})],
        "Column 'Amount' of Table 'Sales' cannot be sorted by itself",
    ),
    "a level of another table's column": (
        [change("create", "Level", {"HierarchyID": {"Table": "Dates", "Hierarchy": "H"}, "ColumnID": column("Amount")},
                Name="x")],
        "Level 'x' of Hierarchy 'H' of Table 'Dates' refers to Column 'Amount' of Table 'Sales'",
    ),
    "a hierarchy without a level": (
        [change("create", "Hierarchy", IN_SALES, Name="Empty")], "Hierarchy 'Empty' of Table 'Sales' has no level",
    ),
    "a hierarchy whose only level goes with its column": (
        [change("delete", "Column", {"ID": {"Table": "Dates", "Column": "Year"}})],
        "Hierarchy 'H' of Table 'Dates' has no level",
    ),
    "a relationship of a table with itself": (
        [joined("x", column("ProdKey"), column("Amount"))], "Relationship 'x' joins a table with itself",
    ),
    "two relationships of the same columns": (
        [joined("x", column("Date"), {"Table": "Dates", "Column": "Date"}, IsActive=0)],
        "Relationship 'x' joins the columns of Relationship 'r1', which does so already",
    ),
    "two active relationships of two tables": (
        [joined("x", column("ProdKey"), {"Table": "Dates", "Column": "Year"})],
        "Relationship 'x' is active between the tables of Relationship 'r1'",
    ),
    "a query without a data source": (
        [change("create", "Partition", IN_SALES, Name="x", QueryDefinition="select 1")],
        "Partition 'x' of Table 'Sales' has a query and no data source",
    ),
    "a data source that a partition needs": (
        [change("delete", "DataSource", {"ID": {"DataSource": "ds1"}})],
        "Partition 'P2' of Table 'Sales' takes its rows from what would be deleted",
    ),
    "an object moved to another table": (
        [change("alter", "Measure", {"ID": {"Table": "Sales", "Measure": "Total"}}, TableID=DATES)],
        "Measure 'Total' of Table 'Sales' cannot move to another object",
    ),
    "an annotation on what has none": (
        [change("create", "Annotation", ObjectID=1, ObjectType=11, Name="x")], "ObjectType 11 is no type that has one",
    ),
    "an annotation on a type that is not": (
        [change("create", "Annotation", ObjectID=1, ObjectType=999, Name="x")],
        "ObjectType 999 is no type that has one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_model_is_refused(what):
    changes, message = REFUSED[what]
    with pytest.raises(RequestError) as refusal:
        changed(everything().content, *changes)
    assert message in str(refusal.value)


def test_a_refused_change_undoes_those_before_it():
    before = everything().content
    copy = bytes(before)
    with pytest.raises(RequestError):
        changed(before, change("delete", "Table", ID=DATES), change("alter", "Table", ID=SALES, Name=""))
    assert before == copy


def test_names_may_differ_in_case_where_the_collation_says_so():
    base = new_metadata(1605, now=NOW, collation="Latin1_General_CS_AS")
    outcome = changed(base, change("create", "Table", Name="T"), change("create", "Table", Name="t"))
    assert [row["Name"] for row in rows_of(outcome.content)["Table"].values()] == ["T", "t"]


def test_a_name_that_became_free_in_the_sequence_can_be_taken():
    outcome = changed(
        everything().content,
        change("create", "Table", Name="Dates"),
        change("create", "Column", {"TableID": {"Table": "Dates"}}, ExplicitName="New", ExplicitDataType=6),
        change("delete", "Table", ID=DATES),
    )
    rows = rows_of(outcome.content)
    (table_id,) = [row_id for row_id, row in rows["Table"].items() if row["Name"] == "Dates"]
    assert table_id != DATES
    assert {row["ExplicitName"] for row in rows["Column"].values() if row["TableID"] == table_id} >= {"New"}
    assert not rows["Relationship"]
    assert not rows["Variation"]


def test_names_can_be_exchanged():
    swap = (change("alter", "Table", ID=SALES, Name="Dates"), change("alter", "Table", ID=DATES, Name="Sales"))
    rows = rows_of(changed(everything().content, *swap).content)
    assert (rows["Table"][SALES]["Name"], rows["Table"][DATES]["Name"]) == ("Dates", "Sales")


def test_a_deleted_table_leaves_nothing_that_refers_to_it():
    outcome = changed(everything().content, change("delete", "Table", {"ID": {"Table": "Sales"}}))
    rows = rows_of(outcome.content)
    for table in ("Measure", "KPI", "Relationship", "PerspectiveTable", "PerspectiveMeasure", "TablePermission",
                  "ColumnPermission", "ObjectTranslation", "DetailRowsDefinition", "Variation"):  # fmt: skip
        assert not rows[table], table
    assert {row["Name"] for row in rows["Annotation"].values()} == {"m", "PBI_QueryGroupOrder"}
    assert not_ok(outcome, dict(everything().added_files)) == []


def test_children_deleted_beside_their_parent_are_no_error():
    outcome = changed(
        everything().content,
        change("delete", "Table", ID=SALES),
        change("delete", "Measure", ID=ids("Measure")["Total"]),
        change("create", "Role", Name="x"),
        change("delete", "Measure", ID=ids("Measure")["Dyn"]),
    )
    assert SALES not in rows_of(outcome.content)["Table"]


TABLES = st.sampled_from(["Sales", "Dates", "CG", "A", "B", "a"])
NAMES = st.sampled_from(["Amount", "x", "X", "y", "z", ""])
TYPES = st.sampled_from([1, 2, 6, 8, 9, 17, 19])
COLUMNS = st.sampled_from(
    [("Sales", "Amount"), ("Sales", "ProdKey"), ("Sales", "Calc"), ("Dates", "Date"), ("Dates", "Year"), ("A", "x")]
).map(lambda pair: {"Table": pair[0], "Column": pair[1]})
MEMBERS = st.sampled_from(
    [("Measure", "Sales", "Total"), ("Partition", "Sales", "P1"), ("Hierarchy", "Sales", "H1"), ("Measure", "A", "x")]
)


def member(kind, table, name, **cells):
    return change("create", kind, {"TableID": {"Table": table}}, Name=name, **cells)


CHANGES = st.one_of(
    st.builds(lambda name: change("create", "Table", Name=name), TABLES),
    st.builds(
        lambda table, name, kind: change(
            "create", "Column", {"TableID": {"Table": table}}, ExplicitName=name, ExplicitDataType=kind
        ),
        TABLES, NAMES, TYPES,
    ),
    st.builds(lambda table, name: member("Partition", table, name, Type=4), TABLES, NAMES),
    st.builds(lambda table, name: member("Measure", table, name, Expression="1"), TABLES, NAMES),
    st.builds(
        lambda name, start, end, on: joined(name, start, end, IsActive=on), NAMES, COLUMNS, COLUMNS, st.integers(0, 1)
    ),
    st.builds(lambda table, name: change("alter", "Table", {"ID": {"Table": table}}, Name=name), TABLES, TABLES),
    st.builds(lambda path, kind: change("alter", "Column", {"ID": path}, ExplicitDataType=kind), COLUMNS, TYPES),
    st.builds(lambda path, by: change("alter", "Column", {"ID": path, "SortByColumnID": by}), COLUMNS, COLUMNS),
    st.builds(lambda table: change("delete", "Table", {"ID": {"Table": table}}), TABLES),
    st.builds(lambda path: change("delete", "Column", {"ID": path}), COLUMNS),
    st.builds(lambda of: change("delete", of[0], {"ID": {"Table": of[1], of[0]: of[2]}}), MEMBERS),
    st.builds(lambda row_id: change("delete", "Column", ID=row_id), st.integers(1, 60)),
)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(CHANGES, min_size=1, max_size=3), min_size=1, max_size=12))
def test_whatever_the_sequence_the_metadata_stay_a_model(sequences):
    content, files = everything().content, dict(everything().added_files)
    for sequence in sequences:
        try:
            outcome = changed(content, *sequence)
        except TabvaultError:
            continue
        assert not_ok(outcome, files) == []
        content = outcome.content
        files = {
            name: body for name, body in {**files, **outcome.added_files}.items() if name not in outcome.dropped_files
        }
