"""Metadata of a genuine model that SQLite itself was made to damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

from hypothesis import reject
from hypothesis import strategies as st

from model.changes.model_changes import rows_of
from model.genuine import SMALL, genuine_metadata

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


@st.composite
def with_strange_cells(draw):
    """A copy in which up to three cells hold anything."""
    any_id = st.sampled_from([row_id for found in rows().values() for row_id in found])
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        table, column = draw(st.sampled_from(cells()))
        row_id = draw(st.sampled_from(sorted(rows()[table])))
        value = draw(st.one_of(STRANGE, any_id))
        statements.append((f'UPDATE OR IGNORE "{table}" SET "{column}" = ? WHERE "ID" = ?', (value, row_id)))
    try:
        return damaged(*statements)
    except sqlite3.Error:
        reject()  # an id that is no number
