"""Damaged metadata are refused with a name, or changed: never anything else."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings

from model.changes.damaged_metadata import cells, damaged, rows, with_strange_cells
from model.changes.model_changes import change, changed, rows_of
from tabvault.errors import FormatError, ModelError, TabvaultError


@cache
def some_changes():
    table = max(key for key, row in rows()["Table"].items() if row["SystemFlags"] == 0)
    columns = [key for key, row in rows()["Column"].items() if row["TableID"] == table and row["Type"] != 3]
    return (
        change("create", "Table", Name="T"),
        change("create", "Column", TableID=table, ExplicitName="C", ExplicitDataType=2),
        change("create", "Partition", TableID=table, Name="P", Type=4),
        change("create", "Annotation", ObjectID=table, ObjectType=3, Name="a"),
        change("create", "Role", Name="R", ModelPermission=2),
        change("create", "TablePermission", {"RoleID": {"Role": "R"}}, TableID=table),
        change("alter", "Column", ID=columns[0], ExplicitDataType=2, SortByColumnID=columns[1]),
        change("delete", "Column", ID=columns[2]),
    )


def test_the_changes_are_possible_where_nothing_is_damaged():
    assert len(changed(damaged(), *some_changes()).affected) > len(some_changes())


@settings(deadline=None, max_examples=80)
@given(with_strange_cells())
def test_any_cell_may_hold_anything(content):
    try:
        outcome = changed(content, *some_changes())
    except TabvaultError:
        return
    assert rows_of(outcome.content)["Table"]


def test_a_table_that_is_not_there_is_refused_or_not_needed():
    for table in [*rows(), "DBPROPERTIES"]:
        try:
            changed(damaged((f'DROP TABLE "{table}"', ())), *some_changes())
        except (FormatError, ModelError):
            continue
        assert not rows()[table] or table in {"Annotation", "Culture", "LinguisticMetadata"}


def test_a_column_that_is_not_there_is_refused_or_not_needed():
    for table, column in cells():
        if table in {"Table", "Column", "Partition", "Model", "ColumnStorage"} and column != "ID":
            statement = f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "Other"'
            try:
                outcome = changed(damaged((statement, ())), *some_changes())
            except (FormatError, ModelError):
                continue
            assert "Other" in next(iter(rows_of(outcome.content)[table].values()))
