"""Damaged metadata are refused with a name, or changed: never anything else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from model.changes.model_changes import change, changed, rows_of
from model.genuine import SMALL, genuine_metadata
from tabvault.errors import FormatError, ModelError, TabvaultError

STRANGE = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
)


@cache
def rows():
    return rows_of(genuine_metadata(SMALL))


@cache
def cells():
    return [(table, column) for table, found in rows().items() if found for column in next(iter(found.values()))]


def damaged(*statements):
    """A copy on which SQLite itself ran each statement with its values."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(genuine_metadata(SMALL))
        for sql, values in statements:
            connection.execute(sql, values)
        connection.commit()
        return connection.serialize()


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
@given(st.data())
def test_any_cell_may_hold_anything(data):
    any_id = st.sampled_from([row_id for found in rows().values() for row_id in found])
    statements = []
    for _ in range(data.draw(st.integers(1, 3))):
        table, column = data.draw(st.sampled_from(cells()))
        row_id = data.draw(st.sampled_from(sorted(rows()[table])))
        value = data.draw(st.one_of(STRANGE, any_id))
        statements.append((f'UPDATE OR IGNORE "{table}" SET "{column}" = ? WHERE "ID" = ?', (value, row_id)))
    try:
        content = damaged(*statements)
    except sqlite3.Error:
        return  # an id that is no number
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
